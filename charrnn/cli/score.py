"""charrnn score: how likely a model finds each line or file."""

import json
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

from typer import Option

from charrnn.cli.options import (
    Debug,
    Encoding,
    Errors,
    Field,
    Glob,
    Json,
    ModelOption,
    Quiet,
    Texts,
    say_which,
)
from charrnn.errors import TextError, UsageError
from charrnn.ui import Ui, bits, printable
from charrnn.working import Working

if TYPE_CHECKING:
    from charrnn.cells import Array
    from charrnn.model import Model
    from charrnn.source import Source

BATCH = 64  # lines scored side by side,
BATCH_CHARS = 1 << 17  # or fewer, as soon as they have so many characters
Record = dict[str, str | int | float]


def score(
    texts: Texts,
    model: ModelOption = None,
    by: Annotated[str, Option(help="What is scored, each for itself: line or file.")] = "line",
    rank: Annotated[
        bool, Option("--rank", help="The likeliest first, by bits per character.")
    ] = False,
    encoding: Encoding = None,
    errors: Errors = "strict",
    glob: Glob = None,
    field: Field = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score each line, or file: its log-probability and bits per character.

    On a terminal, characters are coloured by how surprising they are; elsewhere, or with --json,
    an object is printed for each line. A line may have 4 million characters, a file any number.
    """
    import charrnn
    from charrnn import runs
    from charrnn.heat import coloured
    from charrnn.source import Source

    if by not in ("line", "file"):
        raise UsageError(f"--by {by!r} is neither line nor file")
    source = Source(texts, encoding, errors, glob, field)
    ui = Ui(quiet)
    loaded = charrnn.load(runs.find(model, chosen=say_which(ui)))
    shaded = sys.stdout.isatty() and not json_lines
    colours = coloured(sys.stdout)
    as_json = partial(json.dumps, ensure_ascii=False)
    empty = True
    with Working(ui, "scoring") as work:
        found = (_lines if by == "line" else _files)(loaded, source, work)
        if rank:
            found = iter(sorted(found, key=lambda pair: pair[0]["bpc"]))
        for record, nats in found:
            empty = False
            line = _shown(record, nats, colours) if shaded else as_json(record)
            work.clear()
            print(line, flush=True)
    if empty:
        raise TextError("the text is empty", "give a text to score")


def _lines(
    model: "Model", source: "Source", work: Working
) -> Iterator[tuple[Record, "Array | None"]]:
    """Lines that are not empty, and the surprise of their characters."""
    from charrnn.files import spelled

    tokenizer = model.file.tokenizer
    for path, part in source.by_file():
        for batch in _batches(part.lines(work.note)):
            surprises = model.surprise([line for _, line in batch], work.advance)
            for (n, line), nats in zip(batch, surprises, strict=True):
                total = float(nats.sum(dtype=float))
                record: Record = {
                    "file": spelled(path),
                    "line": n,
                    "text": line,
                    "chars": len(line),
                    "tokens": len(tokenizer.encode(line)),
                    "logp": -total,
                    "bpc": bits(total / len(line)),
                }
                yield record, nats


def _batches(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield the lines that are not empty, with their numbers, in batches to score side by side."""
    batch: list[tuple[int, str]] = []
    chars = 0
    for n, line in lines:
        if line:
            batch.append((n, line))
            chars += len(line)
        if len(batch) == BATCH or chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _files(
    model: "Model", source: "Source", work: Working
) -> Iterator[tuple[Record, "Array | None"]]:
    from charrnn.files import spelled

    for path, part in source.by_file():
        score = model.score(part.stream(work.note), work.advance)
        if score.chars:
            record: Record = {
                "file": spelled(path),
                "chars": score.chars,
                "tokens": score.tokens,
                "logp": -score.nats,
                "bpc": bits(score.nats / score.chars),
            }
            yield record, None


def _shown(record: Record, nats: "Array | None", colours: bool) -> str:
    from charrnn.heat import shade

    if nats is None:
        return f"{record['bpc']:6.3f} bits/char  {record['chars']:9,} characters  {record['file']}"
    text = str(record["text"])
    return f"{record['bpc']:6.3f}  {shade(text, nats) if colours else printable(text)}"
