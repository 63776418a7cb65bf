"""A step that is recorded once and repeated trains as one that is computed anew each time."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from charrnn.events import Replay
from charrnn.training import devices, recorded_step
from charrnn.training.recorded_step import choose
from charrnn.training.trainer import Trainer
from tests.training.operations import Operations
from tests.training.small import DOCUMENTS, finish, run_in, trainer

READS = "_local_scalar_dense"  # torch's name for reading a number out of a tensor


class Tape(Operations):  # type: ignore[no-untyped-call]
    """Records operations with the tensors they read and write, as a CUDA graph does."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any], Any]] = []

    def call(self, function: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Record an operation and make it; a result cannot be read."""
        if function.overloadpacket.__name__ == READS:
            raise RuntimeError("operation not permitted when stream is capturing")
        results = super().call(function, arguments, options)
        self._calls.append((function, arguments, options, results))
        return results

    def replay(self) -> None:
        """Repeat the operations with the same tensors, whatever they contain now."""
        with torch._C._AutoDispatchBelowAutograd():  # as they were recorded
            for function, arguments, options, results in self._calls:
                repeated = function(*arguments, **options)
                for old, new in zip(tree_leaves(results), tree_leaves(repeated), strict=True):
                    if isinstance(old, Tensor):
                        old.copy_(new)


def tape(step: Callable[[], None], _: torch.Generator) -> Callable[[], None]:
    """Record a step on a tape."""
    with Tape() as recording:
        step()
    replay: Callable[[], None] = recording.replay
    return replay


@pytest.fixture(autouse=True)
def queueing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU is treated as a device that queues, on which a graph is always faster."""
    monkeypatch.setattr(devices, "queues", lambda _: True)
    monkeypatch.setattr(recorded_step, "FASTER", 0.0)


def assert_equal(one: Trainer, other: Trainer) -> None:
    """Check that two trainings are in the same state."""
    (tensors, values), (others, same) = one.state(), other.state()
    assert values == same
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, others[name])


@pytest.mark.parametrize(
    ("cell", "optimizer", "options"),
    [
        ("lstm", "muon", {"weight_decay": 0.1}),
        ("lstm", "muon", {"input_dropout": 0.2, "weight_drop": 0.2, "variational": True}),
        ("gru", "adam", {"embedding_dropout": 0.1}),
        ("rnn", "sgd", {"lr": 0.1}),
    ],
)
def test_the_same_training(cell: str, optimizer: str, options: dict[str, Any]) -> None:
    """Batches, states, dropout masks, learning rates and the optimizer's counter all go on."""
    recorded, plain = (trainer(cell, optimizer=optimizer, **options) for _ in range(2))
    untouched = recorded.compute
    assert choose(recorded, tape)
    assert recorded.compute != untouched
    assert_equal(recorded, plain)
    recorded.remember()
    for count in (3, 10, 1):
        recorded.update(count)
        plain.update(count)
    assert_equal(recorded, plain)
    assert recorded.progress.loss == pytest.approx(plain.progress.loss)
    for each in (recorded, plain):
        each.validate()
        each.go_back()
        each.update(5)
    assert_equal(recorded, plain)


def test_an_anchor() -> None:
    """Fine-tuned weights are pulled back all the same."""
    recorded, plain = (trainer(anchor=3.0) for _ in range(2))
    for each in (recorded, plain):
        each.optimizer.set_anchor()
    assert choose(recorded, tape)
    recorded.update(10)
    plain.update(10)
    assert_equal(recorded, plain)


def test_a_gradient_that_is_not_finite() -> None:
    """It changes no weight, and the steps after it go on."""
    recorded = trainer()
    assert choose(recorded, tape)
    recorded.update(2)
    recorded.hidden[0][:] = math.nan
    assert recorded.update() is None
    assert recorded.sound
    assert recorded.update(2)


def stale(step: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Record a step that always trains on the same batch."""
    repeat = tape(step, generator)
    cells = {name: cell.cell_contents for name, cell in captured(step)}
    inputs, targets = cells["inputs"].clone(), cells["targets"].clone()

    def wrong() -> None:
        cells["inputs"].copy_(inputs)
        cells["targets"].copy_(targets)
        repeat()

    return wrong


def captured(function: Any) -> list[tuple[str, Any]]:
    """Return the names and cells of a function's variables from outside."""
    return [*zip(function.__code__.co_freevars, function.__closure__, strict=True)]


def fails(step: Callable[[], None], _: torch.Generator) -> Callable[[], None]:
    """Fail, as an operation does that cannot be recorded."""
    step()
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


@pytest.mark.parametrize("record", [stale, fails])
def test_not_if_it_goes_wrong(record: recorded_step.Recorder) -> None:
    """A step that cannot be recorded, or trains otherwise, is computed anew each time."""
    training, plain = trainer(batch=1), trainer(batch=1)
    before = training.compute
    assert choose(training, record) is None
    assert training.compute == before
    training.update(5)
    plain.update(5)
    assert_equal(training, plain)


def test_not_if_it_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tape is no faster."""
    monkeypatch.setattr(recorded_step, "FASTER", 10.0)
    training = trainer()
    assert choose(training, tape) is None
    assert training.compute == training._compute


@pytest.mark.parametrize("record", [tape, fails, recorded_step.cuda_graph])
def test_a_whole_training(
    record: recorded_step.Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step is tried, and nothing is left of that; the log tells what was chosen."""
    monkeypatch.setattr(recorded_step, "choose", partial(choose, record=record))
    recorded, plain = trainer(), trainer()
    found = finish(recorded, run_in(tmp_path))
    replays = [event for event in found if isinstance(event, Replay)]
    assert len(replays) == (record is tape)
    assert all(event.faster > 0 for event in replays)
    monkeypatch.setattr(recorded_step, "choose", lambda _: None)
    finish(plain, run_in(tmp_path / "plain"))
    for name, weight in plain.best.items():
        torch.testing.assert_close(weight, recorded.best[name])


def test_not_for_documents() -> None:
    """Their windows differ in length."""
    assert choose(trainer(text=DOCUMENTS, kind="documents"), fails) is None
