"""Encoding speed of each level, against the tokenizers library alone on the same chunks.

    python -m tests.benchmarks.tokenizing TEXT

Each figure is the best of five turns, all levels taking turns. MB are those of the text as UTF-8.
CHARRNN_DATA can name TEXT instead.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from charrnn.text.blocks import chunks
from charrnn.tokenizer import TOKENIZERS, PieceTokenizer
from tests.benchmarks.figures import parse, tell, write

TURNS = 5


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    path = Path(parse(parser, "text").text)
    text = path.read_text(encoding="utf-8")
    size = len(text.encode()) / 1e6
    pieces = [*chunks([text])]
    runs: dict[str, Callable[[], object]] = {}
    for level, kind in TOKENIZERS.items():
        tokenizer = kind.train(text)
        runs[level] = lambda tokenizer=tokenizer: tokenizer.encode(text)  # type: ignore[misc]
        if isinstance(tokenizer, PieceTokenizer):
            library = tokenizer.encoder
            runs[f"{level}, library"] = lambda library=library: (  # type: ignore[misc]
                library.encode_batch(pieces)
            )
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(TURNS):
        for name, run in runs.items():
            best[name] = min(best[name], seconds(run))
            tell(f"{name}: {size / best[name]:.1f} MB/s")
    lines = [
        f"{path.name}, {size:.1f} MB:",
        "",
        "| level | MB/s | ratio to `encode_batch` of the tokenizers library |",
        "| --- | --- | --- |",
    ]
    for level in TOKENIZERS:
        alone = best.get(f"{level}, library")
        ratio = f"{alone / best[level]:.1f}" if alone else ""
        lines.append(f"| {level} | {size / best[level]:.1f} | {ratio} |")
    write("tokenizing", lines)


if __name__ == "__main__":
    main()
