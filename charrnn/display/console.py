"""The only way to print: messages to standard error, data to standard output.

A text, a file name or a model may come from a stranger, so no command prints by itself. Messages go
through `Ui`, data through `write_text` and `write_json`; none of them writes a character that
controls a terminal. (`generate` alone writes text unchanged, unless to a terminal.)
"""

import os
import sys
from contextlib import suppress
from typing import IO, Any, TextIO

from charrnn.display.format import in_one_line, printable, to_json

STDERR = 2  # file descriptor of standard error


class Ui:
    """Prints messages to standard error.

    Args:
        quiet: whether to print errors only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def error(self, message: str) -> None:
        """Print an error in one line."""
        self._print(f"charrnn: error: {in_one_line(message)}")

    def warn(self, message: str) -> None:
        """Print a warning in one line, unless quiet."""
        if not self.quiet:
            self._print(f"charrnn: warning: {in_one_line(message)}")

    def note(self, message: str = "") -> None:
        """Print a message, unless quiet."""
        if not self.quiet:
            self._print(message)

    def _print(self, message: str) -> None:
        # A character outside the terminal's encoding becomes a question mark, not a traceback.
        encoding = sys.stderr.encoding or "utf-8"
        shown = printable(message).encode(encoding, "replace").decode(encoding)
        # In one write, as another thread may print or end the command meanwhile.
        print(f"{shown}\n", end="", file=sys.stderr, flush=True)


class Unbroken:
    """A wrapper that ignores the write errors of a stream.

    A closed terminal, a pipe without a reader or a full disk must not end a command whose results
    go elsewhere.

    Args:
        stream: the stream to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or discard it; return its length."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            devnull(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush the stream; discard its buffer if that fails."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            devnull(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def devnull(stream: IO[Any]) -> None:
    """Discard a stream's buffer, and all that is written to it later."""
    try:
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
    except (OSError, ValueError):  # not a file, or closed
        pass


def write_raw(text: str) -> None:
    """Write to standard error without a buffer; safe in a signal handler."""
    with suppress(OSError):
        os.write(STDERR, text.encode())


def write_text(text: str, end: str = "\n") -> None:
    """Write text to standard output, control characters shown as dots."""
    print(printable(text), end=end, flush=True)


def write_coloured(text: str) -> None:
    """Write text with escape sequences from `highlight.shade` to standard output."""
    print(text, flush=True)


def write_json(value: Any) -> None:
    """Write a value to standard output as JSON in one line."""
    print(to_json(value), flush=True)
