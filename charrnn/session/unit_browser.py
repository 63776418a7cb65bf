"""Text coloured by one unit's activation, with keys that go through units and text."""

import asyncio
import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.utils import get_cwidth

from charrnn.arrays import Array
from charrnn.display.format import printable
from charrnn.display.neurons.terminal import COLOURS, levels
from charrnn.session.terminal import ENDINGS

TAB = 4  # columns of a tab (not tuned)
KEYS = "←/→ unit  ↑/↓ PgUp/PgDn text  q quit"
# Style of each of COLOURS where colours are not wanted: only the lowest and highest are marked.
MARKS = ("underline", "underline", *[""] * (len(COLOURS) - 4), "reverse", "reverse")


class UnitBrowser:
    """Shows a text coloured by one unit, in the whole window, until a key ends it.

    Args:
        text: the text.
        titles: what to say of each unit, [U].
        values: function from a unit's number to its activation at each character, float32
            [len(text)], and its largest absolute activation.
        first: index of the character to begin with.
    """

    def __init__(
        self,
        text: str,
        titles: Sequence[str],
        values: Callable[[int], tuple[Array, float]],
        first: int = 0,
    ) -> None:
        self._text = printable(text)
        self._titles = [*map(printable, titles)]
        self._levels = lru_cache(maxsize=16)(lambda unit: levels(*values(unit)))
        self._starts = lru_cache(maxsize=1)(lambda width: line_starts(self._text, width))
        self._unit = 0
        self._first = first  # index of the character at the top
        without = os.environ.get("NO_COLOR")
        self._styles = MARKS if without else [*map(_style, COLOURS)]
        control = FormattedTextControl(self._shown, show_cursor=False)
        self._app: Application[None] = Application(
            Layout(Window(control)),
            key_bindings=self._keys(),
            full_screen=True,
            color_depth=ColorDepth.DEPTH_1_BIT if without else None,
        )

    def run(self) -> None:
        """Show the text until q or Ctrl-C; the terminal is then as before.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, or a signal ended the view.
        """
        self._app.run(pre_run=self._watch)

    def _watch(self) -> None:
        for ending in ENDINGS:
            asyncio.get_running_loop().add_signal_handler(ending, self._interrupt)

    def _interrupt(self) -> None:
        if self._app.is_running and not self._app.is_done:
            self._app.exit(exception=KeyboardInterrupt)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def bind(action: Callable[[], None], *names: str) -> None:
            def pressed(_: KeyPressEvent) -> None:
                action()

            for name in names:
                keys.add(name)(pressed)

        bind(lambda: self._go(1), "right", "l")
        bind(lambda: self._go(-1), "left", "h")
        bind(lambda: self._scroll(1), "down", "j")
        bind(lambda: self._scroll(-1), "up", "k")
        bind(lambda: self._scroll(self._rows), "pagedown", " ")
        bind(lambda: self._scroll(-self._rows), "pageup", "b")
        bind(lambda: self._scroll(-len(self._text)), "home", "g")
        bind(lambda: self._scroll(len(self._text)), "end", "G")
        bind(self._app_exit, "q")
        bind(self._interrupt, "c-c")
        return keys

    def _app_exit(self) -> None:
        self._app.exit()

    @property
    def _rows(self) -> int:
        """Number of rows for the text, besides the title and the keys."""
        return max(1, self._app.output.get_size().rows - 2)

    def _go(self, by: int) -> None:
        self._unit = (self._unit + by) % len(self._titles)

    def _scroll(self, by: int) -> None:
        starts = self._starts(self._app.output.get_size().columns)
        row = bisect_right(starts, self._first) - 1 + by
        self._first = starts[max(0, min(row, len(starts) - self._rows, len(starts) - 1))]

    def _shown(self) -> StyleAndTextTuples:
        """Return the whole window: the title, the text from the first row on, and the keys."""
        columns = self._app.output.get_size().columns
        starts = [*self._starts(columns), len(self._text)]
        row = bisect_right(starts, min(self._first, len(self._text) - 1)) - 1
        title = f"{self._unit + 1}/{len(self._titles)}  {self._titles[self._unit]}"
        shown: StyleAndTextTuples = [("bold", _cut(title, columns)), ("", "\n")]
        last = min(row + self._rows, len(starts) - 1)
        of_text = self._levels(self._unit)
        for start, stop in zip(starts[row:last], starts[row + 1 : last + 1], strict=True):
            for level, run in groupby(range(start, stop), key=of_text.__getitem__):
                part = "".join(self._text[i] for i in run)
                style = self._styles[level]
                shown.append((style, part.replace("\t", " " * TAB).replace("\n", " ")))
            shown.append(("", "\n"))
        missing = self._rows - (last - row)
        return [*shown, ("", "\n" * missing), ("", _cut(KEYS, columns))]


def line_starts(text: str, width: int) -> list[int]:
    """Return the index of the first character of each row of a window, in order.

    Args:
        text: the text, not empty.
        width: columns of the window. A line end takes one, as it is coloured as well.
    """
    starts, column = [0], 0
    for i, character in enumerate(text):
        columns = TAB if character == "\t" else 1 if character == "\n" else get_cwidth(character)
        if column + columns > width and i > starts[-1]:
            starts.append(i)
            column = 0
        column += columns
        if character == "\n" and i + 1 < len(text):
            starts.append(i + 1)
            column = 0
    return starts


def _cut(line: str, width: int) -> str:
    """Return the part of a line that fits."""
    return line[: line_starts(line + " ", width)[1]] if get_cwidth(line) > width else line


def _style(colour: int | None) -> str:
    """Return prompt_toolkit's style for a background colour of xterm's cube."""
    if colour is None:
        return ""
    parts = divmod(colour - 16, 36)
    shades = (parts[0], *divmod(parts[1], 6))
    return "fg:#000000 bg:#" + "".join(f"{55 + 40 * shade if shade else 0:02x}" for shade in shades)
