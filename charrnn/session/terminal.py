"""The user's terminal and settings before a session begins."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Signals that end a session; on Windows an event loop cannot wait for any.
ENDINGS = (signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else ()


@contextmanager
def unechoed() -> Iterator[None]:
    """Turn off the echo of typed keys, as a starting session shows them itself."""
    try:
        import termios
    except ImportError:  # Windows has no termios, and no echo
        yield
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(number, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal may be closed
            termios.tcsetattr(number, termios.TCSANOW, before)


def prefers_vi() -> bool:
    """Return whether readline's settings, $INPUTRC or ~/.inputrc, choose vi mode."""
    path = Path(os.environ.get("INPUTRC") or Path.home() / ".inputrc")
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    settings = [line.split()[2:3] for line in lines if line.split()[:2] == ["set", "editing-mode"]]
    return settings[-1:] == [["vi"]]
