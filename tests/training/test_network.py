"""Dropout in the torch network."""

import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.network.cells import CELLS
from charrnn.training.network import Dropout, Network

TOKENS, STREAMS, HIDDEN = 50, 3, 40


def read(dropout: Dropout) -> Tensor:
    """Return the last layer's outputs, [T, B, H]."""
    generator = torch.Generator().manual_seed(0)
    model = ModelConfig(9, hidden=HIDDEN, embedding=HIDDEN)
    network = Network(model, generator, dropout)
    ids = torch.randint(9, (TOKENS, STREAMS), generator=generator)
    with torch.no_grad():
        return network.read(ids, network.zero_state(STREAMS))[0]


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_variational(share: float) -> None:
    """A variational mask is the same for all tokens of a window and differs between streams."""
    zero = read(Dropout(share, variational=True)) == 0
    assert torch.equal(zero, zero[:1].expand_as(zero))
    assert not torch.equal(zero[0, 0], zero[0, 1])
    each = read(Dropout(share)) == 0
    assert not torch.equal(each, each[:1].expand_as(each))
    for masks in (zero[0], each):
        assert masks.float().mean().item() == pytest.approx(share, abs=0.1)


def test_inputs() -> None:
    """Dropout on the inputs zeroes no output, but changes all of them."""
    outputs = read(Dropout(inputs=0.5, variational=True))
    assert not (outputs == 0).any()
    assert not torch.allclose(outputs, read(Dropout()))


def test_tokens() -> None:
    """Embedding dropout drops a token everywhere in a window."""
    generator = torch.Generator().manual_seed(0)
    model = ModelConfig(500, hidden=HIDDEN, embedding=HIDDEN)
    network = Network(model, generator, Dropout(tokens=0.3))
    vectors = network.get_parameter("embedding.weight")
    ids = torch.arange(500).repeat(2)[:, None]
    network.read(ids, network.zero_state(1))[0].square().sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    dropped = vectors.grad == 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped[:, 0].float().mean().item() == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("cell", CELLS)
def test_weights(cell: str) -> None:
    """Weight drop zeroes a share of the recurrent weights and gradients, but not in eval mode."""
    generator = torch.Generator().manual_seed(0)
    model = ModelConfig(9, cell, hidden=HIDDEN, embedding=HIDDEN)
    network, plain = (Network(model, generator, Dropout(recurrent=share)) for share in (0.3, 0.0))
    plain.load(network.parameters_by_name())
    ids = torch.randint(9, (TOKENS, STREAMS), generator=generator)
    state = network.zero_state(STREAMS)
    network.read(ids, state)[0].square().sum().backward()  # type: ignore[no-untyped-call]
    gradient = network.get_parameter("layers.0.weight_hh_l0").grad
    assert gradient is not None
    assert (gradient == 0).float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert not torch.allclose(network.read(ids, state)[0], plain.read(ids, state)[0])
    network.eval()
    assert torch.equal(network.read(ids, state)[0], plain.read(ids, state)[0])
