"""Index of the training text, to find what generated text copies: runs of words, or whole items.

The index is a Bloom filter (Bloom 1970) of hashes. No false negatives; false-positive rate below
0.1 %. To bound its size, a long text has only its hashes divisible by `every` indexed; shares are
estimated from those.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import islice, repeat
from typing import Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Ids, Mask
from charrnn.text.blocks import chunks, code_points

RUN_WORDS = 8  # words in a run (not tuned)
BITS = 16  # bits of the filter per hash; with PROBES, a false-positive rate of 0.06 %
PROBES = 8  # bits set for each hash
CHUNK_CHARS = 1 << 17  # characters hashed at a time (not tuned)
MAX_HASHES = 1 << 18  # maximum hashes indexed, which take 512 KiB (not tuned)
FACTOR = 0x9E3779B97F4A7C15  # base of the polynomial hash: 2^64 / golden ratio, odd so invertible
OTHER, LETTER, MARK, JOINER, WORD_ALONE, UNKNOWN = range(6)  # classes of characters, see `_kind`
CODE_POINTS = 0x110000  # number of code points in Unicode
INVERSE = pow(FACTOR, -1, 1 << 64)  # inverse of FACTOR modulo 2^64

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Index:
    """A Bloom filter of hashes.

    Attributes:
        bits: bits of the filter, packed, uint8 [bytes].
        every: sampling interval: hashes divisible by it are indexed.
    """

    bits: NDArray[np.uint8]
    every: int

    @classmethod
    def of(cls, found: Iterable[Hashes]) -> Self:
        """Build the index of some hashes."""
        every, count = 1, 0
        parts = [np.zeros(0, np.uint64)]
        for hashes in found:
            parts.append(_every(hashes, every))
            count += len(parts[-1])
            while count > MAX_HASHES:
                every *= 2
                parts = [_every(_distinct(parts), every)]
                count = len(parts[0])
        indexed = _distinct(parts)
        flags = np.zeros(BITS * max(1, len(indexed)), bool)
        for place in _places(indexed, len(flags)):
            flags[place] = True
        return cls(np.packbits(flags), every)

    def holds(self, hashes: Hashes) -> Mask:
        """Return, for each of the hashes that `every` selects, whether it is in the index."""
        hashes = _every(hashes, self.every)
        held = np.ones(len(hashes), bool)
        for place in _places(hashes, 8 * len(self.bits)):
            held &= (self.bits[place >> 3] >> (7 - (place & 7)) & 1).astype(bool)
        return held

    def new(self, hashes: Hashes) -> float | None:
        """Return the share of hashes that are not in the index; None if `every` selects none."""
        held = self.holds(hashes)
        return 1 - float(held.mean()) if len(held) else None


class WordRuns(Index):
    """Index of the runs of words in a text, ignoring case."""

    __slots__ = ()

    @classmethod
    def build(cls, blocks: Iterable[str]) -> Self:
        """Build the index of a text in blocks."""
        return cls.of(cls._runs(blocks))

    @staticmethod
    def _runs(blocks: Iterable[str]) -> Iterator[Hashes]:
        words = np.zeros(0, np.uint64)
        for hashes in map(hash_words, chunks(blocks, CHUNK_CHARS)):
            words = np.concatenate([words[-RUN_WORDS + 1 :], hashes])
            yield _hash_runs(words)

    def novelty(self, text: str) -> float | None:
        """Return the share of a text's runs that are not in the index; None with too few words."""
        return self.new(np.concatenate([np.zeros(0, np.uint64), *self._runs([text])]))

    def copied(self, words: Hashes) -> bool:
        """Return whether RUN_WORDS words, given as hashes, are an indexed run."""
        return bool(self.holds(_hash_runs(words)).any())


class Items(Index):
    """Index of the items of a list, such as names, ignoring case."""

    __slots__ = ()

    @classmethod
    def build(cls, items: Iterable[str]) -> Self:
        """Build the index of some items."""
        rest = iter(items)
        return cls.of(map(_hash_items, iter(lambda: [*islice(rest, CHUNK_CHARS)], [])))

    def novelty(self, items: Sequence[str]) -> float | None:
        """Return the share of items that are not in the index; None if `every` selects none."""
        return self.new(_hash_items(items))


def _spans(text: str) -> NDArray[np.intp]:
    """Return where words start and end, [N, 2]: as `words.WORD` matches, but many times faster."""
    found = np.pad(_kinds(code_points(text)), 1)
    inside = found == LETTER
    marks = found == MARK
    if marks.any():  # combining marks belong to the letter before them
        inside |= marks & inside[np.maximum.accumulate(np.where(marks, 0, np.arange(len(marks))))]
    inside[1:-1] |= (found[1:-1] == JOINER) & inside[:-2] & (found[2:] == LETTER)
    whole = found == WORD_ALONE
    starts = np.flatnonzero(whole[1:] | (inside[1:] & ~inside[:-1]))
    ends = np.flatnonzero(whole[:-1] | (inside[:-1] & ~inside[1:]))
    return np.stack([starts, ends], axis=1)


def _kinds(codes: Ids) -> NDArray[np.uint8]:
    """Return the class of each code point, uint8 [N]."""
    known = _known_kinds()
    kinds = known.take(codes)
    new = kinds == UNKNOWN
    if new.any():
        for code in np.unique(codes[new]).tolist():
            known[code] = _kind(chr(code))
        kinds = known.take(codes)
    return kinds


@cache
def _known_kinds() -> NDArray[np.uint8]:
    """Return the class of each code point, UNKNOWN until it occurs."""
    return np.full(CODE_POINTS, UNKNOWN, np.uint8)


def _kind(character: str) -> int:
    """Return the class of a character."""
    from charrnn.text.words import JOINERS, MARKS, is_unspaced

    if character in JOINERS:
        return JOINER
    if character in MARKS:
        return MARK
    if is_unspaced(character):
        return WORD_ALONE
    return LETTER if character.isalnum() else OTHER


def hash_words(text: str) -> Hashes:
    """Return a hash of each word: a polynomial of its code points, mixed."""
    text = text.lower()
    spans = _spans(text)
    if not len(spans):
        return np.zeros(0, np.uint64)
    codes = code_points(text).view(np.uint32) + np.uint32(1)
    sums = np.zeros(len(codes) + 1, np.uint64)
    # In place, since fresh memory costs more than the arithmetic.
    np.multiply(codes, _powers(FACTOR)[: len(codes)], out=sums[1:])
    np.cumsum(sums, out=sums)
    start, end = spans.T
    return _mix((sums[end] - sums[start]) * _powers(INVERSE)[start])


@cache
def _powers(base: int) -> Hashes:
    """Return base^0, base^1, ... modulo 2^64, enough for the characters of a chunk."""
    factors = np.full(2 * CHUNK_CHARS, base, np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


def _hash_items(items: Iterable[str]) -> Hashes:
    """Return a hash of each item: 64 bits of BLAKE2b, without case and outer white space."""
    plain = map(str.lower, map(str.strip, items))
    encoded = map(str.encode, plain, repeat("utf-8"), repeat("surrogatepass"))
    digests = (blake2b(item, digest_size=8).digest() for item in encoded)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _hash_runs(words: Hashes) -> Hashes:
    """Return a hash of each run of RUN_WORDS words."""
    count = max(0, len(words) - RUN_WORDS + 1)
    runs = np.zeros(count, np.uint64)
    for i in range(RUN_WORDS):
        runs = runs * np.uint64(FACTOR) + words[i : i + count]
    return _mix(runs)


def _mix(x: Hashes) -> Hashes:
    """Mix hashes so that every bit depends on all bits: splitmix64, Steele et al. 2014."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _distinct(parts: list[Hashes]) -> Hashes:
    """Return the distinct hashes; np.unique, with its hash table, takes thirty times as long."""
    runs = np.sort(np.concatenate(parts))
    return runs[np.flatnonzero(np.diff(runs, prepend=~runs[:1]))]


def _every(runs: Hashes, every: int) -> Hashes:
    """Return the hashes that are divisible by `every`."""
    return runs[runs % np.uint64(every) == 0] if every > 1 else runs


def _places(runs: Hashes, size: int) -> list[NDArray[np.intp]]:
    """Return PROBES bit positions of each hash: double hashing, Kirsch & Mitzenmacher 2006."""
    other = _mix(runs + np.uint64(FACTOR)) | np.uint64(1)
    return [
        ((runs + np.uint64(i) * other) % np.uint64(size)).astype(np.intp) for i in range(PROBES)
    ]
