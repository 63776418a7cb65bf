"""What a run told.

A log may be of any version, of a run that still goes on, or cut in the middle of a line: what is
unknown is passed over, what is missing or no finite number leaves a gap.
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

CARRIED = ("step", "epoch", "seconds", "val_nats")  # so that each has a time and a score
AXES = {  # what runs are drawn over: the field that tells it, and its name
    "seconds": ("seconds", "training time"),
    "tokens": ("epoch", "tokens read"),
    "steps": ("step", "steps"),
    "passes": ("epoch", "passes over the text"),
}


@dataclass(frozen=True, slots=True)
class Log:
    """What a run told, but for what a resume or a rollback has undone.

    Attributes:
        path: the file.
        name: what to call the run.
        rows: the events by name; what one leaves out of CARRIED is as in the one before.
    """

    path: Path
    name: str
    rows: defaultdict[str, list[Row]]

    def last(self, event: str) -> Row:
        return (self.rows[event] or [{}])[-1]

    def number(self, event: str, name: str) -> float:
        """What the last such event told."""
        return number(self.last(event).get(name))

    def column(self, event: str, name: str) -> Values:
        return np.array([number(row.get(name)) for row in self.rows[event]], float)

    def x(self, event: str, by: str) -> Values:
        """Where events stand on one of AXES."""
        x = self.column(event, AXES[by][0])
        return np.rint(x * self.number("start", "train_tokens")) if by == "tokens" else x

    def total(self, by: str) -> float:
        """How far the run came on one of AXES."""
        return largest(np.r_[self.number("done", by), self.x("step", by), self.x("validation", by)])

    @property
    def held_out(self) -> bool:
        """Whether the run was validated."""
        return bool(np.isfinite(self.column("validation", "val_nats")).any())

    def losses(self, by: str) -> tuple[Values, Values]:
        """The bits per character to judge the run by, over one of AXES."""
        event, name = ("validation", "val_nats") if self.held_out else ("step", "loss")
        return self.x(event, by), self.column(event, name) / LN2

    @property
    def best_nats(self) -> float:
        """The best model's score: the final one, which reads the most text, if it came to that."""
        end = self.number("done", "val_nats")
        return -largest(-self.column("validation", "val_nats")) if math.isnan(end) else end

    @property
    def end(self) -> str:
        if self.rows["stop"]:
            return f"stopped: {self.last('stop').get('why')}"
        return "done" if self.rows["done"] else "going on, or cut off"

    def to_json(self) -> dict[str, Any]:
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
        RunError: it cannot be read, or holds no event.
    """
    hint = f"name a run's folder that holds a {LOG_NAME}"
    try:
        check_regular(path)
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}", hint) from None
    told: list[Row] = []
    for row in filter(None, map(_event, lines)):
        event, step = row["event"], row.get("step")
        if event == "rollback":  # stands where the run went on from
            row |= {"from": step, "step": row.get("back_to")}
        if event in ("start", "rollback"):  # what came after that step, or was the end, is undone
            told = [old for old in told if old["event"] not in ("stop", "done")]
            told = [old for old in told if not number(old.get("step")) > number(row.get("step"))]
        before = told[-1] if told else {}
        told.append({name: before.get(name) for name in CARRIED} | row)
        if event == "start" and number(step) > 0:
            told.append(told[-1] | {"event": "resume"})
    if not told:
        raise RunError(f"{path} is no log of a run: it holds no event", hint)
    rows = defaultdict(list)
    for row in told:
        rows[row["event"]].append(row)
    whole = path.resolve()
    name = whole.parent.name if path.name == LOG_NAME else whole.stem
    return Log(path, spelled(name), rows)


def read_logs(named: Sequence[str], chosen: Chosen | None = None) -> list[Log]:
    """The logs of runs, by default of the newest; those of the same name are told apart by path.

    Args:
        chosen: see runs.find.

    Raises:
        UsageError, RunError: as in `runs.find` and `read_log`.
    """
    paths = dict.fromkeys(find(run, LOG_NAME, chosen) for run in named or [""])
    runs = [read_log(path) for path in paths]
    names = [run.name for run in runs]
    return [
        replace(run, name=spelled(run.path.parent)) if names.count(run.name) > 1 else run
        for run in runs
    ]


def summary(run: Log) -> str:
    """What came of a run, in a line."""
    nats, part = run.best_nats, run.number("done", "val_part")
    score = f"held-out text {nats:.4f} nats/char = {bits(nats):.3f} bits/char"
    if math.isnan(nats):
        loss = shown(bits(run.number("step", "loss")), 3)
        score = f"nothing held out; training text {loss} bits/char"
    elif part < 1:
        score += f" ({part:.2%} of it scored)"
    spent = f"{shown(run.total('steps'))} steps, {shown(run.total('tokens'))} tokens"
    line = f"{run.name}: {score}; {spent} in {time_shown(run.total('seconds'))}; {run.end}"
    return printable(" ".join(line.split()))


def number(value: Any) -> float:
    """A number that can be drawn; NaN is what is not known."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e99 else math.nan


def largest(values: Sequence[float] | Values) -> float:
    """Of those that are known."""
    return float(np.fmax.reduce(values, initial=np.nan))


def shown(value: Any, digits: int = 0) -> str:
    return "-" if math.isnan(number(value)) else f"{value:,.{digits}f}"


def time_shown(seconds: Any) -> str:
    return "-" if math.isnan(number(seconds)) else duration(seconds)


def _event(line: bytes) -> Row | None:
    """The event of a line, if it holds a whole one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("event"), str) else None


def _known(value: float) -> float | None:
    """A number as JSON can hold it."""
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else float(value)
