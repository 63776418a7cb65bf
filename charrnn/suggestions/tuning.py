"""Fits the weights of the suggestion sources on held-out text and measures what they save there."""

import math
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats
from charrnn.suggestions.completer import Completer, Completion, Options, ranked
from charrnn.suggestions.mixture import FEATURES, Choice, Weights, fit
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.simulated_typist import Typist, completable, type_word
from charrnn.suggestions.source import TINY
from charrnn.text.words import is_unspaced

MIN_WORDS = 100  # fewer words give no estimate of the keystrokes saved (not tuned)
WORD_CHARS = 20  # maximum characters typed per word of `most_words` (not tuned)
SHOWN = 3  # number of suggestions shown to the simulated typist

Rank = Callable[[Options], Floats]  # returns each option's probability; 0 if it is not offered


class Tuned(NamedTuple):
    """The result of tuning.

    Attributes:
        weights: Fitted weights of the sources, [TYPED, len(FEATURES)].
        saved: Share of keystrokes that SHOWN suggestions save; None if there was too little text.
        saved_by_trigrams: The same for the trigrams alone.
        words: Number of typed words in which suggestions can save keystrokes.
    """

    weights: Weights
    saved: float | None
    saved_by_trigrams: float | None
    words: int


class _Word(NamedTuple):
    """A word that was typed.

    Attributes:
        start: Its start in the text.
        end: Its end in the text.
        options: Candidates before each letter and after the last.
        meant: Index of the intended candidate in each of `options`.
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
    """Fit the weights on the beginning of a text, and measure the keystrokes saved.

    The keystrokes of each half of the words are measured with weights fitted on the other half.

    Args:
        completer: Makes the suggestions; few words leave its weights as they are.
        text: Held-out text.
        most_words: Maximum number of words typed, in at most WORD_CHARS times as many characters.
        deadline: Time on `clock` at which typing stops (s); a word that it cuts is left out.
        clock: Returns the current time (s).
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
    before = completer.weights
    weights = _fit(words, before)
    count = sum(len(word.options) > 1 for word in words)  # single characters save no keys
    if count < MIN_WORDS:
        return Tuned(weights, None, None, count)
    saved = sum(
        _saved(text, some, _by(_fit(others, before)))
        for some, others in ((first, second), (second, first))
    )
    chars = words[-1].end - words[0].start
    return Tuned(weights, saved / chars, _saved(text, words, _by_trigrams) / chars, count)


def _type(
    completer: Completer, text: str, start: int, end: int, too_late: Callable[[], bool]
) -> _Word | None:
    """Type a word; return None if the deadline comes before its end."""
    word = _Word(start, end, [], [])
    # In a script without spaces, a word is complete with its first character.
    for cursor in range(start, start + 1 if is_unspaced(text[start]) else end + 1):
        if too_late():
            return None
        options = completer.options(text[:cursor], SHOWN)
        rest = text[cursor:end]
        word.options.append(options)
        word.meant.append(options.texts.index(rest if rest in options.texts else None))
    return word


def _fit(words: Sequence[_Word], before: Weights) -> Weights:
    choices = [
        Choice(options.features, options.typed, meant)
        for word in words
        for options, meant in zip(word.options, word.meant, strict=True)
    ]
    return fit(choices, before)


def _by(weights: Weights) -> Rank:
    return lambda options: options.probabilities(weights)


def _by_trigrams(options: Options) -> Floats:
    logp = options.features[:, FEATURES.index("trigrams")]
    return np.where(logp > math.log(TINY), np.exp(logp), 0.0)  # leaves out other sources' words


def _saved(text: str, words: Sequence[_Word], rank: Rank) -> int:
    """Return the number of keystrokes that the suggestions save."""
    asked = {
        word.start + typed: options for word in words for typed, options in enumerate(word.options)
    }

    def suggest(typed: str, _: int, dismissals: Dismissals | None) -> list[Completion]:
        options = asked[len(typed)]
        return ranked(typed, options.texts, rank(options), dismissals)

    typist = Typist(SHOWN)
    for word in words:
        type_word(text, word.start, word.end, [typist], suggest)
    return typist.saved
