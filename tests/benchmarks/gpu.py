"""What a GPU makes of it: how fast, how much of the device is used, and whether it is right.

    python -m tests.benchmarks.gpu TEXT [--time 3m] [--device cuda]

1. `charrnn train TEXT --time ...`: the time to TARGET nats per character, and the loss at the end.
2. Tokens a second at several sizes, computed anew in each step and as a CUDA graph if that is
   faster, beside a plain loop (nn.LSTM, torch.optim.Adam, float32, the loss read in every step),
   and the share of the rate of a large matrix product in bfloat16.
3. The outputs of each cell on the device and on the CPU.
4. What was trained there is resumed on the CPU.

It takes less than eight minutes. CHARRNN_DATA can name TEXT instead. Without a GPU it says so;
`--device cpu --time 20s --sizes 64` tries the script itself.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.network.cells import CELLS
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training import devices, recorded_step
from charrnn.training.corpus import Corpus
from charrnn.training.network import Network
from charrnn.training.trainer import Trainer
from tests.benchmarks.figures import parse, tell, write
from tests.benchmarks.training import Plain, operations

TARGET = 1.4697  # nats per character of nanoGPT with 10.65 million parameters, after 3 minutes
BATCHES = {64: 16, 256: 64, 512: 64, 1024: 128, 2048: 128}  # by units
GROUPS, STEPS = 3, 20  # groups of steps that are timed, and steps in each


def train(*arguments: str) -> list[dict[str, Any]]:
    """The events of `charrnn train`."""
    command = [sys.executable, "-m", "charrnn", "train", *arguments, "--json", "-q"]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def wait(device: torch.device) -> None:
    """Wait until a device has done all that is queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device) -> float:
    """Floating-point operations a second of the best of some large matrix products."""
    halves = devices.halves(device)
    size, kind = (8192, torch.bfloat16) if halves else (1024, torch.float32)
    matrix = torch.rand(size, size, device=device).to(kind)
    best = 0.0
    for _ in range(10):
        wait(device)
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        wait(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def cuda_graph(step: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Record a step, and say why not if that fails."""
    try:
        return recorded_step.cuda_graph(step, generator)
    except RuntimeError as error:
        print(f"no CUDA graph: {error}", file=sys.stderr)
        raise


def rate(
    corpus: Corpus, model: ModelConfig, batch: int, device: torch.device
) -> tuple[float, float | None]:
    """Tokens a second of a training here, and how many times as fast a CUDA graph is."""
    config = TrainingConfig(batch=batch, steps=10**6)
    trainer = Trainer(model, config, corpus, device)
    faster = recorded_step.choose(trainer, cuda_graph)
    trainer.update(STEPS)
    best = 0.0
    for _ in range(GROUPS):
        began = time.perf_counter()
        trainer.update(STEPS)
        best = max(best, STEPS * trainer.tokens_per_step / (time.perf_counter() - began))
    return best, faster


def plain(corpus: Corpus, model: ModelConfig, batch: int, device: torch.device) -> float:
    """Tokens a second of a plain loop."""
    network = Plain(model).to(device)
    optimizer = torch.optim.Adam(network.parameters())
    bptt = TrainingConfig(steps=1).bptt
    starts = torch.randint(len(corpus.train) - bptt - 1, (batch,))
    best = 0.0
    for _ in range(GROUPS + 1):
        wait(device)
        began = time.perf_counter()
        for _ in range(STEPS):
            ids = corpus.train[starts + torch.arange(bptt + 1)[:, None]].long().to(device)
            logits, _ = network(ids[:-1], None)
            loss = F.cross_entropy(logits.flatten(0, 1), ids[1:].flatten())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            loss.item()
        best = max(best, STEPS * batch * bptt / (time.perf_counter() - began))
    return best


def differences(device: torch.device) -> list[str]:
    """Rows of the largest difference of each cell's outputs on the device and on the CPU."""
    rows = []
    for cell in CELLS:
        network = Network(ModelConfig(64, cell, 2, 256, 64), torch.Generator().manual_seed(0))
        ids = torch.arange(64 * 8).view(64, 8) % 64
        with torch.no_grad():
            expected, _ = network.read(ids, network.zero_state(8))
            network.to(device)
            got, _ = network.read(ids.to(device), network.zero_state(8))
            with devices.precision(device):
                halved, _ = network.read(ids.to(device), network.zero_state(8))
        found = [float((x.float().cpu() - expected).abs().max()) for x in (got, halved)]
        rows.append(tell(f"| {cell} | {found[0]:.1e} | {found[1]:.1e} |"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--time", default="3m")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048])
    options = parse(parser, "text")
    if options.device == "cuda" and not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device here", file=sys.stderr)
        return
    device = devices.named(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    corpus = Corpus.prepare(Parts.of([Source([options.text]).read()], 0.1))
    lines = [f"{name}, torch {torch.__version__}.", ""]
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        events = train(
            options.text, "--from", "none", "--level", "char", "--time", options.time,
            "--device", options.device, "-o", run,
        )  # fmt: skip
        start, done = events[0], events[-1]
        reached = [
            event["seconds"]
            for event in events
            if event["event"] == "validation" and event["val_nats"] <= TARGET
        ]
        shape = f"{start['model']['layers']} x {start['model']['hidden']}"
        lines += [
            tell(
                f"`charrnn train --time {options.time}`: {TARGET} nats/char after "
                f"{f'{reached[0]:.0f} s' if reached else 'more time'}; at the end "
                f"{done['val_nats']:.4f} ({shape}, batch {start['training']['batch']}, "
                f"{done['steps']:,} steps, speed {start['speed']:.1f})."
            )
        ]
        if device.type == "cuda":
            steps = str(done["steps"] + 20)
            resumed = train("--resume", "-m", run, "--device", "cpu", "--steps", steps)[-1]
            line = f"Resumed on the CPU for 20 steps: {resumed['val_nats']:.4f} nats/char."
            lines.append(tell(line))
    peak = matrix_rate(device)
    lines += [
        "",
        f"A large matrix product: {peak / 1e12:.2f} TFLOP/s.",
        "",
        "| units, batch | tokens/s | gain from a graph | a plain loop | "
        "of the matrix product's rate |",
        "| --- " * 5 + "|",
    ]
    for hidden in options.sizes:
        model = ModelConfig(corpus.tokenizer.vocab_size, "lstm", 1, hidden, 64)
        ours, faster = rate(corpus, model, BATCHES[hidden], device)
        theirs = plain(corpus, model, BATCHES[hidden], device)
        share = ours * operations(model) / peak
        sizes = f"{hidden}, {BATCHES[hidden]}"
        gain = f"{faster:.2f}" if faster else "none"
        lines.append(tell(f"| {sizes} | {ours:,.0f} | {gain} | {theirs:,.0f} | {share:.1%} |"))
    lines += [
        "",
        "Largest difference of outputs from those of the CPU, two layers of 256 units, 64 tokens:",
        "",
        "| cell | float32 or TF32 | precision of training |",
        "| --- " * 3 + "|",
        *differences(device),
    ]
    write("gpu", lines)


if __name__ == "__main__":
    main()
