"""What a GPU needs, checked on the CPU: on torch's device `meta`, nothing can be read or mixed."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.errors import UsageError
from charrnn.events import Done
from charrnn.training import checkpoint, devices, recorded_step
from charrnn.training.replica import Replica
from tests.training.operations import Operations
from tests.training.small import CPU, DOCUMENTS, RECORDS, TEXT, finish, run_in, setup, trainer

TEXTS = {"text": TEXT, "documents": DOCUMENTS, "records": RECORDS}
META = torch.device("meta")  # knows the shapes of its tensors alone


class Calls(Operations):  # type: ignore[no-untyped-call]
    """Counts the operations that torch calls, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def call(self, function: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Count an operation and make it."""
        name = function.overloadpacket.__name__
        device = options.get("device")
        if name == "_to_copy" and device is not None:
            name = f"to {device}"
        self.counts[name] = self.counts.get(name, 0) + 1
        return super().call(function, arguments, options)


@pytest.mark.parametrize(
    ("cell", "kind"), [("lstm", "text"), ("gru", "documents"), ("rnn", "records")]
)
def test_no_step_waits(cell: str, kind: str) -> None:
    """Steps read nothing back, and copy their batches in one piece."""
    options: dict[str, Any] = {"input_dropout": 0.2, "weight_drop": 0.2, "embedding_dropout": 0.1}
    options |= {"variational": True, "weight_decay": 0.1, "bptt": 2}
    replica = Replica(*setup(cell, TEXTS[kind], layers=1, kind=kind, **options), META)
    with Calls() as reading:
        batches = [*replica.batches(10)]
    assert reading.counts["to meta"] == 1
    with Calls() as learning:
        for batch in batches:
            replica.learn(batch)
    assert replica.step == 10
    assert not any(name.startswith("to ") for name in learning.counts)
    assert "_local_scalar_dense" not in learning.counts


@pytest.fixture
def queueing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU is treated as a device that queues."""
    monkeypatch.setattr(devices, "queues", lambda _: True)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.usefixtures("queueing")
def test_updates_together(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates whose results are read together give the same as one after another."""
    options: dict[str, Any] = {"kind": kind, "text": TEXTS[kind]}
    together = trainer(**options)
    norm = together.update(20)
    monkeypatch.undo()
    apart = trainer(**options)
    norms = [apart.update() or 0.0 for _ in range(20)]
    assert norm == pytest.approx(max(norms))
    assert together.progress.loss == pytest.approx(apart.progress.loss)
    assert together.step == apart.step == 20
    for name, weight in apart.network.parameters_by_name().items():
        torch.testing.assert_close(together.network.parameters_by_name()[name], weight)


@pytest.mark.usefixtures("queueing")
def test_a_gradient_that_is_not_finite() -> None:
    """It counts as 0, and is reported."""
    training = trainer(steps=100)
    training.update(3)
    training.hidden[0][:] = torch.nan
    assert training.update() is None
    assert training.progress.skipped == 1
    assert all(bool(torch.isfinite(t).all()) for t in training.state()[0].values())
    training.hidden[0][:] = torch.nan
    norm = training.update(3)  # of which only the first is not finite
    assert norm
    assert math.isfinite(norm)


@pytest.mark.usefixtures("queueing")
def test_a_whole_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates are read in groups, which end where a validation is due."""
    counts = []
    training = trainer(steps=200)
    update = training.update

    def counted(count: int = 1) -> float | None:
        counts.append(count)
        return update(count)

    monkeypatch.setattr(training, "update", counted)
    monkeypatch.setattr(recorded_step, "choose", lambda _: None)
    done = finish(training, run_in(tmp_path))[-1]
    assert isinstance(done, Done)
    assert done.steps == sum(counts) == 200
    assert max(counts) == 10


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bfloat16(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products in bfloat16 train float32 weights nearly as well as those in float32."""
    losses = []
    for halves in (False, True):
        monkeypatch.setattr(devices, "halves", lambda _, halves=halves: halves)
        training = trainer(cell, layers=1, dropout=0.0, steps=200)
        for _ in range(200):
            training.update()
        assert training.network.output.weight.dtype == torch.float32
        assert all(state.dtype == torch.float32 for state in training.hidden)
        losses.append(training.progress.loss)
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
    assert losses[1] != losses[0]


def test_resume_on_another_kind_of_device(tmp_path: Path) -> None:
    """The state of a GPU's generator means nothing to a CPU, which goes on all the same."""
    run = run_in(tmp_path)
    finish(trainer(), run, 17)
    tensors, values = checkpoint.load(tmp_path / "resume.safetensors")
    tensors["dropout_generator"] = torch.zeros(16, dtype=torch.uint8)  # of a GPU
    states = []
    for _ in range(2):
        again = trainer()
        again.check(tensors, values)
        again.restore(tensors, values)
        states.append(again.network.dropout_generator.get_state())
        assert isinstance(finish(again, run)[-1], Done)
    assert torch.equal(*states)
    for wrong in (torch.zeros(17, dtype=torch.uint8), torch.zeros((), dtype=torch.uint8)):
        with pytest.raises(ValueError, match="tensors do not match"):
            trainer().check(tensors | {"dropout_generator": wrong}, values)


@pytest.mark.parametrize(
    ("several", "rank", "number"), [(False, "1", 0), (True, "1", 1), (True, "0", 0)]
)
def test_each_process_has_its_gpu(
    several: bool, rank: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is that of a process alone, whatever another program left behind."""
    used: list[int] = []
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: several)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", used.append)
    monkeypatch.setattr("torch.set_float32_matmul_precision", lambda _: None)
    assert devices.named("auto") == torch.device("cuda", number)
    assert used == [number]
    assert devices.named("cpu") == CPU
    monkeypatch.setattr("torch.cuda.device_count", lambda: number)
    if number:
        with pytest.raises(UsageError, match=r"than GPUs on this machine \(1\)"):
            devices.named("cuda")


def test_integers_move_unchanged() -> None:
    """Batches arrive as they left, whatever their types and shapes."""
    batch = [torch.arange(6).view(2, 3), torch.tensor([True, False]), torch.tensor([[-100]])]
    for moved, tensor in zip(devices.moved(batch, META), batch, strict=True):
        assert (moved.shape, moved.dtype) == (tensor.shape, tensor.dtype)
    assert devices.moved(batch, CPU)[0] is batch[0]
