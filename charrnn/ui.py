"""The only writer to stderr, and how numbers and text are shown."""

import math
import sys


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
