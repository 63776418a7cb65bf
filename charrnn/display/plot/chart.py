"""A self-contained HTML page, and charts of lines in SVG for it."""

import json
import math
from collections.abc import Sequence
from html import escape

import numpy as np

from charrnn.display.format import printable
from charrnn.display.page import whole
from charrnn.display.plot.axes import Axis
from charrnn.display.plot.log import Values

POINTS = 1000  # maximum points of a line, so that the page of a day's run stays small (not tuned)
COLOURS = 6  # line colours in page.css
# Attributes of tick labels on the two vertical axes.
LEFT, RIGHT = 'x="-8" text-anchor="end"', 'x="100%" dx="8"'


def page(
    title: str,
    table: str,
    colours: str,
    note: str,
    charts: str,
    samples: str = "",
    above: str = "",
) -> str:
    """Return a page of these parts, all of them HTML.

    Args:
        title: title of the page.
        table: rows of the table at its top.
        colours: legend of the lines.
        note: what the charts show.
        charts: figures, see `chart`.
        samples: what follows them.
        above: what stands above the table.
    """
    return whole(
        "charrnn.display.plot",
        title,
        above=above,
        table=table,
        colours=colours,
        note=note,
        charts=charts,
        samples=samples,
    )


def rows(table: Sequence[dict[str, str]]) -> str:
    """Return a table of texts as HTML rows; the keys of the first row are the header."""
    lines = ["".join(f"<th>{text(name)}</th>" for name in table[0])]
    lines += ["".join(f"<td>{text(fact)}</td>" for fact in row.values()) for row in table]
    return "".join(f"<tr>{line}</tr>\n" for line in lines)


def chart(across: Axis, title: str, unit: str, ups: Sequence[Axis], paths: str, over: str) -> str:
    """Return a figure with one or two vertical axes; "" if there are no lines.

    The lines are drawn in a box of 10,000 units that stretches with the page, unlike the text.
    """
    if not paths:
        return ""
    ticks = ""
    for tick, label in across.ticks:
        at = f"{across.at(tick):.2%}"
        ticks += f'<line class="grid" x1="{at}" x2="{at}" y2="100%"/>'
        ticks += f'<text x="{at}" y="100%" dy="18" text-anchor="middle">{label}</text>'
    for up, place in zip(ups, (LEFT, RIGHT), strict=False):
        for tick, label in up.ticks:
            at = f"{1 - up.at(tick):.2%}"
            ticks += f'<text {place} y="{at}" dy=".35em">{label}</text>'
            if place == LEFT:
                ticks += f'<line class="grid" y1="{at}" x2="100%" y2="{at}"/>'
    return (
        f"<figure><figcaption>{title} <span>{unit}</span></figcaption>\n"
        f'<svg class="plot" role="img" aria-label="{title}" data-axis="{data(across)}">\n'
        f'<rect class="panel" width="100%" height="100%"/>{ticks}\n'
        f'<svg viewBox="0 0 10000 10000" preserveAspectRatio="none">{paths}</svg>\n'
        f'{over}<line class="hair" y2="100%"/></svg><output></output></figure>\n'
    )


def path(x: Values, y: Values) -> str:
    """Return a path, broken where values are missing; of many points the extremes are kept."""
    if len(x) > POINTS:
        lows, highs = (np.where(np.isnan(y), most, y) for most in (np.inf, -np.inf))
        parts = np.array_split(np.arange(len(x)), POINTS // 2)
        kept = [(part[lows[part].argmin()], part[highs[part].argmax()]) for part in parts]
        x, y = x[np.unique(kept)], y[np.unique(kept)]
    steps, pen = "", "M"
    for right, down in zip(10_000 * x, 10_000 * np.clip(y, -9, 9), strict=True):
        known = math.isfinite(right + down)
        steps += f"{pen}{right:.0f} {down:.0f}" if known else ""
        pen = "L" if known else "M"
    return steps


def text(value: str) -> str:
    """Return any text escaped for HTML and XML."""
    return escape(printable(value))


def data(axis: Axis) -> str:
    """Return an axis as JSON for page.js."""
    return escape(json.dumps([axis.low, axis.high, axis.log, axis.unit, axis.suffix]))


def colour(index: int) -> str:
    """Return the class of a line; after COLOURS lines the colours return, dashed."""
    return f"c{index % COLOURS}" + (" again" if index >= COLOURS else "")
