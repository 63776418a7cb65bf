"""The split of a text into a training part and a held-out part."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress, repeat
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Mask
from charrnn.text.blocks import KINDS, TARGET, Blocks, chunks, told
from charrnn.text.encodings import Note, unnoted

BUCKETS = 1 << 20  # buckets of items by hash; the items of a bucket stay together (not tuned)
HEAD = 1 << 16  # characters at the start of an item that its hash depends on (not tuned)

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """A range of characters of a text, in blocks; it can be iterated over repeatedly.

    Attributes:
        blocks: the text, which can be iterated over repeatedly.
        start: index of the first character.
        stop: index after the last character.
        all: whether the blocks contain this part alone. If so, text appended later is yielded too,
            to reveal the change.
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
        """Return the first `size` characters, or all."""
        return "".join(Part(self.blocks, self.start, min(self.stop, self.start + size)))

    def sample(self, size: int) -> str:
        """Return the whole part, or about `size` characters of it in evenly spread chunks."""
        pieces = chunks(self)
        if len(self) > size:
            share = size / len(self)
            pieces = (
                piece for i, piece in enumerate(pieces) if int((i + 1) * share) > int(i * share)
            )
        return "".join(pieces)


class Fingerprint:
    """Fingerprint of a text; str() is the SHA-256 of its UTF-8 bytes.

    Attributes:
        characters: characters of the text so far.
    """

    def __init__(self) -> None:
        self.characters = 0
        self._digest = hashlib.sha256()

    def follow(self, blocks: Iterable[str]) -> Iterator[str]:
        """Yield blocks unchanged and add them to the fingerprint."""
        for block in blocks:
            self.characters += len(block)
            self._digest.update(block.encode("utf-8", "surrogatepass"))
            yield block

    def __str__(self) -> str:
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Parts:
    """A text's training part and held-out part.

    Attributes:
        train: the training part.
        val: the held-out part.
        kind: kind of corpus, a key of KINDS.
        characters: characters of the whole text.
        fingerprint: fingerprint of the whole text, in hexadecimal.
        seed: seed of the choice of held-out items; 0 for running text.
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

        The end of a running text is held out. From lines, documents and records, random items are
        held out; copies of an item stay together, and records with the same source, so that none is
        in both parts. Both parts have the same share of each target. At least one item is held out
        if items differ and `val` is above 0.

        Args:
            blocks: the text, which can be iterated over repeatedly.
            val: share of the characters to hold out.
            kind: kind of corpus, a key of KINDS.
            seed: seed of the choice of held-out items.
            note: called with the progress on a long text.
        """
        fingerprint = Fingerprint()
        read = fingerprint.follow(told(blocks, note, "reading"))
        if boundary := KINDS[kind]:
            sizes = np.zeros(BUCKETS, np.int64)  # characters
            targets = np.zeros(BUCKETS, np.uint32)  # hash of a record's target
            records = kind == "records"
            for buckets, texts in _items(read, boundary, records):
                np.add.at(sizes, buckets, [*map(len, texts)])
                if records:
                    targets[buckets] = [
                        crc32(text.rpartition(TARGET)[2].encode()) for text in texts
                    ]
            held = _stratified(sizes, targets, val, seed) if records else _sampled(sizes, val, seed)
            train, held_out = (
                Part(
                    Blocks(partial(_chosen, blocks, boundary, records, some)),
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
        """Values that identify this split."""
        return [self.fingerprint, self.kind, self.seed, len(self.train)]


def _sampled(sizes: Counts, val: float, seed: int) -> Mask:
    """Choose the buckets to hold out, given the characters in each; return a mask of them."""
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


def _stratified(sizes: Counts, targets: NDArray[np.uint32], val: float, seed: int) -> Mask:
    """Choose the buckets to hold out, the same share of them from each target.

    Args:
        sizes: characters in each bucket.
        targets: hash of a target in each bucket.
        val: share of the buckets.
        seed: seed of the choice.

    Returns:
        A mask of the chosen buckets.
    """
    held = np.zeros(len(sizes), bool)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes))
    order = order[targets[order].argsort(kind="stable")]
    # Systematic sampling: every so often, one in the order of their targets.
    reached = np.floor((np.arange(len(order) + 1) + 0.5) * val)
    held[order[np.diff(reached) > 0]] = True
    if val and not held.any() and len(order) > 1:
        held[order[0]] = True
    if len(order) and held[order].all():
        held[order[0]] = False
    return held


def _items(
    blocks: Iterable[str], boundary: str, records: bool = False
) -> Iterator[tuple[Counts, list[str]]]:
    """Yield the items of each block, with the bucket of each; a long item comes in parts.

    The bucket depends on an item's first HEAD characters alone, so that memory is bounded; that of
    a record on its source.
    """
    begun: int | None = None  # bucket of an item that continues in the next block
    rest = ""
    for block in blocks:
        *ended, rest = (rest + block).split(boundary)
        texts = [text + boundary for text in ended]
        buckets = _buckets(texts, records)
        if texts and begun is not None:
            buckets[0], begun = begun, None
        if begun is None and len(rest) >= HEAD:
            (begun,) = _buckets([rest], records).tolist()
        if begun is not None:
            texts.append(rest)
            buckets = np.append(buckets, begun)
            rest = ""
        yield buckets, texts


def _buckets(items: Sequence[str], records: bool) -> Counts:
    heads = [item[:HEAD] for item in items]
    if records:
        heads = [head.partition(TARGET)[0] for head in heads]
    encoded = map(str.encode, heads, repeat("utf-8"), repeat("surrogatepass"))
    return np.fromiter(map(crc32, encoded), np.int64, len(heads)) % BUCKETS


def _chosen(blocks: Iterable[str], boundary: str, records: bool, chosen: Mask) -> Iterator[str]:
    """Yield the items of the chosen buckets, in blocks."""
    for buckets, texts in _items(blocks, boundary, records):
        if text := "".join(compress(texts, chosen[buckets].tolist())):
            yield text
