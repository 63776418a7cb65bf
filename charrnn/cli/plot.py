"""charrnn plot: how runs went."""

import locale
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from charrnn.cli.options import Debug, Json, Quiet, run_names, say_which
from charrnn.display.console import Ui, write_json, write_text
from charrnn.display.format import printable
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from charrnn.display.plot.log import Log
    from charrnn.display.plot.terminal import Piece

COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")


def plot(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Runs, run folders or logs; the same as -m."),
    ] = None,
    models: Annotated[
        list[str] | None,
        Option(
            "-m",
            "--model",
            metavar="RUN",
            help="Run; may be repeated.",
            show_default="$CHARRNN_MODEL, else the newest run",
            autocompletion=run_names,
        ),
    ] = None,
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="FILE",
            help="HTML page to write.",
            show_default="plot.html in its folder; here for several runs",
        ),
    ] = None,
    by: Annotated[
        Literal["seconds", "tokens", "steps", "epochs"], Option(help="The x-axis.")
    ] = "seconds",
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Plot the loss of runs as an HTML page and a small curve in the terminal."""
    from charrnn.display.plot.log import read_logs, summary
    from charrnn.display.plot.page import html
    from charrnn.files import write_atomically
    from charrnn.runs import PLOT_NAME

    if json_lines and output == "-":
        raise UsageError("--json and -o - both mean standard output", "name a file with -o")
    ui = Ui(quiet)
    logs = read_logs([*(runs or []), *(models or [])], say_which(ui))
    page = html(logs, by)
    if output == "-":
        write_text(page, end="")
        return
    folder = logs[0].path.parent if len(logs) == 1 else Path()
    path = Path(output) if output else folder / PLOT_NAME
    if json_lines:
        for log in logs:
            write_json(log.to_json())
    else:
        draw(logs, by, [summary(log) for log in logs])
    # Last, since the folder may be someone else's: the curve is shown in any case.
    write_atomically(path, page.encode())
    ui.note(f"wrote {path}: open it in a browser")


def draw(logs: "Sequence[Log]", by: str, legend: "Sequence[str]") -> None:
    """Print the loss curves of runs, and a line of the legend for each."""
    from charrnn.display.plot.terminal import curve, digit

    show(curve(logs, by, plot_width(), prints("\u2800│└")))
    for index, line in enumerate(legend):
        number = f"{digit(index)}  " if len(logs) > 1 else ""
        show([(f"{number}{line}\n", index)])


def plot_width() -> int:
    """Return the columns of a plot in this terminal."""
    return max(30, min(72, shutil.get_terminal_size().columns))


def prints(characters: str) -> bool:
    """Return whether the terminal can show some characters; on Windows it always can."""
    try:
        characters.encode("utf-8" if os.name == "nt" else locale.getencoding())
    except UnicodeEncodeError:
        return False
    return os.environ.get("TERM") != "linux"  # the console, whose font holds no braille


def show(pieces: "list[Piece]") -> None:
    """Print the curves, on a terminal with one colour per run."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        write_text("".join(text for text, _ in pieces), end="")
        return
    from rich.console import Console
    from rich.text import Text

    styled = [
        (printable(text), "" if index is None else COLOURS[index % len(COLOURS)])
        for text, index in pieces
    ]
    Console().print(Text.assemble(*styled), end="")
