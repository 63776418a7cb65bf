"""charrnn score: how likely a model finds each line or file."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
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
)
from charrnn.errors import TextError, UsageError
from charrnn.ui import Ui, bits, printable

if TYPE_CHECKING:
    from charrnn.cells import Array
    from charrnn.model import Model
    from charrnn.source import Source

BATCH = 64  # lines scored side by side
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
    an object is printed for each line.
    """
    import charrnn
    from charrnn.heat import coloured
    from charrnn.source import Source

    if by not in ("line", "file"):
        raise UsageError(f"--by {by!r} is neither line nor file")
    source = Source(texts, encoding, errors, glob, field)
    loaded = charrnn.load(model)
    found = (_lines if by == "line" else _files)(loaded, source, Ui(quiet))
    if rank:
        found = iter(sorted(found, key=lambda pair: pair[0]["bpc"]))
    shaded = sys.stdout.isatty() and not json_lines
    colours = coloured(sys.stdout)
    empty = True
    for record, nats in found:
        empty = False
        shown = _shown(record, nats, colours) if shaded else json.dumps(record, ensure_ascii=False)
        print(shown, flush=True)
    if empty:
        raise TextError("the text is empty", "give a text to score")


def _lines(model: "Model", source: "Source", ui: Ui) -> Iterator[tuple[Record, "Array | None"]]:
    """Lines that are not empty, and the surprise of their characters."""
    tokenizer = model.file.tokenizer
    for path, part in source.by_file():
        lines = ((n, line) for n, line in part.lines(ui.note) if line)
        while batch := list(islice(lines, BATCH)):
            surprises = model.surprise([line for _, line in batch])
            for (n, line), nats in zip(batch, surprises, strict=True):
                total = float(nats.sum(dtype=float))
                record: Record = {
                    "file": path,
                    "line": n,
                    "text": line,
                    "chars": len(line),
                    "tokens": len(tokenizer.encode(line)),
                    "logp": -total,
                    "bpc": bits(total / len(line)),
                }
                yield record, nats


def _files(model: "Model", source: "Source", ui: Ui) -> Iterator[tuple[Record, "Array | None"]]:
    for path, part in source.by_file():
        score = model.score(part.stream(ui.note))
        if score.chars:
            record: Record = {
                "file": path,
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
