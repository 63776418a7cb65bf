"""How well the network in training predicts held-out tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.training.batching import IGNORED, Windows
from charrnn.training.network import Network, State

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
    before = before[-CONTEXT:]
    first = apart * torch.arange(streams)

    def text(at: Tensor) -> Tensor:
        """Tokens, those before the first one below 0; not joined, for `ids` may be large."""
        at = at.clamp(-len(before), len(ids) - 1)
        return torch.where(at < 0, before[at.clamp(max=-1)], ids[at.clamp(min=0)]).long()

    def inputs(start: int, stop: int) -> Tensor:
        """The tokens before the ones from `start` to `stop` of each stream, [T, B]."""
        return text(first - 1 + torch.arange(start, stop)[:, None]).to(device)

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
        targets = text(at)
        targets[at >= len(ids)] = IGNORED  # past the end of the last stream; not counted
        total += F.cross_entropy(
            logits.flatten(0, 1), targets.flatten().to(device), reduction="sum"
        ).item()
        count += int((targets >= 0).sum())
    network.train(was_training)
    return total / count


@torch.no_grad()
def evaluate_documents(
    network: Network, ids: Tensor, ends: Tensor, tokens: int | None = None
) -> float:
    """Mean negative log-probability of a token, nats, each document from an empty memory.

    Args:
        ids: tokens of at least one document, [N].
        ends: where each one ends, [D].
        tokens: about how many of them to predict, at places evenly spread; all by default.
    """
    device = network.output.weight.device
    windows = Windows(ids, ends, CONTEXT)
    share = min(1.0, (tokens or len(ids)) / len(ids))
    count = max(1, round(share * len(windows)))
    streams = max(1, min(STREAMS, count, LOGITS // (CONTEXT * network.config.vocab_size)))
    apart, length = -(-len(windows) // streams), -(-count // streams)
    first = apart * torch.arange(streams)
    state = network.zero_state(streams)
    was_training = network.training
    network.eval()
    total, scored = 0.0, 0
    for place in range(-1, length):  # each stream after the window before
        inputs, targets, fresh = windows.read((first + place).clamp(0, len(windows) - 1))
        state = emptied(state, fresh.to(device))
        logits, state = network(inputs.to(device), state)
        targets[:, (first + place >= len(windows)) | (place < 0)] = IGNORED
        total += F.cross_entropy(
            logits.flatten(0, 1), targets.flatten().to(device), reduction="sum"
        ).item()
        scored += int((targets >= 0).sum())
    network.train(was_training)
    return total / scored


def emptied(state: State, heads: Tensor) -> State:
    """The state without the memory of some heads, bool [B]."""
    return [torch.where(heads[:, None], torch.zeros_like(layer), layer) for layer in state]
