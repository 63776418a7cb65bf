"""Shuffles items that may not fit in memory."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.files import room_for, temporary

PART = 1 << 25  # tokens shuffled in memory at once; not tuned
PILES = 256  # piles that each part is dealt to; not tuned
TOGETHER = 1 << 11  # items moved by one NumPy operation; not tuned

Ids = NDArray[Any]  # token ids of items, each of which ends with the end token


def shuffled(blocks: Iterable[Ids], end: int, random: np.random.Generator) -> Iterator[Ids]:
    """Yield the items in a random order, in blocks of any size.

    Parts that fit in memory are shuffled, and each is dealt out in equal shares to piles in a
    temporary file; then each pile is shuffled.

    Args:
        blocks: the token ids, integers of one type, cut anywhere.
        end: the token that ends an item.
        random: the source of randomness; its state advances.

    Raises:
        TextError: the temporary file cannot be written.
    """
    with room_for("the items"), temporary("w+b") as file:
        shares = []  # for each part, where each pile's share begins, and the end, [PILES + 1]
        written = 0  # tokens
        for ids in _parts(blocks, end):
            part = _shuffle(ids, end, random)
            edges = _edges(part, end)
            shares.append(written + edges[np.linspace(0, len(edges) - 1, PILES + 1).astype(int)])
            file.write(part.data)
            written += len(part)
        if not written:
            return
        file.flush()
        whole = np.memmap(file, part.dtype, "r")
        for i in range(PILES):
            pile = np.concatenate([whole[share[i] : share[i + 1]] for share in shares])
            yield _shuffle(pile, end, random)


def _parts(blocks: Iterable[Ids], end: int) -> Iterator[Ids]:
    """Yield the blocks joined to parts of about PART tokens, cut where an item ends."""
    kept: list[Ids] = []
    for ids in blocks:
        kept.append(ids)
        if sum(map(len, kept)) >= PART:
            joined = np.concatenate(kept)
            cut = _edges(joined, end)[-1]
            yield joined[:cut]
            kept = [joined[cut:]]
    if kept:
        yield np.concatenate(kept)


def _shuffle(ids: Ids, end: int, random: np.random.Generator) -> Ids:
    """Return a copy of the ids with their items shuffled."""
    edges = _edges(ids, end)
    order = random.permutation(len(edges) - 1)
    shuffled = np.empty_like(ids)
    done = 0
    for i in range(0, len(order), TOGETHER):
        starts, stops = edges[order[i : i + TOGETHER]], edges[order[i : i + TOGETHER] + 1]
        moved = (stops - starts).cumsum()  # where each item ends among these
        sources = np.repeat(stops - moved, stops - starts)
        sources += np.arange(len(sources))
        ids.take(sources, out=shuffled[done : done + len(sources)], mode="clip")
        done += len(sources)
    return shuffled


def _edges(ids: Ids, end: int) -> NDArray[np.intp]:
    """Return the start of each item and the end of the last one."""
    return np.concatenate([[0], np.flatnonzero(ids == end) + 1])
