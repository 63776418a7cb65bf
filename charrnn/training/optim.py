"""The optimizer: Muon for the recurrent layers' matrices, AdamW for the rest, one schedule."""

import math

import torch
from torch import Tensor

from charrnn.training.network import Network

ADAMW_SHARE = 0.25  # AdamW's learning rate as a share of Muon's


def orthogonalise(matrices: Tensor, iterations: int = 3) -> Tensor:
    """Bring every singular value near 1, keeping the singular vectors.

    Newton-Schulz iteration with the quintic of Jordan 2024
    (https://kellerjordan.github.io/posts/muon), in the tensor's own precision:
    bfloat16 is many times slower than float32 on a CPU that lacks it.

    Args:
        matrices: a batch of matrices, [N, rows, columns].

    Returns:
        The same shape.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised gate by gate.

    Args:
        params: weight matrices of recurrent layers, [gates * H, inputs].
        hidden: H, the rows of one gate's block.
        lr: step size; scaled by the square root of a block's aspect.
    """

    def __init__(
        self, params: list[Tensor], hidden: int, lr: float = 0.02, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "hidden": hidden, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            momentum, hidden = group["momentum"], group["hidden"]
            for parameter in group["params"]:
                gradient = parameter.grad
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                average = state["momentum"].lerp_(gradient, 1 - momentum)
                blocks = gradient.lerp(average, momentum).view(-1, hidden, parameter.size(1))
                scale = max(1.0, hidden / parameter.size(1)) ** 0.5
                update = orthogonalise(blocks).reshape(parameter.shape)
                parameter.add_(update, alpha=-group["lr"] * scale)


class Optimizer:
    """Both optimizers under one learning rate, with clipping by global norm.

    Args:
        network: what to train.
        clip: largest global norm of the gradient.
    """

    def __init__(self, network: Network, clip: float) -> None:
        self.clip = clip
        self.parameters = list(network.parameters())
        named = network.parameters_by_name()
        matrices = [p for name, p in named.items() if name.endswith((".input", ".recurrent"))]
        rest = [p for name, p in named.items() if not name.endswith((".input", ".recurrent"))]
        self.parts = {
            "muon": Muon(list(matrices), hidden=network.config.hidden),
            "adamw": torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=0.0),
        }

    def step(self, lr: float) -> float:
        """Clip the gradients and update the weights; an update that is not finite is skipped.

        Args:
            lr: Muon's learning rate; AdamW's follows from it.

        Returns:
            The gradient's global norm before clipping; not finite means that nothing changed.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip).item()
        if math.isfinite(norm):
            for name, optimizer in self.parts.items():
                share = ADAMW_SHARE if name == "adamw" else 1.0
                for group in optimizer.param_groups:
                    group["lr"] = lr * share
                optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        return norm

    def state(self) -> dict[str, Tensor]:
        """What the optimizers remember, by part, parameter and name."""
        return {
            f"{part}.{i}.{name}": value
            for part, optimizer in self.parts.items()
            for i, values in optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go back to what `state` told."""
        for part, optimizer in self.parts.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in tensors.items():
                owner, i, name = key.split(".")
                if owner == part:
                    state.setdefault(int(i), {})[name] = tensor
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def schedule(progress: float, warmup: float = 0.05, floor: float = 0.02) -> float:
    """Linear warm-up, then a cosine (Loshchilov & Hutter 2016, arXiv:1608.03983) down to `floor`.

    Args:
        progress: share of the training that is done; above 1 counts as 1.

    Returns:
        The learning rate as a share of its peak, in (0, 1].
    """
    if progress < warmup:
        return max(progress / warmup, floor)
    done = min(1.0, (progress - warmup) / (1 - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
