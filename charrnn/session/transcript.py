"""The text of a session: what was entered, where it is written, and what was still being typed."""

import re
from contextlib import suppress
from pathlib import Path

from charrnn.display.console import write_text
from charrnn.display.format import CONTROL
from charrnn.errors import TextError, UsageError
from charrnn.files import append, replacing
from charrnn.text.blocks import whole

CONTEXT = 4000  # characters at the end of the file that count as typed before
BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")


def clean(text: str) -> str:
    """A text as it may be shown and kept: of control characters, tabs and line breaks alone."""
    return CONTROL.sub("", whole(BREAKS.sub("\n", text)))


class Transcript:
    """The text that was entered, at the end of a file too; what cannot be written now waits.

    Args:
        path: of the file, or None for none.

    Attributes:
        text: all that was entered.
        earlier: the end of what the file held before.
        problem: why it is not all in the file.

    Raises:
        OSError: the file cannot be written.
        UsageError: it is no file.
    """

    def __init__(self, path: str | None) -> None:
        if path == "-":
            raise UsageError("the session needs standard output itself", "name a file after -o")
        self._path = Path(path) if path else None
        self._waiting = ""
        self.text = self.earlier = self.problem = ""
        if self._path:
            with open(self._path, "ab"):
                pass
            self.earlier = _end(self._path)
            if self.earlier and not self.earlier.endswith("\n"):
                self.earlier += "\n"
                self._waiting = "\n"

    def add(self, entry: str) -> None:
        self.text += entry + "\n"
        if not self._path:
            return
        self._waiting += entry + "\n"
        try:
            append(self._path, self._waiting)
        except OSError as error:
            self.problem = error.strerror or str(error)
        else:
            self._waiting = self.problem = ""

    def close(self) -> None:
        """Call at the end.

        Raises:
            TextError: some lines could not be written; they go to standard output instead.
        """
        if self._waiting.strip():
            write_text(self._waiting, end="")
            raise TextError(
                f"cannot write {self._path}: {self.problem}", "the lines it lacks stand above"
            )


def _end(path: Path) -> str:
    """The last CONTEXT characters of a file; nothing of what cannot be read, such as a pipe."""
    if not path.is_file():
        return ""
    with suppress(OSError), open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 4 * CONTEXT))
        return clean(file.read().decode(errors="replace"))[-CONTEXT:]
    return ""


class Unsent:
    """The text that was being typed when a session was ended from outside, kept for the next one.

    Args:
        output: the file of the session's text, beside which it is kept; None for none, then it is
            kept in the user's folder for the state of programs.
    """

    def __init__(self, output: str | None) -> None:
        from platformdirs import user_state_path

        named = Path(output) if output else user_state_path("charrnn", appauthor=False) / "session"
        self._path = named.with_name(f"{named.name}.unsent")

    def take(self) -> str:
        """What is kept, once; empty if there is nothing."""
        try:
            text = self._path.read_bytes().decode(errors="replace")
            self._path.unlink()
        except OSError:
            return ""
        return clean(text)

    def keep(self, text: str) -> Path | None:
        """Keep a text, readable by the user alone; where, or None if it cannot be kept."""
        if not text.strip():
            return None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path, private=True) as file:
                file.write(text.encode(errors="replace"))
        except OSError:
            return None
        return self._path
