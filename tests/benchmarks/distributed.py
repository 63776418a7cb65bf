"""What several processes gain over one, and what their exchange costs.

    python -m tests.benchmarks.distributed TEXT [--hidden 512] [--batch 32] [--ranks 2 4 8]

In one run, in turns: training steps of one process with one thread and with two, and of N processes
with one thread each, which share the same batch; N processes with a batch of B / N that do not know
of each other; and the exchange of N processes without steps. A step of N processes should take

    c - o (1 - 1 / N) + x

where c is a step of the processes that do not know of each other (on N machines, of one alone), o
its orthogonalisation, which is shared out, and x the exchange: each process sends and receives
2 (N - 1) / N times the gradient and (N - 1) / N times the recurrent matrices. Over a network, x is
these bytes divided by its bandwidth, and about 4 N times its latency. With more processes than
cores, they mostly wait for each other.
CHARRNN_DATA can name TEXT instead.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training.corpus import Corpus
from charrnn.training.lockstep import Action, announce, follow
from charrnn.training.optimizer import block_rows, orthogonalise
from charrnn.training.ranks import Ranks
from charrnn.training.replica import Replica
from charrnn.training.trainer import Trainer
from tests.benchmarks.figures import parse, tell, write

ROUNDS = 3
WARM_UP, STEPS = 4, 12
CPU = torch.device("cpu")


class Timed(Ranks):
    """Ranks that measure the time that they exchange something, waits included."""

    seconds = 0.0

    def _add(self, tensor: Tensor) -> None:
        began = time.perf_counter()
        super()._add(tensor)
        self.seconds += time.perf_counter() - began

    def _collect(self, parts: list[Tensor], mine: Tensor) -> None:
        began = time.perf_counter()
        super()._collect(parts, mine)
        self.seconds += time.perf_counter() - began


def matrices(replica: Replica) -> list[Tensor]:
    """The matrices whose updates are shared out."""
    named = replica.network.parameters_by_name().items()
    return [each.detach() for name, each in named if name.endswith((".input", ".recurrent"))]


def exchange(replica: Replica) -> None:
    """Exchange what a step does, without a step."""
    ranks = replica.ranks
    ranks.agree([0.0] * 5)
    parameters = replica.optimizer.parameters
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    ranks.mean_gradients(parameters, torch.zeros(()), torch.ones(()))
    for matrix in matrices(replica):
        ranks.divided(lambda rows: rows, matrix)


def orthogonalisation(trainer: Trainer) -> float:
    """Seconds that the blocks of all matrices take in a step, the best of some."""
    took = []
    for _ in range(STEPS):
        began = time.perf_counter()
        for matrix in matrices(trainer):
            rows = block_rows(trainer.network.config.hidden)
            orthogonalise(matrix.view(-1, rows, matrix.size(1)))
        took.append(time.perf_counter() - began)
    return min(took)


def work(options: dict[str, Any]) -> None:
    """Be one of the processes; rank 0 prints seconds a step, and of them for the exchange."""
    torch.set_num_threads(options["threads"])
    ranks = Timed.joined() if "RANK" in os.environ else Ranks()
    corpus = Corpus.prepare(Parts.of([Source([options["text"]]).read()], 0.1))
    model = ModelConfig(corpus.tokenizer.vocab_size, hidden=options["hidden"])
    config = TrainingConfig(batch=options["batch"], steps=10**6)
    replica = Replica(model, config, corpus, CPU, ranks)
    alone = []
    for _ in range(STEPS if ranks.size > 1 else 0):
        began = time.perf_counter()
        exchange(replica)
        alone.append(time.perf_counter() - began)
    if ranks.rank:
        return follow(replica, lambda: False)
    trainer = Trainer(model, config, corpus, CPU, ranks=ranks)
    for _ in range(WARM_UP):
        trainer.update()
    before = getattr(ranks, "seconds", 0.0)
    took = []
    for _ in range(STEPS):
        began = time.perf_counter()
        trainer.update()
        took.append(time.perf_counter() - began)
    shared = (getattr(ranks, "seconds", 0.0) - before) / STEPS
    announce(trainer, Action.END)
    sizes = [p.numel() for p in trainer.optimizer.parameters]
    divided = sum(matrix.numel() for matrix in matrices(trainer))
    print(
        json.dumps(
            {
                "step": min(took),
                "shared": shared,
                "alone": min(alone, default=0.0),
                "orthogonalisation": orthogonalisation(trainer),
                "weights": sum(sizes),
                "divided": divided,
            }
        )
    )


def measure(options: dict[str, Any], size: int, together: bool) -> dict[str, float]:
    """What `work` prints in rank 0 of some processes, or in the slowest of independent ones."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "tests.benchmarks.distributed", "--work", json.dumps(options)]
    processes = []
    for rank in range(size):
        environment = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        processes.append(
            subprocess.Popen(
                command,
                env=os.environ | (environment if size > 1 and together else {}),
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = filter(None, [process.communicate()[0] for process in processes])
    return max(map(json.loads, outputs), key=step_of)


def step_of(measured: dict[str, float]) -> float:
    return measured["step"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--work", help=argparse.SUPPRESS)
    if "--work" in sys.argv:
        return work(json.loads(parser.parse_args().work))
    options = parse(parser, "text")
    given = {"text": options.text, "hidden": options.hidden}
    # Processes, threads of each, batch of each or of all, and whether they train together.
    cells = [(1, 1, options.batch, True), (1, 2, options.batch, True)]
    for size in options.ranks:
        cells += [(size, 1, options.batch // size, False), (size, 1, options.batch, True)]
    found: dict[tuple[int, int, int, bool], list[dict[str, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for cell in cells:
            size, threads, batch, together = cell
            cut = given | {"threads": threads, "batch": batch}
            found[cell].append(measure(cut, size, together))
            tell(f"{cell}: {found[cell][-1]}")
    rows = {cell: min(measured, key=step_of) for cell, measured in found.items()}
    one = rows[1, 1, options.batch, True]["step"]
    tokens = options.batch * TrainingConfig(steps=1).bptt
    lines = [
        f"1 x {options.hidden} units, batch {options.batch}, {ROUNDS} rounds, the best of each. "
        f"One process with one thread: {tokens / one:,.0f} tokens/s.",
        "",
        "| processes x threads | step | times as fast | predicted | MB sent a step | exchange "
        "alone | share of the step |",
        "| --- " * 7 + "|",
        f"| 1 x 1 | {one * 1e3:.1f} ms | 1.00 | | | | |",
    ]
    two = rows[1, 2, options.batch, True]["step"]
    lines.append(f"| 1 x 2 | {two * 1e3:.1f} ms | {one / two:.2f} | | | | |")
    for size in options.ranks:
        found_here = rows[size, 1, options.batch, True]
        part = rows[size, 1, options.batch // size, False]
        alone = found_here["alone"]
        predicted = part["step"] - part["orthogonalisation"] * (1 - 1 / size) + alone
        sent = 4e-6 * (size - 1) / size * (2 * found_here["weights"] + found_here["divided"])
        step = found_here["step"]
        lines.append(
            f"| {size} x 1 | {step * 1e3:.1f} ms | {one / step:.2f} | {one / predicted:.2f} | "
            f"{sent:.1f} | {alone * 1e3:.1f} ms | {found_here['shared'] / step:.0%}, predicted "
            f"{alone / predicted:.0%} |"
        )
    write("distributed", lines)


if __name__ == "__main__":
    main()
