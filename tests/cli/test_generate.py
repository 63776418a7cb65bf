"""charrnn generate: seed in, text out."""

import os
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.shell import Training, charrnn_command, finish, modules_loaded, start


def test_output(tmp_path: Path, trained: Training) -> None:
    """stdout is the seed, as many characters as asked for, and a line break."""
    result = charrnn_command("generate", "The fox", "-n", 40, "-m", trained.run, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("The fox")
    assert result.out.endswith("\n")
    assert len(result.out) == len("The fox") + 40 + 1


def test_word_model(tmp_path: Path, word_trained: Training) -> None:
    """A word model ends with a whole token, at the length or after it."""
    result = charrnn_command("generate", "The fox", "-n", 40, "-m", word_trained.run, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert len("The fox") + 40 < len(result.out) < len("The fox") + 80


def test_length_zero(call: Call, trained: Training) -> None:
    """-n 0 gives the seed alone."""
    assert call("generate", "The fox", "-n", 0, "-m", trained.run).out == "The fox\n"


def test_random_seed(call: Call, trained: Training) -> None:
    """The same --random-seed gives the same text, another one another."""
    first, again, other = (
        call("generate", "A", "-n", 80, "-m", trained.run, "--random-seed", seed)
        for seed in (1, 1, 2)
    )
    assert first.out == again.out != other.out


def test_temperature_zero(call: Call, trained: Training) -> None:
    """At temperature 0 the text is always the same."""
    texts = {call("generate", "A", "-t", 0, "-m", trained.run).out for _ in range(3)}
    assert len(texts) == 1


def test_seed_from_elsewhere(tmp_path: Path, trained: Training) -> None:
    """A seed from a pipe, from - and from a file is the seed without its last line break."""
    (tmp_path / "seed.txt").write_text("My neighbour\n", encoding="utf-8")
    options = ("-n", 30, "-m", trained.run, "--random-seed", 5)
    given = charrnn_command("generate", "My neighbour", *options, cwd=tmp_path)
    piped = charrnn_command("generate", *options, cwd=tmp_path, stdin="My neighbour\n")
    dash = charrnn_command("generate", "-", *options, cwd=tmp_path, stdin="My neighbour\n")
    file = charrnn_command("generate", "-f", "seed.txt", *options, cwd=tmp_path)
    assert given.out == piped.out == dash.out == file.out
    assert given.out.startswith("My neighbour")


def test_no_seed(tmp_path: Path, trained: Training) -> None:
    """Without a seed, and with nothing in the pipe, text comes all the same."""
    result = charrnn_command("generate", "-n", 30, "-m", trained.run, cwd=tmp_path)
    assert (result.code, len(result.out)) == (0, 31)


def test_two_seeds(call: Call, trained: Training) -> None:
    """A SEED beside --file is wrong usage."""
    result = call("generate", "A", "-f", "seed.txt", "-m", trained.run)
    assert (result.code, result.out) == (2, "")
    assert "--file" in result.error


def test_unseen_character(call: Call, trained: Training) -> None:
    """A character that the model has never seen is named in one line on stderr, and kept."""
    result = call("generate", "☃ fox", "-n", 5, "-m", trained.run)
    assert result.code == 0
    assert result.out.startswith("☃ fox")
    assert result.err.startswith("charrnn: warning: ")
    assert result.err.count("\n") == 1
    assert "☃" in result.err
    assert "U+2603" in result.err


def test_quiet(call: Call, trained: Training) -> None:
    """-q silences warnings."""
    result = call("generate", "☃ fox", "-n", 5, "-q", "-m", trained.run)
    assert (result.code, result.err) == (0, "")


def test_small_locale(tmp_path: Path, trained: Training) -> None:
    """Text is UTF-8 whatever the environment says of the terminal's encoding."""
    result = charrnn_command(
        "generate", "☃", "-n", 5, "-m", trained.run,
        cwd=tmp_path, environment={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert result.code == 0
    assert result.out.startswith("☃")
    assert "U+2603" in result.err


def test_json(call: Call, trained: Training) -> None:
    """--json prints one object with the seed and the text that follows it."""
    options = ("-n", 30, "-m", trained.run, "--random-seed", 3)
    result = call("generate", "The fox", "--json", *options)
    assert (result.code, result.err) == (0, "")
    (record,) = result.events
    assert record.keys() == {"seed", "text"}
    assert record["seed"] == "The fox"
    plain = call("generate", "The fox", *options).out
    assert record["seed"] + record["text"] + "\n" == plain


def test_output_file(call: Call, trained: Training, tmp_path: Path) -> None:
    """-o writes to a file what would have gone to stdout."""
    options = ("-n", 30, "-m", trained.run, "--random-seed", 3)
    result = call("generate", "The fox", "-o", "out.txt", *options)
    assert (result.code, result.out, result.err) == (0, "", "")
    written = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert written == call("generate", "The fox", *options).out


@pytest.mark.parametrize("path", ["/dev/full", "nowhere/out.txt", "."])
def test_output_file_that_cannot_be_written(call: Call, trained: Training, path: str) -> None:
    """A file that cannot be written is an error of one line that names it."""
    if path == "/dev/full" and not os.path.exists(path):
        pytest.skip("no /dev/full here")
    result = call("generate", "The fox", "-n", 5, "-o", path, "-m", trained.run)
    assert (result.code, result.out) == (1, "")
    assert f"{path}: " in result.error or path == "/dev/full"


def test_closed_pipe(tmp_path: Path, trained: Training) -> None:
    """A reader that has had enough, like `head -c 5`, ends it silently; text comes as drawn."""
    process = start("generate", "The fox", "-n", 10**9, "-m", trained.run, cwd=tmp_path)
    assert process.stdout and process.stdin
    process.stdin.close()
    assert process.stdout.read(5) == "The f"
    process.stdout.close()
    process.stdin = process.stdout = None
    result = finish(process)
    assert (result.code, result.err) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_interrupt(tmp_path: Path, trained: Training) -> None:
    """Ctrl-C ends it with exit code 130 and no word more."""
    process = start("generate", "The fox", "-n", 10**9, "-m", trained.run, cwd=tmp_path)
    assert process.stdout
    process.stdout.read(100)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.err) == (130, "")


def test_no_model(tmp_path: Path) -> None:
    """Without a model it is wrong usage, told in one line that says how to train one."""
    result = charrnn_command("generate", "The fox", cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "charrnn train" in result.error


@pytest.mark.parametrize("damage", ["empty", "cut", "header", "text", "folder"])
def test_damaged_model(call: Call, trained: Training, tmp_path: Path, damage: str) -> None:
    """A file that is no whole model is an error of one line that names it."""
    data = (trained.run / "model.safetensors").read_bytes()
    path = tmp_path / "damaged"
    match damage:
        case "empty":
            path.touch()
        case "cut":
            path.write_bytes(data[:-1])
        case "header":
            path.write_bytes(data.replace(b'"hidden', b'"hidxen'))
        case "text":
            path.write_text("The fox slept. " * 100)
        case "folder":
            path.mkdir()
    result = call("generate", "The fox", "-m", path)
    assert (result.code, result.out) == (1, "")
    assert str(path) in result.error


def test_model_from_the_environment(trained: Training, tmp_path: Path) -> None:
    """$CHARRNN_MODEL names the model where -m does not."""
    result = charrnn_command(
        "generate", "The fox", "-n", 5, cwd=tmp_path, environment={"CHARRNN_MODEL": trained.model}
    )
    assert (result.code, len(result.out)) == (0, 13)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--temperature", "-1"),
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--top-k", "0"),
        ("--top-p", "0"),
        ("--top-p", "1.5"),
        ("--min-p", "-0.1"),
        ("--random-seed", "-1"),
    ],
)
def test_bad_values(call: Call, trained: Training, option: str, value: str) -> None:
    """A value out of its range is wrong usage, told in one line that names the option."""
    result = call("generate", "The fox", "-m", trained.run, option, value)
    assert (result.code, result.out) == (2, "")
    assert option in result.error


@pytest.mark.parametrize("value", ["1e-300", "1e-40", "1e39", "1e300"])
def test_extreme_temperatures(tmp_path: Path, trained: Training, value: str) -> None:
    """A temperature that single precision cannot hold gives text or is refused, in one line."""
    result = charrnn_command("generate", "A", "-n", 9, "-t", value, "-m", trained.run, cwd=tmp_path)
    if result.code == 0:
        assert (len(result.out), result.err) == (11, "")
    else:
        assert result.code == 2
        assert "--temperature" in result.error


def test_light(tmp_path: Path, trained: Training) -> None:
    """A character model waits for neither torch nor what draws, asks or tokenizes words."""
    loaded = modules_loaded("generate", "The fox", "-n", 20, "-m", trained.run, cwd=tmp_path)
    assert not {"torch", "prompt_toolkit", "rich", "tokenizers"} & loaded


def test_word_model_without_torch(tmp_path: Path, word_trained: Training) -> None:
    """A word model does not wait for torch either."""
    loaded = modules_loaded("generate", "The fox", "-n", 20, "-m", word_trained.run, cwd=tmp_path)
    assert not {"torch", "prompt_toolkit", "rich"} & loaded
