"""What `charrnn memory` measures of runs on a text, and shows."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from charrnn.cli.options import say_which
from charrnn.display.console import Ui
from charrnn.display.working import Working
from charrnn.errors import TextError, UsageError

if TYPE_CHECKING:
    from charrnn.arrays import Ids
    from charrnn.display.plot.figure import Figure
    from charrnn.model import Model

SAMPLE = 1 << 20  # maximum characters of the text that are used (not tuned)
NOTE = (
    "Gradient: norm of the derivative of the loss at a position with respect to the hidden (or "
    "cell) state some tokens earlier. Influence: Kullback-Leibler divergence of the prediction "
    "when one earlier token is replaced by another from the text. Context: loss at the same "
    "positions when only the last tokens were read."
)


class Result(NamedTuple):
    """What was measured.

    Attributes:
        title: title of the page.
        found: what --json prints, a row for each run or cell.
        table: rows of the table.
        note: what the page says about the figures.
        figures: the figures.
    """

    title: str
    found: list[dict[str, Any]]
    table: list[dict[str, str]]
    note: str
    figures: "list[Figure]"


def measure(
    names: list[str],
    models: list[str],
    reading: dict[str, Any],
    seed: int,
    ui: Ui,
) -> Result:
    """Measure some runs on a text.

    Args:
        names: runs, then a text.
        models: more runs.
        reading: how the text is read, by the fields of Source.
        seed: seed of the random choices.
        ui: shows the progress.
    """
    import charrnn
    from charrnn import runs
    from charrnn.display.plot.memory import figures
    from charrnn.files import spelled

    if not names or (names[-1] != "-" and runs.is_model(names[-1])):
        raise UsageError(
            "no text to measure on, since a model does not hold its own",
            "name it last: charrnn memory RUN... TEXT",
        )
    *named, text = names
    if text == "-" and len(named) + len(models) > 1:
        raise UsageError("several runs cannot read standard input", "give the text as a file")
    paths = dict.fromkeys(
        runs.find(name, chosen=say_which(ui)) for name in [*named, *models] or [""]
    )
    shown = [path.resolve() for path in paths]
    called = [path.parent.name if path.name == runs.MODEL_NAME else path.stem for path in shown]
    if len({*called}) < len(called):
        called = [spelled(path) for path in paths]
    loaded = [charrnn.load(path) for path in paths]
    for model in loaded:
        model.require_text()
    found = []
    for name, model in zip(called, loaded, strict=True):
        found.append({"run": spelled(name)} | _of(name, model, text, reading, seed, ui))
    title = ", ".join(map(spelled, called))
    return Result(f"{title}: memory", found, _facts(found), NOTE, figures(found))


def _of(
    name: str, model: "Model", text: str, reading: dict[str, Any], seed: int,
    ui: Ui,
) -> dict[str, Any]:  # fmt: skip
    """Return what --json prints of a run."""
    import numpy as np

    from charrnn.insight import advice, gates, memory
    from charrnn.scoring import Tell
    from charrnn.text.blocks import chunks
    from charrnn.text.source import Source
    from charrnn.training.gradient_reach import gradient_reach

    tokenizer = model.file.tokenizer
    with Working(ui, f"measuring {name}", 4) as work:
        source = Source([text], kind=model.kind, normalise=model.normalised, **reading)
        blocks = [*islice(chunks(source.stream(work.note), SAMPLE), 2)]
        if not blocks:
            raise TextError("the text is empty", "give a text to measure on")
        if len(blocks) > 1:
            work.note(f"only the first {len(blocks[0]):,} characters of the text are used")
        ids: Ids = tokenizer.known(tokenizer.encode(blocks[0]))
        if len(ids) < memory.SHORTEST:
            raise TextError(
                f"the text is too short: {len(ids)} tokens, at least {memory.SHORTEST} are needed",
                "give a longer text",
            )
        chars_per_token = len(blocks[0]) / len(ids)
        tell: Tell = work.advance
        reaches = gradient_reach(model.file, ids, tell)
        influence = memory.influence(model.engine, ids, np.random.default_rng(seed), tell)
        context = memory.context(model.engine, ids, tell)
        gate_rows, unit_rows = gates.gates(model.engine, model.file.weights, ids, tell)
    falls = {(r.layer, r.state): memory.falls(np.arange(len(r.norms)), r.norms) for r in reaches}
    furthest = None if None in falls.values() else max(filter(None, falls.values()), default=0.0)
    effective = memory.falls(influence.lags, influence.kl)
    found = advice.Findings(
        [r.norms for r in reaches], furthest, bool(model.engine.cell.logistic), gate_rows, unit_rows
    )
    return {
        "cell": model.file.config.cell,
        "tokens": len(ids),
        "chars_per_token": chars_per_token,
        "gradient": [
            {
                "layer": r.layer,
                "state": r.state,
                "positions": r.positions,
                "norm": _known(r.norms),
                "below_1_percent": falls[r.layer, r.state],
            }
            for r in reaches
        ],
        "influence": {
            "positions": influence.positions,
            "k": influence.lags.tolist(),
            "kl_nats": _known(influence.kl),
            "memory_tokens": effective,
            "memory_chars": None if effective is None else effective * chars_per_token,
        },
        "context": {
            "positions": context.positions,
            "k": context.lengths.tolist(),
            "bpc": _bpc(context.nats, chars_per_token),
            "bpc_ngrams": None
            if context.ngram_nats is None
            else _bpc(context.ngram_nats, chars_per_token),
        },
        "gates": [
            {"layer": g.layer, "gate": g.name, "spectral_radius": g.radius, "mean": g.mean}
            | {"above_0.9": g.open, "below_0.1": g.closed, "shares": g.shares}
            for g in gate_rows
        ],
        "units": [units._asdict() for units in unit_rows],
        "advice": advice.advice(found),
    }


def _known(values: Any) -> list[float | None]:
    """Return numbers as JSON can hold them."""
    import math

    return [value if math.isfinite(value) else None for value in values.tolist()]


def _bpc(nats: Any, chars_per_token: float) -> list[float | None]:
    """Return losses (nats per token) in bits per character."""
    from charrnn.arrays import LN2

    return _known(nats / LN2 / chars_per_token)


def _facts(found: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a row for each layer of each run, with its gates."""
    facts: list[dict[str, str]] = []
    for run in found:
        influence, context = run["influence"], run["context"]
        tokens, chars = influence["memory_tokens"], influence["memory_chars"]
        in_chars = "" if chars is None else f" = {chars:.0f} characters"
        for units in run["units"]:
            layer = units["layer"]
            row = {"run": run["run"], "cell": run["cell"], "layer": str(layer)}
            for reach in run["gradient"]:
                if reach["layer"] == layer:
                    name = f"gradient under 1 %, {reach['state']} state"
                    row[name] = _back(reach["below_1_percent"], len(reach["norm"]) - 1)
            row["influence under 1 %"] = _back(tokens, influence["k"][-1]) + in_chars
            row["context within 0.01 bpc"] = f"{_enough(context)} tokens"
            for gate in run["gates"]:
                if gate["layer"] == layer:
                    name = f"{gate['gate']}: spectral radius"
                    row[name] = f"{gate['spectral_radius']:.2f}"
                    if gate["mean"] is not None:
                        shares = f"{gate['above_0.9']:.0%}, {gate['below_0.1']:.0%}"
                        row[f"{gate['gate']}: above 0.9, below 0.1"] = shares
            for name in ("saturated", "dead"):
                if units[name] is not None:
                    row[f"{name} units"] = f"{units[name]:.0%}"
            facts.append(row)
    names = dict.fromkeys(name for row in facts for name in row)
    return [{name: row.get(name, "-") for name in names} for row in facts]


def _enough(context: dict[str, Any]) -> int:
    """Return the shortest context whose loss is within 0.01 bits of the lowest."""
    known = [(k, bpc) for k, bpc in zip(context["k"], context["bpc"], strict=True) if bpc]
    least = min((bpc for _, bpc in known), default=0.0)
    return next((k for k, bpc in known if bpc <= least + 0.01), 0)


def _back(distance: float | None, most: int) -> str:
    return f"beyond {most} tokens" if distance is None else f"{distance:.0f} tokens"
