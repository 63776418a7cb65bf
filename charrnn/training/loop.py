"""The training loop: yields what happens; ui.py draws it."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

from charrnn.errors import RunError, TrainingError
from charrnn.events import (
    Done,
    Event,
    Overfit,
    Plan,
    Rollback,
    Sample,
    Save,
    Skip,
    Start,
    Step,
    Stop,
    Transfer,
    Unsaved,
    Validation,
)
from charrnn.training.pace import Pace
from charrnn.training.run import Run
from charrnn.training.trainer import FAR, Trainer

TELL_SECONDS = 1.0
SAVE_SECONDS = 60.0
SAMPLE_SECONDS = 5.0  # between two samples at the least: they come with validations
SAVE_SHARE = 0.02  # of the time at the most
SKIPS = 3  # updates in a row that are not finite, before training goes back
SMALLEST_RATE = 1 / 64  # of the configured one; a training that diverges even there is given up
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
        TrainingError: it diverges whatever the rate.
        RunError: the run cannot be written at the end.
    """
    pace = Pace(trainer, began)
    yield _start(trainer, run)
    if run.origin and not trainer.step:
        yield Transfer(trainer.step, *trainer.transfer_scores())
    told = time.monotonic()
    save_at = told + SAVE_SECONDS
    sample_at = -math.inf
    largest_norm = 0.0
    while not trainer.finished:
        norm = trainer.update()
        pace.tick()
        now = time.monotonic()
        if norm is None:
            yield Skip(trainer.step)
            if trainer.skipped >= SKIPS:
                yield from _go_back(trainer, run)
        else:
            largest_norm = max(largest_norm, norm)
            if now - told >= TELL_SECONDS:
                told = now
                if pace.plan():
                    yield _plan(trainer, pace)
                yield _step(trainer, pace, largest_norm)
                largest_norm = 0.0
        if trainer.validation_is_due:
            yield from _validate(trainer, run, pace)
            if now >= sample_at:
                yield Sample(trainer.step, run.sample(trainer, SAMPLE_LENGTH))
                sample_at = now + SAMPLE_SECONDS
            if not run.has_model:
                save_at = now
        if now >= save_at:
            before = time.monotonic()
            yield from _save(trainer, run)
            cost = time.monotonic() - before
            save_at = before + max(SAVE_SECONDS, cost / SAVE_SHARE)
        if stop() and not trainer.finished:
            yield from _save(trainer, run, must=True)
            yield Stop(trainer.step, "interrupted")
            return
    if trainer.out_of_patience:
        yield Stop(trainer.step, f"no better for {trainer.since_best} validations")
    val = trainer.final_score()
    pace.tick()
    run.save(trainer, val)  # what tuning then adds is worth less than the end of a training
    tuned = run.tune(trainer, pace.tuning_seconds)
    pace.tick()
    run.save(trainer, val)
    yield Save(trainer.step)
    yield Sample(trainer.step, run.sample(trainer, FINAL_SAMPLE_LENGTH, best=True))
    if run.origin:
        yield Transfer(trainer.step, *trainer.transfer_scores())
    yield Done(
        val_nats=val,
        val_bpc=None if val is None else val / math.log(2),
        val_bpb=None if val is None else trainer.corpus.bits_per_byte(val),
        val_part=trainer.final_tokens / max(1, len(trainer.corpus.val)),
        steps=trainer.step,
        tokens=trainer.tokens,
        seconds=trainer.seconds,
        run=str(run.path),
        keys_saved=tuned.saved,
        keys_saved_by_trigrams=tuned.saved_by_trigrams,
        new_items=run.new_items(trainer),
    )


def _save(trainer: Trainer, run: Run, must: bool = False) -> Iterator[Event]:
    """Save a sound state; training outlives a full disk unless it `must` be saved now."""
    if not trainer.sound:
        yield from _go_back(trainer, run)
    try:
        run.save(trainer)
    except RunError as error:
        if must:
            raise
        yield Unsaved(trainer.step, error.message)
    else:
        yield Save(trainer.step)


def _go_back(trainer: Trainer, run: Run) -> Iterator[Event]:
    """Take up the last good state with a smaller rate.

    Raises:
        TrainingError: the rate is too small to go on.
    """
    diverged_at = trainer.step
    trainer.go_back()
    yield Rollback(diverged_at, trainer.step, trainer.rate)
    if trainer.rate < trainer.config.lr * SMALLEST_RATE:
        yield from _save(trainer, run)
        raise TrainingError(
            "training diverges whatever the rate; the last good state is saved",
            "start anew with a smaller --lr",
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


def _step(trainer: Trainer, pace: Pace, largest_norm: float) -> Step:
    known = pace.known
    return Step(
        step=trainer.step,
        steps=trainer.steps if trainer.steps < FAR else None,
        epoch=trainer.epoch,
        loss=trainer.loss * trainer.corpus.tokens_per_char,
        norm=largest_norm,
        clipped=trainer.clipped,
        lr=trainer.lr,
        tokens_per_second=trainer.tokens_per_step / pace.seconds_per_step if known else None,
        seconds=trainer.seconds,
        seconds_left=pace.seconds_left if known and trainer.steps < FAR else None,
    )


def _validate(trainer: Trainer, run: Run, pace: Pace) -> Iterator[Event]:
    before = time.monotonic()
    val = trainer.validate()
    pace.validated(trainer.val_tokens, time.monotonic() - before)
    if (val is not None and not math.isfinite(val)) or not trainer.sound:
        yield from _go_back(trainer, run)
        return
    trainer.remember()
    if val is not None:
        best = trainer.since_best == 0
        yield Validation(trainer.step, trainer.epoch, trainer.seconds, val, best)
        if trainer.begins_to_overfit(val):
            yield Overfit(trainer.step, val, trainer.best_val, trainer.best_step)
