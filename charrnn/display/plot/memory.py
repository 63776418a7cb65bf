"""What `memory` measured, as figures for the terminal and a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.display.plot.axes import SHARES, Axis, even_axis, log_axis
from charrnn.display.plot.chart import page, rows, text
from charrnn.display.plot.figure import Figure, Line, joined

LEAST = 1e-6  # smallest share of a first value that a chart shows (not tuned)
BACK = "tokens back"
Run = dict[str, Any]  # what --json prints of a run or of a cell


def figures(runs: Sequence[Run]) -> list[Figure]:
    """Return the figures of some runs: gradient, influence, context and gates.

    Args:
        runs: what --json prints of each run.
    """
    several = len(runs) > 1

    def named(run: Run, *names: str) -> str:
        return ", ".join([run["run"]] * several + list(filter(None, names))) or run["run"]

    gradients, influences, contexts, gates = [], [], [], []
    for run in runs:
        for row in run["gradient"]:
            state = row["state"] if len({row["state"] for row in run["gradient"]}) > 1 else "hidden"
            norms = _line(row["norm"])
            name = named(run, f"layer {row['layer']} {state}")
            gradients.append(Line(name, np.arange(len(norms), dtype=float), norms))
        found = run["influence"]
        influences.append(Line(named(run), _line(found["k"]), _line(found["kl_nats"])))
        found = run["context"]
        contexts.append(Line(named(run, "network"), _line(found["k"]), _line(found["bpc"])))
        if found["bpc_ngrams"] is not None:
            line = _line(found["bpc_ngrams"])
            contexts.append(Line(named(run, "its n-grams alone"), _line(found["k"]), line))
        for gate in run["gates"]:
            if gate["shares"] is not None:
                shares = _line(gate["shares"])
                centres = (np.arange(len(shares)) + 0.5) / len(shares)
                name = named(run, f"layer {gate['layer']} {gate['gate']}")
                gates.append(Line(name, centres, shares))
    first = max(line.y[0] for line in influences)
    drawn = [
        Figure(
            "Gradient of the loss",
            "norm relative to that at the position itself",
            BACK,
            even_axis(0.0, max(float(line.x[-1]) for line in gradients)),
            _log(joined([line.y for line in gradients]), LEAST),
            gradients,
        ),
        Figure(
            "Influence of a token",
            "divergence if it is replaced, nats",
            BACK,
            log_axis(joined([line.x for line in influences])),
            _log(joined([line.y for line in influences]), LEAST * first),
            influences,
        ),
        Figure(
            "What context buys",
            "bits per character",
            "tokens of context read",
            log_axis(joined([line.x for line in contexts])),
            _padded(joined([line.y for line in contexts])),
            contexts,
        ),
    ]
    if gates:
        top = float(joined([line.y for line in gates]).max())
        up = even_axis(0, 1.05 * top)
        drawn.append(Figure("Gates", "share", "activation", even_axis(0, 1), up, gates))
    return drawn


def recall_figure(cells: Sequence[Run]) -> Figure:
    """Return the accuracy of cells over the gap, and that of guessing.

    Args:
        cells: what --json prints of each cell.
    """
    gaps = _line(cells[0]["gaps"])
    lines = [Line(cell["cell"], gaps, _line(cell["accuracy"])) for cell in cells]
    lines.append(Line("guessing", gaps, np.full(len(gaps), cells[0]["chance"])))
    across = log_axis(gaps) if (gaps > 0).all() else even_axis(0, float(gaps.max()))
    up = Axis(-0.05, 1.05, SHARES.ticks, unit=SHARES.unit, suffix=SHARES.suffix)
    return Figure(
        "Recall after a gap", "answers that are right", "tokens of gap", across, up, lines
    )


def html(title: str, table: Sequence[dict[str, str]], note: str, drawn: Sequence[Figure]) -> str:
    """Return a page.

    Args:
        title: its title.
        table: facts in rows.
        note: what was measured.
        drawn: its figures.
    """
    charts = "".join(figure.html() for figure in drawn)
    return page(text(title), rows(table), "", text(note), charts)


def _line(values: Sequence[float | None]) -> Any:
    """Return numbers of JSON, NaN for those that are unknown."""
    return np.array([np.nan if value is None else value for value in values], float)


def _log(values: Any, least: float) -> Axis:
    """Return a logarithmic axis of the values that are not too small to matter."""
    kept = values[values >= least]
    return log_axis(kept if kept.size else np.array([1.0]))


def _padded(values: Any) -> Axis:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    pad = 0.05 * (high - low)
    return even_axis(low - pad, high + pad)
