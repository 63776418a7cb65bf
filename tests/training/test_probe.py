"""How many streams a device takes, and how fast it is."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from charrnn.config import ModelConfig
from charrnn.text.split import Parts
from charrnn.training import devices, memory, prepare, probe
from charrnn.training.corpus import Corpus
from charrnn.training.ranks import ALONE
from tests.training.small import CPU, TEXT


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

    def timed(_: torch.device, model: ModelConfig, count: int) -> float:
        if count not in seconds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return seconds[count]

    monkeypatch.setattr(probe, "_seconds", timed)
    found = probe.probe(CPU, lambda _: 512)
    assert found.streams == streams
    faster = streams / 16 / seconds[streams]
    monkeypatch.setattr(probe, "_seconds", lambda _, __, count: 1.0 if count == 16 else math.inf)
    assert found.speed == pytest.approx(faster * probe.probe(CPU, lambda _: 512).speed)


def test_larger_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are timed as long as the device is fast enough for them, and has the memory."""
    timed = []

    def launches(_: torch.device, model: ModelConfig, streams: int) -> float:
        """A device on which any step takes as long, while there is memory."""
        if model.hidden > 1024:
            raise torch.OutOfMemoryError("CUDA out of memory")
        timed.append((model.hidden, streams))
        return 0.01

    monkeypatch.setattr(probe, "_seconds", launches)
    small = probe.probe(CPU, lambda _: 128)
    assert small.units == 512
    large = probe.probe(CPU, lambda speed: 1024 if speed > small.speed / 2 else 128)
    assert large.units == 1024
    assert large.speed > 3 * small.speed
    assert probe.probe(CPU, lambda speed: 2048 if speed > small.speed else 1024).units == 1024
    assert {units for units, _ in timed} == {512, 1024}


def test_no_memory_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the error goes on to the command line, which explains it."""

    def full(*_: object) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(probe, "_seconds", full)
    with pytest.raises(torch.OutOfMemoryError):
        probe.probe(CPU, lambda _: 128)


def test_a_real_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that are timed are steps."""
    monkeypatch.setattr(probe, "UNITS", 8)
    found = probe.probe(CPU, lambda _: 16)
    assert 0 < found.speed < 1
    assert found.streams in (16, 32, 64, 128)
    assert found.units == 16


def test_only_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU keeps its batches; a GPU takes more streams, unless the text is short."""
    monkeypatch.setattr(prepare, "probe", lambda *_: probe.Probe(100.0, 64, 1024))
    assert prepare._measured(CPU, 10**6, lambda _: 256)[1] == {}
    monkeypatch.setattr(devices, "queues", lambda _: True)
    many = prepare._measured(CPU, 10**6, lambda _: 2048)
    assert many == (100.0, {"batch": 64, "hidden": 1024})
    few = prepare._measured(CPU, 1000, lambda _: 256)
    assert few == (100.0, {"batch": 3, "hidden": 256})


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is a thousand times as fast as the reference machine."""
    monkeypatch.setattr(devices, "queues", lambda _: True)
    monkeypatch.setattr(prepare, "probe", lambda _, units: probe.Probe(1e3, 128, units(1e3)))


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("options", "batch", "units"),
    [
        ({"seconds": 60.0}, 128, 1024),
        ({"seconds": 60.0, "hidden": 64}, 128, 64),
        ({"seconds": 60.0, "batch": 8}, 8, 1024),
        ({"seconds": 600.0}, 128, 2048),
        ({"steps": 10}, 128, 384),
    ],
)
def test_what_is_chosen(options: dict[str, Any], batch: int, units: int) -> None:
    """A long text and a fast device make a large network, unless the user has set it."""
    model, training, speed = prepare._chosen("char", long_corpus(), options, CPU, ALONE)
    assert (model.hidden, training.batch, speed) == (units, batch, 1e3)


@pytest.mark.usefixtures("fast")
def test_as_many_streams_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """With little memory the batch is smaller, and so is its learning rate."""
    wide = prepare._chosen("char", long_corpus(), {"seconds": 60.0}, CPU, ALONE)[1]
    room = 3 * memory.needed(ModelConfig(100, layers=1, hidden=1024, embedding=64), wide) // 4
    monkeypatch.setattr(memory, "_free", lambda _: room)
    narrow = prepare._chosen("char", long_corpus(), {"seconds": 60.0}, CPU, ALONE)[1]
    assert 1 < narrow.batch < wide.batch
    assert narrow.lr < wide.lr
    own = {"seconds": 60.0, "batch": 128}
    assert prepare._chosen("char", long_corpus(), own, CPU, ALONE)[1].batch == 128
    monkeypatch.setattr(memory, "_free", lambda _: 0)
    assert prepare._chosen("char", long_corpus(), {"seconds": 60.0}, CPU, ALONE)[1].batch == 1


def long_corpus() -> Corpus:
    """A text that claims to be long."""
    corpus = Corpus.prepare(Parts.of([TEXT], 0.1))
    return replace(corpus, train=torch.zeros(60_000_000, dtype=torch.uint8))
