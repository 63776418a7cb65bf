"""What reaches stderr, and how numbers and text are shown."""

import io
import json
import math
import re
import sys
from typing import TextIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.arrays import bits
from charrnn.display.console import Ui, Unbroken, duration, printable, to_json

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]")


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
        ("a\u202eb\u2066c\u2028d", "a·b·c·d"),
        ("\ud800\ufffe", "··"),
        (
            "吾輩は\u3000猫 3\u00a0% क्\u200dष 👩\u200d👧",
            "吾輩は\u3000猫 3\u00a0% क्\u200dष 👩\u200d👧",
        ),
    ],
)
def test_printable(text: str, safe: str) -> None:
    """Control characters, which could steer the terminal, become dots; all else stays."""
    assert printable(text) == safe


@given(st.text())
def test_json(text: str) -> None:
    """JSON holds no control character, and gives back every text that it was made of."""
    line = to_json({"text": text, "more": ["\x9b31m\x7f\u202e", 1.5, None]})
    assert not CONTROLS.search(line)
    assert json.loads(line) == {"text": text, "more": ["\x9b31m\x7f\u202e", 1.5, None]}


@pytest.mark.parametrize("length", [1000, 1001, 100_000])
def test_long_message(length: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a very long error or warning both ends are shown, and so what to do."""
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
    """What cannot be written to a stream that nobody reads is lost, and nothing is raised."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise error

        def flush(self) -> None:
            raise error

    stream = Unbroken(Broken())
    print("lost", file=cast(TextIO, stream), flush=True)
    assert not stream.isatty()
