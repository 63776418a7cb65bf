"""A self-contained HTML page: a table of runs, charts, and samples."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.arrays import LN2, bits
from charrnn.display.plot.axes import SHARES, Axis, log_axis, loss_axis, x_axis, zero_axis
from charrnn.display.plot.chart import chart, colour, data, page, path, rows, text
from charrnn.display.plot.log import AXES, Log, Row, Values, number, shown, time_shown

DOTS = 200  # maximum events of a kind marked for each run (not tuned)
SAMPLES = 40  # maximum samples shown for each run (not tuned)
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
    colours = [
        f'<b><i class="{colour(i)} swatch"></i>{text(run.name)}</b>' for i, run in enumerate(runs)
    ]
    marked = [
        f"; {glyph} {what}"
        for event, (glyph, what) in GLYPHS.items()
        if any(run.rows[event] for run in runs)
    ]
    unfold = 'open=""' if len(runs) == 1 else ""
    note = (
        f"Horizontal axis: {AXES[by][1]}. Thick lines: held-out text; thin: training text (running "
        "average); ring: the best model's final score, which may cover more of the held-out text"
        f"{''.join(marked)}."
    )
    return page(
        title=text(", ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs"),
        table=rows([_facts(run) for run in runs]),
        above=above,
        colours="".join(colours) if len(runs) > 1 else "",
        note=note,
        charts=_charts(runs, by) or "Nothing to draw yet.",
        samples="".join(_samples(run, unfold) for run in runs),
    )


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
            d = path(across.at(run.x(event, by)), 1 - up.at(run.column(event, field) / unit))
            label = text(name if len(runs) == 1 else f"{run.name}, {name}")
            names = f'class="{colour(i)} {style}" data-name="{label}" data-axis="{data(up)}"'
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
    return "".join(chart(across, *row) for row in charts)


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
                        f'<circle class="{colour(index)}{style}" r="{radius}" cx="{x:.2%}" '
                        f'cy="{y:.2%}"><title>{text(run.name)}, {title}: {score:.4f} nats/char = '
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
                    f'<g class="mark {colour(index)}"><title>{text(run.name)}: {what}, {at}'
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
        written = text(str(row.get("text")))
        samples += f'<div><p>{when}</p><pre dir="auto">{written}</pre></div>\n'
    title = f"{text(run.name)}: samples during training"
    whole = f'<summary>{title}</summary>\n<div class="samples">{samples}</div>'
    return f"<details {unfold}>{whole}</details>\n" if samples else ""


def _evenly(rows: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` rows, evenly spaced, always with the first and the last."""
    places = np.linspace(0, len(rows) - 1, min(most, len(rows)))
    return [rows[round(place)] for place in places]
