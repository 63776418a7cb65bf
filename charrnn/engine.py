"""The stacked network in NumPy: token ids and a state in, a state and logits out. Knows no text."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from charrnn.cells import CELLS, Array
from charrnn.config import ModelConfig

TABLE_ROWS = 4096  # up to this vocabulary, the first layer's input product is a table of tokens


class Engine:
    """Runs a trained network without torch.

    The state is an array [L, S, B, H]: for each layer the cell's states, for each
    of B independent streams. Methods return a new one and change nothing.

    Args:
        config: the shape.
        weights: float32 arrays as named and shaped by `config.shapes()`.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array]) -> None:
        self.config = config
        self.cell = CELLS[config.cell]
        self._embedding = weights["embedding"]
        self._layers = [
            (
                weights[f"layers.{i}.input"].T,
                weights[f"layers.{i}.input_bias"],
                weights[f"layers.{i}.recurrent"].T,
                weights[f"layers.{i}.recurrent_bias"],
            )
            for i in range(config.layers)
        ]
        self._output = weights["output"].T
        self._output_bias = weights["output_bias"]
        matrix, bias, _, _ = self._layers[0]
        self._table = self._embedding @ matrix + bias if config.vocab_size <= TABLE_ROWS else None

    def zero_state(self, batch: int = 1) -> Array:
        config = self.config
        return np.zeros((config.layers, self.cell.states, batch, config.hidden), np.float32)

    def step(self, ids: NDArray[np.integer], state: Array) -> Array:
        """Read one token in each of B streams.

        Args:
            ids: token ids below the vocabulary's size, [B].
            state: [L, S, B, H].

        Returns:
            The state after, [L, S, B, H].
        """
        after = np.empty_like(state)
        x = self._first_inputs(ids)
        for i, (matrix, bias, recurrent, recurrent_bias) in enumerate(self._layers):
            if i:
                x = after[i - 1, 0] @ matrix
                x += bias
            after[i] = self.cell.step(x, state[i], recurrent, recurrent_bias)
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
            outputs = np.empty((len(chunk), self.config.hidden), np.float32)
            for i, (matrix, bias, recurrent, recurrent_bias) in enumerate(self._layers):
                x = outputs @ matrix + bias if i else self._first_inputs(chunk)
                for t in range(len(chunk)):
                    after[i] = self.cell.step(x[t : t + 1], after[i], recurrent, recurrent_bias)
                    outputs[t] = after[i, 0, 0]
        return after

    def logits(self, state: Array) -> Array:
        """Unnormalised log-probabilities of the next token, float32 [B, V]."""
        logits: Array = state[-1, 0] @ self._output
        logits += self._output_bias
        return logits

    def _first_inputs(self, ids: NDArray[np.integer]) -> Array:
        """The first layer's inputs times its weights, plus its input bias, [len(ids), G*H]."""
        matrix, bias, _, _ = self._layers[0]
        inputs: Array = (
            self._embedding[ids] @ matrix + bias if self._table is None else self._table[ids]
        )
        return inputs


def log_softmax(logits: Array) -> Array:
    """Log-probabilities (nats) over the last axis; float32, same shape."""
    shifted: Array = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
