"""Networks built by hand, whose units are known, and texts for them."""

import random

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model import Model
from charrnn.network.cells import tensor_shapes
from charrnn.network.model_file import ModelFile, Trained
from charrnn.tokenizer import CharTokenizer

COUNTER, UNREAD = 3, 5  # units of `bracket_counter`


def bracketed(chars: int, seed: int = 0) -> str:
    """A text of random letters, spaces and pairs of round brackets, up to three deep."""
    chosen = random.Random(seed)
    text, depth = "", 0
    while len(text) < chars:
        kind = chosen.random()
        if kind < 0.2 * depth:
            text, depth = text + ")", depth - 1
        elif kind > 0.97 and depth < 3:
            text, depth = text + "(", depth + 1
        else:
            text += chosen.choice("abcde   \n")
    return text


def bracket_counter() -> Model:
    """A network whose unit COUNTER is the number of open brackets; nothing reads unit UNREAD.

    With each open bracket, the logit of a closing one grows by 1. The other units are random.
    """
    tokenizer = CharTokenizer.train(bracketed(1000))
    config = ModelConfig(tokenizer.vocab_size, "rnn-relu", hidden=8, embedding=4)
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 0.2, shape).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    opening, closing = (tokenizer.tokens.index(bracket) for bracket in "()")
    weights["embedding"][:, :2] = 0
    weights["embedding"][opening, 0] = weights["embedding"][closing, 1] = 1
    for name in ("input", "recurrent", "input_bias", "recurrent_bias"):
        weights[f"layers.0.{name}"][COUNTER] = 0
    weights["layers.0.input"][COUNTER, :2] = 1, -1
    for name in ("layers.0.recurrent", "output"):
        weights[name][:, [COUNTER, UNREAD]] = 0
    weights["layers.0.recurrent"][COUNTER, COUNTER] = 1
    weights["output"][closing, COUNTER] = 1
    weights["output_bias"][closing] = -0.5
    return Model(ModelFile(config, tokenizer, weights, Trained()))
