"""Beginning and resuming a training."""

import random
from pathlib import Path

import pytest

from charrnn.errors import CharrnnError, RunError, UsageError
from charrnn.text.source import Source
from charrnn.training import prepare
from tests.training.small import TEXT, finish, made


@pytest.mark.parametrize("level", ["char", "word"])
def test_begin_and_resume(level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run begun from a file resumes from its folder alone, with its own options."""
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT * 2, encoding="utf-8")
    options = {"steps": 12, "hidden": 16, "seed": 3}
    training, run = prepare.begin(Source(["book.txt"]), made("run"), "cpu", level, options)
    finish(training, run, stop_at=6)
    again, run = prepare.resume([], Path("run"), "cpu", {})
    assert again.step == 6
    assert again.config == training.config
    patient, _ = prepare.resume([], Path("run"), "cpu", {"patience": 9})
    assert (patient.progress.steps, patient.config.patience) == (12, 9)
    finish(again, run)
    with pytest.raises(UsageError):
        prepare.resume([], Path("run"), "cpu", {})
    more, run = prepare.resume([], Path("run"), "cpu", {"steps": 20})
    finish(more, run)
    assert more.step == 20
    Path("book.txt").write_text(TEXT, encoding="utf-8")
    with pytest.raises(RunError, match="not the one"):
        prepare.resume([], Path("run"), "cpu", {"steps": 30})


def test_a_damaged_state_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resume file that was truncated or overwritten is an error in one line."""
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT, encoding="utf-8")
    training, run = prepare.begin(
        Source(["book.txt"]), made("run"), "cpu", "char", {"steps": 9, "hidden": 8}
    )
    finish(training, run, stop_at=4)
    whole = (run.path / "resume.safetensors").read_bytes()
    rng = random.Random(0)
    for _ in range(40):
        damaged = bytearray(whole[: rng.choice([len(whole), rng.randrange(len(whole))])])
        if len(damaged) == len(whole):
            damaged[8 + rng.randrange(2000)] ^= 1 << rng.randrange(8)
        (run.path / "resume.safetensors").write_bytes(damaged)
        message = ""
        try:
            prepare.resume([], run.path, "cpu", {})
        except CharrnnError as error:
            message = str(error)
        assert "\n" not in message
