"""Held-out losses have standard errors, by which they are compared."""

import math

import pytest
import torch

from charrnn.config import ModelConfig
from charrnn.training.network import Network
from charrnn.training.validation import FEW, Losses, evaluate


def noise(count: int, seed: int = 0) -> torch.Tensor:
    """Return standard normal noise."""
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


class TestLosses:
    """Losses of blocks."""

    def test_error(self) -> None:
        """The standard error of N independent losses is their deviation over the root of N."""
        losses = Losses.of(2 + noise(64_000))
        assert losses.mean == pytest.approx(2, abs=0.02)
        assert losses.error == pytest.approx(1 / math.sqrt(64_000), rel=0.3)

    def test_neighbours(self) -> None:
        """Correlated neighbours count for less than as many independent tokens."""
        assert Losses.of(noise(640).repeat_interleave(100)).error == pytest.approx(
            1 / math.sqrt(640), rel=0.3
        )

    def test_compare(self) -> None:
        """A difference counts if it exceeds its own error, however uncertain both means are."""
        here = 2 + 5 * noise(6400)
        losses = Losses.of(here)
        assert losses.compare(losses) == 0
        assert losses.error > 0.05
        assert Losses.of(here - 0.05).compare(losses) == -1
        assert Losses.of(here + 0.05).compare(losses) == 1
        other = Losses.of(here + noise(6400, 1) - noise(6400, 1).mean() + 0.001)
        assert other.compare(losses) == 0

    def test_not_finite(self) -> None:
        """Losses that are not finite are worse than all others."""
        assert Losses.of(torch.full((640,), math.nan)).compare(Losses.of(noise(640))) == 1

    @pytest.mark.parametrize("count", [1, 20, 16 * FEW - 1])
    def test_few(self, count: int) -> None:
        """With few tokens no difference counts; a single block has no error."""
        losses = Losses.of(noise(count).abs())
        assert losses.few
        assert Losses.of(noise(count).abs() + 9).compare(losses) == 0
        assert math.isnan(losses.error) == (count < 32)


@pytest.mark.slow
def test_how_sure_a_score_is() -> None:
    """The standard error predicts how far a score of few tokens is from that of the whole text."""
    network = Network(ModelConfig(2, hidden=4, embedding=2), torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.output.bias.copy_(torch.tensor([3.0, 0.0]))
    off = []
    for seed in range(20):
        changes = noise(400, seed) > 0.5
        ids = changes.repeat_interleave(500).to(torch.uint8)
        whole, some = evaluate(network, ids[:1], ids), evaluate(network, ids[:1], ids, 1024)
        off.append((some.mean - whole.mean) / some.error)
    assert 0.5 < math.sqrt(sum(x * x for x in off) / len(off)) < 2
