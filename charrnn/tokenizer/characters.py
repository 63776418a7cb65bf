"""Tokens that are characters, and tokens that are bytes."""

import codecs
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from charrnn.arrays import Ids
from charrnn.config import require
from charrnn.text.blocks import code_points, encoded
from charrnn.tokenizer.base import Tokenizer, checked_tokens, common_characters

# The automaton of valid UTF-8 (RFC 3629). For each state: ranges of bytes, first and last, and the
# next state. State 0 is between characters, states 1 to 3 expect that many continuation bytes, and
# states 4 to 7 expect a restricted one first.
UTF_8 = (
    (
        (0x00, 0x7F, 0), (0xC2, 0xDF, 1), (0xE0, 0xE0, 4), (0xE1, 0xEC, 2), (0xED, 0xED, 5),
        (0xEE, 0xEF, 2), (0xF0, 0xF0, 6), (0xF1, 0xF3, 3), (0xF4, 0xF4, 7),
    ),
    ((0x80, 0xBF, 0),),
    ((0x80, 0xBF, 1),),
    ((0x80, 0xBF, 2),),
    ((0xA0, 0xBF, 1),),
    ((0x80, 0x9F, 1),),
    ((0x90, 0xBF, 2),),
    ((0x80, 0x8F, 2),),
)  # fmt: skip


class CharTokenizer(Tokenizer):
    """A token is a Unicode code point."""

    level = "char"

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        """Build the vocabulary of a text; see Tokenizer.train."""
        return cls(common_characters(text, vocab_size))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the tokenizer that `to_json` describes; see Tokenizer.from_json."""
        tokens = checked_tokens(data)
        if any(len(token) != 1 for token in tokens):
            raise ValueError("a token has more than one character")
        return cls(tokens)

    def encode(self, text: str) -> Ids:
        """Return token ids and escapes; see Tokenizer.encode."""
        return self.spell(text)


class ByteTokenizer(Tokenizer):
    """A token is a byte of UTF-8, so no character is outside the vocabulary."""

    level = "byte"

    def __init__(self) -> None:
        super().__init__([bytes([i]).decode("ascii", "surrogateescape") for i in range(256)])
        self.transitions = np.full((len(UTF_8), self.vocab_size), -1, np.int8)
        for before, ranges in enumerate(UTF_8):
            for first, last, after in ranges:
                self.transitions[before, first : last + 1] = after

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        """Return the tokenizer, which is the same for every valid text.

        Raises:
            TextError: the text is not valid Unicode.
            UsageError: `vocab_size` is given.
        """
        require(
            vocab_size is None,
            "vocab_size has no meaning with bytes: there are 256",
            "vocab_size",
        )
        code_points(text)
        return cls()

    def encode(self, text: str) -> Ids:
        """Return the bytes of a text; see Tokenizer.encode."""
        return np.frombuffer(encoded(text, "utf-8"), np.uint8).astype(np.int32)

    def spell(self, text: str) -> Ids:
        """Return the bytes of a text."""
        return self.encode(text)

    def extended(self, text: str) -> Self:
        """Return this tokenizer, whose vocabulary is complete."""
        del text
        return self

    def decoder(self) -> Callable[[int], str]:
        """Return a function that maps bytes, in order, to the character each completes."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        return lambda i: decode(bytes([i]))

    def spelled(self, text: str) -> str:
        """Return a text with a surrogate for each byte outside ASCII."""
        return text.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")

    def read(self, spelled: str) -> str:
        """Return the text of a spelling; incomplete characters stay as they are."""
        return spelled.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")

    def to_json(self) -> dict[str, Any]:
        """Return the level alone."""
        return {"level": self.level}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the tokenizer, which the level describes in full."""
        del data
        return cls()
