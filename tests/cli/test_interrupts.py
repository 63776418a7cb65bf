"""Ctrl-C, requests to end, Ctrl-Z, and streams that nobody reads, while `charrnn train` works."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import COMMAND, ENVIRONMENT, Process, event_named, finish, start

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")

LONG = ("--hidden", 8, "--steps", 2000, "--val", 0.05)
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def hangup_ends() -> Iterator[None]:
    """SIGHUP ends a process, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def wait_for(process: Process, wanted: str) -> str:
    """Read stderr up to a line that holds `wanted`."""
    assert process.stderr
    for line in process.stderr:
        if wanted in line:
            return line
    raise AssertionError(f"{wanted!r} was never said")


def interpose(module: str, function: str, then: str) -> list[str]:
    """A command like charrnn that runs some code when it calls a function of charrnn.

    Args:
        function: its name in the module, such as "Parts.of".
        then: statements; `kill(NAME)` sends this process a signal.
    """
    owner, _, name = f"module.{function}".rpartition(".")
    program = f"""
import importlib, os, signal, sys, time
from charrnn.cli import main
module = importlib.import_module({module!r})
before = {owner}.{name}
def kill(name):
    os.kill(os.getpid(), getattr(signal, name))
def interposed(*arguments, **options):
    {then}
    return before(*arguments, **options)
{owner}.{name} = interposed
sys.exit(main())
"""
    return [sys.executable, "-c", program]


def run(program: list[str], *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *map(str, arguments)],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=60,
    )  # fmt: skip


class TestBeforeTheFirstStep:
    @pytest.mark.parametrize(
        ("function", "end"),
        [
            *zip(["text.split Parts.of"] * 3, ENDS, strict=True),
            ("text.copy_index WordRuns.build", signal.SIGINT),  # in a thread
            ("training.extras Trigrams.build", signal.SIGINT),
        ],
    )
    @pytest.mark.slow
    def test_ends_at_once(
        self, function: str, end: signal.Signals, corpus: Path, tmp_path: Path
    ) -> None:
        """While a text is read or made ready, a signal ends the command and nothing is written."""
        then = f"kill({end.name!r}); time.sleep(50)"
        module, name = function.split()
        program = interpose(f"charrnn.{module}", name, then)
        result = run(program, "train", corpus, *LONG, "-o", "run", cwd=tmp_path)
        assert result.returncode == 130
        assert result.stderr == "stopped before the first step; nothing was saved\n"
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("end", ENDS[:2])
    @pytest.mark.slow
    def test_waiting_for_standard_input(self, end: signal.Signals, tmp_path: Path) -> None:
        """A signal ends the wait for a text that does not come."""
        process = start("train", "-", *LONG, cwd=tmp_path)
        time.sleep(1.5)
        process.send_signal(end)
        result = finish(process)
        assert result.code == 130
        assert "nothing was saved" in result.err
        assert not (tmp_path / "runs" / "stdin").exists()


class TestTraining:
    @pytest.mark.parametrize("end", ENDS[2:])  # tests of train send the others
    @pytest.mark.slow
    def test_saves(self, end: signal.Signals, corpus: Path, tmp_path: Path) -> None:
        """After a validation, a signal saves the model and the state, and says how to go on."""
        process = start("train", corpus, *LONG, "--json", cwd=tmp_path)
        event_named(process, "validation")
        process.send_signal(end)
        result = finish(process)
        assert result.code == 130
        assert "charrnn train --resume -m runs/corpus" in result.err
        names = {path.name for path in (tmp_path / "runs" / "corpus").iterdir()}
        assert names - {"samples.txt"} == {"log.jsonl", "model.safetensors", "resume.safetensors"}

    @pytest.mark.slow
    def test_a_model_of_one_step_is_no_model(self, corpus: Path, tmp_path: Path) -> None:
        """Interrupted before it was ever validated, a run can go on but has no model yet."""
        program = interpose("charrnn.training.trainer", "Trainer.update", "kill('SIGINT')")
        result = run(program, "train", corpus, "--hidden", 8, "--steps", 500, cwd=tmp_path)
        assert result.returncode == 130
        assert "charrnn train --resume -m runs/corpus" in result.stderr
        names = {path.name for path in (tmp_path / "runs" / "corpus").iterdir()}
        assert names == {"log.jsonl", "resume.safetensors"}

    @pytest.mark.slow
    def test_waits_for_the_step(self, corpus: Path, tmp_path: Path) -> None:
        """In a step the first Ctrl-C is answered at once by a line; a second one ends it there."""
        program = interpose("charrnn.training.trainer", "Trainer.update", "time.sleep(50)")
        process = subprocess.Popen(
            [*program, "train", str(corpus), "--hidden", "8", "--steps", "9", "-o", "run"],
            cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        wait_for(process, "batch")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        wait_for(process, "Ctrl-C again")
        process.send_signal(signal.SIGINT)
        result = finish(process)
        assert result.code == 130
        assert "nothing was saved" in result.err

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("module", "function"), [("final_weights", "choose"), ("final_report", "tune")]
    )
    def test_the_end(self, module: str, function: str, corpus: Path, tmp_path: Path) -> None:
        """While the last score is computed or suggestions are tuned, a signal saves and ends."""
        then = "kill('SIGTERM'); time.sleep(50)"
        program = interpose(f"charrnn.training.{module}", function, then)
        result = run(program, "train", corpus, "--hidden", 8, "--steps", 40, cwd=tmp_path)
        assert result.returncode == 130
        assert "saved; the final score" in result.stderr
        assert (tmp_path / "runs" / "corpus" / "model.safetensors").exists()

    @pytest.mark.slow
    def test_an_ignored_signal_stays_ignored(self, corpus: Path, tmp_path: Path) -> None:
        """What nohup ignores does not end a training."""
        process = subprocess.Popen(
            [*COMMAND, "train", str(corpus), "--hidden", "8", "--steps", "300", "--json"],
            cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) and None,
        )  # fmt: skip
        event_named(process, "start")
        process.send_signal(signal.SIGHUP)
        assert finish(process).code == 0


@pytest.mark.slow
class TestStopped:
    def test_does_not_count(self, corpus: Path, tmp_path: Path) -> None:
        """Time in which the process was stopped is no training time."""
        began = time.monotonic()
        process = start("train", corpus, "--hidden", 8, "--time", "5s", "--json", cwd=tmp_path)
        event_named(process, "plan")
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        counted = event_named(process, "done")["seconds"]
        assert time.monotonic() - began - counted > 3.5
        assert finish(process).code == 0

    def test_gives_the_cursor_back(self, corpus: Path, tmp_path: Path) -> None:
        """Ctrl-Z shows the cursor that the live display hides; going on hides it again."""
        import pty

        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "train", str(corpus), "--hidden", "8", "--time", "30s"],
            cwd=tmp_path, env=ENVIRONMENT | {"TERM": "xterm-256color"},
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=False,
            preexec_fn=os.setpgrp,
        )  # fmt: skip
        os.close(terminal)
        try:
            received = b""
            while b"\x1b[?25l" not in received:
                received += os.read(controller, 1 << 16)
            process.send_signal(signal.SIGTSTP)
            received = b""
            while b"\x1b[?25h" not in received:
                received += os.read(controller, 1 << 16)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), received
            process.send_signal(signal.SIGCONT)
            received = b""
            while b"\x1b[?25l" not in received:
                received += os.read(controller, 1 << 16)
        finally:
            process.kill()
            process.wait()
            os.close(controller)


@pytest.mark.slow
class TestLostStreams:
    @pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&1 | head -n 1", "2>&1 | :"])
    def test_stderr(self, redirection: str, corpus: Path, tmp_path: Path) -> None:
        """A stderr that cannot be written does not end a training."""
        command = " ".join([*COMMAND, "train", str(corpus), "--hidden 8 --steps 40 -o run"])
        shell = f"set -o pipefail; {command} {redirection}"
        result = subprocess.run(
            ["bash", "-c", shell], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=60
        )
        assert result.returncode == 0
        log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8")
        assert '"event": "done"' in log
        assert (tmp_path / "run" / "model.safetensors").exists()

    @pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "| head -n 1"])
    def test_stdout(self, redirection: str, corpus: Path, tmp_path: Path) -> None:
        """Nor does a stdout, with --json; the log is whole."""
        command = " ".join([*COMMAND, "train", str(corpus), "--hidden 8 --steps 40 --json -o run"])
        result = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} {redirection}"],
            cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=60,
        )  # fmt: skip
        assert result.returncode == 0
        log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8")
        assert '"event": "done"' in log

    def test_a_closed_terminal(self, corpus: Path, tmp_path: Path) -> None:
        """When its terminal is closed, a training that ignores SIGHUP goes on to its end."""
        import pty

        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "train", str(corpus), "--hidden", "8", "--steps", "400", "-o", "run"],
            cwd=tmp_path, env=ENVIRONMENT | {"TERM": "xterm-256color"},
            stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
        )  # fmt: skip
        os.close(terminal)
        os.read(controller, 1)
        os.close(controller)
        assert process.wait(60) == 0
        log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8")
        assert '"event": "done"' in log
