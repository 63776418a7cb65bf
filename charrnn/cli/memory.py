"""charrnn memory: how far back a network remembers."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from charrnn.cli.memory_measures import Result, measure
from charrnn.cli.memory_recall import CELLS, recall
from charrnn.cli.options import (
    Debug,
    Json,
    Quiet,
    given,
    run_names,
    with_reading,
)
from charrnn.cli.plot import plot_width, prints, show
from charrnn.display.console import Ui, write_json, write_text
from charrnn.errors import UsageError

PAGE = "memory.html"  # default name of the page


@with_reading("encoding", "errors", "glob")
def memory(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]... [TEXT]",
            help="Runs, the same as -m; then a file or folder, - for standard input.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        Option(
            "-m",
            "--model",
            metavar="RUN",
            help="Run, run folder or model file; may be repeated.",
            show_default="$CHARRNN_MODEL, else the newest run",
            autocompletion=run_names,
        ),
    ] = None,
    task: Annotated[
        Literal["recall"] | None,
        Option(
            help="Train new networks on a task with a known answer, and measure their accuracy."
        ),
    ] = None,
    cells: Annotated[
        str | None,
        Option(metavar="CELL,...", help="With --task: cells to train.", show_default=CELLS),
    ] = None,
    gaps: Annotated[
        str | None,
        Option(
            metavar="N,...",
            help="With --task: tokens between the letters to recall and the answer.",
            show_default="1,2,4,8,16,32,64",
        ),
    ] = None,
    recalled: Annotated[
        int | None,
        Option(metavar="N", help="With --task: letters to recall.", show_default="3"),
    ] = None,
    time: Annotated[
        str | None,
        Option(metavar="TIME", help="With --task: time to train each cell.", show_default="15s"),
    ] = None,
    output: Annotated[
        str | None,
        Option("-o", "--output", metavar="FILE", help="HTML page to write.", show_default=PAGE),
    ] = None,
    random_seed: Annotated[int, Option(min=0, help="Seed of every random choice.")] = 0,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **reading: Any,
) -> None:
    """Measure how far back networks remember: in the terminal and as an HTML page.

    On a text: how far the gradient of the loss reaches back, per layer; how
    much a prediction changes when an earlier token is replaced; what a longer
    context buys; and how open the gates are.

    With --task recall, small networks learn to repeat the first letters of a
    random sequence after a gap, and their accuracy is shown for each gap.
    """
    if json_lines and output == "-":
        raise UsageError("--json and -o - both mean standard output", "name a file with -o")
    if output != "-":
        from charrnn.files import check_target

        check_target(output or PAGE)
    ui = Ui(quiet)
    options = given(cells=cells, gaps=gaps, recalled=recalled, time=time)
    if task:
        if names or models:
            raise UsageError("--task trains new networks", "leave out the runs and the text")
        result = recall(random_seed, ui, **options)
    else:
        if options:
            raise UsageError(f"--{next(iter(options))} needs --task recall", "add it")
        result = measure(names or [], models or [], reading, random_seed, ui)
    _write(result, output, json_lines, ui)


def _write(result: Result, output: str | None, json_lines: bool, ui: Ui) -> None:
    """Write the page, and to stdout the figures and the table, or JSON.

    Args:
        result: what was measured.
        output: path of the page; "-" for standard output, None for PAGE.
        json_lines: whether to print JSON.
        ui: prints messages.
    """
    from charrnn.display.plot.memory import html
    from charrnn.files import write_atomically

    page = html(result.title, result.table, result.note, result.figures)
    if output == "-":
        write_text(page, end="")
        return
    if json_lines:
        for row in result.found:
            write_json(row)
    else:
        for figure in result.figures:
            show([*figure.terminal(plot_width(), prints("\u2800│└")), ("\n", None)])
        _print(result.table)
        for row in result.found:
            if "advice" in row:
                write_text(f"{row['run']}: {row['advice']}")
    path = Path(output or PAGE)
    write_atomically(path, page.encode())
    ui.note(f"wrote {path}: open it in a browser")


def _print(table: list[dict[str, str]]) -> None:
    """Print a table with a line for each of its columns, as these are many and the rows few."""
    lines = [[name, *(row[name] for row in table)] for name in table[0]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        write_text("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
