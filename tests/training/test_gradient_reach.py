"""How far the gradient reaches back."""

import numpy as np
import pytest
import torch

from charrnn.arrays import Array
from charrnn.config import ModelConfig
from charrnn.network.cells import CELLS, tensor_shapes
from charrnn.network.model_file import ModelFile, Trained
from charrnn.tokenizer import CharTokenizer
from charrnn.training.gradient_reach import _lstm, _norms, gradient_reach
from charrnn.training.network import Network
from tests.models import CORPUS, random_model

TOKENIZER = CharTokenizer.train("abc")
IDS = np.random.default_rng(0).integers(3, size=400).astype(np.int32)


def linear(factor: float) -> ModelFile:
    """A network of one layer whose units are all active, so that it is a linear recurrence."""
    config = ModelConfig(TOKENIZER.vocab_size, "rnn-relu", 1, 6, 4)
    rng = np.random.default_rng(0)
    weights: dict[str, Array] = {
        name: np.abs(rng.standard_normal(shape)).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    weights["layers.0.recurrent"] = factor * np.eye(6, dtype=np.float32)
    return ModelFile(config, TOKENIZER, weights, Trained("text", ""))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.02])
def test_linear_recurrence(factor: float) -> None:
    """The gradient of a linear recurrence vanishes, stays or explodes by its factor."""
    (found,) = gradient_reach(linear(factor), IDS)
    assert (found.layer, found.state) == (1, "hidden")
    expected = factor ** np.arange(len(found.norms))
    seen = expected > 1e-30  # float32 holds no smaller gradient
    np.testing.assert_allclose(found.norms[seen], expected[seen], rtol=1e-3)


def test_open_forget_gates() -> None:
    """With open forget gates and no recurrent weights, an LSTM remembers by its cell alone."""
    config = ModelConfig(TOKENIZER.vocab_size, "lstm", 1, 6, 4)
    rng = np.random.default_rng(0)
    weights: dict[str, Array] = {
        name: (0.1 * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    weights["layers.0.recurrent"][:] = 0
    weights["layers.0.input_bias"][6:12] = 20
    cell, hidden = gradient_reach(ModelFile(config, TOKENIZER, weights, Trained("text", "")), IDS)
    assert (cell.state, hidden.state) == ("cell", "hidden")
    np.testing.assert_allclose(cell.norms, 1, rtol=1e-3)
    assert hidden.norms[0] == 1
    assert not hidden.norms[1:].any()


@pytest.mark.parametrize("cell", CELLS)
def test_numerical_gradient(cell: str) -> None:
    """The gradient is that of the loss when a hidden state is changed, as finite differences are.

    The state is changed after the layer's output was read, so this is the last layer's.
    """
    model = random_model(CharTokenizer.train(CORPUS), cell).file
    network = Network(model.config, torch.Generator())
    network.load({name: torch.from_numpy(w.copy()) for name, w in model.weights.items()})
    network.double()
    last, back = model.config.layers - 1, 2
    ids = torch.from_numpy(IDS[:9])[:, None].long()

    def loss(unit: int, change: float) -> float:
        with torch.no_grad():
            _, before = network.read(ids[: -1 - back], network.zero_state(1))
            before[last][0, 0, unit] += change
            logits, _ = network(ids[-1 - back : -1], before)
            return float(torch.nn.functional.cross_entropy(logits[-1], ids[-1]))

    units = range(model.config.hidden)
    gradient = [(loss(unit, 1e-6) - loss(unit, -1e-6)) / 2e-6 for unit in units]
    found = _norms(network, ids, 4)[last + 1, "hidden"][back]
    assert found == pytest.approx(np.linalg.norm(gradient), rel=1e-4)


def test_lstm_step() -> None:
    """The step that is differentiated is torch's."""
    layer = torch.nn.LSTM(3, 5)
    x, hidden, cell = torch.randn(1, 2, 3), torch.randn(1, 2, 5), torch.randn(1, 2, 5)
    output, (_, after) = layer(x, (hidden, cell))
    found = _lstm(layer, x, hidden, cell)
    torch.testing.assert_close(found, (output, after))


def test_short_text() -> None:
    """A short text limits the distance; the shares of the work told add up to 1."""
    told: list[float] = []
    (found,) = gradient_reach(linear(0.9), IDS[:300], told.append)
    assert len(found.norms) == 151
    assert sum(told) == pytest.approx(1)
