"""How well the network in training predicts held-out tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.training.network import Network

STREAMS = 64  # places read side by side,
CONTEXT = 128  # each after reading this many tokens before it
LOGITS = 1 << 22  # computed at once


@torch.no_grad()
def evaluate(network: Network, before: Tensor, ids: Tensor, tokens: int | None = None) -> float:
    """Mean negative log-probability of a token, nats.

    Args:
        before: tokens that precede, at least one, [C].
        ids: tokens to predict, at least one, [N].
        tokens: how many of them, evenly spread; all by default.
    """
    device = network.output.weight.device
    tokens = min(tokens or len(ids), len(ids))
    streams = max(1, min(STREAMS, tokens // (4 * CONTEXT)))
    apart, length = -(-len(ids) // streams), -(-tokens // streams)
    text = torch.cat((before[-CONTEXT:], ids))
    first = len(text) - len(ids) + apart * torch.arange(streams)

    def inputs(start: int, stop: int) -> Tensor:
        """The tokens before the ones from `start` to `stop` of each stream, [T, B]."""
        at = first - 1 + torch.arange(start, stop)[:, None]
        return text[at.clamp(0, len(text) - 1)].long().to(device)

    state = network.zero_state(streams)
    was_training = network.training
    network.eval()
    total, count = 0.0, 0
    window = max(1, min(CONTEXT, LOGITS // (streams * network.config.vocab_size)))
    _, state = network.read(inputs(-CONTEXT, 0), state)
    for start in range(0, length, window):
        stop = min(start + window, length)
        logits, state = network(inputs(start, stop), state)
        at = first + torch.arange(start, stop)[:, None]
        targets = text[at.clamp(max=len(text) - 1)].long()
        targets[at >= len(text)] = -100  # past the end of the last stream; not counted
        total += F.cross_entropy(
            logits.flatten(0, 1), targets.flatten().to(device), reduction="sum"
        ).item()
        count += int((targets >= 0).sum())
    network.train(was_training)
    return total / count
