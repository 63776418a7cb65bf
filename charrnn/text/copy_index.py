"""What generated text copies from the training text: runs of eight words, or whole items.

A small index is a Bloom filter (Bloom 1970) of the hashes of all of them. It never misses one of
the text, and takes fewer than one in a thousand others for one. Of a long text only one of so many
is indexed, chosen by its hash, so that the index stays small; shares are estimated on those.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import islice
from typing import Self

import numpy as np
from numpy.typing import NDArray

from charrnn.text.blocks import chunks, code_points

WORDS = 8  # in a run
BITS = 16  # of the index for each hash
PROBES = 8
CHUNK = 1 << 17  # characters looked at together
MOST = 1 << 18  # hashes indexed, which takes 512 KiB
FACTOR = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
OTHER, LETTER, MARK, JOINER, WORD_ALONE = range(5)
INVERSE = pow(FACTOR, -1, 1 << 64)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Index:
    """Which hashes were there.

    Attributes:
        bits: the Bloom filter, uint8 [bytes].
        every: one of so many hashes is indexed.
    """

    bits: NDArray[np.uint8]
    every: int

    @classmethod
    def of(cls, found: Iterable[Hashes]) -> Self:
        """The index of all these hashes."""
        every, count = 1, 0
        parts = [np.zeros(0, np.uint64)]
        for hashes in found:
            parts.append(_every(hashes, every))
            count += len(parts[-1])
            while count > MOST:
                every *= 2
                parts = [_every(_distinct(parts), every)]
                count = len(parts[0])
        indexed = _distinct(parts)
        flags = np.zeros(BITS * max(1, len(indexed)), bool)
        for place in _places(indexed, len(flags)):
            flags[place] = True
        return cls(np.packbits(flags), every)

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of those hashes that would be indexed are there."""
        hashes = _every(hashes, self.every)
        held = np.ones(len(hashes), bool)
        for place in _places(hashes, 8 * len(self.bits)):
            held &= (self.bits[place >> 3] >> (7 - (place & 7)) & 1).astype(bool)
        return held

    def new(self, hashes: Hashes) -> float | None:
        """Share of hashes that are not in the index; None if there are none to look for."""
        held = self.holds(hashes)
        return 1 - float(held.mean()) if len(held) else None


class WordRuns(Index):
    """Which runs of words stand in a text; letters are the same in any case."""

    __slots__ = ()

    @classmethod
    def build(cls, blocks: Iterable[str]) -> Self:
        """The index of a text in blocks."""
        return cls.of(cls._runs(blocks))

    @staticmethod
    def _runs(blocks: Iterable[str]) -> Iterator[Hashes]:
        words = np.zeros(0, np.uint64)
        for hashes in map(hash_words, chunks(blocks, CHUNK)):
            words = np.concatenate([words[-WORDS + 1 :], hashes])
            yield _hash_runs(words)

    def novelty(self, text: str) -> float | None:
        """Share of a text's runs that are not in the index; None if it has too few words."""
        return self.new(np.concatenate([np.zeros(0, np.uint64), *self._runs([text])]))

    def copied(self, words: Hashes) -> bool:
        """Whether the hashes of WORDS words are those of an indexed run."""
        return bool(self.holds(_hash_runs(words)).any())


class Items(Index):
    """Which items, such as names, are those of a list; letters are the same in any case."""

    __slots__ = ()

    @classmethod
    def build(cls, items: Iterable[str]) -> Self:
        rest = iter(items)
        return cls.of(map(_hash_items, iter(lambda: [*islice(rest, CHUNK)], [])))

    def novelty(self, items: Sequence[str]) -> float | None:
        """Share of items that are not in the list; None if there are none to look for."""
        return self.new(_hash_items(items))


def _spans(text: str) -> NDArray[np.intp]:
    """Where words start and end, [N, 2]; as `words.WORD` has it, but many times faster."""
    codes = code_points(text)
    # No longer than needed, so that the processor's cache holds it.
    kinds = np.zeros(1 + codes.max(initial=0), np.uint8)
    kinds[codes] = 1
    for code in np.flatnonzero(kinds).tolist():
        kinds[code] = _kind(chr(code))
    found = np.pad(kinds[codes], 1)
    inside = found == LETTER
    if MARK in kinds:  # marks belong to the letter before the first of them
        marks = found == MARK
        inside |= marks & inside[np.maximum.accumulate(np.where(marks, 0, np.arange(len(marks))))]
    inside[1:-1] |= (found[1:-1] == JOINER) & inside[:-2] & (found[2:] == LETTER)
    whole = found == WORD_ALONE
    starts = np.flatnonzero(whole[1:] | (inside[1:] & ~inside[:-1]))
    ends = np.flatnonzero(whole[:-1] | (inside[:-1] & ~inside[1:]))
    return np.stack([starts, ends], axis=1)


def _kind(character: str) -> int:
    """What a character is to a word."""
    from charrnn.text.words import JOINERS, MARKS, is_unspaced

    if character in JOINERS:
        return JOINER
    if character in MARKS:
        return MARK
    if is_unspaced(character):
        return WORD_ALONE
    return LETTER if character.isalnum() else OTHER


def hash_words(text: str) -> Hashes:
    """A hash of each word: a polynomial of its code points, mixed."""
    text = text.lower()
    spans = _spans(text)
    if not len(spans):
        return np.zeros(0, np.uint64)
    codes = code_points(text).astype(np.uint64) + np.uint64(1)
    sums = np.concatenate(
        [np.zeros(1, np.uint64), np.cumsum(codes * _powers(FACTOR)[: len(codes)])]
    )
    start, end = spans.T
    return _mix((sums[end] - sums[start]) * _powers(INVERSE)[start])


@cache
def _powers(base: int) -> Hashes:
    """base^0, base^1, ... modulo 2^64, as many as a chunk may have characters."""
    factors = np.full(2 * CHUNK, base, np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


def _hash_items(items: Iterable[str]) -> Hashes:
    digests = (
        blake2b(item.strip().lower().encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for item in items
    )
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _hash_runs(words: Hashes) -> Hashes:
    """A hash of each WORDS words in a row."""
    count = max(0, len(words) - WORDS + 1)
    runs = np.zeros(count, np.uint64)
    for i in range(WORDS):
        runs = runs * np.uint64(FACTOR) + words[i : i + count]
    return _mix(runs)


def _mix(x: Hashes) -> Hashes:
    """Every bit of the result depends on every bit of `x`: splitmix64, Steele et al. 2014."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _distinct(parts: list[Hashes]) -> Hashes:
    """Each run once; np.unique would hash them, which takes thirty times as long as sorting."""
    runs = np.sort(np.concatenate(parts))
    return runs[np.flatnonzero(np.diff(runs, prepend=~runs[:1]))]


def _every(runs: Hashes, every: int) -> Hashes:
    return runs[runs % np.uint64(every) == 0] if every > 1 else runs


def _places(runs: Hashes, size: int) -> list[NDArray[np.intp]]:
    """The bits of each run, PROBES arrays; double hashing, Kirsch & Mitzenmacher 2006."""
    other = _mix(runs + np.uint64(FACTOR)) | np.uint64(1)
    return [
        ((runs + np.uint64(i) * other) % np.uint64(size)).astype(np.intp) for i in range(PROBES)
    ]
