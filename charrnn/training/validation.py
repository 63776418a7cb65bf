"""How well the network in training predicts held-out tokens, and how sure that is."""

import math
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.training.batching import IGNORED, Windows
from charrnn.training.network import Network, State

STREAMS = 64  # places read side by side, at the most,
PLACE = 32  # with at least so many tokens to score in each,
CONTEXT = 128  # after reading this many tokens before them
LOGITS = 1 << 22  # computed at once
BLOCKS = 64  # whose losses are kept apart, at the most,
BLOCK = 16  # of at least so many tokens
FEW = 8  # blocks; of fewer the standard error is itself too uncertain to decide anything


class Losses(NamedTuple):
    """The losses of the tokens that were scored, summed over blocks of neighbours.

    Neighbours are alike, so the blocks, and not the tokens, are what varies independently.

    Attributes:
        nats: sum of the negative log-probabilities in each block, float64 [K].
        tokens: number of tokens in each block, float64 [K].
    """

    nats: Tensor
    tokens: Tensor

    @classmethod
    def of(cls, nats: Tensor) -> Self:
        """Sum the losses of tokens, [N], at least one, in the order of the text."""
        count = max(1, min(BLOCKS, len(nats) // BLOCK))
        block = torch.arange(len(nats)) * count // len(nats)
        sums = torch.zeros(count, dtype=torch.float64).index_add(0, block, nats.double())
        return cls(sums, torch.bincount(block, minlength=count).double())

    @property
    def mean(self) -> float:
        """The mean loss of a token, nats."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def error(self) -> float:
        """The standard error of the mean, nats; NaN of a single block."""
        count = len(self.nats)
        deviations = self.nats - self.mean * self.tokens
        variance = float(deviations.square().sum()) * count / max(1, count - 1)
        return math.sqrt(variance) / float(self.tokens.sum()) if count > 1 else math.nan

    @property
    def few(self) -> bool:
        """Whether there are too few blocks to compare anything by."""
        return len(self.nats) < FEW

    def compare(self, other: Self) -> int:
        """Compare with losses of the same tokens under other weights.

        Returns:
            -1 if these are lower, 1 if they are higher or not finite, 0 if the difference is no
            larger than its standard error or there are too few blocks to tell.
        """
        difference = Losses(self.nats - other.nats, self.tokens)
        if not math.isfinite(difference.mean):
            return 1
        if self.few or abs(difference.mean) <= difference.error:
            return 0
        return 1 if difference.mean > 0 else -1


def tokens_read(tokens: int) -> int:
    """How many tokens `evaluate` reads to score so many: those before each place as well."""
    return tokens + _streams(tokens) * CONTEXT


def _streams(tokens: int) -> int:
    return max(1, min(STREAMS, tokens // PLACE))


@torch.no_grad()
def evaluate(network: Network, before: Tensor, ids: Tensor, tokens: int | None = None) -> Losses:
    """Return the losses of tokens (negative log-probabilities, nats).

    Args:
        before: tokens that precede, at least one, [C].
        ids: tokens to predict, at least one, [N].
        tokens: how many of them, evenly spread; all by default.
    """
    device = network.output.weight.device
    tokens = min(tokens or len(ids), len(ids))
    streams = _streams(tokens)
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
    parts = []
    window = max(1, min(CONTEXT, LOGITS // (streams * network.config.vocab_size)))
    _, state = network.read(inputs(-CONTEXT, 0), state)
    for start in range(0, length, window):
        stop = min(start + window, length)
        logits, state = network(inputs(start, stop), state)
        at = first + torch.arange(start, stop)[:, None]
        targets = text(at)
        targets[at >= len(ids)] = IGNORED  # past the end of the last stream; not counted
        parts.append(_losses(logits, targets))
    network.train(was_training)
    return _joined(parts)


@torch.no_grad()
def evaluate_documents(
    network: Network, ids: Tensor, ends: Tensor, tokens: int | None = None
) -> Losses:
    """As `evaluate`, each document from an empty memory.

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
    parts = []
    for place in range(-1, length):  # each stream after the window before
        inputs, targets, fresh = windows.read((first + place).clamp(0, len(windows) - 1))
        state = emptied(state, fresh.to(device))
        logits, state = network(inputs.to(device), state)
        targets[:, (first + place >= len(windows)) | (place < 0)] = IGNORED
        parts.append(_losses(logits, targets))
    network.train(was_training)
    return _joined(parts)


def _losses(logits_tbv: Tensor, targets_tb: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each token, and whether it counts, [T, B] both."""
    targets = targets_tb.flatten().to(logits_tbv.device)
    nats = F.cross_entropy(logits_tbv.flatten(0, 1), targets, reduction="none")
    return nats.view(targets_tb.shape).cpu(), targets_tb != IGNORED


def _joined(parts: list[tuple[Tensor, Tensor]]) -> Losses:
    """The losses of windows that follow each other, stream after stream."""
    nats, counted = (torch.cat(some).T for some in zip(*parts, strict=True))
    return Losses.of(nats[counted])


def emptied(state: State, heads: Tensor) -> State:
    """The state without the memory of some heads, bool [B]."""
    return [torch.where(heads[:, None], torch.zeros_like(layer), layer) for layer in state]
