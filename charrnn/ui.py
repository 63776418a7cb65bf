"""The only writer to stderr, and how numbers and text are shown."""

import math
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

STDERR = 2


class Ui:
    """Speaks to the user.

    Args:
        quiet: say nothing but errors.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def error(self, message: str) -> None:
        self._print(f"charrnn: error: {message}")

    def warn(self, message: str) -> None:
        if not self.quiet:
            self._print(f"charrnn: warning: {message}")

    def note(self, message: str = "") -> None:
        if not self.quiet:
            self._print(message)

    def _print(self, message: str) -> None:
        # A terminal of few characters shows a question mark rather than a traceback.
        encoding = sys.stderr.encoding or "utf-8"
        print(message.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)


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


def devnull(stream: TextIO) -> None:
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


def bits(nats: float) -> float:
    return nats / math.log(2)


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str) -> str:
    """The text with control characters, which a model may have learned, shown as a dot."""
    return "".join(c if c.isprintable() or c in "\n\t" else "·" for c in text)
