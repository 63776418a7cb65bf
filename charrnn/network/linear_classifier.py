"""A linear classifier of texts by their character n-grams, beside the network of a classifier.

On a few thousand texts, such counts tell what a text is about sooner than a network does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats
from charrnn.network.engine import log_softmax
from charrnn.text.blocks import code_points

LONGEST = 5  # maximum characters of an n-gram (not tuned)
EDGE = "\n"  # character before and after a text, whose beginning and end tell something
MULTIPLIER = np.uint64(6364136223846793005)  # of Knuth's MMIX generator; hashes an n-gram
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads hashes over the buckets
MOST_CHARS = 1 << 20  # maximum characters of a text from which n-grams are taken (not tuned)


class LinearClassifier(NamedTuple):
    """Weights of n-grams for each of K targets.

    N-grams are hashed to F buckets (Weinberger et al. 2009, arXiv:0902.2206).

    Attributes:
        idf: inverse document frequency of each bucket (nats), float32 [F]; F is a power of two.
        weights: a target's logit for each bucket, float32 [F, K].
        mix: factors of the network's and of the classifier's log-probabilities.
    """

    idf: Array
    weights: Array
    mix: tuple[float, float] = (1.0, 1.0)

    def logp(self, texts: Sequence[str]) -> Floats:
        """Return the log-probability of each target for each text, [B, K]."""
        logits = np.zeros((len(texts), self.weights.shape[1]))
        for row, text in zip(logits, texts, strict=True):
            buckets, values = features(text, self.idf)
            row += values @ self.weights[buckets]
        return log_softmax(logits)

    def mixed(self, network: Floats, texts: Sequence[str]) -> Floats:
        """Return the log-probabilities of a network mixed with those for the texts, [B, K]."""
        ours, theirs = self.mix
        return log_softmax(ours * network + theirs * self.logp(texts))


def counted(text: str, buckets: int) -> tuple[NDArray[np.intp], Floats]:
    """Return the buckets of a text's n-grams, each once and ascending, and how often each occurs.

    Args:
        text: the text.
        buckets: number of buckets, a power of two of at least 2.
    """
    codes = code_points(EDGE + text[:MOST_CHARS] + EDGE).astype(np.uint64)
    shift = np.uint64(65 - buckets.bit_length())
    hashes, found = np.zeros(len(codes) + 1, np.uint64), []
    for n in range(1, min(LONGEST, len(codes)) + 1):
        hashes = hashes[: len(codes) - n + 1] * MULTIPLIER + codes[n - 1 :] + np.uint64(n)
        found.append((hashes * SPREAD) >> shift)
    ids, counts = np.unique(np.concatenate(found), return_counts=True)
    return ids.astype(np.intp), counts.astype(np.float64)


def features(text: str, idf: Array) -> tuple[NDArray[np.intp], Array]:
    """Return the buckets of a text's n-grams, and their TF-IDF values of length 1, float32."""
    buckets, counts = counted(text, len(idf))
    values = (1 + np.log(counts)) * idf[buckets]
    values /= max(1e-12, float(np.linalg.norm(values)))
    return buckets, values.astype(np.float32)
