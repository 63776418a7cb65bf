"""The network as a source of suggestions: finds new words, and scores those of all sources."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from charrnn.arrays import Array
from charrnn.suggestions.source import TINY, Given, Typed
from charrnn.suggestions.word_search import WordSearch

BEAM = 8  # hypotheses that the network pursues in parallel (not tuned)
ADAPTING_RATE = 0.01  # learning rate of the output layer on the typed text (not tuned)


class NetworkSource(WordSearch):
    """Finds words by beam search, and computes the probability of the other sources' words.

    Like a SuggestionSource, but its candidates depend on those of the others.
    """

    FEATURES: ClassVar[Mapping[str, Sequence[float]]] = {
        "network": (0.65, 0.60, 0.55, 0.50)  # log-probability
    }

    def __init__(self, given: Given) -> None:
        rate = ADAPTING_RATE if given.adapts else 0
        super().__init__(given.engine, given.tokenizer, given.start, BEAM, rate)
        self._found: dict[str, float] = {}

    def candidates(self, typed: Typed, others: Sequence[str], k: int) -> list[str]:
        """Return at least the `k` likeliest insertions, and those of `others` that are possible."""
        self._found = self.search(typed.text, typed.partial, others, k)
        return [*self._found]

    def features(self, typed: Typed, texts: Sequence[str]) -> Array:
        """See SuggestionSource."""
        del typed  # `candidates` found the probabilities
        p = np.array([self._found.get(text, 0.0) for text in texts] + [0], np.float32)
        p[-1] = 1 - p.sum()
        return np.log(np.maximum(p, TINY))[:, None]
