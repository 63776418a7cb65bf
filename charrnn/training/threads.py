"""How many threads a training step uses: measured at the start, and again while training.

Threads that share a step wait for each other at every matrix product. Alone on two cores a second
thread makes steps of 384 units 1.6 times as fast; beside another busy process it makes them two to
ten times as slow, because the process and one of the threads take turns on a core while the other
thread waits (tests/benchmarks/busy.py). So the number is not a property of the machine.
"""

from collections import deque
from collections.abc import Callable
from statistics import median

WARM_UP = 2  # steps not measured at the start: the first ones allocate memory
TRIAL = 3  # steps of a trial; the first one alone decides against a number that is slower
RECENT = 8  # steps whose median is compared with a trial
FASTER = 0.92  # more threads are kept if a step takes at most this share of the time,
SLOWER = 1.04  # and fewer if it takes at most this: other programs want cores too
CHANGED = 1.4  # factor between step times from which something else must have come or gone
UP_SECONDS = 3.0  # of training between two trials of more threads: the other process may be gone,
SOON = 0.5  # but this after fewer were chosen, and twice as long each time: it may have been brief
DOWN_SECONDS = 12.0  # between two trials of fewer threads, as long as step times do not change


class ThreadChooser:
    """Chooses the number of threads by timing the steps that are made anyway.

    From the number in use it tries half as many and twice as many, for a few steps, and keeps what
    is faster. On a quiet machine a trial costs one slower step in DOWN_SECONDS.

    Args:
        most: threads to use at most; the first choice.
        apply: called with the number that the next step shall use.

    Attributes:
        count: threads in use; during a trial, those that it is compared with.
    """

    def __init__(self, most: int, apply: Callable[[int], None]) -> None:
        self.count = most
        self._most = most
        self._apply = apply
        self._warm_up = WARM_UP
        self._recent: deque[float] = deque(maxlen=RECENT)  # seconds a step with `count`
        self._usual = 0.0  # the same when the number was last found best
        self._trial: list[float] = []  # seconds a step with `_tried`
        self._tried: int | None = None
        self._since_up = self._since_down = 0.0  # seconds of training since such a trial
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
        """Median time of the recent steps with `count` threads."""
        return median(self._recent)

    def record(self, seconds: float) -> bool:
        """Take note of how long a step took, and set the number of threads for the next one.

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
        """Begin a trial if there is a reason for one."""
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
        """End the trial once it is decided; whether it changed the number of threads."""
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
