"""How many threads NumPy's matrix products use.

OpenBLAS starts a thread for each core. For one stream of text they gain nothing where the weights
are few, wait for each other where another process is busy, and delay the start
(tests/benchmarks/busy.py). So a command starts with one, and takes more where they pay.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

VARIABLE = "OPENBLAS_NUM_THREADS"
LARGE = 4_000_000  # weights of a matrix from which on all cores are faster for any streams
MANY, MEDIUM = 8, 300_000  # streams, and weights, from which on they are faster together

_started_with_one = False


def start_with_one() -> None:
    """Let OpenBLAS start without threads, unless the user has said how many; before NumPy loads."""
    global _started_with_one
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = "1"
        _started_with_one = True


@contextmanager
def threads(streams: int, weights: int) -> Iterator[None]:
    """Within, products use as many threads as suit a network, the same at any time.

    The number does not follow the load, since sums, and so text, may depend on it in the last bit.

    Args:
        streams: texts side by side, B.
        weights: in the largest matrix.
    """
    pays = weights >= LARGE or (streams >= MANY and weights >= MEDIUM)
    if not pays and os.environ.get(VARIABLE) == "1":
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
    told = os.environ.get(VARIABLE, "")
    if told.isdecimal() and not _started_with_one:
        return max(1, int(told))
    return os.cpu_count() or 1


@cache
def _libraries() -> Sequence[Any]:
    """OpenBLAS as NumPy loaded it; nothing where NumPy uses another library."""
    from threadpoolctl import ThreadpoolController  # 8 ms, which few commands need

    return [*ThreadpoolController().select(internal_api="openblas").lib_controllers]
