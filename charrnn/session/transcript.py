"""The text of a session: entries, the file they go to, and an unsent entry."""

import re
from contextlib import suppress
from pathlib import Path

from charrnn.display.console import write_text
from charrnn.display.format import CONTROL
from charrnn.errors import TextError, UsageError
from charrnn.files import append, replacing
from charrnn.text.blocks import whole

CONTEXT_CHARS = 4000  # maximum characters at the file's end that are context (not tuned)
# Line breaks other than a line feed.
BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")


def clean(text: str) -> str:
    """Return a text with LF line breaks, and no control characters except tabs."""
    return CONTROL.sub("", whole(BREAKS.sub("\n", text)))


class Transcript:
    """The text entered so far, appended to a file; a failed write is tried again later.

    Args:
        path: path of the file; None for no file.

    Attributes:
        text: all entries, each with a line feed.
        earlier: the end of the text that the file held before.
        problem: why entries are missing from the file; "" if none is.

    Raises:
        OSError: the file cannot be written.
        UsageError: `path` is "-", standard output.
    """

    def __init__(self, path: str | None) -> None:
        if path == "-":
            raise UsageError("the session needs standard output for itself", "name a file after -o")
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
        """Add an entry, and write what is not in the file yet."""
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
        """Print what could not be written to the file.

        Raises:
            TextError: some lines could not be written; they were printed instead.
        """
        if self._waiting.strip():
            write_text(self._waiting, end="")
            raise TextError(
                f"cannot write {self._path}: {self.problem}",
                "the missing lines are printed above",
            )


def _end(path: Path) -> str:
    """Return the last CONTEXT_CHARS characters of a file; "" for a pipe or the like."""
    if not path.is_file():
        return ""
    with suppress(OSError), open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 4 * CONTEXT_CHARS))
        return clean(file.read().decode(errors="replace"))[-CONTEXT_CHARS:]
    return ""


class Unsent:
    """An entry being typed when the session was ended from outside, kept for the next session.

    Args:
        output: path of the session's file, beside which the entry is kept; None to keep it in the
            user's state folder.
    """

    def __init__(self, output: str | None) -> None:
        from platformdirs import user_state_path

        named = Path(output) if output else user_state_path("charrnn", appauthor=False) / "session"
        self._path = named.with_name(f"{named.name}.unsent")

    def take(self) -> str:
        """Return the kept text and delete it; "" if there is none."""
        try:
            text = self._path.read_bytes().decode(errors="replace")
            self._path.unlink()
        except OSError:
            return ""
        return clean(text)

    def keep(self, text: str) -> Path | None:
        """Keep a text, readable by the user alone; return its path, or None on failure."""
        if not text.strip():
            return None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path, private=True) as file:
                file.write(text.encode(errors="replace"))
        except OSError:
            return None
        return self._path
