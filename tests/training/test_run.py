"""A run folder stays complete through a full disk and a kill at any moment."""

import errno
import itertools
import json
import math
import os
import random
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from charrnn import load
from charrnn.errors import RunError
from charrnn.events import Done, Event, Save, Start, Unsaved
from charrnn.network import model_file
from charrnn.training import checkpoint
from charrnn.training.clock import Clock
from charrnn.training.loop import train
from tests.training.small import finish, run_in, trainer

KILLS = int(os.environ.get("CHARRNN_KILLS", "40"))


@pytest.fixture
def saves_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save after every update."""
    monkeypatch.setattr("charrnn.training.loop.SAVE_SECONDS", 0.0)
    monkeypatch.setattr("charrnn.training.loop.SAVE_SHARE", math.inf)
    monkeypatch.setattr("charrnn.training.run.MODEL_SECONDS", 0.0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A disk that is full while the list is not empty."""
    full: list[bool] = []
    fsync = os.fsync

    def flush(file: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    monkeypatch.setattr(os, "fsync", flush)
    return full


@pytest.mark.usefixtures("saves_always")
def test_a_full_disk_is_outlived(tmp_path: Path, disk: list[bool]) -> None:
    """While saving fails, training goes on, reports it and keeps the last good files."""
    training = trainer(steps=30)
    events: list[Event] = []
    for event in train(training, run_in(tmp_path), Clock(0.0), lambda: False):
        events.append(event)
        if training.step == 10 and isinstance(event, Save):
            disk.append(True)
            kept = (tmp_path / "resume.safetensors").read_bytes()
        if training.step == 20 and isinstance(event, Unsaved):
            assert (tmp_path / "resume.safetensors").read_bytes() == kept
            load(tmp_path)
            disk.clear()
    failed = [event for event in events if isinstance(event, Unsaved)]
    assert [event.step for event in failed] == list(range(11, 21))
    assert "No space left on device" in failed[0].why
    assert isinstance(events[-1], Done)
    assert checkpoint.load(tmp_path / "resume.safetensors")[1]["step"] == 30
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("stop_at", [15, None])
@pytest.mark.usefixtures("saves_always")
def test_a_disk_full_to_the_end(stop_at: int | None, tmp_path: Path, disk: list[bool]) -> None:
    """A save that fails at the end, or at Ctrl-C, is an error; the last good files stay."""
    training = trainer(steps=30)
    events = train(training, run_in(tmp_path), Clock(0.0), lambda: training.step == stop_at)
    while not (isinstance(next(events), Save) and training.step == 10):
        pass
    disk.append(True)
    with pytest.raises(RunError, match="No space left on device"):
        list(events)
    assert checkpoint.load(tmp_path / "resume.safetensors")[1]["step"] == 10
    load(tmp_path)
    disk.clear()
    again = trainer(steps=30)
    again.restore(*checkpoint.load(tmp_path / "resume.safetensors"))
    finish(again, run_in(tmp_path))
    whole = trainer(steps=30)
    finish(whole, run_in(tmp_path / "whole"))
    assert torch.equal(again.network.output.weight, whole.network.output.weight)


def test_the_log_waits_for_space(tmp_path: Path) -> None:
    """Log lines that do not fit are written later, in order; a log that stays cut is an error."""
    resource = pytest.importorskip("resource")
    run = run_in(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        for step in range(10):
            run.log(Save(step))
        log = (tmp_path / "log.jsonl").read_text(encoding="utf-8")
        assert [json.loads(line)["step"] for line in log.splitlines()] == [0, 1, 2]
        with pytest.raises(RunError, match=r"cannot write .*log"):
            run.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    run.log(Save(10))
    run.close()
    log = (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["step"] for line in log.splitlines()] == [*range(11)]


@pytest.mark.slow
@pytest.mark.parametrize(("cost", "gap"), [(0.5, 60), (10.0, 500)])
def test_saves_go_by_the_clock(
    cost: float, gap: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saves are a minute apart, or further if saving would take over 2 % of the time."""
    now = [0.0]
    monkeypatch.setattr("charrnn.training.clock.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("charrnn.training.trainer.VALIDATIONS", 2000)  # one after each step
    training, run = trainer(steps=2000), run_in(tmp_path)
    (tmp_path / "model.safetensors").touch()
    saved: list[float] = []

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    def save(*_: object) -> None:
        saved.append(now[0])
        pass_time(cost)

    def update(_: int) -> float | None:
        pass_time(1.0)
        training.progress.step += 1
        return 0.1

    def validate(*_: object) -> None:
        pass_time(3.0)  # which is no cost of the save that may follow
        training.progress.validated_at = training.step

    monkeypatch.setattr(training, "update", update)
    monkeypatch.setattr(training, "validate", validate)
    monkeypatch.setattr(run, "save", save)
    for _ in train(training, run, Clock(0.0), lambda: training.step >= 330):
        pass
    gaps = [later - sooner for sooner, later in itertools.pairwise(saved[:-1])]
    assert len(gaps) >= 2
    assert all(gap <= seconds < gap + 10 for seconds in gaps[1:])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.usefixtures("saves_always")
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """After SIGKILL at any moment, even in a write, the last reported save or a later one loads.

    CHARRNN_KILLS sets how often; every process resumes where the last one was killed.
    """
    rng = random.Random(0)
    told = 0
    torch.set_num_threads(1)  # a forked process has no other threads
    state = tmp_path / "resume.safetensors"
    for _ in range(KILLS):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                training = trainer(steps=10**6)
                if state.exists():
                    training.restore(*checkpoint.load(state))
                for event in train(
                    training, run_in(tmp_path), Clock(time.monotonic()), lambda: False
                ):
                    if isinstance(event, Save | Start):
                        os.write(write, f"{event.step}\n".encode())
            finally:
                os._exit(1)
        os.close(write)
        with os.fdopen(read) as steps:
            steps.readline()  # it has started
            time.sleep(rng.random() * 0.1)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told = max([told, *map(int, steps.read().split())])
        if told:
            tensors, values = checkpoint.load(state)
            assert values["step"] >= told
            model = model_file.load(tmp_path / "model.safetensors")
            assert model.trained.facts["step"] >= told
            trainer(steps=10**6).restore(tensors, values)
    assert told
