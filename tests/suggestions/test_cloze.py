"""Words removed from a text, and guessed."""

from unittest.mock import patch

import pytest

from charrnn.model import Model
from charrnn.suggestions.cloze import Guesses, guess, removed
from charrnn.suggestions.missing_words import MissingWords
from charrnn.suggestions.trigrams import Trigrams
from tests.models import CORPUS

WORDS = "one two three four five six seven eight nine ten. " * 100


def test_every_tenth() -> None:
    """Every tenth word is removed, or some at equal distances."""
    spans = removed(WORDS)
    assert {WORDS[start:end] for start, end in spans} == {"ten"}
    assert len(spans) == 100
    with patch("charrnn.suggestions.cloze.MOST", 7):
        some = removed(WORDS)
    assert some == [spans[i] for i in (0, 14, 28, 42, 57, 71, 85)]
    assert removed("one two") == []


def test_ranks() -> None:
    """Ranks become accuracies and the mean reciprocal rank; a word that was not found is 0."""
    guesses = Guesses()
    for rank in (1, 5, 10, 11, None):
        guesses.add(rank)
    expected = {"top1": 1 / 5, "top5": 2 / 5, "mrr": pytest.approx((1 + 1 / 5 + 1 / 10) / 5)}
    assert guesses.to_json() == expected
    assert Guesses().to_json() == {"top1": 0, "top5": 0, "mrr": 0}


def test_guesses(model: Model) -> None:
    """Each removed word is guessed by each way; trigrams that know the text guess it."""
    trigrams = Trigrams.build(WORDS)
    missing = MissingWords(model.engine, model.file.tokenizer, model._start, trigrams)
    *_, last = guess(WORDS[:200], missing, trigrams)
    assert [*last] == ["left", "both", "trigrams"]
    assert {guesses.words for guesses in last.values()} == {4}
    assert last["trigrams"].first == 4
    (none,) = guess("", missing, trigrams)
    assert none["both"].words == 0
    *_, without = guess(CORPUS, missing, Trigrams.build(""))
    assert [*without] == ["left", "both"]
