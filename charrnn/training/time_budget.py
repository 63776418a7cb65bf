"""How fast training goes, and so how many steps fit the time that is left."""

import math

from charrnn.training.clock import Clock
from charrnn.training.trainer import Trainer

PROBE_STEPS = 8  # the throughput is first measured over these, after as many to warm up
MEMORY = 2.0  # seconds of training after which a step counts 1/e in the throughput, at the least;
MEMORY_SHARE = 0.08  # of the time left, so that a long plan does not follow each short disturbance
TUNING_SHARE, TUNING_SECONDS = 0.04, 10.0  # of the time, at the most,
TUNING_FROM = 30.0  # if there are so many seconds in all
REPLAN = 0.02  # leave the plan alone while it is off by less than this share of what is left


class Pace:
    """Measures a trainer's throughput and plans its steps.

    The plan follows the recent steps, in a moving average, not those since the start: another
    program that comes or goes changes the throughput at once, and for long.

    Args:
        trainer: whose steps are counted.
        clock: seconds since the command began; what it did before the first step counts.

    Attributes:
        clock: the same.
    """

    def __init__(self, trainer: Trainer, clock: Clock) -> None:
        self._trainer = trainer
        self.clock = clock
        self._before = trainer.seconds  # of an earlier command, if a run is resumed
        self._ticks = -PROBE_STEPS  # measured steps; those to warm up are below 0
        self._began = math.nan  # trainer.seconds when the first measured step began
        self._stepping = 0.0  # seconds of all measured steps
        self._recent_steps = self._recent_seconds = 0.0  # in the moving average
        self._seconds_per_val_token = 0.0

    def tick(self) -> None:
        """Take the time; call when something was done that is no step."""
        self._trainer.seconds = self._before + self.clock()

    def step(self, seconds: float) -> None:
        """Take note of a step that took so long, and the time."""
        self.tick()
        self._ticks += 1
        if self._ticks <= 0:
            self._began = self._trainer.seconds
            return
        self._stepping += seconds
        limit = self._trainer.config.seconds or 0.0
        memory = max(MEMORY, MEMORY_SHARE * (limit - self._trainer.seconds))
        fading = math.exp(-seconds / memory)
        self._recent_steps = self._recent_steps * fading + 1
        self._recent_seconds = self._recent_seconds * fading + seconds

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
        """Of the recent steps; with its share of validations, samples and saves."""
        if not self.known:
            return math.nan
        elapsed = self._trainer.seconds - self._began
        return self._recent_seconds / self._recent_steps * elapsed / self._stepping

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
