"""Progress of long work."""

import io
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

from charrnn.display import working
from charrnn.display.console import Ui
from charrnn.display.working import Working


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> str:
        """The line that the cursor is on, as a terminal shows it."""
        shown = ""
        for text in self.getvalue().rpartition("\n")[2].split("\r"):
            shown = text + shown[len(text) :]
        return shown.rstrip()


class Clock(SimpleNamespace):
    """A clock that is set by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(working, "time", clock)
    return clock


def work_on(work: Working, clock: Clock, seconds: float, chars: float) -> None:
    clock.now += seconds
    work.advance(chars)


def test_plain_lines(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal a line comes now and then, with the time left; the first soon."""
    with Working(Ui(), "typing", 400) as work:
        for _ in range(25):
            work_on(work, clock, 1, 10)
    assert capsys.readouterr().err.splitlines() == [
        "typing: 5% done, 38 s left", "typing: 30% done, 28 s left", "typing: 55% done, 18 s left"
    ]  # fmt: skip


def test_unknown_total(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """If the total is unknown, the number of characters done is printed."""
    with Working(Ui(), "scoring") as work:
        work_on(work, clock, 20, 1234567.25)
    assert capsys.readouterr().err == "scoring: 1,234,567 characters\n"


def test_counted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Where units are named, their number and rate are printed."""
    with Working(Ui(), "writing", 1_000_000, "texts") as work:
        work_on(work, clock, 20, 50_000)
        work_on(work, clock, 480, 50)
    assert capsys.readouterr().err.splitlines() == [
        "writing: 50,000 of 1,000,000 texts, 2,500/s, 6 min 20 s left",
        "writing: 50,050 of 1,000,000 texts, 100/s, 2 h 38 min left",
    ]


def test_short_work(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Of work that is done soon nothing is said."""
    with Working(Ui(), "scoring", 10) as work:
        work_on(work, clock, 5, 10)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("on_terminal", [False, True])
def test_quiet(on_terminal: bool, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """With -q nothing is said."""
    stderr = Terminal() if on_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with Working(Ui(quiet=True), "scoring", 10) as work:
        work_on(work, clock, 1000, 5)
        work.note("guessed")
    assert stderr.getvalue() == ""


def test_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal one line is rewritten; other messages and the end erase it."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    with Working(Ui(), "typing", 1000) as work:
        work_on(work, clock, 10, 10)
        assert stderr.screen == "typing: 1% done, 16 min 30 s left"
        work_on(work, clock, 10, 890)
        assert stderr.screen == "typing: 90% done, 2 s left"
        work.note("guessed")
        assert stderr.getvalue().endswith("\rguessed\n")
        work_on(work, clock, 10, 50)
        assert stderr.screen == "typing: 95% done, 2 s left"
        work.clear()
        assert stderr.screen == ""
        work_on(work, clock, 10, 50)
    assert stderr.screen == ""


def test_interrupted(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves no partial line behind."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    with suppress(KeyboardInterrupt), Working(Ui(), "typing", 10) as work:
        work_on(work, clock, 10, 5)
        raise KeyboardInterrupt
    assert stderr.screen == ""
