"""The training loop: yields what happens; ui.py draws it."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

import torch

from charrnn.arrays import bits
from charrnn.errors import RunError, TrainingError
from charrnn.events import (
    Done,
    Event,
    Few,
    Overfit,
    Plan,
    Rollback,
    Sample,
    Save,
    Skip,
    Start,
    Step,
    Stop,
    Threads,
    Transfer,
    Unsaved,
    Validation,
)
from charrnn.network.cells import parameter_count
from charrnn.training.clock import Clock
from charrnn.training.interrupts import SecondInterrupt
from charrnn.training.run import Run
from charrnn.training.threads import ThreadChooser
from charrnn.training.time_budget import Pace
from charrnn.training.trainer import FAR, Trainer
from charrnn.training.validation import tokens_read

TELL_SECONDS = 1.0
SAVE_SECONDS = 60.0
SAMPLE_SECONDS = 5.0  # between two samples at the least: they come with validations
SAVE_SHARE = 0.02  # of the time at the most
SKIPS = 3  # updates in a row that are not finite, before training goes back
SMALLEST_RATE = 1 / 64  # of the configured one; a training that diverges even there is given up
SAMPLE_LENGTH = 240
FINAL_SAMPLE_LENGTH = 500

AtOnce = Callable[[], AbstractContextManager[None]]


def train(
    trainer: Trainer,
    run: Run,
    clock: Clock,
    stop: Callable[[], bool],
    at_once: AtOnce = nullcontext,
) -> Iterator[Event]:
    """Train to the end of the plan and save.

    Args:
        trainer: new or restored.
        run: where it is saved, every SAVE_SECONDS and at the end.
        clock: seconds since the command started.
        stop: asked after each step; True saves and ends.
        at_once: entered for work that changes nothing, such as a validation: there it may raise
            KeyboardInterrupt at any moment, which saves and ends too.

    Raises:
        TrainingError: it diverges at every learning rate.
        RunError: the run cannot be written at the end.
    """
    most_threads = torch.get_num_threads()
    try:
        yield from _train(trainer, run, clock, stop, at_once)
    except SecondInterrupt:
        raise
    except KeyboardInterrupt:
        yield from _save(trainer, run, must=True)
        yield Stop(trainer.step, "interrupted")
    finally:
        torch.set_num_threads(most_threads)


def _train(
    trainer: Trainer,
    run: Run,
    clock: Clock,
    stop: Callable[[], bool],
    at_once: AtOnce,
) -> Iterator[Event]:
    pace = Pace(trainer, clock)
    threads = _threads(trainer)
    yield _start(trainer, run)
    if run.origin and not trainer.step:
        with at_once():
            scores = trainer.old_score(), trainer.new_score()
        yield Transfer(trainer.step, *scores)
    told = clock()
    save_at = told + SAVE_SECONDS
    sample_at = -math.inf
    largest_norm = 0.0
    if trainer.step and trainer.validation_is_due:  # interrupted before it
        yield from _validate(trainer, run, pace, at_once)
    while not trainer.finished:
        before = clock()
        norm = trainer.update()
        now = clock()
        pace.step(now - before)
        if threads and threads.record(now - before):
            yield Threads(trainer.step, threads.count, threads.step_seconds)
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
            yield from _validate(trainer, run, pace, at_once)
            if now >= sample_at:
                with at_once():
                    text = run.sample(trainer, SAMPLE_LENGTH)
                yield Sample(trainer.step, text)
                sample_at = now + SAMPLE_SECONDS
            if not run.has_model:
                save_at = now
        if now >= save_at:
            before = clock()
            yield from _save(trainer, run)
            cost = clock() - before
            save_at = before + max(SAVE_SECONDS, cost / SAVE_SHARE)
        if stop() and not trainer.finished:
            raise KeyboardInterrupt
    if trainer.out_of_patience:
        yield Stop(trainer.step, f"no better for {trainer.keeper.since_best} validations")
    yield from _finish(trainer, run, pace, at_once)


def _finish(trainer: Trainer, run: Run, pace: Pace, at_once: AtOnce) -> Iterator[Event]:
    """Score the best weights, tune the suggestions, save."""
    with at_once():
        score = trainer.final_score()
    val = score.nats if score else None
    pace.tick()
    run.save(trainer, val)  # what tuning then adds is worth less than the end of a training
    with at_once():
        tuned = run.tune(trainer, pace.tuning_seconds, pace.clock)
    pace.tick()
    run.save(trainer, val)
    yield Save(trainer.step)
    with at_once():
        text = run.sample(trainer, FINAL_SAMPLE_LENGTH, best=True)
        new_items = run.new_items(trainer)
        old = trainer.old_score() if run.origin else None
    yield Sample(trainer.step, text)
    if run.origin:
        yield Transfer(trainer.step, old, val)
    yield Done(
        val_nats=val,
        val_bpc=None if val is None else bits(val),
        val_bpb=None if val is None else trainer.corpus.bits_per_byte(val),
        val_part=trainer.final_tokens / max(1, len(trainer.corpus.val)),
        steps=trainer.step,
        tokens=trainer.tokens,
        seconds=trainer.seconds,
        run=run.name,
        keys_saved=tuned.saved,
        keys_saved_by_trigrams=tuned.saved_by_trigrams,
        words_typed=tuned.words,
        new_items=new_items,
        val_error=score.error if score else None,
        best_step=trainer.keeper.kept.step,
    )


def _threads(trainer: Trainer) -> ThreadChooser | None:
    """What chooses the number of threads; None if it is fixed or a GPU does the work."""
    if trainer.device.type != "cpu":
        return None
    if trainer.config.threads:
        torch.set_num_threads(trainer.config.threads)
        return None
    return ThreadChooser(torch.get_num_threads(), torch.set_num_threads)


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
        run=run.name,
        step=trainer.step,
        device=str(trainer.device),
        level=trainer.corpus.tokenizer.level,
        train_chars=trainer.corpus.train_chars,
        val_chars=trainer.corpus.val_chars,
        train_tokens=len(trainer.corpus.train),
        parameters=parameter_count(network.config),
        model=asdict(network.config),
        training=asdict(trainer.config),
        speed=run.speed,
        command=run.command,
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


def _validate(trainer: Trainer, run: Run, pace: Pace, at_once: AtOnce) -> Iterator[Event]:
    first = not trainer.best
    before = pace.clock()
    score = trainer.validate(at_once)
    pace.validated(tokens_read(trainer.val_tokens), pace.clock() - before)
    if (score and not math.isfinite(score.nats)) or not trainer.sound:
        yield from _go_back(trainer, run)
        return
    trainer.remember()
    if score:
        best = trainer.keeper.kept.step == trainer.step
        yield Validation(
            trainer.step, trainer.epoch, trainer.seconds, score.nats, best, score.error
        )
        if first and score.few:
            yield Few(trainer.step, trainer.corpus.val_chars)
        if trainer.keeper.begins_to_overfit(trainer.loss):
            kept = trainer.keeper.kept
            yield Overfit(trainer.step, score.nats, kept.val, kept.step)
