"""The token file of a text: the ids of both parts, then where documents end and targets begin."""

from array import array
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.errors import TextError
from charrnn.text.blocks import END, KINDS, TARGET, Targets, chunks, told
from charrnn.text.cache import Made
from charrnn.text.encodings import Note
from charrnn.text.split import Fingerprint, Part, Parts
from charrnn.tokenizer import Tokenizer
from charrnn.training.shuffling import shuffled

CHUNK_CHARS = 1 << 20  # characters encoded at once; not tuned
END_BYTES = 8  # bytes of an int64, to which the document ends are aligned


class Tokens(NamedTuple):
    """The tokens of a part.

    Attributes:
        ids: token ids that the network knows, uint8, int16 or int32 [N].
        ends: index after the last token of each document, int64 [D].
        targets: index of the first token of each record's target, int64 [D]; empty otherwise.
        chars: number of characters to score: all, but of a record only those of its target.
        bytes: number of bytes in them, as UTF-8.
        escapes: number of them that are out of vocabulary.
    """

    ids: Tensor
    ends: Tensor
    targets: Tensor
    chars: int
    bytes: int
    escapes: int


def write(file: BinaryIO, parts: Parts, tokenizer: Tokenizer, note: Note) -> dict[str, Any]:
    """Encode a text into a file; the items of a corpus of lines are shuffled.

    Args:
        file: the file to write to.
        parts: the text, split.
        tokenizer: encodes it.
        note: called with the progress of reading a long text.

    Returns:
        The JSON values that `read` needs.

    Raises:
        TextError: the text changed while it was read, or a temporary file cannot be written.
    """
    passed = Fingerprint()
    dtype = _dtype(tokenizer)
    random = np.random.default_rng(parts.seed)
    (end,) = tokenizer.encode(END).tolist()
    (line_end,) = tokenizer.known(tokenizer.encode(KINDS["lines"])).tolist()
    (target,) = tokenizer.encode(TARGET).tolist()
    records = parts.kind == "records"
    ends, targets = array("q"), array("q")
    tokens_after = {end: ends} | ({target: targets} if records else {})
    lengths: list[int] = []  # number of characters read of each part

    def encode(part: Part, doing: str) -> dict[str, int]:
        count = dict.fromkeys(("tokens", "documents", "chars", "bytes", "escapes"), 0)
        scored = Targets() if records else str

        def encoded(text: str) -> NDArray[Any]:
            ids = tokenizer.encode(text)
            for token, after in tokens_after.items():
                places = count["tokens"] + 1 + np.flatnonzero(ids == token)
                after.frombytes(places.tobytes())
            count["documents"] += int((ids == end).sum())
            count["tokens"] += len(ids)
            text = scored(text)
            count["chars"] += len(text)
            count["bytes"] += len(text.encode())
            escapes = tokenizer.spell(text) if records else ids
            count["escapes"] += int((escapes >= tokenizer.vocab_size).sum())
            return tokenizer.known(ids).astype(dtype)

        blocks = map(encoded, chunks(told(passed.follow(part), note, doing), CHUNK_CHARS))
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
    file.write(targets)
    return values


def read(made: Made, tokenizer: Tokenizer) -> tuple[Tokens, Tokens]:
    """Return the training tokens and the held-out tokens, without copying them.

    Args:
        made: the data that `write` wrote, and the values that it returned.
        tokenizer: the tokenizer that encoded them.
    """
    data, values = made
    train, val = values["train"], values["val"]
    dtype = _dtype(tokenizer)
    size = (train["tokens"] + val["tokens"]) * dtype.itemsize
    ids = torch.from_numpy(data[:size].view(dtype))
    places = torch.from_numpy(data[size + -size % END_BYTES :].view(np.int64))
    tokens, documents = train["tokens"], train["documents"]
    count = documents + val["documents"]
    ends, targets = places[:count], places[count:]
    return (
        Tokens(ids[:tokens], ends[:documents], targets[:documents], *_counts(train)),
        Tokens(ids[tokens:], ends[documents:], targets[documents:], *_counts(val)),
    )


def _counts(values: dict[str, int]) -> tuple[int, int, int]:
    return values["chars"], values["bytes"], values["escapes"]


def _dtype(tokenizer: Tokenizer) -> np.dtype[Any]:
    """Return the smallest torch type for the ids that the network knows."""
    size = tokenizer.vocab_size
    return np.dtype(np.uint8 if size <= 1 << 8 else np.int16 if size <= 1 << 15 else np.int32)
