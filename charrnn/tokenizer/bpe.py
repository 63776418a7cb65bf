"""Tokens that are subwords."""

import json
import math
from collections.abc import Sequence
from typing import Any, Self

from charrnn.arrays import Ids
from charrnn.tokenizer.base import UNKNOWN, checked_tokens, common_characters
from charrnn.tokenizer.pretokenizer import RARE, PieceTokenizer, learn, tokens_by_id

MAX_BPE = 16_384  # maximum default vocabulary, characters included (not tuned)


class BpeTokenizer(PieceTokenizer):
    """A token is a frequent part of a piece, by byte pair encoding over characters.

    Sennrich et al. 2016, arXiv:1508.07909. A piece starts as single characters; then pairs are
    merged in the order of `merges`. By default the vocabulary has the characters and as many
    merges as the square root of the text's length (not tuned).

    Args:
        tokens: the text of each id, without the unknown token.
        merges: pairs of tokens that are merged, in the order in which they were found.
    """

    level = "bpe"
    units = "subwords"

    def __init__(self, tokens: Sequence[str], merges: Sequence[tuple[str, str]] = ()) -> None:
        self._merges = [*merges]
        super().__init__(tokens)

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        """Build the vocabulary of a text; see Tokenizer.train."""
        from tokenizers import models, trainers

        characters = common_characters(text, vocab_size)
        suitable = min(MAX_BPE, 1 + len(characters) + math.isqrt(len(text)))
        learner = cls._cutting(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=(vocab_size or suitable) - 1,
            min_frequency=RARE,
            initial_alphabet=characters,
            limit_alphabet=len(characters),
            show_progress=False,
        )
        learn(learner, text, trainer)
        merges = json.loads(learner.to_str())["model"]["merges"]
        return cls(tokens_by_id(learner), [(left, right) for left, right in merges])

    def extended(self, text: str) -> Self:
        """Return this vocabulary followed by the new characters of a text, with the same merges."""
        known = set(self.tokens)
        added = [character for character in common_characters(text) if character not in known]
        return type(self)([*self.tokens[:-1], *added], self._merges)

    def to_json(self) -> dict[str, Any]:
        """Return the tokenizer as JSON values."""
        return super().to_json() | {"merges": self._merges}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the tokenizer that `to_json` describes; see Tokenizer.from_json."""
        tokens, merges = checked_tokens(data), data.get("merges")
        if not isinstance(merges, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(t, str) for t in pair)
            for pair in merges
        ):
            raise ValueError("its merges are not pairs of tokens")
        if len(merges) > 2 * len(tokens):
            raise ValueError("it has more merges than its tokens allow")
        if not {*tokens}.issuperset(
            t for left, right in merges for t in (left, right, left + right)
        ):
            raise ValueError("a merge has unknown tokens")
        return cls(tokens, [(left, right) for left, right in merges])

    def _model(self, ids: dict[str, int]) -> Any:
        from tokenizers import models

        return models.BPE(ids, self._merges, unk_token=UNKNOWN)

    def _escape(self, ids: Ids, text: str) -> Ids:
        """Replace each unknown token (one character) by that character's escape."""
        spelled = self.spell(text)
        ids[ids == self.unknown_id] = spelled[spelled >= self.vocab_size]
        return ids
