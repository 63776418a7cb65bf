"""The recurrent cells, one NumPy step each. To add one: a step and a row in CELLS.

A step advances B streams by one token. Its gates stand side by side, in torch's order:

    lstm  input, forget, cell, output       Hochreiter & Schmidhuber 1997; Gers et al. 2000
    gru   reset, update, new                Cho et al. 2014, arXiv:1406.1078
    rnn   one block, tanh or relu           Elman 1990

A logistic gate is computed as sigmoid(x) = tanh(x / 2) / 2 + 1/2, which cannot overflow and lets
one call of tanh serve all gates. The step is given x / 2: `Cell.halved` halves the weights once.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Step = Callable[[Array, Array, Array, Array], None]


class Cell(NamedTuple):
    """What distinguishes a recurrent cell.

    Attributes:
        gates: blocks of H rows in each weight matrix and bias.
        logistic: those of them that go through the logistic function.
        states: arrays of [B, H] carried from step to step; the first is the output.
        one_bias: whether the recurrent bias just adds to the input bias.
        step: (inputs_bg, recurrent_bg, state_sbh, new_sbh) -> None: from a layer's input times
            its weights and the hidden state times its, biases included, to the new state, written
            into `new_sbh`; it may spoil `recurrent_bg`.
    """

    gates: int
    logistic: tuple[int, ...]
    states: int
    one_bias: bool
    step: Step

    def halved(self, weights: Array) -> Array:
        """A copy of a matrix [G*H, K] or bias [G*H] as `step` wants it."""
        blocks = weights.reshape(self.gates, -1).copy()
        blocks[list(self.logistic)] *= 0.5
        return blocks.reshape(weights.shape)


def lstm(inputs: Array, recurrent: Array, state: Array, new: Array) -> None:
    size = state.shape[-1]
    gates = recurrent
    gates += inputs
    np.tanh(gates, out=gates)
    scale, shift = _from_tanh(size)
    gates *= scale
    gates += shift
    hidden, cell = new[0], new[1]
    np.multiply(gates[:, size : 2 * size], state[1], out=cell)
    candidate = gates[:, 2 * size : 3 * size]
    candidate *= gates[:, :size]
    cell += candidate
    np.tanh(cell, out=hidden)
    hidden *= gates[:, 3 * size :]


@cache
def _from_tanh(size: int) -> tuple[Array, Array]:
    """A factor and a summand, [1, 4H], that make the gates of tanh: all but the third logistic.

    Two dimensions, because NumPy takes twice as long for a row and a vector as for two rows.
    """
    scale = np.repeat(np.array([[0.5, 0.5, 1, 0.5]], np.float32), size, axis=1)
    return scale, 1 - scale


def gru(inputs: Array, recurrent: Array, state: Array, new: Array) -> None:
    size = state.shape[-1]
    logistic, candidate = recurrent[:, : 2 * size], recurrent[:, 2 * size :]
    logistic += inputs[:, : 2 * size]
    np.tanh(logistic, out=logistic)
    logistic *= 0.5
    logistic += 0.5
    # The reset gate acts on the recurrent product, bias included, as cuDNN and torch do.
    candidate *= logistic[:, :size]
    candidate += inputs[:, 2 * size :]
    np.tanh(candidate, out=candidate)
    hidden = new[0]
    np.subtract(state[0], candidate, out=hidden)
    hidden *= logistic[:, size:]
    hidden += candidate


def rnn_tanh(inputs: Array, recurrent: Array, state: Array, new: Array) -> None:
    recurrent += inputs
    np.tanh(recurrent, out=new[0])


def rnn_relu(inputs: Array, recurrent: Array, state: Array, new: Array) -> None:
    recurrent += inputs
    np.maximum(recurrent, 0, out=new[0])


CELLS = {
    "lstm": Cell(gates=4, logistic=(0, 1, 3), states=2, one_bias=True, step=lstm),
    "gru": Cell(gates=3, logistic=(0, 1), states=1, one_bias=False, step=gru),
    "rnn": Cell(gates=1, logistic=(), states=1, one_bias=True, step=rnn_tanh),
    "rnn-relu": Cell(gates=1, logistic=(), states=1, one_bias=True, step=rnn_relu),
}
