"""The one way out to the user: what is printed, and how numbers and text are shown.

A text, a file name or a model may come from a stranger, so no command prints by itself: messages go
through `Ui`, data through `write_text` and `write_json`, and none of them lets a character through
that steers a terminal. (`generate` alone writes text as it is, where no terminal reads it.)
"""

import json
import os
import re
import sys
from contextlib import suppress
from typing import IO, Any, TextIO

STDERR = 2
LONGEST = 1000  # characters of an error or warning; of a longer one both ends are shown,
ENDS = 600, 300  # so many characters of each
# What steers a terminal, or turns the text around: all control characters but tab and line feed,
# the separators of lines and paragraphs, and changes of direction. The others are no characters.
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


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


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str) -> str:
    """Return the text with each control character shown as a dot; it stays as long as it was."""
    return CONTROL.sub("·", text)


def in_one_line(message: str) -> str:
    """Return a message without line breaks, its middle cut out if it is very long."""
    line = " ".join(message.split())
    first, last = ENDS
    return line if len(line) <= LONGEST else f"{line[:first]} ... {line[-last:]}"


def to_json(value: Any) -> str:
    """Return a value as JSON in one line, each control character in it escaped."""
    line = json.dumps(value, ensure_ascii=False)
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def write_text(text: str, end: str = "\n") -> None:
    """Write text for people, or words, to standard output; see `printable`."""
    print(printable(text), end=end, flush=True)


def write_coloured(text: str) -> None:
    """Write text that holds colours of our own, and is `printable` apart from them."""
    print(text, flush=True)


def write_json(value: Any) -> None:
    """Write a value to standard output; see `to_json`."""
    print(to_json(value), flush=True)
