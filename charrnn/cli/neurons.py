"""charrnn neurons: what the units of a network follow, and what each is for."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from charrnn.cli.options import (
    Debug,
    Json,
    ModelOption,
    Quiet,
    say_which,
    with_reading,
)
from charrnn.display.console import Ui, write_coloured, write_json, write_text
from charrnn.display.working import Working
from charrnn.errors import TextError, UsageError

if TYPE_CHECKING:
    from charrnn.insight.search import Finding
    from charrnn.insight.units import Activations, Unit
    from charrnn.model import Model
    from charrnn.text.source import Source

Record = dict[str, Any]  # printed for each feature
EXCERPT = 1200  # characters that are coloured on a terminal (not tuned)
PAGE_TOKENS = 3000  # maximum tokens that are coloured on the page (not tuned)
LEAST_TOKENS = 500  # tokens on the page, however many units there are (not tuned)


@with_reading("encoding", "errors", "glob", "field", "delimiter", "header")
def neurons(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] TEXT...",
            help="A run, the same as -m; then files or folders; - is standard input.",
        ),
    ],
    model: ModelOption = None,
    unit: Annotated[
        int | None,
        Option(
            metavar="N",
            help="Examine only this unit, counted from 0: what it follows, if anything.",
        ),
    ] = None,
    layer: Annotated[
        int | None, Option(metavar="N", help="Layer of --unit, counted from 1.", show_default="1")
    ] = None,
    browse: Annotated[
        bool,
        Option("--browse", help="Go through the units with the arrow keys, in the terminal."),
    ] = False,
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="FILE",
            help="HTML page to write.",
            show_default="neurons.html in the run's folder, or here",
        ),
    ] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **reading: Any,
) -> None:
    """Find units that follow something readable in a text, and switch them off.

    For each feature of the text, such as being inside quotation marks, the unit
    that correlates best in the first half of the text is tested on the second.
    Then its output is set to 0: the table gives the bits per character that
    this adds, overall and after characters where the feature holds.

    The HTML page shows a part of the text coloured by any unit; so does the
    terminal, and --browse there goes through all units.
    """
    import charrnn
    from charrnn import runs
    from charrnn.display.neurons.terminal import table
    from charrnn.files import check_target, write_atomically
    from charrnn.insight.units import activations
    from charrnn.text.source import Source

    if json_lines and output == "-":
        raise UsageError("--json and -o - both mean standard output", "name a file with -o")
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if browse and (json_lines or output == "-" or not on_terminal):
        raise UsageError("--browse needs a terminal", "open the HTML page instead")
    named, texts = _run_and_texts(texts, model)
    ui = Ui(quiet)
    found = runs.find(named, chosen=say_which(ui))
    if output != "-":
        check_target(_page_path(found, output))
    loaded = charrnn.load(found)
    loaded.require_text()
    only = _units(loaded, unit, layer)
    source = Source(texts, kind=loaded.kind, normalise=loaded.normalised, **reading)
    text = _text(source, loaded, ui)
    with Working(ui, "reading", 100) as work:
        read = activations(loaded, text, lambda share: work.advance(100 * share))
    findings = _search(read, only)
    records = _records(loaded, read, findings, ui)
    order = [*dict.fromkeys([*(finding.unit for finding in findings), *only, *read.units])]
    page = _page(loaded, found, read, findings, records, order)
    if output == "-":
        write_text(page, end="")
        return
    if json_lines:
        for record in records:
            write_json(record)
    else:
        write_text(table(records))
        if not browse:
            _colour(read, findings, order[0])
    write_atomically(path := _page_path(found, output), page.encode())
    ui.note(f"wrote {path}: open it in a browser")
    if browse:
        _browse(read, findings, records, order)


def _run_and_texts(arguments: list[str], model: str | None) -> tuple[str | None, list[str]]:
    """Return the run, and the texts; without -m, the first of several arguments may be a run."""
    from charrnn import runs

    first, *rest = arguments
    is_run = runs.is_model(first)
    if not rest and is_run:
        raise UsageError(f"{first} is a run, not a text", "give a text after it")
    if model is None and rest and first != "-" and (is_run or not os.path.exists(first)):
        model, arguments = first, rest
    for path in arguments:
        runs.refuse(path, "a text", "give a text after it: charrnn neurons {} TEXT")
    return model, arguments


def _units(model: "Model", index: int | None, layer: int | None) -> "list[Unit]":
    """Return what --unit and --layer name, empty without --unit.

    Raises:
        UsageError: the model has no such unit.
    """
    from charrnn.insight.units import units_of

    if index is None:
        if layer is not None:
            raise UsageError("--layer needs --unit", "give both")
        return []
    config = model.file.config
    if not 0 <= index < config.hidden:
        raise UsageError(f"no unit {index}: a layer has {config.hidden}", "they count from 0")
    layer = 1 if layer is None else layer
    if not 1 <= layer <= config.layers:
        raise UsageError(f"no layer {layer}: the model has {config.layers}", "they count from 1")
    return [unit for unit in units_of(model) if unit[:2] == (layer, index)]


def _text(source: "Source", model: "Model", ui: Ui) -> str:
    """Return the beginning of the text, as much as is examined.

    Raises:
        TextError: it is empty or too short.
    """
    from charrnn.insight.search import LEAST_CHARS
    from charrnn.insight.units import room

    most, text, more = room(model), "", False
    with Working(ui, "reading") as work:
        blocks = source.stream(work.note)
        for block in blocks:
            text += block
            if len(text) > most:
                text, more = text[:most], True
                break
    if len(text) < LEAST_CHARS:
        short = f"has {len(text):,} characters" if text else "is empty"
        raise TextError(f"the text {short}", f"give one of {LEAST_CHARS:,} or more")
    if more:
        ui.note(f"examining the first {most:,} characters of the text")
    return text


def _search(read: "Activations", only: "Sequence[Unit]") -> "list[Finding]":
    """Return the finding for each feature, confirmed and strong ones first.

    Raises:
        TextError: the text has no feature to look for.
    """
    from charrnn.insight.search import features_of, search

    features = features_of(read.text)
    if not features:
        raise TextError(
            "the text has no feature that a unit could follow", "give a longer or more varied one"
        )
    found = search(read, features, only or None)
    return sorted(found, key=lambda finding: (not finding.confirmed, -abs(finding.r)))


def _records(
    model: "Model", read: "Activations", findings: "Sequence[Finding]", ui: Ui
) -> list[Record]:
    """Switch off the unit of each finding, and return what --json prints.

    feature: what is followed. layer, unit: the unit that follows it best, counted from 1 and
    from 0. value: what is read of it, "output" or, of an LSTM, "cell state" (its tanh).
    r_first_half, r: correlation in the half in which the unit was chosen, and in the other one.
    p: probability of such an r by chance, corrected for the number of features. confirmed:
    whether p is below 0.05 and both correlations have the same sign. chars, chars_on_feature:
    characters scored with the unit off, and those of them after a character at which the
    feature holds. bpc, bpc_off: bits per character of the model, n-grams included, and without
    the unit; bpc_on_feature, bpc_off_on_feature: the same for chars_on_feature, null if there
    are none. network: the last four for the network's own prediction, without n-grams.
    """
    from charrnn.insight.search import bits_without
    from charrnn.insight.units import OUTPUT, switched_off

    off = [finding.unit._replace(value=OUTPUT) for finding in findings]
    units = [*dict.fromkeys(off)]
    with Working(ui, "switching off units", 100) as work:
        effect = switched_off(model, read, units, lambda share: work.advance(100 * share))
    records: list[Record] = []
    for finding, unit in zip(findings, off, strict=True):
        records.append(
            {
                "feature": finding.feature,
                **_told(finding.unit),
                "r": finding.r,
                "r_first_half": finding.r_first,
                "p": finding.p,
                "confirmed": finding.confirmed,
                **bits_without(finding, 1 + units.index(unit), effect, read),
            }
        )
    ui.note(
        f"{records[0]['chars']:,} characters of the second half scored with each unit off"
        + (", n-grams included" if model.engine.ngrams else "")
    )
    return records


def _told(unit: "Unit") -> Record:
    return unit._asdict()


def _colour(read: "Activations", findings: "Sequence[Finding]", unit: "Unit") -> None:
    """Print a part of the text coloured by a unit, where colours may be written."""
    from charrnn.display.highlight import coloured as allowed
    from charrnn.display.neurons.terminal import coloured, named
    from charrnn.insight.search import excerpt

    if not sys.stdout.isatty() or not allowed(sys.stdout):
        return
    start = excerpt(read.text, [findings[0].holds], EXCERPT)
    values, scale = read.of(unit)
    some = slice(start, start + EXCERPT)
    write_text(f"\n{named(_told(unit))}, from {-scale:.2g} (blue) to {scale:.2g} (red)")
    write_coloured(coloured(read.text[some], values[some], scale))


def _page(
    model: "Model",
    path: Path,
    read: "Activations",
    findings: "Sequence[Finding]",
    records: Sequence[Record],
    order: "Sequence[Unit]",
) -> str:
    """Return the HTML page."""
    from itertools import pairwise

    import numpy as np

    from charrnn.display.neurons.page import MOST_VALUES, html
    from charrnn.insight.search import excerpt
    from charrnn.runs import MODEL_NAME

    ends = np.cumsum(read.lengths)
    tokens = max(LEAST_TOKENS, min(PAGE_TOKENS, MOST_VALUES // len(order)))
    order = order[: MOST_VALUES // tokens]
    begin = excerpt(read.text, [finding.holds for finding in findings], tokens)
    first = int(np.searchsorted(ends, begin, side="right"))
    some = slice(first, first + tokens)
    columns = [*map(read.units.index, order)]
    bounds = [int(ends[first] - read.lengths[first]), *ends[some].tolist()]
    return html(
        title=f"Units of {path.resolve().parent.name if path.name == MODEL_NAME else path.stem}",
        note=f"{len(read.text):,} characters read; {records[0]['chars']:,} of the second half "
        "scored with each unit off.",
        findings=records,
        tokens=[read.text[start:stop] for start, stop in pairwise(bounds)],
        units=[*map(_told, order)],
        values=read.values[some][:, columns],
        scales=read.scales[columns],
        ngrams=model.engine.ngrams is not None,
    )


def _page_path(model: Path, output: str | None) -> Path:
    """Return where the page is written: by default into a run's folder if that can be written."""
    from charrnn.runs import MODEL_NAME, NEURONS_NAME

    if output:
        return Path(output)
    in_run = model.name == MODEL_NAME and os.access(model.parent, os.W_OK)
    return (model.parent if in_run else Path()) / NEURONS_NAME


def _browse(
    read: "Activations",
    findings: "Sequence[Finding]",
    records: Sequence[Record],
    order: "Sequence[Unit]",
) -> None:
    """Let the user go through the units."""
    from charrnn.display.neurons.terminal import described, named
    from charrnn.insight.search import excerpt
    from charrnn.session.unit_browser import UnitBrowser

    titles = {unit: named(_told(unit)) for unit in order}
    for finding, record in zip(reversed(findings), reversed(records), strict=True):
        titles[finding.unit] = f"{named(record)}  {described(record)}"
    first = excerpt(read.text, [findings[0].holds], EXCERPT)
    UnitBrowser(read.text, [*titles.values()], lambda i: read.of(order[i]), first).run()
