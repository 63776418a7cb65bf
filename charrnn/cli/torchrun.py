"""`train` in one of several processes that torchrun started."""

import os
from pathlib import Path

import typer

from charrnn.errors import UsageError

PROCESSES, RANK = "WORLD_SIZE", "RANK"  # variables of torchrun: how many it started, and which
PLACE = ("MASTER_ADDR", "MASTER_PORT")  # and where they find each other
LAST_PORT = (1 << 16) - 1  # maximum port number (TCP)
RESTARTS = "TORCHELASTIC_RESTART_COUNT"  # and how often it started them again
STARTED = "TORCHELASTIC_RUN_ID"  # set in every process that torchrun starts
PARENT = os.getppid()  # the process that started this one, and so torchrun where STARTED is set


def several() -> bool:
    """Return whether torchrun started several processes."""
    return os.environ.get(PROCESSES, "1") != "1"


def check() -> None:
    """Check the variables of torchrun, which may be left over from something else.

    Raises:
        UsageError: they do not say which of how many processes this one is.
    """
    if not several():
        return
    values = {name: os.environ.get(name, "") for name in (PROCESSES, RANK, *PLACE)}
    numbers = all(values[name].isdecimal() for name in (PROCESSES, RANK, PLACE[1]))
    if not (
        numbers
        and values[PLACE[0]]
        and int(values[PLACE[1]]) <= LAST_PORT
        and int(values[RANK]) < int(values[PROCESSES])
    ):
        given = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise UsageError(
            f"these environment variables do not belong to a process of torchrun: {given}",
            f"start the processes with torchrun, or unset {PROCESSES} to train with one",
        )


def rank() -> int:
    """Return the number of this process; 0 leads."""
    return int(os.environ[RANK]) if several() else 0


def speaker() -> str:
    """Return what an error begins with: the rank, if there are several processes."""
    return f"rank {os.environ[RANK]}: " if several() and RANK in os.environ else ""


def abandoned() -> bool:
    """Return whether torchrun has been killed, and so cannot end this process any more."""
    return STARTED in os.environ and os.getppid() != PARENT


def goes_on(output: str | None) -> bool:
    """Return whether this training goes on with a run, because torchrun has started it again.

    If the run had not been saved yet, its log is removed. A run that is older than torchrun is not
    of this training, and is left alone.

    Args:
        output: the run folder.

    Raises:
        UsageError: no run folder was given.
    """
    if not several() or os.environ.get(RESTARTS, "0") == "0":
        return False
    import psutil

    from charrnn import runs

    if output is None:
        raise UsageError(
            "torchrun restarted this training, but its run has no name to resume it by",
            "name the run with -o",
        )
    folder = Path(output)
    log = folder / runs.LOG_NAME
    if not log.exists() or log.stat().st_mtime < psutil.Process(PARENT).create_time():
        return False
    if runs.is_resumable(output):
        return True
    if not (folder / runs.MODEL_NAME).exists():
        runs.remove(folder)
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

    ranks = Ranks.joined()
    with ending_signals():
        replica = lockstep.prepare(ranks, devices.named(device))
    with Interrupts(nothing, nothing, nothing) as interrupts, interrupts.held():
        lockstep.follow(replica, lambda: interrupts.seen() or abandoned())
    if ranks.stopping:
        raise typer.Exit(130)
