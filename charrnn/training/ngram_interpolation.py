"""Interpolates the n-grams of two texts: one trie whose probabilities are weighted means.

Of n-grams that are in either trie, the mean is exact; all others get what is left, in proportion to
their probabilities after the shorter context (as SRILM's static mixtures; Stolcke 2002).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats
from charrnn.network.ngrams import LEAST, STEP, Ngrams, rounded

SHARE, PRIOR = 0.25, 2000  # what is expected of a share, and the tokens that this counts as
ITERATIONS = 20  # of expectation maximization (not tuned)
TESTED = 1 << 16  # maximum tokens that the shares are fitted to (not tuned)
STREAMS = 64  # passages of them (not tuned)

Indices = NDArray[np.int64]


def joined(own: Ngrams, prior: Ngrams, held_out: NDArray[np.integer], vocab_size: int) -> Ngrams:
    """Return n-grams whose probabilities are the weighted means that predict a text best.

    Args:
        own: n-grams of a text.
        prior: n-grams of another text, for the same vocabulary.
        held_out: token ids of the end of the text, integers [T]; none are needed.
        vocab_size: V.
    """
    weight = share(predictions(own, held_out), predictions(prior, held_out))
    return interpolated(own, prior, weight, vocab_size)


def predictions(ngrams: Ngrams, text: NDArray[np.integer]) -> Floats:
    """Return the probabilities of tokens in passages spread over a text, [N].

    Args:
        ngrams: predict them.
        text: token ids, integers [T].
    """
    streams = max(1, min(STREAMS, len(text) // 32))
    length = min(len(text), TESTED) // streams
    starts = np.linspace(0, len(text) - length, streams).astype(int)
    p = np.zeros((length, streams))
    contexts = ngrams.start(streams)
    for i in range(length):
        ids = text[starts + i]
        p[i] = np.exp(ngrams.logp(contexts)[np.arange(streams), ids])
        contexts = ngrams.step(ids, contexts)
    return p.ravel()


def share(own: Floats, prior: Floats) -> float:
    """Return the weight of the first of two predictions with which a text is most likely.

    It is fitted by expectation maximization.

    Args:
        own: probabilities of tokens, [N].
        prior: other probabilities of the same tokens.
    """
    mean = SHARE
    for _ in range(ITERATIONS):
        mine = mean * own / (mean * own + (1 - mean) * prior)
        mean = float((SHARE * PRIOR + mine.sum()) / (PRIOR + len(mine)))
    return mean


class _Trie(NamedTuple):
    """The tensors of n-grams, as probabilities, and the first node of each level."""

    tokens: Indices
    p: Floats
    backoff: Floats
    lengths: Indices
    starts: Indices
    levels: list[int]

    @classmethod
    def of(cls, ngrams: Ngrams) -> "_Trie":
        tensors = ngrams.tensors
        lengths = tensors["lengths"].astype(np.int64)
        return cls(
            tensors["tokens"].astype(np.int64),
            np.exp(tensors["logp"] / -STEP),
            np.where(lengths > 0, np.exp(tensors["backoff"] / -STEP), 1.0),
            lengths,
            np.cumsum(lengths) - lengths,
            ngrams.levels,
        )


class _Side:
    """One of the two tries, level by level.

    Attributes:
        keys: the n-grams of the present level: the index of the context in the joined level before,
            times V, plus the last token.
        p: probabilities of the n-grams of the joined level.
    """

    def __init__(self, ngrams: Ngrams, vocab_size: int) -> None:
        self._trie = _Trie.of(ngrams)
        self._order = ngrams.order
        self._vocab_size = vocab_size
        self._contexts: Indices = np.zeros(1, np.int64)  # of this trie, in the joined level before
        self._explicit: Floats = np.zeros(0)
        self.keys: Indices = np.zeros(0, np.int64)
        self.p: Floats = np.full(1, np.exp(-LEAST / STEP))  # of tokens without a context

    def begin(self, n: int, size: int) -> None:
        """Read the n-grams of n + 1 tokens; `size` joined n-grams have n."""
        trie = self._trie
        self._backoff = np.ones(size)
        self.keys, self._explicit = np.zeros(0, np.int64), np.zeros(0)
        if n < self._order:
            nodes = slice(trie.levels[n], trie.levels[n + 1])
            lengths, start = trie.lengths[nodes], trie.starts[nodes.start]
            children = slice(start, start + lengths.sum())
            contexts = np.repeat(self._contexts, lengths)
            self.keys = contexts * self._vocab_size + trie.tokens[children]
            self._explicit = trie.p[children]
            if n:
                self._backoff[self._contexts] = trie.backoff[nodes]

    def end(self, keys: Indices, shorter: Floats) -> None:
        """Estimate the probabilities of the joined level.

        Args:
            keys: its n-grams, ascending.
            shorter: their probabilities after the shorter contexts.
        """
        p = self._backoff[keys // self._vocab_size] * shorter
        self._contexts = np.searchsorted(keys, self.keys)
        p[self._contexts] = self._explicit
        self.p = p


def interpolated(own: Ngrams, prior: Ngrams, share: float, vocab_size: int) -> Ngrams:
    """Return n-grams whose probabilities are weighted means.

    Without its oldest token an n-gram of a trie must be in that trie too, as it is in charrnn's.

    Args:
        own: n-grams of a text.
        prior: n-grams of another text, for the same vocabulary.
        share: weight of `own`, from 0 to 1.
        vocab_size: V.
    """
    sides = _Side(own, vocab_size), _Side(prior, vocab_size)
    parts: list[dict[str, NDArray[Any]]] = []
    before: Indices = np.zeros(1, np.int64)  # keys of the level before
    suffixes: Indices = np.zeros(1, np.int64)  # its n-grams without the oldest token
    p: Floats = np.full(1, 1 / vocab_size)
    for n in range(max(own.order, prior.order)):
        size = len(before)
        for side in sides:
            side.begin(n, size)
        keys = np.sort(np.concatenate([side.keys for side in sides]))
        keys = keys[np.diff(keys, prepend=-1) > 0]  # faster than np.unique
        contexts, tokens = np.divmod(keys, vocab_size)
        if n:
            wanted = (suffixes[contexts] if n > 1 else 0) * vocab_size + tokens
            shorter = np.searchsorted(before, wanted).clip(max=size - 1)
        else:
            shorter = np.zeros(len(keys), np.int64)
        for side in sides:
            side.end(keys, side.p[shorter])
        lower = p[shorter]
        p = share * sides[0].p + (1 - share) * sides[1].p
        here, there = (np.bincount(contexts, each, size) for each in (p, lower))
        parts.append(
            {
                "tokens": tokens,
                "logp": rounded(p),
                "backoff": rounded(np.clip(1 - here, 0, 1) / np.clip(1 - there, 1e-9, 1)),
                "lengths": np.bincount(contexts, minlength=size),
            }
        )
        before, suffixes = keys, shorter
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    small = np.min_scalar_type(vocab_size)
    whole |= {name: whole[name].astype(small) for name in ("tokens", "lengths")}
    return Ngrams(vocab_size, whole)
