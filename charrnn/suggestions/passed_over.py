"""Demotes suggestions that the user saw and ignored.

How far that holds is learned from what became of the words that were shown: taken, or typed out.
For who takes each one at once, a word that was passed over does not come again while the same word
is typed; for who never looks, nothing changes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from charrnn.text.words import WORD, partial_word

LEAST = 1e-9  # that a factor becomes


class Dismissals:
    """Follows a text being typed and what is shown beside it."""

    def __init__(self) -> None:
        # How often the word that was meant was shown: to begin with, it is as likely as not seen.
        self._taken = self._overlooked = 1
        self._typed = ""  # when something was shown last,
        self._shown: list[str] = []  # and what,
        self._taken_text = ""  # and what of it was taken
        # How often a word was passed over, by where in the text it would stand.
        self._passed: Counter[tuple[int, str]] = Counter()

    @property
    def overlooked(self) -> float:
        """The probability that a word is typed on although it is shown."""
        return self._overlooked / (self._overlooked + self._taken)

    def show(self, typed: str, texts: Iterable[str]) -> None:
        """Note what is shown after a text: what would be inserted."""
        self._follow(typed)
        self._shown = [*texts]

    def accept(self, typed: str, text: str) -> None:
        """Note that a text that is shown is taken."""
        self._follow(typed)
        self._taken_text = text

    def factors(self, typed: str, texts: Sequence[str | None]) -> NDArray[np.float64]:
        """How much less likely each text is since it was passed over, [len(texts)]."""
        self._follow(typed)
        factors = np.ones(len(texts))
        if self._passed:
            words = _words(typed, [text or "" for text in texts])
            factors[:] = [max(LEAST, self.overlooked ** self._passed[word]) for word in words]
        return factors

    def _follow(self, typed: str) -> None:
        """Learn what became of what was shown."""
        if typed == self._typed:
            return
        before, shown, taken = self._typed, self._shown, self._taken_text
        self._typed, self._shown, self._taken_text = typed, [], ""
        if not typed.startswith(before):  # who goes back thinks again
            self._passed.clear()
            return
        self._taken += bool(taken)
        # (Of what is taken, a phrase may be more than was shown as a word, a word of it less.)
        passed = [text for text in shown if not (taken and _begins(text, taken))]
        self._passed.update(_words(before, passed))
        here = len(typed) - len(partial_word(typed))
        for place in [place for place in self._passed if place[0] < here]:
            times = self._passed.pop(place)
            start, word = place
            came = WORD.match(typed, start)
            if came and came[0] == word:
                self._overlooked += times


def _words(typed: str, texts: Iterable[str]) -> list[tuple[int, str]]:
    """Where the word stands that each text makes after what was typed, and the word."""
    half = partial_word(typed)
    here, there = len(typed) - len(half), len(typed) + 1
    return [(there, text[1:]) if text[:1].isspace() else (here, half + text) for text in texts]


def _begins(one: str, other: str) -> bool:
    """Whether one of two texts begins with the other."""
    return one.startswith(other) or other.startswith(one)
