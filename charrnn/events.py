"""Events of a training run: shown as progress, kept in log.jsonl, printed with --json.

Losses are in nats per character, comparable across tokenizers. `step` counts optimizer steps
from the start of the run; `seconds` is the training time so far.
"""

from dataclasses import asdict, dataclass
from typing import Any

DIVERGED = "training diverges at every learning rate"  # why such a training stops
LINE_SECONDS = 10.0  # seconds between lines of progress without a terminal (not tuned)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in training."""

    def to_json(self) -> dict[str, Any]:
        """Return the name of the event and its fields."""
        return {"event": type(self).__name__.lower()} | asdict(self)


@dataclass(frozen=True, slots=True)
class Start(Event):
    """Training starts or resumes, with these choices.

    Attributes:
        run: path of the run folder.
        device: the device that trains, as torch names it.
        model: the fields of its ModelConfig.
        training: the fields of its TrainingConfig.
        speed: measured speed of the machine, see training.recipe.speed; None if not measured.
        command: command line that makes the same choices on any machine; None for a resumed run.
        train_records: number of records to train on; None for other corpora.
        val_records: number of records that are held out.
        processes: number of processes that train.
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
    train_records: int | None = None
    val_records: int | None = None
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Plan(Event):
    """Number of steps that fit the time budget, estimated from the throughput so far."""

    steps: int
    epochs: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Step(Event):
    """Progress, about once a second; None stands for what is not known yet.

    Attributes:
        steps: steps planned.
        epoch: epochs of the training part so far.
        loss: running average of the training loss.
        norm: largest gradient norm since the last such event, before clipping.
        clipped: share of recent updates whose gradient was clipped.
        seconds_left: estimated time to the end.
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
        threads: threads that each step uses from now on.
        step_seconds: median duration of a step with them.
    """

    step: int
    threads: int
    step_seconds: float


@dataclass(frozen=True, slots=True)
class Replay(Event):
    """Steps are replayed as a CUDA graph from now on, which was measured to be faster.

    Attributes:
        faster: how many times as fast they are.
    """

    step: int
    faster: float


@dataclass(frozen=True, slots=True)
class Skip(Event):
    """A step was skipped because its gradient was not finite."""

    step: int


@dataclass(frozen=True, slots=True)
class Rollback(Event):
    """Training diverged at `step` and went back to `back_to` with a smaller peak learning rate.

    Attributes:
        norm: largest finite gradient norm since the last Step event, before clipping; None if there
            was none.
    """

    step: int
    back_to: int
    lr: float
    norm: float | None = None


@dataclass(frozen=True, slots=True)
class Validation(Event):
    """A score on evenly spread samples of the held-out text.

    Attributes:
        val_nats: validation loss.
        best: whether these weights are kept, as none before is better by more than the standard
            error of the difference.
        val_error: standard error of `val_nats`; None if too little was scored to tell.
        val_part: share of the held-out text that was scored.
    """

    step: int
    epoch: float
    seconds: float
    val_nats: float
    best: bool
    val_error: float | None = None
    val_part: float = 1.0


@dataclass(frozen=True, slots=True)
class Few(Event):
    """Too little text is held out to select weights by it, so the last ones are kept."""

    step: int
    val_chars: int


@dataclass(frozen=True, slots=True)
class Overfit(Event):
    """Overfitting: since `best_step` validation loss rises while training loss falls."""

    step: int
    val_nats: float
    best_nats: float
    best_step: int


@dataclass(frozen=True, slots=True)
class FineTuning(Event):
    """Scores of a fine-tuned network on both held-out texts.

    Attributes:
        old_nats: loss on the text of the first run; None if that text is not available.
        new_nats: loss on the text of this run; None if nothing was held out.
    """

    step: int
    old_nats: float | None
    new_nats: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields under "transfer", the name that the format demands."""
        return Event.to_json(self) | {"event": "transfer"}


@dataclass(frozen=True, slots=True)
class Sample(Event):
    """A text that the network wrote."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Save(Event):
    """The run was saved."""

    step: int


@dataclass(frozen=True, slots=True)
class Unsaved(Event):
    """Saving failed because of `why`; the files saved before are intact, and training continues."""

    step: int
    why: str


@dataclass(frozen=True, slots=True)
class Stop(Event):
    """Training ended early because of `why`: an interrupt or early stopping."""

    step: int
    why: str


@dataclass(frozen=True, slots=True)
class Done(Event):
    """Training is finished: final figures, of the best model.

    Attributes:
        val_nats: loss on the held-out text; None if nothing was held out.
        val_bpc: that loss in bits per character.
        val_bpb: that loss in bits per byte of UTF-8.
        val_part: share of the held-out text that was scored, evenly spread.
        tokens: tokens trained on.
        keys_saved: share of keystrokes that three suggestions save, simulated on held-out text;
            None if too few words were typed.
        keys_saved_by_trigrams: that share with the trigram baseline alone.
        new_items: share of generated lines that are not in the training text; None unless the
            corpus consists of lines.
        val_error: standard error of `val_nats`; None if too little was scored to tell.
        best_step: step of the best model.
        words_typed: words that the simulated typist typed.
        exact: share of held-out records whose target is predicted exactly; None for other corpora.
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
    exact: float | None = None
