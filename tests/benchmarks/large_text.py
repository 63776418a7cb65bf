"""Texts larger than memory: the memory that training takes, and the time until it has begun.

    python -m tests.benchmarks.large_text [--megabytes 1 1000] [--level char] [--kind text ...]

For each kind and size a text is made, in a temporary folder, of words of corpora/fables.txt in
random order with a number now and then, and `charrnn train` runs on it for some steps; then again,
when the tokens are in the cache. Lines have 12 words, documents, which are records of JSON Lines,
160. Memory is what a process has for itself (RssAnon, of Linux alone), at its highest in both runs:
pages of mapped files, which the system takes back when it needs them, are not counted. That of the
smallest text is torch, the network and its optimizer.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

from charrnn.text.blocks import chunks
from charrnn.tokenizer import CharTokenizer
from charrnn.training.token_file import CHUNK_CHARS
from tests.benchmarks.figures import parse, tell, write

WORDS = Path(__file__).parents[2] / "corpora" / "fables.txt"
BLOCK = 10_000  # words
SHUFFLED = 200  # blocks, of which the text is made in random order
LINES = {"text": 12, "lines": 12, "documents": 160}  # words in one
OPTIONS: dict[str, list[str]] = {
    "text": [],
    "lines": ["--lines"],
    "documents": ["--documents", "--field", "text"],
}
STEPS = 20
EVERY = 0.02  # seconds between two looks at a process


def make(path: Path, size: int, kind: str) -> None:
    """Make a text of about `size` bytes."""
    line = LINES[kind]
    rng = random.Random(size)
    words = WORDS.read_text(encoding="utf-8").split()
    blocks = [rng.choices(words, k=BLOCK) for _ in range(SHUFFLED)]
    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < size:
            block = [*rng.choice(blocks)]
            for _ in range(BLOCK // 100):
                block[rng.randrange(BLOCK)] = str(rng.randrange(10**6))
            starts = range(rng.randrange(line), BLOCK, line)
            lines = (" ".join(block[i : i + line]) for i in starts)
            if kind == "documents":
                lines = (json.dumps({"text": text}) for text in lines)
            file.writelines(f"{text}\n" for text in lines)


def peak(command: list[str], folder: Path) -> tuple[float, float]:
    """The most memory of its own that a command had, MB, and the seconds that it took."""
    began, most = time.perf_counter(), 0
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            own = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
            most = max([most, *(int(line.split()[1]) for line in own)])
            time.sleep(EVERY)
    if process.returncode:
        sys.exit("charrnn train failed")
    return most / 1024, time.perf_counter() - began


def encoding_rate(tries: int = 5) -> float:
    """MB a second that become ids of characters, the best of some tries."""
    text = WORDS.read_text(encoding="utf-8") * 200
    tokenizer = CharTokenizer.train(text)
    best = 0.0
    for _ in range(tries):
        began = time.perf_counter()
        for chunk in chunks([text], CHUNK_CHARS):
            tokenizer.encode(chunk)
        best = max(best, len(text.encode()) / 1e6 / (time.perf_counter() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 1000])
    parser.add_argument("--level", default="char")
    parser.add_argument("--kind", choices=LINES, nargs="+", default=[*LINES])
    options = parse(parser)
    lines = [
        f"{STEPS} training steps; encoding running text as characters: {encoding_rate():.0f} MB/s",
        "",
        "| text | memory | first time | cached |",
        "| --- " * 4 + "|",
    ]
    for kind, size in product(options.kind, options.megabytes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(folder / "text.txt", size * 10**6, kind)
            command = [sys.executable, "-m", "charrnn", "train", "text.txt", "-q"]
            command += ["--level", options.level, *OPTIONS[kind]]
            command += ["--steps", str(STEPS), "--hidden", "256"]
            (first, seconds), (again, cached) = peak(command, folder), peak(command, folder)
        figures = f"{max(first, again):.0f} MB | {seconds:.0f} s | {cached:.0f} s"
        lines.append(tell(f"| {kind}, {size:,} MB | {figures} |"))
    write("large_text", lines)


if __name__ == "__main__":
    main()
