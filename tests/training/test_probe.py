"""How many streams a device takes, and how fast it is."""

import math

import pytest
import torch

from charrnn.config import ModelConfig
from charrnn.training import devices, prepare, probe
from tests.training.small import CPU


@pytest.mark.parametrize(
    ("seconds", "streams"),
    [
        ({16: 1.0, 32: 1.1, 64: 1.4, 128: 1.5}, 128),
        ({16: 1.0, 32: 1.1, 64: 1.6}, 32),
        ({16: 1.0, 32: 2.0}, 16),
        ({16: 1.0, 32: 1.2}, 32),  # 64 do not fit into its memory
    ],
)
def test_streams(seconds: dict[int, float], streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many streams as hardly take longer than few, and as fit."""

    def timed(_: torch.device, count: int) -> float:
        if count not in seconds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return seconds[count]

    monkeypatch.setattr(probe, "_seconds", timed)
    found = probe.probe(CPU)
    assert found.streams == streams
    faster = streams / 16 / seconds[streams]
    monkeypatch.setattr(probe, "_seconds", lambda _, count: 1.0 if count == 16 else math.inf)
    assert found.speed == pytest.approx(faster * probe.probe(CPU).speed)


def test_a_real_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that are timed are steps."""
    monkeypatch.setattr(probe, "MODEL", ModelConfig(9, layers=1, hidden=8, embedding=4))
    found = probe.probe(CPU)
    assert 0 < found.speed < 1
    assert found.streams in (16, 32, 64, 128)


def test_only_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU keeps its batches; a GPU takes more streams, unless the text is short."""
    monkeypatch.setattr(prepare, "probe", lambda _: probe.Probe(100.0, 64))
    assert prepare._measured(CPU, 10**6)[1] == {}
    monkeypatch.setattr(devices, "queues", lambda _: True)
    assert prepare._measured(CPU, 10**6) == (100.0, {"batch": 64})
    assert prepare._measured(CPU, 1000) == (100.0, {"batch": 3})
