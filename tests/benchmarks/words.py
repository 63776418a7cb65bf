"""Perplexity of words, against PyTorch's own example of a word language model, in equal time.

    python -m tests.benchmarks.words TEXT [--times 60s]

What `charrnn train TEXT --level word --time ...` does, timed with reading and validation, against
the settings of github.com/pytorch/examples/tree/main/word_language_model, rebuilt from torch's
modules: an LSTM of 2 x 200 units, embeddings of 200, dropout 0.2, batch size 20, windows of 35,
and SGD at a learning rate of 20, divided by 4 after each epoch that does not improve the validation
loss, with gradients clipped at 0.25. Only its updates are timed. Both have the same vocabulary and
tokens, and are scored in the same way on the last 10 % of the text: perplexity per token. The
example's score is the better of its last weights and those of the best validation.
CHARRNN_DATA can name TEXT instead.
"""

import argparse
import math
import os
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from charrnn.cli.options import seconds
from charrnn.config import ModelConfig
from charrnn.network.cells import tensor_shapes
from charrnn.text.source import Source
from charrnn.training import loop, prepare
from charrnn.training.clock import Clock
from charrnn.training.corpus import Corpus
from charrnn.training.network import Network
from charrnn.training.validation import evaluate
from tests.benchmarks.figures import parse, tell, write

UNITS, LAYERS, DROPOUT = 200, 2, 0.2
BATCH, BPTT = 20, 35
LR, CLIP, INITIAL = 20.0, 0.25, 0.1
SEED = 1111

State = tuple[Tensor, Tensor]


class Example(nn.Module):
    """The example's RNNModel."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.encoder = nn.Embedding(vocab_size, UNITS)
        self.rnn = nn.LSTM(UNITS, UNITS, LAYERS, dropout=DROPOUT)
        self.decoder = nn.Linear(UNITS, vocab_size)
        self.drop = nn.Dropout(DROPOUT)
        nn.init.uniform_(self.encoder.weight, -INITIAL, INITIAL)
        nn.init.uniform_(self.decoder.weight, -INITIAL, INITIAL)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, ids_tb: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, state = self.rnn(self.drop(self.encoder(ids_tb)), state)
        return self.decoder(self.drop(outputs)), state


def score(network: Example, corpus: Corpus) -> float:
    """Nats per token of the held-out part."""
    vocab_size = corpus.tokenizer.vocab_size
    model = ModelConfig(vocab_size, layers=LAYERS, hidden=UNITS, embedding=UNITS)
    scored = Network(model, torch.Generator())
    scored.load(
        dict(zip(tensor_shapes(model), network.parameters(), strict=True))
    )  # in the same order
    return evaluate(scored, corpus.train, corpus.val).mean


def charrnn(path: str, budget: float) -> tuple[Corpus, float, float]:
    """The text as it was read; epochs, and nats per token of the held-out part."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        options = {"seconds": budget}
        trainer, run = prepare.begin(Source([path]), Path(folder), "cpu", "word", options)
        for _ in loop.train(trainer, run, Clock(began), lambda: False):
            pass
    trainer.network.load(trainer.best)
    corpus = trainer.corpus
    return corpus, trainer.epoch, evaluate(trainer.network, corpus.train, corpus.val).mean


def example(corpus: Corpus, budget: float) -> tuple[float, float]:
    """Epochs, and nats per token of the held-out part."""
    torch.manual_seed(SEED)
    network = Example(corpus.tokenizer.vocab_size)
    length = len(corpus.train) // BATCH
    columns = corpus.train[: BATCH * length].view(BATCH, length).T.long()
    best, lr, spent, epochs = math.inf, LR, 0.0, 0.0
    while True:
        zeros = torch.zeros(LAYERS, BATCH, UNITS)
        state = (zeros, zeros)
        began = time.perf_counter()
        for position in range(0, length - 1, BPTT):
            window = columns[position : position + BPTT + 1]
            logits, state = network(window[:-1], (state[0].detach(), state[1].detach()))
            loss = F.cross_entropy(logits.flatten(0, 1), window[1:].flatten())
            network.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            with torch.no_grad():
                for parameter in network.parameters():
                    if parameter.grad is not None:
                        parameter.add_(parameter.grad, alpha=-lr)
            if spent + time.perf_counter() - began >= budget:
                return epochs + position / length, min(best, score(network, corpus))
        spent += time.perf_counter() - began
        epochs += 1
        if (nats := score(network, corpus)) < best:
            best = nats
        else:
            lr /= 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--times", nargs="+", default=["60s"])
    options = parse(parser, "text")
    rows = {"charrnn": "| charrnn |", "example": "| word_language_model |"}
    for budget in options.times:
        corpus, *ours = charrnn(options.text, seconds(budget))
        theirs = example(corpus, seconds(budget))
        for name, (epochs, nats) in (("charrnn", ours), ("example", theirs)):
            bits = corpus.nats_per_char(nats) / math.log(2)
            tell(f"{name}, {budget}: {epochs:.1f} epochs, {bits:.3f} bits/char")
            rows[name] += f" {math.exp(nats):.1f} |"
    lines = [
        f"{Path(options.text).name}, {len(corpus.train):,} tokens to train on, "
        f"{len(corpus.val):,} held out, {corpus.tokenizer.vocab_size:,} in the vocabulary:",
        "",
        f"| | {' | '.join(f'after {budget}' for budget in options.times)} |",
        "| --- " * (1 + len(options.times)) + "|",
        *rows.values(),
    ]
    write("words", lines)


if __name__ == "__main__":
    main()
