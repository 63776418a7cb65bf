"""charrnn runs: the list of runs, and removing them."""

import os
import shutil
from pathlib import Path

import pytest

from charrnn import runs
from tests.cli.conftest import Call
from tests.cli.shell import Training


@pytest.fixture
def folder(trained: Training, word_trained: Training, tmp_path: Path) -> Path:
    """A folder with runs: one of characters, a newer one of words, one that is cut off."""
    for i, (name, run) in enumerate({"book": trained.run, "verse": word_trained.run}.items()):
        shutil.copytree(run, tmp_path / "runs" / name)
        os.utime(tmp_path / "runs" / name / "log.jsonl", (i + 1, i + 1))
    cut = tmp_path / "runs" / "cut"
    cut.mkdir()
    log = (trained.run / "log.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "log.jsonl").write_bytes(b"".join(log[:3]) + log[3][:20])
    os.utime(cut / "log.jsonl", (0, 0))
    return tmp_path / "runs"


def test_list(folder: Path, call: Call) -> None:
    """The newest run comes first; a line tells level, size, score, state and text."""
    result = call("runs")
    assert (result.code, result.err) == (0, "")
    head, *lines = result.out.splitlines()
    assert head.split()[:3] == ["name", "level", "parameters"]
    assert [line.split()[0] for line in lines] == ["verse", "book", "cut"]
    assert [line.split()[1] for line in lines] == ["word", "char", "char"]
    assert "  done  " in lines[0]
    assert lines[1].endswith("corpus.txt")
    assert "cut off" in lines[2]


def test_json(folder: Path, call: Call) -> None:
    """With --json each run is an object; what is not known is null."""
    verse, book, cut = call("runs", "--json").events
    assert verse.keys() == {
        "name", "path", "level", "parameters", "val_bpc", "val_part", "keys_saved", "state",
        "modified", "texts",
    }  # fmt: skip
    assert book["path"] == str(Path("runs/book"))
    assert 0 < book["val_bpc"] < 9
    assert book["texts"] == ["corpus.txt"]
    assert cut["texts"] is None
    assert cut["keys_saved"] is None


def test_none(call: Call) -> None:
    """Where there are no runs, stderr says how to get one."""
    result = call("runs")
    assert (result.code, result.out) == (0, "")
    assert "charrnn train" in result.err


def test_remove(folder: Path, call: Call) -> None:
    """What charrnn wrote goes; a file of the user's stays, and its folder."""
    (folder / "book" / "notes.txt").write_text("mine")
    result = call("runs", "rm", "--yes", "verse", "book")
    assert result.code == 0, result.err
    assert not (folder / "verse").exists()
    assert [path.name for path in (folder / "book").iterdir()] == ["notes.txt"]
    assert "1 file" in result.err


def test_asks(folder: Path, call: Call) -> None:
    """Without a terminal to ask on nothing is removed unless --yes is given."""
    assert "--yes" in call("runs", "rm", "book").error
    assert (folder / "book" / "model.safetensors").exists()


def test_no_such_run(folder: Path, call: Call) -> None:
    """A name that is no run is told, with those that are near; nothing is removed."""
    result = call("runs", "rm", "--yes", "verse", "boook")
    assert result.code == 1
    assert "did you mean book?" in result.error
    assert (folder / "verse").exists()


def test_being_trained(folder: Path, call: Call) -> None:
    """A run that is being trained stays."""
    with runs.resumed(str(folder / "book"), None):
        assert "still being trained" in call("runs", "rm", "--yes", "book").error
    assert (folder / "book" / "model.safetensors").exists()
