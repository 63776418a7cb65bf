"""Where benchmarks write their tables, with what a reader needs to judge them."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).parent / "figures"


def write(name: str, command: str, lines: Sequence[str]) -> None:
    """Print a table and write it to figures/NAME.md, with commit, machine and date.

    Args:
        command: what prints it again.
        lines: Markdown.
    """
    text = "\n".join([f"`{command}`; {machine()}; {commit()}; {date.today()}", "", *lines]) + "\n"
    print(text)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")


def machine() -> str:
    """The processor's name and the number of its cores."""
    name = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        found = [line for line in cpu.read_text().splitlines() if line.startswith("model name")]
        name = found[0].partition(":")[2].strip() if found else name
    return f"{name}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit that is checked out, with a plus sign where files differ from it."""
    git = ["git", "-C", str(FOLDER.parent)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    status = [*git, "status", "--porcelain", "--untracked-files=no"]
    changed = subprocess.run(status, capture_output=True, text=True).stdout
    return f"commit {head.stdout.strip() or 'unknown'}{'+' if changed else ''}"
