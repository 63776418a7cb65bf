"""How well the network in training predicts held-out tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.training.network import Network

STREAMS = 64  # places read side by side,
CONTEXT = 256  # each after reading this many tokens before it
WINDOW = 128


@torch.no_grad()
def evaluate(network: Network, before: Tensor, ids: Tensor) -> float:
    """Mean negative log-probability of a token, nats.

    Args:
        before: tokens that precede, at least one, [C].
        ids: tokens to predict, at least one, [N].
    """
    device = network.output.weight.device
    streams = max(1, min(STREAMS, len(ids) // (2 * CONTEXT)))
    length = -(-len(ids) // streams)
    text = torch.cat((before[-CONTEXT:], ids))
    first = len(text) - len(ids) + length * torch.arange(streams)
    state = network.zero_state(streams)
    was_training = network.training
    network.eval()
    total = 0.0
    for start in range(-CONTEXT, length, WINDOW):
        at = first + torch.arange(start, min(start + WINDOW, length))[:, None]
        inputs = text[(at - 1).clamp(0, len(text) - 1)].long().to(device)
        logits, state = network(inputs, state)
        if start >= 0:
            targets = text[at.clamp(max=len(text) - 1)].long()
            targets[at >= len(text)] = -100  # past the end of the last stream; not counted
            total += F.cross_entropy(
                logits.flatten(0, 1), targets.flatten().to(device), reduction="sum"
            ).item()
    network.train(was_training)
    return total / len(ids)
