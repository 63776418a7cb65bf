"""A network, its optimizer and the streams that they read: what each process of a training has."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.training import devices
from charrnn.training.batching import IGNORED, Batch, DocumentStreams, Streams, on_device
from charrnn.training.corpus import Corpus
from charrnn.training.network import Dropout, Network
from charrnn.training.optimizer import Optimizer, schedule
from charrnn.training.progress import UNPLANNED_STEPS, Progress
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.sampled_softmax import SAMPLED_FROM, SampledSoftmax
from charrnn.training.validation import emptied


class Computed(NamedTuple):
    """What a step computes.

    Attributes:
        loss: nats per token, float32 [].
        norm: the gradient's norm before clipping, float32 [].
        hidden: the streams' state after it, for each layer [S, B, H].
    """

    loss: Tensor
    norm: Tensor
    hidden: list[Tensor]


# Trains on a batch, given the streams' state before it.
Compute = Callable[[Batch, list[Tensor]], Computed]


class Replica:
    """Trains a network on this process's share of the streams, in step with the other processes.

    Args:
        model: configuration of the network.
        training: configuration of the training.
        corpus: the text to train on.
        device: the device that computes.
        ranks: the processes that train it together.

    Attributes:
        progress: the scalars that change.
        hidden: the state of this process's streams after the last window, for each layer
            [S, B, H].
        limit: maximum number of updates, or None.
        compute: makes a step; may be replaced by a RecordedStep.
    """

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        corpus: Corpus,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config = training
        self.corpus = corpus
        self.device = device
        self.ranks = ranks
        initial = torch.Generator().manual_seed(training.seed)
        dropout = Dropout(
            training.dropout,
            training.input_dropout,
            training.embedding_dropout,
            training.weight_drop,
            training.variational,
        )
        start = training.init, training.init_scale
        self.network = Network(model, initial, dropout, *start).to(device)
        counts = torch.bincount(corpus.train, minlength=model.vocab_size)
        self.network.expect(counts)
        part = ranks.part(training.batch)
        self._streams = part.stop - part.start
        # A sample would have another size in each step, for which a GPU would have to wait.
        large = model.vocab_size >= SAMPLED_FROM and not devices.queues(device)
        self._sampled = SampledSoftmax(counts, self._streams * training.bptt) if large else None
        self.network.dropout_generator = devices.generator(device, training.seed)
        self.optimizer = Optimizer(
            self.network,
            training.clip,
            training.weight_decay,
            training.anchor,
            training.optimizer,
            ranks,
        )
        sizes = (training.batch, training.bptt, training.seed, part)
        self.streams = (
            Streams(corpus.train, *sizes)
            if corpus.train_documents is None
            else DocumentStreams(corpus.train, corpus.train_documents, *sizes)
        )
        self.hidden = self.network.zero_state(self._streams)
        self._lr = torch.zeros((), device=device)  # a tensor, so that a recorded step can read it
        self.compute: Compute = self._compute
        self.progress = Progress(rate=training.lr)
        by_epochs = training.epochs and math.ceil(training.epochs * self.steps_per_epoch)
        limits = [limit for limit in (by_epochs, training.steps) if limit]
        self.limit = min(limits) if limits else None
        self.progress.steps = self.limit or UNPLANNED_STEPS  # until a plan fits them to the time

    @property
    def step(self) -> int:
        """Number of updates so far, including skipped ones."""
        return self.progress.step

    @property
    def tokens_per_step(self) -> float:
        """Tokens that an update trains on, in all processes."""
        return self.streams.tokens_per_step

    @property
    def steps_per_epoch(self) -> float:
        """Updates that read the training part once."""
        return len(self.corpus.train) / self.tokens_per_step

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return self.progress.rate * schedule(self.step / self.progress.steps)

    def batches(self, count: int) -> Iterator[Batch]:
        """Yield the next batches, on the device."""
        return on_device([self.streams.next() for _ in range(count)], self.device)

    def learn(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Train on a batch.

        Returns:
            The loss, nats per token, and the gradient's norm before clipping, float32 []. If the
            norm is not finite, the gradient was not used and all hidden states are 0.
        """
        if self.ranks.rank:  # so that no state of the generator need be saved for each process
            seed = np.random.SeedSequence([self.config.seed, self.ranks.rank, self.step])
            self.network.dropout_generator.manual_seed(int(seed.generate_state(1)[0]))
        self._lr.fill_(self.lr)
        loss, norm, self.hidden = self.compute(batch, self.hidden)
        if not devices.queues(self.device) and not math.isfinite(norm.item()):
            self.hidden = self.network.zero_state(self._streams)
        self.progress.step += 1
        return loss, norm

    def _compute(self, batch: Batch, before: list[Tensor]) -> Computed:
        """Make a step.

        On a device that queues, it reads no tensor, and whatever changes between steps is a tensor.
        """
        inputs, targets, fresh, in_source = batch
        if fresh is not None:
            before = emptied(before, fresh)
        with devices.precision(self.device):
            outputs, hidden = self.network.read(inputs, before)
            loss = self._loss(outputs, targets, in_source)
        if self.ranks.size == 1:
            torch.autograd.backward(loss)
        else:
            tokens = self._weights(targets, in_source).sum()
            torch.autograd.backward(loss * tokens)
            parameters = self.optimizer.parameters
            loss = self.ranks.mean_gradients(parameters, loss.detach() * tokens, tokens)
        norm = self.optimizer.step(self._lr)
        after = [state.detach().float() for state in hidden]
        if devices.queues(self.device):  # a state that is not finite would stay so
            lost = ~torch.isfinite(norm)
            after = [state.masked_fill(lost, 0.0) for state in after]
        return Computed(loss.detach(), norm, after)

    def _weights(self, targets: Tensor, in_source: Tensor | None) -> Tensor:
        """Return how much each target counts, float32 [T, B]; see `_loss`."""
        weights = (targets != IGNORED).float()
        if in_source is None:
            return weights
        return torch.where(in_source, weights * self.config.source_weight, weights)

    def _loss(self, outputs: Tensor, targets: Tensor, in_source: Tensor | None) -> Tensor:
        """Return the mean loss, nats per token.

        Args:
            outputs: outputs of the last recurrent layer, float32 [T, B, H].
            targets: token ids; IGNORED is not counted, int64 [T, B].
            in_source: which of them count with `config.source_weight`, bool [T, B]; None for none.
        """
        layer = self.network.output
        if in_source is None and not self._sampled:
            return F.cross_entropy(layer(outputs.flatten(0, 1)), targets.flatten())
        weights = self._weights(targets, in_source).flatten()
        outputs, targets = outputs.flatten(0, 1), targets.flatten()
        if not devices.queues(self.device):  # saves the work for the others
            counted = weights > 0
            outputs, targets, weights = outputs[counted], targets[counted], weights[counted]
        if self._sampled:
            generator = self.network.dropout_generator
            nats = self._sampled.losses(outputs, targets, layer, generator)
        else:
            nats = F.cross_entropy(layer(outputs), targets, reduction="none")
        # There may be none, in windows within sources that do not count.
        return (nats * weights).sum() / weights.sum().clamp(min=1)
