"""The stacked network in NumPy: token ids and a state in, a state and logits out. Knows no text."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from copy import copy
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.config import ModelConfig
from charrnn.network import blas
from charrnn.network.cells import CELLS, Cell

TABLE_ROWS = 4096  # up to this vocabulary, the first layer's input product is a table of tokens
SINGLE_ROWS = 4  # up to this many streams, a product for each is faster than one for all


class Layer(NamedTuple):
    """Weights of a recurrent layer, as the cell's step wants them.

    Attributes:
        input: [K, G*H].
        input_bias: [1, G*H]; one row is added to another faster than a vector.
        recurrent: [H, G*H].
        recurrent_bias: [1, G*H], or None where it is part of the input bias.
        outgoing: all that the layer's output is multiplied with: the recurrent matrix and, beside
            it, the input of the layer above, [H, N]. Those are views of it.
    """

    input: Array
    input_bias: Array
    recurrent: Array
    recurrent_bias: Array | None
    outgoing: Array


class Engine:
    """Runs a trained network without torch.

    The state is an array [L, S, B, H]: for each layer the cell's states, for each
    of B independent streams. Methods return a new one and change nothing, but for `correct`.

    Args:
        config: the shape.
        weights: float32 arrays with the names and shapes of cells.tensor_shapes.

    Attributes:
        layers: the recurrent layers.
        tabulated: whether the first layer's input product is looked up, not computed.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array]) -> None:
        self.config = config
        self.cell = CELLS[config.cell]
        self._embedding = weights["embedding"]
        self.layers = self._layers(weights)
        self._output = weights["embedding" if config.tied else "output"]
        self._output_bias = weights["output_bias"][None]
        self._largest = max(m.size for m in (self._output, *(x.outgoing for x in self.layers)))
        first = self.layers[0]
        self._table = (
            self._embedding @ first.input + first.input_bias
            if config.vocab_size <= TABLE_ROWS
            else None
        )

    def _layers(self, weights: Mapping[str, Array]) -> list[Layer]:
        prepared, one_bias = self.cell.prepared, self.cell.one_bias
        layers: list[Layer] = []
        matrix = prepared(weights["layers.0.input"])
        for i in range(self.config.layers):
            recurrent = prepared(weights[f"layers.{i}.recurrent"])
            width = recurrent.shape[1]
            above = weights.get(f"layers.{i + 1}.input")
            outgoing = recurrent if above is None else np.hstack((recurrent, prepared(above)))
            bias, own = (
                prepared(weights[f"layers.{i}.{which}_bias"]) for which in ("input", "recurrent")
            )
            layers.append(
                Layer(
                    input=matrix,
                    input_bias=bias + own if one_bias else bias,
                    recurrent=outgoing[:, :width],
                    recurrent_bias=None if one_bias else own,
                    outgoing=outgoing,
                )
            )
            matrix = outgoing[:, width:]
        return layers

    @cached_property
    def _output_by_columns(self) -> Array:
        """The output layer's matrix laid out for many streams, [H, V]; for few it gains nothing."""
        return np.ascontiguousarray(self._output.T)

    def threads(self, streams: int) -> AbstractContextManager[None]:
        """Within, steps of so many streams use as many threads as suit them (network.blas)."""
        return blas.threads(streams, self._largest)

    @property
    def tabulated(self) -> bool:
        return self._table is not None

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
        after = state.copy()
        inputs = self.inputs(ids)
        for i, layer in enumerate(self.layers):
            if i:
                inputs = multiply(after[i - 1, 0], layer.input)
                inputs += layer.input_bias
            gates = multiply(after[i, 0], layer.recurrent)
            if layer.recurrent_bias is not None:
                gates += layer.recurrent_bias
            self.cell.bind(gates, after[i])(inputs)
        return after

    def read(self, ids: NDArray[np.integer], state: Array) -> Array:
        """Read T tokens of one stream, each layer's input product at once.

        Args:
            ids: token ids below the vocabulary's size, [T].
            state: [L, S, 1, H].

        Returns:
            The state after, [L, S, 1, H].
        """
        with blas.threads(1, 0):
            return self._read(ids, state)

    def _read(self, ids: NDArray[np.integer], state: Array) -> Array:
        after = state.copy()
        for start in range(0, len(ids), 1024):  # memory stays flat however long the text
            chunk = ids[start : start + 1024]
            outputs = np.empty((len(chunk), self.config.hidden), np.float32)
            for i, layer in enumerate(self.layers):
                inputs = outputs @ layer.input + layer.input_bias if i else self.inputs(chunk)
                recurrent, bias = layer.recurrent, layer.recurrent_bias
                gates = np.empty((1, recurrent.shape[1]), np.float32)
                step, hidden = self.cell.bind(gates, after[i]), after[i, 0]
                for x, output in zip(inputs[:, None], outputs[:, None], strict=True):
                    np.matmul(hidden, recurrent, gates)
                    if bias is not None:
                        gates += bias
                    step(x)
                    output[:] = hidden
        return after

    def logits(self, state: Array) -> Array:
        """Unnormalised log-probabilities of the next token, float32 [B, V]."""
        hidden = state[-1, 0]
        few = len(hidden) <= SINGLE_ROWS
        logits = multiply(hidden, self._output.T if few else self._output_by_columns)
        logits += self._output_bias
        return logits

    def with_own_output(self) -> Self:
        """The same network with an output layer of its own, to be corrected."""
        own = copy(self)
        own._output_bias = self._output_bias.copy()
        own._output_by_columns = self._output.T.copy(order="C")
        own._output = own._output_by_columns.T
        return own

    def correct(self, tokens: NDArray[np.intp], shares: Array, outputs: Array) -> None:
        """Make tokens likelier, or less likely, where the network's output is like some others.

        Args:
            tokens: N ids, each once.
            shares: of each output that are added to a token's row of the output layer, [T, N].
            outputs: of the last layer, [T, H].
        """
        self._output[tokens] += shares.T @ outputs
        self._output_bias[0, tokens] += shares.sum(axis=0)

    def inputs(self, ids: NDArray[np.integer]) -> Array:
        """The first layer's inputs times its weights, plus its input bias, [B, G*H] of ids [B]."""
        if self._table is not None:
            return self._table.take(ids, axis=0)
        inputs = multiply(self._embedding[ids], self.layers[0].input)
        inputs += self.layers[0].input_bias
        return inputs


class Streams:
    """B streams that go on in place, in arrays made once: faster than `Engine.step`.

    Args:
        engine: the network.
        state: where they begin, [L, S, B, H]; not changed.

    Attributes:
        state: where they are.
    """

    def __init__(self, engine: Engine, state: Array) -> None:
        self._engine = engine
        self.state = state.copy()
        self._layers = [
            _Running(engine.cell, layer, above, own)
            for layer, above, own in zip_longest(engine.layers, engine.layers[1:], self.state)
        ]

    def step(self, ids: NDArray[np.integer]) -> None:
        """Read one token in each stream: ids below the vocabulary's size, [B]."""
        inputs = self._engine.inputs(ids)
        for layer in self._layers:
            layer.step(inputs)
            layer.multiply()
            inputs = layer.above

    def put(self, row: int, state: Array) -> None:
        """Go on from another state in one stream, [L, S, H]."""
        self.state[:, :, row] = state
        for layer in self._layers:
            layer.multiply()


class _Running:
    """A layer of streams that go on.

    Attributes:
        step: see Cell.bind; from what `multiply` left in the gates.
        above: what it left for the layer above, [B, G*H].
    """

    def __init__(self, cell: Cell, layer: Layer, above: Layer | None, state: Array) -> None:
        self._hidden = state[0]
        batch, width = state.shape[1], layer.recurrent.shape[1]
        if batch <= SINGLE_ROWS:
            # One product with all that the output meets next, here and above, takes both cores
            # where two of half the size would take one.
            product = np.empty((batch, layer.outgoing.shape[1]), np.float32)
            gates, self.above = np.split(product, [width], axis=1)
            bias = layer.recurrent_bias
            if above:
                own = np.zeros_like(above.input_bias) if bias is None else bias
                bias = np.hstack((own, above.input_bias))
            self._products = [(layer.outgoing, bias, product)]
        else:  # arrays without gaps matter more
            gates, self.above = np.empty((2, batch, width), np.float32)
            self._products = [(layer.recurrent, layer.recurrent_bias, gates)]
            if above:
                self._products.append((above.input, above.input_bias, self.above))
        self.step = cell.bind(gates, state)
        self.multiply()

    def multiply(self) -> None:
        for matrix, bias, product in self._products:
            multiply(self._hidden, matrix, product)
            if bias is not None:
                np.add(product, bias, product)


def multiply(rows: Array, matrix: Array, product: Array | None = None) -> Array:
    """Each of `rows` [B, K] times `matrix` [K, N]: `product` or a new array, [B, N].

    Up to SINGLE_ROWS rows give the same bits as each one alone. (np.dot would copy a matrix that is
    part of another.)
    """
    if product is None:
        product = np.empty((len(rows), matrix.shape[1]), np.float32)
    if 1 < len(rows) <= SINGLE_ROWS:
        for row, out in zip(rows, product, strict=True):
            np.matmul(row, matrix, out)
    else:
        np.matmul(rows, matrix, product)
    return product


def log_softmax(logits: Array) -> Array:
    """Log-probabilities (nats) over the last axis; float32, same shape."""
    shifted: Array = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
