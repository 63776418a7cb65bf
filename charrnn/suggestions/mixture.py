"""How the sources of suggestions are weighed: log-linearly, after how much of a word is typed.

Klakow 1998 (Log-linear interpolation of language models, ICSLP). The weights are found on text that
was held out, where they make the words that were meant likeliest.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats

# What is known of a candidate: the columns of its features.
FEATURES = (
    "network",  # log-probability under the network
    "trigrams",  # and under the trigrams
    "count",  # logarithm of how often it stands in the training text
    "recent",  # of its share of the recent words
    "followed",  # and of the words that followed the last one
    "other",  # 1 for all words that are no candidates, taken together
)
TYPED = 4  # weights of their own for so many letters typed: 0, 1, 2, and 3 or more
PRIOR = 20.0  # words that the weights to begin with count as
ROUNDS, HALVINGS = 10, 10  # of Newton's method, and of a step of it

Weights = Floats  # [TYPED, len(FEATURES)]

# What fitted the middle of tinyshakespeare, for a network of ten minutes.
BEGIN: Weights = np.array(
    [
        [0.65, 0.30, -0.25, 0.30, 0.10, -1.0],
        [0.60, 0.30, -0.25, 0.25, 0.05, -0.9],
        [0.55, 0.30, -0.25, 0.25, 0.00, -0.7],
        [0.50, 0.15, -0.10, 0.20, 0.00, 0.3],
    ]
)


def by_name(weights: Weights) -> dict[str, list[float]]:
    """Return the weights of each feature, as a model file holds them."""
    return {name: column.tolist() for name, column in zip(FEATURES, weights.T, strict=True)}


def from_names(stored: Mapping[str, Sequence[float]]) -> Weights:
    """Return the weights that a model file holds.

    Args:
        stored: TYPED weights for each name. A feature that is missing keeps its weights of BEGIN;
            a name that is no feature is ignored.
    """
    weights = BEGIN.copy()
    for i, name in enumerate(FEATURES):
        if name in stored:
            weights[:, i] = stored[name]
    return weights


class Choice(NamedTuple):
    """Candidates among which one was meant.

    Attributes:
        features: [candidates, len(FEATURES)].
        typed: letters of the word that were typed.
        meant: which one.
    """

    features: Array
    typed: int
    meant: int


def probabilities(features: Array, typed: int, weights: Weights) -> NDArray[np.float64]:
    """Of each candidate, [N].

    Args:
        features: [N, len(FEATURES)].
        typed: letters of the word.
    """
    scores = features @ weights[min(typed, TYPED - 1)]
    p = np.exp(scores - scores.max())
    return np.asarray(p / p.sum())


def fit(choices: Sequence[Choice], begin: Weights = BEGIN) -> Weights:
    """The likeliest weights, those to begin with counting as PRIOR choices."""
    weights = begin.copy()
    for typed in range(TYPED):
        some = [choice for choice in choices if min(choice.typed, TYPED - 1) == typed]
        if not some:
            continue
        longest = max(len(choice.features) for choice in some)
        features = np.zeros((len(some), longest, len(FEATURES)))
        present = np.zeros((len(some), longest), bool)
        for i, choice in enumerate(some):
            features[i, : len(choice.features)] = choice.features
            present[i, : len(choice.features)] = True
        meant = features[np.arange(len(some)), [choice.meant for choice in some]]
        weights[typed] = _newton(features, present, meant, begin[typed])
    return weights


def _newton(features: Floats, present: NDArray[np.bool_], meant: Floats, begin: Floats) -> Floats:
    """The likeliest weights, [F]; features are [C, N, F], those of what was meant [C, F]."""

    def unlikelihood(weights: Floats) -> tuple[float, Floats]:
        """To be made small; and the candidates' probabilities, [C, N]."""
        scores = np.where(present, features @ weights, -np.inf)
        highest = scores.max(axis=1, keepdims=True)
        p = np.exp(scores - highest)
        total = p.sum(axis=1, keepdims=True)
        nats = (np.log(total) + highest).sum() - (meant @ weights).sum()
        return float(nats + PRIOR / 2 * ((weights - begin) ** 2).sum()), p / total

    weights = begin
    value, p = unlikelihood(weights)
    for _ in range(ROUNDS):
        mean = np.einsum("cn,cnf->cf", p, features)
        gradient = (mean - meant).sum(axis=0) + PRIOR * (weights - begin)
        spread = np.einsum("cn,cnf,cng->fg", p, features, features) - mean.T @ mean
        step = np.linalg.solve(spread + PRIOR * np.eye(len(begin)), gradient)
        for _ in range(HALVINGS):  # far from the best weights a whole step can lead away
            new_value, new_p = unlikelihood(weights - step)
            if new_value < value:
                break
            step = step / 2
        else:
            break
        weights, value, p = weights - step, new_value, new_p
    return weights
