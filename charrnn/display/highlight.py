"""Text whose background shows how surprising each character was."""

import os
from itertools import groupby
from typing import TextIO

import numpy as np

from charrnn.arrays import LN2, Array
from charrnn.display.format import printable

# Bits per character from which a colour holds: xterm's, light to red, under black letters.
COLOURS = {0.0: None, 1.0: 230, 2.0: 223, 4.0: 216, 6.0: 209, 9.0: 203}
LIMITS = np.array([*COLOURS])[1:] * LN2


def coloured(stream: TextIO) -> bool:
    """Whether colours may be written to a stream."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        stream.isatty() and os.environ.get("TERM") != "dumb"
    )


def shade(text: str, nats: Array) -> str:
    """The text with escape sequences for its colours.

    Args:
        nats: surprise of each character, [len(text)].
    """
    levels = np.searchsorted(LIMITS, nats, side="right").tolist()
    colours = [*COLOURS.values()]
    shaded = ""
    for level, run in groupby(zip(levels, printable(text), strict=True), key=lambda pair: pair[0]):
        part = "".join(c for _, c in run)
        if colours[level] is None:
            shaded += part
        else:
            # A line break within a colour would paint the rest of the line.
            shaded += "\n".join(
                f"\x1b[30;48;5;{colours[level]}m{line}\x1b[0m" if line else ""
                for line in part.split("\n")
            )
    return shaded
