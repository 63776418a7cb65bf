"""Lossless tokenizers. To add a level: a class and an entry in TOKENIZERS."""

from typing import Any

from charrnn.tokenizer.base import ESCAPE_NATS, UNKNOWN, Joints, Tokenizer, is_half
from charrnn.tokenizer.bpe import BpeTokenizer
from charrnn.tokenizer.characters import ByteTokenizer, CharTokenizer
from charrnn.tokenizer.pretokenizer import PieceTokenizer
from charrnn.tokenizer.word import WordTokenizer

__all__ = [
    "ESCAPE_NATS",
    "TOKENIZERS",
    "UNKNOWN",
    "BpeTokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Joints",
    "PieceTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "from_json",
    "is_half",
]

# Tokenizer classes by level.
TOKENIZERS: dict[str, type[Tokenizer]] = {
    tokenizer.level: tokenizer
    for tokenizer in (CharTokenizer, WordTokenizer, BpeTokenizer, ByteTokenizer)
}


def from_json(data: Any) -> Tokenizer:
    """Return the tokenizer that `Tokenizer.to_json` describes.

    Raises:
        ValueError: `data` does not describe a tokenizer.
    """
    if not isinstance(data, dict) or data.get("level") not in [*TOKENIZERS]:
        raise ValueError("it has no known level")
    return TOKENIZERS[data["level"]].from_json(data)
