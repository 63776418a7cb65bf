"""`train` in one of several processes that torchrun started."""

import os
from pathlib import Path

import typer

from charrnn.errors import UsageError

PROCESSES, RANK = "WORLD_SIZE", "RANK"  # variables of torchrun: how many it started, and which
RESTARTS = "TORCHELASTIC_RESTART_COUNT"  # and how often it started them again


def several() -> bool:
    """Return whether torchrun started several processes."""
    return os.environ.get(PROCESSES, "1") != "1"


def rank() -> int:
    """Return the number of this process; 0 leads."""
    return int(os.environ[RANK]) if several() else 0


def goes_on(output: str | None) -> bool:
    """Return whether this training goes on with a run, because torchrun has started it again.

    If the run had not been saved yet, what there is of it is removed.

    Args:
        output: the run folder.

    Raises:
        UsageError: no run folder was given.
    """
    if not several() or os.environ.get(RESTARTS, "0") == "0":
        return False
    from charrnn import runs

    if output is None:
        raise UsageError(
            "a training that torchrun restarts must know its run", "give torchrun's command -o RUN"
        )
    if runs.is_resumable(output):
        return True
    if runs.holds_a_run(Path(output)):
        runs.remove(Path(output))
    return False


def follow(device: str) -> None:
    """Train with rank 0, silently.

    Raises:
        typer.Exit: training was stopped before its end.
    """
    from charrnn.training import devices, lockstep
    from charrnn.training.interrupts import Interrupts, ending_signals
    from charrnn.training.ranks import Ranks

    def nothing() -> None:
        pass

    with ending_signals():
        ranks = Ranks.joined()
        replica = lockstep.prepare(ranks, devices.named(device))
    with Interrupts(nothing, nothing, nothing) as interrupts, interrupts.held():
        lockstep.follow(replica, interrupts.seen)
    if ranks.stopping:
        raise typer.Exit(130)
