"""charrnn generate: continue seeds, or fill a template."""

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal

import typer
from typer import Option

from charrnn.cli import written
from charrnn.cli.options import (
    Debug,
    Encoding,
    Json,
    ModelOption,
    Quiet,
    given,
    say_which,
    seconds,
    with_options,
)
from charrnn.cli.seeds import as_known, read_seeds, read_sources
from charrnn.config import LENGTH, OUTPUT, SAMPLE, STOP, WRITE, SamplingConfig, StopConfig
from charrnn.display.console import Ui
from charrnn.display.working import Working
from charrnn.errors import UsageError

MAX_CHARS = 10_000  # characters, if the other rules may never be met
BEST_OF = 16  # candidates for each gap of a template
MOST_CANDIDATES = 10_000  # maximum of --best-of (not tuned)
MOST_TEXTS = 10**12  # maximum of -N (not tuned)
MAX_PROCESSES = 256  # maximum processes; each has its own copy of the model (not tuned)


@with_options(StopConfig, SamplingConfig)
def generate(
    seed: Annotated[
        str | None,
        typer.Argument(
            metavar="[SEED]", help="Text to continue; - is standard input.", show_default=False
        ),
    ] = None,
    model: ModelOption = None,
    file: Annotated[
        str | None,
        Option(
            "-f", "--file", metavar="FILE", help="Read one seed per line.", rich_help_panel=WRITE
        ),
    ] = None,
    source: Annotated[
        str | None,
        Option(
            metavar="TEXT",
            help="With a model of records: write targets for this source; @FILE has a source "
            "on each line, - is standard input.",
            rich_help_panel=WRITE,
        ),
    ] = None,
    samples: Annotated[
        int,
        Option(
            "-N",
            "--samples",
            min=1,
            max=MOST_TEXTS,
            help="Texts to write, in parallel.",
            rich_help_panel=WRITE,
        ),
    ] = 1,
    template: Annotated[
        str | None,
        Option(
            metavar="TEXT",
            help='Text with gaps to fill: "Once {word} there was {sentence}."',
            rich_help_panel=WRITE,
        ),
    ] = None,
    best_of: Annotated[
        int | None,
        Option(
            min=1,
            max=MOST_CANDIDATES,
            help="Candidates for each gap, of which the best fit is kept; with --match, candidates "
            "for each text, of which one is sampled by its fit.",
            show_default=f"{BEST_OF}; with --match 1",
            rich_help_panel=WRITE,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        Option(
            min=1,
            max=MAX_PROCESSES,
            help="Processes that write, with one thread each; for many texts. The number does not "
            "change the texts.",
            show_default="1, with as many threads as help",
            rich_help_panel=WRITE,
        ),
    ] = None,
    random_seed: Annotated[
        int | None,
        Option(
            help="Seed of the random numbers: the same seed gives the same text.",
            rich_help_panel=WRITE,
        ),
    ] = None,
    escapes: Annotated[
        bool,
        Option(
            "-e",
            "--escapes",
            help=r"Interpret \n, \t, \\ and \uXXXX in the seed and in options.",
            rich_help_panel=WRITE,
        ),
    ] = False,
    unknown: Annotated[
        Literal["warn", "error", "skip"],
        Option(help="What to do about characters outside the vocabulary.", rich_help_panel=WRITE),
    ] = "warn",
    encoding: Encoding = None,
    length: Annotated[
        int | None,
        Option(
            "-n",
            "--length",
            help="Characters to write.",
            show_default=str(LENGTH),
            rich_help_panel=STOP,
        ),
    ] = None,
    stop: Annotated[
        list[str] | None,
        Option(metavar="TEXT", help="End before this text; repeatable.", rich_help_panel=STOP),
    ] = None,
    time: Annotated[
        str | None,
        Option(metavar="TIME", help="Time to write for: 10s, 1m30s, 1:30.", rich_help_panel=STOP),
    ] = None,
    temperature: Annotated[
        str | None,
        Option(
            "-t",
            "--temperature",
            metavar="X,...",
            help="Above 1 bolder, below 1 safer, 0 always the likeliest token; with several, each "
            "gives a sample.",
            show_default="0.8; 0.9 for subwords, 1 for words",
            rich_help_panel=SAMPLE,
        ),
    ] = None,
    ban: Annotated[
        list[str] | None,
        Option(metavar="TEXT", help="Never write this; repeatable.", rich_help_panel=SAMPLE),
    ] = None,
    bias: Annotated[
        list[str] | None,
        Option(
            metavar="TEXT=NATS",
            help="Make this likelier; below 0, less likely; repeatable.",
            rich_help_panel=SAMPLE,
        ),
    ] = None,
    avoid_copying: Annotated[
        bool,
        Option(
            "--avoid-copying",
            help="Do not copy long runs of words from the training text.",
            rich_help_panel=SAMPLE,
        ),
    ] = False,
    output: Annotated[
        str,
        Option("-o", "--output", metavar="FILE", help="Write to a file.", rich_help_panel=OUTPUT),
    ] = "-",
    echo: Annotated[
        bool, Option("--echo/--no-echo", help="Print the seed too.", rich_help_panel=OUTPUT)
    ] = True,
    separator: Annotated[
        str | None,
        Option(
            metavar="TEXT",
            help="Line between texts.",
            show_default="empty; none with --lines 1",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    highlight: Annotated[
        bool,
        Option("--highlight", help="Colour characters by their surprisal.", rich_help_panel=OUTPUT),
    ] = False,
    novelty: Annotated[
        bool,
        Option(
            "--novelty",
            help="Report the share that is not copied from the training text.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **fields: Any,
) -> None:
    """Continue a seed text, or write texts from scratch.

    The text ends at the first limit met: --length, --words, --sentences, --lines, --stop, --time or
    --tokens. With --match it ends where it matches, after at most --length characters.
    """
    import charrnn
    from charrnn import runs
    from charrnn.model import new_random_seed
    from charrnn.processes.order import Order
    from charrnn.processes.workers import writing
    from charrnn.text.blocks import unescape

    meant = unescape if escapes else str
    limits = {field.name for field in dataclasses.fields(StopConfig)}
    rules = given(
        chars=length,
        stop=[meant(text) for text in stop] if stop else None,
        seconds=None if time is None else seconds(time),
        **{name: value for name, value in fields.items() if name in limits},
    )
    stopping = StopConfig(**rules)
    biases = _biases(bias or [], ban or [], meant) or None
    controls = {name: value for name, value in fields.items() if name not in limits}
    controls = given(bias=biases, **controls)
    variants = [controls | given(temperature=t) for t in _temperatures(temperature)]
    for variant in variants:  # before a model is loaded
        SamplingConfig(**variant)
    if template is not None and (seed is not None or file is not None or rules):
        raise UsageError(
            "--template cannot be combined with SEED, --file, --match or a length option",
            "leave those out",
        )
    if template is not None and source is not None:
        raise UsageError("--template cannot be combined with --source", "leave one out")
    if template is None and stopping.match is None and best_of is not None:
        raise UsageError("--best-of needs --template or --match", "give one of them")
    ui = Ui(quiet)
    sources: Sequence[str | None] = [None]
    if source is not None:
        sources = read_sources(source, encoding, meant, ui)
    unread = template is not None or (seed is None and file is None and source is not None)
    seeds = [""] if unread else read_seeds(seed, file, encoding, meant, ui)

    path = runs.find(model, chosen=say_which(ui))
    loaded = charrnn.load(path)
    loaded.require_source(source is not None)
    known = partial(as_known, model=loaded, unknown=unknown, ui=ui)
    random_seed = new_random_seed() if random_seed is None else random_seed
    pieces = None
    if template is not None:
        from charrnn.generation.template import parse

        pieces = [piece._replace(fixed=known(piece.fixed)) for piece in parse(meant(template))]
    order = Order(
        sources=[text and loaded.as_source(known(text)) for text in sources],
        seeds=[*map(known, seeds)],
        samplings=[loaded.sampling(**variant) for variant in variants],
        count=samples,
        stop=_limited(stopping, rules, loaded.kind, ui) if pieces is None else StopConfig(),
        pieces=pieces,
        best_of=best_of or (1 if pieces is None else BEST_OF),
        random_seed=random_seed,
        scored=json_lines or highlight,
        surprisal=highlight and not json_lines,
        avoid_copying=avoid_copying,
    )
    items = loaded.kind == "lines"
    index = (loaded.items if items else loaded.word_runs) if novelty else None
    if separator is None and stopping.lines != 1 and not items and source is None:
        separator = ""
    between = "\n" if separator is None else f"\n{meant(separator)}\n"
    with writing(loaded, path, order, processes) as parts:
        parts = chain([next(parts)], parts)  # a failed start must not empty the output file
        with written.opened(output) as out:
            # The texts themselves show the progress of one, and on a terminal.
            told = Ui(quiet or len(order) == 1 or out.isatty())
            with Working(told, "writing", len(order), "texts") as work:
                parts = written.counted(parts, work)
                if json_lines:
                    written.as_json(parts, random_seed, index, out)
                else:
                    if index:
                        parts = written.with_novelty(parts, index, partial(_note, work, ui))
                    written.as_text(parts, echo, between, highlight, out)


def _note(work: Working, ui: Ui, message: str) -> None:
    """Print a message beside the line of progress."""
    work.clear()
    ui.note(message)


def _limited(stopping: StopConfig, rules: Collection[str], kind: str, ui: Ui) -> StopConfig:
    """Return where texts end, with a limit for those that no rule might end.

    Args:
        stopping: where the user wants them to end.
        rules: names of the fields that the user gave.
        kind: kind of the model's corpus.
        ui: prints a warning.
    """
    lines = stopping.lines
    if kind == "lines" and lines is not None and lines > 1:
        ui.warn(
            f"each text of this model is a single line, so --lines {lines} has no effect; "
            f"-N {lines} writes {lines} lines"
        )
    if any(name in rules for name in ("chars", "tokens", "seconds", "match")):
        return stopping
    return dataclasses.replace(stopping, chars=MAX_CHARS if rules or kind != "text" else LENGTH)


def _temperatures(values: str | None) -> list[float | None]:
    """Return the temperatures of the samples; None for the model's default."""
    try:
        return [float(x) for x in values.split(",")] if values else [None]
    except ValueError:
        raise UsageError(
            f"--temperature {values!r} is not a list of numbers", "for example 0.5,0.8"
        ) from None


def _biases(
    biases: Sequence[str], bans: Sequence[str], meant: Callable[[str], str]
) -> dict[str, float]:
    nats = {}
    for option in biases:
        text, _, value = option.rpartition("=")
        try:
            nats[meant(text)] = float(value)
        except ValueError:
            raise UsageError(f"--bias {option!r} is not TEXT=NATS", "for example fox=2") from None
    return nats | {meant(ban): -math.inf for ban in bans}
