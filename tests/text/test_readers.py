"""Several readers of one text: each sees all of it, and an error anywhere ends them all."""

import threading
from collections.abc import Iterable, Iterator
from itertools import islice

import pytest

from charrnn.text.readers import AHEAD, together

MANY = 20 * AHEAD


def test_each_reads_all() -> None:
    """Each reader gets every block in order, and the blocks are read once."""
    blocks = iter(range(MANY))
    assert together(blocks, list, sum, max) == [[*range(MANY)], sum(range(MANY)), MANY - 1]


def test_nothing() -> None:
    """There may be no blocks, and no readers."""
    assert together([], list) == [[]]
    assert together(range(3)) == []


def test_one_ends_early() -> None:
    """A reader that needs only the first blocks does not stop the others."""

    def first(blocks: Iterator[int]) -> list[int]:
        return [*islice(blocks, 2)]

    def none(blocks: Iterator[int]) -> None:
        del blocks

    assert together(range(MANY), first, list, none) == [[0, 1], [*range(MANY)], None]


class TestErrors:
    @pytest.fixture(autouse=True)
    def no_thread_remains(self) -> Iterator[None]:
        """All threads end soon, though nobody waits for them."""
        before = {*threading.enumerate()}
        yield
        for thread in {*threading.enumerate()} - before:
            thread.join(10)
            assert not thread.is_alive()

    @pytest.mark.parametrize("place", [0, 3, MANY])
    def test_of_a_reader(self, place: int) -> None:
        """What a reader raises comes out, at any place."""

        def fail(blocks: Iterable[int]) -> None:
            for block in blocks:
                if block == place:
                    break
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            together(range(MANY), list, fail)

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    @pytest.mark.parametrize("place", [0, 3, MANY - 1])
    def test_of_the_blocks(self, place: int, error: type[BaseException]) -> None:
        """What the blocks raise comes out, Ctrl-C too, and no reader takes them for complete."""
        complete = []

        def blocks() -> Iterator[int]:
            yield from range(place)
            raise error

        def read(blocks: Iterable[int]) -> None:
            complete.append(sum(blocks))

        with pytest.raises(error):
            together(blocks(), read, read)
        assert not complete
