"""What reaches stderr."""

import io
import sys
from typing import TextIO, cast

import pytest

from charrnn.display.console import Ui, Unbroken


@pytest.mark.parametrize("length", [1000, 1001, 100_000])
def test_long_message(length: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Both ends of a very long error or warning are shown, and so its hint."""
    ui = Ui()
    ui.error("b" + "a" * (length - 8) + "; do so")
    ui.warn("b" + "a" * (length - 8) + "; do so")
    for line in capsys.readouterr().err.splitlines():
        assert len(line) <= 1000 + len("charrnn: warning: ")
        assert ": ba" in line
        assert line.endswith("a; do so")
        assert ("a ... a" in line) == (length > 1000)


class TestUi:
    def test_streams(self, capsys: pytest.CaptureFixture[str]) -> None:
        """All messages go to stderr."""
        ui = Ui()
        ui.error("broken")
        ui.warn("odd")
        ui.note("fine")
        assert capsys.readouterr() == (
            "",
            "charrnn: error: broken\ncharrnn: warning: odd\nfine\n",
        )

    def test_quiet(self, capsys: pytest.CaptureFixture[str]) -> None:
        """When quiet, only errors are printed."""
        ui = Ui(quiet=True)
        ui.warn("odd")
        ui.note("fine")
        assert capsys.readouterr().err == ""
        ui.error("broken")
        assert capsys.readouterr().err == "charrnn: error: broken\n"

    def test_control_characters(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing that is said steers the terminal; an error stays in its line."""
        ui = Ui()
        ui.error("no \x1b[31mfile\r\nnamed\x9b2J")
        ui.warn("\x1b]0;title\x07")
        ui.note("two\nlines\x1b[2J")
        assert capsys.readouterr().err == (
            "charrnn: error: no ·[31mfile named·2J\ncharrnn: warning: ·]0;title·\ntwo\nlines·[2J\n"
        )

    def test_few_characters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal that lacks a character shows a question mark."""
        raw = io.BytesIO()
        with io.TextIOWrapper(raw, encoding="ascii") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            Ui().warn("never seen ☃")
            assert raw.getvalue() == b"charrnn: warning: never seen ?\n"


@pytest.mark.parametrize("error", [OSError, BrokenPipeError, ValueError])
def test_unbroken(error: type[Exception]) -> None:
    """A failed write to standard error is ignored."""

    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise error

        def flush(self) -> None:
            raise error

    stream = Unbroken(Broken())
    print("lost", file=cast(TextIO, stream), flush=True)
    assert not stream.isatty()
