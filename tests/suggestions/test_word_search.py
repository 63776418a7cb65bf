"""Words that the network finds, against brute force over a small vocabulary."""

import itertools
import math

import numpy as np
import pytest

from charrnn.suggestions import completer, network_source
from charrnn.suggestions.word_search import WordSearch
from charrnn.text.words import WORD
from charrnn.tokenizer import (
    TOKENIZERS,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
)
from tests.suggestions.suggesting import (
    log_probabilities,
    probability,
    random_engine,
    read,
    suggesting,
)


@pytest.mark.parametrize("typed", ["", "a", "ab ", "ba.", "a b"])
@pytest.mark.parametrize("seed", range(3))
def test_char_model_ranks_whole_words(
    typed: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a wide beam, a character model's completions are the most likely words."""
    tokenizer = CharTokenizer([*"ab .\n"])
    monkeypatch.setattr(network_source, "BEAM", 4000)
    monkeypatch.setattr(completer, "MIN_SPACE", 0)
    suggest, engine = suggesting(tokenizer, seed)
    words = ["".join(w) for n in (1, 2, 3, 4) for w in itertools.product("ab", repeat=n)]
    spaced = [] if typed[-1:] in ("", " ", "\n") else [" " + word for word in words]
    expected = sorted(
        ((probability(engine, tokenizer, typed, text), text) for text in words + spaced),
        reverse=True,
    )[:3]
    found = suggest.complete(typed, 3)
    assert [c.text for c in found] == [text for _, text in expected]
    np.testing.assert_allclose([c.p for c in found], [p for p, _ in expected], rtol=1e-4)


def test_word_model_keeps_to_what_is_typed() -> None:
    """A partial word is completed only by words that begin with it, whatever tokens spell it."""
    text = "the cat saw the catalogue. the cart, the dog. " * 5
    tokenizer = WordTokenizer.train(text)
    suggest, _ = suggesting(tokenizer)
    for typed in ("the c", "the ca", "the cat", "", "the", "the ", "the cat's", "a zeb", "dog. T"):
        for completion in suggest.complete(typed, 5):
            word = WORD.findall(typed + completion.text)[-1]
            assert (typed + completion.text).endswith(word)
            assert completion.text
            assert "  " not in typed + completion.text
    assert "talogue" in [c.text for c in suggest.complete("the ca", 5)]


@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_probabilities(level: type[Tokenizer]) -> None:
    """Probabilities descend and sum to at most 1, for any partial word."""
    tokenizer = level.train("it's a well-known fact: the theory of them, then.\n" * 3)
    suggest, _ = suggesting(tokenizer)
    for typed in ("", "t", "th", "the", "it'", "it's", "well-", "a ", "fact:", "zq", "the\n"):
        found = suggest.complete(typed, 5)
        ps = [c.p for c in found]
        assert ps == sorted(ps, reverse=True)
        assert all(0 < p <= 1 for p in ps)
        assert sum(ps) <= 1 + 1e-4
        assert len({c.text for c in found}) == len(found)


@pytest.mark.parametrize("typed", ["", "a", "ab ", "b'"])
def test_wanted(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probability of a wanted word is found even with a narrow beam."""
    monkeypatch.setattr("charrnn.suggestions.word_search.UNLIKELY", 0.0)
    tokenizer = CharTokenizer([*"ab' .\n"])
    engine = random_engine(tokenizer.vocab_size, scale=0.3)
    search = WordSearch(engine, tokenizer, engine.zero_state(), beam=1)
    wanted = ["a", "b", "ba", "abba", "b'a"]
    found = search.search(typed, typed.strip(), wanted, 1)
    for text in wanted:
        assert found[text] == pytest.approx(probability(engine, tokenizer, typed, text), rel=1e-3)


def test_unspaced_words() -> None:
    """In a script without spaces, a word model continues from any spelling of the typed text."""
    tokenizer = WordTokenizer.train("小明在公园里看书。小红在家里。\n" * 5 + "在公园\n" * 9)
    tokens = {*tokenizer.tokens}
    assert {"小明", "在家", "小明在公园里看书"} <= tokens
    assert "小明在" not in tokens
    suggest, _ = suggesting(tokenizer)
    assert {"公", "家"} <= {completion.text[0] for completion in suggest.extend("小明在", 9)}


def test_whole_words() -> None:
    """For a word model, p is the share of the word's token among tokens with the prefix."""
    tokenizer = WordTokenizer.train("the cat saw the catalogue. the cart, the dog. " * 5)
    suggest, engine = suggesting(tokenizer)
    state = engine.read(tokenizer.encode("the"), engine.zero_state())
    p = np.exp(log_probabilities(engine, tokenizer, state))
    tokens = {token: p[i] for i, token in enumerate(tokenizer.tokens) if token.startswith(" ca")}
    assert {*tokens} == {" cat", " catalogue", " cart"}
    found = {completion.text: completion.p for completion in suggest.extend("the ca", 5)}
    for text in ("t", "talogue", "rt"):
        assert found[text] == pytest.approx(tokens[" ca" + text] / sum(tokens.values()), rel=1e-3)


def test_partial_characters_are_not_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte model suggests whole characters, and punctuation of several bytes ends a word."""
    monkeypatch.setattr("charrnn.suggestions.word_search.UNLIKELY", 0.0)
    tokenizer = ByteTokenizer.train("")
    engine = random_engine(tokenizer.vocab_size, scale=0.3)
    search = WordSearch(engine, tokenizer, engine.zero_state(), beam=300)
    monkeypatch.setattr("charrnn.suggestions.word_search.MAX_LENGTH", 3)
    wanted = ["ï", "ïv", "é", "ё"]
    found = search.search("na", "na", wanted, 300)
    for text in wanted:
        ended = sum(math.exp(read(engine, tokenizer, "na", text + end)[0]) for end in ' .,\n!?"—“')
        assert found[text] >= 0.999 * ended
    for text in found:
        assert WORD.fullmatch("na" + text)
    assert sum(found.values()) <= 1 + 1e-4
