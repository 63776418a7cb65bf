"""Going through units in the terminal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.utils import get_cwidth

from charrnn.arrays import Array
from charrnn.session.unit_browser import KEYS, TAB, UnitBrowser, line_starts
from tests.strategies import texts

TEXT = "".join(f"line {i}\n" for i in range(50)) + "\x1b[31m\ttab"


class Window(DummyOutput):
    """A window of some size."""

    def __init__(self, rows: int, columns: int) -> None:
        self._size = Size(rows, columns)

    def get_size(self) -> Size:
        return self._size


def activation(unit: int) -> tuple[Array, float]:
    return np.full(len(TEXT), unit - 1, np.float32), 1.0


def shown_after(keys: str, rows: int = 8, columns: int = 40, first: int = 0) -> list[str]:
    """The lines of the window after some keys, and q."""
    with create_pipe_input() as keyboard:
        keyboard.send_text(f"{keys}q")
        with create_app_session(input=keyboard, output=Window(rows, columns)):
            browser = UnitBrowser(TEXT, ["low", "zero", "high"], activation, first)
            browser.run()
            return fragment_list_to_text(browser._shown()).split("\n")


def test_window() -> None:
    """It shows the unit, the text and the keys, in as many rows as there are."""
    lines = shown_after("")
    assert lines[0] == "1/3  low"
    assert lines[1:7] == [f"line {i} " for i in range(6)]
    assert lines[7:] == [KEYS]


def test_keys() -> None:
    """Left and right go through the units, around the ends; the others through the text."""
    right, left, down, up, page = "\x1b[C", "\x1b[D", "\x1b[B", "\x1b[A", "\x1b[6~"
    assert shown_after(right)[0] == "2/3  zero"
    assert shown_after(left)[0] == "3/3  high"
    assert shown_after(right * 3)[0] == "1/3  low"
    assert shown_after(down * 3 + up)[1] == "line 2 "
    assert shown_after(page)[1] == "line 6 "
    assert shown_after(up)[1] == "line 0 "
    assert shown_after("G" + "g")[1] == "line 0 "


def test_end_of_the_text() -> None:
    """The last row is reached, and no control character of the text is shown."""
    assert shown_after("G")[6] == f"·[31m{' ' * TAB}tab"
    assert shown_after("", first=len(TEXT) - 1)[1] == f"·[31m{' ' * TAB}tab"


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 200), (100, 2)])
def test_window_of_any_size(size: tuple[int, int]) -> None:
    """No line is wider than the window."""
    for line in shown_after("G\x1b[C", *size):
        assert get_cwidth(line) <= max(TAB, size[1])


def test_interrupt() -> None:
    """Ctrl-C ends it as it ends any command."""
    with pytest.raises(KeyboardInterrupt):
        shown_after("\x03")


def test_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR leaves the lowest and the highest activations underlined and reversed."""
    monkeypatch.setenv("NO_COLOR", "1")
    with create_app_session(output=Window(8, 40)):
        for unit, style in ((0, "underline"), (1, ""), (2, "reverse")):
            browser = UnitBrowser(TEXT, ["a", "b", "c"], activation)
            browser._go(unit)
            assert (style, "line 0 ") in browser._shown()


@given(texts, st.integers(4, 60))
def test_line_starts(text: str, width: int) -> None:
    """Rows part the text, and each fits the window or is a single character."""
    starts = line_starts(text, width)
    assert starts == sorted({*starts})
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        row = text[start:stop].replace("\t", " " * TAB).replace("\n", " ")
        assert sum(map(get_cwidth, row)) <= width
        assert "\n" not in text[start : stop - 1]
