"""How fast `generate -N` writes many short items, and how much memory it takes.

    python -m tests.benchmarks.items MODEL [--counts 20000 200000] [--processes 1 2]

MODEL is of lines, such as names. In turns: `charrnn generate -m MODEL -N COUNT --json`, with each
number of processes, from the command to its end; and, in this process with one thread, 64 long
texts of the same model, which never end their line: the batch rate. Memory is what the processes
have for themselves (RssAnon, of Linux alone), at its highest.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import charrnn
from charrnn.config import StopConfig
from charrnn.generation.sample import Sample
from charrnn.network import blas
from tests.benchmarks.figures import parse, tell, write

ROUNDS = 3
TEXTS, CHARACTERS = 64, 400  # that measure the batch rate
EVERY = 0.05  # seconds between two looks at the processes


def batch_rate(path: str) -> float:
    """Tokens a second of long texts, without JSON."""
    model = charrnn.load(path)
    sampling = model.sampling(bias={"\n": -math.inf})
    began = time.perf_counter()
    samples = [Sample("", sampling, (i,)) for i in range(TEXTS)]
    for _ in model.write(samples, StopConfig(chars=CHARACTERS), 0):
        pass
    return sum(sample.tokens for sample in samples) / (time.perf_counter() - began)


def own_memory(process: psutil.Process) -> int:
    """Bytes that a process and its children have for themselves."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            lines = Path(f"/proc/{each.pid}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return total


def write_items(path: str, count: int, processes: int) -> tuple[float, int, int]:
    """Seconds that a command takes, tokens that it writes, and its most memory, bytes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "items.jsonl")
        command = [sys.executable, "-m", "charrnn", "generate", "-m", path, "-q", "--json"]
        command += ["-N", str(count), "--random-seed", "0", "-o", str(out)]
        began, most = time.perf_counter(), 0
        with subprocess.Popen([*command, "--processes", str(processes)]) as process:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                most = max(most, own_memory(watched))
                time.sleep(EVERY)
        seconds = time.perf_counter() - began
        with open(out, encoding="utf-8") as lines:
            tokens = sum(json.loads(line)["tokens"] for line in lines)
    return seconds, tokens, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    options = parse(parser, "model")
    blas.use_one_thread()
    cells = [(count, processes) for count in options.counts for processes in options.processes]
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    rate = 0.0
    for _ in range(ROUNDS):
        rate = max(rate, batch_rate(options.model))
        for cell in cells:
            found = write_items(options.model, *cell)
            best[cell] = min(best.get(cell, found), found)
            tell(f"{cell}: {found}")
    config = charrnn.load(options.model).file.config
    lines = [
        f"{config.cell} {config.layers} x {config.hidden}; 64 long texts: {rate:,.0f} tokens/s.",
        "",
        "| items | processes | items/s | tokens/s | of the batch rate | memory |",
        "| --- " * 6 + "|",
    ]
    for (count, processes), (seconds, tokens, most) in best.items():
        lines.append(
            f"| {count:,} | {processes} | {count / seconds:,.0f} | {tokens / seconds:,.0f} | "
            f"{tokens / seconds / rate:.2f} | {most / 1e6:.0f} MB |"
        )
    write("items", lines)


if __name__ == "__main__":
    main()
