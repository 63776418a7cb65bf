"""The trigrams of the training text as a source of suggestions."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.suggestions.source import TINY, Given, Typed

NEXT_WORD_CANDIDATES = 12  # candidates before a word's first letter (not tuned)
WORD_CANDIDATES = 8  # candidates within a word (not tuned)
FREQUENT_CANDIDATES = 4  # frequent ones within a word, whatever the context (not tuned)
SMALLEST = 1e-30  # lower bound of a divisor


class TrigramSource:
    """Finds words of the training text that are likely after the last two, or frequent."""

    FEATURES: ClassVar[Mapping[str, Sequence[float]]] = {
        "trigrams": (0.30, 0.30, 0.30, 0.15),  # log-probability
        "count": (-0.25, -0.25, -0.25, -0.10),  # logarithm of the occurrences
    }

    def __init__(self, given: Given) -> None:
        self._trigrams = given.trigrams
        self._counts = given.trigrams.word_counts
        self._before: str | None = None
        self._p = given.trigrams.unigram

    def candidates(self, typed: Typed) -> list[str]:
        """See SuggestionSource."""
        if typed.before != self._before:
            self._before, self._p = typed.before, self._trigrams.after(typed.before)
        some = self._trigrams.starting_with(typed.partial)
        ids = [*best(self._p[some], WORD_CANDIDATES if typed.partial else NEXT_WORD_CANDIDATES)]
        ids += [*best(self._counts[some], FREQUENT_CANDIDATES)] if typed.partial else []
        return [self._trigrams.tokens[some.start + i][len(typed.partial) :] for i in ids]

    def features(self, typed: Typed, texts: Sequence[str]) -> Array:
        """See SuggestionSource."""
        mass = max(SMALLEST, self.mass(typed.partial))
        features = np.zeros((len(texts) + 1, 2), np.float32)
        for row, text in zip(features, texts, strict=False):
            i = self._trigrams.id(typed.partial + text)
            if i is not None:
                row[:] = self._p[i] / mass, self._trigrams.counts[i]
        features[-1, 0] = 1 - features[:, 0].sum()
        features[:, 0] = np.log(np.maximum(features[:, 0], TINY))
        features[:-1, 1] = np.log(features[:-1, 1] + 0.5)
        return features

    def mass(self, partial: str) -> float:
        """Return the probability of all words that begin with a partial word."""
        whole = self._trigrams.id(partial)
        mass = float(self._p[self._trigrams.starting_with(partial)].sum())
        return mass if whole is None else mass + float(self._p[whole])

    def knows(self, word: str) -> bool:
        """Return whether a word occurs in the training text."""
        return self._trigrams.id(word) is not None

    def count(self, word: str) -> int:
        """Return the number of a word's occurrences in the training text."""
        i = self._trigrams.id(word)
        return 0 if i is None else int(self._trigrams.counts[i])


def best(p: Array, k: int) -> NDArray[np.intp]:
    """Return the indices of the `k` largest numbers above 0, the largest first."""
    some = np.sort(np.argpartition(-p, k)[:k]) if len(p) > k else np.arange(len(p))
    some = some[np.argsort(-p[some], kind="stable")]
    return some[p[some] > 0]
