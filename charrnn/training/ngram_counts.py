"""Estimates n-gram probabilities from a text: interpolated modified Kneser-Ney smoothing.

Chen & Goodman 1999, doi:10.1006/csla.1999.0128. Shorter contexts count the distinct tokens before
an n-gram, not its occurrences.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.network.ngrams import Ngrams, rounded
from charrnn.suggestions.trigrams import discounts
from charrnn.training.corpus import Corpus

COUNTED = 1 << 22  # maximum tokens that are counted; bounds time and memory (not tuned)
COUNTED_PER_SECOND = 100_000  # for each second of the time budget; takes an eighth of it
BLOCKS = 64  # passages of a longer text that are counted (not tuned)
MOST_BYTES = 8e6  # maximum size of the n-grams in a model file
BYTES_PER_CHAR = 2  # their maximum size for each character of a short text
RARE = 5  # tokens from which an n-gram that occurs once is left out; costs 0.001 nats, saves 60 %

Numbers = NDArray[np.int32]  # there may be tens of millions


@dataclass(slots=True)
class _Level:
    """The distinct n-grams of one length, in the order of their contexts, then of their last token.

    Attributes:
        contexts: index of each n-gram's context, its first n - 1 tokens, in the level before.
        tokens: its last token.
        counts: its occurrences.
        shorter: index of its last n - 1 tokens in the level before.
        before: number of distinct tokens before it; of the longest n-grams, their occurrences.
    """

    contexts: Numbers
    tokens: Numbers
    counts: Numbers
    shorter: Numbers
    before: Numbers


def of_corpus(corpus: Corpus, vocab_size: int, order: int, seconds: float | None) -> Ngrams:
    """Return the n-grams of a corpus's training part, or of passages evenly spread over it.

    Args:
        corpus: the corpus.
        vocab_size: V.
        order: maximum tokens of an n-gram.
        seconds: time budget, of which counting takes a part; None for none.
    """
    ids = corpus.train
    counted = COUNTED if seconds is None else min(COUNTED, int(seconds * COUNTED_PER_SECOND))
    length = max(1, counted // BLOCKS)
    if len(ids) > BLOCKS * length:
        starts = torch.linspace(0, len(ids) - length, BLOCKS).long().tolist()
        ids = torch.cat([ids[start : start + length] for start in starts])
    size = np.min_scalar_type(vocab_size).itemsize + 1  # bytes of an n-gram, or of a context
    most = int(min(MOST_BYTES, BYTES_PER_CHAR * corpus.train_chars) / size)
    return Ngrams(vocab_size, estimate(ids.numpy(), vocab_size, order, most))


def estimate(ids: Ids, vocab_size: int, order: int, most: int) -> dict[str, NDArray[Any]]:
    """Return the trie of a text's n-grams, as charrnn.network.ngrams.Ngrams takes it.

    Args:
        ids: token ids of the text, integers [T].
        vocab_size: V.
        order: maximum tokens of an n-gram; fewer if the text is shorter.
        most: maximum number of n-grams and contexts kept, besides those of one or two tokens.
    """
    levels = _levels(ids, vocab_size, min(order, len(ids)))
    kept = _kept(levels, most)
    tokens, logp, backoff, lengths = [], [], [], []
    p: NDArray[np.float64] = np.full(1, 1 / vocab_size)
    nodes = np.ones(1, bool)  # which n-grams of the level before are kept
    for level, keep in zip(levels, kept, strict=True):
        size = len(nodes)
        totals = np.bincount(level.contexts, level.before, minlength=size)
        known = np.where(keep, level.before - discounts(level.before), 0) / totals[level.contexts]
        rest = np.clip(1 - np.bincount(level.contexts, known, minlength=size), 0, 1)
        p = known + rest[level.contexts] * p[level.shorter]
        tokens.append(level.tokens[keep])
        logp.append(rounded(p[keep]))
        backoff.append(rounded(rest[nodes]))
        lengths.append(np.bincount(level.contexts[keep], minlength=size)[nodes])
        nodes = keep
    small = np.min_scalar_type(vocab_size)
    return {
        "tokens": np.concatenate(tokens).astype(small),
        "logp": np.concatenate(logp),
        "backoff": np.concatenate(backoff),
        "lengths": np.concatenate(lengths).astype(small),
    }


def _levels(ids: Ids, vocab_size: int, order: int) -> list[_Level]:
    """Return the n-grams of 1 to `order` tokens."""
    text = np.asarray(ids, np.int64)
    levels: list[_Level] = []
    # The n-grams before each token, and those that end with it.
    context = ending = np.zeros(len(text), np.int32)
    for n in range(order):
        keys, at, occurrences = _distinct(context[n:] * np.int64(vocab_size) + text[n:])
        shorter = np.zeros(len(keys), np.int32)
        shorter[at] = ending[n:]
        if levels:
            before = np.bincount(shorter, minlength=len(levels[-1].counts))
            levels[-1].before = np.maximum(1, before).astype(np.int32)
        contexts, tokens = np.divmod(keys, vocab_size)
        counts = occurrences.astype(np.int32)
        levels.append(
            _Level(contexts.astype(np.int32), tokens.astype(np.int32), counts, shorter, counts)
        )
        ending = np.zeros(len(text), np.int32)
        ending[n:] = at
        context = np.concatenate([np.zeros(1, np.int32), ending[:-1]])
    return levels


def _distinct(
    keys: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.integer], NDArray[np.integer]]:
    """Return the distinct keys, which one each key is, and how often each occurs.

    As np.unique does, in a fifth of the time: with its position in the lower bits of a key, sorting
    the keys is enough, which is much faster than finding the order that sorts them.
    """
    bits = max(0, len(keys) - 1).bit_length()
    if int(keys.max(initial=0)).bit_length() + bits > 64:
        return np.unique(keys, return_inverse=True, return_counts=True)
    both = keys.astype(np.uint64) << np.uint64(bits) | np.arange(len(keys), dtype=np.uint64)
    both.sort()
    keys = (both >> np.uint64(bits)).astype(np.int64)
    first = np.diff(keys, prepend=-1) > 0
    at = np.empty(len(keys), np.int32)
    at[both & np.uint64((1 << bits) - 1)] = np.cumsum(first, dtype=np.int32) - 1
    starts = np.flatnonzero(first)
    return keys[starts], at, np.diff(starts, append=len(keys))


def _kept(levels: list[_Level], most: int) -> list[NDArray[np.bool_]]:
    """Return which n-grams of each length to keep; with an n-gram, its beginning is kept too.

    The rarest of the longest n-grams are left out first, then the rarest of shorter ones.
    """
    least = [1 if n < RARE else 2 for n in range(len(levels))]
    longest_first = itertools.cycle(range(len(levels) - 1, 1, -1))
    kept = [level.counts >= count for level, count in zip(levels, least, strict=True)]
    while sum(map(np.count_nonzero, [*kept[2:], *kept[2:-1]])) > most:
        n = next(longest_first)
        least[n] += 1
        kept[n] = levels[n].counts >= least[n]
    return kept
