"""A comparison of trainings: one table, and in words which is best and what is a tie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Literal

from charrnn.arrays import bits
from charrnn.display.format import printable
from charrnn.display.plot.log import Log, largest, number, shown
from charrnn.events import DIVERGED
from charrnn.runs import MODEL_NAME

WORD = 12  # columns of a terminal that a column of the table gets at least, if it needs them

if TYPE_CHECKING:
    from rich.table import Table

LARGE = 1e3  # from it, a loss or a norm is shown in scientific notation (not tuned)


def finished(log: Log) -> bool:
    """Return whether a run has come to its end, or was given up because it diverged."""
    return bool(log.rows["done"]) or gave_up(log)


def gave_up(log: Log) -> bool:
    """Return whether a run was given up because it diverged at every learning rate."""
    return log.last("stop").get("why") == DIVERGED


def worse_than_chance(log: Log) -> bool:
    """Return whether a run ended with a higher loss than if all tokens were equally likely."""
    model = log.last("start").get("model")
    size = number(model.get("vocab_size")) if isinstance(model, dict) else math.nan
    tokens = log.number("start", "train_tokens") / log.number("start", "train_chars")
    return bool(log.rows["done"]) and log.best_nats > math.log(size) * tokens


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the runs of one variation came to; their means, unless stated otherwise.

    Attributes:
        name: the variation.
        logs: its runs, one per seed; at least one.
    """

    name: str
    logs: Sequence[Log]

    @property
    def losses(self) -> list[float]:
        """Losses of the runs that came to an end, nats per character."""
        known = [log.best_nats for log in self.logs if log.rows["done"]]
        return [nats for nats in known if math.isfinite(nats)]

    @property
    def nats(self) -> float:
        """Held-out loss, nats per character; NaN if no run came to an end."""
        return fmean(self.losses) if self.losses else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation of the loss over the seeds, nats per character; NaN for one seed."""
        return stdev(self.losses) if len(self.losses) > 1 else math.nan

    @property
    def error(self) -> float:
        """Standard error of the held-out loss of one run, nats per character; NaN if unknown."""
        return largest([log.number("done", "val_error") for log in self.logs])

    @property
    def uncertainty(self) -> float:
        """The spread over the seeds, or with one seed the standard error."""
        return self.error if math.isnan(self.spread) else self.spread

    @property
    def state(self) -> str:
        """How the runs ended: "", "diverged" or "unfinished"."""
        if any(map(gave_up, self.logs)) or any(map(worse_than_chance, self.logs)):
            return "diverged"
        return "" if all(map(finished, self.logs)) else "unfinished"

    def figures(self) -> dict[str, float]:
        """Return its other figures by name; NaN where unknown.

        The share of clipped steps and the speed are means over the reports of a training, about one
        a second. The largest norm, skipped steps and rollbacks are sums or maxima over all runs,
        and also cover steps that a rollback has undone.
        """
        every = [row for log in self.logs for row in log.every]
        norms = [number(row.get("norm")) for row in every]
        kinds = [row["event"] for row in every]
        files = [log.path.with_name(MODEL_NAME) for log in self.logs]
        sizes = [file.stat().st_size for file in files if file.exists()]
        return {
            "tokens_per_second": _mean([_speed(log) for log in self.logs]),
            "parameters": self.logs[0].number("start", "parameters"),
            "model_bytes": _mean(sizes),
            "clipped": _mean([x for log in self.logs for x in log.column("step", "clipped")]),
            "largest_norm": largest(norms),
            "rollbacks": kinds.count("rollback"),
            "skipped": kinds.count("skip"),
            "steps": _mean([log.total("steps") for log in self.logs]),
            "seconds": _mean([log.total("seconds") for log in self.logs]),
        }

    def to_json(self) -> dict[str, Any]:
        """Return all figures as JSON can hold them, None where unknown."""
        told = {
            "variation": self.name,
            "runs": [str(log.path.parent) for log in self.logs],
            "state": self.state or "finished",
        }
        scores = {
            "val_nats": self.nats,
            "val_bpc": bits(self.nats),
            "spread": self.spread,
            "val_error": self.error,
        }
        figures = (scores | self.figures()).items()
        return told | {name: None if math.isnan(x) else x for name, x in figures}

    def cells(self) -> dict[str, str]:
        """Return its row of the table, by column."""
        figures = self.figures()
        around = "" if math.isnan(self.spread) else f" ±{_brief(bits(self.spread), 3)}"
        return {
            "variation": self.name + (f" ({self.state})" if self.state else ""),
            "bits/char": _brief(bits(self.nats), 3) + around,
            "nats": _brief(self.nats, 4),
            "tokens/s": shown(figures["tokens_per_second"]),
            "parameters": shown(figures["parameters"]),
            "size, MB": shown(figures["model_bytes"] / 1e6, 2),
            "clipped": "-" if math.isnan(figures["clipped"]) else f"{figures['clipped']:.0%}",
            "largest norm": _brief(figures["largest_norm"], 2),
            "went back": f"{figures['rollbacks']:.0f}",
            "steps skipped": f"{figures['skipped']:.0f}",
        }


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table as aligned text."""
    rows = [one.cells() for one in outcomes]
    lines = [[*rows[0]], *([*row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ""
    for first, *others in lines:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        text += "  ".join(cells).rstrip() + "\n"
    return printable(text)


def rich_table(outcomes: Sequence[Outcome]) -> "Table":
    """Return the table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    rows = [one.cells() for one in outcomes]
    shown = Table(box=None, padding=(0, 1, 0, 0), collapse_padding=True, pad_edge=False)
    for column in rows[0]:
        named = column == "variation"
        # Headings of two lines, so that the table fits 80 columns.
        heading = column.replace("/", " /").replace("parameters", "para- meters")
        least = max(len(word) for row in rows for word in (heading + " " + row[column]).split())
        side: Literal["left", "right"] = "left" if named else "right"
        most = None if named else least
        shown.add_column(
            heading, justify=side, overflow="fold", min_width=min(least, WORD), max_width=most
        )
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row.values()))
    return shown


def comparison_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return an object for each variation, then one with the verdict."""
    order, tied = ties(outcomes)
    best = order[0].name if order else None
    names = [one.name for one in tied]
    said = {"best": best, "ties": names, "verdict": " ".join(verdict(outcomes))}
    return [*(one.to_json() for one in outcomes), said]


def table_html(outcomes: Sequence[Outcome]) -> str:
    """Return the table and the verdict as HTML."""
    rows = [one.cells() for one in outcomes]
    lines = ["".join(f"<th>{name}</th>" for name in rows[0])]
    lines += ["".join(f"<td>{_text(cell)}</td>" for cell in row.values()) for row in rows]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    said = " ".join(map(_text, verdict(outcomes)))
    return f'<div class="scroll"><table>\n{body}</table></div>\n<p>{said}</p>\n'


def ties(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return the variations that came to an end, the best first, and which of them tie with it.

    A tie is a difference that is not larger than the larger uncertainty of the two.
    """
    ended = [one for one in outcomes if not math.isnan(one.nats) and one.state != "diverged"]
    order = sorted(ended, key=lambda one: one.nats)
    tied = [
        one
        for one in order[1:]
        if one.nats - order[0].nats <= largest([order[0].uncertainty, one.uncertainty])
    ]
    return order, tied


def verdict(outcomes: Sequence[Outcome]) -> list[str]:
    """Return in words which variation is best, by how much, and which differences are ties."""
    order, tied = ties(outcomes)
    said = []
    if order:
        best, *others = order
        seeds = len(best.losses)
        measure = "the spread over the seeds" if seeds > 1 else "the standard error of the loss"
        if tied:
            names = " and ".join(f"{one.name} (+{bits(one.nats - best.nats):.3f})" for one in tied)
            said.append(
                f"{best.name} has the lowest loss, {bits(best.nats):.3f} bits/char, but it is a tie"
                f" with {names}: a difference within {measure}."
            )
        elif others:
            said.append(
                f"{best.name} is best, with {bits(best.nats):.3f} bits/char: "
                f"{bits(others[0].nats - best.nats):.3f} less than {others[0].name}, which is more "
                f"than {measure}."
            )
        else:
            said.append(f"{best.name}: {bits(best.nats):.3f} bits/char.")
        worse = [one for one in others if one not in tied]
        if worse and (tied or len(worse) > 1):
            names = ", ".join(f"{one.name} (+{bits(one.nats - best.nats):.3f})" for one in worse)
            said.append(f"Worse: {names}.")
        if seeds == 1 and others:
            said.append("One seed cannot show how much repeated runs differ: --seeds 3 does.")
    return said + [line for one in outcomes if (line := _divergence(one))]


def _divergence(one: Outcome) -> str:
    """Return how a variation diverged, in words; "" if it did not."""
    figures = one.figures()
    times, skipped = int(figures["rollbacks"]), int(figures["skipped"])
    if not times and one.state != "diverged":
        return ""
    said = f"{one.name} diverged"
    if times:
        said += f" and went back {'once' if times == 1 else f'{times} times'}"
    if any(map(gave_up, one.logs)):
        said += ", diverging at every learning rate"
    elif one.state == "diverged":
        said += ": it predicts worse than if all tokens were equally likely"
    steps = f"{skipped} step" + ("" if skipped == 1 else "s")
    return f"{said} (largest gradient norm {_brief(figures['largest_norm'], 2)}, {steps} skipped)."


def _speed(log: Log) -> float:
    """Return the tokens trained on per second, between validations if that was measured."""
    known = log.column("step", "tokens_per_second")
    measured = _mean(known.tolist())
    return log.total("tokens") / log.total("seconds") if math.isnan(measured) else measured


def _brief(value: float, digits: int) -> str:
    """Return a number with so many decimals, or in scientific notation if it is large."""
    return f"{value:.1e}" if value >= LARGE else shown(value, digits)


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the known values; NaN if there is none."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def _text(value: str) -> str:
    return escape(printable(value))
