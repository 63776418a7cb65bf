"""Texts of an iterable in batches, which a model reads in parallel."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from charrnn.errors import TextError

T = TypeVar("T")

CHARS = 1 << 17  # maximum characters in a batch of more than one text (not tuned)


def batches(items: Iterable[T], most: int, chars: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield items in batches; those that come before an error are yielded first.

    Args:
        items: the items.
        most: maximum items in a batch.
        chars: returns the number of characters in an item.

    Raises:
        TextError: an item cannot be read.
    """
    batch: list[T] = []
    total = 0
    try:
        for item in items:
            batch.append(item)
            total += chars(item)
            if len(batch) == most or total >= CHARS:
                yield batch
                batch, total = [], 0
    except TextError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
