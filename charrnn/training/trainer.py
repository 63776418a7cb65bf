"""A network in training: all of its state, changed by one update at a time."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charrnn.arrays import Array
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.network.ngrams import Ngrams
from charrnn.training import checkpoint, devices, held_out, memory, ngram_counts
from charrnn.training.checkpoint import MOST_STEPS
from charrnn.training.corpus import Corpus
from charrnn.training.held_out import Score
from charrnn.training.keeping import Candidate, Keeper
from charrnn.training.lockstep import Action, announce, gather, share_state
from charrnn.training.mixing import MixFit
from charrnn.training.progress import Progress
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.replica import Replica
from charrnn.training.validation import Losses

VALIDATIONS = 20  # validations in a training, evenly spaced; not tuned
VALIDATION_SHARE = 0.1  # tokens of a validation per token trained since the last; not tuned
RECORDS_SHARE = 0.3  # the same for records, of which only the targets count; not tuned
VALIDATION_TOKENS = 1024  # minimum tokens of a validation; not tuned
FINE_TUNING_TOKENS = 1 << 16  # tokens of each text scored before and after fine-tuning; not tuned
AVERAGED = 8  # eta of the weights' average, which covers about the last ninth of the steps
# Bytes of the state of torch's generators, on a CPU and on a GPU.
GENERATORS = torch.Size([5056]), torch.Size([16])
DECAY = 0.02  # weight of the newest value in the running averages of loss and clipping; not tuned

State = tuple[dict[str, Tensor], dict[str, Any]]  # tensors and JSON values


class Trainer(Replica):
    """The replica that leads: it validates, keeps the best weights, and can be saved and restored.

    Args:
        model: configuration of the network.
        training: configuration of the training.
        corpus: the text to train on.
        device: the device that computes.
        ngrams: n-grams to mix the network with; by default those of the text.
        old_ngrams: n-grams of the model that is fine-tuned.
        ranks: the processes that train together; the others are in `lockstep.follow`.

    Attributes:
        average: average of the weights after each update, by name; empty before the first one.
        ngrams: the n-grams that the network is mixed with; None for none.

    Raises:
        TrainingError: the machine has too little memory for it.
    """

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        corpus: Corpus,
        device: torch.device,
        ngrams: Ngrams | None = None,
        old_ngrams: Ngrams | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        memory.check(model, training, device)
        super().__init__(model, training, corpus, device, ranks)
        self.keeper = Keeper()
        self.average: dict[str, Tensor] = {}
        if model.ngram_order and not ngrams:
            size, order = model.vocab_size, model.ngram_order
            ngrams = ngram_counts.of_corpus(corpus, size, order, training.seconds)
        self.ngrams = ngrams
        self._old_ngrams = old_ngrams
        self.remember()

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return round(self.step * self.tokens_per_step)

    @property
    def epoch(self) -> float:
        """Epochs trained so far."""
        return self.step / self.steps_per_epoch

    @property
    def best(self) -> dict[str, Tensor]:
        """The averaged weights to keep, by name; empty before the first validation."""
        return self.keeper.kept.weights

    @property
    def best_nats(self) -> float | None:
        """Validation loss of `best`, nats per character; None before the first validation."""
        return self.keeper.kept.val if math.isfinite(self.keeper.kept.val) else None

    @property
    def out_of_patience(self) -> bool:
        """Whether the last `config.patience` validations were no better."""
        return self.config.patience is not None and self.keeper.since_best >= self.config.patience

    @property
    def finished(self) -> bool:
        """Whether no update is left to make."""
        return self.step >= self.progress.steps or self.out_of_patience

    @property
    def validation_is_due(self) -> bool:
        """Whether a validation comes before the next update, or after the last one."""
        steps = self.progress.steps
        since = self.step - self.progress.validated_at
        return since >= steps / VALIDATIONS or (self.step >= steps and since > 0)

    @property
    def updates_until_due(self) -> int:
        """Number of updates until a validation is due."""
        steps = self.progress.steps
        since = self.step - self.progress.validated_at
        return min(math.ceil(steps / VALIDATIONS - since), steps - self.step)

    def update(self, count: int = 1) -> float | None:
        """Train on the next batches.

        Args:
            count: number of updates; their results are read after the last one.

        Returns:
            The largest finite norm of the gradients before clipping; None if that of the last
            update was not finite, so that its gradient was not used.
        """
        announce(self, Action.UPDATE, count)
        results: list[Tensor] = []  # of each update, the loss and the norm
        for batch in self.batches(count):
            results += self.learn(batch)
            self._update_average()
        read: list[float] = torch.stack(results).tolist()
        losses, norms = read[::2], read[1::2]
        for loss, norm in zip(losses, norms, strict=True):
            self._record(loss, norm)
        known = [norm for norm in norms if math.isfinite(norm)]
        return None if self.progress.skipped else max(known)

    def _record(self, loss: float, norm: float) -> None:
        """Record the loss of an update, nats per token, and the norm of its gradient."""
        progress = self.progress
        if not math.isfinite(norm):
            progress.skipped += 1
            return
        progress.skipped = 0
        known = not math.isnan(progress.loss)
        progress.loss = (1 - DECAY) * progress.loss + DECAY * loss if known else loss
        progress.clipped += DECAY * ((0 < self.config.clip < norm) - progress.clipped)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Add the present weights to the average, in which older ones decay.

        Polynomial decay, Shamir & Zhang 2013, arXiv:1212.1824: an average over the last part of
        the steps, whatever their number. It helps most while the learning rate is high.
        """
        weights = self.network.parameters_by_name()
        if not self.average:
            self.average = checkpoint.clone(weights)
        share = (AVERAGED + 1) / (AVERAGED + self.step)
        for name, weight in weights.items():
            self.average[name].lerp_(weight, min(1.0, share))

    def validate(
        self, at_once: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> Score | None:
        """Score passages of the held-out part; keep the average unless it is worse.

        The passages are always the same, so that validations are compared by the standard error of
        their difference, which is far smaller than that of a score.

        Args:
            at_once: entered while the text is scored, which changes nothing.

        Returns:
            The score; None if nothing is held out.
        """
        progress = self.progress
        if not progress.val_tokens:
            share = RECORDS_SHARE if self.corpus.kind == "records" else VALIDATION_SHARE
            trained = int(share * (progress.steps / VALIDATIONS * self.tokens_per_step))
            progress.val_tokens = min(max(VALIDATION_TOKENS, trained), len(self.corpus.val))
        average = self.weight_tensors(best=False)
        fit = MixFit(self.network.config.ngram_order)
        with at_once():
            losses = self.losses(average, self.corpus, progress.val_tokens, fit)
            reference = self.keeper.reference
            same_passages = losses and reference and len(reference.nats) == len(losses.nats)
            if self.best and not same_passages:  # resumed from an older file
                reference = self.losses(self.best, self.corpus, progress.val_tokens)
        progress.validated_at = progress.step
        if self.ngrams:
            self.network.mix.copy_(fit.step(self.network.mix))
            average["mix"].copy_(self.network.mix)
        score = Score.of(losses, self.corpus)
        val = score.nats if score else math.inf
        candidate = Candidate(dict(average), progress.step, val, progress.loss)
        self.keeper.consider(candidate, losses, reference)
        return score

    def fine_tuning_nats(self, corpus: Corpus | None) -> float | None:
        """Score FINE_TUNING_TOKENS held-out tokens of a corpus, the old or the new one.

        Returns:
            Loss of the best weights, nats per character, before the first update of the model that
            is fine-tuned; None if there are no such tokens.
        """
        if not corpus:
            return None
        ngrams = self.ngrams if self.step else self._old_ngrams
        some = held_out.losses(
            self.network, self.weight_tensors(), ngrams, corpus, FINE_TUNING_TOKENS
        )
        score = Score.of(some, corpus)
        return score.nats if score else None

    def losses(
        self,
        weights: Mapping[str, Tensor],
        corpus: Corpus,
        tokens: int,
        fit: MixFit | None = None,
    ) -> Losses | None:
        """Return the losses of held-out tokens under these weights; see `held_out.losses`."""
        return held_out.losses(self.network, weights, self.ngrams, corpus, tokens, fit)

    @property
    def sound(self) -> bool:
        """Whether every tensor is finite, so that the state may be saved."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.state()[0].values())

    def remember(self) -> None:
        """Copy the whole state, to go back to if training diverges."""
        tensors, values = self.state()
        # The candidates' weights are replaced, never changed: they need no copy.
        shared = {n: t for n, t in tensors.items() if n.startswith(("best.", "lowest."))}
        if self.keeper.kept.step == self.step:
            shared |= checkpoint.nest("average", self.best)
        changing = {name: tensor for name, tensor in tensors.items() if name not in shared}
        self._remembered: State = {}, {}  # frees the old copies before copying
        self._remembered = checkpoint.clone(changing) | shared, values

    def go_back(self) -> None:
        """Restore the state last remembered, with half of the present learning rate.

        The weights are reset to the average: it was validated, and smooths out divergence.
        """
        tensors, values = self._remembered
        rate, seconds, steps = self.progress.rate / 2, self.progress.seconds, self.progress.steps
        tensors = tensors | checkpoint.nest("network", checkpoint.under("average", tensors))
        self.restore(tensors, values | {"rate": rate, "seconds": seconds, "steps": steps})

    def weights(self, best: bool = True) -> dict[str, Array]:
        """Return the weights by name, float32; not copied if the network is on the CPU.

        Args:
            best: whether to take the best average once there is one, or the present average.
        """
        chosen = self.weight_tensors(best)
        return {name: weight.detach().cpu().numpy() for name, weight in chosen.items()}

    def weight_tensors(self, best: bool = True) -> Mapping[str, Tensor]:
        """Like `weights`, as tensors; the network's own weights before the first update."""
        return (best and self.best) or self.average or self.network.parameters_by_name()

    def state(self) -> State:
        """Return all that a resume needs; the tensors are not copied."""
        kept, values = self.keeper.state()
        tensors = (
            checkpoint.nest("network", self.network.parameters_by_name())
            | checkpoint.nest("average", self.average)
            | kept
            | checkpoint.nest("optimizer", self.optimizer.state())
            | checkpoint.nest("hidden", {str(i): h for i, h in enumerate(self._whole_hidden())})
            | {"dropout_generator": self.network.dropout_generator.get_state()}
        )
        position = {"position": self.streams.position, "training": asdict(self.config)}
        return tensors, values | asdict(self.progress) | position

    def _whole_hidden(self) -> list[Tensor]:
        """Return the states of all streams, for each layer [S, B, H]."""
        if self.ranks.size == 1:
            return self.hidden
        announce(self, Action.GATHER)
        return gather(self)

    def share_state(self, hidden: list[Tensor]) -> None:
        """Give the other processes this state, and each its part of the streams' states.

        Args:
            hidden: the states of all streams, for each layer [S, B, H].
        """
        announce(self, Action.RESTORE)
        share_state(self, hidden)

    def check(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Check that a resume file holds what `restore` needs.

        Raises:
            ValueError: a value or tensor is wrong; the message names it.
            KeyError: a value or tensor is missing.
            RuntimeError: the state of the random generator is wrong.
        """
        mine, _ = self.state()
        shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in mine.items()}
        # Missing before the first update or validation; "lowest" also if it equals "best".
        for group in ("average", "best", "lowest"):
            if checkpoint.under(group, tensors):
                network = checkpoint.under("network", mine)
                shapes |= {f"{group}.{n}": (t.shape, t.dtype) for n, t in network.items()}
        self.keeper.check(tensors, values)
        reference = {f"reference.{name}" for name in Losses._fields}
        shapes |= {n: (t.shape, t.dtype) for n, t in tensors.items() if n in reference}
        state = tensors["dropout_generator"]
        if state.dtype == torch.uint8 and state.shape in GENERATORS:
            shapes["dropout_generator"] = (state.shape, state.dtype)
        if {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} != shapes:
            raise ValueError("its tensors do not match its network")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("it holds values that are not finite")
        for name, tensor in tensors.items():  # the optimizer takes roots of variances
            positive = name.startswith(("optimizer.updates", "optimizer.variance."))
            if positive and not bool(((tensor >= 0) & (tensor <= MOST_STEPS)).all()):
                raise ValueError(f"its {name} is wrong")
        Progress.check(values)
        checkpoint.check_number("position", values["position"], int, 0, MOST_STEPS)
        self._restore_generator(state, devices.generator(self.device, 0))

    def _restore_generator(self, state: Tensor, generator: torch.Generator | None = None) -> None:
        """Restore the state of the dropout masks' generator, or of another one.

        One that was saved on another kind of device means nothing here: it is seeded anew.
        """
        generator = generator or self.network.dropout_generator
        if state.shape == generator.get_state().shape:
            generator.set_state(state)
        else:
            seed = np.random.SeedSequence([self.config.seed, self.step])
            generator.manual_seed(int(seed.generate_state(1)[0]))

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Restore what `state` returned, but plan the steps anew if the configuration differs."""
        planned = self.progress.steps
        self.network.load(checkpoint.under("network", tensors))
        average = checkpoint.under("average", tensors)
        self.average = {name: t.to(self.device, copy=True) for name, t in average.items()}
        weights = ("best.", "lowest.")
        there = {n: t.to(self.device) for n, t in tensors.items() if n.startswith(weights)}
        self.keeper.restore(tensors | there, values)
        self.optimizer.restore(checkpoint.under("optimizer", tensors))
        hidden = checkpoint.under("hidden", tensors)
        self.streams.position = values["position"]
        self.share_state([hidden[str(i)].to(self.device) for i in range(len(self.hidden))])
        self.progress = Progress.of(values)
        self._restore_generator(tensors["dropout_generator"])
        if TrainingConfig(**values["training"]) != self.config:  # older files lack newer fields
            self.progress.steps = planned
        self.remember()
