"""The curve for the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from charrnn.display.plot.log import AXES, Log
from charrnn.display.plot.terminal import curve
from tests.display.plot.logs import read, start, trained


def drawn(runs: Sequence[Log], by: str = "seconds", **options: Any) -> str:
    return "".join(text for text, _ in curve(runs, by, **options))


@pytest.mark.parametrize("width", [30, 40, 60, 72])
@pytest.mark.parametrize("by", sorted(AXES))
def test_size(book: Log, width: int, by: str) -> None:
    """It fills the width given, and no more, over so many lines."""
    title, *lines = drawn([book], by, width=width).splitlines()
    assert title == "held-out text, bits/char"
    assert [len(line) for line in lines[:13]] == [width] * 13
    assert max(map(len, lines)) == width
    assert lines[14].strip() == AXES[by][1]


def test_falls(book: Log) -> None:
    """A loss that falls begins at the top left and ends at the bottom right."""
    rows = [line[5:] for line in drawn([book], width=40).splitlines()[1:13]]
    inked = [(column, row) for row in range(12) for column, c in enumerate(rows[row]) if c > "⠀"]
    assert min(inked)[1] <= 1
    assert max(inked)[1] >= 10


def test_ascii(book: Log) -> None:
    """It can do with ASCII."""
    text = drawn([book], braille=False)
    assert text.isascii()
    assert "*" in text


def test_several_runs(tmp_path: Path) -> None:
    """Each piece knows its run, and the runs' numbers stand at the ends of their curves."""
    runs = [
        read(tmp_path, start(), *trained(0, steps), name=f"{steps}") for steps in (500, 1000, 1000)
    ]
    pieces = curve(runs, "seconds")
    assert {owner for _, owner in pieces} == {None, 0, 1, 2}
    assert [(text, owner) for text, owner in pieces if owner is not None and text in "123"] == [
        ("1", 0), ("3", 2), ("2", 1)
    ]  # fmt: skip


def test_nothing_held_out(tmp_path: Path) -> None:
    """Without held-out text it is of the training text, and says so, with the run's name."""
    rows = [row for row in trained(0, 500) if row["event"] == "step"]
    without = read(tmp_path, start(val_chars=0), *rows, name="without")
    assert drawn([without]).startswith("training text, bits/char (nothing held out)\n")
    both = [read(tmp_path, start(), *trained(0, 500)), without]
    assert "training text without validation: without\n" in drawn(both)


def test_nothing_yet(tmp_path: Path) -> None:
    """A run that has only started has no curve."""
    assert drawn([read(tmp_path, start())]) == "nothing to draw yet\n"
