"""What every source of suggestions must meet."""

import numpy as np
import pytest

from charrnn.suggestions.mixture import BEGIN, FEATURES, SOURCES, TYPED
from charrnn.suggestions.network_source import NetworkSource
from charrnn.suggestions.source import Given, SuggestionSource, Typed
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.words import partial_word
from charrnn.tokenizer import WordTokenizer
from tests.models import CORPUS, random_model


@pytest.fixture
def given() -> Given:
    model = random_model(WordTokenizer.train(CORPUS))
    start = model.engine.zero_state()
    return Given(model.engine, model.file.tokenizer, start, Trigrams.build(CORPUS))


def test_names_and_defaults() -> None:
    """Names are distinct, and there is a default weight for each number of letters typed."""
    rows = [NetworkSource.FEATURES, *(source.FEATURES for source in SOURCES)]
    names = [name for row in rows for name in row]
    assert [*FEATURES] == [*names, "other"]
    assert len({*FEATURES}) == len(FEATURES)
    assert BEGIN.shape == (TYPED, len(FEATURES))


@pytest.mark.parametrize("text", ["", "The c", "The crow sat ", "the fo", "zzz", "\n"])
@pytest.mark.parametrize("adapts", [True, False])
@pytest.mark.parametrize("source", SOURCES)
def test_contract(given: Given, source: type[SuggestionSource], text: str, adapts: bool) -> None:
    """Candidates complete the partial word; all texts get finite features."""
    one = source(given._replace(adapts=adapts, earlier=["crowd"]))
    typed = Typed(text, partial_word(text))
    found = one.candidates(typed)
    assert all(found)
    assert all(one.knows(typed.partial + each) for each in found)
    for texts in ([], ["", "row", "unheard-of"], found):
        features = one.features(typed, texts)
        assert features.shape == (len(texts) + 1, len(source.FEATURES))
        assert features.dtype == np.float32
        assert np.isfinite(features).all()


def test_network(given: Given) -> None:
    """The network gives the others' candidates a probability, and finds its own."""
    network, typed = NetworkSource(given), Typed("The c", "c")
    found = network.candidates(typed, ["row"], 3)
    assert "row" in found
    features = network.features(typed, found)
    assert features.shape == (len(found) + 1, 1)
    np.testing.assert_allclose(np.exp(features).sum(), 1, atol=1e-3)
