"""Files of what was made of a text: made once, whole or not at all, removed when of no use."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from charrnn.errors import TextError
from charrnn.text.cache import ABANDONED, UNUSED_SECONDS, Made, cached, in_memory
from tests.cli.shell import ENVIRONMENT

DATA = bytes(range(256)) * 40


class Builder:
    """Writes DATA, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, file: BinaryIO) -> dict[str, Any]:
        self.calls += 1
        file.write(DATA)
        return {"tokens": len(DATA)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "charrnn" / "texts"


def holds(made: Made) -> bool:
    data, values = made
    return data.tobytes() == DATA and values == {"tokens": len(DATA)}


def test_made_once(folder: Path) -> None:
    """The second time the data come from the file; another key has a file of its own."""
    build = Builder()
    assert holds(cached(build, "text", 1))
    assert holds(cached(build, "text", 1))
    assert build.calls == 1
    assert holds(cached(build, "text", 2))
    assert build.calls == len([*folder.iterdir()]) == 2


@pytest.mark.usefixtures("folder")
def test_as_in_memory() -> None:
    """A file holds what memory would, and neither can be written to through the other."""
    here, there = in_memory(Builder()), cached(Builder())
    assert holds(here)
    assert holds(there)
    there[0][:] = 0
    assert holds(cached(Builder()))


@pytest.mark.parametrize("place", [0, 3, 90, 4095, 4096, 5000, -1])
def test_damage(folder: Path, place: int) -> None:
    """A file in which a single byte is another one is made anew, and so is one cut short."""
    build = Builder()
    cached(build)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 4]) + whole[place:][1:]):
        path.write_bytes(damaged)
        assert holds(cached(build))
        assert path.read_bytes() == whole
    assert build.calls == 3


@pytest.mark.parametrize("inside", ["nothing", "[", "pipe"])
def test_no_file_of_ours(folder: Path, inside: str) -> None:
    """What is no such file, such as a pipe or a header nested too deeply, is made anew."""
    cached(Builder())
    (path,) = folder.iterdir()
    path.unlink()
    if inside == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("" if inside == "nothing" else inside * 10_000)
    build = Builder()
    assert holds(cached(build))
    assert build.calls == 1


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the data go to a temporary file, and no other one is left behind."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    notes: list[str] = []
    assert holds(cached(Builder(), note=notes.append))
    assert "No space left on device" in notes[0]
    assert "free some space, or set XDG_CACHE_HOME" in notes[0]
    assert not [*folder.iterdir()]

    def none(*_: object) -> BinaryIO:
        full(0)
        raise AssertionError

    monkeypatch.setattr("charrnn.text.cache.temporary", none)
    with pytest.raises(TextError, match=r"temporary file: No space left on device; free some"):
        cached(Builder())


def test_no_folder(folder: Path) -> None:
    """A folder that cannot be made is named, and the data are read all the same."""
    folder.parent.write_text("in the way")
    notes: list[str] = []
    assert holds(cached(Builder(), note=notes.append))
    assert str(folder) in notes[0]
    assert "XDG_CACHE_HOME" in notes[0]
    assert "free" not in notes[0]


def test_old_files_go(folder: Path) -> None:
    """What was not used for long, and what a killed process left, is removed; the rest is kept."""
    folder.mkdir(parents=True)
    for name, age in (
        ("old", UNUSED_SECONDS),
        ("used", ABANDONED),
        ("left.12ab34cd.tmp", ABANDONED),
    ):
        (folder / name).touch()
        os.utime(folder / name, times=(time.time() - age - 60,) * 2)
    (folder / "begun.56ef7890.tmp").touch()
    cached(Builder())
    names = {path.name for path in folder.iterdir()}
    assert names > {"used", "begun.56ef7890.tmp"}
    assert len(names) == 3


def test_use_keeps_a_file(folder: Path) -> None:
    """A file that is used is not removed, however old."""
    build = Builder()
    cached(build)
    (path,) = folder.iterdir()
    os.utime(path, (0, 0))
    cached(build, "another")
    assert not path.exists()
    cached(build)
    os.utime(path, times=(time.time() - UNUSED_SECONDS + 60,) * 2)
    cached(build)
    assert path.stat().st_mtime > time.time() - 60


SLOW = """
import sys, time
from charrnn.text.cache import cached

def build(file):
    file.write(bytes(1000))
    print("begun", flush=True)
    sys.stdin.read()
    return {"tokens": 1000}

data, values = cached(build)
assert data.tobytes() == bytes(1000) and values == {"tokens": 1000}
"""


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """A process that has begun to make the file and waits for the end of its input."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT | {"XDG_CACHE_HOME": str(folder.parents[1])},
    )
    assert process.stdout
    assert process.stdout.readline() == b"begun\n"
    return process


def test_two_at_once(folder: Path) -> None:
    """Two processes that make the same file at once both get it, whole."""
    processes = [begin(folder), begin(folder)]
    assert len([*folder.iterdir()]) == 2
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert len([*folder.iterdir()]) == 1


def test_killed(folder: Path) -> None:
    """A process that is killed leaves nothing that another one would take for the file."""
    with begin(folder) as killed:
        killed.kill()
    process = begin(folder)
    process.communicate()
    assert process.returncode == 0
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".tmp"]


@pytest.mark.usefixtures("folder")
def test_mapped() -> None:
    """The data are a map of the file, not a copy."""
    assert isinstance(cached(Builder())[0], np.memmap)
