"""charrnn generate: continue seeds, or fill a template."""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, tee
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer
from typer import Option

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
from charrnn.cli.seeds import as_known, read_seeds
from charrnn.config import LENGTH, OUTPUT, SAMPLE, STOP, WRITE, SamplingConfig, StopConfig
from charrnn.display.console import Ui
from charrnn.display.format import printable, to_json
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.generation.sample import Part, Sample
    from charrnn.text.copy_index import Items, WordRuns

MAX_CHARS = 10_000  # characters, if the other rules may never be met
BEST_OF = 16  # candidates for each gap of a template


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
    samples: Annotated[
        int,
        Option(
            "-N", "--samples", min=1, help="Texts to write, in parallel.", rich_help_panel=WRITE
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
            help="Candidates sampled for each gap; the best fit is kept.",
            show_default=str(BEST_OF),
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
            show_default="0.8",
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
    --tokens.
    """
    import charrnn
    from charrnn import runs
    from charrnn.generation.sample import Sample, in_order
    from charrnn.model import new_random_seed
    from charrnn.text import blocks

    meant = blocks.unescape if escapes else str
    ends = {field.name for field in dataclasses.fields(StopConfig)}
    rules = given(
        chars=length,
        stop=[meant(text) for text in stop] if stop else None,
        seconds=None if time is None else seconds(time),
        **{name: value for name, value in fields.items() if name in ends},
    )
    stopping = StopConfig(**rules)
    biases = _biases(bias or [], ban or [], meant) or None
    controls = {name: value for name, value in fields.items() if name not in ends}
    sampling = SamplingConfig(**given(bias=biases, **controls))
    if template is not None and (seed is not None or file is not None or rules):
        raise UsageError(
            "--template cannot be combined with SEED, --file or a length option",
            "leave those out",
        )
    if template is None and best_of is not None:
        raise UsageError("--best-of needs a --template, whose gaps it fills", "give one")
    random_seed = new_random_seed() if random_seed is None else random_seed
    ui = Ui(quiet)
    seeds = [""] if template is not None else read_seeds(seed, file, encoding, meant, ui)
    loaded = charrnn.load(runs.find(model, chosen=say_which(ui)))
    items = loaded.kind == "lines"
    if not rules.keys() & {"chars", "tokens", "seconds"}:
        chars = MAX_CHARS if rules or loaded.kind != "text" else LENGTH
        stopping = dataclasses.replace(stopping, chars=chars)
    lines = stopping.lines
    if items and lines is not None and lines > 1:
        ui.warn(
            f"each text of this model is a single line, so --lines {lines} has no effect; "
            f"-N {lines} writes {lines} lines"
        )
    samplings = [dataclasses.replace(sampling, temperature=t) for t in _temperatures(temperature)]
    known = partial(as_known, model=loaded, unknown=unknown, ui=ui)
    seeds = [*map(known, seeds)]
    # Samples are made and put in order on the fly: there may be millions.
    wanted, in_turn = tee(
        Sample(s, each, (i, j))
        for i, s in enumerate(seeds)
        for each in samplings
        for j in range(samples)
    )
    scored = json_lines or highlight
    if template is not None:
        from charrnn.generation.template import parse

        tries = best_of or BEST_OF
        pieces = [piece._replace(fixed=known(piece.fixed)) for piece in parse(meant(template))]
        parts = loaded.fill(pieces, wanted, tries, random_seed, scored, avoid_copying)
    else:
        parts = loaded.write(wanted, stopping, random_seed, scored, avoid_copying)
    parts = in_order(parts, in_turn)
    parts = chain([next(parts)], parts)  # a failed start must not empty the output file
    index = (loaded.items if items else loaded.word_runs) if novelty else None
    with _opened(output) as out:
        if json_lines:
            _print_json(parts, random_seed, index, out)
            return
        if index:
            parts = _novelty(parts, index, ui)
        if separator is None and lines != 1 and not items:
            separator = ""
        between = "\n" if separator is None else f"\n{meant(separator)}\n"
        _print(parts, echo, between, highlight, out)


def _print(parts: Iterable["Part"], echo: bool, between: str, highlight: bool, out: TextIO) -> None:
    """Write texts as they come."""
    # A terminal gets no control characters: a stranger's model might abuse them.
    shown = printable if out.isatty() else str
    shade = None
    if highlight:
        from charrnn.display import highlight as colours

        shade = colours.shade if colours.coloured(out) else None
    current = None
    for part in parts:
        if part.sample is not current:
            out.write(between if current else "")
            out.write(shown(part.sample.seed) if echo else "")
            current = part.sample
        text = part.text
        out.write(shade(text, part.nats) if shade and part.nats is not None else shown(text))
        out.flush()
    out.write("\n")


def _novelty(parts: Iterable["Part"], index: "WordRuns | Items", ui: Ui) -> Iterator["Part"]:
    """Yield the same parts, and report how new each text is, or all lines at the end."""
    from charrnn.text.copy_index import WordRuns

    runs = isinstance(index, WordRuns)
    text, new, count = "", 0.0, 0
    for part in parts:
        yield part
        text += part.text
        if not part.last:
            continue
        share = _share_new(index, part.sample, text)
        if runs:
            told = "-" if share is None else f"{share:.1%}"
            ui.note(f"\nnovelty: {told} of its 8-word sequences are not in the training text")
        elif share is not None:
            new, count = new + share, count + 1
        text = ""
    if not runs:
        told = f"{new:.0f} of {count} are not in the training text" if count else "-, no line ended"
        ui.note(f"\nnovelty: {told}")


def _share_new(index: "WordRuns | Items", sample: "Sample", text: str) -> float | None:
    """Return the share of new word runs in a text; for a line, 1 if it is new, else 0."""
    from charrnn.text.copy_index import WordRuns

    if isinstance(index, WordRuns):
        return index.novelty(text)
    if sample.why == "template":  # it may have several lines
        return index.novelty([line for line in text.splitlines() if line.strip()])
    line = (sample.seed + text).rpartition("\n")[2]
    return index.novelty([line]) if sample.why == "item" else None


def _print_json(
    parts: Iterable["Part"], random_seed: int, index: "WordRuns | Items | None", out: TextIO
) -> None:
    """Write an object for each text."""
    text = ""
    for part in parts:
        sample = part.sample
        text += part.text
        if not part.last:
            continue
        record = {
            "seed": sample.seed,
            "text": text,
            "tokens": sample.tokens,
            "logp": sample.logp,
            "why": sample.why,
            "temperature": sample.sampling.temperature,
            "random_seed": random_seed,
        }
        if index:
            record["novelty"] = _share_new(index, sample, text)
        out.write(to_json(record) + "\n")
        out.flush()
        text = ""


def _temperatures(values: str | None) -> list[float]:
    from charrnn.config import SamplingConfig

    try:
        return [float(x) for x in values.split(",")] if values else [SamplingConfig.temperature]
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


@contextmanager
def _opened(output: str) -> Iterator[TextIO]:
    if output == "-":
        yield sys.stdout
    else:
        with open(output, "w", encoding="utf-8") as file:
            yield file
