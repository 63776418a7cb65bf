"""Tells how far long work is: one line, rewritten, on a terminal; elsewhere a line now and then."""

import sys
import time
from types import TracebackType
from typing import Self

from charrnn.display.console import Ui
from charrnn.display.format import duration

REWRITE_SECONDS = 0.5  # between two states of the line on a terminal
LINE_SECONDS = 10.0  # between two lines elsewhere,
FIRST_SECONDS = 2.0  # and before the first one, if it will take long


class Working:
    """Tells how much of some work is done.

    Args:
        ui: says it.
        doing: what is done, a word such as "scoring".
        total: characters to work through; None if their number is not known.

    Attributes:
        done: characters that were worked through.
    """

    def __init__(self, ui: Ui, doing: str, total: int | None = None) -> None:
        self._ui = ui
        self._doing = doing
        self._total = total
        self.done = 0.0
        self._on_terminal = sys.stderr.isatty()
        self._line = ""
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def advance(self, chars: float) -> None:
        """Count so many more characters as done; parts of one are allowed."""
        self.done += chars
        now = time.monotonic()
        left = self._left(now)
        pause = REWRITE_SECONDS if self._on_terminal else LINE_SECONDS
        if self._told == self._began and left and left > LINE_SECONDS:
            pause = min(pause, FIRST_SECONDS)
        if self._ui.quiet or now - self._told < pause:
            return
        self._told = now
        line = f"{self._doing}: {self._state(left)}"
        if self._on_terminal:
            # Spaces cover what a longer line leaves; the cursor waits where the next one begins.
            self._write(line.ljust(len(self._line)))
            self._line = line
        else:
            self._ui.note(line)

    def _left(self, now: float) -> float | None:
        """Seconds that the rest will take; None if that is not known."""
        if not self._total or not self.done:
            return None
        return (now - self._began) * (self._total / self.done - 1)

    def _state(self, left: float | None) -> str:
        if not self._total:
            return f"{self.done:,.0f} characters"
        end = "" if left is None else f", {duration(left)} left"
        return f"{self.done / self._total:.0%} done{end}"

    def note(self, message: str) -> None:
        """Say something else."""
        self.clear()
        self._ui.note(message)

    def clear(self) -> None:
        """Take the line off the terminal, before something else is written there."""
        if self._line:
            self._write(" " * len(self._line))
            self._line = ""

    @staticmethod
    def _write(line: str) -> None:
        sys.stderr.write(f"\r{line}\r")
        sys.stderr.flush()
