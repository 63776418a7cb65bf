"""The resume file is checked like a model file: it may come from a stranger."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

from charrnn.errors import CharrnnError, RunError, TextError
from charrnn.runs import RESUME_KEY, RESUME_NAME
from charrnn.suggestions.explanation import Evidence
from charrnn.text.source import Source
from charrnn.training import prepare
from charrnn.training.extras import ModelExtras
from charrnn.training.fine_tuning import Origin
from charrnn.training.run import Run
from tests.training.small import TEXT, finish, trainer

WRONG: list[Any] = [None, True, -1, 1.5, 10**30, "x", ["x"]]
Stopped = tuple[Path, bytes]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """The folder of an interrupted run, with its text, and the bytes of its resume file."""
    folder = tmp_path_factory.mktemp("stopped")
    text = folder / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    source = Source([str(text)])
    training = trainer(steps=12, layers=1)
    origin = Origin("old", source, 0.1, 0, "0")
    finish(training, Run(folder, source, ModelExtras(), origin), stop_at=4)
    return folder, (folder / RESUME_NAME).read_bytes()


def described(data: bytes) -> dict[str, Any]:
    """Return the JSON values of a resume file, without the checksum, which a forger can fit."""
    size = int.from_bytes(data[:8], "little")
    values: dict[str, Any] = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][RESUME_KEY])
    del values["checksum"]
    return values


def resume(stopped: Stopped, values: Any, **tensors: Any) -> None:
    """Resume from the file with other JSON values, and with some tensors replaced."""
    folder, data = stopped
    text = values if isinstance(values, str) else json.dumps(values)
    arrays = {**from_bytes(data), **{n.replace("__", "."): a for n, a in tensors.items()}}
    (folder / RESUME_NAME).write_bytes(to_bytes(arrays, {RESUME_KEY: text}))
    Evidence.find(folder / "model.safetensors").lines("The ", "fox")
    resumed, _ = prepare.resume([], folder, "cpu", {})
    resumed.update()


def message(stopped: Stopped, values: Any) -> str:
    """Return the error's message when resuming with other JSON values, or "" without an error."""
    try:
        resume(stopped, values)
    except CharrnnError as error:
        return str(error)
    return ""


def test_whole(stopped: Stopped) -> None:
    """The file that the other tests change resumes as it is."""
    resume(stopped, described(stopped[1]))


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("within", ["", "training", "model", "source", "origin", "tokenizer"])
def test_wrong_types(stopped: Stopped, within: str, wrong: Any) -> None:
    """A value of another type is an error in one line, or makes no difference."""
    keys = described(stopped[1])[within] if within else described(stopped[1])
    for key in keys:
        values = described(stopped[1])
        (values[within] if within else values)[key] = wrong
        assert "\n" not in message(stopped, values)


@pytest.mark.parametrize("within", ["", "training", "model", "source", "origin", "tokenizer"])
def test_missing(stopped: Stopped, within: str) -> None:
    """A missing value is an error that says so, unless it has a default."""
    keys = described(stopped[1])[within] if within else described(stopped[1])
    for key in keys:
        values = described(stopped[1])
        del (values[within] if within else values)[key]
        error = message(stopped, values)
        assert not error or "damaged" in error or "format" in error


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "", "null", "[]", "{}", "{"])
def test_nested(stopped: Stopped, text: str) -> None:
    """JSON values that are nested too deeply, or no object, are an error in one line."""
    with pytest.raises(RunError, match=f"{RESUME_NAME} (is|has)"):
        resume(stopped, text)


@pytest.mark.parametrize("place", [0.5, 0.9, 1.0])
def test_a_changed_bit(stopped: Stopped, place: float) -> None:
    """A single bit of any tensor that has changed is noticed."""
    folder, data = stopped
    damaged = bytearray(data)
    damaged[int(place * (len(data) - 1))] ^= 1
    (folder / RESUME_NAME).write_bytes(damaged)
    with pytest.raises(RunError, match="damaged: its content has changed"):
        prepare.resume([], folder, "cpu", {})


@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_other_types_of_tensors(stopped: Stopped, kind: Any) -> None:
    """Each tensor of another dtype is an error."""
    for name, array in [*from_bytes(stopped[1]).items()][::3]:
        if array.dtype != kind:
            with pytest.raises(RunError, match="tensors"):
                resume(stopped, described(stopped[1]), **{name: array.astype(kind)})


@pytest.mark.parametrize("name", ["layers", "vocab_size", "hidden", "embedding"])
@pytest.mark.parametrize("size", [2**22, 2**40])
def test_huge_sizes(stopped: Stopped, name: str, size: int) -> None:
    """A configuration larger than the tensors is refused before it takes time or memory."""
    values = described(stopped[1])
    values["model"][name] = size
    with pytest.raises(RunError, match="damaged"):
        resume(stopped, values)


@pytest.mark.parametrize("value", [-1, -(2**63), 2**62])
def test_impossible_numbers(stopped: Stopped, value: int) -> None:
    """Impossible counts and variances of the optimizer are refused before it uses them."""
    for name, array in from_bytes(stopped[1]).items():
        if name.startswith(("optimizer.updates", "optimizer.variance.")):
            with pytest.raises(RunError, match="is wrong"):
                resume(stopped, described(stopped[1]), **{name: np.full_like(array, value)})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_text(stopped: Stopped) -> None:
    """Resuming does not wait for a text that is a pipe, but asks for the text."""
    pipe = stopped[0] / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    values = described(stopped[1])
    values["source"]["paths"] = [str(pipe)]
    with pytest.raises(TextError, match="give the text again"):
        resume(stopped, values)
    assert Evidence.find(stopped[0] / "model.safetensors").text == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_file(tmp_path: Path) -> None:
    """A pipe in place of the resume file, or of the log, is an error at once."""
    os.mkfifo(tmp_path / RESUME_NAME)
    with pytest.raises(RunError, match="pipe or a device"):
        prepare.resume([], tmp_path, "cpu", {})
    assert Evidence.find(tmp_path / "model.safetensors").text == ""
