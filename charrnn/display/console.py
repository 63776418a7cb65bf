"""The one way out to the user: what is printed.

A text, a file name or a model may come from a stranger, so no command prints by itself: messages go
through `Ui`, data through `write_text` and `write_json`, and none of them lets a character through
that steers a terminal. (`generate` alone writes text as it is, where no terminal reads it.)
"""

import os
import sys
from contextlib import suppress
from typing import IO, Any, TextIO

from charrnn.display.format import in_one_line, printable, to_json

STDERR = 2


class Ui:
    """Speaks to the user.

    Args:
        quiet: say nothing but errors.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def error(self, message: str) -> None:
        self._print(f"charrnn: error: {in_one_line(message)}")

    def warn(self, message: str) -> None:
        if not self.quiet:
            self._print(f"charrnn: warning: {in_one_line(message)}")

    def note(self, message: str = "") -> None:
        if not self.quiet:
            self._print(message)

    def _print(self, message: str) -> None:
        # A terminal of few characters shows a question mark rather than a traceback.
        encoding = sys.stderr.encoding or "utf-8"
        shown = printable(message).encode(encoding, "replace").decode(encoding)
        # (In one piece, as another thread may end the command or speak meanwhile.)
        print(f"{shown}\n", end="", file=sys.stderr, flush=True)


class Unbroken:
    """A stream such as stderr that nobody may read any more: what fails to be written is lost.

    A closed terminal, a pipe without a reader or a full disk behind it must not end a command whose
    results go elsewhere.

    Args:
        stream: the stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            devnull(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            devnull(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def devnull(stream: IO[Any]) -> None:
    """Send what a stream holds back, and all that is written to it later, nowhere."""
    try:
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
    except (OSError, ValueError):  # it is no file, or closed
        pass


def write_raw(text: str) -> None:
    """Write to standard error at once, past all buffers: safe in a signal handler."""
    with suppress(OSError):
        os.write(STDERR, text.encode())


def write_text(text: str, end: str = "\n") -> None:
    """Write text for people, or words, to standard output; see `printable`."""
    print(printable(text), end=end, flush=True)


def write_coloured(text: str) -> None:
    """Write text that holds colours of our own, and is `printable` apart from them."""
    print(text, flush=True)


def write_json(value: Any) -> None:
    """Write a value to standard output; see `to_json`."""
    print(to_json(value), flush=True)
