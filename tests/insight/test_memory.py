"""How far back predictions depend on a text."""

import numpy as np
import pytest

from charrnn.arrays import Array, Ids
from charrnn.config import ModelConfig
from charrnn.insight.memory import LAGS, affordable, context, falls, influence, places
from charrnn.network.cells import CELLS, tensor_shapes
from charrnn.network.engine import Engine, log_softmax
from charrnn.tokenizer import CharTokenizer
from tests.models import CORPUS, random_model, with_ngrams

SYMBOLS = 5
RNG = np.random.default_rng(1)
IDS: Ids = RNG.integers(SYMBOLS, size=2000).astype(np.int32)


def shift_register(delay: int) -> Engine:
    """A network whose logits depend on nothing but the token read `delay` tokens ago, from 1."""
    units = SYMBOLS * delay
    config = ModelConfig(SYMBOLS, "rnn-relu", 1, units, SYMBOLS)
    weights = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(config).items()}
    weights["embedding"][:] = np.eye(SYMBOLS)
    weights["layers.0.input"][:SYMBOLS] = np.eye(SYMBOLS)
    weights["layers.0.recurrent"][:] = np.eye(units, k=-SYMBOLS)
    weights["output"][:, -SYMBOLS:] = 3 * np.eye(SYMBOLS)
    return Engine(config, weights)


def test_influence_of_one_token() -> None:
    """Only the token that a network remembers has an influence, and it is the known one."""
    found = influence(shift_register(3), IDS, np.random.default_rng(0))
    at = found.lags.tolist().index(3)
    logp = log_softmax(np.array([[3.0, 0, 0, 0, 0], [0, 3.0, 0, 0, 0]]))
    assert found.kl[at] == pytest.approx((np.exp(logp[0]) * (logp[0] - logp[1])).sum(), rel=1e-4)
    assert np.delete(found.kl, at).max() < 1e-6
    assert tuple(found.lags) == LAGS


def test_context_that_matters() -> None:
    """The loss falls at the context length at which the network sees the token it remembers."""
    ids: Ids = np.tile(RNG.permutation(SYMBOLS), 400).astype(np.int32)  # of period 5
    found = context(shift_register(4), ids)
    seen = found.lengths >= 4
    assert np.ptp(found.nats[seen]) < 1e-6
    assert np.ptp(found.nats[~seen]) < 1e-6
    assert found.nats[~seen][0] == pytest.approx(np.log(SYMBOLS), rel=1e-5)
    assert found.ngram_nats is None


def test_context_of_ngrams() -> None:
    """N-grams gain nothing from more tokens than they hold, and with all of them agree with."""
    tokenizer = CharTokenizer.train(CORPUS)
    model = with_ngrams(random_model(tokenizer), order=3)
    ids = tokenizer.known(tokenizer.encode(CORPUS * 3))
    found = context(model.engine, ids)
    assert found.ngram_nats is not None
    one, two, *others = found.ngram_nats
    assert two < one
    assert others == [two] * len(others)
    alone = context(model.engine.without_ngrams(), ids)
    assert alone.ngram_nats is None
    assert np.array_equal(alone.nats, found.nats)


def test_short_text() -> None:
    """A short text limits the distances and contexts, and every position has enough before it."""
    found = influence(shift_register(1), IDS[:300], np.random.default_rng(0))
    assert found.lags[-1] == 64
    assert context(shift_register(1), IDS[:300]).lengths[-1] == 128


def test_one_token() -> None:
    """A text of a single token has no other to replace it by, and so no influence."""
    found = influence(shift_register(1), np.zeros(400, np.int32), np.random.default_rng(0))
    assert not found.kl.any()
    assert falls(found.lags, found.kl) is None


def test_repeatable() -> None:
    """The same seed draws the same replacements, another seed others."""
    engine = random_model(CharTokenizer.train(CORPUS)).engine
    first, again, other = (
        influence(engine, IDS, np.random.default_rng(seed)).kl.tolist() for seed in (0, 0, 1)
    )
    assert first == again != other


def test_progress() -> None:
    """The shares of the work that are told add up to 1."""
    told: list[float] = []
    influence(shift_register(1), IDS, np.random.default_rng(0), told.append)
    assert sum(told) == pytest.approx(1)
    told.clear()
    context(shift_register(1), IDS, told.append)
    assert sum(told) == pytest.approx(1)


def test_falls() -> None:
    """An exponential curve falls under 1 % where it does; one that stays has no such distance."""
    lags = np.arange(300)
    assert falls(lags, np.power(0.9, lags.astype(float))) == pytest.approx(
        np.log(0.01) / np.log(0.9)
    )
    assert falls(lags, np.power(0.999, lags.astype(float))) is None
    assert falls(lags[:3], np.array([1.0, 0.5, 0.0])) == pytest.approx(1.006, abs=0.001)
    assert falls(lags[:2], np.array([np.nan, np.nan])) is None


def test_places() -> None:
    """Positions are spread over the text, each with enough tokens before it."""
    assert places(10, 4, 3).tolist() == [4, 6, 9]
    assert places(10, 8, 50).tolist() == [8, 9]


def test_affordable() -> None:
    """A larger network is measured at fewer positions, within limits."""
    small = shift_register(1)
    assert affordable(small, 100) == 1024
    large = random_model(CharTokenizer.train(CORPUS)).engine
    large = replace_outgoing(large, 10**8)
    assert affordable(large, 1000) == 128


def replace_outgoing(engine: Engine, size: int) -> Engine:
    """Return a network that seems to have large matrices."""
    engine = engine.without_ngrams()
    wide: Array = np.broadcast_to(np.float32(0), (size,))
    engine.layers = [layer._replace(outgoing=wide) for layer in engine.layers]
    return engine


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell: str) -> None:
    """Networks of every cell can be measured; recent tokens have an influence."""
    tokenizer = CharTokenizer.train(CORPUS)
    engine = random_model(tokenizer, cell).engine
    ids = tokenizer.known(tokenizer.encode(CORPUS * 3))
    found = influence(engine, ids, np.random.default_rng(0))
    assert found.kl[0] > 0
    assert np.isfinite(found.kl).all()
