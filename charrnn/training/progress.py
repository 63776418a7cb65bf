"""How far a training has come: the scalars that change, as the resume file holds them."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Self

from charrnn.training import checkpoint
from charrnn.training.checkpoint import MOST_STEPS, Bounds

UNPLANNED_STEPS = 10**9  # planned steps while the time that a step takes is unknown


def _scalar(default: float, bounds: Bounds) -> Any:
    return field(default=default, metadata={"bounds": bounds})


@dataclass(slots=True)
class Progress:
    """The scalars that change during a training; the resume file holds each under its name.

    Attributes:
        step: number of updates so far, including skipped ones.
        steps: number of updates planned.
        rate: peak learning rate of the schedule; halved when training diverges.
        skipped: number of consecutive updates skipped so far.
        seconds: time spent so far, by all commands that trained the run.
        loss: running average of the training loss, nats per token; NaN before the first update.
        clipped: running average of the share of updates whose gradient was clipped.
        validated_at: step of the last validation.
        val_tokens: held-out tokens scored by each validation but the final one.
    """

    step: int = _scalar(0, (int, 0, MOST_STEPS))
    steps: int = _scalar(UNPLANNED_STEPS, (int, 0, MOST_STEPS))
    rate: float = _scalar(0.0, (float, 0, 1e300))
    skipped: int = _scalar(0, (int, 0, MOST_STEPS))
    seconds: float = _scalar(0.0, (float, 0, 1e300))
    loss: float = _scalar(math.nan, (float, -math.inf, math.inf))
    clipped: float = _scalar(0.0, (float, 0, 1))
    validated_at: int = _scalar(0, (int, 0, MOST_STEPS))
    val_tokens: int = _scalar(0, (int, 0, 2**62))

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Return the scalars among the values of a resume file."""
        return cls(**{scalar.name: values[scalar.name] for scalar in fields(cls)})

    @classmethod
    def check(cls, values: dict[str, Any]) -> None:
        """Check the scalars among the values of a resume file; see `Trainer.check`."""
        for scalar in fields(cls):
            checkpoint.check_number(scalar.name, values[scalar.name], *scalar.metadata["bounds"])
