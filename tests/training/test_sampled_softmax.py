"""The loss over a sample of a large vocabulary estimates the loss over all of it."""

import torch
import torch.nn.functional as F
from torch import nn

from charrnn.training.sampled_softmax import SampledSoftmax

VOCABULARY, HIDDEN, TOKENS = 5000, 16, 200


def test_estimate() -> None:
    """Averaged over many batches, the sampled loss is the full loss."""
    generator = torch.Generator().manual_seed(0)
    counts = 1000 / torch.arange(1, VOCABULARY + 1)
    layer = nn.Linear(HIDDEN, VOCABULARY)
    nn.init.normal_(layer.weight, std=0.3, generator=generator)
    layer.bias.data = (counts / counts.sum()).log()
    sampled = SampledSoftmax(counts, TOKENS)
    full, estimated = [], []
    with torch.no_grad():
        for _ in range(200):
            targets = torch.multinomial(counts, TOKENS, replacement=True, generator=generator)
            outputs = torch.randn(TOKENS, HIDDEN, generator=generator)
            full.append(F.cross_entropy(layer(outputs), targets))
            estimated.append(sampled.losses(outputs, targets, layer, generator).mean())
    assert torch.stack(estimated).mean().isclose(torch.stack(full).mean(), rtol=0.01)


def test_gradient() -> None:
    """Only sampled tokens get a gradient; only the targets become likelier."""
    generator = torch.Generator().manual_seed(1)
    layer = nn.Linear(HIDDEN, VOCABULARY)
    targets = torch.tensor([3, 7, 7])
    loss = SampledSoftmax(torch.ones(VOCABULARY), 3).losses(
        torch.randn(3, HIDDEN, generator=generator), targets, layer, generator
    )
    loss.mean().backward()  # type: ignore[no-untyped-call]
    gradient = layer.bias.grad
    assert gradient is not None
    assert 0 < (gradient != 0).sum() < VOCABULARY / 5
    assert {*(gradient < 0).nonzero().flatten().tolist()} == {3, 7}
