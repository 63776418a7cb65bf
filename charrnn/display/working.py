"""Progress of long work: a line rewritten in place on a terminal, occasional lines elsewhere."""

import sys
import time
from typing import Self

from charrnn.display.console import Ui
from charrnn.display.format import duration
from charrnn.events import LINE_SECONDS

REWRITE_SECONDS = 0.5  # seconds between updates of the line on a terminal (not tuned)
FIRST_SECONDS = 2.0  # seconds to the first line, if the work takes LINE_SECONDS (not tuned)


class Working:
    """Shows the progress of some work.

    Args:
        ui: prints the progress.
        doing: name of the work, such as "scoring".
        total: number of characters, or of other units, to process; None if unknown.
        units: name of other units, whose number and rate are then shown.

    Attributes:
        done: number processed so far.
    """

    def __init__(self, ui: Ui, doing: str, total: int | None = None, units: str = "") -> None:
        self._ui = ui
        self._doing = doing
        self._total = total
        self._units = units
        self.done = 0.0
        self._on_terminal = sys.stderr.isatty()
        self._line = ""
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def advance(self, count: float) -> None:
        """Add to the number processed, in fractions if need be."""
        self.done += count
        now = time.monotonic()
        left = self._left(now)
        pause = REWRITE_SECONDS if self._on_terminal else LINE_SECONDS
        if self._told == self._began and left and left > LINE_SECONDS:
            pause = min(pause, FIRST_SECONDS)
        if self._ui.quiet or now - self._told < pause:
            return
        self._told = now
        line = f"{self._doing}: {self._state(now, left)}"
        if self._on_terminal:
            # Spaces erase the rest of a longer line; the cursor returns to the line's start.
            self._write(line.ljust(len(self._line)))
            self._line = line
        else:
            self._ui.note(line)

    def _left(self, now: float) -> float | None:
        """Return an estimate of the seconds left; None if unknown."""
        if not self._total or not self.done:
            return None
        return (now - self._began) * (self._total / self.done - 1)

    def _state(self, now: float, left: float | None) -> str:
        if not self._total:
            return f"{self.done:,.0f} characters"
        end = "" if left is None else f", {duration(left)} left"
        if self._units:
            rate = self.done / max(1e-9, now - self._began)
            shown = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1g}"
            return f"{self.done:,.0f} of {self._total:,} {self._units}, {shown}/s{end}"
        return f"{self.done / self._total:.0%} done{end}"

    def note(self, message: str) -> None:
        """Print another message."""
        self.clear()
        self._ui.note(message)

    def clear(self) -> None:
        """Erase the line, before something else is written to the terminal."""
        if self._line:
            self._write(" " * len(self._line))
            self._line = ""

    @staticmethod
    def _write(line: str) -> None:
        sys.stderr.write(f"\r{line}\r")
        sys.stderr.flush()
