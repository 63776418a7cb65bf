"""charrnn score: how likely a model finds each line or file."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from charrnn.cli.options import Debug, Encoding, Json, ModelOption, Quiet
from charrnn.errors import TextError, UsageError

if TYPE_CHECKING:
    from charrnn.cells import Array
    from charrnn.model import Model

BATCH = 64  # lines scored side by side


@dataclass(frozen=True, slots=True)
class Scored:
    """A line or a file.

    Attributes:
        file: where it stands.
        line: its number, None of a file.
        text: the line, None of a file.
        chars, tokens: its length.
        logp: its log-probability, nats.
        bpc: bits per character.
    """

    file: str
    line: int | None
    text: str | None
    chars: int
    tokens: int
    logp: float
    bpc: float


def score(
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="Text files; - is standard input.")
    ],
    model: ModelOption = None,
    by: Annotated[str, Option(help="What is scored, each for itself: line or file.")] = "line",
    rank: Annotated[
        bool, Option("--rank", help="The likeliest first, by bits per character.")
    ] = False,
    encoding: Encoding = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score each line, or file: its log-probability and bits per character.

    On a terminal, characters are coloured by how surprising they are; elsewhere, or with --json,
    an object is printed for each line.
    """
    import charrnn
    from charrnn.heat import coloured

    if by not in ("line", "file"):
        raise UsageError(f"--by {by!r} is neither line nor file")
    loaded = charrnn.load(model)
    found: Iterator[tuple[Scored, Array | None]]
    found = _lines(loaded, texts, encoding) if by == "line" else _files(loaded, texts, encoding)
    if rank:
        found = iter(sorted(found, key=lambda pair: pair[0].bpc))
    shaded = sys.stdout.isatty() and not json_lines
    colours = coloured(sys.stdout)
    empty = True
    for scored, nats in found:
        empty = False
        print(_shown(scored, nats, colours) if shaded else _record(scored), flush=True)
    if empty:
        raise TextError("the text is empty", "give a text to score")


def _lines(
    model: "Model", paths: Iterable[str], encoding: str | None
) -> Iterator[tuple[Scored, "Array | None"]]:
    """Lines that are not empty, and the surprise of their characters."""
    from charrnn import text

    tokenizer = model.file.tokenizer
    for path in paths:
        lines = ((n, line) for n, line in text.lines([path], encoding) if line)
        while batch := list(islice(lines, BATCH)):
            surprises = model.surprise([line for _, line in batch])
            for (n, line), nats in zip(batch, surprises, strict=True):
                total = float(nats.sum(dtype=float))
                tokens = len(tokenizer.encode(line))
                yield (
                    Scored(path, n, line, len(line), tokens, -total, _bits(total, len(line))),
                    nats,
                )


def _files(
    model: "Model", paths: Iterable[str], encoding: str | None
) -> Iterator[tuple[Scored, "Array | None"]]:
    from charrnn import text

    for path in paths:
        score = model.score(text.stream([path], encoding))
        bpc = _bits(score.nats, score.chars)
        if score.chars:
            yield Scored(path, None, None, score.chars, score.tokens, -score.nats, bpc), None


def _bits(nats: float, chars: int) -> float:
    return nats / math.log(2) / max(1, chars)


def _record(scored: Scored) -> str:
    values = {name: value for name, value in asdict(scored).items() if value is not None}
    return json.dumps(values, ensure_ascii=False)


def _shown(scored: Scored, nats: "Array | None", colours: bool) -> str:
    from charrnn.heat import shade
    from charrnn.ui import printable

    if scored.text is None or nats is None:
        return f"{scored.bpc:6.3f} bits/char  {scored.chars:9,} characters  {scored.file}"
    return f"{scored.bpc:6.3f}  {shade(scored.text, nats) if colours else printable(scored.text)}"
