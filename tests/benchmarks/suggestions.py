"""Calibration of suggestions, the value of learning from typing, and the cost of a key.

    python -m tests.benchmarks.suggestions RUN TEXT [--words 3000]

TEXT is one that the model was not trained on. It is typed as `charrnn eval --keystrokes` does.
First table: the stated probability of what was shown, and how often it was right; for the first
suggestion, and for the second and third. Second table: the keystrokes that three suggestions save
in the second half of the text, with a model that remembers nothing of what is typed, one that
remembers this half alone, and one that learned from the first half, as `charrnn complete --learn`
does. Third table: the beam searches and the time that each key costs when the first 1,500
characters are typed key by key as in the session of `charrnn complete`, which extends the first
suggestion to a phrase if it is likely enough for the dial.
CHARRNN_DATA can name TEXT instead.
"""

import argparse
import os
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from charrnn import load
from charrnn.config import DIAL
from charrnn.model import Model
from charrnn.suggestions.completer import Completer
from charrnn.suggestions.secrets import public_words
from charrnn.suggestions.simulated_typist import type_text
from charrnn.suggestions.word_search import WordSearch
from charrnn.text.source import Source
from charrnn.text.words import WORD
from tests.benchmarks.figures import parse, tell, write

BINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
SHOWN = 3
KEYS = 1500  # typed as in the session


def reliability(completer: Completer, text: str, words: int) -> Iterator[str]:
    """Rows of stated probabilities, and of how often suggestions are right."""
    shown = [
        (completion.p, completion.text == word[0][typed:], i == 0)
        for word in islice(WORD.finditer(text), words)
        for typed in range(len(word[0]))
        for i, completion in enumerate(completer.extend(text[: word.start() + typed], SHOWN))
    ]
    said, right, first = np.array(shown).T
    bins = np.digitize(said, BINS)
    off = 0.0
    for i, (low, high) in enumerate(pairwise(BINS), 1):
        row = f"| {low:.0%} to {min(high, 1):.0%} |"
        for which in (1, 0):
            here = (bins == i) & (first == which)
            row += f" {here.sum():,} |"
            row += (
                f" {said[here].mean():.1%} | {right[here].mean():.1%} |" if here.any() else " | |"
            )
            off += abs(said[here].sum() - right[here].sum())
        yield row
    yield f"\nMean deviation: {off / len(said):.2%}"


def saved(completer: Completer, text: str) -> float:
    *_, keys = type_text(text, completer.extend, [])
    return keys.ksr(SHOWN)


def session(model: Model, text: str, least: float) -> tuple[list[int], list[float]]:
    """Beam searches and milliseconds of each key of a text that is typed in the session."""
    searches: list[int] = []
    times: list[float] = []
    search = WordSearch._search

    def counted(*given: Any) -> Any:
        searches[-1] += 1
        return search(*given)

    with patch.object(WordSearch, "_search", counted):
        for end in range(1, len(text) + 1):
            searches.append(0)
            began = time.perf_counter()
            found = model.complete(text[:end], SHOWN)
            if found and found[0].p >= least:
                model.phrase(text[:end], found[0], least)
            times.append(1e3 * (time.perf_counter() - began))
    return searches, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--words", type=int, default=3000, help="In the first two tables.")
    options = parse(parser, "run", "text")
    model, text = load(options.run), Source([options.text]).read()
    ends = [word.end() for word in islice(WORD.finditer(text), options.words)]
    middle = ends[len(ends) // 2]
    first, second = text[:middle], text[middle : ends[-1]]
    lines = [
        f"Calibration over the first {len(ends):,} words of {Path(options.text).name}:",
        "",
        "| stated probability | first: shown | stated | right "
        "| second and third: shown | stated | right |",
        "| --- " * 7 + "|",
        *map(tell, reliability(model.completer(), text, len(ends))),
        "",
        f"{SHOWN} suggestions in the second half of these words:",
        "",
        "| remembered | keystrokes saved |",
        "| --- | --- |",
    ]
    for name, completer in (
        ("nothing", model.completer(adapts=False)),
        ("this half", model.completer()),
        ("both halves", model.completer(earlier=[word[0] for word in public_words(first)])),
    ):
        lines.append(tell(f"| {name} | {saved(completer, second):.1%} |"))
    lines += [
        "",
        f"The first {len(text[:KEYS]):,} characters, typed key by key as in the session:",
        "",
        "| dial | beam searches per key: mean | maximum | ms per key: median | 99 % |",
        "| --- " * 5 + "|",
    ]
    for dial in ("eager", "normal"):
        searches, times = session(model.anew(), text[:KEYS], DIAL[dial])
        counts = f"{np.mean(searches):.2f} | {max(searches)}"
        p50, p99 = np.percentile(times, [50, 99])
        lines.append(tell(f"| {dial} | {counts} | {p50:.1f} | {p99:.1f} |"))
    write("suggestions", lines)


if __name__ == "__main__":
    main()
