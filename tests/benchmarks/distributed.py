"""What several processes gain over one, and what their exchange costs.

    python -m tests.benchmarks.distributed TEXT [--hidden 512] [--batch 32] [--ranks 2 4 8]

In one run, in turns: training steps of one process with one thread and with two, and of N processes
with one thread each, which share the same batch. Then the exchange of N processes without the
steps. A step of N processes should take

    c(B / N) * max(1, N / cores) + x(N)

where c(B) is a step of one process with a batch of B, and x(N) the exchange: each process sends and
receives 2 (N - 1) / N times the gradient and (N - 1) / N times the recurrent matrices. Over a
network, x(N) is these bytes divided by its bandwidth, and about 4 N times its latency. With more
processes than cores only the share of the exchange tells something.
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
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training.corpus import Corpus
from charrnn.training.lockstep import Action, announce, follow
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
    print(json.dumps([min(took), shared, min(alone, default=0.0), sum(sizes), divided]))


def measure(options: dict[str, Any], size: int = 1) -> list[float]:
    """What `work` prints in rank 0 of `size` processes."""
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
                env=os.environ | (environment if size > 1 else {}),
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate()[0] for process in processes]
    measured: list[float] = json.loads(outputs[0])
    return measured


def best(rows: Sequence[list[float]]) -> list[float]:
    """The round with the shortest step."""
    return min(rows, key=lambda row: row[0])


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
    cells = [(1, 1, options.batch), (1, 2, options.batch)]
    cells += [(1, 1, options.batch // size) for size in options.ranks]
    cells += [(size, 1, options.batch) for size in options.ranks]
    found: dict[tuple[int, int, int], list[list[float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for cell in cells:
            size, threads, batch = cell
            found[cell].append(measure(given | {"threads": threads, "batch": batch}, size))
            tell(f"{size} processes, {threads} threads, batch {batch}: {found[cell][-1]}")
    rows = {cell: best(measured) for cell, measured in found.items()}
    one = rows[1, 1, options.batch][0]
    tokens = options.batch * TrainingConfig(steps=1).bptt
    cores = os.cpu_count() or 1
    lines = [
        f"1 x {options.hidden} units, batch {options.batch}, {ROUNDS} rounds, the best of each. "
        f"One process with one thread: {tokens / one:,.0f} tokens/s.",
        "",
        "| processes x threads | step | times as fast | predicted | MB sent a step | exchange "
        "alone | share of the step |",
        "| --- " * 7 + "|",
        f"| 1 x 1 | {one * 1e3:.1f} ms | 1.00 | | | | |",
    ]
    two = rows[1, 2, options.batch][0]
    lines.append(f"| 1 x 2 | {two * 1e3:.1f} ms | {one / two:.2f} | | | | |")
    for size in options.ranks:
        step, shared, alone, weights, divided = rows[size, 1, options.batch]
        part = rows[1, 1, options.batch // size][0] * max(1, size / cores)
        sent = 4e-6 * (size - 1) / size * (2 * weights + divided)
        lines.append(
            f"| {size} x 1 | {step * 1e3:.1f} ms | {one / step:.2f} | {one / (part + alone):.2f} | "
            f"{sent:.1f} | {alone * 1e3:.1f} ms | {shared / step:.0%}, predicted "
            f"{alone / (part + alone):.0%} |"
        )
    write("distributed", lines)


if __name__ == "__main__":
    main()
