"""charrnn neurons: which units follow what."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from charrnn.model import Model
from charrnn.network import model_file
from charrnn.runs import NEURONS_NAME
from charrnn.tokenizer import CharTokenizer
from tests.cli.conftest import Call
from tests.cli.shell import charrnn_command, modules_loaded, on_terminal
from tests.insight.networks import COUNTER, bracket_counter, bracketed
from tests.models import CORPUS, random_model, with_ngrams

KEYS = {
    "feature", "layer", "unit", "value", "r", "r_first_half", "p", "confirmed", "chars",
    "chars_on_feature", "bpc", "bpc_off", "bpc_on_feature", "bpc_off_on_feature", "network",
}  # fmt: skip


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    """A run whose network counts brackets, beside text.txt."""
    run = tmp_path / "runs" / "counter"
    run.mkdir(parents=True)
    model_file.save(run / "model.safetensors", bracket_counter().file)
    (run / "log.jsonl").write_text('{"event": "start"}\n')
    (tmp_path / "text.txt").write_text(bracketed(4000))
    return run


def test_json(call: Call, counter: Path) -> None:
    """--json prints an object for each feature; that of brackets names the unit that counts."""
    result = call("neurons", "counter", "text.txt", "--json")
    assert result.code == 0, result.err
    assert all(record.keys() == KEYS for record in result.events)
    first = result.events[0]
    assert (first["feature"], first["layer"], first["unit"]) == ("depth in ( )", 1, COUNTER)
    assert first["confirmed"]
    assert first["r"] > 0.99
    assert first["bpc_off_on_feature"] > first["bpc_on_feature"]
    ranks = [(not record["confirmed"], -abs(record["r"])) for record in result.events]
    assert ranks == sorted(ranks)


def test_page(call: Call, counter: Path, tmp_path: Path) -> None:
    """The page is written into the run's folder, or where -o says; -o - prints it."""
    result = call("neurons", "text.txt")
    assert result.out.splitlines()[2].startswith("depth in ( )")
    assert f"wrote {Path('runs/counter') / NEURONS_NAME}" in result.err
    page = (counter / NEURONS_NAME).read_text()
    assert call("neurons", "text.txt", "-m", "counter", "-o", "page.html", "-q").err == ""
    assert (tmp_path / "page.html").read_text() == page
    assert call("neurons", "text.txt", "-o", "-").out == page


def test_model_file(call: Call, counter: Path, tmp_path: Path) -> None:
    """For a model file outside of a run the page is written here."""
    shutil.copy(counter / "model.safetensors", tmp_path / "mine.safetensors")
    assert call("neurons", "mine.safetensors", "text.txt", "-q").code == 0
    assert "Units of mine" in (tmp_path / NEURONS_NAME).read_text()


def test_one_unit(call: Call, counter: Path) -> None:
    """--unit tells what that unit follows."""
    result = call("neurons", "text.txt", "--unit", 1, "--json")
    assert {(record["layer"], record["unit"]) for record in result.events} == {(1, 1)}
    assert len({record["bpc_off"] for record in result.events}) == 1


def test_any_level(call: Call, tmp_path: Path, model: Model) -> None:
    """Tokens of every level are read; of an LSTM the cell state, too; n-grams are told apart."""
    model_file.save(tmp_path / "m.safetensors", with_ngrams(model).file)
    (tmp_path / "text.txt").write_text(CORPUS * 20)
    result = call("neurons", "m.safetensors", "text.txt")
    assert result.code == 0, result.err
    assert "n-grams included" in result.err
    assert "cell state" in result.out
    assert all(len(line) <= 80 for line in result.out.splitlines())
    first = call("neurons", "m.safetensors", "text.txt", "--json").events[0]
    assert first["network"]["bpc"] > first["bpc"]  # the text repeats what the n-grams know


def test_terminal(counter: Path, tmp_path: Path) -> None:
    """On a terminal a part of the text is coloured, unless colours are not wanted."""
    arguments = ["neurons", "text.txt", "-m", "counter"]
    assert re.search(
        r"unit 3, output, from -3 .*\x1b\[30;48;5;", on_terminal(arguments, tmp_path), re.DOTALL
    )
    assert "\x1b" not in on_terminal(arguments, tmp_path, NO_COLOR="1")


def test_errors(call: Call, counter: Path, tmp_path: Path) -> None:
    """What cannot be done is said in one line, with the right exit code."""
    (tmp_path / "short.txt").write_text("ab" * 900)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "same.txt").write_text("a" * 3000)
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 20)
    records = random_model(CharTokenizer.train(CORPUS), kind="records")
    model_file.save(tmp_path / "records.safetensors", records.file)
    for arguments, code, said in (
        (["short.txt"], 1, "the text has 1,800 characters; give one of 2,000 or more"),
        (["empty.txt"], 1, "the text is empty"),
        (["same.txt"], 1, "the text has no feature that a unit could follow"),
        (["binary.txt"], 1, "binary"),
        (["none.txt"], 1, "none.txt does not exist"),
        (["counte", "text.txt"], 1, "did you mean counter?"),
        (["counter"], 2, "counter is a run, not a text; give a text after it"),
        (["text.txt", "--unit", "8"], 2, "no unit 8: a layer has 8"),
        (["text.txt", "--unit", "1", "--layer", "2"], 2, "no layer 2: the model has 1"),
        (["text.txt", "--layer", "0"], 2, "--layer needs --unit"),
        (["text.txt", "--browse"], 2, "--browse needs a terminal"),
        (["text.txt", "--json", "-o", "-"], 2, "both mean standard output"),
        (["text.txt", "-o", "none/page.html"], 1, "cannot write none"),
        (["text.txt", "-o", "/"], 1, "cannot write /: Is a directory"),
        (["text.txt", "-m", "records.safetensors"], 2, "it cannot be used on other text"),
    ):
        result = call("neurons", "-q", *arguments)
        assert said in result.error, arguments
        assert result.code == code, arguments


def test_out_of_vocabulary(call: Call, counter: Path, tmp_path: Path) -> None:
    """Characters that the model does not know are read as unknown, and control ones not shown."""
    (tmp_path / "odd.txt").write_text(bracketed(2000) + "ÄÖ\x1b]0;x\x07 </script>" * 200)
    result = call("neurons", "odd.txt")
    assert result.code == 0, result.err
    page = (counter / NEURONS_NAME).read_text()
    assert "\x1b" not in page + result.out
    assert page.count("</script>") == 2


def test_documents(call: Call, counter: Path, tmp_path: Path) -> None:
    """Several texts are read one after the other, from standard input, too."""
    (tmp_path / "more.txt").write_text(bracketed(3000, seed=1))
    result = charrnn_command(
        "neurons", "more.txt", "-", "-m", "counter", "--json", cwd=tmp_path, stdin=bracketed(3000)
    )
    assert result.code == 0, result.err
    assert result.events[0]["unit"] == COUNTER


def test_run_or_text(call: Call, counter: Path, tmp_path: Path) -> None:
    """The first of several arguments may be a run in any form, or a text, or a folder of texts."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "one.txt").write_text(bracketed(3000, seed=2))
    shutil.copytree(counter, tmp_path / "copy", ignore=shutil.ignore_patterns("log.jsonl"))
    expected = call("neurons", "-m", "counter", "text.txt", "--json").events
    for run in ("counter", "runs/counter", "runs/counter/model.safetensors", "copy"):
        assert call("neurons", run, "text.txt", "--json", "-q").events == expected
    longer = call("neurons", "notes", "text.txt", "--json").events
    assert longer[0]["chars"] > expected[0]["chars"]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX rights")
def test_folder_that_cannot_be_written(
    call: Call, counter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the run's folder cannot be written, the page is written here."""
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "counter")
    assert call("neurons", "text.txt", "-q").code == 0
    assert (tmp_path / NEURONS_NAME).exists()
    assert not (counter / NEURONS_NAME).exists()


def test_without_torch(tmp_path: Path, counter: Path) -> None:
    """It runs on NumPy alone."""
    loaded = modules_loaded("neurons", "text.txt", "-m", "counter", cwd=tmp_path)
    assert not {"torch", "rich", "pydantic", "prompt_toolkit"} & loaded


def test_json_is_finite(call: Call, counter: Path) -> None:
    """--json holds no number that JSON has not."""
    out = call("neurons", "text.txt", "--json").out
    for line in out.splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))
