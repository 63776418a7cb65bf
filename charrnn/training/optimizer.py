"""The optimizers, clipping, and the schedule of the learning rate.

To add an optimizer: a class and a row in OPTIMIZERS.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from charrnn.training import devices
from charrnn.training.network import Network
from charrnn.training.ranks import ALONE, Ranks

ADAM_SHARE = 0.25  # Adam's learning rate as a share of Muon's; not tuned
BLOCK_ROWS = 128  # maximum rows orthogonalised at once; a third of whole gates' cost at H = 384

Parameters = Mapping[str, nn.Parameter]


def orthogonalise(matrices: Tensor, iterations: int = 3) -> Tensor:
    """Bring every singular value near 1, keeping the singular vectors.

    Newton-Schulz iteration with the quintic of Jordan 2024
    (https://kellerjordan.github.io/posts/muon), in the precision of the device.

    Args:
        matrices: a batch of matrices, float [N, rows, columns].
        iterations: number of iterations; more bring the singular values nearer to 1.

    Returns:
        New matrices of the same shape.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    kind = matrices.dtype
    if devices.halves(matrices.device):
        matrices = matrices.bfloat16()
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(kind)


class Muon:
    """Nesterov momentum, orthogonalised in blocks of rows, with cautious weight decay.

    A block lies within one gate. Blocks learn as well per step as whole gates and cost less: the
    work grows with the square of a block's rows. A weight decays only when its update brings it
    nearer to 0 too (after Liang et al. 2024, arXiv:2411.16085).

    Args:
        matrices: weights of recurrent layers by name, float [gates * H, inputs].
        hidden: H, the rows of one gate.
        weight_decay: share of a matrix subtracted per step, before scaling by the learning rate.
        ranks: the processes among which the blocks are shared out.
    """

    def __init__(
        self, matrices: Parameters, hidden: int, weight_decay: float, ranks: Ranks = ALONE
    ) -> None:
        self._matrices = matrices
        self._ranks = ranks
        self._weight_decay = weight_decay
        self._hidden = hidden
        self._rows = block_rows(hidden)
        self.state = _zeros("momentum", matrices)

    def step(self, lr: Tensor, momentum: float = 0.95) -> None:
        """Update the matrices; `lr` [] is scaled by the square root of a gate's aspect ratio."""
        for name, matrix in self._matrices.items():
            gradient = _gradient(matrix)
            average = self.state[f"momentum.{name}"].lerp_(gradient, 1 - momentum)
            blocks = gradient.lerp(average, momentum).view(-1, self._rows, matrix.size(1))
            scale = max(1.0, self._hidden / matrix.size(1)) ** 0.5
            update = self._ranks.divided(orthogonalise, blocks).reshape(matrix.shape)
            if self._weight_decay:
                agrees = (update * matrix).gt_(0)
                matrix.addcmul_(matrix, agrees.mul_(lr * self._weight_decay), value=-1)
            matrix.addcmul_(update, lr, value=-scale)


def block_rows(hidden: int) -> int:
    """Return a block's rows: H's largest divisor in [BLOCK_ROWS / 4, BLOCK_ROWS], else H."""
    for parts in range(-(-hidden // BLOCK_ROWS), hidden // (BLOCK_ROWS // 4) + 1):
        if hidden % parts == 0:
            return hidden // parts
    return hidden


class Adam:
    """Adam, Kingma & Ba 2014, arXiv:1412.6980.

    Args:
        parameters: the parameters to update, by name.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self.state = _zeros("mean", parameters) | _zeros("variance", parameters)
        where = next(iter(parameters.values())).device
        self.state["updates"] = torch.zeros((), dtype=torch.int64, device=where)

    def step(self, lr: Tensor, beta1: float = 0.9, beta2: float = 0.99, tiny: float = 1e-8) -> None:
        """Update the parameters; `lr` [] is the paper's alpha, `tiny` its epsilon."""
        updates = self.state["updates"].add_(1).double()
        unbiased = (1 - beta2**updates).sqrt()
        rate = lr / (1 - beta1**updates)
        for name, parameter in self._parameters.items():
            gradient = _gradient(parameter)
            mean = self.state[f"mean.{name}"].lerp_(gradient, 1 - beta1)
            variance = self.state[f"variance.{name}"]
            variance.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            # Divided by the rate, since the factor of addcdiv_ cannot be a tensor.
            deviation = variance.sqrt().div_(unbiased * rate).add_(tiny / rate)
            parameter.addcdiv_(mean, deviation, value=-1)


class Sgd:
    """Stochastic gradient descent with momentum, Sutskever et al. 2013.

    The only one here whose update grows with the gradient: an exploding gradient throws the weights
    far away.

    Args:
        parameters: the parameters to update, by name.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self.state = _zeros("velocity", parameters)

    def step(self, lr: Tensor, momentum: float = 0.9) -> None:
        """Update the parameters; `lr` is the learning rate, float32 []."""
        for name, parameter in self._parameters.items():
            velocity = self.state[f"velocity.{name}"].mul_(momentum).add_(_gradient(parameter))
            parameter.addcmul_(velocity, lr, value=-1)


# What updates the recurrent layers' matrices, by the name of --optimizer. Beside Muon, Adam updates
# all other weights; Adam and Sgd themselves update all weights.
OPTIMIZERS: dict[str, type[Muon] | type[Adam] | type[Sgd]] = {
    "muon": Muon,
    "adam": Adam,
    "sgd": Sgd,
}


class Optimizer:
    """A row of OPTIMIZERS under one learning rate, with clipping by global norm.

    Avoids torch.optim: any optimizer there imports torch's compiler, which takes a second.

    Args:
        network: the network to train.
        clip: maximum global norm of the gradient; 0 for no maximum.
        weight_decay: decoupled weight decay of the recurrent layers' matrices.
        pull: share of the way back to the anchor that all weights move in a step, before scaling
            by the learning rate (Li et al. 2018, arXiv:1802.01483).
        name: a key of OPTIMIZERS.
        ranks: the processes that train the network together.

    Attributes:
        parameters: the parameters that are trained.
        anchor: the weights that fine-tuning started from, by name; empty without fine-tuning.
    """

    def __init__(
        self,
        network: Network,
        clip: float,
        weight_decay: float,
        pull: float = 0.0,
        name: str = "muon",
        ranks: Ranks = ALONE,
    ) -> None:
        self._clip = clip or math.inf
        self._pull = pull
        every = network.parameters_by_name()
        self._parameters = {name: p for name, p in every.items() if p.requires_grad}
        self.parameters = [*self._parameters.values()]
        self._queues = devices.queues(self.parameters[0].device)
        matrices = {
            name: parameter
            for name, parameter in self._parameters.items()
            if name.endswith((".input", ".recurrent"))
        }
        rest = {n: p for n, p in self._parameters.items() if n not in matrices}
        kind = OPTIMIZERS[name]
        # Each with its learning rate as a share of that of `step`.
        self._rules: list[tuple[Muon | Adam | Sgd, float]]
        if kind is Muon:
            muon = Muon(matrices, network.config.hidden, weight_decay, ranks)
            self._rules = [(muon, 1.0), (Adam(rest), ADAM_SHARE)]
        else:
            self._rules = [(kind(self._parameters), 1.0)]  # type: ignore[call-arg]
        self._decayed = {} if kind is Muon else matrices
        self._weight_decay = weight_decay
        self.anchor: dict[str, Tensor] = {}

    @torch.no_grad()
    def set_anchor(self) -> None:
        """Take the present weights as the anchor."""
        self.anchor = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def step(self, lr: Tensor) -> Tensor:
        """Clip the gradients, update the weights and drop the gradients.

        Args:
            lr: learning rate of the recurrent matrices, from which that of the rest follows,
                float32 []; a tensor, since a recorded step would never see a number change.

        Returns:
            The gradient's global norm before clipping, float32 []. If it is not finite, no weight
            changed; on a device that queues, the update used a gradient of 0 instead.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self._clip)
        if self._queues:
            lost = ~torch.isfinite(norm)
            for parameter in self.parameters:
                _gradient(parameter).masked_fill_(lost, 0.0)
        if self._queues or math.isfinite(norm.item()):
            if self._weight_decay:
                for matrix in self._decayed.values():
                    matrix.mul_(1 - lr * self._weight_decay)
            for rule, share in self._rules:
                rule.step(lr * share)
            if self._pull:
                for name, weight in self.anchor.items():
                    self._parameters[name].lerp_(weight, (lr * self._pull).clamp(max=1.0))
        for parameter in self.parameters:
            parameter.grad = None
        return norm

    def state(self) -> dict[str, Tensor]:
        """Return the optimizers' state by name; the tensors are not copied."""
        states = [rule.state for rule, _ in self._rules]
        states.append({f"anchor.{name}": weight for name, weight in self.anchor.items()})
        return {name: tensor for some in states for name, tensor in some.items()}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Copy what `state` returned into the optimizers."""
        for name, tensor in self.state().items():
            tensor.copy_(tensors[name])


def _zeros(name: str, parameters: Parameters) -> dict[str, Tensor]:
    return {f"{name}.{key}": torch.zeros_like(p).detach() for key, p in parameters.items()}


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def schedule(progress: float, warmup: float = 0.05, floor: float = 0.02) -> float:
    """Schedule the learning rate: linear warm-up, then a cosine.

    The cosine is that of Loshchilov & Hutter 2016, arXiv:1608.03983, down to `floor`.

    Args:
        progress: share of the training that is done; above 1 counts as 1.
        warmup: share of the training in which the learning rate rises.
        floor: minimum of the returned share.

    Returns:
        The learning rate as a share of its peak, in [floor, 1].
    """
    if progress < warmup:
        return max(progress / warmup, floor)
    done = min(1.0, (progress - warmup) / (1 - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
