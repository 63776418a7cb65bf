"""The table and the verdict of a comparison, from logs with known figures."""

from pathlib import Path

import pytest

from charrnn.arrays import LN2
from charrnn.display.comparison import (
    Outcome,
    comparison_json,
    finished,
    table,
    table_html,
    verdict,
)
from charrnn.display.plot.log import Log
from charrnn.events import DIVERGED
from tests.display.plot.logs import Row, done, read, start, trained


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def log(folder: Path, bpc: float, *more: Row, error: float = 0.01, end: bool = True) -> Log:
    """Return the log of a run with this final score."""
    last = [done(200, val_nats=bpc * LN2, val_error=error * LN2)] if end else []
    return read(folder, start(), *trained(0, 200), *more, *last, name=f"run-{bpc}-{len(more)}")


def outcome(folder: Path, name: str, *scores: float, error: float = 0.01) -> Outcome:
    return Outcome(name, [log(folder, bpc, error=error) for bpc in scores])


def test_figures(folder: Path) -> None:
    """The figures are those of the logs, means over the seeds."""
    told = outcome(folder, "lstm", 2.0, 2.2).to_json()
    assert told["val_bpc"] == pytest.approx(2.1)
    assert told["spread"] / LN2 == pytest.approx(0.02**0.5)
    assert told["clipped"] == pytest.approx(0.1)
    assert told["largest_norm"] == pytest.approx(0.3 + 2 / 20)
    assert told["tokens_per_second"] == 1e5
    assert (told["parameters"], told["steps"], told["rollbacks"]) == (350_914, 200, 0)
    assert told["state"] == "finished"
    assert told["model_bytes"] is None


def test_best(folder: Path) -> None:
    """A difference above the standard error has a winner."""
    said = " ".join(verdict([outcome(folder, "lstm", 2.0), outcome(folder, "gru", 1.95)]))
    assert said.startswith("gru is best, with 1.950 bits/char: 0.050 less than lstm")
    assert "standard error" in said
    assert "--seeds 3" in said


@pytest.mark.parametrize(("spread", "tie"), [(0.01, False), (0.2, True)])
def test_tie(spread: float, tie: bool, folder: Path) -> None:
    """A difference within the spread over the seeds is a tie, and called so."""
    some = [
        outcome(folder, name, middle - spread, middle + spread, error=9.0)
        for name, middle in (("lstm", 2.0), ("gru", 1.95), ("rnn", 3.0))
    ]
    said = " ".join(verdict(some))
    assert ("it is a tie with lstm (+0.050)" in said) == tie
    assert "rnn (+1.050)" in said
    last = comparison_json(some)[-1]
    assert (last["best"], last["ties"]) == ("gru", ["lstm"] if tie else [])


def test_an_explosion_is_not_hidden(folder: Path) -> None:
    """Norms, skipped steps and rollbacks count even where a rollback has undone them."""
    exploded: list[Row] = [
        {"event": "step", "step": 210, "norm": 1e9, "clipped": 0.0},
        {"event": "skip", "step": 211},
        {"event": "rollback", "step": 212, "back_to": 100, "lr": 0.015, "norm": 1e12},
    ]
    one = Outcome("rnn clip=0", [log(folder, 2.0, *exploded)])
    figures = one.figures()
    assert (figures["largest_norm"], figures["skipped"], figures["rollbacks"]) == (1e12, 1, 1)
    assert one.state == ""
    (said,) = (line for line in verdict([one]) if "diverged" in line)
    assert said.endswith("went back once (largest gradient norm 1.0e+12, 1 step skipped).")
    assert "1.0e+12" in table([one])


def test_given_up(folder: Path) -> None:
    """A training given up is finished, has no score and cannot be best."""
    stop: Row = {"event": "stop", "step": 200, "why": DIVERGED}
    one = Outcome("rnn", [log(folder, 1.0, stop, end=False)])
    assert finished(one.logs[0])
    assert one.state == "diverged"
    assert comparison_json([one, outcome(folder, "gru", 2.0)])[-1]["best"] == "gru"


def test_worse_than_chance(folder: Path) -> None:
    """A loss above that of equally likely tokens counts as divergence."""
    one = outcome(folder, "rnn", 1e9)
    assert one.state == "diverged"
    assert "worse than if all tokens were equally likely" in " ".join(verdict([one]))
    assert "1.0e+09" in table([one])


def test_unfinished(folder: Path) -> None:
    """An interrupted training is in the table, but not in the verdict."""
    one = Outcome("lstm", [log(folder, 1.0, end=False)])
    assert "lstm (unfinished)" in table([one])
    assert verdict([one]) == []


def test_the_table(folder: Path) -> None:
    """Columns are aligned; HTML and control characters in names are harmless."""
    some = [outcome(folder, "a<b>&\x1b[2J", 2.0), outcome(folder, "lstm layers=2", 2.1)]
    lines = table(some).splitlines()
    assert len(lines) == 3
    assert len({line.index("0.40") + 4 for line in lines[1:]}) == 1
    assert "\x1b" not in table(some) + table_html(some)
    assert "a&lt;b&gt;&amp;" in table_html(some)
