"""Text with a background that shows a value of each character, such as its surprisal."""

import os
from collections.abc import Sequence
from itertools import groupby
from typing import TextIO

import numpy as np

from charrnn.arrays import LN2, Array
from charrnn.display.format import printable

# Minimum bits per character of each background colour (xterm's, light to red; not tuned).
COLOURS = {0.0: None, 1.0: 230, 2.0: 223, 4.0: 216, 6.0: 209, 9.0: 203}
LIMIT_NATS = np.array([*COLOURS])[1:] * LN2  # the same in nats


def coloured(stream: TextIO) -> bool:
    """Return whether colours may be written to a stream."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        stream.isatty() and os.environ.get("TERM") != "dumb"
    )


def shade(text: str, nats: Array) -> str:
    """Return a text with escape sequences that colour its background.

    Args:
        text: the text; its control characters are shown as dots.
        nats: surprisal of each character, [len(text)].
    """
    levels = np.searchsorted(LIMIT_NATS, nats, side="right")
    return painted(text, levels.tolist(), [*COLOURS.values()])


def painted(text: str, levels: Sequence[int], colours: Sequence[int | None]) -> str:
    """Return a text with escape sequences that give each character a background.

    Args:
        text: the text; its control characters are shown as dots.
        levels: index of each character's colour, [len(text)].
        colours: xterm's colours; None for no background.
    """
    shaded = ""
    for level, run in groupby(zip(levels, printable(text), strict=True), key=lambda pair: pair[0]):
        part = "".join(c for _, c in run)
        if colours[level] is None:
            shaded += part
        else:
            # A line break inside a colour would paint the rest of the line.
            shaded += "\n".join(
                f"\x1b[30;48;5;{colours[level]}m{line}\x1b[0m" if line else ""
                for line in part.split("\n")
            )
    return shaded
