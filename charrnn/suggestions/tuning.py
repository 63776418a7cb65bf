"""Weighs the sources of suggestions on text that was held out, and tells what they save there."""

import math
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats
from charrnn.suggestions.completer import TINY, Completer, Completion, Options, ranked
from charrnn.suggestions.mixture import FEATURES, Choice, Weights, fit
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.simulated_typist import Typist, completable, type_word
from charrnn.text.words import is_unspaced

LEAST_WORDS = 100  # fewer tell nothing of what is saved
WORD_CHARS = 20  # bound on the characters that are typed, for each word; not tuned
SHOWN = 3  # suggestions that the user looks at

Rank = Callable[[Options], Floats]  # to each option's probability, 0 if it is not offered


class Tuned(NamedTuple):
    """What came out.

    Attributes:
        weights: of the sources.
        saved: share of the keys that SHOWN suggestions save, None if there was too little text.
        saved_by_trigrams: the same for the trigrams alone.
        words: that were typed, and can save keys.
    """

    weights: Weights
    saved: float | None
    saved_by_trigrams: float | None
    words: int


class _Word(NamedTuple):
    """A word that was typed.

    Attributes:
        start, end: in the text.
        options: before each letter and after the last,
        meant: and which of them was meant.
    """

    start: int
    end: int
    options: list[Options]
    meant: list[int]


def tune(
    completer: Completer,
    text: str,
    most_words: int,
    deadline: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Type the beginning of a text and fit the weights to it.

    What is saved is measured on each half with the weights that fit the other.

    Args:
        completer: makes the suggestions, by which the weights are fitted.
        text: not seen in training.
        most_words: words that are typed at most, in WORD_CHARS times as many characters.
        deadline: time at which typing stops, in seconds; a word that it cuts is left out.
        clock: tells the time.
    """
    words: list[_Word] = []
    for match in islice(completable(text), most_words):
        if match.end() > WORD_CHARS * most_words:
            break
        word = _type(completer, text, *match.span(), lambda: clock() > deadline)
        if not word:
            break
        words.append(word)
    first, second = words[: len(words) // 2], words[len(words) // 2 :]
    weights = _fit(words)
    count = sum(len(word.options) > 1 for word in words)  # the others save no keys
    if count < LEAST_WORDS:
        return Tuned(weights, None, None, count)
    saved = _saved(text, first, _by(_fit(second))) + _saved(text, second, _by(_fit(first)))
    chars = words[-1].end - words[0].start
    return Tuned(weights, saved / chars, _saved(text, words, _by_trigrams) / chars, count)


def _type(
    completer: Completer, text: str, start: int, end: int, too_late: Callable[[], bool]
) -> _Word | None:
    """Type a word; return None if the deadline comes before its end."""
    word = _Word(start, end, [], [])
    # (The word of a script without spaces is whole with its first character.)
    for place in range(start, start + 1 if is_unspaced(text[start]) else end + 1):
        if too_late():
            return None
        options = completer.options(text[:place], SHOWN)
        rest = text[place:end]
        word.options.append(options)
        word.meant.append(options.texts.index(rest if rest in options.texts else None))
    return word


def _fit(words: Sequence[_Word]) -> Weights:
    return fit(
        [
            Choice(options.features, options.typed, meant)
            for word in words
            for options, meant in zip(word.options, word.meant, strict=True)
        ]
    )


def _by(weights: Weights) -> Rank:
    return lambda options: options.probabilities(weights)


def _by_trigrams(options: Options) -> Floats:
    said = options.features[:, FEATURES.index("trigrams")]
    return np.where(said > math.log(TINY), np.exp(said), 0.0)  # other sources' words are left out


def _saved(text: str, words: Sequence[_Word], rank: Rank) -> int:
    """Keys that the suggestions save."""
    asked = {
        word.start + typed: options for word in words for typed, options in enumerate(word.options)
    }

    def suggest(typed: str, _: int, dismissals: Dismissals | None) -> list[Completion]:
        options = asked[len(typed)]
        return ranked(typed, options.texts, rank(options), dismissals)

    user = Typist(SHOWN)
    for word in words:
        type_word(text, word.start, word.end, [user], suggest)
    return user.saved
