"""The number of threads of NumPy's matrix products.

By default OpenBLAS starts a thread per core. For one stream of a small network these gain nothing,
suffer when another process is busy, and slow down start-up (tests/benchmarks/busy.py). So a command
starts with one thread, and uses more where they are faster.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

THREADS_VARIABLE = "OPENBLAS_NUM_THREADS"  # environment variable that OpenBLAS reads when it loads
# All cores are faster for a matrix of more than LARGE weights, and, for MANY or more streams, of
# more than MEDIUM (measured on two cores; see tests/benchmarks/busy.py).
LARGE = 4_000_000
MEDIUM = 300_000
MANY = 8

_started_with_one = False


def start_with_one() -> None:
    """Before NumPy loads, make OpenBLAS start with one thread, unless the user set a number."""
    global _started_with_one
    if THREADS_VARIABLE not in os.environ:
        os.environ[THREADS_VARIABLE] = "1"
        _started_with_one = True


def use_one_thread() -> None:
    """From now on use one thread, whatever the size of a network."""
    global _started_with_one
    os.environ[THREADS_VARIABLE] = "1"
    _started_with_one = False


@contextmanager
def threads(streams: int, weights: int) -> Iterator[None]:
    """Set the number of threads that suits a network for the duration of a block.

    A busy machine does not change it: that may change the last bit of sums, and so the text.

    Args:
        streams: streams in parallel, B.
        weights: number of elements of the largest matrix.
    """
    pays = weights >= LARGE or (streams >= MANY and weights >= MEDIUM)
    if not pays and os.environ.get(THREADS_VARIABLE) == "1":
        yield
        return
    before = [(library, library.get_num_threads()) for library in _libraries()]
    try:
        for library, _ in before:
            library.set_num_threads(_most() if pays else 1)
        yield
    finally:
        for library, count in before:
            library.set_num_threads(count)


def _most() -> int:
    """Return the maximum number of threads: the user's number, else one per core."""
    told = os.environ.get(THREADS_VARIABLE, "")
    if told.isdecimal() and not _started_with_one:
        return max(1, int(told))
    return os.cpu_count() or 1


@cache
def _libraries() -> Sequence[Any]:
    """Return the OpenBLAS that NumPy loaded; empty if NumPy uses another library."""
    from threadpoolctl import ThreadpoolController  # takes 8 ms, and few commands need it

    return [*ThreadpoolController().select(internal_api="openblas").lib_controllers]
