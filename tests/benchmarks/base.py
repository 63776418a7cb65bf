"""What a start that knows English gains, by the size of the user's own text.

    python -m tests.benchmarks.base TEXT [--sizes 20 100 300 1000] [--time 60s] [--words WORDS]

TEXT is a text that the model `english` was not trained on. For each size in thousands of
characters, two models are trained on its beginning, one from nothing and one from english. Both,
and english itself, are scored on its end: bits per character, the share of keystrokes that one,
three and five suggestions save, and the share of generated words that are neither in TEXT nor in
WORDS, a list of words, one a line. CHARRNN_DATA can name TEXT instead.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from charrnn import load
from charrnn.model import Model
from charrnn.runs import find
from tests.benchmarks.figures import parse, tell, write
from tests.benchmarks.invented import words
from tests.benchmarks.kinds import generated

SCORED = 100_000  # characters at the end of the text that are scored
TYPED = 8_000  # characters of them that are typed
STARTS = ("none", "english")


def run(*arguments: str) -> str:
    """What a command of charrnn prints."""
    command = [sys.executable, "-m", "charrnn", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def invented(model: Model, known: set[str]) -> float:
    """The share of generated words that are not known."""
    found = [word for text in generated(model, model.sampling()) for word in words(text)]
    return sum(word not in known for word in found) / max(1, len(found))


def cells(path: str, scored: str, typed: str, known: set[str]) -> str:
    """The cells of one model."""
    bits = json.loads(run("eval", "-m", path, scored, "--json"))["bpc"]
    saved = json.loads(run("eval", "-m", path, typed, "--keystrokes", "--json"))["ksr"].values()
    keys = " | ".join(f"{share:.1%}" for share in saved)
    return f"{bits:.3f} | {keys} | {invented(load(find(path)), known):.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--sizes", nargs="+", type=int, default=[20, 100, 300, 1000])
    parser.add_argument("--time", default="60s")
    parser.add_argument("--words", type=Path)
    options = parse(parser, "text")
    text = Path(options.text).read_text(encoding="utf-8")
    listed = options.words.read_text(encoding="utf-8") if options.words else ""
    known = {*words(text), *words(listed)}
    lines = [
        "| own text | start | bits/char | keys saved by 1 | by 3 | by 5 | invented words |",
        "| --- " * 7 + "|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scored, typed = folder / "scored.txt", folder / "typed.txt"
        scored.write_text(text[-SCORED:], encoding="utf-8")
        typed.write_text(text[-TYPED:], encoding="utf-8")
        held_out = str(scored), str(typed), known
        lines.append(tell(f"| - | english alone | {cells('english', *held_out)} |"))
        for size in options.sizes:
            own = folder / f"{size}.txt"
            own.write_text(text[: min(1000 * size, len(text) - SCORED)], encoding="utf-8")
            for start in STARTS:
                model = str(folder / f"{size}-{start}")
                asked = ["--from", start, "--time", options.time, "-o", model, "-q"]
                run("train", str(own), *asked)
                row = cells(model, *held_out)
                lines.append(tell(f"| {size:,} kB | {start} | {row} |"))
    write("base", lines)


if __name__ == "__main__":
    main()
