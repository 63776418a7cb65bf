"""Measures how fast training goes and plans how many steps fit the time budget."""

import math
from collections import deque
from statistics import median_low

from charrnn.training.clock import Clock
from charrnn.training.final_weights import closing_tokens
from charrnn.training.trainer import Trainer

PROBE_STEPS = 8  # steps to warm up, and steps timed before the throughput is known; not tuned
AVERAGING_SECONDS = 2.0  # minimum time constant of the throughput's average; not tuned
MEMORY_SHARE = 0.08  # that time constant as a share of the time left; smooths long plans; not tuned
TUNING_SHARE = 0.06  # maximum share of the budget spent on tuning the suggestions; not tuned
TUNING_SECONDS = 10.0  # maximum time spent on tuning the suggestions, seconds; not tuned
TUNING_FROM = 30.0  # minimum budget that leaves time for tuning, seconds; not tuned
JUDGED = 5  # last validations from which the time of the final score is estimated; not tuned
REPLAN = 0.02  # minimum change of the plan, as a share of the steps left; not tuned


class TimeBudget:
    """Measures a trainer's throughput and plans its steps.

    The plan follows a moving average of recent steps, not the average since the start: another
    program that comes or goes changes the throughput at once, and lastingly.

    Args:
        trainer: the training to plan; sets its `progress.seconds` and `progress.steps`.
        clock: seconds since the command began, including what it did before the first step.

    Attributes:
        clock: the same clock.
    """

    def __init__(self, trainer: Trainer, clock: Clock) -> None:
        self._trainer = trainer
        self.clock = clock
        self._before = trainer.progress.seconds  # spent by earlier commands, if a run is resumed
        self._timed = -PROBE_STEPS  # number of timed steps; negative while warming up
        self._began = math.nan  # progress.seconds when the first timed step began
        self._stepping = 0.0  # seconds of all timed steps
        self._recent_steps = self._recent_seconds = 0.0  # exponentially decayed sums
        self._seconds_per_val_token: deque[float] = deque([0.0], maxlen=JUDGED)

    def tick(self) -> None:
        """Update the time spent; call after work that is not a step."""
        self._trainer.progress.seconds = self._before + self.clock()

    def steps(self, count: int, seconds: float) -> None:
        """Record some steps that took `seconds` together, and update the time spent."""
        self.tick()
        self._timed += count
        spent = self._trainer.progress.seconds
        if self._timed <= 0:
            self._began = spent
            return
        self._stepping += seconds
        limit = self._trainer.config.seconds or 0.0
        decay = math.exp(-seconds / max(AVERAGING_SECONDS, MEMORY_SHARE * (limit - spent)))
        self._recent_steps = self._recent_steps * decay + count
        self._recent_seconds = self._recent_seconds * decay + seconds

    def validated(self, tokens: int, seconds: float) -> None:
        """Record a validation, from which the time of the final score is estimated.

        A single slow one, for which the machine was busy, must not end the training.
        """
        self._seconds_per_val_token.append(seconds / max(1, tokens))

    @property
    def tuning_seconds(self) -> float:
        """Maximum time for tuning the suggestions, seconds; 0 if the budget is short."""
        seconds = self._trainer.config.seconds
        if seconds is None:
            return math.inf
        return min(TUNING_SECONDS, TUNING_SHARE * seconds) if seconds >= TUNING_FROM else 0.0

    @property
    def known(self) -> bool:
        """Whether enough steps were timed to know the throughput."""
        return self._timed >= PROBE_STEPS

    @property
    def seconds_per_step(self) -> float:
        """Time of a recent step and its share of validations, samples and saves; NaN if unknown."""
        if not self.known:
            return math.nan
        elapsed = self._trainer.progress.seconds - self._began
        return self._recent_seconds / self._recent_steps * elapsed / self._stepping

    @property
    def seconds_left(self) -> float:
        """Time that the planned steps will take."""
        return (self._trainer.progress.steps - self._trainer.step) * self.seconds_per_step

    def plan(self) -> bool:
        """Fit the number of steps to the budget.

        Returns:
            Whether the plan changed.
        """
        trainer, progress = self._trainer, self._trainer.progress
        if trainer.config.seconds is None or not self.known:
            return False
        scoring = closing_tokens(trainer) * median_low(self._seconds_per_val_token)
        last = scoring + self.tuning_seconds
        left = trainer.config.seconds - progress.seconds - last
        steps = progress.step + max(0, round(left / self.seconds_per_step))
        steps = min(steps, trainer.limit or steps)
        if abs(steps - progress.steps) <= REPLAN * abs(progress.steps - progress.step):
            return False
        progress.steps = steps
        return True
