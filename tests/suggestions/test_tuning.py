"""Weighing the sources on held-out text."""

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
    start = model.engine.zero_state()
    return Completer(model.engine, model.file.tokenizer, start, NGRAM)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["char", "word"], indirect=True)
def test_saved(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told is what the simulated user saves, with the mixture and with the trigrams."""
    monkeypatch.setattr(tuning, "fit", lambda choices: BEGIN)
    tuned = tuning.tune(completer(model), TEXT, 1000)
    end = TEXT.rindex("song") + len("song")
    for saved, suggest in (
        (tuned.saved, completer(model).extend),
        (tuned.saved_by_trigrams, WordList(NGRAM, NGRAM.after).extend),
    ):
        *_, keys = type_text(TEXT, suggest, [])
        share = keys.users[3].saved / (end - TEXT.index("The"))
        assert saved == pytest.approx(share, abs=0.02)  # words equally likely may change places


@pytest.mark.slow
@pytest.mark.parametrize("model", ["char", "word"], indirect=True)
def test_better(model: Model) -> None:
    """Where the trigrams are right and the network knows nothing, they come to weigh more."""
    tuned = tuning.tune(completer(model), CORPUS * 6, 1000)
    assert tuned.weights[0, 1] > BEGIN[0, 1]
    assert tuned.weights[0, 0] < BEGIN[0, 0]
    assert tuned.saved is not None
    assert tuned.saved > 0.3


@pytest.mark.parametrize("text", ["", "?!", "The fox", "x" * 500])
def test_too_little(model: Model, text: str) -> None:
    """A text of a few words moves the weights a little and tells nothing."""
    tuned = tuning.tune(completer(model), text, 1000)
    assert np.abs(tuned.weights - BEGIN).max() < 1
    assert (tuned.saved, tuned.saved_by_trigrams) == (None, None)


def test_limits(model: Model) -> None:
    """It ends where it shall, after some words or some time."""
    late = tuning.tune(completer(model), CORPUS * 6, 1000, time.monotonic() - 1)
    np.testing.assert_array_equal(late.weights, BEGIN)
    few = tuning.tune(completer(model), CORPUS * 6, 5)
    assert (few.saved, few.words) == (None, 5)


def asked(model: Model, text: str, most_words: int, deadline: float = math.inf) -> list[int]:
    """Return after which characters suggestions are asked for; each look at the clock takes 1 s."""
    suggest = completer(model)
    nothing = suggest.options("x" * 500, 1)
    clock = itertools.count().__next__
    with patch.object(Completer, "options", return_value=nothing) as options:
        tuning.tune(suggest, text, most_words, deadline, clock)
    return [len(call.args[0]) for call in options.call_args_list]


def test_deadline_within_a_word(char_model: Model) -> None:
    """The deadline is looked at before every key."""
    assert asked(char_model, "internationalization", 1000, 5) == [0, 1, 2, 3, 4, 5]


def test_run_without_spaces(char_model: Model) -> None:
    """In a run of letters that is too long for a word no suggestion is asked for."""
    assert asked(char_model, "x" * 5000 + " end", 1000) == [5001, 5002, 5003, 5004]
    assert asked(char_model, "x" * 300_000, 1000) == []


def test_bound_in_characters(char_model: Model) -> None:
    """Of a text of very long words, fewer are typed, each to its end."""
    length = LONGEST_WORD + 1
    typed = asked(char_model, ("x" * LONGEST_WORD + " ") * 1000, 100)
    whole = tuning.WORD_CHARS * 100 // length
    assert typed == [*range(whole * length)]
