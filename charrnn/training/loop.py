"""The training loop, which yields an event for all that happens."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace

import torch

from charrnn import events
from charrnn.arrays import bits
from charrnn.errors import RunError, TrainingError
from charrnn.events import Event
from charrnn.model import Model
from charrnn.network.cells import parameter_count
from charrnn.suggestions.mixture import by_name
from charrnn.training import devices, final_report, final_weights, recorded_step
from charrnn.training.batching import Documents
from charrnn.training.clock import Clock
from charrnn.training.interrupts import SecondInterrupt
from charrnn.training.progress import UNPLANNED_STEPS
from charrnn.training.run import Run
from charrnn.training.threads import ThreadChooser
from charrnn.training.time_budget import TimeBudget
from charrnn.training.trainer import Trainer
from charrnn.training.validation import tokens_read

READ_SECONDS = 0.5  # time between two reads of what a GPU computed; Ctrl-C waits for it; not tuned
STEP_EVENT_SECONDS = 1.0  # minimum time between two Step events; not tuned
SAVE_SECONDS = 60.0  # minimum time between two saves; not tuned
SAVE_SHARE = 0.02  # maximum share of the time spent on saving; not tuned
SAMPLE_SECONDS = 5.0  # minimum time between two samples, which follow validations; not tuned
SKIPS = 3  # consecutive skipped updates after which training goes back; not tuned
SMALLEST_RATE = 1 / 64  # share of the configured learning rate below which training gives up
SAMPLE_LENGTH = 240  # length of a sample during training, characters
FINAL_SAMPLE_LENGTH = 500  # length of the last sample, characters

AtOnce = Callable[[], AbstractContextManager[None]]


def train(
    trainer: Trainer,
    run: Run,
    clock: Clock,
    stop: Callable[[], bool],
    at_once: AtOnce = nullcontext,
) -> Iterator[Event]:
    """Train to the end of the plan and save, yielding what happens.

    Args:
        trainer: a new or restored training.
        run: the run folder to save to, every SAVE_SECONDS and at the end.
        clock: seconds since the command started.
        stop: called after each update; True saves and ends.
        at_once: entered for work that changes nothing, such as a validation; within it a
            KeyboardInterrupt may be raised at any moment, which saves and ends too.

    Raises:
        TrainingError: training diverges at every learning rate.
        RunError: the run cannot be written at the end.
    """
    loop = _Loop(trainer, run, clock, stop, at_once)
    most_threads = torch.get_num_threads()
    try:
        yield from loop.start()
        while not trainer.finished:
            yield from loop.step()
        yield from loop.finish()
    except SecondInterrupt:
        raise
    except KeyboardInterrupt:
        yield from loop.save(must=True)
        yield events.Stop(trainer.step, "interrupted")
    finally:
        torch.set_num_threads(most_threads)


class _Loop:
    """The parts of `train`, and when each kind of event is due; see there for the arguments."""

    def __init__(
        self, trainer: Trainer, run: Run, clock: Clock, stop: Callable[[], bool], at_once: AtOnce
    ) -> None:
        self._trainer = trainer
        self._run = run
        self._clock = clock
        self._stop = stop
        self._at_once = at_once
        self._budget = TimeBudget(trainer, clock)
        self._threads: ThreadChooser | None = None
        self._told = self._save_at = 0.0  # times on the clock, like `_sample_at`
        self._sample_at = -math.inf
        self._largest_norm = 0.0  # since the last Step event

    def start(self) -> Iterator[Event]:
        """Report what is trained, and catch up on a validation that an interrupt prevented."""
        trainer = self._trainer
        self._threads = _threads(trainer)
        yield _start(trainer, self._run)
        if devices.queues(trainer.device):
            with self._at_once():
                faster = recorded_step.choose(trainer)
            if faster:
                yield events.Replay(trainer.step, faster)
        if self._run.origin and not trainer.step:
            with self._at_once():
                corpora = trainer.corpus.old, trainer.corpus
                scores = [trainer.fine_tuning_nats(corpus) for corpus in corpora]
            yield events.FineTuning(trainer.step, *scores)
        self._told = self._clock()
        self._save_at = self._told + SAVE_SECONDS
        if trainer.step and trainer.validation_is_due:
            yield from self._validate()

    def step(self) -> Iterator[Event]:
        """Make one update, or on a GPU those of READ_SECONDS, and whatever is due after it."""
        count = self._updates()
        before = self._clock()
        norm = self._trainer.update(count)
        now = self._clock()
        self._budget.steps(count, now - before)
        if self._threads and self._threads.record(now - before):
            chosen = self._threads.count, self._threads.step_seconds
            yield events.Threads(self._trainer.step, *chosen)
        yield from self._skip() if norm is None else self._tell(norm, now)
        if self._trainer.validation_is_due:
            yield from self._validate()
            if now >= self._sample_at:
                yield self._sample(SAMPLE_LENGTH)
                self._sample_at = now + SAMPLE_SECONDS
            if not self._run.has_model:
                self._save_at = now
        if now >= self._save_at:
            before = self._clock()
            yield from self.save()
            cost = self._clock() - before
            self._save_at = before + max(SAVE_SECONDS, cost / SAVE_SHARE)
        if self._stop() and not self._trainer.finished:
            raise KeyboardInterrupt

    def _updates(self) -> int:
        """Return how many updates to make before their results are read."""
        if not devices.queues(self._trainer.device) or not self._budget.known:
            return 1
        count = int(READ_SECONDS / self._budget.seconds_per_step)
        return max(1, min(count, self._trainer.updates_until_due))

    def _skip(self) -> Iterator[Event]:
        """Report a skipped update; go back after too many."""
        yield events.Skip(self._trainer.step)
        if self._trainer.progress.skipped >= SKIPS:
            yield from self._go_back()

    def _tell(self, norm: float, now: float) -> Iterator[Event]:
        """Report the progress about once a second, and a new plan if there is one."""
        self._largest_norm = max(self._largest_norm, norm)
        if now - self._told >= STEP_EVENT_SECONDS:
            self._told = now
            if self._budget.plan():
                yield _plan(self._trainer, self._budget)
            yield _step(self._trainer, self._budget, self._largest_norm)
            self._largest_norm = 0.0

    def _validate(self) -> Iterator[Event]:
        trainer, budget = self._trainer, self._budget
        first = not trainer.best
        before = self._clock()
        score = trainer.validate(self._at_once)
        budget.validated(tokens_read(trainer.progress.val_tokens), self._clock() - before)
        if (score and not math.isfinite(score.nats)) or not trainer.sound:
            yield from self._go_back()
            return
        trainer.remember()
        if score:
            kept, seconds = trainer.keeper.kept, trainer.progress.seconds
            best = kept.step == trainer.step
            part = trainer.progress.val_tokens / len(trainer.corpus.val)
            yield events.Validation(
                trainer.step, trainer.epoch, seconds, score.nats, best, score.error, part
            )
            if first and score.few:
                yield events.Few(trainer.step, trainer.corpus.val_chars)
            if trainer.keeper.begins_to_overfit(trainer.progress.loss):
                yield events.Overfit(trainer.step, score.nats, kept.val, kept.step)

    def _sample(self, length: int, best: bool = False) -> events.Sample:
        """Sample text from the present weights, or the best ones."""
        with self._at_once():
            model = Model(self._run.model_file(self._trainer, best=best))
            sources = [source for source, _ in self._run.extras.records]
            text = final_report.sample(model, length, self._trainer.config.seed, sources)
        return events.Sample(self._trainer.step, text)

    def save(self, must: bool = False) -> Iterator[Event]:
        """Save a state whose values are finite; a full disk ends training only if `must`."""
        if not self._trainer.sound:
            yield from self._go_back()
        try:
            self._run.save(self._trainer)
        except RunError as error:
            if must:
                raise
            yield events.Unsaved(self._trainer.step, error.message)
        else:
            yield events.Save(self._trainer.step)

    def _go_back(self) -> Iterator[Event]:
        """Restore the last good state with a smaller learning rate.

        Raises:
            TrainingError: the learning rate is too small to go on.
        """
        trainer = self._trainer
        diverged_at = trainer.step
        trainer.go_back()
        rate, norm = trainer.progress.rate, self._largest_norm or None
        yield events.Rollback(diverged_at, trainer.step, rate, norm)
        if trainer.progress.rate < trainer.config.lr * SMALLEST_RATE:
            yield from self.save()
            yield events.Stop(trainer.step, events.DIVERGED)
            raise TrainingError(
                f"{events.DIVERGED}; the last good state is saved",
                "start a new run with a smaller --lr",
            )

    def finish(self) -> Iterator[Event]:
        """Score the best weights, tune the suggestions, save, and report on the model."""
        trainer, run, budget = self._trainer, self._run, self._budget
        if self._largest_norm:  # steps since the last report
            yield _step(trainer, budget, self._largest_norm)
        if trainer.out_of_patience:
            yield events.Stop(
                trainer.step, f"no improvement in {trainer.keeper.since_best} validations"
            )
        with self._at_once():
            score = final_weights.choose(trainer)
        val = score.nats if score else None
        budget.tick()
        run.save(trainer, val)  # before tuning, which may be interrupted
        with self._at_once():
            model = Model(run.model_file(trainer))
            held_out, seconds = run.extras.held_out, budget.tuning_seconds
            read = round(trainer.epoch * trainer.corpus.train_chars)
            tuned = exact = None
            if model.kind == "records":
                found = final_report.predict(model, run.extras.records, seconds, self._clock)
                classifier, exact = found
                run.extras = replace(run.extras, classifier=classifier)
            else:
                tuned = final_report.tune(model, held_out, read, seconds, self._clock)
                run.mixture = by_name(tuned.weights)
        budget.tick()
        run.save(trainer, val)
        yield events.Save(trainer.step)
        sample = self._sample(FINAL_SAMPLE_LENGTH, best=True)
        with self._at_once():
            model = Model(run.model_file(trainer))
            new_items = final_report.new_items(model, trainer.config.seed)
            old = trainer.fine_tuning_nats(trainer.corpus.old)
        yield sample
        if run.origin:
            yield events.FineTuning(trainer.step, old, val)
        yield events.Done(
            val_nats=val,
            val_bpc=None if val is None else bits(val),
            val_bpb=None if val is None else trainer.corpus.bits_per_byte(val),
            val_part=final_weights.scored_tokens(trainer) / max(1, len(trainer.corpus.val)),
            steps=trainer.step,
            tokens=trainer.tokens,
            seconds=trainer.progress.seconds,
            run=run.name,
            keys_saved=tuned and tuned.saved,
            keys_saved_by_trigrams=tuned and tuned.saved_by_trigrams,
            words_typed=tuned and tuned.words,
            exact=exact,
            new_items=new_items,
            val_error=score.error if score else None,
            best_step=trainer.keeper.kept.step,
        )


def _threads(trainer: Trainer) -> ThreadChooser | None:
    """Return what chooses the number of threads; None if it is fixed or a GPU does the work.

    Of several processes each keeps to its own: it would measure how long it waits for the others.
    """
    if trainer.device.type != "cpu":
        return None
    if trainer.config.threads:
        torch.set_num_threads(trainer.config.threads)
    if trainer.config.threads or trainer.ranks.size > 1:
        return None
    return ThreadChooser(torch.get_num_threads(), torch.set_num_threads)


def _start(trainer: Trainer, run: Run) -> events.Start:
    network = trainer.network
    return events.Start(
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
        train_records=_records(trainer.corpus.train_documents),
        val_records=_records(trainer.corpus.val_documents),
        processes=trainer.ranks.size,
    )


def _records(documents: Documents | None) -> int | None:
    """Return the number of records; None for other documents or none."""
    return None if documents is None or documents.targets is None else len(documents.targets)


def _plan(trainer: Trainer, budget: TimeBudget) -> events.Plan:
    return events.Plan(
        steps=trainer.progress.steps,
        epochs=trainer.progress.steps / trainer.steps_per_epoch,
        tokens_per_second=trainer.tokens_per_step / budget.seconds_per_step,
        seconds_left=budget.seconds_left,
    )


def _step(trainer: Trainer, budget: TimeBudget, largest_norm: float) -> events.Step:
    progress = trainer.progress
    known, planned = budget.known, progress.steps < UNPLANNED_STEPS
    return events.Step(
        step=progress.step,
        steps=progress.steps if planned else None,
        epoch=trainer.epoch,
        loss=progress.loss * trainer.corpus.tokens_per_char,
        norm=largest_norm,
        clipped=progress.clipped,
        lr=trainer.lr,
        tokens_per_second=trainer.tokens_per_step / budget.seconds_per_step if known else None,
        seconds=progress.seconds,
        seconds_left=budget.seconds_left if known and planned else None,
    )
