"""How many threads NumPy's matrix products use."""

import os
from collections.abc import Iterator

import pytest

from charrnn.network import blas


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The numbers of threads that a library is told to use; it begins with two of four cores."""

    class Library:
        count = 2

        def get_num_threads(self) -> int:
            return self.count

        def set_num_threads(self, count: int) -> None:
            told.append(count)
            self.count = count

    told: list[int] = []
    library = Library()
    monkeypatch.delenv(blas.THREADS_VARIABLE, raising=False)
    monkeypatch.setattr(blas, "_libraries", lambda: [library])
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    yield told
    assert library.count == 2


@pytest.mark.parametrize(
    ("streams", "weights", "threads"),
    [(1, 2_000_000, 1), (1, 5_000_000, 4), (8, 100_000, 1), (8, 500_000, 4), (64, 20_000, 1)],
)
def test_threads(streams: int, weights: int, threads: int, counts: list[int]) -> None:
    """Large matrices, and many streams of not so small ones, use all cores; others use one."""
    with blas.threads(streams, weights):
        assert counts == [threads]
    assert counts == [threads, 2]


def test_the_user_decides(counts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENBLAS_NUM_THREADS bounds them; one thread stays one."""
    monkeypatch.setattr(blas, "_started_with_one", False)
    monkeypatch.setenv(blas.THREADS_VARIABLE, "3")
    blas.start_with_one()
    assert os.environ[blas.THREADS_VARIABLE] == "3"
    with blas.threads(64, 10**7):
        assert counts == [3]
    counts.clear()
    monkeypatch.setenv(blas.THREADS_VARIABLE, "1")
    with blas.threads(1, 0):
        assert not counts
