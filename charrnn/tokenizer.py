"""Text to token ids and back, exactly. To add a level: a class and a row in TOKENIZERS.

A vocabulary of V tokens has the ids 0 to V-1; the last stands for any character
that is not in it. `encode` writes such a character as an id of V or more, V plus
its code point, so that `decode` gives it back; the network is shown `known(ids)`,
where they are all V-1. A score charges ESCAPE_NATS for saying which one it was.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import TextError
from charrnn.text import chunks

Ids = NDArray[np.int32]

CODE_POINTS = 0x110000
ESCAPE_NATS = math.log(CODE_POINTS)  # any code point, all alike
MAX_CHARACTERS = 8192  # the commonest are tokens; what a larger script has beyond is escaped
MAX_WORDS = 20_000
UNKNOWN = "\x00unknown"  # no level joins NUL with letters, so no text contains this token


def code_points(text: str) -> Ids:
    """The code points of a text, int32 [len(text)].

    Raises:
        TextError: the text holds half of a surrogate pair, which is no character.
    """
    try:
        return np.frombuffer(text.encode("utf-32-le"), dtype="<i4")
    except UnicodeEncodeError as error:
        raise TextError(
            f"not valid Unicode: a lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start}",
            "give the text as UTF-8",
        ) from None


def common_characters(text: str) -> list[str]:
    """The MAX_CHARACTERS commonest characters of a text, by code point."""
    counts: Counter[int] = Counter()
    for chunk in chunks([text], 1 << 20):
        codes, times = np.unique(code_points(chunk), return_counts=True)
        counts.update(dict(zip(codes.tolist(), times.tolist(), strict=True)))
    return sorted(chr(code) for code, _ in counts.most_common(MAX_CHARACTERS))


class Tokenizer(ABC):
    """Text to ids and back, so that decode(encode(text)) == text for every text.

    Args:
        tokens: what each id stands for, without the one for unseen characters.
    """

    level: ClassVar[str]

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = [*tokens, UNKNOWN]
        self.vocab_size = len(self.tokens)
        self.unknown_id = self.vocab_size - 1
        single = [(ord(token), i) for i, token in enumerate(tokens) if len(token) == 1]
        # Indexed by code point: the character's id, or its escape.
        self._character_ids = np.arange(
            self.vocab_size, self.vocab_size + CODE_POINTS, dtype=np.int32
        )
        if single:
            codes, ids = np.array(single).T
            self._character_ids[codes] = ids

    @classmethod
    @abstractmethod
    def train(cls, text: str) -> Self:
        """Build the vocabulary of a text, which must be the training part alone."""

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """Token ids, int32 [N]; escapes are `vocab_size` plus the code point.

        Raises:
            TextError: the text is not valid Unicode.
        """

    @abstractmethod
    def unfinished(self, text: str) -> str:
        """The end of the text whose tokens may still change as more is typed."""

    def extended(self, text: str) -> Self:
        """This vocabulary, its ids unchanged, and after it what `train` finds in a text."""
        known = set(self.tokens)
        added = [token for token in self.train(text).tokens if token not in known]
        return type(self)([*self.tokens[:-1], *added])

    def spell(self, text: str) -> Ids:
        """One id for each character, int32 [len(text)], escapes included."""
        return self._character_ids[code_points(text)]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(
            self.tokens[i] if i < self.vocab_size else chr(i - self.vocab_size) for i in ids
        )

    def known(self, ids: Ids) -> Ids:
        """The ids as the network knows them: every escape is the last id of the vocabulary."""
        known: Ids = np.minimum(ids, self.unknown_id)
        return known

    def unseen(self, text: str) -> list[str]:
        """The characters of a text that the vocabulary lacks, each once, in order."""
        return list(dict.fromkeys(c for c, i in zip(text, self.spell(text), strict=True)
                                  if i >= self.vocab_size))  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "tokens": self.tokens[:-1]}


class CharTokenizer(Tokenizer):
    """A token is a Unicode code point."""

    level = "char"

    @classmethod
    def train(cls, text: str) -> Self:
        return cls(common_characters(text))

    def encode(self, text: str) -> Ids:
        return self.spell(text)

    def unfinished(self, text: str) -> str:
        return ""


class WordTokenizer(Tokenizer):
    """A token is a word with the space before it, a run of punctuation, or white space.

    A word outside the vocabulary is spelled from the longest tokens that fit, in
    the end from single characters.
    """

    level = "word"

    # Bounded repeats, because fitting the longest token is quadratic in a piece's length.
    PIECE = (
        r" ?[^\W_]{1,40}(?:['’-][^\W_]{1,40}){0,3}"
        r"| ?(?:[^\w\s]|_){1,16}"
        r"|\n{1,16}"
        r"|[^\S\n]{1,64}(?!\S)"  # indentation, but for the last space, which joins the word
        r"|[^\S\n]"
    )

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        # Here, not above: a character model starts faster without this library.
        import tokenizers
        from tokenizers import Regex, models, pre_tokenizers

        self._pieces = pre_tokenizers.Split(Regex(self.PIECE), "isolated")
        self._library = tokenizers.Tokenizer(
            models.WordPiece(
                {token: i for i, token in enumerate(self.tokens)},
                unk_token=UNKNOWN,
                continuing_subword_prefix="",
                max_input_chars_per_word=1000,
            )
        )
        self._library.pre_tokenizer = self._pieces

    @classmethod
    def train(cls, text: str) -> Self:
        import tokenizers
        from tokenizers import Regex, models, pre_tokenizers, trainers

        counter = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        counter.pre_tokenizer = pre_tokenizers.Split(Regex(cls.PIECE), "isolated")
        trainer = trainers.WordLevelTrainer(
            vocab_size=MAX_WORDS, min_frequency=2, show_progress=False
        )
        characters = common_characters(text)
        counter.train_from_iterator(chunks([text]), trainer)
        return cls(sorted({*counter.get_vocab(), *characters}))

    def encode(self, text: str) -> Ids:
        code_points(text)  # refuses lone surrogates, which the library would trip over
        parts: list[Ids] = []
        batch: list[str] = []
        for chunk in chunks([text]):
            batch.append(chunk)
            if len(batch) == 64:
                parts += self._encode_batch(batch)
                batch.clear()
        parts += self._encode_batch(batch)
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def _encode_batch(self, batch: list[str]) -> list[Ids]:
        return [
            self._spell_unknown(np.array(encoding.ids, np.int32), encoding.offsets, chunk)
            for encoding, chunk in zip(self._library.encode_batch(batch), batch, strict=True)
        ]

    def _spell_unknown(self, ids: Ids, offsets: list[tuple[int, int]], text: str) -> Ids:
        """The library gives up on a whole piece for one unseen character; spell it instead."""
        unknown = np.flatnonzero(ids == self.unknown_id)
        if not len(unknown):
            return ids
        parts, done = [], 0
        for i in unknown.tolist():
            start, end = offsets[i]
            parts += [ids[done:i], self.spell(text[start:end])]
            done = i + 1
        return np.concatenate([*parts, ids[done:]])

    def unfinished(self, text: str) -> str:
        code_points(text[-256:])  # as in encode
        pieces = self._pieces.pre_tokenize_str(text[-256:])
        return str(pieces[-1][0]) if pieces else ""


TOKENIZERS: dict[str, type[Tokenizer]] = {
    tokenizer.level: tokenizer for tokenizer in (CharTokenizer, WordTokenizer)
}


def from_json(data: Any) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` describes.

    Raises:
        ValueError: `data` describes no tokenizer.
    """
    if not isinstance(data, dict) or data.get("level") not in [*TOKENIZERS]:
        raise ValueError("it has no known level")
    tokens = data.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(t, str) and t for t in tokens):
        raise ValueError("its tokens are not strings")
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError:
        raise ValueError("a token is not valid Unicode") from None
    if len(set(tokens)) != len(tokens) or UNKNOWN in tokens:
        raise ValueError("it has a token twice")
    if data["level"] == "char" and any(len(token) != 1 for token in tokens):
        raise ValueError("a token is more than a character")
    return TOKENIZERS[data["level"]](tokens)
