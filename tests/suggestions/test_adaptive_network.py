"""The reader of what is typed: its states, and what its output layer learns."""

from unittest.mock import patch

import numpy as np
import pytest

from charrnn.arrays import Array
from charrnn.config import ModelConfig
from charrnn.network.cells import tensor_shapes
from charrnn.network.engine import Engine, log_softmax
from charrnn.suggestions.adaptive_network import AT_ONCE, KEEP, PLACES, ROUND, AdaptiveNetwork

VOCAB = 20
UNKNOWN = VOCAB - 1


@pytest.fixture
def engine() -> Engine:
    config = ModelConfig(VOCAB, "lstm", layers=2, hidden=16, embedding=8)
    rng = np.random.default_rng(0)
    weights = {
        name: (0.6 * rng.normal(size=shape)).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    return Engine(config, weights)


@pytest.fixture
def ids() -> np.ndarray:
    return np.random.default_rng(1).integers(0, UNKNOWN, 300).astype(np.int32)


def next_logp(engine: Engine, state: Array) -> Array:
    logits = engine.logits(state)
    logits[:, UNKNOWN] = -np.inf
    return log_softmax(logits)


ENDS = [*range(1, 100), 300, 295, 40, 300, 0, 5, 70, 31, 32, 33, 64, 20]


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_keeps_to_its_limit(engine: Engine, ids: np.ndarray, rate: float) -> None:
    """A long text costs bounded memory, and going back beyond it still gives the right state."""
    start = engine.zero_state()
    reader = AdaptiveNetwork(engine, start, UNKNOWN, rate, keep=AT_ONCE)
    for end in ENDS:
        state = reader.state(ids[:end])
        np.testing.assert_allclose(state, engine.read(ids[:end], start), atol=1e-5)
        assert len(reader._states) <= 2 * AT_ONCE
        assert len(reader._lessons) <= 3


@pytest.mark.parametrize("keep", [AT_ONCE, KEEP])
def test_what_is_taken_back_is_unlearned(engine: Engine, ids: np.ndarray, keep: int) -> None:
    """However a text came to stand there, what follows it is as likely as if read at once."""
    reader = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01, keep)
    for end in ENDS:
        afresh = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01, keep)
        expected = afresh.next(afresh.state(ids[:end]))
        np.testing.assert_allclose(reader.next(reader.state(ids[:end])), expected, atol=1e-4)
        # Another way it might have gone on, up to a word's end, and back.
        reader.state(np.append(ids[:end], ids[:AT_ONCE]))
        np.testing.assert_allclose(reader.next(reader.state(ids[:end])), expected, atol=1e-4)


def test_learns_as_by_gradient(engine: Engine, ids: np.ndarray) -> None:
    """A lesson is a step down the loss of its tokens, by finite differences."""
    ids = ids[:AT_ONCE]
    start = engine.zero_state()
    states = [engine.read(ids[:i], start) for i in range(AT_ONCE)]
    before = np.concatenate(states, axis=2)

    def loss(of: Engine) -> float:
        return -float(next_logp(of, before)[np.arange(AT_ONCE), ids].sum(dtype=np.float64))

    reader = AdaptiveNetwork(engine, start, UNKNOWN, 1e-3)
    reader.state(ids)
    change = reader.engine._output - engine._output
    for token, unit in [(3, 0), (7, 5), (UNKNOWN, 2)]:
        nudged = engine.with_own_output()
        nudged._output[token, unit] += 1e-2
        gradient = (loss(nudged) - loss(engine)) / 1e-2
        assert change[token, unit] == pytest.approx(-1e-3 * gradient, rel=0.05, abs=2e-5)


def test_learns_what_is_repeated(engine: Engine) -> None:
    """A text that goes on as it began becomes likely; the network that was given stays as it is."""
    phrase = np.arange(8, dtype=np.int32)
    text = np.tile(phrase, 100)
    reader = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
    first = engine.logits(engine.zero_state())
    early = reader.next(reader.state(text[:16]))[0, 0]
    late = reader.next(reader.state(text))[0, 0]
    assert late > early + 0.5
    np.testing.assert_array_equal(engine.logits(engine.zero_state()), first)


def test_unknown_tokens_teach_nothing(engine: Engine) -> None:
    """Characters that the model has never seen leave its output layer alone."""
    reader = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
    reader.state(np.full(100, UNKNOWN, np.int32))
    np.testing.assert_array_equal(reader.engine._output, engine._output)


@pytest.fixture
def many_ids() -> np.ndarray:
    """More tokens than are read one by one, some of them far commoner than others."""
    rng = np.random.default_rng(2)
    return (rng.random(3 * ROUND + KEEP + 100) ** 3 * UNKNOWN).astype(np.int32)


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_a_long_text_is_read_at_several_places(
    engine: Engine, many_ids: np.ndarray, rate: float
) -> None:
    """It teaches as if it had been typed, but for what stands far back."""
    typed, opened = (AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, rate) for _ in range(2))
    for end in range(0, len(many_ids), 100):
        typed.state(many_ids[:end])
    expected = typed.next(typed.state(many_ids))
    found = opened.next(opened.state(many_ids))
    np.testing.assert_allclose(found[:, :UNKNOWN], expected[:, :UNKNOWN], atol=0.01)


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_jumps_read_little_again(engine: Engine, many_ids: np.ndarray, rate: float) -> None:
    """Who goes far back, and forth again, waits for a round at the most, not for the whole text."""
    reader = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, rate)
    ends = (len(many_ids), 2 * ROUND + 50, len(many_ids) - 1, ROUND - 1, ROUND + KEEP)
    first = [reader.next(reader.state(many_ids[:end])).copy() for end in ends]
    for end, expected in zip(ends, first, strict=True):
        with (
            patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step,
            patch.object(AdaptiveNetwork, "_read_round") as read_round,
        ):
            found = reader.next(reader.state(many_ids[:end]))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert step.call_count <= ROUND + KEEP
        read_round.assert_not_called()


@pytest.mark.slow
@pytest.mark.parametrize(("size", "places"), [(1 << 26, PLACES), (4 * VOCAB * 16 * 3, 3), (1, 1)])
def test_places_to_go_back_to_are_few(
    engine: Engine, many_ids: np.ndarray, size: int, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts that have nothing in common do not fill the memory."""
    monkeypatch.setattr("charrnn.suggestions.adaptive_network.PLACES_BYTES", size)
    reader = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
    for shift in range(PLACES):
        reader.state((many_ids + shift) % UNKNOWN)
    assert len(reader._places) == places


def test_reading_ahead(engine: Engine) -> None:
    """A text that was read ahead costs few steps; what was read in vain does no harm."""
    ids = np.random.default_rng(2).integers(0, UNKNOWN, 3 * ROUND).astype(np.int32)
    ahead, afresh = (AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01) for _ in range(2))
    for _ in ahead.read_ahead(ids):
        pass
    with patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step:
        state = ahead.state(ids)
    assert step.call_count <= AT_ONCE
    np.testing.assert_allclose(state, afresh.state(ids), atol=1e-5)
    reading = ahead.read_ahead(np.append(ids[ROUND:], ids))
    next(reading)  # and then something else is asked
    for end in (ROUND + 9, 7):
        afresh = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
        np.testing.assert_allclose(ahead.state(ids[:end]), afresh.state(ids[:end]), atol=1e-5)
