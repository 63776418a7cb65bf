"""Tokens that are characters, and tokens that are bytes."""

import codecs
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from charrnn.config import require
from charrnn.tokenizer.base import (
    Ids,
    Tokenizer,
    checked_tokens,
    code_points,
    common_characters,
    encoded,
)


class CharTokenizer(Tokenizer):
    """A token is a Unicode code point."""

    level = "char"

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        return cls(common_characters(text, vocab_size))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        tokens = checked_tokens(data)
        if any(len(token) != 1 for token in tokens):
            raise ValueError("a token is more than a character")
        return cls(tokens)

    def encode(self, text: str) -> Ids:
        return self.spell(text)


class ByteTokenizer(Tokenizer):
    """A token is a byte of UTF-8, so that no character is unseen."""

    level = "byte"

    def __init__(self) -> None:
        super().__init__([bytes([i]).decode("ascii", "surrogateescape") for i in range(256)])

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        require(vocab_size is None, "--vocab-size is of no account with bytes, which are 256")
        code_points(text)
        return cls()

    def encode(self, text: str) -> Ids:
        return np.frombuffer(encoded(text, "utf-8"), np.uint8).astype(np.int32)

    def spell(self, text: str) -> Ids:
        return self.encode(text)

    def extended(self, text: str) -> Self:
        return self

    def decoder(self) -> Callable[[int], str]:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        return lambda i: decode(bytes([i]))

    def spelled(self, text: str) -> str:
        return text.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")

    def read(self, spelled: str) -> str:
        return spelled.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls()
