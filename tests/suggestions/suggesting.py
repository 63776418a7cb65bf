"""Completers with small networks of random weights."""

import numpy as np

from charrnn.arrays import Array
from charrnn.config import ModelConfig
from charrnn.network.cells import tensor_shapes
from charrnn.network.engine import Engine, State, log_softmax
from charrnn.suggestions.completer import (
    Completer,
)
from charrnn.suggestions.mixture import BEGIN, FEATURES, Weights
from charrnn.suggestions.trigrams import Trigrams
from charrnn.tokenizer import (
    Tokenizer,
)


def random_engine(vocab_size: int, seed: int = 0, scale: float = 0.6) -> Engine:
    """Return a small network with random weights."""
    config = ModelConfig(vocab_size, "gru", layers=1, hidden=16, embedding=8)
    rng = np.random.default_rng(seed)
    return Engine(
        config,
        {
            name: (scale * rng.normal(size=shape)).astype(np.float32)
            for name, shape in tensor_shapes(config).items()
        },
    )


NETWORK: Weights = np.zeros_like(BEGIN)  # the network alone


NETWORK[:, FEATURES.index("network")] = 1


def suggesting(
    tokenizer: Tokenizer,
    seed: int = 0,
    text: str = "",
    weights: Weights = NETWORK,
    recent: bool = False,
) -> tuple[Completer, Engine]:
    """Return a completer with a random network and the words of a text, and the network."""
    engine = random_engine(tokenizer.vocab_size, seed)
    ngram = Trigrams.build(text)
    return Completer(engine, tokenizer, engine.zero_state(), ngram, weights, recent), engine


def log_probabilities(engine: Engine, tokenizer: Tokenizer, state: State) -> Array:
    """Return the log-probabilities of the next token, [V]."""
    logits = engine.logits(state)
    logits[:, tokenizer.unknown_id] = -np.inf
    first: Array = log_softmax(logits)[0]
    return first


def read(engine: Engine, tokenizer: Tokenizer, typed: str, text: str) -> tuple[float, State]:
    """Return the log-probability of `text` after `typed`, and the state after both."""
    state = engine.read(tokenizer.encode(typed), engine.zero_state())
    total = 0.0
    for token in tokenizer.encode(text):
        total += log_probabilities(engine, tokenizer, state)[token]
        state = engine.step(np.array([token]), state)
    return total, state


def probability(engine: Engine, tokenizer: Tokenizer, typed: str, text: str) -> float:
    """Return the probability of `text` and then a word's end, for a character model."""
    total, state = read(engine, tokenizer, typed, text)
    ends = [i for i, t in enumerate(tokenizer.tokens[:-1]) if t in " .\n"]
    return float(
        np.exp(total + np.log(np.exp(log_probabilities(engine, tokenizer, state)[ends]).sum()))
    )
