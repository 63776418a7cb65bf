"""The words typed lately as a source of suggestions."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from charrnn.arrays import Array
from charrnn.suggestions.recency_cache import RecencyCache
from charrnn.suggestions.source import Given, Typed

CANDIDATES = 8  # candidates (not tuned)
UNSEEN = 1e-4, 1e-3  # shares of recent words and of followers that hardly count (not tuned)
REPETITION = 0.07  # prior probability that a word is a repetition (not tuned)
NEW_WORD = 1e-3  # prior probability of a word that no source knows (not tuned)
NEW_LETTER = 0.05  # probability of each further letter of such a word (not tuned)


class RecencySource:
    """Finds words of the text being typed and of earlier ones; none without adaptation."""

    FEATURES: ClassVar[Mapping[str, Sequence[float]]] = {
        "recent": (0.30, 0.25, 0.25, 0.20),  # logarithm of the share of the recent words
        "followed": (0.10, 0.05, 0.00, 0.00),  # the same for words that followed the last word
    }

    def __init__(self, given: Given) -> None:
        self._adapts = given.adapts
        self._cache = RecencyCache(given.earlier if given.adapts else ())

    def candidates(self, typed: Typed) -> list[str]:
        """See SuggestionSource."""
        if self._adapts:
            self._cache.read(typed.before)
        words = self._cache.starting_with(typed.partial, CANDIDATES)
        return [word[len(typed.partial) :] for word in words]

    def features(self, typed: Typed, texts: Sequence[str]) -> Array:
        """See SuggestionSource."""
        words = [typed.partial + text for text in texts]
        shares = [(self._cache.share(word), self._cache.share_after_last(word)) for word in words]
        features: Array = np.log1p(np.array([*shares, (0, 0)]) / UNSEEN).astype(np.float32)
        return features

    def repeated(self, typed: Typed, texts: Sequence[str], others: float) -> Array:
        """Return the probability that each text is typed as a repetition, [len(texts) + 1].

        The fewer other words begin with the partial word, the more likely is a repetition.

        Args:
            typed: What was typed, as in the last call of `candidates`.
            texts: Candidates of all sources.
            others: Probability of the other words that begin with the partial word.
        """
        p = np.zeros(len(texts) + 1, np.float32)
        recent = self._cache.mass(typed.partial)
        if recent:
            others += NEW_WORD * NEW_LETTER ** len(typed.partial)
            share = REPETITION / (REPETITION * recent + (1 - REPETITION) * others)
            p[:-1] = [share * self._cache.share(typed.partial + text) for text in texts]
        return p

    def knows(self, word: str) -> bool:
        """Return whether a word was typed."""
        return self._cache.share(word) > 0

    def count(self, word: str, earlier: bool = False) -> int:
        """Return how often a word occurs in the text, or before it if `earlier`."""
        return self._cache.count(word, earlier)
