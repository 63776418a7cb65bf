"""The mixture of suggestion sources: log-linear, with weights by the length of the partial word.

Klakow 1998 (Log-linear interpolation of language models, ICSLP). The weights maximize the
likelihood of the words of a held-out text.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats
from charrnn.suggestions.network_source import NetworkSource
from charrnn.suggestions.recency_source import RecencySource
from charrnn.suggestions.source import SuggestionSource
from charrnn.suggestions.trigram_source import TrigramSource

# All sources but the network, which is in every model.
SOURCES: tuple[type[SuggestionSource], ...] = (TrigramSource, RecencySource)
# The weights of a bias: its feature is 1 for all words that are not candidates.
OTHER = {"other": (-1.0, -0.9, -0.7, 0.3)}
TYPED = 4  # sets of weights: for 0, 1, 2, and 3 or more letters typed (not tuned)
PRIOR = 20.0  # strength of the Gaussian prior, in pseudo-observations (not tuned)
# The same around weights that were tuned before, as those of a model that is fine-tuned. With 150
# words of 100 KB of Brown, keystrokes saved on other pieces by 3 suggestions: 54.7 % with 20, 55.4
# with 300; with 1,000 words and 20, 56.0.
TUNED_PRIOR = 300.0
NEWTON_STEPS = 10  # maximum steps of Newton's method
HALVINGS = 10  # maximum halvings of a step that does not improve the fit

Weights = Floats  # [TYPED, len(FEATURES)]

# The default weights were fitted on tinyshakespeare for a network trained for ten minutes.
_DEFAULTS = {
    name: weights
    for row in (NetworkSource.FEATURES, *(source.FEATURES for source in SOURCES), OTHER)
    for name, weights in row.items()
}
FEATURES = tuple(_DEFAULTS)  # of a candidate, in the order of their columns
BEGIN: Weights = np.array([*_DEFAULTS.values()]).T


def by_name(weights: Weights) -> dict[str, list[float]]:
    """Return the weights by feature name, as a model file stores them."""
    return {name: column.tolist() for name, column in zip(FEATURES, weights.T, strict=True)}


def from_names(stored: Mapping[str, Sequence[float]]) -> Weights:
    """Return the weights that a model file stores.

    Args:
        stored: TYPED weights by feature name. A missing feature keeps the weights of BEGIN; an
            unknown name is ignored.
    """
    weights = BEGIN.copy()
    for i, name in enumerate(FEATURES):
        if name in stored:
            weights[:, i] = stored[name]
    return weights


class Choice(NamedTuple):
    """An observation: candidates, and the one that was intended.

    Attributes:
        features: Features of the candidates, [N, len(FEATURES)].
        typed: Length of the partial word in characters.
        meant: Index of the intended candidate.
    """

    features: Array
    typed: int
    meant: int


def probabilities(features: Array, typed: int, weights: Weights) -> NDArray[np.float64]:
    """Return the probability of each candidate, [N].

    Args:
        features: Features of the candidates, [N, len(FEATURES)].
        typed: Length of the partial word in characters.
        weights: Weights of the features, [TYPED, len(FEATURES)].
    """
    scores = features @ weights[min(typed, TYPED - 1)]
    p = np.exp(scores - scores.max())
    return np.asarray(p / p.sum())


def fit(choices: Sequence[Choice], begin: Weights = BEGIN) -> Weights:
    """Return the most likely weights, under a Gaussian prior around `begin`."""
    weights = begin.copy()
    prior = PRIOR if np.array_equal(begin, BEGIN) else TUNED_PRIOR
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
        weights[typed] = _newton(features, present, meant, begin[typed], prior)
    return weights


def _newton(
    features: Floats, present: NDArray[np.bool_], meant: Floats, begin: Floats, prior: float
) -> Floats:
    """Return the most likely weights, [F], by Newton's method, starting from the prior's mean.

    The features are [C, N, F], those of the intended candidates [C, F]; `present` is [C, N], and
    False where a candidate is padding.
    """

    def loss(weights: Floats) -> tuple[float, Floats]:
        """Return the loss (nats) and the candidates' probabilities, [C, N]."""
        scores = np.where(present, features @ weights, -np.inf)
        highest = scores.max(axis=1, keepdims=True)
        p = np.exp(scores - highest)
        total = p.sum(axis=1, keepdims=True)
        nats = (np.log(total) + highest).sum() - (meant @ weights).sum()
        return float(nats + prior / 2 * ((weights - begin) ** 2).sum()), p / total

    weights = begin
    value, p = loss(weights)
    for _ in range(NEWTON_STEPS):
        mean = np.einsum("cn,cnf->cf", p, features)
        gradient = (mean - meant).sum(axis=0) + prior * (weights - begin)
        spread = np.einsum("cn,cnf,cng->fg", p, features, features) - mean.T @ mean
        step = np.linalg.solve(spread + prior * np.eye(len(begin)), gradient)
        for _ in range(HALVINGS):  # far from the optimum a whole step can overshoot
            new_value, new_p = loss(weights - step)
            if new_value < value:
                break
            step = step / 2
        else:
            break
        weights, value, p = weights - step, new_value, new_p
    return weights
