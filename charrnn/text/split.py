"""A text's two parts, to train on and held out: each can be read as often as it is wanted."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress, repeat
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from charrnn.text.blocks import KINDS, Blocks, chunks, told
from charrnn.text.encodings import Note, unnoted

BUCKETS = 1 << 20  # of items, by their hash; those in one are copies, or as good as drawn together
HEAD = 1 << 16  # characters by which an item is told from others

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Some characters of a text, in blocks.

    Attributes:
        blocks: the whole text, which comes again at each iteration.
        start, stop: the first character, and the one behind the last.
        all: whether the blocks hold this part alone. What a text has grown by since then is read
            too, so that it is noticed.
    """

    blocks: Iterable[str]
    start: int
    stop: int
    all: bool = False

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[str]:
        place = 0
        for block in self.blocks:
            if place >= self.stop and not self.all:
                break
            end = None if self.all else self.stop - place
            if text := block[max(0, self.start - place) : end]:
                yield text
            place += len(block)

    def beginning(self, size: int) -> str:
        """At most `size` characters."""
        return "".join(Part(self.blocks, self.start, min(self.stop, self.start + size)))

    def sample(self, size: int) -> str:
        """All of it; of what is longer than `size`, pieces evenly spread, about as much in all."""
        pieces = chunks(self)
        if len(self) > size:
            share = size / len(self)
            pieces = (
                piece for i, piece in enumerate(pieces) if int((i + 1) * share) > int(i * share)
            )
        return "".join(pieces)


class Fingerprint:
    """Tells whether a text has changed: SHA-256 of its UTF-8 bytes, and how long it is.

    Attributes:
        characters: that went by.
    """

    def __init__(self) -> None:
        self.characters = 0
        self._digest = hashlib.sha256()

    def follow(self, blocks: Iterable[str]) -> Iterator[str]:
        """The same blocks, taken note of as they go by."""
        for block in blocks:
            self.characters += len(block)
            self._digest.update(block.encode("utf-8", "surrogatepass"))
            yield block

    def __str__(self) -> str:
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Parts:
    """The part to train on and the held-out part.

    Attributes:
        train, val: them.
        kind: of the text, a key of KINDS.
        characters: of the whole text.
        fingerprint: of the whole text, in hexadecimal.
        seed: by which items were drawn, 0 of running text.
    """

    train: Part
    val: Part
    kind: str
    characters: int
    fingerprint: str
    seed: int

    @classmethod
    def of(
        cls,
        blocks: Iterable[str],
        val: float,
        kind: str = "text",
        seed: int = 0,
        note: Note = unnoted,
    ) -> Self:
        """Split a text.

        Of running text the last `val` of the characters are held out. Of items it is about as
        much in whole ones, drawn at random; copies of an item stay together, so that none is in
        both parts. At least one is held out, if there are different ones and `val` is above 0.

        Args:
            blocks: of the text, which come again at each iteration.
            kind: a key of KINDS; items end as it says.
            seed: of the drawing.
            note: told how far a long text is read.
        """
        fingerprint = Fingerprint()
        read = fingerprint.follow(told(blocks, note, "reading"))
        if boundary := KINDS[kind]:
            sizes = np.zeros(BUCKETS, np.int64)  # characters
            for buckets, texts in _items(read, boundary):
                np.add.at(sizes, buckets, [*map(len, texts)])
            held = _drawn(sizes, val, seed)
            train, held_out = (
                Part(
                    Blocks(partial(_chosen, blocks, boundary, some)),
                    0,
                    int(sizes[some].sum()),
                    True,
                )
                for some in (~held, held)
            )
        else:
            seed = 0
            characters = sum(map(len, read))
            cut = int(characters * (1 - val))
            train, held_out = Part(blocks, 0, cut), Part(blocks, cut, characters)
        return cls(train, held_out, kind, fingerprint.characters, str(fingerprint), seed)

    @property
    def key(self) -> list[int | str]:
        """What tells these parts from all others."""
        return [self.fingerprint, self.kind, self.seed, len(self.train)]


def _drawn(sizes: Counts, val: float, seed: int) -> NDArray[np.bool_]:
    """Which buckets are held out, by the characters in each."""
    held = np.zeros(len(sizes), bool)
    room = val * float(sizes.sum())
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes))
    for bucket, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        if size <= room:
            held[bucket] = True
            room -= size
    if val and not held.any() and len(order) > 1:
        held[order[sizes[order].argmin()]] = True
    return held


def _items(blocks: Iterable[str], boundary: str) -> Iterator[tuple[Counts, list[str]]]:
    """The items in each block, whole or in pieces, and before them the bucket of each.

    The bucket follows from an item's first HEAD characters, so that no long one need be at hand
    as a whole.
    """
    begun: int | None = None  # the bucket of an item that goes on
    rest = ""
    for block in blocks:
        *ended, rest = (rest + block).split(boundary)
        texts = [text + boundary for text in ended]
        buckets = _buckets(texts)
        if texts and begun is not None:
            buckets[0], begun = begun, None
        if begun is None and len(rest) >= HEAD:
            (begun,) = _buckets([rest]).tolist()
        if begun is not None:
            texts.append(rest)
            buckets = np.append(buckets, begun)
            rest = ""
        yield buckets, texts


def _buckets(items: Sequence[str]) -> Counts:
    heads = [item[:HEAD] for item in items]
    encoded = map(str.encode, heads, repeat("utf-8"), repeat("surrogatepass"))
    return np.fromiter(map(crc32, encoded), np.int64, len(heads)) % BUCKETS


def _chosen(blocks: Iterable[str], boundary: str, chosen: NDArray[np.bool_]) -> Iterator[str]:
    """The items of some buckets, in blocks."""
    for buckets, texts in _items(blocks, boundary):
        if text := "".join(compress(texts, chosen[buckets].tolist())):
            yield text
