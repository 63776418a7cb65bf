"""Tokens that are words."""

import unicodedata
from functools import cached_property
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from charrnn.arrays import Ids
from charrnn.text.words import is_unspaced
from charrnn.tokenizer.base import MAX_CHARACTERS, UNKNOWN, Joints, common_characters
from charrnn.tokenizer.pretokenizer import RARE, UNSPACED, PieceTokenizer, learn, tokens_by_id

if TYPE_CHECKING:
    import tokenizers

VOCABULARY_SIZE = 20_000  # default vocabulary size, characters included (not tuned)
MAX_UNSPACED = 12  # maximum characters of a word in a script without spaces (not tuned)


class WordTokenizer(PieceTokenizer):
    """A token is a piece: a word with the space before it, punctuation, or white space.

    A word outside the vocabulary is spelled with the longest tokens that match, down to single
    characters. So are runs of a script without spaces, whose words come from byte pair encoding.
    """

    level = "word"
    whole_words = True
    units = "words"

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        """Build the vocabulary of a text; see Tokenizer.train."""
        from tokenizers import models, trainers

        characters = common_characters(text, vocab_size)
        counter = cls._cutting(models.WordLevel(unk_token=UNKNOWN))
        room = (vocab_size or VOCABULARY_SIZE) - 1
        trainer = trainers.WordLevelTrainer(
            vocab_size=room, min_frequency=RARE, show_progress=False
        )
        learn(counter, text, trainer)
        by_rank = zip_longest(tokens_by_id(counter), tokens_by_id(cls._unspaced(text, room)))
        words = dict.fromkeys(word for both in by_rank for word in both if word and len(word) > 1)
        return cls(sorted([*characters, *islice(words, max(0, room - len(characters)))]))

    @cached_property
    def joints(self) -> Joints:  # type: ignore[override]
        """Where tokens join: one that starts with a letter may follow a letter or a space."""
        known = self.tokens[:-1]
        words = set(known)
        begins = [_is_letter(token[0]) for token in known]
        ends = [token == " " or _is_letter(token[-1]) for token in known]
        # A letter, always a token, is a word only if it is also a token with a space before it.
        parts = [
            token == " " or (letter and len(token) == 1 and f" {token}" not in words)
            for token, letter in zip(known, begins, strict=True)
        ]
        return Joints(*(np.array([*kind, False]) for kind in (ends, begins, parts)))

    @staticmethod
    def _unspaced(text: str, size: int) -> "tokenizers.Tokenizer":
        """Train byte pair encoding only on the text in scripts without spaces."""
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

        learner = Tokenizer(models.BPE())
        run = Regex(rf"{UNSPACED}{{1,40}}")
        learner.pre_tokenizer = pre_tokenizers.Split(run, "removed", invert=True)
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=RARE,
            limit_alphabet=MAX_CHARACTERS,
            max_token_length=MAX_UNSPACED,
            show_progress=False,
        )
        learn(learner, text, trainer)
        return learner

    def _model(self, ids: dict[str, int]) -> Any:
        from tokenizers import models

        return models.WordPiece(
            ids,
            unk_token=UNKNOWN,
            continuing_subword_prefix="",
            max_input_chars_per_word=1000,
        )

    def _escape(self, ids: Ids, text: str) -> Ids:
        """Spell the pieces that the library rejects because of a single character."""
        offsets = self.encoder.encode(text).offsets
        parts, done = [], 0
        for i in np.flatnonzero(ids == self.unknown_id).tolist():
            start, end = offsets[i]
            parts += [ids[done:i], self.spell(text[start:end])]
            done = i + 1
        return np.concatenate([*parts, ids[done:]])


def _is_letter(character: str) -> bool:
    """Return whether a character matches pretokenizer.LETTER."""
    category = unicodedata.category(character)
    return (category[0] in "LNM" or character in "\u200c\u200d") and not is_unspaced(character)
