"""Running charrnn as a shell does, and what it must never answer."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import charrnn

PATIENCE = 120  # seconds after which a command counts as hanging
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("CHARRNN_MODEL", "PYTHONIOENCODING", "NO_COLOR", "FORCE_COLOR")
} | {
    "OMP_NUM_THREADS": "1",  # tiny models only lose time by sharing their work
    "PYTHONPATH": str(Path(charrnn.__file__).parents[1]),
}
COMMAND = [sys.executable, "-m", "charrnn"]

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """stdout as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """stderr, which must be exactly one line that tells of an error, and not of a bug."""
        assert self.err.endswith("\n"), self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("charrnn: error: "), self.err
        assert "this is a bug" not in self.err
        return self.err.strip()


@dataclass(frozen=True)
class Training:
    """A finished `charrnn train`.

    Attributes:
        folder: where it was called, with the text.
        run: the run folder.
        result: what it said.
    """

    folder: Path
    run: Path
    result: Result

    @property
    def model(self) -> str:
        return str(self.run)


def charrnn_command(
    *arguments: object,
    cwd: Path,
    stdin: str | bytes = "",
    environment: dict[str, str] | None = None,
    program: Sequence[str] = COMMAND,
) -> Result:
    """Run a command to its end; stdin is a pipe."""
    process = subprocess.run(
        [*program, *map(str, arguments)],
        cwd=cwd,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=PATIENCE,
        env=ENVIRONMENT | (environment or {}),
    )
    return Result(process.returncode, process.stdout.decode(), process.stderr.decode())


def on_terminal(
    arguments: Sequence[object], cwd: Path, stream: str = "stdout", **environment: str
) -> str:
    """What a terminal of 40 columns receives from stdout, or from another stream."""
    import pty

    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=terminal if stream == "stdout" else subprocess.DEVNULL,
        stderr=terminal if stream == "stderr" else subprocess.DEVNULL,
        env=ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "40"} | environment,
    )
    os.close(terminal)
    received = b""
    try:
        while data := os.read(controller, 1 << 16):
            received += data
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(controller)
    assert process.wait() == 0
    return received.decode()


def start(
    *arguments: object,
    cwd: Path,
    environment: dict[str, str] | None = None,
    program: Sequence[str] = COMMAND,
    session: bool = False,
) -> Process:
    """Start a command, in a session of its own or not; stdin, stdout and stderr are pipes."""
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT | (environment or {}),
        encoding="utf-8",
        start_new_session=session,
    )


def finish(process: Process) -> Result:
    """Wait for a command's end; `out` is what had not been read yet."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return Result(process.returncode, out, err)


def event_named(process: Process, name: str) -> dict[str, Any]:
    """Read JSON lines up to an event of that name."""
    assert process.stdout
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"no event {name!r}: {finish(process).err}")


def modules_loaded(*arguments: object, cwd: Path, stdin: str = "") -> set[str]:
    """The top-level modules that a command has imported by its end."""
    program = (
        "import sys; from charrnn.cli import main; code = main(); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    result = charrnn_command(
        *arguments, cwd=cwd, stdin=stdin, program=[sys.executable, "-c", program]
    )
    assert result.code == 0, result.err
    return set(result.err.split())


@contextmanager
def one_thread() -> Iterator[None]:
    """Train on one core: threads that share a tiny model wait for each other on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
