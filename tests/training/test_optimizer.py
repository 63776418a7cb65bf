"""The optimizers equal plain references."""

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.config import ModelConfig, OptimizerName
from charrnn.training.network import Network
from charrnn.training.optimizer import (
    OPTIMIZERS,
    Adam,
    Muon,
    Optimizer,
    Sgd,
    block_rows,
    orthogonalise,
    schedule,
)


def parameters(*shapes: tuple[int, ...]) -> dict[str, torch.nn.Parameter]:
    """Return random parameters of these shapes."""
    generator = torch.Generator().manual_seed(0)
    return {
        str(i): torch.nn.Parameter(torch.randn(shape, generator=generator))
        for i, shape in enumerate(shapes)
    }


def test_adam_equals_that_of_torch() -> None:
    """Twenty updates with changing learning rates end where torch.optim.Adam ends."""
    ours, theirs = parameters((5, 3), (7,)), parameters((5, 3), (7,))
    adam = Adam(ours)
    reference = torch.optim.Adam(theirs.values(), betas=(0.9, 0.99))
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        for name, parameter in ours.items():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            theirs[name].grad = parameter.grad.clone()
        lr = 0.1 / (1 + step)
        with torch.no_grad():
            adam.step(torch.tensor(lr))
        reference.param_groups[0]["lr"] = lr
        reference.step()
    for name, parameter in ours.items():
        torch.testing.assert_close(parameter, theirs[name])


@pytest.mark.parametrize("hidden", [8, 129, 256])
def test_muon_orthogonalises_each_block(hidden: int) -> None:
    """Each block of an update has singular values near the learning rate, at any scale."""
    matrices = parameters((4 * hidden, hidden))
    before = matrices["0"].detach().clone()
    generator = torch.Generator().manual_seed(1)
    matrices["0"].grad = 1e-6 * torch.randn(before.shape, generator=generator)
    with torch.no_grad():
        Muon(matrices, hidden, weight_decay=0.0).step(torch.tensor(0.5))
    blocks = (matrices["0"].detach() - before).view(-1, block_rows(hidden), hidden)
    values = torch.linalg.svdvals(blocks) / 0.5
    assert values.max() < 1.3
    assert values.median() > 0.5


def test_weight_decay() -> None:
    """Decay shrinks the recurrent matrices' weights that the update shrinks too, and no others."""
    before, updated, decayed = (
        Network(ModelConfig(9, hidden=8, embedding=4), torch.Generator().manual_seed(0))
        for _ in range(3)
    )
    for network, weight_decay in ((updated, 0.0), (decayed, 0.5)):
        generator = torch.Generator().manual_seed(1)
        for parameter in network.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        Optimizer(network, clip=1.0, weight_decay=weight_decay).step(torch.tensor(0.1))
    old, plain, shrunk = (some.parameters_by_name() for some in (before, updated, decayed))
    for name, weights in old.items():
        shrinks = (weights - plain[name]) * weights > 0
        share = 0.1 * 0.5 if name.endswith((".input", ".recurrent")) else 0.0
        torch.testing.assert_close(shrunk[name], plain[name] - share * weights * shrinks)


def test_gradients_are_clipped_together() -> None:
    """The norm returned is that before clipping; the gradients are dropped."""
    network = Network(ModelConfig(9, hidden=8, embedding=4), torch.Generator().manual_seed(0))
    optimizer = Optimizer(network, clip=1e-3, weight_decay=0.0)
    ids = torch.arange(9)[:, None]
    logits, _ = network(ids, network.zero_state(1))
    F.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()  # type: ignore[no-untyped-call]
    gradients: list[Tensor] = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.cat([g.flatten() for g in gradients]).norm().item()
    assert optimizer.step(torch.tensor(0.01)) == pytest.approx(norm)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("hidden", [1, 2, 31, 64, 128, 129, 192, 250, 257, 384, 512, 1024])
def test_block_rows(hidden: int) -> None:
    """Blocks divide a gate evenly; they have 32 to 128 rows if the gate allows it."""
    rows = block_rows(hidden)
    assert hidden % rows == 0
    assert rows <= 128 or rows == hidden
    assert rows >= min(hidden, 32)


def test_orthogonalise() -> None:
    """Singular values become nearly 1 and singular vectors stay, for matrices of any shape."""
    generator = torch.Generator().manual_seed(0)
    for shape in [(4, 32, 32), (3, 32, 8), (2, 8, 32), (1, 5, 1)]:
        matrices = torch.randn(shape, generator=generator)
        result = orthogonalise(matrices, iterations=6)
        values = torch.linalg.svdvals(result)
        assert ((values > 0.5) & (values < 1.3)).all()
        u, _, v = torch.linalg.svd(matrices, full_matrices=False)
        inside = u.mT @ result @ v.mT
        assert (
            inside - torch.diag_embed(torch.diagonal(inside, dim1=1, dim2=2))
        ).abs().max() < 1e-4


def test_schedule() -> None:
    """The learning rate rises to its peak, falls to the floor and never reaches zero."""
    rates = [schedule(i / 1000) for i in range(1200)]
    peak = max(range(1200), key=lambda i: rates[i])
    assert rates[peak] == pytest.approx(1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert min(rates) == pytest.approx(0.02)


def test_anchor() -> None:
    """With each update all weights go back a share of the way to those of the beginning."""
    network, alone = (
        Network(ModelConfig(9, hidden=8, embedding=4), torch.Generator().manual_seed(0))
        for _ in range(2)
    )
    anchored, free = Optimizer(network, 1.0, 0.0, pull=2.0), Optimizer(alone, 1.0, 0.0)
    anchored.set_anchor()
    start = {name: p.detach().clone() for name, p in network.parameters_by_name().items()}
    for each, optimizer in ((network, anchored), (alone, free)):
        for parameter in each.parameters_by_name().values():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step(torch.tensor(0.1))
    for name, parameter in network.parameters_by_name().items():
        expected = alone.parameters_by_name()[name].lerp(start[name], 0.2)
        torch.testing.assert_close(parameter, expected)
        assert torch.equal(anchored.state()[f"anchor.{name}"], start[name])


def test_sgd_equals_that_of_torch() -> None:
    """Ten updates end where torch.optim.SGD with momentum ends."""
    ours, theirs = parameters((3, 4), (5,)), parameters((3, 4), (5,))
    sgd = Sgd(ours)
    reference = torch.optim.SGD(theirs.values(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    for _ in range(10):
        for name, parameter in ours.items():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            theirs[name].grad = parameter.grad.clone()
        with torch.no_grad():
            sgd.step(torch.tensor(0.1))
        reference.step()
    for name, parameter in ours.items():
        torch.testing.assert_close(parameter, theirs[name])


def updated(name: str, clip: float, scale: float) -> tuple[dict[str, Tensor], float]:
    """Return the change of all weights by one update with gradients of a scale, and the norm."""
    network = Network(ModelConfig(9, hidden=8, embedding=4), torch.Generator().manual_seed(0))
    before = {n: p.detach().clone() for n, p in network.parameters_by_name().items()}
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters_by_name().values():
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    norm = float(Optimizer(network, clip, 0.0, name=name).step(torch.tensor(0.01)))
    return {n: p.detach() - before[n] for n, p in network.parameters_by_name().items()}, norm


def test_rows() -> None:
    """Every row is a value of --optimizer."""
    assert get_args(OptimizerName) == tuple(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_updates_every_weight(name: str) -> None:
    """No weight is left out, whichever optimizer is chosen."""
    changes, _ = updated(name, 1.0, 1.0)
    assert all(bool((change != 0).any()) for change in changes.values())


def test_without_clipping() -> None:
    """With clip 0 the update of Sgd grows with the gradient; with clip 1 it does not."""
    for clip, growth in ((0.0, 100.0), (1.0, 1.0)):
        (small, low), (large, high) = updated("sgd", clip, 10.0), updated("sgd", clip, 1000.0)
        assert high == pytest.approx(100 * low, rel=1e-4)
        for name, change in small.items():
            torch.testing.assert_close(large[name], growth * change, rtol=1e-3, atol=1e-5)
