"""The training loop: yields what happens; ui.py draws it."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

from charrnn.errors import TrainingError
from charrnn.events import Done, Event, Plan, Sample, Save, Skip, Start, Step, Stop, Validation
from charrnn.training.optim import schedule
from charrnn.training.pace import Pace
from charrnn.training.run import Run
from charrnn.training.trainer import FAR, Trainer

TELL_SECONDS = 1.0
SAVE_SECONDS = 60.0
SKIPS = 20  # updates in a row that are not finite, before training gives up
SAMPLE_LENGTH = 240
FINAL_SAMPLE_LENGTH = 500


def train(trainer: Trainer, run: Run, began: float, stop: Callable[[], bool]) -> Iterator[Event]:
    """Train to the end of the plan and save.

    Args:
        trainer: new or restored.
        run: where it is saved, every SAVE_SECONDS and at the end.
        began: time.monotonic() when the command started.
        stop: asked after each step; True saves and ends.

    Raises:
        TrainingError: it diverged.
        RunError: the run cannot be written.
    """
    pace = Pace(trainer, began)
    yield _start(trainer, run)
    told = saved = time.monotonic()
    while not trainer.finished:
        norm = trainer.update()
        pace.tick()
        now = time.monotonic()
        if norm is None:
            yield Skip(trainer.step)
            if trainer.skipped >= SKIPS:
                raise TrainingError(
                    f"training diverged: {SKIPS} updates in a row were not finite",
                    "try again with a smaller --lr",
                )
            continue
        if now - told >= TELL_SECONDS:
            told = now
            if pace.plan():
                yield _plan(trainer, pace)
            yield _step(trainer, pace, norm)
        if trainer.validation_is_due:
            yield from _validate(trainer, run, pace)
            if not run.has_model:
                saved = -math.inf
        if now - saved >= SAVE_SECONDS:
            saved = now
            run.save(trainer)
            yield Save(trainer.step)
        if stop():
            run.save(trainer)
            yield Save(trainer.step)
            yield Stop(trainer.step, "interrupted")
            return
    if trainer.out_of_patience:
        yield Stop(trainer.step, f"no better for {trainer.since_best} validations")
    elif trainer.validated_at != trainer.step:
        yield from _validate(trainer, run, pace)
    val = trainer.final_score()
    pace.tick()
    run.save(trainer, val)
    yield Save(trainer.step)
    yield Sample(trainer.step, run.sample(trainer, FINAL_SAMPLE_LENGTH, best=True))
    yield Done(
        val_nats=val,
        val_bpc=None if val is None else val / math.log(2),
        val_part=trainer.final_tokens / max(1, len(trainer.corpus.val)),
        steps=trainer.step,
        tokens=trainer.tokens,
        seconds=trainer.seconds,
        run=str(run.path),
    )


def _start(trainer: Trainer, run: Run) -> Start:
    network = trainer.network
    return Start(
        run=str(run.path),
        step=trainer.step,
        device=str(trainer.device),
        level=trainer.corpus.tokenizer.level,
        train_chars=trainer.corpus.train_chars,
        val_chars=trainer.corpus.val_chars,
        train_tokens=len(trainer.corpus.train),
        parameters=network.config.parameters,
        model=asdict(network.config),
        training=asdict(trainer.config),
    )


def _plan(trainer: Trainer, pace: Pace) -> Plan:
    return Plan(
        steps=trainer.steps,
        epochs=trainer.steps / trainer.steps_per_epoch,
        tokens_per_second=trainer.tokens_per_step / pace.seconds_per_step,
        seconds_left=pace.seconds_left,
    )


def _step(trainer: Trainer, pace: Pace, norm: float) -> Step:
    known = pace.known
    return Step(
        step=trainer.step,
        steps=trainer.steps if trainer.steps < FAR else None,
        epoch=trainer.epoch,
        loss=trainer.loss * trainer.corpus.tokens_per_char,
        norm=norm,
        clipped=trainer.clipped,
        lr=trainer.config.lr * schedule(trainer.progress),
        tokens_per_second=trainer.tokens_per_step / pace.seconds_per_step if known else None,
        seconds=trainer.seconds,
        seconds_left=pace.seconds_left if known and trainer.steps < FAR else None,
    )


def _validate(trainer: Trainer, run: Run, pace: Pace) -> Iterator[Event]:
    before = time.monotonic()
    val = trainer.validate()
    pace.validated(trainer.val_tokens, time.monotonic() - before)
    if val is not None and not math.isfinite(val):
        raise TrainingError(
            "training diverged: the loss on the held-out text is not finite",
            "try again with a smaller --lr",
        )
    if val is not None:
        best = trainer.since_best == 0
        yield Validation(trainer.step, trainer.epoch, trainer.seconds, val, best)
    yield Sample(trainer.step, run.sample(trainer, SAMPLE_LENGTH))
