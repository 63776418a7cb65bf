"""MB/s of encoding a text at each level, beside the tokenizers library alone on the same chunks.

    python tests/benchmarks/tokenizing.py TEXT

The text is named, or is what $CHARRNN_DATA names. Each figure is the best of five turns, all levels
taking turns. MB are those of the text as UTF-8.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from charrnn.text.blocks import chunks
from charrnn.tokenizer import TOKENIZERS, PieceTokenizer

TURNS = 5


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main(path: str) -> None:
    text = Path(path).read_text(encoding="utf-8")
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
    print(f"{path}: {size:.1f} MB, {os.cpu_count()} cores\n\nlevel      MB/s   library  share")
    for level in TOKENIZERS:
        line = f"{level:<6}{size / best[level]:9.1f}"
        alone = best.get(f"{level}, library")
        print(line + (f"{size / alone:10.1f}{alone / best[level]:7.0%}" if alone else ""))


if __name__ == "__main__":
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CHARRNN_DATA")
    if named:
        main(named)
    else:
        print("skipped: name a text, or set CHARRNN_DATA", file=sys.stderr)
