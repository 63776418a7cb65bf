"""A loss curve for the terminal, in braille characters or ASCII."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from charrnn.display.format import printable
from charrnn.display.plot.axes import Axis, loss_axis, x_axis
from charrnn.display.plot.log import AXES, Log, Values

HEIGHT = 12  # lines of the plot (not tuned)
# The bit of each dot in a braille character, U+2800 to U+28FF.
BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
DIGITS = "123456789abcdefghijklmnopqrstuvwxyz"  # labels of runs
Piece = tuple[str, int | None]  # text, and the index of the run that it belongs to


def curve(runs: Sequence[Log], by: str, width: int = 60, braille: bool = True) -> list[Piece]:
    """Draw the loss on the held-out text, or on the training text for runs without any.

    Args:
        runs: the runs; if there are several, each curve ends with the run's label.
        by: the horizontal axis, a key of log.AXES.
        width: columns of the plot.
        braille: whether to use braille characters instead of ASCII.

    Returns:
        The plot in pieces.
    """
    lines = [run.losses(by) for run in runs]
    if not any(np.isfinite(y).any() for _, y in lines):
        return [("nothing to draw yet\n", None)]
    up = loss_axis(runs, by, HEIGHT // 2)
    across = x_axis(runs, by, max(2, (width - _margin(up)) // 10))
    title = "held-out text, bits/char"
    without = [run.name for run in runs if not run.held_out]
    if len(without) == len(runs):
        title = f"training text, bits/char ({runs[0].unscored})"
    elif without:
        title += f"; training text without validation: {', '.join(without)}"
    return draw(title, lines, across, up, AXES[by][1], width, braille)


def draw(
    title: str,
    lines: Sequence[tuple[Values, Values]],
    across: Axis,
    up: Axis,
    below_it: str,
    width: int = 60,
    braille: bool = True,
) -> list[Piece]:
    """Draw lines in one plot.

    Args:
        title: title of the plot.
        lines: x and y of each line, NaN where unknown; of several, each ends with its label.
        across: the horizontal axis.
        up: the vertical axis.
        below_it: label of the horizontal axis.
        width: columns of the plot.
        braille: whether to use braille characters instead of ASCII.

    Returns:
        The plot in pieces.
    """
    margin = _margin(up)
    cells = width - margin
    bar, corner, floor = "│└─" if braille else "|+-"
    labels = {round((1 - float(up.at(tick))) * (HEIGHT - 1)): label for tick, label in up.ticks}
    pieces: list[Piece] = [(f"{printable(title)}\n", None)]
    for i, row in enumerate(_rows([(across.at(x), up.at(y)) for x, y in lines], cells, braille)):
        pieces += [(labels.get(i, "").rjust(margin - 1) + bar, None), *row, ("\n", None)]
    below = ""
    for tick, label in across.ticks:
        start = margin + round(float(across.at(tick)) * (cells - 1)) - len(label) // 2
        if not below or start > len(below):
            below = below.ljust(start)[: width - len(label)] + label
    foot = [(corner + floor * cells).rjust(width), below, below_it.rjust(width)]
    return [*pieces, ("\n".join(foot) + "\n", None)]


def _margin(up: Axis) -> int:
    """Return the columns that the labels of a vertical axis take."""
    return max(len(label) for _, label in up.ticks) + 2


def digit(index: int) -> str:
    """Return the label of a run."""
    return DIGITS[index % len(DIGITS)]


def _rows(lines: Sequence[tuple[Values, Values]], width: int, braille: bool) -> list[list[Piece]]:
    """Return curves, given as positions from 0 to 1, as rows of characters."""
    tall, wide = BRAILLE.shape if braille else (1, 1)
    dots = np.zeros((HEIGHT, tall, width, wide), bool)
    rows: list[list[Piece]] = [[(" ", None)] * width for _ in range(HEIGHT)]
    ends: dict[tuple[int, int], Piece] = {}
    for index, (x, y) in enumerate(lines):
        line = _dots(x, y, HEIGHT * tall, width * wide).reshape(dots.shape)
        dots |= line
        codes = 0x2800 + (dots * BRAILLE[:tall, None, :wide]).sum(axis=(1, 3))
        plain = "*" if len(lines) == 1 else digit(index)
        column, row = -1, 0
        for column, row in np.argwhere(line.any(axis=(1, 3)).T).tolist():
            rows[row][column] = (chr(codes[row, column]) if braille else plain, index)
        while (row, column) in ends:
            column -= 1
        if column >= 0 and len(lines) > 1:
            ends[row, column] = digit(index), index
    for (row, column), piece in ends.items():
        rows[row][column] = piece
    return rows


def _dots(x: Values, y: Values, height: int, width: int) -> NDArray[np.bool_]:
    """Return a curve, given as positions from 0 to 1, on a canvas, bool [height, width]."""
    canvas = np.zeros((height, width), bool)
    known = np.isfinite(x + y)
    x, y = x[known], y[known]
    if x.size:
        first, last = np.rint(np.clip(x[[0, -1]], 0, 1) * (width - 1)).astype(int)
        columns = np.arange(first, last + 1)
        rows = (1 - np.interp(columns / (width - 1), x, y)) * (height - 1)
        rows = np.rint(np.clip(rows, -1, height)).astype(int)
        for column, row, before in zip(columns, rows, [*rows[:1], *rows], strict=False):
            canvas[max(0, min(row, before)) : max(row, before) + 1, column] = True
    return canvas
