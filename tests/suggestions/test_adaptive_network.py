"""The adaptive network: its states, and the updates of its output layer."""

from unittest.mock import patch

import numpy as np
import pytest

from charrnn.arrays import Array
from charrnn.config import ModelConfig
from charrnn.network.cells import tensor_shapes
from charrnn.network.engine import Engine, State, log_softmax
from charrnn.suggestions.adaptive_network import (
    KEEP,
    LESSON_TOKENS,
    MAX_CHECKPOINTS,
    ROUND,
    AdaptiveNetwork,
)

VOCAB = 20
UNKNOWN = VOCAB - 1


@pytest.fixture
def engine() -> Engine:
    """Return a network with random weights."""
    config = ModelConfig(VOCAB, "lstm", layers=2, hidden=16, embedding=8)
    rng = np.random.default_rng(0)
    weights = {
        name: (0.6 * rng.normal(size=shape)).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    return Engine(config, weights)


@pytest.fixture
def ids() -> np.ndarray:
    """Return 300 random token ids."""
    return np.random.default_rng(1).integers(0, UNKNOWN, 300).astype(np.int32)


def next_logp(engine: Engine, state: State) -> Array:
    """Return the log-probabilities of the next token, computed directly."""
    logits = engine.logits(state)
    logits[:, UNKNOWN] = -np.inf
    return log_softmax(logits)


ENDS = [*range(1, 100), 300, 295, 40, 300, 0, 5, 70, 31, 32, 33, 64, 20]


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_keeps_to_its_limit(engine: Engine, ids: np.ndarray, rate: float) -> None:
    """A long text needs bounded memory, and going back beyond it still gives the right state."""
    start = engine.zero_state()
    network = AdaptiveNetwork(engine, start, UNKNOWN, rate, keep=LESSON_TOKENS)
    for end in ENDS:
        state = network.state(ids[:end])
        np.testing.assert_allclose(state.hidden, engine.read(ids[:end], start).hidden, atol=1e-5)
        assert len(network._states) <= 2 * LESSON_TOKENS
        assert len(network._lessons) <= 3


@pytest.mark.parametrize("keep", [LESSON_TOKENS, KEEP])
def test_deleting_undoes_updates(engine: Engine, ids: np.ndarray, keep: int) -> None:
    """Predictions depend on the text alone, not on the edits that led to it."""
    network = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01, keep)
    for end in ENDS:
        afresh = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01, keep)
        expected = afresh.next(afresh.state(ids[:end]))
        np.testing.assert_allclose(network.next(network.state(ids[:end])), expected, atol=1e-4)
        # Another continuation, and back.
        network.state(np.append(ids[:end], ids[:LESSON_TOKENS]))
        np.testing.assert_allclose(network.next(network.state(ids[:end])), expected, atol=1e-4)


def test_learns_as_by_gradient(engine: Engine, ids: np.ndarray) -> None:
    """An update is a gradient step on the loss of its tokens, by finite differences."""
    ids = ids[:LESSON_TOKENS]
    start = engine.zero_state()
    states = [engine.read(ids[:i], start) for i in range(LESSON_TOKENS)]
    before = State.join(states)

    def loss(of: Engine) -> float:
        return -float(next_logp(of, before)[np.arange(LESSON_TOKENS), ids].sum(dtype=np.float64))

    network = AdaptiveNetwork(engine, start, UNKNOWN, 1e-3)
    network.state(ids)
    change = network.engine._output - engine._output
    for token, unit in [(3, 0), (7, 5), (UNKNOWN, 2)]:
        nudged = engine.with_own_output()
        nudged._output[token, unit] += 1e-2
        gradient = (loss(nudged) - loss(engine)) / 1e-2
        assert change[token, unit] == pytest.approx(-1e-3 * gradient, rel=0.05, abs=2e-5)


def test_adapts_to_repetition(engine: Engine) -> None:
    """A repeated phrase becomes likely; the network passed in is not changed."""
    phrase = np.arange(8, dtype=np.int32)
    text = np.tile(phrase, 100)
    network = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
    first = engine.logits(engine.zero_state())
    early = network.next(network.state(text[:16]))[0, 0]
    late = network.next(network.state(text))[0, 0]
    assert late > early + 0.5
    np.testing.assert_array_equal(engine.logits(engine.zero_state()), first)


def test_unknown_tokens_cause_no_update(engine: Engine) -> None:
    """Characters outside the vocabulary do not change the output layer."""
    network = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
    network.state(np.full(100, UNKNOWN, np.int32))
    np.testing.assert_array_equal(network.engine._output, engine._output)


@pytest.fixture
def many_ids() -> np.ndarray:
    """Return enough tokens for parallel streams, some far more frequent than others."""
    rng = np.random.default_rng(2)
    return (rng.random(3 * ROUND + KEEP + 100) ** 3 * UNKNOWN).astype(np.int32)


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_a_long_text_is_read_as_parallel_streams(
    engine: Engine, many_ids: np.ndarray, rate: float
) -> None:
    """Opening a text has the effect of typing it, up to what is far back."""
    typed, opened = (AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, rate) for _ in range(2))
    for end in range(0, len(many_ids), 100):
        typed.state(many_ids[:end])
    expected = typed.next(typed.state(many_ids))
    found = opened.next(opened.state(many_ids))
    np.testing.assert_allclose(found[:, :UNKNOWN], expected[:, :UNKNOWN], atol=0.01)


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_jumps_read_little_again(engine: Engine, many_ids: np.ndarray, rate: float) -> None:
    """Jumping back and forth rereads at most one round, not the whole text."""
    network = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, rate)
    ends = (len(many_ids), 2 * ROUND + 50, len(many_ids) - 1, ROUND - 1, ROUND + KEEP)
    first = [network.next(network.state(many_ids[:end])).copy() for end in ends]
    for end, expected in zip(ends, first, strict=True):
        with (
            patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step,
            patch.object(AdaptiveNetwork, "_read_round") as read_round,
        ):
            found = network.next(network.state(many_ids[:end]))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert step.call_count <= ROUND + KEEP
        read_round.assert_not_called()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "count"), [(1 << 26, MAX_CHECKPOINTS), (4 * VOCAB * 16 * 3, 3), (1, 1)]
)
def test_checkpoints_are_few(
    engine: Engine, many_ids: np.ndarray, size: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading unrelated texts needs bounded memory."""
    monkeypatch.setattr("charrnn.suggestions.adaptive_network.CHECKPOINT_BYTES", size)
    network = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
    for shift in range(MAX_CHECKPOINTS):
        network.state((many_ids + shift) % UNKNOWN)
    assert len(network._checkpoints) == count


def test_reading_ahead(engine: Engine) -> None:
    """After reading ahead few steps are left; reading ahead in vain does no harm."""
    ids = np.random.default_rng(2).integers(0, UNKNOWN, 3 * ROUND).astype(np.int32)
    ahead, afresh = (AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01) for _ in range(2))
    for _ in ahead.read_ahead(ids):
        pass
    with patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step:
        state = ahead.state(ids)
    assert step.call_count <= LESSON_TOKENS
    np.testing.assert_allclose(state.hidden, afresh.state(ids).hidden, atol=1e-5)
    reading = ahead.read_ahead(np.append(ids[ROUND:], ids))
    next(reading)  # then another text is asked about
    for end in (ROUND + 9, 7):
        afresh = AdaptiveNetwork(engine, engine.zero_state(), UNKNOWN, 0.01)
        found, expected = ahead.state(ids[:end]), afresh.state(ids[:end])
        np.testing.assert_allclose(found.hidden, expected.hidden, atol=1e-5)
