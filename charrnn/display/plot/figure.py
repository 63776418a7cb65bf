"""Figures of several lines: as a chart of a page, and as a plot in the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.display.plot.axes import Axis
from charrnn.display.plot.chart import chart, colour, data, path, text
from charrnn.display.plot.log import Values
from charrnn.display.plot.terminal import Piece, digit, draw


class Line(NamedTuple):
    """One line.

    Attributes:
        name: its name in legends; it may come from a file, and is escaped.
        x: positions on the horizontal axis, [N].
        y: values, NaN where unknown, [N].
    """

    name: str
    x: Values
    y: Values


@dataclass(frozen=True, slots=True)
class Figure:
    """Lines with their axes.

    Attributes:
        title: what is shown.
        unit: unit of the vertical axis.
        below: label of the horizontal axis.
        across: the horizontal axis.
        up: the vertical axis.
        lines: the lines, numbered in the terminal and coloured.
    """

    title: str
    unit: str
    below: str
    across: Axis
    up: Axis
    lines: Sequence[Line]

    def html(self) -> str:
        """Return a chart whose legend names the lines."""
        names = "".join(
            f' <i class="{colour(i)} swatch"></i>{text(line.name)}'
            for i, line in enumerate(self.lines)
        )
        paths = ""
        for i, line in enumerate(self.lines):
            d = path(self.across.at(line.x), 1 - self.up.at(line.y))
            named = f'data-name="{text(line.name)}" data-axis="{data(self.up)}"'
            paths += f'<path class="{colour(i)}" {named} d="{d}"/>\n' if d else ""
        unit = f"{text(self.unit)}, by {text(self.below)}{names}"
        return chart(self.across, text(self.title), unit, [self.up], paths, "")

    def terminal(self, width: int, braille: bool) -> list[Piece]:
        """Return a plot in pieces, and a legend if there are several lines; see terminal.draw."""
        pieces = draw(
            f"{self.title}, {self.unit}",
            [(line.x, line.y) for line in self.lines],
            self.across,
            self.up,
            self.below,
            width,
            braille,
        )
        if len(self.lines) > 1:
            for i, line in enumerate(self.lines):
                pieces.append((f"{digit(i)} {line.name}  ", i))
            pieces.append(("\n", None))
        return pieces


def joined(values: Sequence[Values]) -> Values:
    """Return the values of several lines that can be drawn, for an axis."""
    every: Values = np.concatenate(values)
    every = every[np.isfinite(every)]
    return every
