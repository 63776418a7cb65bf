"""charrnn info: what a model is."""

import json
import math
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.shell import Training, charrnn_command, modules_loaded


def test_json(tmp_path: Path, trained: Training) -> None:
    """--json tells the shape, the training and the score as one object."""
    result = charrnn_command("info", trained.run, "--json", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    (facts,) = result.events
    done = trained.result.events[-1]
    expected = {
        "path": str(trained.run / "model.safetensors"),
        "bytes": (trained.run / "model.safetensors").stat().st_size,
        "level": "char",
        "cell": "lstm",
        "hidden": 32,
        "layers": 1,
        "texts": ["corpus.txt"],
        "step": 60,
        "tokens": done["tokens"],
        "val_nats": done["val_nats"],
        "val": 0.1,
    }
    assert {name: facts[name] for name in expected} == expected


def test_passes_over_the_text(tmp_path: Path, trained: Training) -> None:
    """How many passes over the text were made is among what --json tells."""
    (facts,) = charrnn_command("info", trained.run, "--json", cwd=tmp_path).events
    passes = facts["tokens"] / facts["train_chars"]
    numbers = [value for value in facts.values() if isinstance(value, float)]
    assert any(math.isclose(value, passes) for value in numbers)


def test_parameters(call: Call, trained: Training) -> None:
    """`parameters` counts the numbers in the file."""
    (facts,) = call("info", trained.run, "--json").events
    v, e, h = facts["vocab_size"], facts["embedding"], facts["hidden"]
    assert facts["parameters"] == v * e + 4 * h * (e + h + 2) + v * (h + 1)


def test_plain(tmp_path: Path, word_trained: Training) -> None:
    """Without --json each fact is a line, with the score in both units."""
    result = charrnn_command("info", word_trained.run, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert lines["level"] == "word"
    assert lines["hidden"] == "32"
    assert "bits per character" in result.out
    assert f"{word_trained.run}" in lines["path"]


@pytest.mark.parametrize("named", ["run", "file", "name"])
def test_what_names_a_model(trained: Training, named: str) -> None:
    """A run folder, a model file and the name of a run under runs/ mean the same model."""
    names = {
        "run": trained.run,
        "file": trained.run / "model.safetensors",
        "name": "corpus",
    }
    result = charrnn_command("info", names[named], "--json", cwd=trained.folder)
    assert result.code == 0
    assert result.events[0]["step"] == 60


def test_newest_run(trained: Training) -> None:
    """Without a name it is the newest run here."""
    result = charrnn_command("info", "--json", cwd=trained.folder)
    assert result.events[0]["path"] == str(Path("runs", "corpus", "model.safetensors"))


def test_no_run(call: Call) -> None:
    """Without any run it is wrong usage, told in one line."""
    result = call("info")
    assert (result.code, result.out) == (2, "")
    assert "charrnn train" in result.error


@pytest.mark.parametrize("name", ["missing", "."])
def test_no_model(call: Call, name: str) -> None:
    """A path without a model is an error of one line that names it."""
    result = call("info", name)
    assert (result.code, result.out) == (1, "")
    assert name in result.error


def test_control_characters(call: Call, trained: Training, tmp_path: Path) -> None:
    """What a stranger's file says of itself cannot steer the terminal."""
    data = (trained.run / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = json.loads(header["__metadata__"]["charrnn"])
    about["training"]["texts"] = ["\x1b[2Jevil.txt"]
    header["__metadata__"]["charrnn"] = json.dumps(about)
    new = json.dumps(header).encode()
    (tmp_path / "evil").write_bytes(len(new).to_bytes(8, "little") + new + data[8 + size :])
    result = call("info", "evil")
    assert result.code == 0
    assert "evil.txt" in result.out
    assert "\x1b" not in result.out


def test_without_torch(tmp_path: Path, trained: Training) -> None:
    """It never waits for torch."""
    assert "torch" not in modules_loaded("info", trained.run, cwd=tmp_path)
