"""The command line, progress and tables of benchmarks."""

import argparse
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).parent / "figures"


def parse(parser: argparse.ArgumentParser, *needed: str) -> argparse.Namespace:
    """Parse the command line, or exit with a note if a needed argument is missing."""
    options = parser.parse_args()
    if not all(getattr(options, name) for name in needed):
        names = " and ".join(name.upper() for name in needed)
        print(f"skipped: give {names}; CHARRNN_DATA can name the text", file=sys.stderr)
        sys.exit()
    return options


def tell(line: str) -> str:
    """Print a line of progress to standard error, and return it."""
    print(line, file=sys.stderr, flush=True)
    return line


def write(name: str, lines: Sequence[str]) -> None:
    """Print a table and write it to figures/NAME.md, with command, machine, commit and date.

    Args:
        name: the benchmark's.
        lines: Markdown.
    """
    about = f"`{command(name)}`; {machine()}; {commit()}; {date.today()}"
    text = "\n".join([about, "", *lines]) + "\n"
    print(text)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")


def command(name: str) -> str:
    """The command that was given, with paths reduced to file names, as folders may be private."""
    given = [re.sub(r"^(--[\w-]+=)?.*[/\\](?=[^/\\])", r"\1", each) for each in sys.argv[1:]]
    return shlex.join(["python", "-m", f"tests.benchmarks.{name}", *given])


def machine() -> str:
    """The processor's name and the number of its cores."""
    name = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        found = [line for line in cpu.read_text().splitlines() if line.startswith("model name")]
        name = found[0].partition(":")[2].strip() if found else name
    return f"{name}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit that is checked out, with a plus sign if files other than figures differ."""
    git = ["git", "-C", str(FOLDER.parent)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    status = [*git, "status", "--porcelain", "--untracked-files=no", ":/", ":!figures"]
    changed = subprocess.run(status, capture_output=True, text=True).stdout
    return f"commit {head.stdout.strip() or 'unknown'}{'+' if changed else ''}"
