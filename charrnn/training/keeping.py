"""Chooses the weights to keep: those of the last validation that was not worse than the best."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from charrnn.training import checkpoint
from charrnn.training.checkpoint import Bounds
from charrnn.training.validation import BLOCKS, Losses

OVERFITTING = 0.01  # rise above the best validation loss at which a hint is shown; not tuned
WORSE = 3  # consecutive worse validations that call for that hint; not tuned


class Candidate(NamedTuple):
    """Weights that may be kept.

    Attributes:
        weights: averaged weights, by name.
        step: the step after which they were validated.
        val: their validation loss, nats per character.
        loss: running average of the training loss at that step, nats per token.
    """

    weights: dict[str, Tensor]
    step: int
    val: float
    loss: float


NO_CANDIDATE = Candidate({}, 0, math.inf, math.nan)


class Keeper:
    """Compares validations of the same tokens by the standard error of their difference.

    Attributes:
        kept: the last candidate that was not worse than `lowest`.
        lowest: the last candidate significantly better than the previous `lowest`; comparing with
            it reveals small rises that add up.
        reference: losses of `lowest`; None before the first validation.
        last_val: the last validation loss, nats per character.
        since_best: number of validations since the last better one.
        worse: number of consecutive worse validations.
        told_overfitting: whether `begins_to_overfit` has returned True.
    """

    # Attributes, and fields of both candidates, in the resume file.
    NUMBERS: ClassVar[dict[str, Bounds]] = {
        "last_val": (float, -math.inf, math.inf),
        "since_best": (int, 0, checkpoint.MOST_STEPS),
        "worse": (int, 0, checkpoint.MOST_STEPS),
        "told_overfitting": (bool, 0, 1),
    }
    CANDIDATE: ClassVar[dict[str, Bounds]] = {
        "step": (int, 0, checkpoint.MOST_STEPS),
        "val": (float, -math.inf, math.inf),
        "loss": (float, -math.inf, math.inf),
    }

    def __init__(self) -> None:
        self.kept = self.lowest = NO_CANDIDATE
        self.reference: Losses | None = None
        self.last_val = math.inf
        self.since_best = 0
        self.worse = 0
        self.told_overfitting = False

    def consider(
        self, candidate: Candidate, losses: Losses | None, reference: Losses | None
    ) -> None:
        """Keep a copy of the candidate unless it is worse.

        Args:
            candidate: the weights that were validated; copied if they are kept.
            losses: their losses; None if nothing is held out.
            reference: losses of `lowest` on the same tokens; None before the first validation.
        """
        self.last_val, self.reference = candidate.val, reference
        if losses and reference:
            order = losses.compare(reference)
        else:
            order = -1 if not losses or math.isfinite(losses.mean) else 1
        if order <= 0:
            self.kept = candidate._replace(weights=checkpoint.clone(candidate.weights))
        if order < 0:
            self.lowest, self.reference = self.kept, losses
        no_better = order > 0 or (order == 0 and not (losses and losses.few))
        self.since_best = self.since_best + 1 if no_better else 0
        self.worse = self.worse + 1 if order > 0 else 0

    def begins_to_overfit(self, loss: float) -> bool:
        """Return True once, when validations get worse while the training loss improves.

        Args:
            loss: running average of the training loss, nats per token.
        """
        if (
            self.told_overfitting
            or self.worse < WORSE
            or self.last_val < self.kept.val * (1 + OVERFITTING)
            or loss > self.kept.loss
        ):
            return False
        self.told_overfitting = True
        return True

    def choose(self, scored: Sequence[tuple[Candidate, Losses]]) -> Losses:
        """Keep the last candidate that is not worse than the best one.

        Args:
            scored: at least one candidate with its losses on the same tokens; the oldest first.

        Returns:
            The losses of the candidate that is kept.
        """
        lowest = min((losses for _, losses in scored), key=lambda losses: losses.mean)
        good = [one for one in scored if one[1] is lowest or one[1].compare(lowest) <= 0]
        chosen, losses = good[-1]
        if chosen.step != self.kept.step:
            self.kept = chosen._replace(weights=checkpoint.clone(chosen.weights))
        return losses

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what `restore` needs, as tensors and JSON values; the tensors are not copied."""
        same = self.lowest.step == self.kept.step
        tensors = (
            checkpoint.nest("best", self.kept.weights)
            | checkpoint.nest("lowest", {} if same else self.lowest.weights)
            | checkpoint.nest("reference", self.reference._asdict() if self.reference else {})
        )
        values = {name: getattr(self, name) for name in self.NUMBERS}
        for name in self.CANDIDATE:
            values[f"best_{name}"] = getattr(self.kept, name)
            values[f"lowest_{name}"] = getattr(self.lowest, name)
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Restore what `state` returned; a file may hold more, and an older one less."""
        values = self._completed(values)

        def candidate(which: str) -> Candidate:
            saved = {name: values[f"{which}_{name}"] for name in self.CANDIDATE}
            return Candidate(checkpoint.under(which, tensors), **saved)

        self.kept, lowest = candidate("best"), candidate("lowest")
        self.lowest = lowest if lowest.weights else lowest._replace(weights=self.kept.weights)
        reference = checkpoint.under("reference", tensors)
        self.reference = Losses(**reference) if reference else None
        for name in self.NUMBERS:
            setattr(self, name, values[name])

    def check(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Check that a file holds what `restore` needs; the caller checks the weights' shapes.

        Raises:
            ValueError: a value or tensor is wrong; the message names it.
            KeyError: a value or tensor is missing.
        """
        if reference := checkpoint.under("reference", tensors):
            nats, tokens = (reference[name] for name in Losses._fields)
            alike = nats.shape == tokens.shape and nats.dtype == tokens.dtype == torch.float64
            if not alike or nats.dim() != 1 or not 1 <= len(nats) <= BLOCKS or (tokens < 1).any():
                raise ValueError("its validation losses are invalid")
        values = self._completed(values)
        bounds = dict(self.NUMBERS)
        for which in ("best", "lowest"):
            bounds |= {f"{which}_{name}": each for name, each in self.CANDIDATE.items()}
        for name, each in bounds.items():
            checkpoint.check_number(name, values[name], *each)

    def _completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of a file, with defaults for those that older files lack."""
        best = {f"lowest_{name}": values[f"best_{name}"] for name in self.CANDIDATE}
        return best | {"last_val": math.inf, "worse": 0} | values
