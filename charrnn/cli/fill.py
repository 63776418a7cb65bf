"""charrnn fill: the words that are missing in a text."""

import os
from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import typer
from typer import Option

from charrnn.cli.arriving import arriving
from charrnn.cli.options import Debug, Encoding, Json, ModelOption, Quiet, say_which
from charrnn.display.console import Ui, write_json, write_text
from charrnn.display.working import Working
from charrnn.errors import TextError, UsageError

MAX_FILLINGS = 1000  # maximum number of fillings that can be asked for
MAX_LENGTH = 10  # maximum words in a gap
BETWEEN = " / "  # printed between the words for several gaps


def fill(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]",
            help="Text with ___ for each missing word; - is standard input.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    file: Annotated[
        str | None, Option("-f", "--file", metavar="FILE", help="Read one text per line.")
    ] = None,
    count: Annotated[
        int, Option("-k", "--count", min=1, max=MAX_FILLINGS, help="Fillings to print.")
    ] = 5,
    length: Annotated[int, Option(min=1, max=MAX_LENGTH, help="Maximum words in a gap.")] = 1,
    gap: Annotated[
        str | None,
        Option(metavar="TEXT", help="What marks a gap.", show_default="three or more underscores"),
    ] = None,
    encoding: Encoding = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fill the gaps in a text with the words that fit best on both sides.

    Each text is answered with one line: tab-separated words and their
    probabilities, the likeliest first. Probabilities are relative to all
    candidates considered. Several gaps are filled together, and their words are
    separated by " / ".

    Letters next to a gap belong to the missing word: un___able. Standard input
    and FILE have one text a line; a line without a gap is answered with an empty
    line.
    """
    import charrnn
    from charrnn import runs
    from charrnn.suggestions.missing_words import Filling, parts

    if text is not None and file is not None:
        raise UsageError("both a TEXT and --file are given", "give one of them")
    if file is not None:
        runs.refuse(file, "a file of texts", "name the model with -m {}")
    ui = Ui(quiet)
    one = text not in (None, "-")
    if one and os.path.isfile(text or ""):
        raise UsageError(f"{text} is a file, not a text with gaps", "give -f to fill its lines")
    parts(text or "" if one else gap or "___", gap)  # checks them before a model is loaded
    loaded = charrnn.load(runs.find(model, chosen=say_which(ui)))
    texts = iter([("the text", text or "")]) if one else _lines(file, encoding, ui)
    empty = True
    for where, line in texts:
        empty = False
        fillings: list[Filling] = []  # of a line without a gap; the others are filled all the same
        try:
            if line:
                with Working(ui, "filling gaps", len(parts(line, gap)) - 1) as work:
                    fillings = loaded.missing(line, count, length, gap, work.advance)
        except UsageError as error:
            if one:
                raise
            ui.warn(f"{where}: {error.message}")
        if json_lines:
            found = [{"words": filling.words, "p": filling.p} for filling in fillings]
            write_json({"text": line, "fillings": found})
        else:
            shown = (f"{BETWEEN.join(filling.words)}\t{filling.p:.3f}" for filling in fillings)
            write_text("\t".join(shown))
    if empty:
        raise TextError("the input is empty", "give a text with ___ for each missing word")


def _lines(file: str | None, encoding: str | None, ui: Ui) -> Iterator[tuple[str, str]]:
    """Yield each line of a file or of standard input, and its location."""
    from charrnn.files import spelled
    from charrnn.text.source import Source

    if file is None and encoding is None:  # answers each line before it waits for the next
        lines: Iterator[tuple[int, str]] = enumerate(chain.from_iterable(arriving(ui)), 1)
    else:
        lines = Source([file or "-"], encoding).lines(ui.note)
    name = "standard input" if file in (None, "-") else spelled(file)
    for number, line in lines:
        yield f"{name}: line {number}", line
