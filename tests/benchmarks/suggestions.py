"""Whether suggestions are as likely as they say, and what learning from typing is worth.

    python tests/benchmarks/suggestions.py RUN TEXT [--words 3000]

TEXT is one that the model was not trained on. It is typed as `charrnn eval --keystrokes` does.
First table: of what was shown, how likely it was said to be and how often it was right; the
first suggestion and the second and third. Second table: the keys that three suggestions save in
the text's second half, by a model that remembers nothing of what is typed, one that remembers this
half alone, and one that learned from the first half, as `charrnn complete --learn` does.
"""

import argparse
import os
import sys
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from charrnn import load
from charrnn.suggestions.completer import Completer
from charrnn.suggestions.secrets import public_words
from charrnn.suggestions.simulated_typist import type_text
from charrnn.text.source import Source
from charrnn.text.words import WORD

BINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
SHOWN = 3


def reliability(completer: Completer, text: str, words: int) -> None:
    """Print how likely suggestions are said to be, and how often they are right."""
    shown = [
        (completion.p, completion.text == word[0][typed:], i == 0)
        for word in islice(WORD.finditer(text), words)
        for typed in range(len(word[0]))
        for i, completion in enumerate(completer.extend(text[: word.start() + typed], SHOWN))
    ]
    said, right, first = np.array(shown).T
    bins = np.digitize(said, BINS)
    off = 0.0
    print("said to be      the first: shown   said  right    the others: shown   said  right")
    for i, (low, high) in enumerate(pairwise(BINS), 1):
        row = f"{low:6.0%} to {high:4.0%}"
        for which in (1, 0):
            here = (bins == i) & (first == which)
            row += f"{here.sum():17,}"
            if here.any():
                row += f"{said[here].mean():7.1%}{right[here].mean():7.1%}"
                off += abs(said[here].sum() - right[here].sum())
        print(row)
    print(f"off by {off / len(said):.2%} on average\n")


def saved(completer: Completer, text: str) -> float:
    *_, keys = type_text(text, completer.extend, [])
    return keys.ksr(SHOWN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("text", nargs="?")
    parser.add_argument("--words", type=int, default=3000)
    arguments = parser.parse_args()
    path = arguments.text or os.environ.get("CHARRNN_DATA")
    if not arguments.run or not path or not Path(path).exists():
        sys.exit("skipped: name a run and a text it was not trained on")
    model, text = load(arguments.run), Source([path]).read()
    ends = [word.end() for word in islice(WORD.finditer(text), arguments.words)]
    text = text[: ends[-1]]
    middle = ends[len(ends) // 2]
    first, second = text[:middle], text[middle:]
    reliability(model.completer(), text, len(ends))
    print(f"keys saved in the second half, {SHOWN} suggestions")
    for name, completer in (
        ("nothing remembered", model.completer(adapts=False)),
        ("this half", model.completer()),
        (
            "learned from the first half",
            model.completer(earlier=[word[0] for word in public_words(first)]),
        ),
    ):
        print(f"  {name:<28}{saved(completer, second):7.1%}", flush=True)


if __name__ == "__main__":
    main()
