"""Weighs the sources of suggestions on text that was held out, and tells what they save there."""

import math
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.complete import TINY, Completer, Options
from charrnn.mixture import FEATURES, Choice, Weights, fit
from charrnn.text import WORD

LEAST_WORDS = 100  # fewer tell nothing of what is saved
SHOWN = 3  # suggestions that the user looks at

# A number for each option: the best has the largest, what is not offered -inf.
Rank = Callable[[Options], NDArray[np.floating]]


class Tuned(NamedTuple):
    """What came out.

    Attributes:
        weights: of the sources.
        saved: share of the keys that SHOWN suggestions save, None if there was too little text.
        saved_by_trigrams: the same for the trigrams alone.
    """

    weights: Weights
    saved: float | None
    saved_by_trigrams: float | None


class _Word(NamedTuple):
    """A word that was typed.

    Attributes:
        start, end: in the text.
        space: whether one follows, which comes with the word.
        choices: before each letter and after the last; and which of the options was meant.
    """

    start: int
    end: int
    space: bool
    choices: list[tuple[Options, int]]


def tune(completer: Completer, text: str, most_words: int, deadline: float = math.inf) -> Tuned:
    """Type a text's beginning and fit the weights to it.

    What is saved is measured on each half with the weights that fit the other.

    Args:
        completer: whose weights they shall be.
        text: not seen in training.
        most_words: where to stop.
        deadline: time.monotonic() at which to stop before.
    """
    words = []
    for match in islice(WORD.finditer(text), most_words):
        if time.monotonic() > deadline:
            break
        words.append(_type(completer, text, *match.span()))
    first, second = words[: len(words) // 2], words[len(words) // 2 :]
    weights = _fit(words)
    if len(words) < LEAST_WORDS:
        return Tuned(weights, None, None)
    saved = _saved(first, _by(_fit(second))) + _saved(second, _by(_fit(first)))
    chars = words[-1].end - words[0].start
    return Tuned(weights, saved / chars, _saved(words, _by_trigrams) / chars)


def _type(completer: Completer, text: str, start: int, end: int) -> _Word:
    choices = []
    for typed in range(end - start + 1):
        options = completer.options(text[: start + typed], SHOWN)
        rest = text[start + typed : end]
        meant = options.texts.index(rest if rest in options.texts else None)
        choices.append((options, meant))
    return _Word(start, end, text[end : end + 1] == " ", choices)


def _fit(words: Sequence[_Word]) -> Weights:
    return fit(
        [
            Choice(options.features, options.typed, meant)
            for word in words
            for options, meant in word.choices
        ]
    )


def _by(weights: Weights) -> Rank:
    return lambda options: options.probabilities(weights)


def _by_trigrams(options: Options) -> NDArray[np.floating]:
    said = options.features[:, FEATURES.index("trigrams")]
    return np.where(said > math.log(TINY), said, -np.inf)  # other sources' words are not offered


def _saved(words: Sequence[_Word], rank: Rank) -> int:
    """Keys that the suggestions save; see charrnn.keystrokes."""
    saved = 0
    for word in words:
        for typed, (options, meant) in enumerate(word.choices):
            ranks = rank(options)
            gain = word.end - word.start - typed + word.space - 1
            shown = ranks[: -2 if typed else -1]
            above = (shown > ranks[meant]).sum() + (shown[:meant] == ranks[meant]).sum()
            offered = meant < len(shown) and above < SHOWN and np.isfinite(ranks[meant])
            if offered and gain >= 1:
                saved += gain
                break
    return saved
