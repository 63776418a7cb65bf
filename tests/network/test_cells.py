"""The table of cells agrees with what else knows their names."""

from typing import get_args

import torch

from charrnn.config import CellName
from charrnn.network.cells import CELLS


def test_names() -> None:
    """The command line, configurations and the table have the same cells."""
    assert get_args(CellName) == tuple(CELLS)


def test_torch_layers() -> None:
    """Each row names a layer of torch, whose weights have as many gates as the row says."""
    for cell in CELLS.values():
        layer = getattr(torch.nn, cell.torch)(3, 5, **cell.torch_options)
        assert layer.weight_hh_l0.shape == (cell.gates * 5, 5)
