"""The memory that training needs is compared with the free memory before any is allocated."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import TrainingError
from charrnn.training import memory
from tests.training.small import CPU, trainer

SMALL = ModelConfig(60), TrainingConfig(steps=1)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine with 1 GB of memory, half of it swap."""
    machine = SimpleNamespace(available=5 * 10**8, free=5 * 10**8)
    monkeypatch.setattr("psutil.virtual_memory", lambda: machine)
    monkeypatch.setattr("psutil.swap_memory", lambda: machine)
    monkeypatch.setattr(memory, "LIMIT", Path("nowhere"))
    return machine


def test_fits(free: SimpleNamespace) -> None:
    """A network that fits into memory and swap together is accepted."""
    memory.check(*SMALL, CPU)
    free.available = 0
    memory.check(*SMALL, CPU)


@pytest.mark.parametrize(
    ("model", "training"),
    [
        ({"hidden": 5000}, {}),
        ({"layers": 500}, {}),
        ({"hidden": 512}, {"batch": 4096}),
        ({"hidden": 512}, {"bptt": 4096}),
        ({"vocab_size": 900_000, "embedding": 512}, {}),
    ],
)
@pytest.mark.usefixtures("free")
def test_too_large(model: dict[str, int], training: dict[str, int]) -> None:
    """A network that cannot fit is an error that gives both sizes."""
    sizes: dict[str, Any] = {"vocab_size": 60} | model
    limits: dict[str, Any] = {"steps": 1} | training
    with pytest.raises(TrainingError, match=r"takes [1-9]\d*\.\d GB or more, but only 1\.0 GB"):
        memory.check(ModelConfig(**sizes), TrainingConfig(**limits), CPU)


@pytest.mark.usefixtures("free")
def test_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a container its memory limit counts; "max" is no limit."""
    monkeypatch.setattr(memory, "LIMIT", tmp_path / "memory.max")
    memory.LIMIT.write_text("max\n")
    memory.check(*SMALL, CPU)
    memory.LIMIT.write_text("1000000\n")
    with pytest.raises(TrainingError, match="not enough memory"):
        memory.check(*SMALL, CPU)


def test_before_it_is_taken(free: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check comes before the network is created."""
    free.available = free.free = 0
    monkeypatch.delattr("charrnn.training.replica.Network")
    with pytest.raises(TrainingError, match="not enough memory"):
        trainer()
