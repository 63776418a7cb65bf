"""charrnn score: the likelihood of each line, record or file."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from charrnn.cli.batches import batches
from charrnn.cli.options import (
    Debug,
    Json,
    ModelOption,
    Quiet,
    Texts,
    say_which,
    with_reading,
)
from charrnn.display.console import Ui, write_coloured, write_json
from charrnn.display.format import printable
from charrnn.display.working import Working
from charrnn.errors import TextError, UsageError

if TYPE_CHECKING:
    from charrnn.arrays import Array
    from charrnn.model import Model
    from charrnn.text.source import Source

LINES = 64  # maximum lines scored in parallel (not tuned)
Record = dict[str, Any]  # printed for each line, record or file


@with_reading("encoding", "errors", "glob", "field", "delimiter", "header")
def score(
    texts: Texts,
    model: ModelOption = None,
    by: Annotated[
        Literal["line", "record", "file"] | None,
        Option(help="What gets a score of its own.", show_default="line; record with --field"),
    ] = None,
    rank: Annotated[
        bool, Option("--rank", help="Print the likeliest first, by bits per character.")
    ] = False,
    own: Annotated[
        str | None,
        Option("--id", metavar="FIELD", help="Print this field of each record as its id."),
    ] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **reading: Any,
) -> None:
    """Score each line, record or file: its log-probability and bits per character.

    On a terminal, characters are coloured by their surprisal. Elsewhere, and
    with --json, each line or record is printed as a JSON object. A line may
    have up to 4 million characters, a file any number.
    """
    import charrnn
    from charrnn import runs
    from charrnn.display.highlight import coloured
    from charrnn.text.source import Source

    by = by or ("line" if reading["field"] is None else "record")
    if by != "file" and (by == "record") != (reading["field"] is not None):
        raise UsageError(
            f"--by {by} cannot be used {'without' if by == 'record' else 'with'} --field"
        )
    if own is not None and by != "record":
        raise UsageError("--id needs records", "choose the field with --field")
    ui = Ui(quiet)
    loaded = charrnn.load(runs.find(model, chosen=say_which(ui)))
    loaded.require_text()
    source = Source(texts, normalise=loaded.normalised, **reading)
    shaded = sys.stdout.isatty() and not json_lines
    colours = coloured(sys.stdout)
    empty = True
    with Working(ui, "scoring") as work:
        match by:
            case "line":
                found = _scored(loaded, _lines(source, work), work)
            case "record":
                found = _scored(loaded, _records(source, own, loaded.kind, work), work)
            case _:
                found = _files(loaded, source, work)
        if rank:
            found = iter(sorted(found, key=lambda pair: pair[0]["bpc"]))
        for record, nats in found:
            empty = False
            work.clear()
            if shaded:
                write_coloured(_shown(record, nats, colours))
            else:
                write_json(record)
    if empty:
        raise TextError("the text is empty", "give a text to score")


def _lines(source: "Source", work: Working) -> Iterator[tuple[Record, str]]:
    """Yield each line and its location."""
    from charrnn.files import spelled

    for path, part in source.by_file():
        for n, line in part.lines(work.note):
            yield {"file": spelled(path), "line": n}, line


def _records(
    source: "Source", own: str | None, kind: str, work: Working
) -> Iterator[tuple[Record, str]]:
    """Yield what identifies each record, and its text.

    Args:
        source: the records.
        own: field with the record's id, or None.
        kind: kind of the model's corpus; a model of lines reads a record as one line.
        work: shows the notes about reading.
    """
    from charrnn.files import spelled
    from charrnn.text.source import one_line

    for path, record in source.records(work.note, own):
        head: Record = {"file": spelled(path), "record": record.number, "line": record.line}
        if own is not None:
            head["id"] = record.id
        yield head, one_line(record.text).strip() if kind == "lines" else record.text


def _scored(
    model: "Model", units: Iterable[tuple[Record, str]], work: Working
) -> Iterator[tuple[Record, "Array | None"]]:
    """Yield the score of each text that is not empty, and the surprisal of its characters."""
    from charrnn.arrays import bits

    tokenizer = model.file.tokenizer
    scored = ((head, text) for head, text in units if text)
    for batch in batches(scored, LINES, lambda unit: len(unit[1])):
        surprises = model.surprisal([text for _, text in batch], work.advance)
        for (head, text), nats in zip(batch, surprises, strict=True):
            total = float(nats.sum(dtype=float))
            record: Record = {
                **head,
                "text": text,
                "chars": len(text),
                "tokens": len(tokenizer.encode(text)),
                "logp": -total,
                "bpc": bits(total / len(text)),
            }
            yield record, nats


def _files(
    model: "Model", source: "Source", work: Working
) -> Iterator[tuple[Record, "Array | None"]]:
    from charrnn.arrays import bits
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
    from charrnn.display.highlight import shade

    if nats is None:
        file = printable(str(record["file"]))
        return f"{record['bpc']:6.3f} bits/char  {record['chars']:9,} characters  {file}"
    text = str(record["text"])
    return f"{record['bpc']:6.3f}  {shade(text, nats) if colours else printable(text)}"
