"""Texts larger than memory: the memory that training takes, and the time until it has begun.

    python -m tests.benchmarks.large_text [--megabytes 1 1000] [--level char] [--kind text ...]

For each kind and size a text is made, in a temporary folder, of words of corpora/fables.txt in
random order with a number now and then, and `charrnn train` runs on it for some steps; then again,
when the tokens are in the cache. Lines have 12 words, documents, which are records of JSON Lines,
160. Seconds are those from the start of the command to the end of the first step; CPU seconds are
those of all threads. Decoded is how often the text was opened, decoded and cut up. Memory is what a
process has for itself (RssAnon, of Linux alone), at its highest in both runs: pages of mapped
files, which the system takes back when it needs them, are not counted. Beyond torch: less that of
the same training on 10 KB.
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
from typing import NamedTuple

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
STEPS = 2
SMALLEST = 10_000  # bytes of a text that hardly needs memory
# Runs charrnn, and writes to a file how often the text is decoded.
COUNTING = """
import sys
from charrnn.cli import main
from charrnn.text.source import Source
stream, count = Source.stream, 0
def counted(*arguments):
    global count
    count += 1
    return stream(*arguments)
Source.stream = counted
try:
    main()
finally:
    open("decoded", "w").write(str(count))
"""
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


class Training(NamedTuple):
    """What a training took.

    Attributes:
        memory: the most memory of its own, MB.
        seconds: seconds to the end of the first step.
        cpu: CPU seconds until then.
        decoded: how often the text was decoded.
    """

    memory: float
    seconds: float
    cpu: float
    decoded: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.cpu:.1f} s CPU) | {self.decoded}"


def train(folder: Path, *options: str) -> Training:
    """Train for some steps on the text in a folder."""
    began, most, seconds, cpu = time.perf_counter(), 0, 0.0, 0.0
    command = [sys.executable, "-c", COUNTING, "train", "text.txt", "-q", "--json", *options]
    command += ["--steps", str(STEPS), "--hidden", "256"]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    events = folder / "events"
    with (
        open(events, "wb") as file,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=file) as process,
    ):
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            own = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
            most = max([most, *(int(line.split()[1]) for line in own)])
            if not seconds and b'"step": 1,' in events.read_bytes():
                seconds = time.perf_counter() - began
                ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                cpu = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
            time.sleep(EVERY)
    if process.returncode:
        sys.exit("charrnn train failed")
    return Training(most / 1024, seconds, cpu, int((folder / "decoded").read_text()))


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
        "| text | memory beyond torch | first training: first step after | decoded "
        "| second training: first step after | decoded |",
        "| --- " * 6 + "|",
    ]
    for kind, size in product(options.kind, options.megabytes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            given = ["--level", options.level, *OPTIONS[kind]]
            make(folder / "text.txt", SMALLEST, kind)
            torch = train(folder, *given).memory
            make(folder / "text.txt", size * 10**6, kind)
            first, again = train(folder, *given), train(folder, *given)
        memory = f"{max(first.memory, again.memory) - torch:.0f} MB"
        lines.append(tell(f"| {kind}, {size:,} MB | {memory} | {first} | {again} |"))
    write("large_text", lines)


if __name__ == "__main__":
    main()
