"""The recurrent cells, one NumPy step each. To add one: a function and a row in CELLS.

A step advances B streams by one token, in place. A cell's function is given two arrays and makes
the step, which works on views of them made once: for one stream, making views takes as long as
computing. The gates stand side by side, in torch's order:

    lstm  input, forget, cell, output       Hochreiter & Schmidhuber 1997; Gers et al. 2000
    gru   reset, update, new                Cho et al. 2014, arXiv:1406.1078
    rnn   one block, tanh or relu           Elman 1990

A logistic gate is computed as sigmoid(x) = tanh(x / 2) / 2 + 1/2, which cannot overflow and lets
one call of tanh serve all gates. It is given x / 2: `Cell.prepared` halves the weights once.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Array
from charrnn.config import ModelConfig

Step = Callable[[Array], None]
HALF = np.float32(0.5)
# What a unit of the cell rnn-relu gives at the most: nothing else bounds it, and a network that
# amplifies its own output would come to infinity. No network in use comes near it.
MOST_RELU = np.float32(1e9)


class Cell(NamedTuple):
    """What distinguishes a recurrent cell.

    Attributes:
        gates: blocks of H rows in each weight matrix and bias.
        logistic: those of them that go through the logistic function.
        states: arrays of [B, H] carried from step to step; the first is the output.
        one_bias: whether the recurrent bias just adds to the input bias.
        bind: (gates_bg, state_sbh) -> step, of which `step(inputs_bg)` advances the state, where
            the gates hold the hidden state times its weights, and the inputs are a layer's input
            times its weights, biases included. It spoils the gates.
    """

    gates: int
    logistic: tuple[int, ...]
    states: int
    one_bias: bool
    bind: Callable[[Array, Array], Step]

    def prepared(self, weights: Array) -> Array:
        """A matrix [G*H, K] or bias [G*H] as a step wants it, [K, G*H] or [1, G*H]: halved.

        Of many streams, rows are multiplied with a matrix that lies so in half to nine tenths of
        the time.
        """
        columns = weights.reshape(len(weights), -1).T.copy()
        columns.reshape(len(columns), self.gates, -1)[:, list(self.logistic)] *= 0.5
        return columns


def lstm(gates: Array, state: Array) -> Step:
    hidden, cell = state
    size = hidden.shape[1]
    entering, forgetting = gates[:, :size], gates[:, size : 2 * size]
    candidate, leaving = gates[:, 2 * size : 3 * size], gates[:, 3 * size :]
    scale, shift = _from_tanh(size)

    def step(inputs: Array) -> None:
        np.add(gates, inputs, gates)
        np.tanh(gates, gates)
        np.multiply(gates, scale, gates)
        np.add(gates, shift, gates)
        np.multiply(cell, forgetting, cell)
        np.multiply(candidate, entering, candidate)
        np.add(cell, candidate, cell)
        np.tanh(cell, hidden)
        np.multiply(hidden, leaving, hidden)

    return step


@cache
def _from_tanh(size: int) -> tuple[Array, Array]:
    """A factor and a summand, [1, 4H], that make the gates of tanh: all but the third logistic.

    Two dimensions, because NumPy takes twice as long for a row and a vector as for two rows.
    """
    scale = np.repeat(np.array([[0.5, 0.5, 1, 0.5]], np.float32), size, axis=1)
    return scale, 1 - scale


def gru(gates: Array, state: Array) -> Step:
    hidden = state[0]
    size = hidden.shape[1]
    logistic, candidate = gates[:, : 2 * size], gates[:, 2 * size :]
    reset, update = logistic[:, :size], logistic[:, size:]

    def step(inputs: Array) -> None:
        np.add(logistic, inputs[:, : 2 * size], logistic)
        np.tanh(logistic, logistic)
        np.multiply(logistic, HALF, logistic)
        np.add(logistic, HALF, logistic)
        # The reset gate acts on the recurrent product, bias included, as cuDNN and torch do.
        np.multiply(candidate, reset, candidate)
        np.add(candidate, inputs[:, 2 * size :], candidate)
        np.tanh(candidate, candidate)
        np.subtract(hidden, candidate, hidden)
        np.multiply(hidden, update, hidden)
        np.add(hidden, candidate, hidden)

    return step


def rnn_tanh(gates: Array, state: Array) -> Step:
    hidden = state[0]

    def step(inputs: Array) -> None:
        np.add(gates, inputs, gates)
        np.tanh(gates, hidden)

    return step


def rnn_relu(gates: Array, state: Array) -> Step:
    hidden = state[0]

    def step(inputs: Array) -> None:
        np.add(gates, inputs, gates)
        np.maximum(gates, 0, out=hidden)
        np.minimum(hidden, MOST_RELU, out=hidden)

    return step


CELLS = {
    "lstm": Cell(gates=4, logistic=(0, 1, 3), states=2, one_bias=True, bind=lstm),
    "gru": Cell(gates=3, logistic=(0, 1), states=1, one_bias=False, bind=gru),
    "rnn": Cell(gates=1, logistic=(), states=1, one_bias=True, bind=rnn_tanh),
    "rnn-relu": Cell(gates=1, logistic=(), states=1, one_bias=True, bind=rnn_relu),
}


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every tensor of a network; G is the cell's gates times H."""
    gates = CELLS[config.cell].gates * config.hidden
    shapes: dict[str, tuple[int, ...]] = {"embedding": (config.vocab_size, config.embedding)}
    for layer in range(config.layers):
        inputs = config.hidden if layer else config.embedding
        shapes |= {
            f"layers.{layer}.input": (gates, inputs),
            f"layers.{layer}.recurrent": (gates, config.hidden),
            f"layers.{layer}.input_bias": (gates,),
            f"layers.{layer}.recurrent_bias": (gates,),
        }
    if not config.tied:
        shapes["output"] = (config.vocab_size, config.hidden)
    return shapes | {"output_bias": (config.vocab_size,)}


def parameter_count(config: ModelConfig) -> int:
    """Return how many parameters a network has."""
    return sum(map(math.prod, tensor_shapes(config).values()))
