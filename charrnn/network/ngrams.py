"""N-gram probabilities of the next token, looked up in a trie of the contexts that occurred.

A node of the trie is a context, a sequence of up to N tokens; node 0 is the empty one. The children
of a node are the tokens that followed that context, ascending, and child e of the whole trie is
node e + 1: nodes are numbered by their length, then in the order of their parents. A token that
followed a context has a log-probability of its own; any other has that after the context without
its oldest token, plus the context's back-off (Katz 1987, doi:10.1109/TASSP.1987.1165125).
"""

from collections.abc import Mapping
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Nodes

STEP = 16  # values of a log-probability per nat; the rounding costs less than 0.001 nats
LEAST = 255  # largest value, for a log-probability of -LEAST / STEP or less
# Tensors of a trie: token ids, log-probabilities and back-offs (in units of -1 / STEP nats) and the
# number of children of each node with up to N tokens.
TENSORS = ("tokens", "logp", "backoff", "lengths")
TABLE = 1 << 20  # maximum elements of the table of the shortest contexts' rows (not tuned)
FEW = 8  # maximum streams that are faster one by one (measured on two cores with AVX2)
ROWS = 1 << 20  # maximum elements of other rows that are kept (not tuned)


class Ngrams:
    """Log-probabilities of the next token after the contexts of B streams.

    Args:
        vocab_size: V.
        tensors: the trie, see TENSORS: tokens and logp [E], backoff and lengths [M].

    Attributes:
        tensors: the trie.
        order: maximum tokens of an n-gram, N + 1.
        levels: number of the first node of each context length, then that after the last.

    Raises:
        ValueError: the tensors are not a trie.
    """

    def __init__(self, vocab_size: int, tensors: Mapping[str, NDArray[Any]]) -> None:
        tokens, logp, backoff, lengths = (tensors[name] for name in TENSORS)
        lengths = lengths.astype(np.int64)
        levels = _levels(lengths)
        if not (len(tokens) == len(logp) == lengths.sum() and len(backoff) == len(lengths)):
            raise ValueError("its n-grams are inconsistent")
        if not (tokens < vocab_size).all():
            raise ValueError("its n-grams have tokens outside the vocabulary")
        keys = np.repeat(np.arange(len(lengths)), lengths) * vocab_size + tokens
        if not (keys[1:] > keys[:-1]).all():
            raise ValueError("its n-grams are not in order")
        self.tensors = tensors
        self.order = len(levels) - 1
        self.levels = levels
        self._vocab_size = vocab_size
        # Small numbers are found sooner.
        kind = np.int32 if len(lengths) * vocab_size < np.iinfo(np.int32).max else np.int64
        self._keys = np.append(keys, np.iinfo(kind).max).astype(kind)
        self._tokens = tokens.astype(np.intp)
        self._bytes = tokens.tobytes() if tokens.itemsize == 1 else None
        # The last elements are those of node -1, which has no children.
        self._starts = np.append(np.cumsum(lengths) - lengths, 0)
        self._lengths = np.append(lengths, 0)
        scale = np.float32(-1 / STEP)
        self._logp = logp * scale
        self._backoff = np.where(self._lengths > 0, np.append(backoff, 0) * scale, np.float32(0))
        self._table, self._tabulated = self._tabulate(scale * LEAST)
        self._mix = np.ones((self.order, 2), np.float32)
        self._rows: dict[int, tuple[np.float32, Array]] = {}

    def extended(self, vocab_size: int) -> "Ngrams":
        """Return the same n-grams for a larger vocabulary, whose last token is unknown as well."""
        tokens = self.tensors["tokens"].astype(np.int64)
        tokens[tokens == self._vocab_size - 1] = vocab_size - 1
        kind = np.min_scalar_type(vocab_size)
        lengths = self.tensors["lengths"].astype(kind)
        changed = {"tokens": tokens.astype(kind), "lengths": lengths}
        return Ngrams(vocab_size, {**self.tensors, **changed})

    def weighed(self, mix: Array) -> Self:
        """Return the same n-grams to mix a network's logits with.

        Args:
            mix: for each length of the longest context that is known, the weights of the logits
                and of the n-grams' log-probabilities, float32 [order, 2].
        """
        other = copy(self)
        other._mix = mix
        other._rows = {}
        return other

    def _tabulate(self, least: np.float32) -> tuple[Array, int]:
        """Return the rows of all contexts up to some length, [contexts, V], and that length."""
        levels, table = self.levels, np.full((1, self._vocab_size), least)
        self._put(table, np.zeros((1, 1), np.int64), np.zeros((1, 1), np.float32))
        shorter = np.zeros(1, np.int64)  # each node of a level without its oldest token
        parents = np.repeat(np.arange(len(self._lengths)), self._lengths)
        for length in range(1, self.order):
            nodes = np.arange(levels[length], levels[length + 1])
            if levels[length + 1] * self._vocab_size > TABLE:
                return table, length - 1
            if length > 1:
                above = shorter[parents[nodes - 1] - levels[length - 1]]
                found = self._children(above, self._tokens[nodes - 1])
                shorter = np.where((found >= 0) & (found < levels[length]), found, 0)
            else:
                shorter = np.zeros(len(nodes), np.int64)
            rows = table[shorter] + self._backoff[nodes, None]
            self._put(rows, nodes[None], np.zeros((1, len(nodes)), np.float32))
            table = np.concatenate([table, rows])
        return table, self.order - 1

    def start(self, batch: int) -> Nodes:
        """Return the contexts of streams that have read nothing, [B, order]."""
        contexts = np.full((batch, self.order), -1, self._keys.dtype)
        contexts[:, 0] = 0
        return contexts

    def step(self, ids: NDArray[np.integer], contexts: Nodes) -> Nodes:
        """Return the contexts [B, order] after one more token in each stream, ids [B]."""
        if len(ids) <= FEW and self._bytes is not None:
            pairs = zip(ids.tolist(), contexts.tolist(), strict=True)
            return np.array([self._step(*pair) for pair in pairs], self._keys.dtype)
        longer = self.start(len(ids))
        longer[:, 1:] = self._children(contexts[:, :-1], ids[:, None])
        return longer

    def _step(self, token: int, nodes: list[int]) -> list[int]:
        """Return what `step` does for one stream, where tokens are bytes; faster for a few."""
        assert self._bytes is not None
        longer = [0]
        for node in nodes[:-1]:
            start = self._starts.item(node)
            stop = start + self._lengths.item(node)
            found = self._bytes.find(token, start, stop)
            longer.append(found + 1 if found >= 0 else -1)
        return longer

    def _children(self, nodes: Nodes, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the child of each node for a token; -1 where there is none."""
        keys = nodes * self._keys.dtype.type(self._vocab_size)
        keys += ids.astype(keys.dtype)
        found: NDArray[np.int64] = self._keys.searchsorted(keys)
        absent = self._keys.take(found) != keys
        found += 1
        found[absent] = -1
        return found

    def mix(self, logits: Array, contexts: Nodes) -> None:
        """Mix a network's logits, [B, V], with the n-grams' log-probabilities, in place."""
        if len(logits) > FEW:
            share, rows = self.weighted(contexts)
            logits *= share
            logits += rows
            return
        for row, nodes in zip(logits, contexts.tolist(), strict=True):
            last = max(nodes)  # a longer context has a larger number
            kept = self._rows.get(last)
            if kept is None:
                if (len(self._rows) + 1) * self._vocab_size > ROWS:
                    self._rows.clear()
                share, weight = self._mix[len(nodes) - nodes.count(-1) - 1]
                kept = self._rows[last] = share, self._row(nodes) * weight
            row *= kept[0]
            row += kept[1]

    def weighted(self, contexts: Nodes) -> tuple[Array, Array]:
        """Return what `mix` multiplies logits by, [B, 1], and what it then adds, [B, V]."""
        weights = self._mix[known(contexts)]
        rows = self.logp(contexts)
        rows *= weights[:, 1:]
        return weights[:, :1], rows

    def _row(self, nodes: list[int]) -> Array:
        """Return what `logp` does for one stream, [V]; faster for a few."""
        found = []
        backoff = np.float32(0)  # of this context and all longer ones
        for node in reversed(nodes[self._tabulated + 1 :]):
            if length := self._lengths.item(node):
                start = self._starts.item(node)
                found.append((slice(start, start + length), backoff))
                backoff += self._backoff[node]
        row: Array = self._table[max(nodes[: self._tabulated + 1])] + backoff
        for children, longer in reversed(found):
            row[self._tokens[children]] = self._logp[children] + longer
        return row

    def logp(self, contexts: Nodes) -> Array:
        """Return the log-probabilities of the next token, float32 [B, V].

        They need not add up to 1, as they are rounded.
        """
        rows: Array = self._table[contexts[:, : self._tabulated + 1].max(axis=1)]
        beyond = contexts.T[self._tabulated + 1 :]
        if len(beyond):
            # The back-offs of all longer contexts and each one, the longest first.
            backoff = np.zeros((len(beyond) + 1, len(rows)), np.float32)
            np.cumsum(self._backoff[beyond[::-1]], axis=0, out=backoff[1:])
            rows += backoff[-1][:, None]
            self._put(rows, beyond, backoff[-2::-1])
        return rows

    def _put(self, rows: Array, nodes: Nodes, backoff: Array) -> None:
        """Set the elements of the rows [B, V] that are children of nodes [K, B].

        The later of two nodes counts. `backoff` is added to the log-probabilities, [K, B].
        """
        lengths = self._lengths[nodes].ravel()
        which = np.repeat(np.arange(nodes.size), lengths)
        first = self._starts[nodes].ravel() - np.cumsum(lengths) + lengths
        children = first[which]
        children += np.arange(len(which))
        at = which % nodes.shape[1]
        at *= self._vocab_size
        at += self._tokens[children]
        values = self._logp[children]
        values += backoff.ravel()[which]
        rows.reshape(-1)[at] = values


def rounded(p: NDArray[Any]) -> NDArray[np.uint8]:
    """Return log-probabilities of probabilities as `logp` and `backoff` hold them."""
    with np.errstate(divide="ignore"):
        numbers: NDArray[np.uint8] = np.rint(-STEP * np.log(p)).clip(0, LEAST).astype(np.uint8)
    return numbers


def known(contexts: Nodes) -> NDArray[np.intp]:
    """Return the length of the longest context that is known in each stream, [B]."""
    lengths: NDArray[np.intp] = (contexts >= 0).sum(axis=1) - 1
    return lengths


def _levels(lengths: NDArray[np.int64]) -> list[int]:
    """Return the number of the first node of each context length, then that after the last.

    Raises:
        ValueError: the nodes do not end with a level.
    """
    levels = [0, 1]
    ends = np.cumsum(lengths)
    while levels[-2] < levels[-1] < len(lengths):
        levels.append(1 + int(ends[levels[-1] - 1]))
    if levels[-1] != len(lengths) or levels[-2] == levels[-1]:
        raise ValueError("its n-grams are inconsistent")
    return levels
