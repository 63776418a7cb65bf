"""Coloured text: the same text, and colours only where they may be."""

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.arrays import Array
from charrnn.display.format import CONTROL, printable
from charrnn.display.highlight import COLOURS, coloured, shade
from tests.strategies import NASTY, texts

SEQUENCE = re.compile(r"\x1b\[(?:0|30;48;5;(\d+))m")


def nats_of(bits: list[float]) -> Array:
    return np.array(bits, np.float32) * np.float32(np.log(2))


@st.composite
def shaded(draw: st.DrawFn) -> tuple[str, str]:
    """A text and what is shown of it."""
    text = draw(texts)
    bits = st.floats(0, 60, width=32) | st.sampled_from([0.0, 1.0, 9.0, 1e30])
    size = len(text)
    return text, shade(text, nats_of(draw(st.lists(bits, min_size=size, max_size=size))))


class TestShade:
    @given(shaded())
    def test_same_text(self, pair: tuple[str, str]) -> None:
        """Without the colours it is the text, a dot for each control character."""
        text, shown = pair
        plain = SEQUENCE.sub("", shown)
        assert plain == printable(text)
        assert len(plain) == len(text)
        assert not CONTROL.search(plain)

    @given(shaded())
    def test_line_breaks(self, pair: tuple[str, str]) -> None:
        """Every line ends without a colour, and no colour begins within another."""
        for line in pair[1].split("\n"):
            sequences = [match[1] for match in SEQUENCE.finditer(line)]
            assert all(sequences[::2])
            assert set(sequences[1::2]) <= {None}
            assert len(sequences) % 2 == 0

    def test_controls(self) -> None:
        """No escape sequence of the text's own gets through."""
        for text in NASTY.values():
            shown = shade(text, nats_of([5.0] * len(text)))
            assert "\x1b" not in SEQUENCE.sub("", shown)
        assert SEQUENCE.sub("", shade("\x1b[31mred", nats_of([0.5] * 8))) == "·[31mred"

    def test_colours(self) -> None:
        """The higher the surprisal, the further up the scale; expected text has no colour."""
        bits = [0.0, 0.99, 1.01, 2.01, 4.01, 6.01, 9.01, 40.0]
        assert shade("ab", nats_of(bits[:2])) == "ab"
        found = [SEQUENCE.search(shade("a", nats_of([b]))) for b in bits]
        colours = [match and int(match[1]) for match in found]
        assert colours == [None, *COLOURS.values(), 203]

    def test_runs(self) -> None:
        """Neighbours of one colour share it."""
        assert shade("abc", nats_of([3.0, 3.5, 0.0])) == "\x1b[30;48;5;223mab\x1b[0mc"
        assert shade("", nats_of([])) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
    ],
    ids=str,
)
def test_coloured(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], terminal: bool, elsewhere: bool
) -> None:
    """Colours are for terminals that know them, unless forced; NO_COLOR is heard above all."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert coloured(Terminal()) is terminal
    assert coloured(io.StringIO()) is elsewhere
