"""Fitting the weights of the network and of the n-grams."""

import torch
import torch.nn.functional as F

from charrnn.training.mixing import MixFit

GENERATOR = torch.Generator().manual_seed(0)
NETWORK, NGRAMS = torch.randn(2, 300, 12, generator=GENERATOR)
TARGETS = torch.multinomial(
    torch.softmax(1.3 * NETWORK + 0.4 * NGRAMS, dim=1), 1, generator=GENERATOR
)[:, 0]


def loss(mix: torch.Tensor) -> float:
    return F.cross_entropy(mix[0] * NETWORK + mix[1] * NGRAMS, TARGETS).item()


def fitted(mix: torch.Tensor, targets: torch.Tensor = TARGETS) -> torch.Tensor:
    fit = MixFit()
    for rows in (slice(0, 70), slice(70, 75), slice(75, 300)):  # in windows, as validations do
        some = NETWORK[rows], NGRAMS[rows]
        fit.add(*some, mix[0] * some[0] + mix[1] * some[1], targets[rows])
    return fit.step(mix)


def test_finds_the_best_weights() -> None:
    """A few steps reach weights that no other ones improve."""
    mix = torch.tensor([0.5, 0.5])
    for _ in range(6):
        mix = fitted(mix)
    for other in torch.randn(20, 2, generator=GENERATOR) * 0.1:
        assert loss(mix) <= loss(mix + other) + 1e-6


def test_one_step_gains() -> None:
    """Each step lowers the loss from where validations begin."""
    mix = torch.tensor([0.5, 0.5])
    assert loss(fitted(mix)) < loss(mix)


def test_ignored_targets() -> None:
    """Tokens that do not count change nothing; without any the weights stay."""
    mix = torch.tensor([0.5, 0.5])
    assert torch.equal(fitted(mix, torch.full_like(TARGETS, -100)), mix)


def test_bounds() -> None:
    """No weight is negative, or grows without bound where both models agree."""
    fit = MixFit()
    same = torch.eye(4)
    fit.add(same, same, same, torch.arange(4))
    assert (fit.step(torch.tensor([0.5, 0.5])) >= 0).all()
    assert torch.isfinite(fit.step(torch.tensor([0.5, 0.5]))).all()
