"""Demotes suggestions that the user saw and ignored.

How much a dismissal counts is learned from what became of the words shown: accepted, or typed out.
If the user accepts every right suggestion at once, a dismissed word is not offered again while the
same word is typed; if the user never looks, nothing changes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from charrnn.text.words import WORD, partial_word

MIN_FACTOR = 1e-9  # lower bound of a factor, so that probabilities stay above 0


class Dismissals:
    """Tracks which of the suggestions shown for a text the user has dismissed."""

    def __init__(self) -> None:
        # How often the intended word, when shown, was accepted, and how often typed out instead.
        # Both start at 1: at first half the words count as seen.
        self._accepted = self._overlooked = 1
        self._typed = ""  # the text at the last event
        self._shown: list[str] = []  # what was shown after it
        self._accepted_text = ""  # the accepted part of it
        # How often each word was dismissed, by its start in the text and the word.
        self._dismissed: Counter[tuple[int, str]] = Counter()

    @property
    def overlooked(self) -> float:
        """Probability that the user types a word out although it is shown."""
        return self._overlooked / (self._overlooked + self._accepted)

    def show(self, typed: str, texts: Iterable[str]) -> None:
        """Record the insertions that are suggested after a text."""
        self._follow(typed)
        self._shown = [*texts]

    def accept(self, typed: str, text: str) -> None:
        """Record that the user accepted a suggestion, which inserts `text`."""
        self._follow(typed)
        self._accepted_text = text

    def factors(self, typed: str, texts: Sequence[str | None]) -> NDArray[np.float64]:
        """Return the factor, in (0, 1], by which dismissals lower each insertion's probability.

        The result is float64 [len(texts)]. A text of None stands for all other insertions.
        """
        self._follow(typed)
        factors = np.ones(len(texts))
        if self._dismissed:
            words = _words(typed, [text or "" for text in texts])
            powers = [self.overlooked ** self._dismissed[word] for word in words]
            factors = np.maximum(MIN_FACTOR, powers)
        return factors

    def _follow(self, typed: str) -> None:
        """Learn from a change of the text what became of the suggestions shown."""
        if typed == self._typed:
            return
        before, shown, accepted = self._typed, self._shown, self._accepted_text
        self._typed, self._shown, self._accepted_text = typed, [], ""
        if not typed.startswith(before):  # after deleting, the user may want what was dismissed
            self._dismissed.clear()
            return
        self._accepted += bool(accepted)
        # An accepted phrase may be longer than the word shown; a part of it may be shorter.
        dismissed = [text for text in shown if not (accepted and _begins(text, accepted))]
        self._dismissed.update(_words(before, dismissed))
        complete_to = len(typed) - len(partial_word(typed))
        for start, word in [key for key in self._dismissed if key[0] < complete_to]:
            times = self._dismissed.pop((start, word))
            typed_out = WORD.match(typed, start)
            if typed_out and typed_out[0] == word:
                self._overlooked += times


def _words(typed: str, texts: Iterable[str]) -> list[tuple[int, str]]:
    """Return the word that each suggestion completes, with its start in the text."""
    partial = partial_word(typed)
    start, after_space = len(typed) - len(partial), len(typed) + 1
    return [
        (after_space, text[1:]) if text[:1].isspace() else (start, partial + text) for text in texts
    ]


def _begins(one: str, other: str) -> bool:
    """Return whether one of two texts begins with the other."""
    return one.startswith(other) or other.startswith(one)
