"""What a training reports and keeps to."""

import json
import random
import time
from pathlib import Path

import numpy as np
import pytest

from charrnn import load
from charrnn.events import Done, Overfit, Stop
from charrnn.training.clock import Clock
from charrnn.training.time_budget import TimeBudget
from tests.training.small import TEXT, finish, run_in, trainer


@pytest.mark.slow
def test_patience(tmp_path: Path) -> None:
    """With patience, a run that gets no better stops early and reports it."""
    training = trainer(layers=1, steps=4000, lr=0.1, patience=2)
    events = finish(training, run_in(tmp_path / "run"))
    assert training.step < 4000
    assert any(isinstance(event, Stop) for event in events)
    assert isinstance(events[-1], Done)


@pytest.mark.slow
def test_overfitting_is_reported_once(tmp_path: Path) -> None:
    """Overfitting to noise gives one hint, which names the best step; other texts give none."""
    noise = "".join(random.Random(0).choices("abcdefgh", k=1500))
    training = trainer(text=noise, layers=1, steps=1500, dropout=0.0)
    hints = [e for e in finish(training, run_in(tmp_path / "noise")) if isinstance(e, Overfit)]
    assert len(hints) == 1
    assert hints[0].best_step == training.keeper.kept.step < hints[0].step
    assert hints[0].best_nats == training.keeper.kept.val < hints[0].val_nats
    plain = trainer(layers=1, steps=200)
    assert not any(isinstance(e, Overfit) for e in finish(plain, run_in(tmp_path / "plain")))


def test_nothing_held_out(tmp_path: Path) -> None:
    """With --val 0 all of the text is trained on; the model is the last average, not scored."""
    training = trainer(val=0.0)
    done = finish(training, run_in(tmp_path / "run"))[-1]
    assert isinstance(done, Done)
    assert done.val_nats is None
    saved = load(tmp_path / "run")
    assert np.array_equal(saved.file.weights["output"], training.average["output"])


def test_the_log_is_complete(tmp_path: Path) -> None:
    """Each event is a JSON object with its name."""
    events = [event.to_json() for event in finish(trainer(), run_in(tmp_path / "run"))]
    assert [events[0]["event"], events[-1]["event"]] == ["start", "done"]
    assert {"validation", "sample", "save"} <= {event["event"] for event in events}
    json.dumps(events, allow_nan=False)


@pytest.mark.slow
def test_a_time_is_kept(tmp_path: Path) -> None:
    """Given a time budget, training plans steps that fit it and ends after them."""
    training = trainer(text=TEXT * 3, steps=None, seconds=3.0)
    events = finish(training, run_in(tmp_path / "run"))
    assert events[-1].to_json()["steps"] == training.progress.steps < 10**6
    assert [event.to_json()["event"] for event in events].count("plan") >= 1


def test_the_budget_counts_earlier_time() -> None:
    """A resumed run has only the rest of its budget, and time before the first step counts too."""
    training = trainer(steps=None, seconds=100.0)
    training.progress.seconds = 60.0
    clock = Clock(time.monotonic() - 30)
    budget = TimeBudget(training, clock)
    for _ in range(20):
        began = clock()
        training.update()
        budget.steps(1, clock() - began)
    assert budget.known
    assert budget.plan()
    assert 90 <= training.progress.seconds < 100
    assert 0 < budget.seconds_left < 11
