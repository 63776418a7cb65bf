"""Fitting the weights of the sources on held-out text."""

import itertools
import math
import time
from unittest.mock import patch

import numpy as np
import pytest

from charrnn.model import Model
from charrnn.suggestions import tuning
from charrnn.suggestions.completer import Completer
from charrnn.suggestions.mixture import BEGIN
from charrnn.suggestions.simulated_typist import WordList, type_text
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.words import LONGEST_WORD
from tests.models import CORPUS

NGRAM = Trigrams.build(CORPUS)
TEXT = (
    "!\n" * 5
    + "The fox said nothing, but the crow sat under a branch and sang its café song. " * 12
)


def completer(model: Model) -> Completer:
    """Return a new completer with the trigrams of the corpus."""
    start = model.engine.zero_state()
    return Completer(model.engine, model.file.tokenizer, start, NGRAM)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["char", "word"], indirect=True)
def test_saved(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shares reported are those of the simulated typist, for the mixture and the trigrams."""
    monkeypatch.setattr(tuning, "fit", lambda *_: BEGIN)
    tuned = tuning.tune(completer(model), TEXT, 1000)
    end = TEXT.rindex("song") + len("song")
    for saved, suggest in (
        (tuned.saved, completer(model).extend),
        (tuned.saved_by_trigrams, WordList(NGRAM, NGRAM.after).extend),
    ):
        *_, keys = type_text(TEXT, suggest, [])
        share = keys.typists[3].saved / (end - TEXT.index("The"))
        assert saved == pytest.approx(share, abs=0.02)  # equally likely words may change places


@pytest.mark.slow
@pytest.mark.parametrize("model", ["char", "word"], indirect=True)
def test_better(model: Model) -> None:
    """Where the trigrams are right and the network is random, the trigrams gain weight."""
    tuned = tuning.tune(completer(model), CORPUS * 6, 1000)
    assert tuned.weights[0, 1] > BEGIN[0, 1]
    assert tuned.weights[0, 0] < BEGIN[0, 0]
    assert tuned.saved is not None
    assert tuned.saved > 0.3


@pytest.mark.parametrize("text", ["", "?!", "The fox", "x" * 500])
def test_too_little(model: Model, text: str) -> None:
    """A text of a few words moves the weights a little and gives no shares."""
    tuned = tuning.tune(completer(model), text, 1000)
    assert np.abs(tuned.weights - BEGIN).max() < 1
    assert (tuned.saved, tuned.saved_by_trigrams) == (None, None)


def test_limits(model: Model) -> None:
    """Tuning stops at the word limit or the deadline."""
    late = tuning.tune(completer(model), CORPUS * 6, 1000, time.monotonic() - 1)
    np.testing.assert_array_equal(late.weights, BEGIN)
    few = tuning.tune(completer(model), CORPUS * 6, 5)
    assert (few.saved, few.words) == (None, 5)


def asked(model: Model, text: str, most_words: int, deadline: float = math.inf) -> list[int]:
    """Return the lengths of text asked about; each look at the clock takes 1 s."""
    suggest = completer(model)
    nothing = suggest.options("x" * 500, 1)
    clock = itertools.count().__next__
    with patch.object(Completer, "options", return_value=nothing) as options:
        tuning.tune(suggest, text, most_words, deadline, clock)
    return [len(call.args[0]) for call in options.call_args_list]


def test_deadline_within_a_word(char_model: Model) -> None:
    """The deadline is checked before every key."""
    assert asked(char_model, "internationalization", 1000, 5) == [0, 1, 2, 3, 4, 5]


def test_run_without_spaces(char_model: Model) -> None:
    """No suggestions are asked for in a run of letters too long for a word."""
    assert asked(char_model, "x" * 5000 + " end", 1000) == [5001, 5002, 5003, 5004]
    assert asked(char_model, "x" * 300_000, 1000) == []


def test_bound_in_characters(char_model: Model) -> None:
    """Fewer words are typed if they are very long, each to its end."""
    length = LONGEST_WORD + 1
    typed = asked(char_model, ("x" * LONGEST_WORD + " ") * 1000, 100)
    whole = tuning.WORD_CHARS * 100 // length
    assert typed == [*range(whole * length)]
