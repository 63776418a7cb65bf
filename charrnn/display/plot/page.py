"""A self-contained HTML page: a table of runs, charts, and samples."""

import json
import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from charrnn.arrays import LN2, bits
from charrnn.display.format import printable
from charrnn.display.plot.axes import SHARES, Axis, log_axis, loss_axis, x_axis, zero_axis
from charrnn.display.plot.log import AXES, Log, Row, Values, number, shown, time_shown

POINTS = 1000  # maximum points of a line, so that the page of a day's run stays small (not tuned)
DOTS = 200  # maximum events of a kind marked for each run (not tuned)
SAMPLES = 40  # maximum samples shown for each run (not tuned)
COLOURS = 6  # line colours in page.css
# Attributes of tick labels on the two vertical axes.
LEFT, RIGHT = 'x="-8" text-anchor="end"', 'x="100%" dx="8"'
GLYPHS = {  # mark of each event on a dashed line, and its legend
    "resume": ("▸", "resumed"),
    "rollback": ("◂", "rolled back"),
    "skip": ("✕", "step skipped"),
    "overfit": ("▴", "overfitting begins"),
}


def html(runs: Sequence[Log], by: str = "seconds", above: str = "") -> str:
    """Return the page.

    Args:
        runs: the runs.
        by: the charts' horizontal axis, a key of log.AXES.
        above: HTML to show above the table of the runs.
    """
    page, style, script = (
        (files("charrnn.display.plot") / f"page.{kind}").read_text("utf-8")
        for kind in ("html", "css", "js")
    )
    colours = [
        f'<b><i class="{_colour(i)} swatch"></i>{_text(run.name)}</b>' for i, run in enumerate(runs)
    ]
    marked = [
        f"; {glyph} {what}"
        for event, (glyph, what) in GLYPHS.items()
        if any(run.rows[event] for run in runs)
    ]
    unfold = 'open=""' if len(runs) == 1 else ""
    return Template(page).substitute(
        title=_text(", ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs"),
        style=style,
        above=above,
        table=_table(runs),
        colours="".join(colours) if len(runs) > 1 else "",
        across=AXES[by][1],
        marked="".join(marked),
        charts=_charts(runs, by) or "Nothing to draw yet.",
        samples="".join(_samples(run, unfold) for run in runs),
        script=script,
    )


def _table(runs: Sequence[Log]) -> str:
    rows = [_facts(run) for run in runs]
    lines = ["".join(f"<th>{name}</th>" for name in rows[0])]
    lines += ["".join(f"<td>{_text(fact)}</td>" for fact in row.values()) for row in rows]
    return "".join(f"<tr>{line}</tr>\n" for line in lines)


def _facts(run: Log) -> dict[str, str]:
    start, nats, part = run.last("start"), run.best_nats, run.number("done", "val_part")
    nested = [value for value in start.values() if isinstance(value, dict)]
    known = {name: value for part in (start, *nested) for name, value in part.items()}
    return {
        "run": run.name,
        "level": str(known.get("level", "-")),
        "network": "{}, {} x {}".format(*(known.get(f, "-") for f in ("cell", "layers", "hidden"))),
        "parameters": shown(run.number("start", "parameters")),
        "training characters": shown(run.number("start", "train_chars")),
        "dropout": str(known.get("dropout", "-")),
        "held out, bits/char": shown(bits(nats), 3) + (f" ({part:.2%} scored)" if part < 1 else ""),
        "nats/char": shown(nats, 4),
        "steps": shown(run.total("steps")),
        "tokens": shown(run.total("tokens")),
        "time": time_shown(run.total("seconds")),
        "end": run.end,
    }


def _charts(runs: Sequence[Log], by: str) -> str:
    def values(field: str) -> Values:
        return np.concatenate([run.column("step", field) for run in runs])

    def lines(up: Axis, event: str, field: str, name: str, style: str = "") -> str:
        unit, paths = (LN2 if up is loss else 1.0), ""
        for i, run in enumerate(runs):
            d = _path(across.at(run.x(event, by)), 1 - up.at(run.column(event, field) / unit))
            label = _text(name if len(runs) == 1 else f"{run.name}, {name}")
            names = f'class="{_colour(i)} {style}" data-name="{label}" data-axis="{_data(up)}"'
            paths += f'<path {names} d="{d}"/>\n' if d else ""
        return paths

    across = x_axis(runs, by)
    loss = loss_axis(runs, by, 8, (values("loss") / LN2).tolist())
    rate, speed = zero_axis(values("lr")), zero_axis(values("tokens_per_second"))
    norm = log_axis(values("norm"))
    losses = lines(loss, "step", "loss", "training", "thin")
    losses += lines(loss, "validation", "val_nats", "held out")
    rates = lines(rate, "step", "lr", "learning rate")
    norms = lines(norm, "step", "norm", "before clipping")
    norms += lines(SHARES, "step", "clipped", "clipped", "share")
    speeds = lines(speed, "step", "tokens_per_second", "tokens/s")
    marks, dots = _marks(runs, by, across), _dots(runs, by, across, loss)
    charts = [
        ("Loss", "bits per character", [loss], losses, marks + dots),
        ("Learning rate", "", [rate], rates, marks),
        ("Gradient norm", "dotted: share of steps clipped", [norm, SHARES], norms, marks),
        ("Speed", "tokens per second", [speed], speeds, marks),
    ]
    return "".join(_chart(across, *chart) for chart in charts)


def _chart(across: Axis, title: str, unit: str, ups: Sequence[Axis], paths: str, over: str) -> str:
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
        f'<svg class="plot" role="img" aria-label="{title}" data-axis="{_data(across)}">\n'
        f'<rect class="panel" width="100%" height="100%"/>{ticks}\n'
        f'<svg viewBox="0 0 10000 10000" preserveAspectRatio="none">{paths}</svg>\n'
        f'{over}<line class="hair" y2="100%"/></svg><output></output></figure>\n'
    )


def _path(x: Values, y: Values) -> str:
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


def _dots(runs: Sequence[Log], by: str, across: Axis, up: Axis) -> str:
    """Return a dot for each validation and a ring for the final score, with tooltips."""
    dots = ""
    for index, run in enumerate(runs):
        for event, style, radius in (("validation", "", 3), ("done", " ring", 5)):
            for x, row in _placed(run, event, by, across):
                score, title = number(row.get("val_nats")), "final score"
                if event == "validation":
                    title = f"step {shown(row.get('step'))}, {time_shown(row.get('seconds'))}"
                y = 1 - up.at(bits(score))
                if 0 <= y <= 1:
                    dots += (
                        f'<circle class="{_colour(index)}{style}" r="{radius}" cx="{x:.2%}" '
                        f'cy="{y:.2%}"><title>{_text(run.name)}, {title}: {score:.4f} nats/char = '
                        f"{bits(score):.3f} bits/char</title></circle>\n"
                    )
    return dots


def _marks(runs: Sequence[Log], by: str, across: Axis) -> str:
    """Return marks for the events in GLYPHS, with tooltips."""
    marks = ""
    for index, run in enumerate(runs):
        for event, (glyph, what) in GLYPHS.items():
            for x, row in _placed(run, event, by, across):
                at = f"step {shown(row.get('step'))}"
                if event == "rollback":
                    rate = number(row.get("lr"))
                    at = f"step {shown(row.get('from'))} to {at}, learning rate {rate:.2g}"
                marks += (
                    f'<g class="mark {_colour(index)}"><title>{_text(run.name)}: {what}, {at}'
                    f'</title><line x1="{x:.2%}" x2="{x:.2%}" y2="100%"/>'
                    f'<text x="{x:.2%}" dy="-5" text-anchor="middle">{glyph}</text></g>\n'
                )
    return marks


def _placed(run: Log, event: str, by: str, across: Axis) -> list[tuple[float, Row]]:
    """Return at most DOTS events on the axis, and their positions from 0 to 1."""
    placed = zip(across.at(run.x(event, by)).tolist(), run.rows[event], strict=True)
    return _evenly([(x, row) for x, row in placed if 0 <= x <= 1], DOTS)


def _samples(run: Log, unfold: str) -> str:
    """Return the samples written during training, each with the score at that time."""
    samples = ""
    for row in _evenly(run.rows["sample"], SAMPLES):
        when = f"step {shown(row.get('step'))}, {time_shown(row.get('seconds'))}"
        if not math.isnan(nats := number(row.get("val_nats"))):
            when += f", held out {bits(nats):.3f} bits/char"
        written = _text(str(row.get("text")))
        samples += f'<div><p>{when}</p><pre dir="auto">{written}</pre></div>\n'
    title = f"{_text(run.name)}: samples during training"
    whole = f'<summary>{title}</summary>\n<div class="samples">{samples}</div>'
    return f"<details {unfold}>{whole}</details>\n" if samples else ""


def _evenly(rows: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` rows, evenly spaced, always with the first and the last."""
    places = np.linspace(0, len(rows) - 1, min(most, len(rows)))
    return [rows[round(place)] for place in places]


def _text(value: str) -> str:
    """Return any text escaped for HTML and XML."""
    return escape(printable(value))


def _data(axis: Axis) -> str:
    """Return an axis as JSON for page.js."""
    return escape(json.dumps([axis.low, axis.high, axis.log, axis.unit, axis.suffix]))


def _colour(index: int) -> str:
    return f"c{index % COLOURS}" + (" again" if index >= COLOURS else "")
