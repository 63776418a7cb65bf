"""The recurrent cells, one NumPy step each. To add one: a function and an entry in CELLS.

A step advances B streams by one token, in place. A cell's function takes two arrays and returns
the step, a function that reuses views of them: for one stream, creating views takes as long as the
computation. The gates are concatenated in torch's order:

    lstm  input, forget, cell, output       Hochreiter & Schmidhuber 1997; Gers et al. 2000
    gru   reset, update, new                Cho et al. 2014, arXiv:1406.1078
    rnn   one block, tanh or relu           Elman 1990

A logistic gate is computed as sigmoid(x) = tanh(x / 2) / 2 + 1/2, which cannot overflow and allows
one call of tanh for all gates. Its input is x / 2: `Cell.prepared` halves the weights in advance.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Array
from charrnn.config import ModelConfig

Step = Callable[[Array], None]
HALF = np.float32(0.5)  # float32, so that products stay float32
# Maximum output of a unit of the cell rnn-relu, which is otherwise unbounded: a network that
# amplifies its own output would reach infinity. Trained networks stay far below (not tuned).
MOST_RELU = np.float32(1e9)


class Cell(NamedTuple):
    """What distinguishes a recurrent cell.

    Attributes:
        gate_names: names of the gates: blocks of H rows in each weight matrix and bias.
        logistic: indices of the gates with a logistic activation.
        states: number of state arrays [B, H]; the first is the output.
        one_bias: whether the recurrent bias simply adds to the input bias.
        bind: function (gates_bg, state_sbh) -> step. Before `step(inputs_bg)`, `gates_bg` holds the
            hidden state times the recurrent matrix, and `inputs_bg` the layer's input times the
            input matrix, biases included. The step updates `state_sbh` and overwrites `gates_bg`,
            in which it leaves the activations of the logistic gates.
        torch: name of the layer in torch.nn that training uses.
        torch_options: its keyword arguments.
        open_gate: gate whose bias starts at 1 (the forget gate: Jozefowicz et al. 2015); None for
            none.
        init: its initialisation, a key of training.initialisation.INITIALISATIONS; `identity` keeps
            unbounded units stable.
    """

    gate_names: tuple[str, ...]
    logistic: tuple[int, ...]
    states: int
    one_bias: bool
    bind: Callable[[Array, Array], Step]
    torch: str
    torch_options: Mapping[str, str] = {}
    open_gate: int | None = None
    init: str = "orthogonal"

    @property
    def gates(self) -> int:
        """Number of gates."""
        return len(self.gate_names)

    def prepared(self, weights: Array) -> Array:
        """Return a matrix [G*H, K] or bias [G*H] transposed to [K, G*H] or [1, G*H], for a step.

        Logistic gates are halved. With many streams, products in this layout take 50 to 90 % as
        long.
        """
        columns = weights.reshape(len(weights), -1).T.copy()
        columns.reshape(len(columns), self.gates, -1)[:, list(self.logistic)] *= 0.5
        return columns


def lstm(gates: Array, state: Array) -> Step:
    """Return a step of the LSTM; see Cell.bind."""
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
    """Return scale and shift, [1, 4H], that turn tanh into the LSTM's gates; three are logistic.

    They have two dimensions because NumPy takes twice as long to combine a row with a vector.
    """
    scale = np.repeat(np.array([[0.5, 0.5, 1, 0.5]], np.float32), size, axis=1)
    return scale, 1 - scale


def gru(gates: Array, state: Array) -> Step:
    """Return a step of the GRU; see Cell.bind."""
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
    """Return a step of the simple RNN with tanh; see Cell.bind."""
    hidden = state[0]

    def step(inputs: Array) -> None:
        np.add(gates, inputs, gates)
        np.tanh(gates, hidden)

    return step


def rnn_relu(gates: Array, state: Array) -> Step:
    """Return a step of the simple RNN with ReLU; see Cell.bind."""
    hidden = state[0]

    def step(inputs: Array) -> None:
        np.add(gates, inputs, gates)
        np.maximum(gates, 0, out=hidden)
        np.minimum(hidden, MOST_RELU, out=hidden)

    return step


# The cells by name.
CELLS = {
    "lstm": Cell(
        ("input", "forget", "cell", "output"), (0, 1, 3), 2, True, lstm, "LSTM", open_gate=1
    ),
    "gru": Cell(("reset", "update", "new"), (0, 1), 1, False, gru, "GRU"),
    "rnn": Cell(("recurrent",), (), 1, True, rnn_tanh, "RNN", {"nonlinearity": "tanh"}),
    "rnn-relu": Cell(
        ("recurrent",), (), 1, True, rnn_relu, "RNN", {"nonlinearity": "relu"}, init="identity"
    ),
}


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a network by name."""
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
    if config.ngram_order:
        shapes["mix"] = (config.ngram_order, 2)  # see charrnn.network.ngrams.Ngrams.weighed
    return shapes | {"output_bias": (config.vocab_size,)}


def parameter_count(config: ModelConfig) -> int:
    """Return the number of parameters of a network, without the weights of its mixture."""
    return sum(math.prod(shape) for name, shape in tensor_shapes(config).items() if name != "mix")
