"""Whether what `train` chooses by itself is close to the best of its neighbours.

    python -m tests.benchmarks.choices TEXT... [--times 60s 5m] [--results FILE] [--threads N]

For each text and time: the network, dropout and batch that training/recipe.py chooses, and six
alternatives. First the speeds are measured in turns, on a machine that should be quiet; then each
is trained for the steps that fit the time at its speed, so that a busy moment costs patience, not
fairness, and scored on the last 10 % of the text. What FILE (JSON lines) holds already is not run
again. CHARRNN_DATA can name the texts instead.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from charrnn.cli.options import seconds
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training.corpus import Corpus
from charrnn.training.recipe import choose, speed
from charrnn.training.trainer import Trainer
from tests.benchmarks.figures import parse, tell, write

SIZES = [64, 96, 128, 192, 256, 384, 512, 640]
DROPOUTS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
VARIED = ("layers", "hidden", "dropout", "weight-decay", "batch")
START_SECONDS = 2.0  # until the first step
TRAINING_SHARE = 0.93  # of the time; the rest is validation and samples
ROUNDS, STEPS = 6, 8  # to measure the speed
VAL = 0.1
ABOVE = "the choice is above the best by"

Options = dict[str, Any]
Shape = tuple[int, int, int]  # layers, hidden, batch


def alternatives(chosen: Options) -> Iterator[tuple[str, Options]]:
    """The choice and its neighbours, all but one of a single layer."""
    own = {name: chosen[name.replace("-", "_")] for name in VARIED}
    one = own | {"layers": 1}
    size, dropout = SIZES.index(own["hidden"]), DROPOUTS.index(own["dropout"])
    for name, tried in (
        ("one layer", one),
        ("two layers", own | {"layers": 2}),
        ("smaller", one | {"hidden": SIZES[size - 1]}),
        ("larger", one | {"hidden": SIZES[size + 1]}),
        ("batch x 2", one | {"batch": 2 * own["batch"]}),
        *([("batch / 2", one | {"batch": own["batch"] // 2})] if own["batch"] > 16 else []),
        ("more dropout", one | {"dropout": DROPOUTS[dropout + 1]}),
        ("less dropout", one | {"dropout": DROPOUTS[dropout - 1]})
        if dropout
        else ("much more dropout", one | {"dropout": DROPOUTS[dropout + 2]}),
    ):
        yield ("chosen" if tried == own else name), tried


def shape_of(tried: Options) -> Shape:
    return tried["layers"], tried["hidden"], tried["batch"]


def train(path: str, options: Options) -> list[Options]:
    """The events of `charrnn train`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "charrnn",
            "train",
            path,
            "--level",
            "char",
            "-q",
            "--json",
        ]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        result = subprocess.run(
            [*command, "-o", f"{folder}/run"], stdout=subprocess.PIPE, check=True
        )
    return [json.loads(line) for line in result.stdout.splitlines()]


class Results:
    """Speeds and losses, each measured once.

    Args:
        path: of a file to begin with and to add to.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        if path and path.exists():
            rows = map(json.loads, path.read_text().splitlines())
            self._known = {row["key"]: row["value"] for row in rows}

    def get(self, what: list[Any], measure: Callable[[], Any]) -> Any:
        key = json.dumps(what)
        if key not in self._known:
            self._known[key] = measure()
            if self._path:
                with open(self._path, "a") as file:
                    file.write(json.dumps({"key": key, "value": self._known[key]}) + "\n")
        return self._known[key]


def speeds(corpus: Corpus, shapes: Sequence[Shape]) -> list[float]:
    """Steps a second of each shape, the best of some rounds in which all take turns."""
    trainers = {}
    for shape in shapes:
        layers, hidden, batch = shape
        model = ModelConfig(corpus.tokenizer.vocab_size, layers=layers, hidden=hidden)
        config = TrainingConfig(batch=batch, dropout=0.1, steps=1000)
        trainers[shape] = Trainer(model, config, corpus, torch.device("cpu"))
    best = dict.fromkeys(shapes, 0.0)
    for _ in range(ROUNDS):
        for shape, trainer in trainers.items():
            trainer.update()
            began = time.perf_counter()
            for _ in range(STEPS):
                trainer.update()
            best[shape] = max(best[shape], STEPS / (time.perf_counter() - began))
    return [best[shape] for shape in shapes]


def loss(path: str, options: Options, steps: float) -> float:
    """Nats per character on the held-out text."""
    return float(train(path, options | {"steps": int(steps)})[-1]["val_nats"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="*", default=os.environ.get("CHARRNN_DATA", "").split())
    parser.add_argument("--times", nargs="+", default=["60s", "5m"])
    parser.add_argument("--results", type=Path, help="Keep results here, and begin with them.")
    parser.add_argument("--threads", type=int, help="Threads of a training, once speeds are known.")
    options = parse(parser, "texts")
    fixed = {"threads": options.threads} if options.threads else {}
    results = Results(options.results)
    cells = []
    for path in options.texts:
        corpus = Corpus.prepare(Parts.of([Source([path]).read()], VAL))
        size, vocabulary = len(corpus.train), corpus.tokenizer.vocab_size
        for budget in options.times:
            chosen = choose("char", size, vocabulary, {"seconds": seconds(budget)}, speed())
            cells.append((path, size, budget, list(alternatives(chosen))))
    shapes = sorted({shape_of(tried) for *_, alternative in cells for _, tried in alternative})
    # Of one text: what a step takes hardly depends on the vocabulary.
    measured = results.get(["steps a second", shapes], partial(speeds, corpus, shapes))
    rates = dict(zip(shapes, measured, strict=True))
    for (layers, hidden, batch), rate in rates.items():
        tell(f"{layers} x {hidden}, batch size {batch}: {rate:.1f} steps/s")
    tables = {budget: defaultdict[str, dict[str, str]](dict) for budget in options.times}
    for path, size, budget, tried in cells:
        table, losses = tables[budget], {}
        table["characters to train on"][path] = f"{size:,}"
        for name, other in tried:
            steps = (seconds(budget) - START_SECONDS) * TRAINING_SHARE * rates[shape_of(other)]
            key = [Path(path).name, budget, other]
            losses[name] = results.get(key, partial(loss, path, other | fixed, steps))
            shape = f"{other['layers']} x {other['hidden']}, dropout {other['dropout']}"
            cell = f"{losses[name]:.4f}: {shape}, batch size {other['batch']}"
            table[name][path] = cell
            tell(f"{Path(path).name}, {budget}, {name}: {cell}")
        above = table.pop(ABOVE, {})  # the last row, whatever rows a text adds
        table[ABOVE] = above | {path: f"{losses['chosen'] / min(losses.values()) - 1:.1%}"}
    lines = []
    for budget, table in tables.items():
        lines += [
            f"Held-out nats per character after {budget}:",
            "",
            f"| | {' | '.join(Path(path).stem for path in options.texts)} |",
            "| --- " * (1 + len(options.texts)) + "|",
        ]
        for name, row in table.items():
            lines.append(f"| {name} | {' | '.join(row.get(path, '') for path in options.texts)} |")
        lines.append("")
    write("choices", lines[:-1])


if __name__ == "__main__":
    main()
