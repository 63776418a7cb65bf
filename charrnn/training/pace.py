"""How fast training goes, and so how many steps fit the time that is left."""

import math
import time

from charrnn.training.trainer import Trainer

PROBE_STEPS = 8  # the throughput is first measured over these, after as many to warm up
TUNING_SHARE, TUNING_SECONDS = 0.04, 10.0  # of the time, at the most,
TUNING_FROM = 30.0  # if there are so many seconds in all
REPLAN = 0.02  # leave the plan alone while it is off by less than this share of what is left


class Pace:
    """A clock beside a trainer.

    Args:
        trainer: whose steps are counted.
        began: time.monotonic() when the command started; what it did since counts.
    """

    def __init__(self, trainer: Trainer, began: float) -> None:
        self._trainer = trainer
        self._began = began - trainer.seconds
        self._ticks = -PROBE_STEPS  # counted here: a training that diverges steps back
        self._since = math.nan
        self._seconds_per_val_token = 0.0

    def tick(self) -> None:
        """Call after each step."""
        now = time.monotonic()
        self._trainer.seconds = now - self._began
        self._ticks += 1
        if self._ticks == 0:
            self._since = now

    def validated(self, tokens: int, seconds: float) -> None:
        """Learn from a validation what the last one will take."""
        self._seconds_per_val_token = seconds / max(1, tokens)

    @property
    def tuning_seconds(self) -> float:
        """To spend on tuning the suggestions at the most; none of a short time."""
        seconds = self._trainer.config.seconds
        if seconds is None:
            return math.inf
        return min(TUNING_SECONDS, TUNING_SHARE * seconds) if seconds >= TUNING_FROM else 0.0

    @property
    def known(self) -> bool:
        """Whether enough steps were timed."""
        return self._ticks >= PROBE_STEPS

    @property
    def seconds_per_step(self) -> float:
        if not self.known:
            return math.nan
        return (time.monotonic() - self._since) / self._ticks

    @property
    def seconds_left(self) -> float:
        return (self._trainer.steps - self._trainer.step) * self.seconds_per_step

    def plan(self) -> bool:
        """Fit the number of steps to the time to spend; whether that changed it."""
        trainer = self._trainer
        if trainer.config.seconds is None or not self.known:
            return False
        last = trainer.closing_tokens * self._seconds_per_val_token + self.tuning_seconds
        left = trainer.config.seconds - trainer.seconds - last
        steps = trainer.step + max(0, round(left / self.seconds_per_step))
        steps = min(steps, trainer.limit or steps)
        if abs(steps - trainer.steps) <= REPLAN * abs(trainer.steps - trainer.step):
            return False
        trainer.steps = steps
        return True
