"""The recurrent cells, one NumPy step each. To add one: a step and a row in CELLS.

A step advances B streams by one token. Its gates stand side by side in one
matrix, in torch's order, so that a layer needs a single product:

    lstm  input, forget, cell, output       Hochreiter & Schmidhuber 1997; Gers et al. 2000
    gru   reset, update, new                Cho et al. 2014, arXiv:1406.1078
    rnn   one block, tanh or relu           Elman 1990
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Cell(NamedTuple):
    """What distinguishes a recurrent cell.

    Attributes:
        gates: blocks of H rows in each weight matrix and bias.
        states: arrays of [B, H] carried from step to step; the first is the output.
        step: (inputs_bg, state_sbh, recurrent_hg, recurrent_bias_g) -> new state_sbh, where
            `inputs_bg` is the layer's input times its weights, plus its input bias.
    """

    gates: int
    states: int
    step: Callable[[Array, Array, Array, Array], Array]


def _sigmoid(x: Array) -> Array:
    """Logistic function in place, through tanh: it cannot overflow and is vectorised."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5
    return x


def lstm(inputs: Array, state: Array, recurrent: Array, bias: Array) -> Array:
    hidden, cell = state
    size = hidden.shape[-1]
    gates = hidden @ recurrent
    gates += inputs
    gates += bias
    keep = _sigmoid(gates[:, : 2 * size])
    candidate = np.tanh(gates[:, 2 * size : 3 * size])
    out = _sigmoid(gates[:, 3 * size :])
    new = np.empty_like(state)
    np.multiply(keep[:, size:], cell, out=new[1])
    candidate *= keep[:, :size]
    new[1] += candidate
    np.tanh(new[1], out=new[0])
    new[0] *= out
    return new


def gru(inputs: Array, state: Array, recurrent: Array, bias: Array) -> Array:
    hidden = state[0]
    size = hidden.shape[-1]
    gates = hidden @ recurrent
    gates += bias
    both = _sigmoid(inputs[:, : 2 * size] + gates[:, : 2 * size])
    reset, update = both[:, :size], both[:, size:]
    # The reset gate acts on the recurrent product, bias included, as cuDNN and torch do.
    candidate = gates[:, 2 * size :]
    candidate *= reset
    candidate += inputs[:, 2 * size :]
    np.tanh(candidate, out=candidate)
    new: Array = np.subtract(hidden, candidate)[None]
    new *= update
    new += candidate
    return new


def rnn_tanh(inputs: Array, state: Array, recurrent: Array, bias: Array) -> Array:
    new: Array = np.tanh(state[0] @ recurrent + inputs + bias)[None]
    return new


def rnn_relu(inputs: Array, state: Array, recurrent: Array, bias: Array) -> Array:
    new: Array = np.maximum(state[0] @ recurrent + inputs + bias, 0)[None]
    return new


CELLS = {
    "lstm": Cell(gates=4, states=2, step=lstm),
    "gru": Cell(gates=3, states=1, step=gru),
    "rnn": Cell(gates=1, states=1, step=rnn_tanh),
    "rnn-relu": Cell(gates=1, states=1, step=rnn_relu),
}
