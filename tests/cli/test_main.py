"""The command line as a whole: version, help, and how it fails."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import charrnn
from tests.cli.conftest import Call
from tests.cli.shell import COMMAND, ENVIRONMENT, Training, charrnn_command, modules_loaded

COMMANDS = (
    "train", "generate", "complete", "predict", "fill", "eval", "score", "info", "plot", "learned",
    "lsp", "runs",
)  # fmt: skip


def raise_surprise(path: object) -> None:
    raise ZeroDivisionError("first line\nsecond line")


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(tmp_path: Path, option: str) -> None:
    """The version goes to stdout."""
    result = charrnn_command(option, cwd=tmp_path)
    assert (result.code, result.out, result.err) == (0, f"charrnn {charrnn.__version__}\n", "")


def test_help(tmp_path: Path) -> None:
    """Help goes to stdout and names every command."""
    result = charrnn_command("-h", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    for command in COMMANDS:
        assert f"│ {command} " in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(call: Call, command: str) -> None:
    """Every command has help, with -h and with --help."""
    short, long = call(command, "-h"), call(command, "--help")
    assert short == long
    assert (short.code, short.err) == (0, "")
    assert f" Usage: charrnn {command} " in short.out
    assert "Examples:" in short.out


def test_no_command(tmp_path: Path) -> None:
    """Without a command stderr tells, in lines that can be read, how to get on."""
    result = charrnn_command(cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "-h" in result.err
    assert max(map(len, result.err.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["learn"], "learn"),
        (["trian"], "'train'? Try -h."),
        (["--nope"], "--nope"),
        (["train", "--nope"], "--nope"),
        (["generate", "-n", "many"], "many"),
        (["generate", "-n", "-1"], "--length must be 0 or more"),
        (["complete", "-k", "0"], "0"),
        (["eval"], "TEXT"),
        (["info", "one", "two"], "two"),
    ],
)
def test_wrong_usage(call: Call, arguments: list[str], wrong: str) -> None:
    """A command or option that makes no sense is told in one line that names it, exit code 2."""
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert wrong in result.error


ESCAPE = "\x1b[31mred\x9b2J\r"


@pytest.mark.parametrize("debug", [[], ["--debug"]])
@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "a", "-m", ESCAPE],
        ["info", ESCAPE],
        ["train", ESCAPE],
        ["plot", ESCAPE],
        ["complete", "--dial", ESCAPE, "-m", "x"],
    ],
)
def test_escape_sequences(call: Call, arguments: list[str], debug: list[str]) -> None:
    """An argument that an error repeats does not steer the terminal."""
    result = call(*arguments, *debug)
    assert result.code
    assert "red" in result.err
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", result.out + result.err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "a", "-m", "x" * 100_000],
        ["generate", "-n", "x" * 100_000],
        ["x" * 100_000],
        ["generate", "--" + "x" * 100_000],
        ["complete", "--dial", "x" * 100_000],
    ],
    ids=["path", "number", "command", "option", "dial"],
)
def test_long_argument(call: Call, arguments: list[str]) -> None:
    """Of an argument of 100,000 letters an error shows some."""
    line = call(*arguments).error
    assert "xxx ... xxx" in line
    assert len(line) < 1100


def test_unknown_command_in_a_shell(tmp_path: Path) -> None:
    """The process itself ends with the exit code of the error."""
    result = charrnn_command("learn", cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "learn" in result.error


def test_unexpected_exception(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is one line too, and says how to see more."""
    monkeypatch.setattr(charrnn, "load", raise_surprise, raising=False)
    result = call("generate", "a", "-m", __file__)
    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert result.err.startswith("charrnn: error: ZeroDivisionError: first line second line;")
    assert "--debug" in result.err


def test_debug_shows_a_traceback(tmp_path: Path) -> None:
    """With --debug an error comes with its traceback."""
    result = charrnn_command("generate", "a", "-m", "missing", "--debug", cwd=tmp_path)
    assert result.code == 1
    assert result.err.startswith("Traceback (most recent call last):")
    assert "missing does not exist" in result.err


def test_debug_keeps_the_exit_code(tmp_path: Path) -> None:
    """Wrong usage has exit code 2, with --debug as without."""
    result = charrnn_command("generate", "a", "--debug", cwd=tmp_path)
    assert "UsageError" in result.err
    assert result.code == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_output(tmp_path: Path, trained: Training) -> None:
    """Output that cannot be written is an error of one line, also if it is only seen at the end."""
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [*COMMAND, "info", trained.model],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            cwd=tmp_path,
            encoding="utf-8",
        )
    assert process.returncode == 1
    assert process.stderr.startswith("charrnn: error: ")
    assert process.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a shell of POSIX")
@pytest.mark.parametrize(
    ("command", "closed"),
    [("generate a -n 5", ">&-"), ("complete", "<&-"), ("eval -", "<&-")],
)
def test_closed_standard_stream(
    tmp_path: Path, trained: Training, command: str, closed: str
) -> None:
    """A standard stream that is closed is nothing to read or nowhere to write, not a bug."""
    result = charrnn_command(
        "-c",
        f'"$@" {command} -m {trained.run} {closed}',
        "sh",
        *COMMAND,
        cwd=tmp_path,
        program=["/bin/sh"],
    )
    assert "this is a bug" not in result.err
    assert "Traceback" not in result.err


def test_help_is_light(tmp_path: Path) -> None:
    """Help loads neither NumPy nor torch nor what the session needs."""
    heavy = {"torch", "numpy", "safetensors", "tokenizers", "prompt_toolkit"}
    assert not heavy & modules_loaded("-h", cwd=tmp_path)


def test_completion(tmp_path: Path) -> None:
    """A shell's Tab completes commands, options, their values and the names of runs."""
    for name in ("book", "boat", "verse"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "log.jsonl").write_text("{}\n")

    def completed(line: str) -> list[str]:
        words = line.split(" ")
        variables = {
            "_CHARRNN_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        result = charrnn_command(cwd=tmp_path, environment=variables)
        assert result.err == ""
        return result.out.split()

    assert completed("charrnn ge") == ["generate"]
    assert completed("charrnn train --le") == ["--level"]
    assert completed("charrnn train --level wo") == ["word"]
    assert sorted(completed("charrnn generate -m bo")) == ["boat", "book"]
    assert completed("charrnn runs rm ve") == ["verse"]
