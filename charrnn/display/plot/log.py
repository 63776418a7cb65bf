"""The log of a run.

A log may be of any version, of a run in progress, or cut in the middle of a line: unknown events
and fields are ignored, and a missing or non-finite number leaves a gap.
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import LN2, bits
from charrnn.display.format import duration, printable
from charrnn.errors import RunError
from charrnn.files import check_regular, spelled
from charrnn.runs import LOG_NAME, Chosen, find

Values = NDArray[np.float64]
Row = dict[str, Any]

# Fields that an event takes from the one before if it lacks them.
CARRIED = ("step", "epoch", "seconds", "val_nats")
AXES = {  # horizontal axes by name: the field of an event, and the label
    "seconds": ("seconds", "training time"),
    "tokens": ("epoch", "tokens read"),
    "steps": ("step", "steps"),
    "epochs": ("epoch", "epochs"),
}


@dataclass(frozen=True, slots=True)
class Log:
    """The events of a run, except those that a resume or a rollback has undone.

    Attributes:
        path: path of the file.
        name: displayed name of the run.
        rows: the events by name, in order.
        every: all events of the file, also the undone ones, as they were written.
    """

    path: Path
    name: str
    rows: defaultdict[str, list[Row]]
    every: Sequence[Row] = ()

    def last(self, event: str) -> Row:
        """Return the last event of this name, or an empty one."""
        return (self.rows[event] or [{}])[-1]

    def number(self, event: str, name: str) -> float:
        """Return a field of the last event of this name; NaN if unknown."""
        return number(self.last(event).get(name))

    def column(self, event: str, name: str) -> Values:
        """Return a field of all events of this name, NaN where unknown, [N]."""
        return np.array([number(row.get(name)) for row in self.rows[event]], float)

    def x(self, event: str, by: str) -> Values:
        """Return the positions of events on one of AXES, [N]."""
        x = self.column(event, AXES[by][0])
        return np.rint(x * self.number("start", "train_tokens")) if by == "tokens" else x

    def total(self, by: str) -> float:
        """Return the run's final position on one of AXES."""
        return largest(np.r_[self.number("done", by), self.x("step", by), self.x("validation", by)])

    @property
    def held_out(self) -> bool:
        """Return whether the run was validated."""
        return bool(np.isfinite(self.column("validation", "val_nats")).any())

    @property
    def unscored(self) -> str:
        """Return why the run was not validated."""
        return "not validated yet" if self.number("start", "val_chars") > 0 else "nothing held out"

    def losses(self, by: str) -> tuple[Values, Values]:
        """Return positions on one of AXES, and bits per character, of validations if any."""
        event, name = ("validation", "val_nats") if self.held_out else ("step", "loss")
        return self.x(event, by), self.column(event, name) / LN2

    @property
    def best_nats(self) -> float:
        """Return the best model's loss (nats per character): its final one, or the lowest yet."""
        end = self.number("done", "val_nats")
        return -largest(-self.column("validation", "val_nats")) if math.isnan(end) else end

    @property
    def end(self) -> str:
        """Return how the run ended."""
        if self.rows["stop"]:
            return f"stopped: {self.last('stop').get('why')}"
        return "done" if self.rows["done"] else "in progress, or cut off"

    def to_json(self) -> dict[str, Any]:
        """Return the run's scores and totals as JSON can hold them, None where unknown."""
        columns = [self.column("validation", name) for name in ("seconds", "step", "val_nats")]
        return {
            "name": self.name,
            "best_val_nats": _known(self.best_nats),
            "best_val_bpc": _known(bits(self.best_nats)),
            **{total: _known(self.total(total)) for total in ("steps", "tokens", "seconds")},
            "validations": [list(map(_known, told)) for told in zip(*columns, strict=True)],
        }


def read_log(path: Path) -> Log:
    """Read a log.

    Raises:
        RunError: the file cannot be read, or holds no event.
    """
    hint = f"name a run's folder that holds a {LOG_NAME}"
    try:
        check_regular(path)
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}", hint) from None
    events: list[Row] = []
    every = [dict(row) for row in map(_event, lines) if row]
    for row in filter(None, map(_event, lines)):
        event, step = row["event"], row.get("step")
        if event == "rollback":  # placed where it went back to
            row |= {"from": step, "step": row.get("back_to")}
        if event in ("start", "rollback"):  # undo later steps and an end event
            events = [old for old in events if old["event"] not in ("stop", "done")]
            later = number(row.get("step"))
            events = [old for old in events if not number(old.get("step")) > later]
        before = events[-1] if events else {}
        events.append({name: before.get(name) for name in CARRIED} | row)
        if event == "start" and number(step) > 0:
            events.append(events[-1] | {"event": "resume"})
    if not events:
        raise RunError(f"{path} is not the log of a run: it holds no event", hint)
    rows = defaultdict(list)
    for row in events:
        rows[row["event"]].append(row)
    whole = path.resolve()
    name = whole.parent.name if path.name == LOG_NAME else whole.stem
    return Log(path, spelled(name), rows, every)


def read_logs(named: Sequence[str], chosen: Chosen | None = None) -> list[Log]:
    """Read the logs of runs; runs of the same name are named by their paths.

    Args:
        named: names or paths of runs; if empty, the newest run.
        chosen: called if a run was chosen by default; see runs.find.

    Raises:
        UsageError: a run is not found; see runs.find.
        RunError: a log cannot be read, or holds no event.
    """
    paths = dict.fromkeys(find(run, LOG_NAME, chosen) for run in named or [""])
    runs = [read_log(path) for path in paths]
    names = [run.name for run in runs]
    return [
        replace(run, name=spelled(run.path.parent)) if names.count(run.name) > 1 else run
        for run in runs
    ]


def summary(run: Log) -> str:
    """Return a run's result in one line."""
    nats, part = run.best_nats, run.number("done", "val_part")
    score = f"held-out text {nats:.4f} nats/char = {bits(nats):.3f} bits/char"
    if math.isnan(nats):
        loss = shown(bits(run.number("step", "loss")), 3)
        score = f"{run.unscored}; training text {loss} bits/char"
    elif part < 1:
        score += f" ({part:.2%} of it scored)"
    spent = f"{shown(run.total('steps'))} steps, {shown(run.total('tokens'))} tokens"
    line = f"{run.name}: {score}; {spent} in {time_shown(run.total('seconds'))}; {run.end}"
    return printable(" ".join(line.split()))


def number(value: Any) -> float:
    """Return a value if it is a number that can be drawn, else NaN."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e99 else math.nan


def largest(values: Sequence[float] | Values) -> float:
    """Return the largest value; NaN counts only if all are NaN."""
    return float(np.fmax.reduce(values, initial=np.nan))


def shown(value: Any, digits: int = 0) -> str:
    """Return a number with a fixed number of decimals; "-" if unknown."""
    return "-" if math.isnan(number(value)) else f"{value:,.{digits}f}"


def time_shown(seconds: Any) -> str:
    """Return a duration; "-" if unknown."""
    return "-" if math.isnan(number(seconds)) else duration(seconds)


def _event(line: bytes) -> Row | None:
    """Return the event in a line, or None if the line is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("event"), str) else None


def _known(value: float) -> float | None:
    """Return a number as JSON can hold it; None for NaN."""
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else float(value)
