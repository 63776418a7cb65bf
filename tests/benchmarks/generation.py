"""Tokens generated per second, against the same network sampled through torch's modules.

    python -m tests.benchmarks.generation [--seconds 1] [--only 512]

For each network of random weights and for 1, 8 and 64 texts at once: charrnn's whole way from seed
to text (`Model.write`), and a loop as scripts on torch have it: nn.LSTM or nn.GRU for one step,
softmax, torch.multinomial. Both sample at temperature 0.8, in turns; the best of 5 rounds counts.

For 1 and 64 texts, "parts" are the shares of charrnn's time that the matrix products, the cells'
other work and the sampler take when nothing else is done. For one text the products read all
weights for each token: "limit" is these bytes per second as a share of what this machine reads from
memory (over 100 % where the weights stay in the cache). For 64 it is the rate of the products'
operations as a share of that of large matrix products.
"""

import argparse
import string
import time
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.config import ModelConfig, SamplingConfig, StopConfig
from charrnn.generation.sample import Sample
from charrnn.generation.sampling import Sampler
from charrnn.model import Model
from charrnn.network.cells import CELLS, parameter_count, tensor_shapes
from charrnn.network.engine import State, multiply
from charrnn.network.model_file import ModelFile, Trained
from charrnn.tokenizer import CharTokenizer, Tokenizer, WordTokenizer
from tests.benchmarks.figures import parse, tell, write

CHARACTERS = string.ascii_letters + " \n.,;:!?'-"
SHAPES = [(2, 128), (2, 256), (2, 512), (3, 512)]
STREAMS = [1, 8, 64]
WITH_PARTS = [1, 64]
WORDS = [10_000, 50_000]
EMBEDDING = 64
ROUNDS = 5


def words(count: int) -> list[str]:
    """Made-up words, each with the space before it."""
    syllables = ["".join(pair) for pair in product("bdfgklmnprst", "aeiou")]
    found = (" " + "".join(parts) for parts in product(syllables, repeat=3))
    return [*CHARACTERS, *(word for word, _ in zip(found, range(count), strict=False))]


def model_of(config: ModelConfig, tokenizer: Tokenizer) -> Model:
    rng = np.random.default_rng(0)
    weights = {
        n: rng.normal(0, 0.1, s).astype(np.float32) for n, s in tensor_shapes(config).items()
    }
    return Model(ModelFile(config, tokenizer, weights, Trained(opening="\n")))


class Plain:
    """What a script on torch.nn does."""

    def __init__(self, config: ModelConfig, streams: int) -> None:
        cell = {"lstm": nn.LSTM, "gru": nn.GRU}[config.cell]
        self.embedding = nn.Embedding(config.vocab_size, config.embedding)
        self.rnn = cell(config.embedding, config.hidden, config.layers)
        self.output = nn.Linear(config.hidden, config.vocab_size)
        self.state: Tensor | tuple[Tensor, Tensor] | None = None
        self.ids = torch.zeros(1, streams, dtype=torch.long)

    @torch.no_grad()
    def write(self, count: int) -> list[list[int]]:
        drawn = []
        for _ in range(count):
            hidden, self.state = self.rnn(self.embedding(self.ids), self.state)
            p = (self.output(hidden[0]) / 0.8).softmax(-1)
            self.ids = torch.multinomial(p, 1).T
            drawn.append(self.ids[0].tolist())
        return drawn


def generate(model: Model, streams: int, count: int) -> None:
    samples = [Sample("a", SamplingConfig(temperature=0.8), (0, i)) for i in range(streams)]
    for _ in model.write(samples, StopConfig(tokens=count), 0):
        pass


def parts(model: Model, streams: int) -> list[Callable[[int], None]]:
    """The matrix products of some steps and nothing else; the cells' other work; the sampler's."""
    engine = model.engine
    hidden = np.random.default_rng(0).random((streams, engine.config.hidden), np.float32)
    state = engine.zero_state(streams)
    top = State(hidden[None, None], state.contexts)
    logits = engine.logits(state)
    outgoing = [multiply(hidden, layer.outgoing) for layer in engine.layers]
    gates = multiply(hidden, engine.layers[0].recurrent)
    steps = [engine.cell.bind(gates, own) for own in state.hidden]
    rngs = [np.random.default_rng(i) for i in range(streams)]
    sampler = Sampler(SamplingConfig(), rngs, [np.zeros(0, int)] * streams)

    def multiplying(count: int) -> None:
        for _ in range(count):
            for layer, out in zip(engine.layers, outgoing, strict=True):
                multiply(hidden, layer.outgoing, out)
            engine.logits(top)

    def other(count: int) -> None:
        for _ in range(count):
            for step in steps:
                step(gates)

    def drawing(count: int) -> None:
        for _ in range(count):
            sampler.sample(logits, logits[0])

    return [multiplying, other, drawing]


def seconds_each(run: Callable[[int], object], count: int) -> float:
    began = time.perf_counter()
    run(count)
    return (time.perf_counter() - began) / count


def settled(run: Callable[[int], object], count: int) -> float:
    """Seconds for a step, once the threads of whatever ran before have gone to sleep."""
    time.sleep(0.2)
    run(3)
    return seconds_each(run, count)


def steps_in(run: Callable[[int], object], seconds: float) -> int:
    """How many steps take about so long."""
    run(3)
    return max(3, int(seconds / seconds_each(run, 5)))


def read_rate() -> float:
    """Bytes a second that a product of a matrix and a vector reads from memory."""
    matrix, vector = np.ones((16384, 4096), np.float32), np.ones(4096, np.float32)
    return matrix.nbytes / min(seconds_each(lambda _: np.dot(matrix, vector), 1) for _ in range(20))


def matrix_rate(size: int = 1024) -> float:
    """Operations a second of a product of matrices."""
    a = np.ones((size, size), np.float32)
    return 2 * size**3 / min(seconds_each(lambda _: np.dot(a, a), 1) for _ in range(20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="For each figure.")
    parser.add_argument("--only", default="", help="Networks whose name holds this.")
    options = parse(parser)
    memory, arithmetic = read_rate(), matrix_rate()
    lines = [
        f"{torch.get_num_threads()} threads; memory {memory / 1e9:.0f} GB/s, "
        f"matrix products {arithmetic / 1e9:.0f} GFLOP/s; tokens per second:",
        "",
        "| network | 1 text: torch | charrnn | ratio | parts | limit | 8 texts: torch | charrnn "
        "| ratio | 64 texts: torch | charrnn | ratio | parts | limit |",
        "| --- " * 14 + "|",
    ]
    networks = [(cell, layers, hidden, 0) for cell in ("lstm", "gru") for layers, hidden in SHAPES]
    networks += [("lstm", 2, 512, count) for count in WORDS]
    for cell, layers, hidden, count in networks:
        name = f"{cell} {layers} x {hidden}, " + (f"{count:,} words" if count else "characters")
        if options.only not in name:
            continue
        tokenizer = WordTokenizer(words(count)) if count else CharTokenizer(CHARACTERS)
        config = ModelConfig(tokenizer.vocab_size, cell, layers, hidden, EMBEDDING)
        model = model_of(config, tokenizer)
        row = f"| {name} |"
        for streams in STREAMS:
            runs: list[Callable[[int], object]] = [
                Plain(config, streams).write,
                partial(generate, model, streams),
                *(parts(model, streams) if streams in WITH_PARTS else []),
            ]
            counts = [steps_in(run, options.seconds / ROUNDS) for run in runs]
            rounds = [[*map(settled, runs, counts)] for _ in range(ROUNDS)]
            plain, ours, *shares = (min(each) for each in zip(*rounds, strict=True))
            table = CELLS[cell].gates * hidden * EMBEDDING if model.engine.tabulated else 0
            weights = parameter_count(config) - table - config.vocab_size * EMBEDDING
            limit = (
                4 * weights / ours / memory
                if streams == 1
                else (2 * weights * streams / ours / arithmetic)
            )
            cells = f" {streams / plain:,.0f} | {streams / ours:,.0f} | {plain / ours:.1f} |"
            if shares:
                each = " / ".join(f"{100 * share / ours:.0f}" for share in shares)
                cells += f" {each} % | {limit:.0%} |"
            row += cells
            tell(f"{name}, {streams} at once:{cells}")
        lines.append(row)
    write("generation", lines)


if __name__ == "__main__":
    main()
