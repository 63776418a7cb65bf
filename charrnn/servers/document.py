"""A document as an editor counts it: in lines, and in code units within a line."""

import io
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

# How many code units a character takes, by the protocol's names of the encodings.
UNITS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda character: len(character.encode(errors="surrogatepass")),
    "utf-16": lambda character: 1 + (character > "\uffff"),
    "utf-32": lambda character: 1,
}
LINE_ENDS = "\r\n"
STEP = 1 << 17  # characters; see Document.before


class Position(NamedTuple):
    """A place in a document.

    Attributes:
        line: index of the line.
        column: index of the character in that line.
    """

    line: int
    column: int


class Document:
    """A text that an editor has open.

    Lines end with LF, CRLF or CR, as the protocol has it, and with nothing else: str.splitlines
    knows eight more ends, each of which would shift all lines after it.

    Args:
        text: all of it.
        encoding: a key of UNITS.
    """

    def __init__(self, text: str, encoding: str) -> None:
        self._lines = _lines(text)
        self._starts = [0]  # characters before each of the first lines, as far as they are known
        self._units = UNITS[encoding]

    @property
    def end(self) -> Position:
        return Position(len(self._lines) - 1, len(self._lines[-1]))

    def line(self, number: int) -> str:
        """Return a line without its end."""
        return self._lines[number].rstrip(LINE_ENDS)

    def position(self, line: int, units: int) -> Position:
        """Return the place that an editor means; what lies outside of the text is its border.

        Args:
            line: index of the line.
            units: code units before the place in that line; within a character, its beginning.
        """
        if line >= len(self._lines):
            return self.end
        text = self.line(line)
        if text.isascii():
            return Position(line, min(units, len(text)))
        ends = accumulate(map(self._units, text))
        return Position(line, next((i for i, end in enumerate(ends) if end > units), len(text)))

    def units(self, place: Position) -> int:
        """Return the code units before a place in its line."""
        return sum(map(self._units, self._lines[place.line][: place.column]))

    def before(self, place: Position) -> str:
        """Return the end of the text before a place, STEP characters at least if there are so many.

        Where it begins stays the same for STEP characters more, so that what has been read of it
        counts while the text is typed on.
        """
        while len(self._starts) <= place.line:
            self._starts.append(self._starts[-1] + len(self._lines[len(self._starts) - 1]))
        count = self._starts[place.line] + place.column
        begin = max(0, count // STEP - 1) * STEP
        first = bisect_right(self._starts, begin, hi=place.line + 1) - 1
        text = "".join(self._lines[first : place.line + 1])
        return text[begin - self._starts[first] : count - self._starts[first]]

    def change(self, start: Position, end: Position, text: str) -> None:
        """Put a text in the place of what stands between two places."""
        first, last = start.line, max(start, end).line
        before = self._lines[first][: start.column]
        after = self._lines[last][max(start, end).column :]
        if first and not before and self._lines[first - 1].endswith("\r"):
            first -= 1  # a line feed that comes to stand behind it belongs to the same line end
            before = self._lines[first]
        new = _lines(before + text + after)
        if last + 1 < len(self._lines) and not new[-1]:
            del new[-1]  # the next line stands there
        self._lines[first : last + 1] = new
        del self._starts[first + 1 :]


def _lines(text: str) -> list[str]:
    """Return the lines of a text with their ends; after the last end there is an empty one."""
    lines = [*io.StringIO(text, newline="")]
    return lines if lines and lines[-1][-1] not in LINE_ENDS else [*lines, ""]
