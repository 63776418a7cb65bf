"""The split of a text into a training part and a held-out part."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Mask
from charrnn.errors import TextError
from charrnn.text.blocks import KINDS, TARGET, chunks, spread, told
from charrnn.text.encodings import Note, unnoted

SAMPLE = 1 << 24  # maximum characters of the samples of both parts together (not tuned)
BUCKETS = 1 << 20  # buckets of items by hash; the items of a bucket stay together (not tuned)
HEAD = 1 << 16  # characters at the start of an item that its hash depends on (not tuned)

Counts = NDArray[np.int64]
Pair = tuple[str, str]  # what a block has of the training part and of the held-out part


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
class Part:
    """One of the two parts of a text; each iteration reads the whole text.

    Attributes:
        parts: both parts.
        index: 0 for the training part, 1 for the held-out part.
    """

    parts: "Parts"
    index: int

    def __len__(self) -> int:
        return self.parts.lengths[self.index]

    def __iter__(self) -> Iterator[str]:
        return (pair[self.index] for pair in self.parts.read() if pair[self.index])

    @property
    def sample(self) -> str:
        """Evenly spread passages; the whole part of a text of at most SAMPLE characters."""
        return self.parts.samples[self.index]


@dataclass(frozen=True, slots=True)
class Parts:
    """A text's training part and held-out part.

    Attributes:
        blocks: the text, which can be iterated over repeatedly.
        kind: kind of corpus, a key of KINDS.
        seed: seed of the choice of held-out items; 0 for running text.
        held: which buckets of items are held out, bool [BUCKETS]; of running text, the index of the
            first character held out.
        characters: characters of the whole text.
        fingerprint: fingerprint of the whole text, in hexadecimal.
        lengths: characters of each part.
        samples: sample of each part.
    """

    blocks: Iterable[str]
    kind: str
    seed: int
    held: Mask | int
    characters: int
    fingerprint: str
    lengths: tuple[int, int]
    samples: Pair

    @classmethod
    def of(
        cls,
        blocks: Iterable[str],
        val: float,
        kind: str = "text",
        seed: int = 0,
        note: Note = unnoted,
    ) -> Self:
        """Split a text, which is read once.

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
        read = chunks(fingerprint.follow(told(blocks, note, "reading")))
        held: Mask | int
        if KINDS[kind]:
            sizes = np.zeros(BUCKETS, np.int64)  # characters
            targets = np.zeros(BUCKETS, np.uint32)  # hash of a record's target

            def pieces() -> Iterator[tuple[int, str]]:
                for buckets, texts in _items(read, kind):
                    np.add.at(sizes, buckets, [*map(len, texts)])
                    if kind == "records":
                        ends = (text.rpartition(TARGET)[2].encode() for text in texts)
                        targets[buckets] = [*map(crc32, ends)]
                    if texts:
                        yield int(buckets[0]), "".join(texts)

            found = spread(pieces(), SAMPLE)
            if kind == "records":
                held = _stratified(sizes, targets, val, seed)
            else:
                held = _sampled(sizes, val, seed)
            held_out = int(sizes[held].sum())
        else:
            seed = 0
            found = spread(_placed(read), SAMPLE)
            held = int(fingerprint.characters * (1 - val))
            held_out = fingerprint.characters - held
        pairs = [pair for start, text in found for pair in _parted([text], kind, held, start)]
        samples = "".join(train for train, _ in pairs), "".join(val for _, val in pairs)
        return cls(
            blocks,
            kind,
            seed,
            held,
            fingerprint.characters,
            str(fingerprint),
            (fingerprint.characters - held_out, held_out),
            samples,
        )

    @property
    def train(self) -> Part:
        """The training part."""
        return Part(self, 0)

    @property
    def val(self) -> Part:
        """The held-out part."""
        return Part(self, 1)

    def read(self, note: Note = unnoted, doing: str = "reading") -> Iterator[Pair]:
        """Read the text once, and yield what each block has of both parts.

        Args:
            note: called with the progress on a long text.
            doing: what is done with it, for the progress.

        Raises:
            TextError: the text is another one than `of` read.
        """
        fingerprint = Fingerprint()
        yield from _parted(fingerprint.follow(told(self.blocks, note, doing)), self.kind, self.held)
        if str(fingerprint) != self.fingerprint:
            raise TextError("the text changed while it was read", "start again")

    @property
    def key(self) -> list[int | str]:
        """Values that identify this split."""
        return [self.fingerprint, self.kind, self.seed, self.lengths[0]]


def _placed(pieces: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield pieces of a text, each with the index of its first character."""
    place = 0
    for piece in pieces:
        yield place, piece
        place += len(piece)


def _parted(
    blocks: Iterable[str], kind: str, held: Mask | int, start: int | None = None
) -> Iterator[Pair]:
    """Yield what each block of a text has of both parts.

    Args:
        blocks: the text, or a piece of it.
        kind: kind of corpus, a key of KINDS.
        held: see Parts.
        start: of a piece of running text, the index of its first character; of a piece of items,
            the bucket of the first one.
    """
    if isinstance(held, int):
        place = start or 0
        for block in blocks:
            cut = max(0, held - place)
            yield block[:cut], block[cut:]
            place += len(block)
        return
    for buckets, texts in _items(blocks, kind, start):
        out = held[buckets]
        train, val = ("".join(compress(texts, mask.tolist())) for mask in (~out, out))
        yield train, val


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
    blocks: Iterable[str], kind: str, begun: int | None = None
) -> Iterator[tuple[Counts, list[str]]]:
    """Yield the items of each block, with the bucket of each; a long item comes in parts.

    The bucket depends on an item's first HEAD characters alone, so that memory is bounded; that of
    a record on its source.

    Args:
        blocks: the text.
        kind: kind of corpus, a key of KINDS.
        begun: bucket of the first item, if that has begun before the text.
    """
    boundary = KINDS[kind]
    rest = ""
    for block in blocks:
        *ended, rest = (rest + block).split(boundary)
        texts = [text + boundary for text in ended]
        buckets = _buckets(texts, kind)
        if texts and begun is not None:
            buckets[0], begun = begun, None
        if begun is None and len(rest) >= HEAD:
            (begun,) = _buckets([rest], kind).tolist()
        if begun is not None:
            texts.append(rest)
            buckets = np.append(buckets, begun)
            rest = ""
        yield buckets, texts


def _buckets(items: Sequence[str], kind: str) -> Counts:
    """Return the bucket of each item."""
    heads = [item[:HEAD] for item in items]
    if kind == "records":
        heads = [head.partition(TARGET)[0] for head in heads]
    try:
        encoded = [*map(str.encode, heads)]
    except UnicodeEncodeError:
        encoded = [head.encode("utf-8", "surrogatepass") for head in heads]
    return np.fromiter(map(crc32, encoded), np.int64, len(heads)) % BUCKETS
