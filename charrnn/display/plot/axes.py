"""Axes: a range of values, round ticks within it, and their labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.arrays import bits
from charrnn.display.plot.log import Log, Values, largest

DAY = 86400.0  # seconds
# Seconds in each unit of time, and its label.
TIME_UNITS = ((DAY, " d"), (3600.0, " h"), (60.0, " min"))
# Distances between ticks of a time axis, in seconds.
TIMES = (2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY)


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values with labelled ticks.

    Attributes:
        low: start of the axis; a logarithm to base 10 if `log`.
        high: end of the axis, in the same unit.
        ticks: values and their labels.
        log: whether the axis is logarithmic.
        unit: the value that is displayed as 1, such as 60 for minutes.
        suffix: text after a displayed value, such as " min".
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False
    unit: float = 1.0
    suffix: str = ""

    def at(self, values: Values | float) -> Values:
        """Return the positions of values: 0 is the start of the axis, 1 its end."""
        values = np.asarray(values, float)
        if self.log:
            values = np.log10(np.where(values > 0, values, np.nan))
        return (values - self.low) / (self.high - self.low)


SHARES = Axis(0.0, 1.0, [(0.0, "0%"), (0.5, "50%"), (1.0, "100%")], unit=0.01, suffix="%")


def even_axis(low: float, high: float, count: int = 5, time: bool = False) -> Axis:
    """Return a linear axis with about `count` round ticks; `time`: the values are seconds."""
    if not high - low > 1e-9 * abs(low) + 1e-18:  # a single value, or no known one
        low = 0.0 if math.isnan(low) else low
        high = low + max(1.0, abs(low))
    rough = (high - low) / count
    step, unit, suffix = _round_up(rough), 1.0, ""
    if time:
        if rough > 1:
            step = next((t for t in TIMES if t >= rough), DAY * _round_up(rough / DAY))
        unit, suffix = next((row for row in TIME_UNITS if step >= row[0]), (1.0, " s"))
    within = range(math.ceil(low / step - 0.01), math.floor(high / step + 0.01) + 1)
    ticks = [(i * step, _brief(i * step / unit) + suffix) for i in within]
    return Axis(low, high, ticks, unit=unit, suffix=suffix)


def zero_axis(values: Values) -> Axis:
    """Return a linear axis from 0."""
    return even_axis(0.0, 1.05 * largest(values))


def log_axis(values: Values) -> Axis:
    """Return a logarithmic axis; values that are not positive are ignored."""
    powers = np.log10(values[values > 0])
    low, high = (powers.min() - 0.2, powers.max() + 0.2) if powers.size else (0.0, 1.0)
    whole = range(math.floor(low), math.ceil(high))
    ticks = [m * 10.0**power for power in whole for m in ((1, 2, 5) if len(whole) < 4 else (1,))]
    ticks = [tick for tick in ticks if 10**low <= tick <= 10**high][:: 1 + len(whole) // 8]
    return Axis(low, high, [(tick, _brief(tick)) for tick in ticks], log=True)


def x_axis(runs: Sequence[Log], by: str, count: int = 5) -> Axis:
    """Return the horizontal axis of some runs; `by` is a key of log.AXES."""
    return even_axis(0.0, largest([run.total(by) for run in runs]), count, time=by == "seconds")


def loss_axis(runs: Sequence[Log], by: str, count: int, others: Sequence[float] = ()) -> Axis:
    """Return an axis of losses (bits per character), from the minimum to the 97.5th percentile.

    The minima of all runs and of `others` are on it. It shows at most 4 bits, unless that
    hides a run.
    """
    lines = [np.r_[run.losses(by)[1], bits(run.best_nats)] for run in runs]
    known = [line[np.isfinite(line)] for line in lines]
    low = -largest(-np.concatenate([*known, others]))
    high = largest([np.sort(line)[-1 - len(line) // 40] for line in known if line.size])
    lowest = largest([line.min() for line in known if line.size])
    high = max(lowest, min(high, low + 4))  # losses are unbounded where training diverges
    pad = 0.04 * (high - low)
    return even_axis(low - pad, high + pad, count)


def _round_up(value: float) -> float:
    """Return the smallest of ..., 0.5, 1, 2, 5, 10, ... that is not below a value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= value * (1 - 1e-9))


def _brief(value: float) -> str:
    """Return the label of a round number: 0.002, 1,500, 20k, 1.5M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(unit, 1e4):
            return f"{value / unit:g}{letter}"
    return f"{value:,.6g}"
