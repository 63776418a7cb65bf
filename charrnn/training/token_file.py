"""A text's tokens, in a file: the ids of both parts, then where documents end."""

from array import array
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.errors import TextError
from charrnn.text.blocks import END, KINDS, chunks, told
from charrnn.text.cache import Made
from charrnn.text.encodings import Note
from charrnn.text.split import Fingerprint, Part, Parts
from charrnn.tokenizer import Tokenizer
from charrnn.training.shuffling import shuffled

CHUNK = 1 << 20  # characters encoded at once
END_BYTES = 8


class Tokens(NamedTuple):
    """Those of a part.

    Attributes:
        ids: as the network knows them, the smallest unsigned or signed type that holds them, [N].
        ends: behind which token each document ends, int64 [D].
        bytes: of the text, as UTF-8.
        escapes: how many of its characters the vocabulary lacks.
    """

    ids: Tensor
    ends: Tensor
    bytes: int
    escapes: int


def write(file: BinaryIO, parts: Parts, tokenizer: Tokenizer, note: Note) -> dict[str, Any]:
    """Encode a text: lines in a random order, all else as it is.

    Args:
        note: told how far a long text is read.

    Returns:
        What `read` wants to know.

    Raises:
        TextError: the text has changed meanwhile, or there is no room for a temporary file.
    """
    passed = Fingerprint()
    kind = _kind(tokenizer)
    random = np.random.default_rng(parts.seed)
    (end,) = tokenizer.encode(END).tolist()
    (line_end,) = tokenizer.known(tokenizer.encode(KINDS["lines"])).tolist()
    ends = array("q")
    lengths: list[int] = []  # characters read of each part

    def encode(part: Part, doing: str) -> dict[str, int]:
        count = dict.fromkeys(("tokens", "documents", "bytes", "escapes"), 0)

        def encoded(text: str) -> NDArray[Any]:
            ids = tokenizer.encode(text)
            behind = count["tokens"] + 1 + np.flatnonzero(ids == end)
            ends.frombytes(behind.tobytes())
            count["tokens"] += len(ids)
            count["documents"] += len(behind)
            count["bytes"] += len(text.encode())
            count["escapes"] += int((ids >= tokenizer.vocab_size).sum())
            return tokenizer.known(ids).astype(kind)

        blocks = map(encoded, chunks(told(passed.follow(part), note, doing), CHUNK))
        for ids in shuffled(blocks, line_end, random) if parts.kind == "lines" else blocks:
            file.write(ids.data)
        lengths.append(passed.characters - sum(lengths))
        return count

    values = {
        "train": encode(parts.train, "tokenizing"),
        "val": encode(parts.val, "tokenizing what is held out"),
    }
    if lengths != [len(parts.train), len(parts.val)] or (
        parts.kind == "text" and str(passed) != parts.fingerprint
    ):
        raise TextError("the text changed while it was read", "start again")
    file.write(bytes(-file.tell() % END_BYTES))
    file.write(ends)
    return values


def read(made: Made, tokenizer: Tokenizer) -> tuple[Tokens, Tokens]:
    """The tokens to train on and the held-out ones, in place.

    Args:
        made: what was written, and the values.
    """
    data, values = made
    train, val = values["train"], values["val"]
    kind = _kind(tokenizer)
    size = (train["tokens"] + val["tokens"]) * kind.itemsize
    ids = torch.from_numpy(data[:size].view(kind))
    ends = torch.from_numpy(data[size + -size % END_BYTES :].view(np.int64))
    tokens, documents = train["tokens"], train["documents"]
    return (
        Tokens(ids[:tokens], ends[:documents], train["bytes"], train["escapes"]),
        Tokens(ids[tokens:], ends[documents:], val["bytes"], val["escapes"]),
    )


def _kind(tokenizer: Tokenizer) -> np.dtype[Any]:
    """The type of the ids that the network knows."""
    size = tokenizer.vocab_size
    return np.dtype(np.uint8 if size <= 1 << 8 else np.int16 if size <= 1 << 15 else np.int32)
