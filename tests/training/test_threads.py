"""The number of threads is chosen well on simulated machines."""

import random
from collections.abc import Callable

import pytest

from charrnn.training.threads import ThreadChooser

QUIET = {1: 0.100, 2: 0.060, 4: 0.040}  # step time by number of threads, seconds
BUSY = {1: 0.105, 2: 0.250, 4: 0.300}  # the same beside a process that uses a core

Machine = Callable[[float], dict[int, float]]  # step times at a time


def run(machine: Machine, seconds: float, most: int = 2, noise: float = 0.1) -> list[list[float]]:
    """Train on a machine whose step times depend on the time.

    Returns:
        For each step: when it ended, how many threads it used and how long it took.
    """
    rng = random.Random(0)
    using = [most]

    def apply(count: int) -> None:
        using[0] = count

    chooser = ThreadChooser(most, apply)
    now, steps = 0.0, []
    while now < seconds:
        count = using[0]
        took = machine(now)[count] * (1 + rng.uniform(-noise, noise))
        now += took
        steps.append([now, count, took])
        chooser.record(took)
    return steps


def share(steps: list[list[float]], count: int, after: float = 0.0) -> float:
    """Return the share of the steps after a time that used `count` threads."""
    counted = [threads == count for end, threads, _ in steps if end > after]
    return sum(counted) / len(counted)


@pytest.mark.parametrize(("most", "best"), [(1, 1), (2, 2), (4, 4)])
def test_a_quiet_machine_uses_all(most: int, best: int) -> None:
    """If more threads are faster, all are used, but for a step now and then."""
    assert share(run(lambda _: QUIET, 60, most), best) >= 0.97


def test_a_quiet_machine_loses_little() -> None:
    """Trials of fewer threads cost at most 2 % of a quiet machine's steps."""
    alone = 60 / QUIET[2]
    assert len(run(lambda _: QUIET, 60, noise=0.0)) >= 0.98 * alone


@pytest.mark.parametrize("most", [2, 4])
def test_a_busy_machine_uses_one(most: int) -> None:
    """Beside another process one thread is found fastest within a second or two, and kept."""
    steps = run(lambda _: BUSY, 60, most)
    assert share(steps, 1, after=2.0) >= 0.93


def test_a_busy_machine_loses_little() -> None:
    """Trials of more threads cost at most 10 % of a busy machine's steps."""
    assert len(run(lambda _: BUSY, 60, noise=0.0)) >= 0.9 * 60 / BUSY[1]


def test_another_process_comes() -> None:
    """One thread takes over within two seconds after another process came."""
    steps = run(lambda now: BUSY if now > 20 else QUIET, 40)
    assert share(steps, 2, after=0) > share(steps, 2, after=20)
    assert share(steps, 1, after=22) >= 0.93


def test_another_process_leaves() -> None:
    """All threads are back within five seconds after another process left."""
    steps = run(lambda now: BUSY if now < 20 else QUIET, 40)
    assert share([step for step in steps if step[0] < 20], 1, after=2) >= 0.93
    assert share(steps, 2, after=25) >= 0.95


def test_threads_that_gain_nothing() -> None:
    """Of equally fast numbers the smaller one is used, as other programs need cores too."""
    steps = run(lambda _: {1: 0.010, 2: 0.010}, 10, noise=0.02)
    assert share(steps, 1, after=1) >= 0.9


def test_the_middle() -> None:
    """On a machine with many cores a number between one and all can be chosen."""
    steps = run(lambda _: {1: 0.10, 2: 0.06, 4: 0.04, 8: 0.05, 16: 0.09}, 30, most=16)
    assert share(steps, 4, after=2) >= 0.9


def test_one_slow_step_changes_nothing() -> None:
    """A single step that was delayed, by a stop or a slow disk, does not change the number."""
    steps = run(lambda now: {1: 9.0, 2: 9.0} if 10 < now < 10.1 else QUIET, 60)
    assert share(steps, 2, after=20) >= 0.97
