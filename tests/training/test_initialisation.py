"""How the recurrent layers' matrices begin."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from charrnn.config import InitName, ModelConfig
from charrnn.network.cells import CELLS
from charrnn.training.initialisation import INITIALISATIONS
from charrnn.training.network import NO_DROPOUT, Network

HIDDEN = 128


def blocks(init: str, cell: str = "gru", scale: float = 1.0) -> dict[str, Tensor]:
    """Return the gates' blocks of the first layer's matrices, [gates, H, H]."""
    config = ModelConfig(9, cell, hidden=HIDDEN, embedding=HIDDEN)
    network = Network(config, torch.Generator().manual_seed(0), NO_DROPOUT, init, scale)
    weights = network.parameters_by_name()
    names = ("input", "recurrent")
    return {n: weights[f"layers.0.{n}"].detach().view(-1, HIDDEN, HIDDEN) for n in names}


def test_names() -> None:
    """Every row is a value of --init, and every cell's own initialisation is a row."""
    assert get_args(InitName) == ("auto", *INITIALISATIONS)
    assert all(cell.init in INITIALISATIONS for cell in CELLS.values())


def test_orthogonal() -> None:
    """All singular values are 1."""
    for matrix in blocks("orthogonal").values():
        eye = torch.eye(HIDDEN).expand_as(matrix)
        torch.testing.assert_close(matrix @ matrix.mT, eye, atol=1e-4, rtol=0)


def test_identity() -> None:
    """Each recurrent block is the identity; the input matrix is not."""
    found, eye = blocks("identity"), torch.eye(HIDDEN)
    assert all(torch.equal(block, eye) for block in found["recurrent"])
    assert not any(torch.equal(block, eye) for block in found["input"])


@pytest.mark.parametrize(("init", "deviation"), [("uniform", 3**-0.5), ("normal", 1.0)])
def test_random(init: str, deviation: float) -> None:
    """Values have mean 0 and the variance that the number of units asks for."""
    for matrix in blocks(init).values():
        assert abs(matrix.mean()) < 0.005
        assert float(matrix.std()) == pytest.approx(deviation / math.sqrt(HIDDEN), rel=0.05)
        assert init == "normal" or matrix.abs().max() <= HIDDEN**-0.5


def test_scale() -> None:
    """The scale multiplies the recurrent matrices alone."""
    plain, scaled = blocks("normal"), blocks("normal", scale=2.0)
    assert torch.equal(plain["input"], scaled["input"])
    assert torch.equal(2 * plain["recurrent"], scaled["recurrent"])


@pytest.mark.parametrize("cell", CELLS)
def test_auto(cell: str) -> None:
    """By default a cell begins as its own initialisation says."""
    own = blocks(CELLS[cell].init, cell)
    assert torch.equal(blocks("auto", cell)["recurrent"], own["recurrent"])
