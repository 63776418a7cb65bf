"""The stacked network in NumPy: token ids and a state in, a state and logits out. Knows no text."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.cells import CELLS, Array
from charrnn.config import ModelConfig

TABLE_ROWS = 4096  # up to this vocabulary, the first layer's input product is a table of tokens
SINGLE_ROWS = 6  # up to this many streams, a product for each is faster than one for all


class Layer(NamedTuple):
    """Weights of a recurrent layer, as the cell's step wants them.

    Attributes:
        input: [G*H, K].
        input_bias: [1, G*H]; one row is added to another faster than a vector.
        recurrent: [G*H, H].
        recurrent_bias: [1, G*H], or None where it is part of the input bias.
    """

    input: Array
    input_bias: Array
    recurrent: Array
    recurrent_bias: Array | None


class Engine:
    """Runs a trained network without torch.

    The state is an array [L, S, B, H]: for each layer the cell's states, for each
    of B independent streams. Methods return a new one and change nothing.

    Args:
        config: the shape.
        weights: float32 arrays as named and shaped by `config.shapes()`.

    Attributes:
        layers: the recurrent layers.
        output: the output layer's matrix, [V, H].
        tabulated: whether the first layer's input product is looked up, not computed.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array]) -> None:
        self.config = config
        self.cell = CELLS[config.cell]
        self._embedding = weights["embedding"]
        self.layers = [self._layer(f"layers.{i}", weights) for i in range(config.layers)]
        self.output = weights["embedding" if config.tied else "output"]
        self._output_bias = weights["output_bias"][None]
        first = self.layers[0]
        self._table = (
            self._embedding @ first.input.T + first.input_bias
            if config.vocab_size <= TABLE_ROWS
            else None
        )

    def _layer(self, name: str, weights: Mapping[str, Array]) -> Layer:
        halved = self.cell.halved
        input_bias, recurrent_bias = (
            halved(weights[f"{name}.{which}_bias"])[None] for which in ("input", "recurrent")
        )
        matrices = halved(weights[f"{name}.input"]), halved(weights[f"{name}.recurrent"])
        if self.cell.one_bias:
            return Layer(matrices[0], input_bias + recurrent_bias, matrices[1], None)
        return Layer(matrices[0], input_bias, matrices[1], recurrent_bias)

    @property
    def tabulated(self) -> bool:
        return self._table is not None

    def zero_state(self, batch: int = 1) -> Array:
        config = self.config
        return np.zeros((config.layers, self.cell.states, batch, config.hidden), np.float32)

    def step(self, ids: NDArray[np.integer], state: Array) -> Array:
        """Read one token in each of B streams.

        Up to SINGLE_ROWS streams give the same bits as each one alone.

        Args:
            ids: token ids below the vocabulary's size, [B].
            state: [L, S, B, H].

        Returns:
            The state after, [L, S, B, H].
        """
        after = np.empty_like(state)
        inputs = self._first_inputs(ids)
        for i, layer in enumerate(self.layers):
            if i:
                inputs = multiply(after[i - 1, 0], layer.input)
                inputs += layer.input_bias
            self._advance(layer, inputs, state[i], after[i])
        return after

    def read(self, ids: NDArray[np.integer], state: Array) -> Array:
        """Read T tokens of one stream, each layer's input product at once.

        Args:
            ids: token ids below the vocabulary's size, [T].
            state: [L, S, 1, H].

        Returns:
            The state after, [L, S, 1, H].
        """
        after = state.copy()
        for start in range(0, len(ids), 1024):  # memory stays flat however long the text
            chunk = ids[start : start + 1024]
            inputs = self._first_inputs(chunk)
            for i, layer in enumerate(self.layers):
                states = np.empty((len(chunk) + 1, *after[i].shape), np.float32)
                states[0] = after[i]
                for x, old, new in zip(inputs[:, None], states, states[1:], strict=False):
                    self._advance(layer, x, old, new)
                after[i] = states[-1]
                if i + 1 < len(self.layers):
                    above = self.layers[i + 1]
                    inputs = states[1:, 0, 0] @ above.input.T
                    inputs += above.input_bias
        return after

    def logits(self, state: Array) -> Array:
        """Unnormalised log-probabilities of the next token, float32 [B, V]."""
        logits = multiply(state[-1, 0], self.output)
        logits += self._output_bias
        return logits

    def _advance(self, layer: Layer, inputs: Array, state: Array, new: Array) -> None:
        """One step of one layer, from `state` to `new`, [S, B, H]."""
        recurrent = multiply(state[0], layer.recurrent)
        if layer.recurrent_bias is not None:
            recurrent += layer.recurrent_bias
        self.cell.step(inputs, recurrent, state, new)

    def _first_inputs(self, ids: NDArray[np.integer]) -> Array:
        """The first layer's inputs times its weights, plus its input bias, [len(ids), G*H]."""
        if self._table is not None:
            return self._table.take(ids, axis=0)
        inputs = multiply(self._embedding[ids], self.layers[0].input)
        inputs += self.layers[0].input_bias
        return inputs


def multiply(rows: Array, matrix: Array) -> Array:
    """Each of `rows` [B, K] times `matrix` [N, K]: [B, N]."""
    if not 1 < len(rows) <= SINGLE_ROWS:
        product: Array = rows.dot(matrix.T)
        return product
    product = np.empty((len(rows), len(matrix)), np.float32)
    for row, out in zip(rows, product, strict=True):
        matrix.dot(row, out=out)
    return product


def log_softmax(logits: Array) -> Array:
    """Log-probabilities (nats) over the last axis; float32, same shape."""
    shifted: Array = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
