"""A network in training: everything that changes, one update at a time."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.arrays import Array
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.training import checkpoint, memory
from charrnn.training.batching import DocumentStreams, Streams
from charrnn.training.corpus import Corpus
from charrnn.training.keeping import Bounds, Candidate, Keeper
from charrnn.training.network import Dropout, Network
from charrnn.training.optimizer import Optimizer, schedule
from charrnn.training.sampled_softmax import SAMPLED_FROM, SampledSoftmax
from charrnn.training.validation import (
    Losses,
    emptied,
    evaluate,
    evaluate_documents,
    tokens_read,
)

VALIDATIONS = 20  # in the whole training, evenly spaced
VALIDATION_SHARE = 0.1  # of the tokens trained between two validations; reading costs a third
FINAL_SHARE = 0.3  # of all tokens trained: the last score, so that it takes a tenth of the time
FINAL_TOKENS = 1_000_000  # at the most
TRANSFER_TOKENS = 1 << 16  # of the old text and of the new, before and after fine-tuning
FAR = 10**9  # steps, while the time that one takes is unknown
AVERAGED = 8  # the average looks back over about one part in so many of the steps

State = tuple[dict[str, Tensor], dict[str, Any]]


class Score(NamedTuple):
    """How well the held-out text is predicted.

    Attributes:
        nats: per character.
        error: its standard error; None if too little was scored to tell.
        few: whether too little was scored to compare validations by it.
    """

    nats: float
    error: float | None
    few: bool


class Trainer:
    """A network, its optimizer and their position in the text.

    Args:
        model: the network's shape.
        training: how it is trained.
        corpus: what it is trained on.
        device: where.

    Raises:
        TrainingError: the machine has too little memory for it.
    """

    def __init__(
        self, model: ModelConfig, training: TrainingConfig, corpus: Corpus, device: torch.device
    ) -> None:
        if device.type == "cpu":
            memory.check(model, training)
        self.config = training
        self.corpus = corpus
        initial = torch.Generator().manual_seed(training.seed)
        dropout = Dropout(
            training.dropout,
            training.input_dropout,
            training.embedding_dropout,
            training.weight_drop,
            training.variational,
        )
        self.network = Network(model, initial, dropout).to(device)
        counts = torch.bincount(corpus.train, minlength=model.vocab_size)
        self.network.expect(counts)
        large = model.vocab_size >= SAMPLED_FROM
        self._sampled = SampledSoftmax(counts, training.batch * training.bptt) if large else None
        self.network.dropout_generator = torch.Generator(device).manual_seed(training.seed)
        self.optimizer = Optimizer(self.network, training.clip, training.weight_decay)
        sizes = (training.batch, training.bptt, training.seed)
        self.streams = (
            Streams(corpus.train, *sizes)
            if corpus.train_ends is None
            else DocumentStreams(corpus.train, corpus.train_ends, *sizes)
        )
        self.hidden = self.network.zero_state(training.batch)
        self.device = device
        self.step = 0
        self.rate = training.lr  # the schedule's peak; smaller after a return from divergence
        self.skipped = 0  # in a row
        self.seconds = 0.0
        self.loss = math.nan  # nats per token, running average
        self.clipped = 0.0  # share of updates, running average
        self.validated_at = 0
        self.val_tokens = 0  # looked at in each validation but the last
        self.keeper = Keeper()
        by_epochs = training.epochs and math.ceil(training.epochs * self.steps_per_epoch)
        limits = [limit for limit in (by_epochs, training.steps) if limit]
        self.limit = min(limits) if limits else None  # updates at the most
        self.steps = self.limit or FAR  # fewer, once a plan fits them to the time
        self.average: dict[str, Tensor] = {}  # of the weights after each update
        self.remember()

    @property
    def tokens_per_step(self) -> float:
        return self.streams.tokens_per_step

    @property
    def tokens(self) -> int:
        return round(self.step * self.tokens_per_step)

    @property
    def steps_per_epoch(self) -> float:
        return len(self.corpus.train) / self.tokens_per_step

    @property
    def epoch(self) -> float:
        return self.step / self.steps_per_epoch

    @property
    def progress(self) -> float:
        return self.step / self.steps

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return self.rate * schedule(self.progress)

    @property
    def best(self) -> dict[str, Tensor]:
        """The average to keep; empty before the first validation."""
        return self.keeper.kept.weights

    @property
    def best_nats(self) -> float | None:
        """What it scored, nats per character; None before the first validation."""
        return self.keeper.kept.val if math.isfinite(self.keeper.kept.val) else None

    @property
    def final_tokens(self) -> int:
        """Tokens of the held-out part scored at the end."""
        share = int(FINAL_SHARE * self.steps * self.tokens_per_step)
        return min(len(self.corpus.val), FINAL_TOKENS, max(share, self.val_tokens))

    @property
    def closing_tokens(self) -> int:
        """Tokens to read after the last step."""
        old = self.corpus.old
        transfer = tokens_read(min(TRANSFER_TOKENS, len(old.val))) if old else 0
        return len(self._candidates) * tokens_read(self.final_tokens) + transfer

    @property
    def out_of_patience(self) -> bool:
        return self.config.patience is not None and self.keeper.since_best >= self.config.patience

    @property
    def finished(self) -> bool:
        return self.step >= self.steps or self.out_of_patience

    @property
    def validation_is_due(self) -> bool:
        since = self.step - self.validated_at
        return since >= self.steps / VALIDATIONS or (self.step >= self.steps and since > 0)

    def update(self) -> float | None:
        """Train on the next window; the gradient's norm, or None if it was not finite."""
        inputs, targets, fresh = self.streams.next()
        before = self.hidden if fresh is None else emptied(self.hidden, fresh.to(self.device))
        outputs, hidden = self.network.read(inputs.to(self.device), before)
        loss = self._loss(outputs.flatten(0, 1), targets.flatten().to(self.device))
        loss.backward()  # type: ignore[no-untyped-call]
        norm = self.optimizer.step(self.lr)
        self.step += 1
        if not math.isfinite(norm):
            # A state that is not finite would stay so: start from an empty memory.
            self.hidden = self.network.zero_state(self.config.batch)
            self.skipped += 1
            return None
        self.skipped = 0
        self._update_average()
        self.hidden = [state.detach() for state in hidden]
        value = loss.item()
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value
        self.clipped += 0.02 * ((norm > self.config.clip) - self.clipped)
        return norm

    @torch.no_grad()
    def _update_average(self) -> None:
        """Add the present weights to the average, in which the older ones fade.

        Polynomial decay, Shamir & Zhang 2013, arXiv:1212.1824: whatever the number of steps, an
        average over the last part of them, which predicts better the higher the rate still is.
        """
        weights = self.network.parameters_by_name()
        if not self.average:
            self.average = checkpoint.clone(weights)
        share = (AVERAGED + 1) / (AVERAGED + self.step)
        for name, weight in weights.items():
            self.average[name].lerp_(weight, min(1.0, share))

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token of outputs [N, H] for targets [N], those below 0 left out."""
        layer = self.network.output
        if self._sampled:
            meant = targets >= 0
            return self._sampled.loss(
                outputs[meant], targets[meant], layer, self.network.dropout_generator
            )
        return F.cross_entropy(layer(outputs), targets)

    def validate(
        self, at_once: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> Score | None:
        """Score places of the held-out part; keep the average unless it is worse.

        The places are always the same, so that what counts is the standard error of the difference
        at each of them, which is far less than that of a score.

        Args:
            at_once: entered while the text is scored, which changes nothing.

        Returns:
            The score; None if nothing was held out.
        """
        if not self.val_tokens:
            between = self.steps / VALIDATIONS * self.tokens_per_step
            self.val_tokens = min(max(1024, int(between * VALIDATION_SHARE)), len(self.corpus.val))
        average = self._weights(best=False)
        with at_once():
            losses = self._losses(average, self.corpus, self.val_tokens)
            reference = self.keeper.reference
            same_places = losses and reference and len(reference.nats) == len(losses.nats)
            if self.best and not same_places:  # resumed from an older file
                reference = self._losses(self.best, self.corpus, self.val_tokens)
        self.validated_at = self.step
        score = self._score(losses, self.corpus)
        val = score.nats if score else math.inf
        self.keeper.consider(Candidate(dict(average), self.step, val, self.loss), losses, reference)
        return score

    @property
    def _candidates(self) -> list[Candidate]:
        """What may be the weights to keep, the oldest first.

        Only one where the scores on the way have read all that the last one reads.
        """
        keeper = self.keeper
        if not self.best or self.val_tokens >= self.final_tokens:
            return [keeper.kept]
        found = {some.step: some for some in (keeper.lowest, keeper.kept)}
        if self.validated_at == self.step not in found and math.isfinite(keeper.last_val):
            found[self.step] = Candidate(self.average, self.step, keeper.last_val, self.loss)
        return [*found.values()]

    def final_score(self) -> Score | None:
        """Score the held-out part, as much as is affordable; keep the last candidate not worse.

        Returns:
            The kept weights' score; None if nothing was held out.
        """

        def losses_of(some: Candidate) -> Losses | None:
            return self._losses(some.weights or self._weights(), self.corpus, self.final_tokens)

        scored = [(some, losses_of(some)) for some in self._candidates]
        known = [(some, losses) for some, losses in scored if losses]
        return self._score(self.keeper.choose(known), self.corpus) if known else None

    def old_score(self) -> float | None:
        """Nats per character of the weights to keep on an earlier run's held-out text, if known."""
        old = self.corpus.old
        losses = self._losses(self._weights(), old, TRANSFER_TOKENS) if old else None
        score = self._score(losses, old) if old else None
        return score.nats if score else None

    def new_score(self) -> float | None:
        """The same on this run's held-out text, before the first step."""
        losses = self._losses(self._weights(), self.corpus, TRANSFER_TOKENS)
        score = self._score(losses, self.corpus)
        return score.nats if score else None

    @staticmethod
    def _score(losses: Losses | None, corpus: Corpus) -> Score | None:
        """The score per character that these losses of the corpus's held-out part give."""
        if losses is None:
            return None
        error = losses.error * len(corpus.val) / corpus.val_chars
        known = error if math.isfinite(error) else None
        return Score(corpus.nats_per_char(losses.mean), known, losses.few)

    def _losses(self, weights: Mapping[str, Tensor], corpus: Corpus, tokens: int) -> Losses | None:
        """The losses on places of the held-out part with these weights; None if there is none."""
        if not len(corpus.val):
            return None
        present = checkpoint.clone(self.network.parameters_by_name())
        try:  # it may be interrupted
            self.network.load(weights)
            if corpus.val_ends is not None:
                return evaluate_documents(self.network, corpus.val, corpus.val_ends, tokens)
            return evaluate(self.network, corpus.train, corpus.val, tokens)
        finally:
            self.network.load(present)
            self.network.train()

    @property
    def sound(self) -> bool:
        """Whether every number is finite, so that it may be saved."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.state()[0].values())

    def remember(self) -> None:
        """Keep a copy of everything, to go back to if training diverges."""
        tensors, values = self.state()
        # The candidates' weights are replaced, never changed: they need no copy.
        shared = {n: t for n, t in tensors.items() if n.startswith(("best.", "lowest."))}
        if self.keeper.kept.step == self.step:
            shared |= checkpoint.nest("average", self.best)
        changing = {name: tensor for name, tensor in tensors.items() if name not in shared}
        self._remembered: State = {}, {}  # the old copies go before new ones come
        self._remembered = checkpoint.clone(changing) | shared, values

    def go_back(self) -> None:
        """Return to what was last remembered, with half the rate of now.

        To the average: it was found good, and smooths over weights that diverge already.
        """
        tensors, values = self._remembered
        now = {"rate": self.rate / 2, "seconds": self.seconds, "steps": self.steps}
        self.restore(tensors, values | now)
        self.network.load(self._weights(best=False))

    def weights(self, best: bool = True) -> dict[str, Array]:
        """The best average, or the present one: also while nothing has been validated."""
        chosen = self._weights(best)
        return {name: weight.detach().cpu().numpy() for name, weight in chosen.items()}

    def _weights(self, best: bool = True) -> Mapping[str, Tensor]:
        """As `weights`; the network's own before the first update."""
        return (best and self.best) or self.average or self.network.parameters_by_name()

    # The type of each, the least and the most that it can be; see checkpoint.check_number.
    SCALARS: ClassVar[dict[str, Bounds]] = {
        "step": (int, 0, checkpoint.MOST_STEPS),
        "steps": (int, 0, checkpoint.MOST_STEPS),
        "rate": (float, 0, 1e300),
        "skipped": (int, 0, checkpoint.MOST_STEPS),
        "seconds": (float, 0, 1e300),
        "loss": (float, -math.inf, math.inf),
        "clipped": (float, 0, 1),
        "validated_at": (int, 0, checkpoint.MOST_STEPS),
        "val_tokens": (int, 0, 2**62),
    }

    def state(self) -> State:
        """All that a resume needs, as tensors and JSON values."""
        kept, told = self.keeper.state()
        tensors = (
            checkpoint.nest("network", self.network.parameters_by_name())
            | checkpoint.nest("average", self.average)
            | kept
            | checkpoint.nest("optimizer", self.optimizer.state())
            | checkpoint.nest("hidden", {str(i): h for i, h in enumerate(self.hidden)})
            | {"dropout_generator": self.network.dropout_generator.get_state()}
        )
        values = told | {name: getattr(self, name) for name in self.SCALARS}
        values |= {"position": self.streams.position, "training": asdict(self.config)}
        return tensors, values

    def check(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Find out whether a file holds what `restore` needs.

        Raises:
            ValueError, KeyError, RuntimeError: it does not; the message names what is wrong.
        """
        mine, _ = self.state()
        shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in mine.items()}
        # None before the first update or validation; no lowest ones where they are the best.
        for group in ("average", "best", "lowest"):
            if checkpoint.under(group, tensors):
                network = checkpoint.under("network", mine)
                shapes |= {f"{group}.{n}": (t.shape, t.dtype) for n, t in network.items()}
        self.keeper.check(tensors, values)
        reference = {f"reference.{name}" for name in Losses._fields}
        shapes |= {n: (t.shape, t.dtype) for n, t in tensors.items() if n in reference}
        if {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} != shapes:
            raise ValueError("its tensors are not those of its network")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("it holds values that are not finite")
        for name, tensor in tensors.items():  # the optimizer takes roots of variances
            positive = name.startswith(("optimizer.updates", "optimizer.variance."))
            if positive and not bool(((tensor >= 0) & (tensor <= checkpoint.MOST_STEPS)).all()):
                raise ValueError(f"its {name} cannot be")
        for name, bounds in self.SCALARS.items():
            checkpoint.check_number(name, values[name], *bounds)
        checkpoint.check_number("position", values["position"], int, 0, checkpoint.MOST_STEPS)
        torch.Generator(self.device).set_state(tensors["dropout_generator"])

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go back to what `state` told; the plan stays if it came from the same limits."""
        planned = self.steps
        self.network.load(checkpoint.under("network", tensors))
        average = checkpoint.under("average", tensors)
        self.average = {name: t.to(self.device, copy=True) for name, t in average.items()}
        self.keeper.restore(tensors, values)
        self.optimizer.restore(checkpoint.under("optimizer", tensors))
        hidden = checkpoint.under("hidden", tensors)
        self.hidden = [hidden[str(i)].to(self.device) for i in range(len(self.hidden))]
        self.network.dropout_generator.set_state(tensors["dropout_generator"])
        self.streams.position = values["position"]
        for name in self.SCALARS:
            setattr(self, name, values[name])
        if values["training"] != asdict(self.config):
            self.steps = planned
        self.remember()
