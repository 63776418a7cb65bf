"""charrnn train: learn from a text."""

import sys
from collections.abc import Iterable
from contextlib import closing, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from charrnn.cli import torchrun
from charrnn.cli.options import (
    Debug,
    Delimiter,
    Encoding,
    Errors,
    Field,
    Glob,
    Header,
    Json,
    Lines,
    Quiet,
    SplitOn,
    given,
    run_names,
    seconds,
    with_options,
)
from charrnn.config import OUTPUT, READING, RUN, LevelName, ModelConfig, TrainingConfig
from charrnn.display.console import Ui, devnull, write_json
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.display.progress import Progress
    from charrnn.events import Event
    from charrnn.training.interrupts import Interrupts
    from charrnn.training.run import Run
    from charrnn.training.tensorboard import Board

# Fields of ModelConfig that a fine-tuned model keeps.
SHAPE = {"cell", "hidden", "layers", "embedding", "tied", "ngram_order"}
RESUMABLE = {"seconds", "epochs", "steps", "patience", "threads"}  # what --resume can change
MANY_EPOCHS = 40  # beyond it, more text helps more than more time (not tuned)
LONGER = 4  # suggested next training time, as a multiple of the last
BEGAN = monotonic()  # the time budget starts here


@with_options(ModelConfig, TrainingConfig)
def train(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT...", help="Files or folders; - is standard input.", show_default=False
        ),
    ] = None,
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="RUN",
            help="Run folder.",
            show_default="runs/TEXT",
            rich_help_panel=RUN,
        ),
    ] = None,
    time: Annotated[
        str | None,
        Option(
            metavar="TIME",
            help="Time to spend: 60s, 5min, 1h30m, 1:30:00.",
            show_default="at most 5 minutes",
            rich_help_panel=RUN,
        ),
    ] = None,
    level: Annotated[
        LevelName,
        Option(
            help="What a token is: a character, a word, a subword or a byte; auto chooses one for "
            "the text.",
            rich_help_panel=RUN,
        ),
    ] = "auto",
    vocab_size: Annotated[
        int | None,
        Option(help="Maximum number of tokens in the vocabulary.", rich_help_panel=RUN),
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Continue a run.", rich_help_panel=RUN)
    ] = False,
    model: Annotated[
        str | None,
        Option(
            "-m",
            "--model",
            metavar="RUN",
            help="The run to continue.",
            show_default="the newest",
            autocompletion=run_names,
            rich_help_panel=RUN,
        ),
    ] = None,
    parent: Annotated[
        str,
        Option(
            "--from",
            metavar="RUN",
            help="Fine-tune the model of another run, or english, which comes with charrnn; none "
            "starts from nothing.",
            show_default="english where it helps",
            autocompletion=run_names,
            rich_help_panel=RUN,
        ),
    ] = "auto",
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Option(help="Where to train.", rich_help_panel=RUN)
    ] = "auto",
    lines: Lines = False,
    documents: Annotated[
        bool,
        Option(
            "--documents",
            help="Treat each file or record as a text of its own.",
            rich_help_panel=READING,
        ),
    ] = False,
    split_on: SplitOn = None,
    field: Field = None,
    source: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Learn to turn this field of each record into the field --target: a label, or "
            "another text.",
            rich_help_panel=READING,
        ),
    ] = None,
    target: Annotated[
        str | None,
        Option(metavar="NAME", help="Field to predict from --source.", rich_help_panel=READING),
    ] = None,
    label_folders: Annotated[
        bool,
        Option(
            "--label-folders",
            help="Learn to predict the name of each file's folder from its text.",
            rich_help_panel=READING,
        ),
    ] = False,
    delimiter: Delimiter = None,
    header: Header = True,
    glob: Glob = None,
    encoding: Encoding = None,
    errors: Errors = None,
    normalise: Annotated[
        bool,
        Option(
            "--normalise/--no-normalise",
            help="Read text in Unicode's NFC, without byte order marks and with LF for U+2028, "
            "U+2029 and U+0085.",
            show_default="normalise, except at byte level",
            rich_help_panel=READING,
        ),
    ] = True,
    tensorboard: Annotated[
        bool,
        Option(
            "--tensorboard",
            help="Write TensorBoard events into the run folder too.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **fields: Any,
) -> None:
    """Train on a text; write the model, a log and samples to a run folder.

    Many defaults depend on the size of the text and the time budget.
    """
    chosen = given(seconds=None if time is None else seconds(time), **fields)
    limits = {name: value for name, value in chosen.items() if name in RESUMABLE}
    fixed = {name: value for name, value in chosen.items() if name not in RESUMABLE}
    in_documents = documents or split_on is not None
    records = label_folders or source is not None or target is not None
    kind = "lines" if lines else "documents" if in_documents else "records" if records else None
    read = given(
        encoding=encoding, errors=errors, glob=glob, field=field if source is None else source,
        kind=kind, target=target, delimiter=delimiter,
        header=None if header else False, split_on=split_on,
        normalise=None if normalise else False,
    )  # fmt: skip
    tokens = level != "auto" or bool(vocab_size)
    _refuse(
        (
            lines and in_documents,
            "--lines cannot be combined with --documents or --split-on",
            "give one of them",
        ),
        (
            (source is None) != (target is None),
            "--source and --target need each other",
            "name two fields of the records, or give --label-folders",
        ),
        (
            records and bool(lines or in_documents or field is not None),
            "records with a source and a target cannot be combined with --field, --lines, "
            "--documents or --split-on",
            "leave those out",
        ),
        (
            label_folders and source is not None,
            "--label-folders cannot be combined with --source and --target",
            "give one of them",
        ),
        (
            resume and bool(fixed or tokens or parent != "auto" or read),
            "with --resume, only --time, --epochs, --steps, --patience and --threads can change",
            "start a new run for anything else",
        ),
        (
            parent not in ("auto", "none") and bool(tokens or fixed.keys() & SHAPE),
            "with --from, the level, the vocabulary and the network are those of that run",
            "leave out --level, --vocab-size, --cell, --hidden, --layers, --embed, --tied and "
            "--ngram-order",
        ),
        (
            model is not None and not resume,
            "-m names the run that --resume continues",
            "to start from its model, give --from",
        ),
        (
            model is not None and output is not None,
            "with --resume, -m and -o both name the run",
            "give -m alone",
        ),
        (
            not resume and not texts,
            "no text to train on",
            "name a file or folder, for example charrnn train book.txt; - is standard input",
        ),
    )
    torchrun.check()
    if torchrun.rank():
        return torchrun.follow(device)
    from charrnn import runs
    from charrnn.display.progress import Progress
    from charrnn.files import quoted
    from charrnn.text.source import Source, waiting
    from charrnn.training.clock import Clock
    from charrnn.training.interrupts import Interrupts

    if not resume and torchrun.goes_on(output):
        resume, limits = True, {}
    paths = texts or []
    instead = "start from it with --from {0}; continue a run with --resume -m {0}"
    if resume:
        model = model or output
        if paths and not model and runs.is_resumable(paths[0]):
            model, *paths = paths
    for path in paths:
        runs.refuse(path, "a text", instead)
    text = Source(paths, **({"normalise": True} | read))
    ui = Ui(quiet)
    clock = Clock(BEGAN)
    view = Progress(ui)

    def stopping() -> None:
        clock()
        view.pause()

    def resumed() -> None:
        clock.resumed()
        view.go_on()

    with (
        Interrupts(view.interrupted, stopping, resumed) as interrupts,
        (
            runs.resumed(model, text.name if paths else None)
            if resume
            else runs.new(output, text.name)
        ) as folder,
    ):
        try:
            from charrnn.training import prepare
            from charrnn.training.lockstep import Action, announce
            from charrnn.training.loop import train as run_training
            from charrnn.training.ranks import Ranks

            with waiting("the other processes", ui.note) if torchrun.several() else nullcontext():
                ranks = Ranks.joined()
            if tensorboard:  # before anything is written: TensorBoard may be missing
                from charrnn.training.tensorboard import Board

            if resume:
                trainer, run = prepare.resume(paths, folder, device, limits, ui.note, ranks)
            else:
                options = fixed | limits
                trainer, run = prepare.begin(
                    text, folder, device, level, options, parent, vocab_size, ui.note, ranks
                )
        except KeyboardInterrupt:
            ui.note("stopped before the first step; nothing was saved")
            raise typer.Exit(130) from None
        board = closing(Board(run.path)) if tensorboard else nullcontext()
        with board as tensorboard_of:
            events = run_training(
                trainer,
                run,
                clock,
                lambda: interrupts.seen() or ranks.stopping or torchrun.abandoned(),
                interrupts.at_once,
            )
            stop = follow(events, interrupts, run, view, tensorboard_of, json_lines, ui)
        announce(trainer, Action.END)
    if stop:
        skipped = "the final score and the tuning of suggestions were skipped"
        ui.note(f"saved; {skipped if trainer.finished else f'continue with:  {_go_on(run)}'}")
        raise typer.Exit(130)
    path = quoted(folder)
    commands = ("predict", "eval") if trainer.corpus.kind == "records" else ("generate", "complete")
    ui.note("next:  {0} -m {2}   or   {1} -m {2}".format(*(f"charrnn {c}" for c in commands), path))
    ui.note(_for_a_better_model(trainer.tokens / max(1, len(trainer.corpus.train)), clock()))


def _refuse(*mistakes: tuple[bool, str, str]) -> None:
    """Raise a UsageError for the first true row of (condition, message, hint)."""
    for made, message, hint in mistakes:
        if made:
            raise UsageError(message, hint)


def _go_on(run: "Run") -> str:
    """Return the command line that continues a run."""
    from charrnn.files import quoted

    return f"charrnn train --resume -m {quoted(run.path)}"


def follow(
    events: "Iterable[Event]",
    interrupts: "Interrupts",
    run: "Run",
    view: "Progress",
    board: "Board | None",
    json_lines: bool,
    ui: Ui,
) -> bool:
    """Train, reporting each event to the chosen outputs.

    Args:
        events: what the training loop yields.
        interrupts: holds signals back while weights and files change.
        run: logs the events.
        view: shows them.
        board: shows them in TensorBoard; None for not.
        json_lines: whether to print them as JSON.
        ui: prints messages.

    Returns:
        Whether training was stopped before its end.

    Raises:
        typer.Exit: a second signal ended training at once.
        TrainingError: training diverges at every learning rate.
        RunError: the run cannot be written.
    """
    from charrnn.events import Stop
    from charrnn.training.interrupts import SecondInterrupt

    try:
        with interrupts.held(), view:
            for event in events:
                run.log(event)
                view.show(event)
                if board:
                    board.show(event)
                if json_lines:
                    json_lines = _print(event)
            run.close()
    except SecondInterrupt:
        saved = f"continue from the last save with:  {_go_on(run)}"
        ui.note(f"stopped at once; {saved if run.has_state else 'nothing was saved'}")
        raise typer.Exit(130) from None
    return isinstance(event, Stop)


def _for_a_better_model(epochs: float, seconds: float) -> str:
    """Return advice on the next step, given the epochs and seconds trained."""
    if epochs > MANY_EPOCHS:
        return f"the text was read {epochs:.0f} times: for a better model, add text"
    minutes = max(1, round(LONGER * seconds / 60))
    return f"for a better model, train longer (--time {minutes}m) or add text"


def _print(event: "Event") -> bool:
    """Print an event as JSON; return whether anyone still reads the output."""
    try:
        write_json(event.to_json())
    except OSError:
        devnull(sys.stdout)
        return False
    return True
