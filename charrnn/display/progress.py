"""Progress of training: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from charrnn.arrays import bits
from charrnn.display.console import Ui, write_raw
from charrnn.display.format import duration, printable
from charrnn.events import (
    LINE_SECONDS,
    Done,
    Event,
    Few,
    FineTuning,
    Overfit,
    Plan,
    Replay,
    Rollback,
    Sample,
    Skip,
    Start,
    Step,
    Stop,
    Threads,
    Unsaved,
    Validation,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
BARS = "▁▂▃▄▅▆▇█"  # heights of a sparkline, from the lowest


class Progress:
    """Shows the events of training.

    Args:
        ui: prints the lines.
        title: what is trained, if it is one of several trainings; each then ends with one line.
    """

    def __init__(self, ui: Ui, title: str = "") -> None:
        self._ui = ui
        self._title = title
        self._step: Step | None = None
        self._sample: Sample | None = None
        self._curve: list[float] = []
        self._planned = False
        self._line_at = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._ui.quiet:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            if console.is_terminal and not console.is_dumb_terminal:
                self._live = Live(console=console, transient=True, auto_refresh=False)
                self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def interrupted(self) -> None:
        """Say that stopping takes a moment; called by a signal handler."""
        if not self._ui.quiet:
            write_raw("\nfinishing this step and saving; Ctrl-C again stops at once\n")

    def pause(self) -> None:
        """Show the cursor before the process is suspended; called by a signal handler."""
        if self._live:
            write_raw(SHOW_CURSOR)

    def go_on(self) -> None:
        """Hide the cursor after the process was suspended; called by a signal handler."""
        if self._live:
            write_raw(HIDE_CURSOR)

    def show(self, event: Event) -> None:
        """Show an event, or remember it for the live display."""
        match event:
            case Start():
                self._started(event)
            case Plan():
                self._plan(event)
            case Step():
                self._step = event
                if time.monotonic() - self._line_at >= LINE_SECONDS:
                    self._line_at = time.monotonic()
                    self._line(step_line(event))
            case Validation():
                self._curve.append(event.val_nats)
                self._line(validation_line(event, min(self._curve)))
            case Threads():
                self._line(threads_line(event))
            case Replay():
                self._line(replay_line(event))
            case Sample():
                self._sample = event
            case Done():
                self._done(event)
            case _:
                self._say(event)
        if self._live:
            self._live.update(self._picture(), refresh=True)

    def _line(self, line: str) -> None:
        """Print a line, unless there is a live display."""
        if not self._live:
            self._ui.note(line)

    def _say(self, event: Event) -> None:
        match event:
            case Few():
                self._ui.note(
                    f"hint: {event.val_chars:,} held-out characters are too few to tell which "
                    "weights are best: the last ones are kept. Give more text, a larger --val, or "
                    "fewer --steps"
                )
            case Skip():
                self._ui.warn(f"step {event.step}: the gradient was not finite; step skipped")
            case Rollback():
                self._ui.warn(
                    f"step {event.step:,}: training diverged; going back to step "
                    f"{event.back_to:,} with the learning rate halved to {event.lr:.2g}"
                )
            case Unsaved():
                self._ui.warn(f"{event.why}; training goes on; saving is tried again in a minute")
            case Overfit():
                self._ui.note(
                    f"hint: overfitting since step {event.best_step:,}: validation loss rises "
                    f"({bits(event.val_nats):.3f} bits/char, best {bits(event.best_nats):.3f}) "
                    "while training loss falls. The best weights are kept; next time try more "
                    "--dropout, a smaller --hidden, more text, or --patience 3 to stop here"
                )
            case FineTuning():
                self._ui.note(f"{'after' if event.step else 'before'}: {fine_tuning_line(event)}")
            case Stop():
                self._ui.note(f"stopped at step {event.step:,}: {event.why}")

    def _plan(self, event: Plan) -> None:
        """Print the first plan; later corrections show in the steps."""
        if not self._planned:
            self._planned = True
            self._ui.note(
                f"about {event.steps:,} steps, {event.epochs:.3g} epochs, "
                f"in the {duration(event.seconds_left)} left "
                f"({event.tokens_per_second:,.0f} tokens/s)"
            )

    def _started(self, event: Start) -> None:
        model, training = event.model, event.training
        if event.train_records is None:
            parts = f"{event.train_chars:,} characters to train on, {event.val_chars:,} held out"
        else:
            parts = f"{event.train_records:,} records to train on, {event.val_records:,} held out"
        title = f"{self._title}\n" if self._title else ""
        self._ui.note(
            f"{title}{event.run}: {parts}\n"
            f"{model['cell']}, {model['layers']} x {model['hidden']} units, "
            f"{event.parameters:,} parameters{_ngrams(model)}; {event.level} level, "
            f"{model['vocab_size'] - 1:,} tokens; batch {training['batch']} x {training['bptt']}, "
            f"learning rate {training['lr']}{_choices(training)}, {_dropout(training)}, "
            f"on {event.device}{_processes(event.processes)}"
        )
        if event.step:
            self._ui.note(f"resuming from step {event.step:,}")

    def _done(self, event: Done) -> None:
        score = "no text was held out"
        what = "text" if event.exact is None else "targets"
        if event.val_nats is not None and event.val_bpc is not None:
            score = (
                f"held-out {what}: {_uncertain(event.val_nats, event.val_error)} nats/char "
                f"= {event.val_bpc:.3f} bits/char"
            )
            if event.val_part < 1:
                score += f" ({event.val_part:.2%} of it scored)"
            if event.best_step not in (None, event.steps):
                score += f", with the weights of step {event.best_step:,}"
        if self._title:
            spent = f"{event.steps:,} steps in {duration(event.seconds)}"
            self._ui.note(f"{self._title}: {spent}; {score}")
            return
        if event.keys_saved is not None and event.keys_saved_by_trigrams is not None:
            score += (
                "\nsimulated typing of the held-out text: 3 suggestions save "
                f"{event.keys_saved:.0%} of keystrokes "
                f"(n-gram baseline: {event.keys_saved_by_trigrams:.0%})"
            )
        elif event.words_typed is not None and event.val_nats is not None:
            why = f"{event.words_typed:,} words are too few; train longer, or hold out more text"
            if not event.words_typed:
                why = "the time was too short"
            score += f"\nsimulated typing of the held-out text: not measured, as {why}"
        if event.exact is not None:
            score += f"\n{event.exact:.1%} of the held-out targets are predicted exactly"
        if event.new_items is not None:
            score += f"\n{event.new_items:.0%} of the generated lines are new, not training text"
        self._ui.note(
            f"done: {event.steps:,} steps, {event.tokens:,} tokens in {duration(event.seconds)}; "
            f"{score}"
        )
        if self._sample:
            self._ui.note(f"\n{printable(self._sample.text)}\n")

    def _picture(self) -> "RenderableType":
        """Return the live display: a bar, numbers, the validation curve and the last sample."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        rows: list[RenderableType] = [Text(self._title)] if self._title else []
        if not self._step:
            return Group(*rows, Text("measuring the speed ...", style="dim"))
        if self._step.steps:
            rows += [ProgressBar(self._step.steps, self._step.step, width=60), Text()]
        rows.append(Text(step_line(self._step)))
        if self._curve:
            rows.append(
                Text.assemble(
                    ("held out  ", "dim"),
                    (sparkline(self._curve), "cyan"),
                    f"  {bits(self._curve[-1]):.3f} bits/char, best {bits(min(self._curve)):.3f}",
                )
            )
        if self._sample:
            rows.append(Text("\n" + printable(self._sample.text), style="dim italic"))
        return Group(*rows)


def sparkline(values: list[float], width: int = 40) -> str:
    """Return the end of a curve in block characters; the lowest value gets the lowest block."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)


def _ngrams(model: dict[str, Any]) -> str:
    order = model.get("ngram_order", 0)  # missing in older logs
    return f", mixed with n-grams of up to {order} tokens" if order else ""


def _processes(count: int) -> str:
    return f", by {count} processes" if count > 1 else ""


def _choices(training: dict[str, Any]) -> str:
    """Return what is not as usual about the updates and the initial weights."""
    usual = {"optimizer": "muon", "clip": 1.0, "init": "auto", "init_scale": 1.0}
    other = {name: training.get(name, value) for name, value in usual.items()}  # missing if older
    return "".join(
        f", {name.replace('_', ' ')} {value}"
        for name, value in other.items()
        if value != usual[name]
    )


def _dropout(training: dict[str, Any]) -> str:
    kinds = {
        "dropout": training["dropout"],
        "input dropout": training["input_dropout"],
        "embedding dropout": training["embedding_dropout"],
        "weight drop": training["weight_drop"],
    }
    return ", ".join(f"{kind} {x}" for kind, x in kinds.items() if x or kind == "dropout")


def step_line(event: Step) -> str:
    """Return a line for a step; values that are not known yet are omitted."""
    parts = [f"step {event.step:,}" + (f" of {event.steps:,}" if event.steps else "")]
    parts.append(f"epoch {event.epoch:.2f}")
    if event.tokens_per_second is not None:
        parts.append(f"{event.tokens_per_second:,.0f} tokens/s")
    parts.append(f"loss {event.loss:.3f} nats = {bits(event.loss):.3f} bits/char")
    if event.seconds_left is not None:
        parts.append(f"{duration(event.seconds_left)} left")
    return "  ".join(parts)


def threads_line(event: Threads) -> str:
    """Return a line for a change of the number of threads."""
    threads = f"{event.threads} thread{'s' if event.threads > 1 else ''}"
    return f"step {event.step:,}  {threads} from here on: {event.step_seconds:.3g} s per step"


def replay_line(event: Replay) -> str:
    """Return a line for steps that are replayed from now on."""
    return f"step {event.step:,}  replaying steps as a CUDA graph: {event.faster:.1f} times as fast"


def fine_tuning_line(event: FineTuning) -> str:
    """Return a line with the losses on the old training text and on the new one, if scored."""
    scored = {"old text": event.old_nats, "new text": event.new_nats}
    told = [
        f"{text} {nats:.4f} nats = {bits(nats):.3f} bits/char"
        for text, nats in scored.items()
        if nats is not None
    ]
    return ", ".join(told) or "neither text is scored"


def validation_line(event: Validation, lowest: float) -> str:
    """Return a line for a validation.

    Args:
        event: the validation.
        lowest: lowest score so far, nats per character.
    """
    mark = ""
    if event.best:
        mark = " (best)" if event.val_nats <= lowest else " (kept)"
    part = f" ({event.val_part:.0%})" if event.val_part < 1 else ""
    return (
        f"step {event.step:,}  {duration(event.seconds)}  "
        f"held out{part} {_uncertain(event.val_nats, event.val_error)} nats "
        f"= {bits(event.val_nats):.3f} bits/char{mark}"
    )


def _uncertain(nats: float, error: float | None) -> str:
    """Return a loss with its standard error, if that is known."""
    return f"{nats:.4f}" + (f" ±{error:.4f}" if error is not None else "")
