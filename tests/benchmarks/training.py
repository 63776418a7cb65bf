"""How much is learned per minute, and how much of the machine is used for it.

    python -m tests.benchmarks.training TEXT [--times 10s 60s 5m 20m] [--runs DIR]

For each time, `charrnn train TEXT --time ...` with everything else left out: the loss on the last
10 % of the text against seconds from the command's start, also of the network and of the n-grams
alone. Beside it, in the same run, a plain torch
loop of the same shape, batch and windows: nn.LSTM, torch.optim.Adam at 0.002 (char-rnn's rate),
clipping, no validation until its time is over. charrnn's tokens a second are those of the whole
training, validations included; the share of the machine counts the network's matrix products, not
the optimizer's.
CHARRNN_DATA can name TEXT instead.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import charrnn
from charrnn.cli.options import seconds
from charrnn.config import ModelConfig
from charrnn.model import Model
from charrnn.network.cells import parameter_count, tensor_shapes
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training.corpus import Corpus
from charrnn.training.network import Network
from charrnn.training.validation import evaluate
from tests.benchmarks.figures import parse, tell, write

PLAIN_LR = 2e-3
VAL = 0.1


def matrix_rate(size: int = 1024, count: int = 40) -> float:
    """Floating-point operations a second in float32 matrix products, the best of some tries."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    best = 0.0
    for _ in range(count):
        began = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def operations(model: ModelConfig) -> float:
    """Floating-point operations that a token costs, forward and backward."""
    return 6.0 * (parameter_count(model) - model.vocab_size * model.embedding)


def train(path: str, budget: str, run: Path) -> list[dict[str, Any]]:
    """The events of `charrnn train`."""
    command = [sys.executable, "-m", "charrnn", "train", path, "--from", "none", "--time", budget]
    result = subprocess.run(
        [*command, "-o", str(run), "--json"], stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


class Plain(nn.Module):
    """What a script on torch.nn does."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(model.vocab_size, model.embedding)
        self.rnn = nn.LSTM(model.embedding, model.hidden, model.layers)
        self.output = nn.Linear(model.hidden, model.vocab_size)

    def forward(self, ids_tb: Tensor, state: Any) -> tuple[Tensor, Any]:
        hidden, state = self.rnn(self.embedding(ids_tb), state)
        return self.output(hidden), state


def plain(corpus: Corpus, start: dict[str, Any], budget: float) -> tuple[float, float]:
    """Tokens a second and held-out nats of a plain torch loop; importing torch is not counted."""
    model, training = ModelConfig(**start["model"] | {"ngram_order": 0}), start["training"]
    batch, bptt = training["batch"], training["bptt"]
    torch.manual_seed(0)
    network = Plain(model)
    optimizer = torch.optim.Adam(network.parameters(), lr=PLAIN_LR)
    length = len(corpus.train) // batch
    columns = corpus.train[: batch * length].view(batch, length).T.long()
    state = None
    steps, position = 0, 0
    began = time.perf_counter()
    while time.perf_counter() - began < budget:
        if position + bptt + 1 > length:
            position, state = 0, None
        window = columns[position : position + bptt + 1]
        logits, state = network(window[:-1], state)
        state = tuple(tensor.detach() for tensor in state)
        loss = F.cross_entropy(logits.flatten(0, 1), window[1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        steps += 1
        position += bptt
    rate = steps * batch * bptt / (time.perf_counter() - began)
    scored = Network(model, torch.Generator())
    scored.load(
        dict(zip(tensor_shapes(model), network.parameters(), strict=True))
    )  # in the same order
    return rate, corpus.nats_per_char(evaluate(scored, corpus.train, corpus.val).mean)


def alone(run: Path, text: str) -> list[float]:
    """The loss of the network and of the n-grams without each other, nats per character."""
    file = charrnn.load(run).file
    found = []
    for mix in ((1.0, 0.0), (0.0, 1.0)):
        mixes = np.array([mix] * file.config.ngram_order, np.float32)
        weights = {**file.weights, "mix": mixes}
        score = Model(replace(file, weights=weights)).score(text)
        found.append(score.nats / score.chars)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--times", nargs="+", default=["10s", "60s", "5m", "20m"])
    parser.add_argument("--runs", type=Path, help="Keep the run folders here, for charrnn plot.")
    options = parse(parser, "text")
    text = Source([options.text]).read()
    held_out = text[int(len(text) * (1 - VAL)) :]
    corpus = Corpus.prepare(Parts.of([text], VAL))
    rate = matrix_rate()
    lines = [
        f"{Path(options.text).name}, last {VAL:.0%} held out, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}; float32 matrix products {rate / 1e9:.0f} GFLOP/s:",
        "",
        "| time | network, dropout | nats/char | bits/char | network alone | n-grams alone "
        "| tokens/s | limit | baseline: nats/char | tokens/s | limit |",
        "| --- " * 11 + "|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        runs = options.runs or Path(folder)
        for budget in options.times:
            events = train(options.text, budget, runs / budget)
            start, done = events[0], events[-1]
            speed = [e["tokens_per_second"] for e in events if e["event"] == "step"][-1]
            model, training = start["model"], start["training"]
            share = speed * operations(ModelConfig(**model)) / rate
            plain_speed, plain_nats = plain(corpus, start, seconds(budget))
            network, ngrams = alone(runs / budget, held_out)
            plain_share = plain_speed * operations(ModelConfig(**model)) / rate
            row = (
                f"| {budget} | {model['layers']} x {model['hidden']}, {training['dropout']:g} "
                f"| {done['val_nats']:.3f} | {done['val_bpc']:.3f} | {network:.3f} | {ngrams:.3f} "
                f"| {speed:,.0f} | {share:.0%} "
                f"| {plain_nats:.3f} | {plain_speed:,.0f} | {plain_share:.0%} |"
            )
            lines.append(tell(row))
            for event in events:
                if event["event"] == "validation":
                    tell(f"    {event['seconds']:7.1f} s  {event['val_nats']:.4f}")
    write("training", lines)


if __name__ == "__main__":
    main()
