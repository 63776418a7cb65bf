"""What each level reaches in the same time.

    python tests/benchmarks/levels.py TEXT... [--time 60s] [--levels char word bpe byte]

`charrnn train TEXT --level ... --time ...` one after another: bits per character of the last 10 %
of each text. Texts may also stand in CHARRNN_DATA.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from charrnn.tokenizer import TOKENIZERS


def train(path: str, level: str, budget: str) -> float:
    """Bits per character of the held-out text."""
    command = [sys.executable, "-m", "charrnn", "train", path, "--level", level, "--time", budget]
    with tempfile.TemporaryDirectory() as folder:
        command += ["-q", "--json", "-o", f"{folder}/run"]
        result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return float(json.loads(result.stdout.splitlines()[-1])["val_bpc"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="*", default=os.environ.get("CHARRNN_DATA", "").split())
    parser.add_argument("--time", default="60s")
    parser.add_argument("--levels", nargs="+", default=[*TOKENIZERS])
    options = parser.parse_args()
    if not options.texts:
        print("skipped: name a text, or set CHARRNN_DATA")
        return
    print(f"| level | {' | '.join(Path(text).name for text in options.texts)} |")
    print("| --- |" + " --- |" * len(options.texts))
    for level in options.levels:
        print(f"| {level} |", end="", flush=True)
        for text in options.texts:
            print(f" {train(text, level, options.time):.3f} |", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
