"""Chooses the number of threads for a training step, at the start and again while training.

Threads that share a step wait for each other at every matrix product. Alone on two cores a second
thread makes steps of 384 units 1.6 times as fast; beside another busy process it makes them two to
ten times as slow, because that process and one thread take turns on a core while the other thread
waits (tests/benchmarks/busy.py). So the best number is not a property of the machine.
"""

from collections import deque
from collections.abc import Callable
from statistics import median

# None of these is tuned; tests/training/test_threads.py bounds what they cost.
UNTIMED_STEPS = 2  # first steps that are not timed, because they allocate memory
TRIAL = 3  # steps of a trial; a slow first step already ends it
RECENT = 8  # number of recent steps whose median is compared with a trial
FASTER = 0.92  # maximum relative step time at which more threads are kept
SLOWER = 1.04  # maximum relative step time at which fewer are kept: other programs need cores
CHANGED = 1.4  # factor between step times that shows that another program came or went
UP_SECONDS = 3.0  # training time between two trials of more threads
SOON = 0.5  # this after a drop in threads, often temporary; doubles up to UP_SECONDS
DOWN_SECONDS = 12.0  # training time between two trials of fewer threads if step times are steady


class ThreadChooser:
    """Chooses the number of threads by timing the steps that are made anyway.

    It tries half and twice the number in use for a few steps and keeps the fastest. On an idle
    machine trials cost one slower step per DOWN_SECONDS.

    Args:
        most: maximum number of threads, and the first choice.
        apply: called with the number of threads for the next step.

    Attributes:
        count: number of threads in use; during a trial, the number it is compared with.
    """

    def __init__(self, most: int, apply: Callable[[int], None]) -> None:
        self.count = most
        self._most = most
        self._apply = apply
        self._warm_up = UNTIMED_STEPS
        self._recent: deque[float] = deque(maxlen=RECENT)  # step times with `count`
        self._usual = 0.0  # step time when `count` was last found best
        self._trial: list[float] = []  # step times with `_tried`
        self._tried: int | None = None
        self._since_up = self._since_down = 0.0  # training time since a trial of more or fewer
        self._up_seconds = UP_SECONDS
        self._pending: list[int] = [self._fewer]  # numbers to try next

    @property
    def _fewer(self) -> int:
        return max(1, self.count // 2)

    @property
    def _more(self) -> int:
        return min(self._most, 2 * self.count)

    @property
    def step_seconds(self) -> float:
        """Median time of recent steps with `count` threads, seconds."""
        return median(self._recent)

    def record(self, seconds: float) -> bool:
        """Record how long a step took, and set the number of threads for the next one.

        Returns:
            Whether another number of threads was found best.
        """
        self._since_up += seconds
        self._since_down += seconds
        if self._warm_up:
            self._warm_up -= 1
            return False
        if self._tried is not None:
            self._trial.append(seconds)
            return self._judge(self._tried)
        self._recent.append(seconds)
        if len(self._recent) >= TRIAL:
            self._look()
        return False

    def _look(self) -> None:
        """Begin a trial if one is due or step times have changed."""
        now = median([*self._recent][-TRIAL:])
        self._usual = self._usual or now
        if not self._usual / CHANGED < now < self._usual * CHANGED:
            self._usual = now
            self._recent = deque([*self._recent][-TRIAL:], RECENT)
            self._pending = [self._fewer, self._more]
        elif self._since_up >= self._up_seconds:
            self._pending.append(self._more)
            self._since_up = 0.0
            self._up_seconds = min(UP_SECONDS, 2 * self._up_seconds)
        elif self._since_down >= DOWN_SECONDS:
            self._pending.append(self._fewer)
            self._since_down = 0.0
        while self._pending and self._tried is None:
            if (number := self._pending.pop(0)) != self.count:
                self._tried = number
                self._apply(number)

    def _judge(self, tried: int) -> bool:
        """End the trial once it is decided, and return whether it changed `count`."""
        took, before = median(self._trial), self.step_seconds
        limit = before * (FASTER if tried > self.count else SLOWER)
        if took <= limit and len(self._trial) < TRIAL:
            return False
        better = took <= limit
        if better:
            further = tried > self.count
            if not further:
                self._up_seconds = SOON
            self.count = tried
            self._recent = deque(self._trial, RECENT)
            self._usual = took
            self._pending = [self._more if further else self._fewer]
        else:
            self._apply(self.count)
        self._trial, self._tried = [], None
        self._since_up = 0.0
        return better
