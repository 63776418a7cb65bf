"""Completions against brute force over a small vocabulary, and what people expect of them."""

import itertools

import numpy as np
import pytest

from charrnn.cells import Array
from charrnn.complete import Completer, Reader
from charrnn.config import ModelConfig
from charrnn.engine import Engine, log_softmax
from charrnn.text import WORD
from charrnn.tokenizer import CharTokenizer, Tokenizer, WordTokenizer


def random_engine(vocab_size: int, seed: int = 0, scale: float = 0.6) -> Engine:
    config = ModelConfig(vocab_size, "gru", layers=1, hidden=16, embedding=8)
    rng = np.random.default_rng(seed)
    return Engine(
        config,
        {
            name: (scale * rng.normal(size=shape)).astype(np.float32)
            for name, shape in config.shapes().items()
        },
    )


def completer(tokenizer: Tokenizer, beam: int = 12, seed: int = 0) -> tuple[Completer, Engine]:
    engine = random_engine(tokenizer.vocab_size, seed)
    return Completer(engine, tokenizer, engine.zero_state(), beam), engine


def log_probabilities(engine: Engine, tokenizer: Tokenizer, state: Array) -> Array:
    logits = engine.logits(state)
    logits[:, tokenizer.unknown_id] = -np.inf
    first: Array = log_softmax(logits)[0]
    return first


def probability(engine: Engine, tokenizer: Tokenizer, typed: str, text: str) -> float:
    """That a character model writes `text` after `typed` and then ends the word."""
    state = engine.read(tokenizer.encode(typed), engine.zero_state())
    total = 0.0
    for token in tokenizer.encode(text):
        total += log_probabilities(engine, tokenizer, state)[token]
        state = engine.step(np.array([token]), state)
    ends = [i for i, t in enumerate(tokenizer.tokens[:-1]) if t in " .\n"]
    return float(
        np.exp(total + np.log(np.exp(log_probabilities(engine, tokenizer, state)[ends]).sum()))
    )


@pytest.mark.parametrize("typed", ["", "a", "ab ", "ba.", "a b"])
@pytest.mark.parametrize("seed", range(3))
def test_char_model_ranks_whole_words(typed: str, seed: int) -> None:
    """With a wide beam a character model's completions are the likeliest words of brute force."""
    tokenizer = CharTokenizer([*"ab .\n"])
    suggest, engine = completer(tokenizer, beam=4000, seed=seed)
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
    """A half-typed word is only completed by words that begin so, whatever token would spell it."""
    text = "the cat saw the catalogue. the cart, the dog. " * 5
    tokenizer = WordTokenizer.train(text)
    suggest, _ = completer(tokenizer)
    for typed in ("the c", "the ca", "the cat", "", "the", "the ", "the cat's", "a zeb", "dog. T"):
        for completion in suggest.complete(typed, 5):
            word = WORD.findall(typed + completion.text)[-1]
            assert (typed + completion.text).endswith(word)
            assert completion.text
            assert "  " not in typed + completion.text
    assert "talogue" in [c.text for c in suggest.complete("the ca", 5)]


@pytest.mark.parametrize("level", [CharTokenizer, WordTokenizer])
def test_probabilities(level: type[Tokenizer]) -> None:
    """Probabilities fall along the list and sum to no more than 1, for every half-typed word."""
    tokenizer = level.train("it's a well-known fact: the theory of them, then.\n" * 3)
    suggest, _ = completer(tokenizer)
    for typed in ("", "t", "th", "the", "it'", "it's", "well-", "a ", "fact:", "zq", "the\n"):
        found = suggest.complete(typed, 5)
        ps = [c.p for c in found]
        assert ps == sorted(ps, reverse=True)
        assert all(0 < p <= 1 for p in ps)
        assert sum(ps) <= 1 + 1e-4
        assert len({c.text for c in found}) == len(found)


def test_word_after_punctuation_is_spaced() -> None:
    """After a comma a space comes first, after white space it does not."""
    tokenizer = WordTokenizer.train("one, two, three, four. " * 3)
    suggest, _ = completer(tokenizer)
    assert any(c.text.startswith(" ") for c in suggest.complete("one,", 5))
    assert not any(c.text.startswith(" ") for c in suggest.complete("one, ", 5))


@pytest.mark.parametrize("level", [CharTokenizer, WordTokenizer])
def test_unseen_characters_are_read(level: type[Tokenizer]) -> None:
    """A character that the model has never seen does not stop it from suggesting."""
    tokenizer = level.train("plain words only " * 4)
    suggest, _ = completer(tokenizer)
    assert suggest.complete("žluťoučký pl", 3)
    suggest.complete("žluť", 3)


@pytest.mark.parametrize("level", [CharTokenizer, WordTokenizer])
def test_typing_equals_starting_over(level: type[Tokenizer]) -> None:
    """Typing on, deleting and jumping about give what a fresh session gives for the same text."""
    tokenizer = level.train("the cat sat on the mat, the dog did not. " * 3)
    suggest, engine = completer(tokenizer)
    for typed in ("the", "the c", "the ca", "the c", "a dog", "", "the cat sat on", "the c"):
        fresh = Completer(engine, tokenizer, engine.zero_state())
        expected = fresh.complete(typed)
        assert [c.text for c in suggest.complete(typed)] == [c.text for c in expected]


def test_reader_keeps_to_its_limit() -> None:
    """A long text costs bounded memory, and going back beyond it still gives the right state."""
    engine = random_engine(20)
    start = engine.zero_state()
    reader = Reader(engine, start, keep=8)
    ids = np.random.default_rng(0).integers(0, 20, 300).astype(np.int32)
    for end in [*range(1, 100), 300, 295, 40, 300, 0, 5]:
        state = reader.state(ids[:end])
        np.testing.assert_allclose(state, engine.read(ids[:end], start), atol=1e-5)
        assert len(reader._states) <= 17
