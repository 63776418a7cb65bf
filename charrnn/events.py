"""What training tells while it runs: drawn by ui.py, kept in log.jsonl, printed with --json.

Losses are in nats per character of text, so that they compare across levels.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    def to_json(self) -> dict[str, Any]:
        return {"event": type(self).__name__.lower()} | asdict(self)


@dataclass(frozen=True, slots=True)
class Start(Event):
    """Training begins or goes on: what was chosen.

    Attributes:
        speed: of the machine when the choices were made, see training.choices.speed; None if it
            was not measured.
        command: a command line that makes the same choices, whatever the machine's speed; None for
            a run that goes on.
    """

    run: str
    step: int
    device: str
    level: str
    train_chars: int
    val_chars: int
    train_tokens: int
    parameters: int
    model: dict[str, Any]
    training: dict[str, Any]
    speed: float | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Plan(Event):
    """How many steps fit the time, from the throughput measured so far."""

    steps: int
    epochs: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Step(Event):
    """About once a second.

    `loss` is the running average over the training text, `norm` the largest of the gradient's
    since the last event, before clipping, `clipped` the share of recent updates that were;
    None is what is not known yet.
    """

    step: int
    steps: int | None
    epoch: float
    loss: float
    norm: float
    clipped: float
    lr: float
    tokens_per_second: float | None
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Threads(Event):
    """Another number of threads was measured to be faster.

    Attributes:
        threads: that each step uses from now on.
        step_seconds: that a step took with them, median of some.
    """

    step: int
    threads: int
    step_seconds: float


@dataclass(frozen=True, slots=True)
class Skip(Event):
    """An update was left out because its gradient was not finite."""

    step: int


@dataclass(frozen=True, slots=True)
class Rollback(Event):
    """Training diverged at `step` and went back to `back_to` with a smaller peak rate."""

    step: int
    back_to: int
    lr: float


@dataclass(frozen=True, slots=True)
class Validation(Event):
    """A score on places of the held-out text.

    Attributes:
        val_error: standard error of `val_nats`; None if too little was scored to tell.
        best: whether these weights are to be kept: they are not worse than those of any earlier
            validation, by more than the standard error of the difference.
    """

    step: int
    epoch: float
    seconds: float
    val_nats: float
    best: bool
    val_error: float | None = None


@dataclass(frozen=True, slots=True)
class Few(Event):
    """Too little text is held out to choose weights by: the last ones are kept."""

    step: int
    val_chars: int


@dataclass(frozen=True, slots=True)
class Overfit(Event):
    """The held-out text is predicted worse since `best_step`, the training text better."""

    step: int
    val_nats: float
    best_nats: float
    best_step: int


@dataclass(frozen=True, slots=True)
class Transfer(Event):
    """A network from another run: how well it predicts that run's held-out text and this one's.

    `old_nats` is None if the old text is not at hand, `new_nats` if nothing was held out.
    """

    step: int
    old_nats: float | None
    new_nats: float | None


@dataclass(frozen=True, slots=True)
class Sample(Event):
    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Save(Event):
    step: int


@dataclass(frozen=True, slots=True)
class Unsaved(Event):
    """Saving failed; what was saved before is whole, and training goes on."""

    step: int
    why: str


@dataclass(frozen=True, slots=True)
class Stop(Event):
    """Training ended before its time: interrupted, or out of patience."""

    step: int
    why: str


@dataclass(frozen=True, slots=True)
class Done(Event):
    """The end: the best model's score on the held-out text (None without one).

    `val_error` is the standard error of `val_nats`, `best_step` the step of that model; `val_part`
    is the share of that text, evenly spread, that was scored; `keys_saved` the share of
    keys that three suggestions save who types some of it, `keys_saved_by_trigrams` that of the
    trigrams alone (None if too few words were typed, `words_typed`); `new_items` the share of
    lines drawn that are not in the training text (None where lines are no items).
    """

    val_nats: float | None
    val_bpc: float | None
    val_bpb: float | None
    val_part: float
    steps: int
    tokens: int
    seconds: float
    run: str
    keys_saved: float | None = None
    keys_saved_by_trigrams: float | None = None
    new_items: float | None = None
    val_error: float | None = None
    best_step: int | None = None
    words_typed: int | None = None
