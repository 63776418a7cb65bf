"""A document in an editor's coordinates: lines, and code units within a line."""

import io
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

# Number of code units of a character, by the protocol's name of the encoding.
ENCODINGS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda character: len(character.encode(errors="surrogatepass")),
    "utf-16": lambda character: 1 + (character > "\uffff"),
    "utf-32": lambda _: 1,
}
LINE_ENDS = "\r\n"  # characters that end a line in the protocol
STEP = 1 << 17  # characters; see Document.before (not tuned)


class Position(NamedTuple):
    """A position in a document.

    Attributes:
        line: index of the line.
        column: index of the character in that line.
    """

    line: int
    column: int


class Document:
    """A text that is open in an editor.

    Lines end with LF, CRLF or CR only, as in the protocol: str.splitlines knows eight more line
    ends, each of which would shift all lines after it.

    Args:
        text: the whole text.
        encoding: a key of ENCODINGS.
    """

    def __init__(self, text: str, encoding: str) -> None:
        self._lines = _lines(text)
        self._starts = [0]  # offsets of the first lines, as far as known
        self._units = ENCODINGS[encoding]

    @property
    def end(self) -> Position:
        """Return the position after the last character."""
        return Position(len(self._lines) - 1, len(self._lines[-1]))

    def line(self, number: int) -> str:
        """Return a line without its end."""
        return self._lines[number].rstrip(LINE_ENDS)

    def position(self, line: int, units: int) -> Position:
        """Return the position of an editor's coordinates, moved into the text if outside.

        Args:
            line: index of the line.
            units: code units before the position, rounded down to a whole character.
        """
        if line >= len(self._lines):
            return self.end
        text = self.line(line)
        if text.isascii():
            return Position(line, min(units, len(text)))
        ends = accumulate(map(self._units, text))
        return Position(line, next((i for i, end in enumerate(ends) if end > units), len(text)))

    def units(self, position: Position) -> int:
        """Return the number of code units before a position in its line."""
        return sum(map(self._units, self._lines[position.line][: position.column]))

    def before(self, position: Position) -> str:
        """Return the last STEP or more characters before a position, or all if there are fewer.

        The start moves only once in STEP characters, so that while the user types, the model need
        not read the same text again.
        """
        while len(self._starts) <= position.line:
            self._starts.append(self._starts[-1] + len(self._lines[len(self._starts) - 1]))
        count = self._starts[position.line] + position.column
        begin = max(0, count // STEP - 1) * STEP
        first = bisect_right(self._starts, begin, hi=position.line + 1) - 1
        text = "".join(self._lines[first : position.line + 1])
        return text[begin - self._starts[first] : count - self._starts[first]]

    def change(self, start: Position, end: Position, text: str) -> None:
        """Replace the text between two positions."""
        first, last = start.line, max(start, end).line
        before = self._lines[first][: start.column]
        after = self._lines[last][max(start, end).column :]
        if first and not before and self._lines[first - 1].endswith("\r"):
            first -= 1  # a line feed at the start of the text would belong to that line's end
            before = self._lines[first]
        new = _lines(before + text + after)
        if last + 1 < len(self._lines) and not new[-1]:
            del new[-1]  # the next line follows there
        self._lines[first : last + 1] = new
        del self._starts[first + 1 :]


def _lines(text: str) -> list[str]:
    """Return the lines of a text with their ends; the last one has none, and may be empty."""
    lines = [*io.StringIO(text, newline="")]
    return lines if lines and lines[-1][-1] not in LINE_ENDS else [*lines, ""]
