"""The plan of steps follows the throughput, on a simulated clock."""

from types import SimpleNamespace

import pytest

from charrnn.training.clock import Clock
from charrnn.training.time_budget import TimeBudget
from charrnn.training.trainer import Trainer
from tests.training.small import trainer

FAST, SLOW = 0.02, 0.1  # seconds a step


class Training:
    """A training whose steps take the time that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now = 1000.0
        monkeypatch.setattr(
            "charrnn.training.clock.time", SimpleNamespace(monotonic=lambda: self.now)
        )
        self.trainer: Trainer = trainer(steps=None, seconds=seconds)
        self.clock = Clock(self.now)
        self.budget = TimeBudget(self.trainer, self.clock)

    def train(self, seconds: float, a_step: float) -> None:
        """Make steps of `a_step` seconds each for `seconds`, and plan after each."""
        until = self.now + seconds
        while self.now < until - a_step / 2:
            before = self.clock()
            self.now += a_step
            self.trainer.progress.step += 1
            self.budget.steps(1, self.clock() - before)
            self.budget.plan()

    @property
    def planned(self) -> int:
        """Planned steps that are left."""
        return self.trainer.progress.steps - self.trainer.step


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Training:
    """A training with a budget of 20 seconds."""
    return Training(monkeypatch, 20.0)  # too short a time for tuning


def test_steady(training: Training) -> None:
    """At a steady speed the plan fits the time."""
    training.train(10, FAST)
    assert training.planned == pytest.approx(10 / FAST, rel=0.03)


@pytest.mark.parametrize(("before", "after"), [(SLOW, FAST), (FAST, SLOW)])
def test_follows_what_is_recent(training: Training, before: float, after: float) -> None:
    """Some seconds after the speed changed, the plan follows the new speed."""
    training.train(8, before)
    training.train(8, after)
    assert training.planned == pytest.approx(4 / after, rel=0.15)


def test_a_long_plan_is_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disturbance of seconds hardly changes a plan of many minutes."""
    training = Training(monkeypatch, 1200.0)
    training.train(100, FAST)
    before = training.planned
    training.train(3, SLOW)
    assert training.planned == pytest.approx(before, rel=0.15)


def test_a_stop_does_not_count(training: Training) -> None:
    """Time in which the process is stopped changes neither the time spent nor the plan."""
    training.train(5, FAST)
    before, spent = training.planned, training.trainer.progress.seconds
    training.now += 27
    training.clock.resumed()
    training.train(0.2, FAST)
    assert training.trainer.progress.seconds == pytest.approx(spent + 0.2, abs=0.01)
    assert training.planned == pytest.approx(before, rel=0.05)


def test_validations_take_their_share(training: Training) -> None:
    """The share of time spent on other work than steps is expected to stay the same."""
    for _ in range(10):
        training.train(0.5, FAST)
        training.now += 0.5
        training.budget.tick()
    assert training.planned == pytest.approx(10 / (2 * FAST), rel=0.15)


def test_a_slow_validation(training: Training) -> None:
    """A single validation that is slow, as on a machine that is busy for a moment, ends nothing."""
    for seconds in (0.01, 60.0):
        training.train(5, FAST)
        training.budget.validated(100, seconds)
        training.budget.plan()
    assert training.planned == pytest.approx(10 / FAST, rel=0.1)
