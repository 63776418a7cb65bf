"""charrnn runs: list runs, and remove them."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.options import Debug, Json, Quiet, run_names
from charrnn.display.console import Ui, write_json, write_text
from charrnn.errors import CharrnnError, UsageError

COLUMNS = ("name", "level", "parameters", "bits/char", "keys saved", "state", "when", "text")
RIGHT = 3, 4, 5  # columns of numbers, counted from one

app = typer.Typer(invoke_without_command=True)


@app.callback()
def runs(
    context: typer.Context, json_lines: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    """List the runs under runs/, the newest first.

    "bits/char" is the held-out score (lower is better), with the share of the
    held-out text that it covers if that is less than the whole; "keys saved" is
    the share of keystrokes that three suggestions save in simulated typing.
    """
    if context.invoked_subcommand:
        return
    from charrnn.runs import RUNS, all_runs

    rows = [_row(path) for path in all_runs()]
    if json_lines:
        for row in rows:
            write_json(row)
        return
    if not rows:
        Ui(quiet).note(f"no run under {RUNS}/; train one with charrnn train TEXT")
        return
    cells = [COLUMNS, *map(_cells, rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    for line in cells:
        parts = [
            cell.rjust(width) if i in RIGHT else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True), 1)
        ]
        write_text("  ".join(parts).rstrip())


@app.command()
def rm(
    names: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs or run folders.", autocompletion=run_names),
    ],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Remove runs: the model, the log, and all else that charrnn wrote into their folders."""
    from charrnn.runs import remove, run_folder

    ui = Ui(quiet)
    for folder in [*map(run_folder, names)]:
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError("no terminal to confirm on", "give --yes to remove without asking")
            try:
                if not typer.confirm(f"remove {folder}?", err=True):
                    continue
            except typer.Abort:  # Ctrl-C or Ctrl-D
                raise KeyboardInterrupt from None
        kept = remove(folder)
        files = "1 file of yours stays" if kept == 1 else f"{kept} files of yours stay"
        ui.note(f"removed {folder}" + (f"; {files} there" if kept else ""))


def _row(folder: Path) -> dict[str, Any]:
    """Return the values of a run; None where unknown."""
    from charrnn.checked import parsed
    from charrnn.display.plot.log import Log, read_log
    from charrnn.files import read_metadata, spelled
    from charrnn.runs import LOG_NAME, MODEL_NAME

    row: dict[str, Any] = {"name": spelled(Path(folder.name)), "path": spelled(folder)}
    try:
        log: Log | None = read_log(folder / LOG_NAME)
    except CharrnnError:
        log = None
    start, done = (log.last("start"), log.last("done")) if log else ({}, {})
    try:
        described = parsed(read_metadata(folder / MODEL_NAME, "charrnn") or "{}", finite=False)
        texts = described["training"]["texts"]
    except (OSError, ValueError, KeyError, TypeError):
        texts = None
    score = log.to_json()["best_val_bpc"] if log else None
    newest = max(p.stat().st_mtime for p in (folder / LOG_NAME, folder / MODEL_NAME) if p.exists())
    return row | {
        "level": start.get("level"),
        "parameters": start.get("parameters"),
        "val_bpc": score,
        "val_part": (done or log.last("validation") if log else {}).get("val_part"),
        "keys_saved": done.get("keys_saved"),
        "state": log.end if log else "no log",
        "modified": datetime.fromtimestamp(newest).astimezone().isoformat(timespec="seconds"),
        "texts": texts,
    }


def _covering(part: Any) -> str:
    """Return the share of the held-out text that a score covers, if it is known and below 1."""
    return f" ({part:.0%})" if isinstance(part, float) and part < 1 else ""


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    parameters, bits, saved = row["parameters"], row["val_bpc"], row["keys_saved"]
    return (
        row["name"],
        str(row["level"] or "-"),
        f"{parameters:,}" if isinstance(parameters, int) else "-",
        f"{bits:.3f}{_covering(row['val_part'])}" if isinstance(bits, float) else "-",
        f"{saved:.0%}" if isinstance(saved, float) else "-",
        row["state"],
        row["modified"][:16].replace("T", " "),
        ", ".join(map(str, row["texts"])) if isinstance(row["texts"], list) else "-",
    )
