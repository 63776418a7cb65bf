"""What reaches stderr, and how numbers and text are shown."""

import io
import math
import sys
from typing import TextIO, cast

import pytest

from charrnn.ui import Ui, Unbroken, bits, duration, printable


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.6, "1 s"),
        (59.4, "59 s"),
        (99, "99 s"),
        (100, "1 min 40 s"),
        (99.9, "1 min 40 s"),
        (3599, "59 min 59 s"),
        (3600, "60 min 0 s"),
        (5999, "99 min 59 s"),
        (6000, "1 h 40 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """A duration is told in the two units that matter."""
    assert duration(seconds) == text


def test_bits() -> None:
    """ln 2 nats are one bit."""
    assert bits(math.log(2)) == 1


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("The fox.\n\tNew line", "The fox.\n\tNew line"),
        ("naïve ☃ 漢字", "naïve ☃ 漢字"),
        ("a\x1b[2Jb", "a·[2Jb"),
        ("a\rb\x00c\x7fd\x9be", "a·b·c·d·e"),
        ("a\u202eb", "a·b"),
    ],
)
def test_printable(text: str, safe: str) -> None:
    """Control characters, which could steer the terminal, become dots; all else stays."""
    assert printable(text) == safe


class TestUi:
    def test_streams(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Everything is said on stderr."""
        ui = Ui()
        ui.error("broken")
        ui.warn("odd")
        ui.note("fine")
        assert capsys.readouterr() == (
            "",
            "charrnn: error: broken\ncharrnn: warning: odd\nfine\n",
        )

    def test_quiet(self, capsys: pytest.CaptureFixture[str]) -> None:
        """When quiet, only errors are told."""
        ui = Ui(quiet=True)
        ui.warn("odd")
        ui.note("fine")
        assert capsys.readouterr().err == ""
        ui.error("broken")
        assert capsys.readouterr().err == "charrnn: error: broken\n"

    def test_few_characters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal that lacks a character shows a question mark."""
        raw = io.BytesIO()
        with io.TextIOWrapper(raw, encoding="ascii") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            Ui().warn("never seen ☃")
            assert raw.getvalue() == b"charrnn: warning: never seen ?\n"


@pytest.mark.parametrize("error", [OSError, BrokenPipeError, ValueError])
def test_unbroken(error: type[Exception]) -> None:
    """What cannot be written to a stream that nobody reads is lost, and nothing is raised."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise error

        def flush(self) -> None:
            raise error

    stream = Unbroken(Broken())
    print("lost", file=cast(TextIO, stream), flush=True)
    assert not stream.isatty()
