"""Gates, units and spectral radii."""

import numpy as np
import pytest

from charrnn.arrays import Array
from charrnn.config import ModelConfig
from charrnn.insight.gates import gates, spectral_radius
from charrnn.network.cells import CELLS, tensor_shapes
from charrnn.network.engine import Engine
from charrnn.tokenizer import CharTokenizer
from tests.models import CORPUS, random_model

IDS = np.arange(500, dtype=np.int32) % 4


def zeros(cell: str, hidden: int = 4) -> tuple[ModelConfig, dict[str, Array]]:
    config = ModelConfig(4, cell, 1, hidden, 3)
    shapes = tensor_shapes(config)
    return config, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def test_spectral_radius() -> None:
    """It is the largest size of an eigenvalue, of matrices of any kind."""
    rng = np.random.default_rng(0)
    for matrix in (rng.standard_normal((20, 20)), np.diag([0.5, -3.0]), 1e-9 * np.eye(3)):
        expected = np.abs(np.linalg.eigvals(matrix)).max()
        assert spectral_radius(matrix) == pytest.approx(expected, rel=1e-4)
    assert spectral_radius(np.array([[0, -2.0], [2.0, 0]])) == pytest.approx(2)
    assert spectral_radius(np.array([[0, 1.0], [0, 0]])) == 0  # nilpotent
    assert spectral_radius(np.array([[1, 5.0], [0, 1]])) == pytest.approx(1, rel=1e-4)


def test_known_gates() -> None:
    """A gate that its bias opens, closes or leaves in between is counted so."""
    config, weights = zeros("lstm")
    size = config.hidden
    weights["layers.0.input_bias"][:size] = 5  # input: open
    weights["layers.0.recurrent_bias"][size : 2 * size] = -5  # forget: closed
    weights["layers.0.recurrent"][size : 2 * size] = 0
    found, units = gates(Engine(config, weights), weights, IDS)
    by_name = {gate.name: gate for gate in found}
    assert [*by_name] == ["input", "forget", "cell", "output"]
    assert by_name["input"].open == pytest.approx(1)
    assert by_name["input"].closed == 0
    assert by_name["forget"].open == 0
    assert by_name["forget"].closed == pytest.approx(1)
    assert by_name["output"].mean == pytest.approx(0.5)
    assert by_name["output"].shares is not None
    assert by_name["output"].shares[10] == pytest.approx(1)
    assert by_name["cell"].mean is None
    assert units[0].saturated == 0
    assert units[0].dead is None


def test_dead_units() -> None:
    """A ReLU unit that no token activates is dead; the others are not."""
    config, weights = zeros("rnn-relu")
    weights["layers.0.input_bias"][:] = [1, -1, -1, 0]
    (found,), (units,) = gates(Engine(config, weights), weights, IDS)
    assert found.name == "recurrent"
    assert found.radius == 0
    assert units.dead == 0.75
    assert units.saturated is None


def test_saturated_units() -> None:
    """A tanh unit near its limit is saturated."""
    config, weights = zeros("rnn")
    weights["layers.0.input_bias"][:] = [9, -9, 0, 0.1]
    _, (units,) = gates(Engine(config, weights), weights, IDS)
    assert units.saturated == pytest.approx(0.5)


@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if cell.logistic])
def test_seen_gates_are_the_engines(cell: str) -> None:
    """Logistic gates seen in a step are the logistic function of what the formula says."""
    model = random_model(CharTokenizer.train(CORPUS), cell)
    engine, weights = model.engine, model.file.weights
    state = engine.step(np.array([3, 5]), engine.zero_state(2))
    for _ in range(3):
        seen: list[Array] = []
        after = engine.step(np.array([1, 2]), state, gates_seen=seen)
        x = weights["embedding"][[1, 2]]
        for i, activations in enumerate(seen):
            name = f"layers.{i}."
            total = x @ weights[name + "input"].T + weights[name + "input_bias"]
            total += state.hidden[i, 0] @ weights[name + "recurrent"].T
            total += weights[name + "recurrent_bias"]
            expected = np.split(1 / (1 + np.exp(-total)), engine.cell.gates, axis=1)
            found = np.split(activations, engine.cell.gates, axis=1)
            for gate in engine.cell.logistic:
                np.testing.assert_allclose(found[gate], expected[gate], atol=1e-5)
            x = after.hidden[i, 0]
        assert np.array_equal(after.hidden, engine.step(np.array([1, 2]), state).hidden)
        state = after


def test_gate_names() -> None:
    """Every block of a layer's weights has a name of its own."""
    for cell in CELLS.values():
        assert len({*cell.gate_names}) == cell.gates
        assert max(cell.logistic, default=0) < cell.gates
