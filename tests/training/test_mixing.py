"""Fitting the weights of the network and of the n-grams."""

import torch
import torch.nn.functional as F

from charrnn.training.mixing import MixFit

GENERATOR = torch.Generator().manual_seed(0)
NETWORK, NGRAMS = torch.randn(2, 300, 12, generator=GENERATOR)
TARGETS = torch.multinomial(
    torch.softmax(1.3 * NETWORK + 0.4 * NGRAMS, dim=1), 1, generator=GENERATOR
)[:, 0]


LENGTHS = torch.arange(300) % 3
BEGIN = torch.full((3, 2), 0.5)


def loss(mix: torch.Tensor) -> float:
    weights = mix[LENGTHS]
    return F.cross_entropy(weights[:, :1] * NETWORK + weights[:, 1:] * NGRAMS, TARGETS).item()


def fitted(mix: torch.Tensor, targets: torch.Tensor = TARGETS) -> torch.Tensor:
    fit = MixFit(3)
    for rows in (slice(0, 70), slice(70, 75), slice(75, 300)):  # in windows, as validations do
        some, weights = (NETWORK[rows], NGRAMS[rows]), mix[LENGTHS[rows]]
        mixed = weights[:, :1] * some[0] + weights[:, 1:] * some[1]
        fit.add(*some, mixed, LENGTHS[rows], targets[rows])
    return fit.step(mix)


def test_finds_the_best_weights() -> None:
    """A few steps reach shared weights that no other ones improve."""
    mix = BEGIN
    for _ in range(6):
        mix = fitted(mix)
    for other in torch.randn(20, 1, 2, generator=GENERATOR) * 0.1:
        assert loss(mix) <= loss(mix + other) + 1e-6


def test_one_step_gains() -> None:
    """Each step lowers the loss from where validations begin."""
    mix = BEGIN
    assert loss(fitted(mix)) < loss(mix)


def test_ignored_targets() -> None:
    """Tokens that do not count change nothing; without any the weights stay."""
    mix = BEGIN
    assert torch.equal(fitted(mix, torch.full_like(TARGETS, -100)), mix)


def test_bounds() -> None:
    """No weight is negative, or grows without bound where both models agree."""
    fit = MixFit(3)
    same = torch.eye(4)
    fit.add(same, same, same, torch.tensor([0, 0, 1, 1]), torch.arange(4))
    assert (fit.step(BEGIN) >= 0).all()
    assert torch.isfinite(fit.step(BEGIN)).all()


def test_each_length() -> None:
    """Where one length favours the n-grams and another the network, so do its weights."""
    network, ngrams = torch.randn(2, 6000, 8, generator=GENERATOR)
    lengths = torch.arange(6000) % 2
    favoured = torch.where(lengths[:, None] == 0, network, ngrams)
    targets = torch.multinomial(torch.softmax(2 * favoured, dim=1), 1, generator=GENERATOR)[:, 0]
    mix = torch.full((2, 2), 0.5)
    for _ in range(5):
        fit, weights = MixFit(2), mix[lengths]
        mixed = weights[:, :1] * network + weights[:, 1:] * ngrams
        fit.add(network, ngrams, mixed, lengths, targets)
        mix = fit.step(mix)
    assert mix[0, 0] > 1.5 > 0.5 > mix[0, 1]
    assert mix[1, 1] > 1.5 > 0.5 > mix[1, 0]
