"""Which level, how long and which temperature, for several kinds of text.

    python -m tests.benchmarks.kinds TEXT... [--lines TEXT...] [--times 60s 3m] [--no-temperatures]

First table, after each time at each level: bits per character of the held-out part, the share of
generated words that the text does not have (with default sampling), and the share of keystrokes
that suggestions save.

Second table: text generated at several temperatures, without --min-p, by the best of these models
of each text. Of running text, the share of words that the text does not have, and of runs of four
words that are repeated, beside the share in as much of the text itself. Of --lines, the share of
lines that the text does not have, and of lines that are repeated.

CHARRNN_DATA can name the texts instead.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Hashable, Sequence
from pathlib import Path

from charrnn import load
from charrnn.config import SamplingConfig, StopConfig, TrainingConfig
from charrnn.generation.sample import Sample
from charrnn.model import Model
from charrnn.network import blas
from charrnn.suggestions.tuning import tune
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training.corpus import Corpus
from tests.benchmarks.figures import parse, tell, write
from tests.benchmarks.invented import words

TEMPERATURES = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2)
TEXTS = 40
CHARACTERS = 1000  # of each text
RUN = 4  # words
WORDS = 500  # that the simulated typist types


def train(path: str, options: Sequence[str], folder: Path) -> float:
    """Bits per character of the held-out part."""
    command = [sys.executable, "-m", "charrnn", "train", path, "--from", "none", "-q", "--json"]
    result = subprocess.run(
        [*command, "-o", str(folder), *options], stdout=subprocess.PIPE, check=True
    )
    return float(json.loads(result.stdout.splitlines()[-1])["val_bpc"])


def keys_saved(model: Model, path: str) -> float:
    """The share of keystrokes that three suggestions save in the held-out part."""
    with Source([path], kind=model.kind).kept() as blocks:
        parts = Parts.of(blocks, TrainingConfig(steps=1).val, model.kind)
        held_out = Corpus.prepare(parts).indexed.held_out
    with blas.threads(1, 0):
        return tune(model.completer(), held_out, WORDS).saved or 0


def repeated(parts: Sequence[Hashable]) -> float:
    """The share of parts that occurred before."""
    return 1 - len({*parts}) / max(1, len(parts))


def runs(text: str) -> list[tuple[str, ...]]:
    found = words(text)
    return [tuple(found[i : i + RUN]) for i in range(len(found) - RUN + 1)]


def generated(model: Model, sampling: SamplingConfig) -> list[str]:
    """Texts up to the last whole word, or lines."""
    count = TEXTS if model.kind == "text" else 1000
    samples = [Sample("", sampling, (i,)) for i in range(count)]
    texts = dict.fromkeys(samples, "")
    for part in model.write(samples, StopConfig(chars=CHARACTERS), 0):
        texts[part.sample] += part.text
    if model.kind == "text":
        return [text.rpartition(" ")[0] for text in texts.values()]
    return [*texts.values()]


def invented(texts: Sequence[str], text: str) -> float:
    """The share of words of generated texts that the text does not have."""
    have = {*words(text)}
    found = [word for each in texts for word in words(each)]
    return sum(word not in have for word in found) / max(1, len(found))


def temperatures(model: Model, text: str) -> list[str]:
    """A cell for each temperature, and one for the text itself."""
    if model.kind == "lines":
        known = {*text.splitlines()}
        cells = []
        for temperature in TEMPERATURES:
            lines = generated(model, SamplingConfig(temperature))
            new = sum(line not in known for line in lines) / len(lines)
            cells.append(f"{new:.0%}, {repeated(lines):.1%}")
        return [*cells, f"0%, {repeated(text.splitlines()[:1000]):.1%}"]
    cells = []
    for temperature in TEMPERATURES:
        texts = generated(model, SamplingConfig(temperature))
        again = repeated([run for each in texts for run in runs(each)])
        cells.append(f"{invented(texts, text):.1%}, {again:.1%}")
    return [*cells, f"0%, {repeated(runs(text[: TEXTS * CHARACTERS])):.1%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="*", default=os.environ.get("CHARRNN_DATA", "").split())
    parser.add_argument("--lines", nargs="*", default=[])
    parser.add_argument("--times", nargs="+", default=["60s", "3m"])
    parser.add_argument("--levels", nargs="+", default=["char", "word", "bpe"])
    parser.add_argument("--no-temperatures", action="store_true", help="omit the second table")
    options = parse(parser, "texts")
    levels = [(time, level) for time in options.times for level in options.levels]
    rows, drawn = [], []
    with tempfile.TemporaryDirectory() as folder:
        for path in [*options.texts, *options.lines]:
            text = Path(path).read_text(encoding="utf-8")
            losses, cells = {}, []
            for time, level in levels:
                asked = ["--time", time, "--level", level]
                asked += ["--lines"] if path in options.lines else []
                run = Path(folder, f"{Path(path).stem}-{level}-{time}")
                losses[run] = train(path, asked, run)
                model = load(run)
                new = invented(generated(model, model.sampling()), text)
                saved = keys_saved(model, path)
                cells.append(f"{losses[run]:.3f}, {new:.1%}, {saved:.1%}")
            rows.append(tell(f"| {Path(path).stem} | {len(text):,} | {' | '.join(cells)} |"))
            if options.no_temperatures:
                continue
            best = min(losses, key=lambda run: losses[run])
            level = best.name.split("-")[1]
            shares = " | ".join(temperatures(load(best), text))
            drawn.append(tell(f"| {Path(path).stem} | {level} | {shares} |"))
    lines = [
        f"| text | characters | {' | '.join(f'{level}, {time}' for time, level in levels)} |",
        "| --- " * (2 + len(levels)) + "|",
        *rows,
    ]
    if drawn:
        lines += [
            "",
            f"New and repeated at a temperature of {', '.join(map(str, TEMPERATURES))}:",
            "",
            f"| text | level | {' | '.join(map(str, TEMPERATURES))} | the text |",
            "| --- " * (3 + len(TEMPERATURES)) + "|",
            *drawn,
        ]
    write("kinds", lines)


if __name__ == "__main__":
    main()
