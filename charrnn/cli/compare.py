"""charrnn compare: train variations of a network on one text, and compare them."""

import os
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from charrnn.cli.options import (
    Debug,
    Encoding,
    Errors,
    Field,
    Glob,
    Json,
    Lines,
    Quiet,
    given,
    seconds,
    with_options,
)
from charrnn.cli.plot import draw
from charrnn.cli.train import follow
from charrnn.config import RUN, LevelName, ModelConfig, TrainingConfig
from charrnn.display.console import Ui, write_json, write_text
from charrnn.display.format import printable
from charrnn.errors import TrainingError, UsageError

if TYPE_CHECKING:
    from charrnn.training.comparison import Comparison, Planned
    from charrnn.training.interrupts import Interrupts

SECONDS = 60.0  # time for each training if no limit is given (not tuned)
MAX_SEEDS = 100  # maximum of --seeds (not tuned)
SHAPE = {"cell", "hidden", "layers", "embedding", "tied", "ngram_order"}  # fields of ModelConfig
CELLS = "lstm,gru,rnn,rnn-relu"  # what is compared by default


@with_options(ModelConfig, TrainingConfig)
def compare(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Files or folders.")],
    cells: Annotated[
        str | None,
        Option(
            metavar="CELL,...",
            help="Cells to compare.",
            show_default=f"{CELLS}, without --vary",
            rich_help_panel=RUN,
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        Option(
            metavar="SPEC;...",
            help="Variations to compare, separated by semicolons: each a cell or options of train, "
            "such as lstm layers=2; may be repeated.",
            rich_help_panel=RUN,
        ),
    ] = None,
    equal: Annotated[
        Literal["time", "parameters", "steps"],
        Option(
            help="What all variations get: the same time; the same number of parameters, by "
            "another --hidden; or as many steps as the first.",
            rich_help_panel=RUN,
        ),
    ] = "time",
    seeds: Annotated[
        int,
        Option(
            min=1,
            max=MAX_SEEDS,
            help="Train each this many times, with different seeds, to see the spread.",
            rich_help_panel=RUN,
        ),
    ] = 1,
    time: Annotated[
        str | None,
        Option(
            metavar="TIME",
            help="Time for each training: 20s, 5min.",
            show_default=f"{SECONDS:.0f}s",
            rich_help_panel=RUN,
        ),
    ] = None,
    level: Annotated[LevelName, Option(help="What a token is.", rich_help_panel=RUN)] = "char",
    vocab_size: Annotated[
        int | None,
        Option(help="Maximum number of tokens in the vocabulary.", rich_help_panel=RUN),
    ] = None,
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="NAME",
            help="Start of the run folders' names; -VARIATION follows.",
            show_default="runs/TEXT-compare",
            rich_help_panel=RUN,
        ),
    ] = None,
    resume: Annotated[
        bool,
        Option(
            "--resume",
            help="Continue a comparison that was stopped; give the same options.",
            rich_help_panel=RUN,
        ),
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Option(help="Where to train.", rich_help_panel=RUN)
    ] = "auto",
    lines: Lines = False,
    field: Field = None,
    glob: Glob = None,
    encoding: Encoding = None,
    errors: Errors = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **fields: Any,
) -> None:
    """Train variations of a network on one text, one after another, and compare them.

    The network alone is compared: each variation starts from nothing, at the level of characters
    and without n-grams, unless --level or --ngram-order says otherwise. Options that you give hold
    for all variations. Options you omit are chosen for the first variation, and the others share
    them. Each variation becomes a run like any other.
    A difference within the spread over the seeds (with one seed: within the standard error of the
    held-out loss) is called a tie.
    """
    from charrnn.training.variations import parse_all

    ui = Ui(quiet)
    options = given(**fields)
    limited = options.keys() & {"steps", "epochs"}
    limit = None if time is None else seconds(time)
    options |= given(seconds=SECONDS if limit is None and not limited else limit)
    variations = parse_all(cells or ("" if vary else CELLS), vary or [])
    # Refuses what no training could have, before torch is imported.
    TrainingConfig(**{name: v for name, v in options.items() if name not in SHAPE})
    ModelConfig(2, **{name: v for name, v in options.items() if name in SHAPE and name != "tied"})
    from charrnn import runs
    from charrnn.text.source import Source, comes_once

    for path in texts:
        runs.refuse(path, "a text", "to plot existing runs, use charrnn plot {}")
        if path == "-" or comes_once(path):
            raise UsageError(f"{path} can be read only once", "save the text to a file first")
    read = given(
        encoding=encoding, errors=errors, glob=glob, field=field, kind="lines" if lines else None
    )
    source = Source(texts, **({"normalise": True} | read))
    try:
        from charrnn.training.comparison import Comparison

        comparison = Comparison(
            source, variations, equal, seeds, {"ngram_order": 0} | options, level, vocab_size,
            device, output, resume,
        )  # fmt: skip
        stopped = _train(comparison, ui)
    except KeyboardInterrupt:
        ui.note("stopped before the first step; nothing was saved")
        raise typer.Exit(130) from None
    _show(comparison, json_lines, ui)
    if stopped:
        ui.note("stopped; the same command with --resume goes on from here")
        raise typer.Exit(130)


def _train(comparison: "Comparison", ui: Ui) -> bool:
    """Train what is not finished yet; return whether the user stopped it."""
    from charrnn.display.comparison import finished
    from charrnn.display.progress import Progress
    from charrnn.training.clock import Clock
    from charrnn.training.interrupts import Interrupts

    count = len(comparison.planned)
    for i, one in enumerate(comparison.planned):
        title = f"[{i + 1}/{count}] {one.name}"
        log = one.log()
        if log and finished(log):
            ui.note(f"{title}: finished before, in {one.folder}")
            continue
        view, clock = Progress(ui, title), Clock(monotonic())

        def stopping(clock: Clock = clock, view: Progress = view) -> None:
            clock()
            view.pause()

        def resumed(clock: Clock = clock, view: Progress = view) -> None:
            clock.resumed()
            view.go_on()

        try:
            with Interrupts(view.interrupted, stopping, resumed) as interrupts:
                if _train_one(comparison, one, clock, view, interrupts, ui):
                    return True
        except KeyboardInterrupt:
            if not i and not one.log():
                raise
            return True
    return False


def _train_one(
    comparison: "Comparison",
    one: "Planned",
    clock: Any,
    view: Any,
    interrupts: "Interrupts",
    ui: Ui,
) -> bool:
    """Train one variation to its end; return whether the user stopped it."""
    from charrnn.training.loop import train

    with comparison.claim(one):
        setup = comparison.begin(one, ui.note)
        if not setup:
            return False
        trainer, run = setup
        events = train(trainer, run, clock, interrupts.seen, interrupts.at_once)
        try:
            return follow(events, interrupts, run, view, None, False, ui)
        except TrainingError as error:
            ui.warn(f"{one.name}: {error.message}")
            return False


def _show(comparison: "Comparison", json_lines: bool, ui: Ui) -> None:
    """Print the table, the curves and the verdict, and write the page."""
    from charrnn.display.comparison import comparison_json, rich_table, table, table_html, verdict
    from charrnn.display.plot.page import html
    from charrnn.files import write_atomically
    from charrnn.runs import PLOT_NAME

    outcomes = comparison.outcomes()
    logs = [log for one in outcomes for log in one.logs]
    if not logs:
        return
    by = "steps" if comparison.by_steps else "seconds"
    if json_lines:
        for value in comparison_json(outcomes):
            write_json(value)
    else:
        console = None
        if sys.stdout.isatty():
            from rich.console import Console

            console = Console(no_color="NO_COLOR" in os.environ)
            console.print(rich_table(outcomes))
        else:
            write_text(table(outcomes), end="")
        write_text("")
        draw(logs, by, [log.name for log in logs])
        write_text("")
        for line in verdict(outcomes):
            if console:  # breaks lines between words
                console.print(printable(line), markup=False, highlight=False)
            else:
                write_text(line)
    path = Path(PLOT_NAME)
    write_atomically(path, html(logs, by, table_html(outcomes)).encode())
    ui.note(f"wrote {path}: open it in a browser")
