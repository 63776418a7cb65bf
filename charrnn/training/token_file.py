"""The token file of a text: the ids of both parts, then where documents end and targets begin."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.files import room_for, temporary
from charrnn.text.blocks import END, KINDS, TARGET, Targets, chunks
from charrnn.text.cache import Made
from charrnn.text.encodings import Note
from charrnn.text.readers import together
from charrnn.text.split import Pair, Parts
from charrnn.tokenizer import Tokenizer
from charrnn.training.shuffling import shuffled

CHUNK_CHARS = 1 << 20  # characters encoded at once; not tuned
ASIDE = 1 << 22  # bytes of held-out ids that are kept in memory; not tuned
ALIGNED = 8  # bytes of an int64, to which the document ends are aligned


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


def write(
    file: BinaryIO,
    parts: Parts,
    tokenizer: Tokenizer,
    note: Note,
    *others: Callable[[Iterator[Pair]], Any],
) -> tuple[dict[str, Any], list[Any]]:
    """Encode a text, which is read once, into a file; the items of a corpus of lines are shuffled.

    Args:
        file: the file to write to.
        parts: the text, split.
        tokenizer: encodes it.
        note: called with the progress of reading a long text.
        others: other functions of what Parts.read yields, to be called for the same reading.

    Returns:
        The JSON values that `read` needs, and what the other functions return.

    Raises:
        TextError: the text changed while it was read, or a temporary file cannot be written.
    """
    (line_end,) = tokenizer.known(tokenizer.encode(KINDS["lines"])).tolist()
    random = np.random.default_rng(parts.seed)
    train, val = (_Encoder(tokenizer, parts.kind) for _ in range(2))

    def write_ids(blocks: Iterable[NDArray[Any]]) -> None:
        if parts.kind == "lines":
            blocks = shuffled(blocks, line_end, random)
        for ids in blocks:
            file.write(ids.data)

    def write_train(pairs: Iterator[Pair]) -> None:
        write_ids(train.encode(text for text, _ in pairs))

    # The held-out ids have to wait until those of the training part are written.
    with temporary("w+b", ASIDE) as aside:

        def write_val(pairs: Iterator[Pair]) -> None:
            with room_for("the held-out part"):
                for ids in val.encode(text for _, text in pairs):
                    aside.write(ids.data)

        read = parts.read(note, "tokenizing")
        _, _, *found = together(read, write_train, write_val, *others)
        aside.seek(0)
        kept = iter(partial(aside.read, CHUNK_CHARS * val.dtype.itemsize), b"")
        write_ids(np.frombuffer(data, val.dtype) for data in kept)
    file.write(bytes(-file.tell() % ALIGNED))
    places = (train.ends, val.ends, train.targets, val.targets)
    file.writelines(places)
    return {"train": train.count, "val": val.count, "places": sum(map(len, places))}, found


class _Encoder:
    """Encodes a part of a text.

    Args:
        tokenizer: the tokenizer.
        kind: kind of corpus, a key of KINDS.

    Attributes:
        dtype: type of the ids.
        count: how many tokens, documents and so on there were, see Tokens.
        ends: index after the last token of each document, int64.
        targets: index of the first token of each record's target, int64.
    """

    def __init__(self, tokenizer: Tokenizer, kind: str) -> None:
        self.dtype = _dtype(tokenizer)
        self.count = dict.fromkeys(("tokens", "documents", "chars", "bytes", "escapes"), 0)
        self.ends, self.targets = array("q"), array("q")
        self._tokenizer = tokenizer
        self._records = kind == "records"
        self._scored = Targets() if self._records else str
        (self._end,) = tokenizer.encode(END).tolist()
        (target,) = tokenizer.encode(TARGET).tolist()
        self._tokens_after = {self._end: self.ends}
        if self._records:
            self._tokens_after[target] = self.targets

    def encode(self, blocks: Iterable[str]) -> Iterator[NDArray[Any]]:
        """Yield the ids of a text in blocks."""
        return map(self._encode, chunks(blocks, CHUNK_CHARS))

    def _encode(self, text: str) -> NDArray[Any]:
        ids = self._tokenizer.encode(text)
        for token, after in self._tokens_after.items():
            places = self.count["tokens"] + 1 + np.flatnonzero(ids == token)
            after.frombytes(places.tobytes())
        self.count["documents"] += int((ids == self._end).sum())
        self.count["tokens"] += len(ids)
        text = self._scored(text)
        self.count["chars"] += len(text)
        self.count["bytes"] += len(text.encode())
        escapes = self._tokenizer.spell(text) if self._records else ids
        self.count["escapes"] += int((escapes >= self._tokenizer.vocab_size).sum())
        return self._tokenizer.known(ids).astype(self.dtype)


def read(made: Made, tokenizer: Tokenizer) -> tuple[Tokens, Tokens, bytes]:
    """Return the training tokens and the held-out tokens, without copying them, and what follows.

    Args:
        made: the data that `write` wrote, and the values that it returned.
        tokenizer: the tokenizer that encoded them.
    """
    data, values = made
    train, val = values["train"], values["val"]
    dtype = _dtype(tokenizer)
    size = (train["tokens"] + val["tokens"]) * dtype.itemsize
    ids = torch.from_numpy(data[:size].view(dtype))
    size += -size % ALIGNED
    stop = size + values["places"] * ALIGNED
    places = torch.from_numpy(data[size:stop].view(np.int64))
    tokens, documents = train["tokens"], train["documents"]
    count = documents + val["documents"]
    ends, targets = places[:count], places[count:]
    return (
        Tokens(ids[:tokens], ends[:documents], targets[:documents], *_counts(train)),
        Tokens(ids[tokens:], ends[documents:], targets[documents:], *_counts(val)),
        data[stop:].tobytes(),
    )


def _counts(values: dict[str, int]) -> tuple[int, int, int]:
    return values["chars"], values["bytes"], values["escapes"]


def _dtype(tokenizer: Tokenizer) -> np.dtype[Any]:
    """Return the smallest torch type for the ids that the network knows."""
    size = tokenizer.vocab_size
    return np.dtype(np.uint8 if size <= 1 << 8 else np.int16 if size <= 1 << 15 else np.int32)
