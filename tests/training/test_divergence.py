"""Values that are not finite: updates are skipped, training goes back, nothing of them is saved."""

import math
from pathlib import Path

import pytest
import torch

from charrnn import load
from charrnn.errors import TrainingError
from charrnn.events import DIVERGED, Done, Event, Rollback, Skip, Stop, Unsaved, Validation
from charrnn.training import checkpoint
from charrnn.training.clock import Clock
from charrnn.training.loop import SKIPS, train
from charrnn.training.trainer import Trainer
from tests.training.small import finish, run_in, trainer


def spoil(training: Trainer) -> None:
    """Set some weights to NaN."""
    with torch.no_grad():
        training.network.embedding.weight[0] = math.nan


def spoiled(training: Trainer, folder: Path, at: set[int]) -> list[Event]:
    """Train to the end; the weights become NaN once after each of the steps `at`."""

    def stop() -> bool:
        if training.step in at:
            at.remove(training.step)
            spoil(training)
        return False

    return list(train(training, run_in(folder), Clock(0.0), stop))


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    """A gradient that is not finite leaves the weights as they are and resets the hidden state."""
    training = trainer(steps=100)
    training.update()
    before = training.network.output.weight.clone()
    spoil(training)
    assert training.update() is None
    assert torch.equal(training.network.output.weight, before)
    assert all(torch.isfinite(state).all() for state in training.hidden)


def test_one_bad_step_is_skipped(tmp_path: Path) -> None:
    """A single bad window skips an update, and training does not go back."""
    training = trainer(steps=40)
    training.hidden[0][:] = math.nan
    events = finish(training, run_in(tmp_path))
    assert [type(event) for event in events].count(Skip) == 1
    assert not any(isinstance(event, Rollback) for event in events)
    assert isinstance(events[-1], Done)


@pytest.mark.parametrize("at", [1, 58, 59])
def test_at_the_very_end_and_start(at: int, tmp_path: Path) -> None:
    """Whenever the weights become NaN, what is saved at the end is finite."""
    events = spoiled(trainer(steps=60), tmp_path, {at})
    assert isinstance(events[-1], Done)
    load(tmp_path)
    tensors, _ = checkpoint.load(tmp_path / "resume.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())


def test_the_last_good_state_comes_back(tmp_path: Path) -> None:
    """After repeated skips, training returns to the last validation at half the learning rate."""
    training = trainer(steps=60)
    events = spoiled(training, tmp_path, {31})
    back = next(event for event in events if isinstance(event, Rollback))
    validated = [e.step for e in events[: events.index(back)] if isinstance(e, Validation)]
    assert 31 < back.step <= 31 + SKIPS
    assert back.back_to == validated[-1]
    assert back.lr == training.config.lr / 2 == training.progress.rate
    assert isinstance(events[-1], Done)
    assert events[-1].steps == 60
    assert events[-1].val_nats is not None
    assert math.isfinite(events[-1].val_nats)
    load(tmp_path)  # refuses values that are not finite


def test_each_rollback_halves_the_learning_rate(tmp_path: Path) -> None:
    """A training that diverges again goes back again, and halves the learning rate again."""
    training = trainer(steps=60)
    events = spoiled(training, tmp_path, {20, 40})
    rates = [event.lr for event in events if isinstance(event, Rollback)]
    assert rates == [training.config.lr / 2, training.config.lr / 4]


def test_what_cannot_be_trained_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Divergence at every learning rate is an error that leaves a model and a resume file."""
    training = trainer(steps=60)
    update = training.update

    def diverging(count: int = 1) -> float | None:
        if training.step >= 20:
            spoil(training)
        return update(count)

    monkeypatch.setattr(training, "update", diverging)
    with pytest.raises(TrainingError, match="diverges at every learning rate"):
        finish(training, run_in(tmp_path))
    load(tmp_path)
    tensors, values = checkpoint.load(tmp_path / "resume.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    assert values["step"] < 20


def test_nan_is_never_saved(tmp_path: Path) -> None:
    """Interrupted when the weights have become NaN, training saves the last good ones."""
    training = trainer(steps=60)
    run = run_in(tmp_path)

    def stop() -> bool:
        if training.step != 30:
            return False
        spoil(training)
        return True

    events = list(train(training, run, Clock(0.0), stop))
    assert any(isinstance(event, Rollback) for event in events)
    assert not any(isinstance(event, Unsaved) for event in events)
    tensors, values = checkpoint.load(tmp_path / "resume.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    assert values["rate"] == training.config.lr / 2


def test_back_to_the_average() -> None:
    """Each rollback restores the average that was validated, also the second time."""
    training = trainer(steps=60)
    for _ in range(10):
        training.update()
    training.remember()
    average = checkpoint.clone(training.average)
    assert not torch.equal(average["output"], training.network.output.weight)
    for _ in range(2):
        training.update()
        training.go_back()
        assert torch.equal(training.network.output.weight, average["output"])
        assert torch.equal(training.average["output"], average["output"])


def test_a_rollback_survives_a_resume(tmp_path: Path) -> None:
    """A resume keeps the smaller learning rate."""
    training = trainer(steps=60)
    training.go_back()
    finish(training, run_in(tmp_path), stop_at=10)
    again = trainer(steps=60)
    again.restore(*checkpoint.load(tmp_path / "resume.safetensors"))
    assert again.progress.rate == training.config.lr / 2


def test_exploding_gradients_are_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log shows the largest norm before clipping and the share of updates clipped."""
    monkeypatch.setattr("charrnn.training.loop.STEP_EVENT_SECONDS", 0.0)
    training = trainer(steps=30, clip=1e-6)
    steps = [e.to_json() for e in finish(training, run_in(tmp_path)) if type(e).__name__ == "Step"]
    assert all(step["norm"] > 1e-6 for step in steps)
    clipped = [step["clipped"] for step in steps]
    assert clipped == sorted(clipped)
    assert clipped[-1] > 0.4


def test_an_explosion_without_clipping(tmp_path: Path) -> None:
    """Without clipping no step counts as clipped, and rollbacks tell how large the norm was."""
    training = trainer(
        "rnn-relu", steps=60, clip=0.0, init="normal", init_scale=2.0, optimizer="sgd", lr=100.0
    )
    events: list[Event] = []
    with pytest.raises(TrainingError):
        events.extend(train(training, run_in(tmp_path), Clock(0.0), lambda: False))
    assert any(isinstance(event, Skip) for event in events)
    norms = [event.norm or 0.0 for event in events if isinstance(event, Rollback)]
    assert max(norms) > 1e4
    assert all(event.to_json().get("clipped", 0) == 0 for event in events)
    assert isinstance(events[-1], Stop)
    assert events[-1].why == DIVERGED
