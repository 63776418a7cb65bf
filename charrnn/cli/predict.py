"""charrnn predict: the likeliest target of each source."""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from charrnn.cli.arriving import arriving
from charrnn.cli.batches import batches
from charrnn.cli.options import (
    Debug,
    Json,
    ModelOption,
    Quiet,
    say_which,
    with_reading,
)
from charrnn.config import BEAM
from charrnn.display.console import Ui, write_json, write_text
from charrnn.display.working import Working

if TYPE_CHECKING:
    from charrnn.network.model_file import Trained

MAX_TOP = 1000  # maximum number of targets it can ask for
BATCH = 256  # maximum sources predicted in parallel (not tuned)
IN_ONE_CELL = str.maketrans("\t\n", "  ")  # keeps a target in its cell of the output


@with_reading("encoding", "errors", "field", "delimiter", "header")
def predict(
    files: Annotated[
        list[str] | None,
        Argument(
            metavar="[FILE]...",
            help="Files with a source on each line, or records; - is standard input.",
            show_default="standard input",
        ),
    ] = None,
    model: ModelOption = None,
    top: Annotated[
        int,
        Option("-k", "--top", min=1, max=MAX_TOP, help="Targets to print for each source."),
    ] = 1,
    beam: Annotated[
        int,
        Option(
            min=1,
            max=MAX_TOP,
            help="Beam width of the search for a target; has no effect where the model chooses "
            "from the targets that it was trained on.",
        ),
    ] = BEAM,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **reading: Any,
) -> None:
    """Predict the target of each source: its label, or the text that it becomes.

    Each source is answered with one line of tab-separated targets and their
    probabilities, the likeliest first. An empty source is answered with an
    empty line. Of a very long source only the last 8,192 tokens are read.

    In CSV, TSV and JSON files, the field that the model was trained on is read,
    or the one given by --field. With a model trained with --label-folders, each
    file is a source.
    """
    import charrnn
    from charrnn import runs

    for path in files or []:
        runs.refuse(path, "a file of sources", "name the model with -m {}")
    ui = Ui(quiet)
    loaded = charrnn.load(runs.find(model, chosen=say_which(ui)))
    loaded.require_records()
    in_batches: Iterator[list[str]]
    typed = not files and sys.stdin.isatty()  # there is no progress to show between two lines
    with Working(ui, "predicting") as work:
        if files in (None, [], ["-"]) and not any(
            reading[name] for name in ("encoding", "errors", "field")
        ):
            in_batches = (b for lines in arriving(ui) for b in batches(lines, BATCH, len))
        else:
            read = partial(_sources, loaded.file.trained, reading, work)
            sources = chain.from_iterable(map(read, files or ["-"]))
            in_batches = batches(sources, BATCH, len)
        for batch in in_batches:
            found = loaded.predictions(batch, top, beam)
            work.clear()
            for source, targets in zip(batch, found, strict=True):
                if json_lines:
                    answers = [{"text": target.text, "p": target.p} for target in targets]
                    write_json({"source": source, "targets": answers})
                else:
                    cells = (f"{t.text.translate(IN_ONE_CELL)}\t{t.p:.3f}" for t in targets)
                    write_text("\t".join(cells))
            if not typed:
                work.advance(sum(map(len, batch)))


def _sources(
    trained: "Trained",
    reading: dict[str, Any],
    work: Working,
    path: str,
) -> Iterator[str]:
    """Yield the sources in a file or folder.

    Args:
        trained: how the model was trained.
        reading: how, by the fields of Source.
        work: shows the notes about reading.
        path: the file or folder.
    """
    from charrnn.text.records import DELIMITERS, JSON_LINES
    from charrnn.text.source import Source, unpacked_name

    ending = PurePath(unpacked_name(path)).suffix.lower()
    if reading["field"] is None and ending in (*DELIMITERS, *JSON_LINES, ".json"):
        reading = reading | {"field": trained.source_field}
    source = Source([path], **reading)
    if reading["field"] is not None:
        return (record.text for _, record in source.records(work.note))
    if trained.source_field is None and path != "-":
        return (part.read(work.note) for _, part in source.by_file())
    return (line for _, line in source.lines(work.note))
