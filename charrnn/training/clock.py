"""The time that a training has taken."""

import time


class Clock:
    """Measures seconds since a moment, without those in which the process was stopped (Ctrl-Z).

    On Linux and macOS `time.monotonic` itself leaves out the time that the machine sleeps.

    Args:
        began: the moment, as time.monotonic() gave it.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._read = began

    def __call__(self) -> float:
        """Return the seconds since the moment."""
        self._read = time.monotonic()
        return self._read - self._began

    def resumed(self) -> None:
        """Leave out the time since the last reading: the process was stopped."""
        now = time.monotonic()
        self._began += now - self._read
        self._read = now
