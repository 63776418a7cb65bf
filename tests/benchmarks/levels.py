"""Held-out loss of each tokenizer level in the same time.

    python -m tests.benchmarks.levels TEXT... [--time 60s] [--levels char word bpe byte]

`charrnn train TEXT --level ... --time ...` one after another: bits per character of the last 10 %
of each text. CHARRNN_DATA can name the texts instead.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from charrnn.tokenizer import TOKENIZERS
from tests.benchmarks.figures import parse, tell, write


def train(path: str, level: str, budget: str) -> float:
    """Bits per character of the held-out text."""
    command = [sys.executable, "-m", "charrnn", "train", path, "--level", level, "--time", budget]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--from", "none", "-q", "--json", "-o", f"{folder}/run"]
        result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return float(json.loads(result.stdout.splitlines()[-1])["val_bpc"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="*", default=os.environ.get("CHARRNN_DATA", "").split())
    parser.add_argument("--time", default="60s")
    parser.add_argument("--levels", nargs="+", default=[*TOKENIZERS])
    options = parse(parser, "texts")
    lines = [
        f"| level | {' | '.join(Path(text).stem for text in options.texts)} |",
        "| --- " * (1 + len(options.texts)) + "|",
    ]
    for level in options.levels:
        losses = (f"{train(text, level, options.time):.3f}" for text in options.texts)
        lines.append(tell(f"| {level} | {' | '.join(losses)} |"))
    write("levels", lines)


if __name__ == "__main__":
    main()
