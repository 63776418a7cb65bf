"""What another busy process costs: training, and the start of generation.

    python -m tests.benchmarks.busy [TEXT] [--seconds 15] [--rounds 2] [--minute]

Trains on TEXT for three phases: on a quiet machine, beside a process that keeps one core busy, and
quiet again. It does so with the number of threads that charrnn chooses, with one thread, and with
as many as there are cores, in turns. Then it generates with one and with all OpenBLAS threads.
--minute adds three trainings of a minute: quiet, and with the other process there from 20 s to 40 s
or all the time.

The table goes to standard output and to tests/benchmarks/figures/busy.md.
CHARRNN_DATA can name TEXT instead.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import parse, tell, write

CHARRNN = [sys.executable, "-m", "charrnn"]
UNITS = 384
SETTLING = 3.0  # seconds of a phase that do not count in its throughput
RECOVERED = 0.9  # of the quiet throughput, from which on training is back to full speed
NEIGHBOUR = [sys.executable, "-c", "while True: pass"]
OPENBLAS = "OPENBLAS_NUM_THREADS"


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps one core busy."""
    process = subprocess.Popen(NEIGHBOUR)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Training:
    """A training in progress.

    Attributes:
        steps: for each step event when it was read (time.monotonic), and the step's number.
    """

    def __init__(self, text: str, folder: str, options: Sequence[str]) -> None:
        command = [*CHARRNN, "train", text, "--hidden", str(UNITS), "--layers", "1", "--json", "-q"]
        command += ["--steps", "1000000", "-o", f"{folder}/run", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.steps: list[tuple[float, int]] = []
        self.started = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        self.started.wait(60)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "step":
                self.steps.append((time.monotonic(), event["step"]))
                self.started.set()

    def rate(self, begin: float, end: float) -> float:
        """Steps a second between two times."""
        inside = [step for step in self.steps if begin <= step[0] <= end]
        (first, low), (last, high) = inside[0], inside[-1]
        return (high - low) / (last - first)

    def recovery(self, begin: float, full: float) -> float:
        """Seconds from a time until a second of training reaches nearly the full rate."""
        after = [step for step in self.steps if step[0] >= begin]
        for (sooner, low), (later, high) in itertools.pairwise(after):
            if (high - low) / (later - sooner) >= RECOVERED * full:
                return sooner - begin
        return float("nan")


def phases(text: str, seconds: float, options: Sequence[str]) -> tuple[float, float, float, float]:
    """Steps a second quiet, busy and quiet again, and the seconds until that is reached."""
    with tempfile.TemporaryDirectory() as folder:
        training = Training(text, folder, options)
        marks = [time.monotonic()]
        time.sleep(seconds)
        marks.append(time.monotonic())
        with neighbour():
            time.sleep(seconds)
            marks.append(time.monotonic())
        time.sleep(seconds)
        marks.append(time.monotonic())
        training.process.kill()
        training.process.wait()
    rates = [training.rate(begin + SETTLING, end) for begin, end in itertools.pairwise(marks)]
    return rates[0], rates[1], rates[2], training.recovery(marks[2], rates[0])


def minute(text: str, begin: float, end: float) -> dict[str, Any]:
    """The result of a training of a minute with the other process there for a part of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*CHARRNN, "train", text, "--from", "none", "--time", "60s", "--json", "-q"]
        command += ["-o", f"{folder}/run"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(begin)
        if end > begin:
            with neighbour():
                time.sleep(end - begin)
        out, _ = process.communicate()
    done: dict[str, Any] = json.loads(out.splitlines()[-1])
    return done


def generation(model: str, threads: str | None) -> tuple[float, float]:
    """Seconds from the command to the first character, and characters a second after it."""
    environment = {name: value for name, value in os.environ.items() if name != OPENBLAS}
    if threads:
        environment[OPENBLAS] = threads
    command = [*CHARRNN, "generate", "-m", model, "A", "-n", "8000", "--random-seed", "0", "-q"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout
    process.stdout.read(1)
    process.stdout.read(1)
    first = time.monotonic()
    process.stdout.read()
    process.wait()
    return first - began, 8000 / (time.monotonic() - first)


def small_model(text: str, folder: str, units: int, layers: int) -> str:
    """Train a model for a few steps."""
    run = f"{folder}/{layers}x{units}"
    shape = ["--hidden", str(units), "--layers", str(layers), "--steps", "3"]
    subprocess.run([*CHARRNN, "train", text, *shape, "-q", "-o", run], check=True)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--seconds", type=float, default=15.0, help="Of each phase.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minute", action="store_true")
    options = parse(parser, "text")
    cores = str(os.cpu_count())
    modes = {"chosen": [], "1 thread": ["--threads", "1"], f"{cores} threads": ["--threads", cores]}
    found: dict[str, list[tuple[float, float, float, float]]] = {mode: [] for mode in modes}
    for _ in range(options.rounds):
        for mode, extra in modes.items():
            found[mode].append(phases(options.text, options.seconds, extra))
            rates = ", ".join(f"{rate:.1f}" for rate in found[mode][-1][:3])
            tell(f"{mode}: {rates} updates a second, quiet, busy and quiet again")
    medians = {
        mode: [statistics.median(column) for column in zip(*rows, strict=True)]
        for mode, rows in found.items()
    }
    one = medians["1 thread"][0]
    lines = [
        f"Training 1 x {UNITS} units on {Path(options.text).name}, updates a second, medians of "
        f"{options.rounds} rounds; in brackets as a share of one thread on the quiet machine:",
        "",
        f"| threads | quiet | one core taken | quiet again | back to {RECOVERED:.0%} after |",
        "| --- | --- | --- | --- | --- |",
    ]
    for mode, (quiet, busy, again, back) in medians.items():
        rates = " | ".join(f"{rate:.1f} ({rate / one:.2f})" for rate in (quiet, busy, again))
        lines.append(f"| {mode} | {rates} | {back:.1f} s |")
    lines += ["", "Generation of one text:", ""]
    lines += [
        "| network | OpenBLAS threads | quiet: first character | then chars/s "
        "| one core taken: first character | then chars/s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for layers, units in ((1, 256), (2, 512)):
            model = small_model(options.text, folder, units, layers)
            for name, threads in (("chosen", None), ("1", "1"), (cores, cores)):
                cells = []
                for taken in (False, True):
                    if taken:
                        with neighbour():
                            runs = [generation(model, threads) for _ in range(5)]
                    else:
                        runs = [generation(model, threads) for _ in range(5)]
                    first, rate = (statistics.median(column) for column in zip(*runs, strict=True))
                    cells += [f"{first:.2f} s", f"{rate:,.0f}"]
                lines.append(tell(f"| {layers} x {units} | {name} | {' | '.join(cells)} |"))
    if options.minute:
        lines += [
            "",
            "`--time 60s`:",
            "",
            "| other process | updates | nats/char |",
            "| --- " * 3 + "|",
        ]
        for name, begin, end in (("none", 0, 0), ("20 to 40 s", 20, 40), ("0 to 60 s", 0, 60)):
            done = minute(options.text, begin, end)
            lines.append(tell(f"| {name} | {done['steps']:,} | {done['val_nats']:.3f} |"))
    write("busy", lines)


if __name__ == "__main__":
    main()
