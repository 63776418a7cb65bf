"""charrnn train: learn from a text."""

import json
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from charrnn.cli.options import Debug, Encoding, Errors, Field, Glob, Json, Quiet, given, seconds
from charrnn.errors import UsageError
from charrnn.ui import Ui

if TYPE_CHECKING:
    from charrnn.events import Event

BEGAN = monotonic()  # the time to spend counts from here


def train(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Files or folders; - is standard input."),
    ] = None,
    output: Annotated[
        str | None,
        Option("-o", "--output", metavar="RUN", help="Run folder.  [default: runs/TEXT]"),
    ] = None,
    level: Annotated[str | None, Option(help="char, word, bpe or byte.  [default: char]")] = None,
    vocab_size: Annotated[int | None, Option(help="Tokens at the most.")] = None,
    cell: Annotated[str | None, Option(help="lstm, gru, rnn or rnn-relu.  [default: lstm]")] = None,
    hidden: Annotated[int | None, Option(help="Units in each layer.")] = None,
    layers: Annotated[int | None, Option(help="Recurrent layers.  [default: 1]")] = None,
    embed: Annotated[int | None, Option(help="Size of a token's vector.")] = None,
    dropout: Annotated[float | None, Option(help="Share of units dropped in training.")] = None,
    input_dropout: Annotated[
        float | None, Option(help="Share of the tokens' vectors dropped in training.")
    ] = None,
    embedding_dropout: Annotated[
        float | None, Option(help="Share of the tokens dropped whole in training.")
    ] = None,
    weight_drop: Annotated[
        float | None, Option(help="Share of the recurrent weights dropped in training.")
    ] = None,
    weight_decay: Annotated[
        float | None, Option(help="Of the recurrent layers' matrices, times the rate a step.")
    ] = None,
    bptt: Annotated[int | None, Option(help="Tokens that the gradient flows back through.")] = None,
    batch: Annotated[int | None, Option(help="Places of the text read side by side.")] = None,
    lr: Annotated[float | None, Option(help="Peak learning rate.")] = None,
    clip: Annotated[float | None, Option(help="Largest norm of the gradient.")] = None,
    time: Annotated[
        str | None, Option(help="Time to spend: 60s, 5m, 1h.  [default: 5m at the most]")
    ] = None,
    epochs: Annotated[float | None, Option(help="Passes over the text at the most.")] = None,
    steps: Annotated[int | None, Option(help="Updates at the most.")] = None,
    val: Annotated[
        float | None, Option(help="Share of the text held out, its end or some items.")
    ] = None,
    patience: Annotated[
        int | None, Option(help="Stop after so many validations without a better one.")
    ] = None,
    random_seed: Annotated[int | None, Option(help="The same seed, the same model.")] = None,
    resume: Annotated[bool, Option("--resume", help="Go on with a run.")] = False,
    parent: Annotated[
        str | None, Option("--from", metavar="RUN", help="Start from the model of another run.")
    ] = None,
    device: Annotated[str, Option(help="auto, cpu or cuda.")] = "auto",
    tensorboard: Annotated[
        bool, Option("--tensorboard", help="Write TensorBoard events into the run folder too.")
    ] = False,
    encoding: Encoding = None,
    lines: Annotated[
        bool, Option("--lines", help="Each line is an item of its own, such as a name.")
    ] = False,
    documents: Annotated[
        bool, Option("--documents", help="Each file or record is a document of its own.")
    ] = False,
    errors: Errors = "strict",
    glob: Glob = None,
    field: Field = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Learn from a text; writes a run folder with the model, the log and samples.

    What you leave out follows from the text's length and the time.
    """
    limits = given(
        seconds=None if time is None else seconds(time),
        epochs=epochs,
        steps=steps,
        patience=patience,
    )
    fixed = given(
        cell=cell, hidden=hidden, layers=layers, embedding=embed, dropout=dropout,
        input_dropout=input_dropout, embedding_dropout=embedding_dropout,
        weight_drop=weight_drop, weight_decay=weight_decay, bptt=bptt, batch=batch,
        lr=lr, clip=clip, val=val, seed=random_seed,
    )  # fmt: skip
    if lines and documents:
        raise UsageError("--lines and --documents exclude each other", "give one of them")
    shape = "lines" if lines else "documents" if documents else None
    read = given(encoding=encoding, glob=glob, field=field, shape=shape)
    if resume and (fixed or level or vocab_size or parent or read or errors != "strict"):
        raise UsageError(
            "with --resume only --time, --epochs, --steps and --patience can change",
            "start a new run for anything else",
        )
    if parent and (level or vocab_size or fixed.keys() & {"cell", "hidden", "layers", "embedding"}):
        raise UsageError(
            "with --from the level, its vocabulary and the network's shape are those of that run",
            "leave out --level, --vocab-size, --cell, --hidden, --layers and --embed",
        )
    if not resume and not texts:
        raise UsageError("no text to train on", "name a file, for example charrnn train book.txt")
    ui = Ui(quiet)
    with _interrupts() as interrupted:
        from charrnn.events import Stop
        from charrnn.progress import Progress
        from charrnn.source import Source
        from charrnn.training import setup
        from charrnn.training.loop import train as run_training

        if tensorboard:  # before anything is written: it may be missing
            from charrnn.training.tensorboard import Board

        if resume:
            trainer, run = setup.resume(texts or [], output, device, limits, ui.note)
        else:
            source = Source(texts or [], errors=errors, **read)
            trainer, run = setup.begin(
                source, output, device, level or "char", fixed | limits, parent, vocab_size, ui.note
            )
        with (
            Progress(ui) as view,
            closing(Board(run.path)) if tensorboard else nullcontext() as board,
        ):
            for event in run_training(trainer, run, BEGAN, interrupted):
                run.log(event)
                view.show(event)
                if board:
                    board.show(event)
                if json_lines:
                    json_lines = _print(event)
        run.close()
    if isinstance(event, Stop):
        ui.note(f"saved; go on with:  charrnn train --resume -o {shlex.quote(str(run.path))}")
        raise typer.Exit(130)
    path = shlex.quote(str(run.path))
    ui.note(f"next:  charrnn generate -m {path}   or   charrnn complete -m {path}")


def _print(event: "Event") -> bool:
    """Print an event as JSON; whether anyone still reads. Training goes on if not."""
    try:
        print(json.dumps(event.to_json(), ensure_ascii=False), flush=True)
    except BrokenPipeError:
        return False
    return True


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, or the process told to end; a second time it ends at once."""
    seen = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen = True
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
