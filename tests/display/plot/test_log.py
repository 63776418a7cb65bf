"""The log of a run."""

import re
from pathlib import Path

import pytest

from charrnn.display.plot.log import Log, read_log, read_logs, summary
from charrnn.errors import RunError
from tests.display.plot.logs import done, read, start, trained


def test_resumed(tmp_path: Path) -> None:
    """Events after the step that a killed run resumed from are dropped."""
    lost = [row | {"val_nats": 0.1} for row in trained(600, 1000)]
    run = read(tmp_path, start(), *trained(0, 600), *lost, start(600), *trained(600, 800))
    steps = [step for _, step, _ in run.to_json()["validations"]]
    assert steps == [100, 200, 300, 400, 500, 600, 700, 800]
    assert run.to_json()["best_val_nats"] > 1


def test_rolled_back(tmp_path: Path) -> None:
    """Events after the step that a rollback went back to are dropped."""
    back = {"event": "rollback", "step": 1000, "back_to": 600, "lr": 0.015}
    run = read(tmp_path, start(), *trained(0, 1000), back, *trained(600, 700))
    assert run.to_json()["steps"] == 700


def test_went_on_after_its_end(tmp_path: Path) -> None:
    """A run that was resumed after its end has not ended."""
    run = read(tmp_path, start(), *trained(0, 500), done(500), start(500), *trained(500, 600))
    assert run.end == "in progress, or cut off"
    assert run.to_json()["best_val_nats"] != 1.25
    assert run.to_json()["steps"] == 600


def test_stopped(tmp_path: Path) -> None:
    """The end says why a run was stopped."""
    stop = {"event": "stop", "step": 500, "why": "interrupted"}
    assert "interrupted" in summary(read(tmp_path, start(), *trained(0, 500), stop))


@pytest.mark.parametrize(
    "end",
    [
        b'{"event": "step", "st',
        b'{"event": "sample", "text": "\xe2\x80',
        b"\x00\xff\xfe\n\n[]\n1",
    ],
    ids=["cut", "cut in a character", "no JSON"],
)
def test_cut(book: Log, end: bytes) -> None:
    """A damaged line is ignored."""
    with open(book.path, "ab") as file:
        file.write(end)
    assert read_log(book.path).rows == book.rows


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\x89PNG\r\n\x1a\n\x00\x01", b"[]\n{}\nnull"])
def test_no_log(tmp_path: Path, data: bytes) -> None:
    """A file without any event is no log, which is an error that names it."""
    (tmp_path / "log.jsonl").write_bytes(data)
    with pytest.raises(RunError, match=re.escape(str(tmp_path / "log.jsonl"))):
        read_log(tmp_path / "log.jsonl")


def test_final_score(tmp_path: Path) -> None:
    """The score is the final one, and says how much of the held-out text it is of."""
    run = read(tmp_path, start(), *trained(0, 500), done(500, val_part=0.25))
    assert run.to_json()["best_val_nats"] == 1.25
    assert "25.00% of it scored" in summary(run)


def test_nothing_held_out(tmp_path: Path) -> None:
    """Without held-out text the score is of the training text, and says so."""
    rows = [row for row in trained(0, 500) if row["event"] == "step"]
    run = read(tmp_path, start(val_chars=0), *rows)
    assert "nothing held out; training text 2.260 bits/char" in summary(run)
    assert run.to_json()["best_val_nats"] is None
    assert "not validated yet; training text" in summary(read(tmp_path, start(), *rows))


def test_same_name(tmp_path: Path) -> None:
    """Runs of the same name are named by their folders."""
    for folder in ("one", "two"):
        read(tmp_path / folder, start(), *trained(0, 200))
    runs = read_logs([str(tmp_path / folder / "book") for folder in ("one", "two")])
    assert [run.name for run in runs] == [str(run.path.parent) for run in runs]


def test_named_twice(book: Log) -> None:
    """A run that is named twice is one run."""
    assert len(read_logs([str(book.path.parent), str(book.path)])) == 1
