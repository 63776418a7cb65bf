"""Scores the network in training on held-out tokens, with standard errors."""

import math
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.arrays import Nodes
from charrnn.network.ngrams import Ngrams, known
from charrnn.scoring import WARM_UP_TOKENS
from charrnn.training.batching import IGNORED, Documents, Windows
from charrnn.training.mixing import MixFit
from charrnn.training.network import Network, State

MAX_PASSAGES = 64  # maximum number of passages scored in parallel; not tuned
PASSAGE = 32  # minimum tokens scored in a passage; not tuned
LOGITS = 1 << 22  # maximum number of logits in memory at once; not tuned
BLOCKS = 64  # maximum number of blocks whose losses are kept apart; not tuned
MIN_BLOCK = 16  # minimum tokens in a block; not tuned
FEW = 8  # number of blocks below which a standard error is too uncertain; not tuned


class Reader:
    """A network in training, and n-grams, that read the same B streams.

    Args:
        network: the network.
        ngrams: the n-grams; None for the network alone.
        streams: B.
    """

    def __init__(self, network: Network, ngrams: Ngrams | None, streams: int) -> None:
        self._network = network
        self._ngrams = ngrams
        self._device = network.output.weight.device
        self._state = network.zero_state(streams)
        self._fresh = ngrams.start(streams) if ngrams else np.zeros((streams, 0), np.int64)
        self._contexts = self._fresh

    def empty(self, streams: Tensor) -> None:
        """Forget what some streams have read, bool [B]."""
        self._state = emptied(self._state, streams.to(self._device))
        self._contexts = np.where(streams.numpy()[:, None], self._fresh, self._contexts)

    def read(self, inputs_tb: Tensor) -> None:
        """Read tokens, int64 [T, B]."""
        _, self._state = self._network.read(inputs_tb.to(self._device), self._state)
        if self._ngrams:
            self._follow(self._ngrams, inputs_tb[-self._ngrams.order :])

    def logits(self, inputs_tb: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Read tokens, [T, B].

        Returns:
            The network's logits of the next tokens, float32 [T, B, V], the n-grams'
            log-probabilities and the length of the longest known context, [T * B].
        """
        logits, self._state = self._network(inputs_tb.to(self._device), self._state)
        if not self._ngrams:
            return logits, None, None
        contexts = self._follow(self._ngrams, inputs_tb)
        ngrams, lengths = self._ngrams.logp(contexts), known(contexts)
        return (
            logits,
            torch.from_numpy(ngrams).to(self._device).view_as(logits),
            torch.from_numpy(lengths).to(self._device),
        )

    def _follow(self, ngrams: Ngrams, inputs_tb: Tensor) -> Nodes:
        """Return the contexts after each token, [T * B, order]."""
        contexts = []
        for ids in inputs_tb.cpu().numpy():
            self._contexts = ngrams.step(ids, self._contexts)
            contexts.append(self._contexts)
        return np.concatenate(contexts)


class Losses(NamedTuple):
    """The losses of the tokens scored, summed over blocks of consecutive tokens.

    The losses of neighbouring tokens are correlated, so blocks, not tokens, count as independent.

    Attributes:
        nats: sum of the negative log-probabilities in each block, float64 [K].
        tokens: number of tokens in each block, float64 [K].
    """

    nats: Tensor
    tokens: Tensor

    @classmethod
    def of(cls, nats: Tensor) -> Self:
        """Sum token losses by block; nats [N], N at least 1, in text order."""
        count = max(1, min(BLOCKS, len(nats) // MIN_BLOCK))
        block = torch.arange(len(nats)) * count // len(nats)
        sums = torch.zeros(count, dtype=torch.float64).index_add(0, block, nats.double())
        return cls(sums, torch.bincount(block, minlength=count).double())

    @property
    def mean(self) -> float:
        """Mean loss, nats per token."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def error(self) -> float:
        """Standard error of the mean, nats per token; NaN if there is a single block."""
        count = len(self.nats)
        deviations = self.nats - self.mean * self.tokens
        variance = float(deviations.square().sum()) * count / max(1, count - 1)
        return math.sqrt(variance) / float(self.tokens.sum()) if count > 1 else math.nan

    @property
    def few(self) -> bool:
        """Whether there are too few blocks to compare losses."""
        return len(self.nats) < FEW

    def compare(self, other: Self) -> int:
        """Compare with the losses of the same tokens under other weights.

        Returns:
            -1 if these are lower, 1 if they are higher or not finite, 0 if the difference is at
            most its standard error or there are too few blocks.
        """
        difference = Losses(self.nats - other.nats, self.tokens)
        if not math.isfinite(difference.mean):
            return 1
        if self.few or abs(difference.mean) <= difference.error:
            return 0
        return 1 if difference.mean > 0 else -1


def tokens_read(tokens: int) -> int:
    """Return how many tokens `evaluate` reads, with their context, to score `tokens` of them."""
    return tokens + _streams(tokens) * WARM_UP_TOKENS


def _streams(tokens: int) -> int:
    return max(1, min(MAX_PASSAGES, tokens // PASSAGE))


@torch.no_grad()
def evaluate(
    network: Network,
    before: Tensor,
    ids: Tensor,
    tokens: int | None = None,
    ngrams: Ngrams | None = None,
    fit: MixFit | None = None,
) -> Losses:
    """Return the losses of tokens of running text, in evenly spaced passages.

    Args:
        network: predicts them, without dropout; its mode is restored.
        before: token ids that precede `ids`, at least one, integers [C].
        ids: token ids to predict, at least one, integers [N].
        tokens: number of tokens to predict; all by default.
        ngrams: n-grams that the network is mixed with; None for the network alone.
        fit: fits the mixture to these tokens; None if it stays.
    """
    tokens = min(tokens or len(ids), len(ids))
    streams = _streams(tokens)
    apart, length = -(-len(ids) // streams), -(-tokens // streams)
    before = before[-WARM_UP_TOKENS:]
    first = apart * torch.arange(streams)

    def text(at: Tensor) -> Tensor:
        """Return tokens by index, negative for `before`; `ids` may be too large to concatenate."""
        at = at.clamp(-len(before), len(ids) - 1)
        return torch.where(at < 0, before[at.clamp(max=-1)], ids[at.clamp(min=0)]).long()

    def inputs(start: int, stop: int) -> Tensor:
        """Return the inputs that predict tokens `start` to `stop` of each stream, [T, B]."""
        return text(first - 1 + torch.arange(start, stop)[:, None])

    reader = Reader(network, ngrams, streams)
    was_training = network.training
    network.eval()
    parts = []
    window = max(1, min(WARM_UP_TOKENS, LOGITS // (streams * network.config.vocab_size)))
    reader.read(inputs(-WARM_UP_TOKENS, 0))
    for start in range(0, length, window):
        stop = min(start + window, length)
        at = first + torch.arange(start, stop)[:, None]
        targets = text(at)
        targets[at >= len(ids)] = IGNORED  # past the end of the last stream
        parts.append(_losses(network, *reader.logits(inputs(start, stop)), targets, fit))
    network.train(was_training)
    return _joined(parts)


@torch.no_grad()
def evaluate_documents(
    network: Network,
    ids: Tensor,
    documents: Documents,
    tokens: int | None = None,
    ngrams: Ngrams | None = None,
    fit: MixFit | None = None,
) -> Losses:
    """Return the losses of tokens of documents, each read from a zero state.

    Of a record, only the target is predicted.

    Args:
        network: predicts them, without dropout; its mode is restored.
        ids: token ids of at least one document, integers [N].
        documents: where they are.
        tokens: approximate number of tokens to read, in evenly spaced passages; all by default.
        ngrams: see `evaluate`.
        fit: see `evaluate`.
    """
    share = min(1.0, (tokens or len(ids)) / len(ids))
    order = None
    if documents.targets is not None:  # whole records: other passages might hold no target
        records = len(documents.ends)
        order = torch.linspace(0, records - 1, max(1, round(share * records))).long()
        share = 1.0
    windows = Windows(ids, documents, WARM_UP_TOKENS, order)
    count = max(1, round(share * len(windows)))
    streams = max(
        1, min(MAX_PASSAGES, count, LOGITS // (WARM_UP_TOKENS * network.config.vocab_size))
    )
    apart, length = -(-len(windows) // streams), -(-count // streams)
    first = apart * torch.arange(streams)
    reader = Reader(network, ngrams, streams)
    was_training = network.training
    network.eval()
    parts = []
    for i in range(-1, length):  # the window before the first is context
        inputs, targets, fresh, in_source = windows.read((first + i).clamp(0, len(windows) - 1))
        assert fresh is not None
        reader.empty(fresh)
        logits = reader.logits(inputs)
        targets[:, (first + i >= len(windows)) | (i < 0)] = IGNORED
        if in_source is not None:
            targets[in_source] = IGNORED
        parts.append(_losses(network, *logits, targets, fit))
    network.train(was_training)
    return _joined(parts)


def _losses(
    network: Network,
    logits_tbv: Tensor,
    ngrams_tbv: Tensor | None,
    lengths: Tensor | None,
    targets_tb: Tensor,
    fit: MixFit | None,
) -> tuple[Tensor, Tensor]:
    """Return the loss of each token, nats [T, B], and whether it counts, bool [T, B]."""
    targets = targets_tb.flatten().to(logits_tbv.device)
    logits = logits_tbv.flatten(0, 1)
    if ngrams_tbv is not None and lengths is not None:
        ngrams = ngrams_tbv.flatten(0, 1)
        mixed = network.mixed(logits, ngrams, lengths)
        if fit:
            fit.add(logits, ngrams, mixed, lengths, targets)
        logits = mixed
    nats = F.cross_entropy(logits, targets, reduction="none")
    return nats.view(targets_tb.shape).cpu(), targets_tb != IGNORED


def _joined(parts: list[tuple[Tensor, Tensor]]) -> Losses:
    """Join the losses of consecutive windows, stream after stream."""
    nats, counted = (torch.cat(some).T for some in zip(*parts, strict=True))
    return Losses.of(nats[counted])


def emptied(state: State, streams: Tensor) -> State:
    """Return a copy of the state that is zero for the given streams, bool [B]."""
    return [torch.where(streams[:, None], torch.zeros_like(layer), layer) for layer in state]
