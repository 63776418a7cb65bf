"""The network in NumPy: token ids and a state in, a new state and logits out; no text."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats, Nodes
from charrnn.config import ModelConfig
from charrnn.network import blas
from charrnn.network.cells import CELLS, Cell
from charrnn.network.ngrams import Ngrams

# Maximum vocabulary for which the first layer's input products are tabulated (not tuned).
TABLE_ROWS = 4096
# Maximum streams for which one product per stream is faster than a joint one (measured on two
# cores with AVX-512).
SINGLE_ROWS = 4

Numbers = TypeVar("Numbers", Array, Floats)


class Layer(NamedTuple):
    """Weights of a recurrent layer, prepared for the cell's step; float32.

    Attributes:
        input: input matrix, [K, G*H].
        input_bias: input bias, [1, G*H]; adding a row to rows is faster than adding a vector.
        recurrent: recurrent matrix, [H, G*H]; a view of `outgoing`.
        recurrent_bias: recurrent bias, [1, G*H]; None if it is part of the input bias.
        outgoing: every matrix that multiplies the layer's output, [H, N]: `recurrent`, then `input`
            of the layer above; both are views of this.
    """

    input: Array
    input_bias: Array
    recurrent: Array
    recurrent_bias: Array | None
    outgoing: Array


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What B independent streams have read.

    Attributes:
        hidden: the cell's S state arrays for each layer and stream, float32 [L, S, B, H].
        contexts: the n-gram context of each length, [B, order]; [B, 0] without n-grams.
    """

    hidden: Array
    contexts: Nodes

    @property
    def output(self) -> Array:
        """The last layer's output, [B, H]."""
        output: Array = self.hidden[-1, 0]
        return output

    def take(self, rows: Any) -> "State":
        """Return the state of some streams: indices, a mask or a slice."""
        return State(self.hidden[:, :, rows], self.contexts[rows])

    def replace(self, rows: Any, state: "State") -> None:
        """Replace the state of some streams, in place."""
        self.hidden[:, :, rows] = state.hidden
        self.contexts[rows] = state.contexts

    def repeat(self, count: int) -> "State":
        """Return the state of `count` copies of each stream."""
        return State(np.repeat(self.hidden, count, axis=2), np.repeat(self.contexts, count, axis=0))

    def copy(self) -> "State":
        """Return a copy, which an update in place does not change."""
        return State(self.hidden.copy(), self.contexts.copy())

    def visible(self) -> "State":
        """Return a copy of what the logits depend on; its hidden state is [1, 1, B, H]."""
        return State(self.hidden[-1:, :1].copy(), self.contexts.copy())

    @staticmethod
    def join(states: Sequence["State"]) -> "State":
        """Return the state of the streams of several states."""
        return State(
            np.concatenate([state.hidden for state in states], axis=2),
            np.concatenate([state.contexts for state in states]),
        )


class Engine:
    """Runs a trained network, mixed with n-grams, without torch.

    A token's logit is the network's plus the n-grams' log-probability, each times a weight that
    depends on the length of the context. Methods return a new state and change nothing, except
    `correct`.

    Args:
        config: shape of the network.
        weights: float32 arrays with the names and shapes of cells.tensor_shapes.
        ngrams: the n-grams, for the tensor "mix" to weigh; None for the network alone.

    Attributes:
        config: shape of the network.
        cell: the recurrent cell.
        layers: the recurrent layers, first to last.
        ngrams: the n-grams; None without.
        weights: number of weights that each token is multiplied with.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Array],
        ngrams: Ngrams | None = None,
    ) -> None:
        self.config = config
        self.cell = CELLS[config.cell]
        self.ngrams = ngrams.weighed(weights["mix"]) if ngrams else None
        self._embedding = weights["embedding"]
        self.layers = self._layers(weights)
        self._output = weights["embedding" if config.tied else "output"]
        self._output_bias = weights["output_bias"][None]
        sizes = [m.size for m in (self._output, *(layer.outgoing for layer in self.layers))]
        self._largest, self.weights = max(sizes), sum(sizes)
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
        """The output matrix in the layout for many streams, [H, V]; no faster for few."""
        return np.ascontiguousarray(self._output.T)

    def threads(self, streams: int) -> AbstractContextManager[None]:
        """Set the number of threads that suits `streams` for the duration of a block; see blas."""
        return blas.threads(streams, self._largest)

    @property
    def tabulated(self) -> bool:
        """Whether the first layer's input products are looked up in a table."""
        return self._table is not None

    def zero_state(self, batch: int = 1) -> State:
        """Return the state of B streams that have read nothing."""
        config = self.config
        shape = (config.layers, self.cell.states, batch, config.hidden)
        contexts = self.ngrams.start(batch) if self.ngrams else np.zeros((batch, 0), np.int64)
        return State(np.zeros(shape, np.float32), contexts)

    def contexts(self, ids: NDArray[np.integer], contexts: Nodes) -> Nodes:
        """Return the n-gram contexts after one more token in each stream, ids [B]."""
        return self.ngrams.step(ids, contexts) if self.ngrams else contexts

    def step(
        self,
        ids: NDArray[np.integer],
        state: State,
        keep: Array | None = None,
        gates_seen: list[Array] | None = None,
    ) -> State:
        """Return the state after one more token in each of B streams.

        Args:
            ids: token ids below V, [B].
            state: state before.
            keep: factor of each unit's output, float32 [L, B, H]; 0 hides a unit from all others.
                None stands for 1.
            gates_seen: list to which each layer's gates are appended, [B, G*H]: the activations of
                the logistic ones, and what the cell leaves of others. None to keep none.
        """
        after = state.hidden.copy()
        inputs = self.inputs(ids)
        for i, layer in enumerate(self.layers):
            if i:
                inputs = multiply(after[i - 1, 0], layer.input)
                inputs += layer.input_bias
            gates = multiply(after[i, 0], layer.recurrent)
            if layer.recurrent_bias is not None:
                gates += layer.recurrent_bias
            self.cell.bind(gates, after[i])(inputs)
            if gates_seen is not None:
                gates_seen.append(gates)
            if keep is not None:
                after[i, 0] *= keep[i]
        return State(after, self.contexts(ids, state.contexts))

    def read(self, ids: NDArray[np.integer], state: State) -> State:
        """Return the state after T tokens of one stream, with one input product per layer.

        Args:
            ids: token ids below V, [T].
            state: state before, of one stream.
        """
        contexts = state.contexts
        if self.ngrams:
            if len(ids) >= self.ngrams.order:
                contexts = self.ngrams.start(1)
            for token in ids[max(0, len(ids) - self.ngrams.order) :]:
                contexts = self.ngrams.step(np.array([token]), contexts)
        with blas.threads(1, 0):
            return State(self._read(ids, state.hidden), contexts)

    def read_all(self, texts: Sequence[NDArray[np.integer]], state: State) -> State:
        """Return the states after some texts, which are read in parallel.

        Args:
            texts: token ids below V of each text, [T].
            state: state before each of them, of one stream.
        """
        lengths = np.array([len(ids) for ids in texts], int)
        order = np.argsort(-lengths, kind="stable")
        ids_tb = np.zeros((lengths.max(initial=0), len(texts)), np.int32)
        for row, i in enumerate(order.tolist()):
            ids_tb[: lengths[i], row] = texts[i]
        states = state.repeat(len(texts))
        for t, ids in enumerate(ids_tb):
            going = slice(int((lengths > t).sum()))  # shorter texts have ended
            states.replace(going, self.step(ids[going], states.take(going)))
        return states.take(np.argsort(order))

    def _read(self, ids: NDArray[np.integer], state: Array) -> Array:
        after = state.copy()
        for start in range(0, len(ids), 1024):  # bounds the memory for a long text
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

    def logits(self, state: State) -> Array:
        """Return the unnormalised log-probabilities of the next token, float32 [B, V]."""
        hidden = state.output
        few = len(hidden) <= SINGLE_ROWS
        logits = multiply(hidden, self._output.T if few else self._output_by_columns)
        logits += self._output_bias
        if self.ngrams:
            self.ngrams.mix(logits, state.contexts)
        return logits

    def without_ngrams(self) -> Self:
        """Return this network alone, whose predictions are not mixed with n-grams."""
        alone = copy(self)
        alone.ngrams = None
        return alone

    def with_own_output(self) -> Self:
        """Return this network with its own copy of the output layer, to `correct`."""
        own = copy(self)
        own._output_bias = self._output_bias.copy()
        own._output_by_columns = self._output.T.copy(order="C")
        own._output = own._output_by_columns.T
        return own

    def correct(self, tokens: NDArray[np.intp], shares: Array, outputs: Array) -> None:
        """Add multiples of some outputs to rows of the output layer, in place.

        This changes how likely the tokens are wherever the last layer's output is similar.

        Args:
            tokens: distinct token ids, [N].
            shares: factor of each output for each token, float32 [T, N].
            outputs: outputs of the last layer, float32 [T, H].
        """
        self._output[tokens] += shares.T @ outputs
        self._output_bias[0, tokens] += shares.sum(axis=0)

    def inputs(self, ids: NDArray[np.integer]) -> Array:
        """Return the first layer's input product and bias for ids [B], float32 [B, G*H]."""
        if self._table is not None:
            return self._table.take(ids, axis=0)
        inputs = multiply(self._embedding[ids], self.layers[0].input)
        inputs += self.layers[0].input_bias
        return inputs


class Streams:
    """B streams updated in place, in preallocated arrays: faster than `Engine.step`.

    Args:
        engine: the network.
        state: initial state; copied.

    Attributes:
        state: current state, whose arrays the next step changes.
    """

    def __init__(self, engine: Engine, state: State) -> None:
        self._engine = engine
        self.state = state.copy()
        self._put: State | None = None
        self._products: list[list[Array]] = []
        self._layers = [
            _Running(engine.cell, layer, above, own)
            for layer, above, own in zip_longest(
                engine.layers, engine.layers[1:], self.state.hidden
            )
        ]

    def step(self, ids: NDArray[np.integer]) -> None:
        """Read one token in each stream; ids below V, [B]."""
        inputs = self._engine.inputs(ids)
        for layer in self._layers:
            layer.step(inputs)
            layer.multiply()
            inputs = layer.above
        if self._engine.ngrams:
            self.state.contexts[:] = self._engine.contexts(ids, self.state.contexts)

    def put(self, rows: Sequence[int], state: State) -> None:
        """Replace the state of some streams by that of one, or of as many.

        The products of the state put last are kept, as many streams may begin in the same one; it
        must not change.
        """
        self.state.replace(rows, state)
        if state is not self._put:
            self._put = state
            self._products = [
                layer.products(own[0])
                for layer, own in zip(self._layers, state.hidden, strict=True)
            ]
        for layer, products in zip(self._layers, self._products, strict=True):
            layer.put(rows, products)


class _Running:
    """One layer of `Streams`.

    Attributes:
        step: step of the cell, on the gates that `multiply` computed; see Cell.bind.
        above: input product for the layer above, computed by `multiply`, [B, G*H].
    """

    def __init__(self, cell: Cell, layer: Layer, above: Layer | None, state: Array) -> None:
        self._hidden = state[0]
        batch, width = state.shape[1], layer.recurrent.shape[1]
        if batch <= SINGLE_ROWS:
            # One product with both matrices uses two cores; two products of half the size use one.
            product = np.empty((batch, layer.outgoing.shape[1]), np.float32)
            gates, self.above = np.split(product, [width], axis=1)
            bias = layer.recurrent_bias
            if above:
                own = np.zeros_like(above.input_bias) if bias is None else bias
                bias = np.hstack((own, above.input_bias))
            self._products = [(layer.outgoing, bias, product)]
        else:  # contiguous arrays matter more
            gates, self.above = np.empty((2, batch, width), np.float32)
            self._products = [(layer.recurrent, layer.recurrent_bias, gates)]
            if above:
                self._products.append((above.input, above.input_bias, self.above))
        self.step = cell.bind(gates, state)
        self.multiply()

    def multiply(self) -> None:
        """Multiply the layer's output with the matrices of the next step."""
        for matrix, bias, product in self._products:
            multiply(self._hidden, matrix, product)
            if bias is not None:
                np.add(product, bias, product)

    def products(self, hidden: Array) -> list[Array]:
        """Return what `multiply` computes, for other streams, hidden [B, H]."""
        found = ((multiply(hidden, matrix), bias) for matrix, bias, _ in self._products)
        return [product if bias is None else product + bias for product, bias in found]

    def put(self, rows: Sequence[int], products: Sequence[Array]) -> None:
        """Replace what `multiply` has computed for some streams."""
        for (_, _, own), product in zip(self._products, products, strict=True):
            own[rows] = product


def multiply(rows: Array, matrix: Array, product: Array | None = None) -> Array:
    """Return `rows` [B, K] times `matrix` [K, N], float32 [B, N].

    Up to SINGLE_ROWS rows give the same bits as each row alone. (np.dot would copy a matrix that is
    a view.)

    Args:
        rows: left factor, float32.
        matrix: right factor, float32.
        product: array that receives the result; None allocates one.
    """
    if product is None:
        product = np.empty((len(rows), matrix.shape[1]), np.float32)
    if 1 < len(rows) <= SINGLE_ROWS:
        for row, out in zip(rows, product, strict=True):
            np.matmul(row, matrix, out)
    else:
        np.matmul(rows, matrix, product)
    return product


def log_softmax(logits: Numbers) -> Numbers:
    """Return log-probabilities (nats) over the last axis; same shape and type."""
    shifted: Numbers = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
