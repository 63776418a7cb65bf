"""`charrnn train` in several processes, as torchrun starts them."""

import json
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from charrnn import load
from tests.cli.shell import (
    COMMAND,
    Process,
    Result,
    charrnn_command,
    event_named,
    finish,
    start,
)
from tests.cli.test_interrupts import interpose, wait_for
from tests.cli.test_train import files_limited_to

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="torchrun is tested on Linux"),
]

LONG = ("--steps", 100_000, "--hidden", 8, "--batch", 4)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


def ranks(
    *arguments: object, cwd: Path, second: list[str] = COMMAND, limit: int | None = None
) -> list[Process]:
    """Start two processes that train together.

    Args:
        arguments: of `charrnn train`.
        cwd: their folder.
        second: the program of rank 1.
        limit: bytes that rank 0 can write into a file; None for no limit.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank, program in enumerate((COMMAND, second)):
        environment = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        with files_limited_to(limit if limit and not rank else 1 << 40):
            train = partial(start, "train", environment=environment, program=program)
            processes.append(train(*arguments, cwd=cwd))
    return processes


def ends(processes: list[Process]) -> list[Result]:
    return [finish(process) for process in processes]


def saved_step(run: Path) -> int:
    """The number of steps in a run's resume file, from which it goes on."""
    result = finish(start("train", "--resume", "-m", run, "--steps", 1, "--json", cwd=run.parent))
    return int(result.err.rpartition("finished: ")[2].partition(" steps")[0].replace(",", ""))


def test_two_processes(corpus: Path, tmp_path: Path) -> None:
    """Rank 0 alone speaks and writes; the run goes on in one process."""
    options = ("--steps", 30, "--hidden", 8, "--batch", 4, "--level", "char", "-o", "run")
    zero, one = ends(ranks(corpus, *options, "--json", cwd=tmp_path))
    assert (zero.code, one.code) == (0, 0)
    assert (one.out, one.err) == ("", "")
    assert "by 2 processes" in zero.err
    begun = [json.loads(line) for line in zero.out.splitlines()]
    assert begun[0]["processes"] == 2
    assert begun[-1]["steps"] == 30
    assert load(tmp_path / "run").surprisal(["The fox"])
    again = finish(start("train", "--resume", "-m", "run", "--steps", 40, cwd=tmp_path))
    assert again.code == 0, again.err


@pytest.mark.parametrize(("rank", "kind"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_a_signal_to_any_process(rank: int, kind: int, corpus: Path, tmp_path: Path) -> None:
    """A signal to one process ends all; the run is saved."""
    processes = ranks(corpus, *LONG, "-o", "run", "--json", cwd=tmp_path)
    event_named(processes[0], "step")
    processes[rank].send_signal(kind)
    zero, one = ends(processes)
    assert zero.code == 130
    assert one.code in (0, 130)
    assert "saved; continue with" in zero.err
    assert one.err == ""
    assert saved_step(tmp_path / "run") > 0


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process(rank: int, corpus: Path, tmp_path: Path) -> None:
    """The other process ends with an error that names it."""
    processes = ranks(corpus, *LONG, "-o", "run", "--json", cwd=tmp_path)
    event_named(processes[0], "step")
    processes[rank].kill()
    results = ends(processes)
    assert results[rank].code == -signal.SIGKILL
    assert results[1 - rank].code == 1
    assert results[1 - rank].err.splitlines()[-1] == (
        f"charrnn: error: rank {1 - rank}: another process of this training has ended or cannot be "
        "reached; see the message of the process that failed first"
    )


def test_a_text_that_one_process_cannot_read(corpus: Path, tmp_path: Path) -> None:
    """The error names the rank and the text."""
    text = tmp_path / "text.txt"
    text.write_text(corpus.read_text())
    program = interpose("charrnn.training.lockstep", "known.split", f"os.remove({str(text)!r})")
    zero, one = ends(ranks(text, *LONG, cwd=tmp_path, second=program))
    assert (zero.code, one.code) == (1, 1)
    assert one.err.startswith(f"charrnn: error: rank 1: {text} does not exist")
    assert "error: rank 0: another process" in zero.err
    assert not (tmp_path / "runs").exists()


def test_another_text(corpus: Path, tmp_path: Path) -> None:
    """A process that reads another text than rank 0 says so."""
    text = tmp_path / "text.txt"
    text.write_text(corpus.read_text())
    then = f"open({str(text)!r}, 'a').write('more')"
    program = interpose("charrnn.training.lockstep", "known.split", then)
    _, one = ends(ranks(text, *LONG, cwd=tmp_path, second=program))
    assert one.code == 1
    assert "rank 1: " in one.err
    assert "is not the text that rank 0 reads" in one.err


def test_standard_input(tmp_path: Path) -> None:
    """What only one process could read is refused."""
    zero, one = ends(ranks("-", *LONG, cwd=tmp_path))
    assert (zero.code, one.code) == (2, 1)
    assert "rank 0: standard input" in zero.err


def test_too_few_streams(corpus: Path, tmp_path: Path) -> None:
    """Each process needs a stream."""
    zero, _ = ends(ranks(corpus, *LONG, "--batch", 1, cwd=tmp_path))
    assert zero.code == 2
    assert "--batch" in zero.err


@pytest.mark.parametrize(
    "variables",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": ""},
        {"WORLD_SIZE": "two", "RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
        {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "99999"},
    ],
)
def test_variables_of_something_else(
    variables: dict[str, str], corpus: Path, tmp_path: Path
) -> None:
    """Training says which variables are wrong; other commands do without them."""
    result = charrnn_command("train", corpus, *LONG, cwd=tmp_path, environment=variables)
    assert result.code == 2
    assert all(f"{name}={value!r}" in result.error for name, value in variables.items())
    assert "unset WORLD_SIZE" in result.error
    other = charrnn_command("info", "nothing", cwd=tmp_path, environment=variables)
    assert other.code
    assert "nothing does not exist" in other.error


def test_exit_codes(corpus: Path, tmp_path: Path) -> None:
    """The processes end without finalizing torch, which aborts some of them."""
    aborting = "import atexit, os; atexit.register(os.abort); import charrnn.__main__ as m; m.run()"
    program = [sys.executable, "-c", aborting]
    options = ("--steps", 3, "--hidden", 8, "--batch", 4, "-o", "run", "-q")
    processes = ranks(corpus, *options, cwd=tmp_path, second=program)
    assert [result.code for result in ends(processes)] == [0, 0]


def test_full_disk(corpus: Path, tmp_path: Path) -> None:
    """Rank 0 says that it cannot save, and nobody waits for ever."""
    options = ("--steps", 30, "--hidden", 8, "--batch", 4, "-o", "run")
    zero, one = ends(ranks(corpus, *options, cwd=tmp_path, limit=4000))
    assert (zero.code, one.code) == (1, 1)
    assert "error: rank 0: cannot write" in zero.err


def torchrun(*arguments: object, cwd: Path, restarts: int = 0) -> Process:
    program = [*TORCHRUN, "--max-restarts", str(restarts), "-m", "charrnn", "train"]
    return start(*arguments, cwd=cwd, program=program, session=True)


def workers(process: Process) -> list[int]:
    """The processes that torchrun has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children]


@pytest.mark.parametrize("when", ["start", "save"])
def test_a_restart(when: str, corpus: Path, tmp_path: Path) -> None:
    """After kill -9 torchrun starts the training again, and it goes on from the last save."""
    options: tuple[Any, ...] = ("--steps", 400, "--hidden", 8, "--batch", 4, "-o", "run")
    process = torchrun(corpus, *options, "--json", cwd=tmp_path, restarts=1)
    event = event_named(process, when)
    os.kill(workers(process)[-1], signal.SIGKILL)
    again = event_named(process, "start")
    assert (again["step"] > 0) == (when == "save" and event["step"] > 0)
    result = finish(process)
    assert result.code == 0, result.err
    assert json.loads(result.out.splitlines()[-1])["steps"] == 400


def test_a_restart_without_a_name(corpus: Path, tmp_path: Path) -> None:
    """Which run a restart goes on with must be said."""
    process = torchrun(corpus, *LONG, "--json", cwd=tmp_path, restarts=1)
    event_named(process, "step")
    os.kill(workers(process)[-1], signal.SIGKILL)
    assert "name the run with -o" in wait_for(process, "error: rank 0: torchrun restarted")
    assert finish(process).code == 1


@pytest.mark.parametrize("resumable", [False, True])
def test_a_restart_onto_another_run(resumable: bool, corpus: Path, tmp_path: Path) -> None:
    """A run that was there before is neither removed nor gone on with."""
    options = ("--steps", 3, "--hidden", 8, "--batch", 4, "-o", "run", "-q")
    assert finish(start("train", corpus, *options, cwd=tmp_path)).code == 0
    if not resumable:
        (tmp_path / "run" / "resume.safetensors").unlink()
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    result = finish(torchrun(corpus, *options, cwd=tmp_path, restarts=1))
    assert result.code
    assert "rank 0: run already holds a run; " in result.err
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_ctrl_c_to_torchrun(corpus: Path, tmp_path: Path) -> None:
    """Ctrl-C, which a terminal sends to all processes, saves."""
    process = torchrun(corpus, *LONG, "-o", "run", "--json", cwd=tmp_path)
    event_named(process, "step")
    os.killpg(process.pid, signal.SIGINT)
    result = finish(process)
    assert result.code
    assert "saved; continue with" in result.err
    assert saved_step(tmp_path / "run") > 0


def test_killed_torchrun(corpus: Path, tmp_path: Path) -> None:
    """If torchrun is killed, the processes that it started save and end."""
    process = torchrun(corpus, *LONG, "-o", "run", "--json", cwd=tmp_path)
    event_named(process, "step")
    process.kill()
    result = finish(process)  # their end closes its output
    assert "saved; continue with" in result.err
    assert saved_step(tmp_path / "run") > 0
