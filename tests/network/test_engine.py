"""The NumPy engine against torch's own layers."""

import tracemalloc

import numpy as np
import pytest
import torch

from charrnn.config import ModelConfig
from charrnn.model import Model
from charrnn.network.cells import CELLS
from charrnn.network.engine import SINGLE_ROWS, Engine, State, Streams, log_softmax
from charrnn.training.network import Network
from tests.models import with_ngrams

STEPS = {"char": 1000, "word": 200}
# Vocabularies on both sides of the size up to which the engine tabulates the first layer.
VOCABULARIES = {"char": 66, "word": 5000}


def pair(config: ModelConfig) -> tuple[Network, Engine]:
    """A torch network, its biases random too, and the engine of its weights."""
    network = Network(config, torch.Generator().manual_seed(1)).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in network.parameters_by_name().items():
            if name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
            if config.cell == "rnn-relu" and name.endswith("recurrent"):
                parameter.mul_(0.5)  # as training would: an unbounded unit must forget
    weights = {
        name: parameter.detach().numpy() for name, parameter in network.parameters_by_name().items()
    }
    return network, Engine(config, weights)


def random_state(rng: np.random.Generator, engine: Engine, batch: int) -> State:
    """Return the state of some streams, sampled."""
    fresh = engine.zero_state(batch)
    return State(rng.normal(size=fresh.hidden.shape).astype(np.float32), fresh.contexts)


@pytest.mark.slow
@pytest.mark.parametrize("level", VOCABULARIES)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_equals_torch(cell: str, layers: int, level: str) -> None:
    """Every cell and depth gives torch's logits within 1e-4, all along random steps."""
    steps = STEPS[level]
    config = ModelConfig(VOCABULARIES[level], cell, layers, hidden=48, embedding=24)
    network, engine = pair(config)
    batch = 3
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (steps, batch))
    with torch.no_grad():
        expected, _ = network(torch.from_numpy(ids), network.zero_state(batch))
    state = engine.zero_state(batch)
    streams = Streams(engine, state)
    found = np.empty((2, *expected.shape), np.float32)
    for t in range(steps):
        state = engine.step(ids[t], state)
        streams.step(ids[t])
        found[:, t] = engine.logits(state), engine.logits(streams.state)
    for logits in found:
        np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4, rtol=0)


def test_tied_equals_torch() -> None:
    """Where the output layer's matrix is that of the tokens' vectors, both use that one."""
    config = ModelConfig(50, hidden=24, embedding=24, tied=True)
    network, engine = pair(config)
    assert "output" not in network.parameters_by_name()
    ids = np.random.default_rng(0).integers(0, 50, (20, 1))
    with torch.no_grad():
        expected, _ = network(torch.from_numpy(ids), network.zero_state(1))
    state = engine.read(ids[:, 0], engine.zero_state())
    np.testing.assert_allclose(engine.logits(state), expected[-1].numpy(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_read_equals_steps(cell: str) -> None:
    """Reading a text at once leaves the state that reading it token by token leaves."""
    config = ModelConfig(50, cell, layers=2, hidden=32, embedding=16)
    _, engine = pair(config)
    ids = np.random.default_rng(0).integers(0, 50, 2500)
    state = engine.zero_state()
    for token in ids:
        state = engine.step(np.array([token]), state)
    after = engine.read(ids, engine.zero_state())
    np.testing.assert_allclose(after.hidden, state.hidden, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, SINGLE_ROWS, 20])
@pytest.mark.parametrize("cell", CELLS)
def test_read_all_equals_read(cell: str, count: int) -> None:
    """Reading texts of any lengths in parallel leaves each in the state that it has alone."""
    _, engine = pair(ModelConfig(50, cell, layers=2, hidden=32, embedding=16))
    rng = np.random.default_rng(0)
    start = random_state(rng, engine, 1)
    texts = [rng.integers(0, 50, rng.integers(0, 30)) for _ in range(count)]
    states = engine.read_all(texts, start)
    assert len(states.contexts) == count
    for row, ids in enumerate(texts):
        expected = engine.read(ids, start)
        np.testing.assert_allclose(states.take([row]).hidden, expected.hidden, atol=1e-5)


@pytest.mark.parametrize("batch", [2, SINGLE_ROWS, SINGLE_ROWS + 1, 64])
@pytest.mark.parametrize("cell", CELLS)
def test_streams_are_independent(cell: str, batch: int) -> None:
    """What one stream reads changes nothing in another; a few give the same bits as one alone."""
    _, engine = pair(ModelConfig(50, cell, layers=2, hidden=72, embedding=16))
    rng = np.random.default_rng(0)
    state = random_state(rng, engine, batch)
    ids = rng.integers(0, 50, batch)
    together, logits, running = (
        engine.step(ids, state),
        engine.logits(state),
        Streams(engine, state),
    )
    running.step(ids)
    tolerance = 0 if batch <= SINGLE_ROWS else 1e-5
    for i in range(batch):
        alone = state.take([i])
        one = Streams(engine, alone)
        one.step(ids[i : i + 1])
        for found, expected in (
            (together.take([i]).hidden, engine.step(ids[i : i + 1], alone).hidden),
            (running.state.take([i]).hidden, one.state.hidden),
            (logits[i : i + 1], engine.logits(alone)),
        ):
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_mixed_with_ngrams(batch: int, char_model: Model) -> None:
    """However tokens are read, a logit is the sum of the network's and the n-grams', weighed."""
    mixed = with_ngrams(char_model, 4, (0.6, 0.5)).engine
    alone = char_model.engine
    assert mixed.ngrams
    ids_tb = np.random.default_rng(0).integers(0, alone.config.vocab_size, (9, batch))
    state, plain = mixed.zero_state(batch), alone.zero_state(batch)
    streams = Streams(mixed, state)
    contexts = mixed.ngrams.start(batch)
    for ids in ids_tb:
        state, plain = mixed.step(ids, state), alone.step(ids, plain)
        streams.step(ids)
        contexts = mixed.ngrams.step(ids, contexts)
        expected = 0.6 * alone.logits(plain) + 0.5 * mixed.ngrams.logp(contexts)
        for found in (state, streams.state):
            np.testing.assert_allclose(mixed.logits(found), expected, atol=1e-4)
    read = [mixed.read(ids, mixed.zero_state()) for ids in ids_tb.T]
    np.testing.assert_allclose(mixed.logits(State.join(read)), expected, atol=1e-4)
    streams.put([0], read[-1])
    np.testing.assert_allclose(mixed.logits(streams.state)[0], expected[-1], atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_put(cell: str) -> None:
    """A stream goes on from the state that is put into it, the others from their own."""
    _, engine = pair(ModelConfig(50, cell, layers=2, hidden=24, embedding=16))
    rng = np.random.default_rng(0)
    first, other = (random_state(rng, engine, 3) for _ in range(2))
    streams = Streams(engine, first)
    streams.put([1], other.take([2]))
    expected = first.copy()
    expected.replace([1], other.take([2]))
    for ids in rng.integers(0, 50, (3, 3)):
        streams.step(ids)
        expected = engine.step(ids, expected)
        np.testing.assert_allclose(streams.state.hidden, expected.hidden, atol=1e-5)


def test_step_changes_nothing_it_was_given() -> None:
    """A state can be used again: steps leave the one they were given alone."""
    _, engine = pair(ModelConfig(50, hidden=32, embedding=16))
    state = engine.zero_state()
    state.hidden[:] = 1
    engine.step(np.array([1]), state)
    engine.read(np.array([1]), state)
    Streams(engine, state).step(np.array([1]))
    assert (state.hidden == 1).all()


def test_log_softmax() -> None:
    """Probabilities sum to 1, however large or forbidden the logits."""
    logits = np.array([[1e4, 1e4, -np.inf], [-1e4, 0, 3]], np.float32)
    probabilities = np.exp(log_softmax(logits))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[0], [0.5, 0.5, 0])


@pytest.mark.parametrize("batch", [1, SINGLE_ROWS, 12])
def test_copies_no_matrix(batch: int) -> None:
    """A step needs room for states alone: a matrix copied at each would take most of the time."""
    config = ModelConfig(50, layers=2, hidden=256, embedding=16)
    _, engine = pair(config)
    state, ids = engine.zero_state(batch), np.zeros(batch, int)
    engine.logits(state)  # what is made once
    tracemalloc.start()
    engine.step(ids, state)
    engine.read(ids, state.take([0]))
    Streams(engine, state).step(ids)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < engine.layers[0].recurrent.nbytes / 2
