"""Dropout in the network that is trained."""

import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.training.network import Network

TOKENS, STREAMS, HIDDEN = 50, 3, 40


def read(dropout: float, input_dropout: float, variational: bool) -> Tensor:
    """The last layer's outputs, [T, B, H]."""
    generator = torch.Generator().manual_seed(0)
    model = ModelConfig(9, hidden=HIDDEN, embedding=HIDDEN)
    network = Network(model, generator, dropout, input_dropout, variational)
    ids = torch.randint(9, (TOKENS, STREAMS), generator=generator)
    with torch.no_grad():
        return network.read(ids, network.zero_state(STREAMS))[0]


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_variational(share: float) -> None:
    """A variational mask is one for all tokens of a window, and another for each stream."""
    zero = read(share, 0.0, True) == 0
    assert torch.equal(zero, zero[:1].expand_as(zero))
    assert not torch.equal(zero[0, 0], zero[0, 1])
    each = read(share, 0.0, False) == 0
    assert not torch.equal(each, each[:1].expand_as(each))
    for masks in (zero[0], each):
        assert masks.float().mean().item() == pytest.approx(share, abs=0.1)


def test_inputs() -> None:
    """Dropout on the tokens' vectors zeroes no output, but changes it."""
    outputs = read(0.0, 0.5, True)
    assert not (outputs == 0).any()
    assert not torch.allclose(outputs, read(0.0, 0.0, True))
