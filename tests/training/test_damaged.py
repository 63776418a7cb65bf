"""The file that training is resumed from is checked as a model's is: it may be a stranger's."""

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
from charrnn.training.fine_tuning import Origin
from charrnn.training.run import Run
from tests.training.small import TEXT, finish, trainer

WRONG: list[Any] = [None, True, -1, 1.5, 10**30, "x", ["x"]]
Stopped = tuple[Path, bytes]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """The folder of a run that was stopped, with its text, and the file to resume from."""
    folder = tmp_path_factory.mktemp("stopped")
    text = folder / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    source = Source([str(text)])
    training = trainer(steps=12, layers=1)
    finish(training, Run(folder, source, Origin("old", source, 0.1, 0, "0")), stop_at=4)
    return folder, (folder / RESUME_NAME).read_bytes()


def described(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    values: dict[str, Any] = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][RESUME_KEY])
    return values


def resume(stopped: Stopped, values: Any, **tensors: Any) -> None:
    """Resume from the file with another description, and some other tensors."""
    folder, data = stopped
    text = values if isinstance(values, str) else json.dumps(values)
    arrays = {**from_bytes(data), **{n.replace("__", "."): a for n, a in tensors.items()}}
    (folder / RESUME_NAME).write_bytes(to_bytes(arrays, {RESUME_KEY: text}))
    Evidence.find(folder / "model.safetensors").lines("The ", "fox")
    resumed, _ = prepare.resume([], folder, "cpu", {})
    resumed.update()


def test_whole(stopped: Stopped) -> None:
    """The file that the other tests here change is a good one before that."""
    resume(stopped, described(stopped[1]))


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("within", ["", "training", "model", "source", "origin", "tokenizer"])
def test_wrong_types(stopped: Stopped, within: str, wrong: Any) -> None:
    """A value of another type is an error in one line, or it makes no difference."""
    keys = described(stopped[1])[within] if within else described(stopped[1])
    for key in keys:
        values = described(stopped[1])
        (values[within] if within else values)[key] = wrong
        try:
            resume(stopped, values)
        except CharrnnError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("within", ["", "training", "model", "source", "origin", "tokenizer"])
def test_missing(stopped: Stopped, within: str) -> None:
    """A value that is missing is an error in one line, or one that has a default."""
    keys = described(stopped[1])[within] if within else described(stopped[1])
    for key in keys:
        values = described(stopped[1])
        del (values[within] if within else values)[key]
        try:
            resume(stopped, values)
        except RunError as error:
            assert "damaged" in str(error) or "format" in str(error)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "", "null", "[]", "{}", "{"])
def test_nested(stopped: Stopped, text: str) -> None:
    """A description that is nested too deeply, or is none, is an error in one line."""
    with pytest.raises(RunError, match=f"{RESUME_NAME} is"):
        resume(stopped, text)


@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_other_types_of_tensors(stopped: Stopped, kind: Any) -> None:
    """A tensor of another type is an error, whichever it is."""
    for name, array in [*from_bytes(stopped[1]).items()][::3]:
        if array.dtype != kind:
            with pytest.raises(RunError, match="tensors"):
                resume(stopped, described(stopped[1]), **{name: array.astype(kind)})


@pytest.mark.parametrize("name", ["layers", "vocab_size", "hidden", "embedding"])
@pytest.mark.parametrize("size", [2**22, 2**40])
def test_huge_sizes(stopped: Stopped, name: str, size: int) -> None:
    """A network of a size that is not that of the tensors takes neither time nor memory."""
    values = described(stopped[1])
    values["model"][name] = size
    with pytest.raises(RunError, match="damaged"):
        resume(stopped, values)


@pytest.mark.parametrize("value", [-1, -(2**63), 2**62])
def test_impossible_numbers(stopped: Stopped, value: int) -> None:
    """Counts and variances of the optimizer that cannot be are refused before it uses them."""
    for name, array in from_bytes(stopped[1]).items():
        if name.startswith(("optimizer.updates", "optimizer.variance.")):
            with pytest.raises(RunError, match="cannot be"):
                resume(stopped, described(stopped[1]), **{name: np.full_like(array, value)})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_text(stopped: Stopped) -> None:
    """A pipe as the text is not waited for: nothing stands in it, and resuming asks for a text."""
    pipe = stopped[0] / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    values = described(stopped[1])
    values["source"]["paths"] = [str(pipe)]
    with pytest.raises(TextError, match="give the text anew"):
        resume(stopped, values)
    assert Evidence.find(stopped[0] / "model.safetensors").text == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_file(tmp_path: Path) -> None:
    """A pipe in place of the file to resume from, or of the log, is an error at once."""
    os.mkfifo(tmp_path / RESUME_NAME)
    with pytest.raises(RunError, match="pipe or a device"):
        prepare.resume([], tmp_path, "cpu", {})
    assert Evidence.find(tmp_path / "model.safetensors").text == ""
