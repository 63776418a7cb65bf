"""charrnn memory: how far back networks remember."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from charrnn.insight import memory as insight
from tests.cli.conftest import Call
from tests.cli.shell import Training, modules_loaded


@pytest.fixture(autouse=True)
def few_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures small networks at as few positions as large ones, which takes less time."""
    monkeypatch.setattr(insight, "MOST", insight.FEWEST)


def test_runs_side_by_side(
    call: Call, trained: Training, word_trained: Training, corpus: Path, tmp_path: Path
) -> None:
    """Two runs are measured on one text: figures, a table and advice, and a page of both."""
    result = call("memory", trained.run, "-m", word_trained.run, corpus)
    assert result.code == 0, result.err
    for title in ("Gradient of the loss", "Influence of a token", "What context buys", "Gates"):
        assert f"{title}, " in result.out
    lines = result.out.splitlines()
    (first,) = (line for line in lines if line.startswith("run  "))
    assert len(first.split()) == 3  # the name of the row, and the runs
    assert any(line.startswith("forget: spectral radius") for line in lines)
    page = (tmp_path / "memory.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("<figure>") == 4
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "wrote memory.html" in result.err


def test_json(call: Call, trained: Training, corpus: Path) -> None:
    """--json prints an object for each run, whose numbers belong together."""
    result = call("memory", trained.run, corpus, "--json", "-o", "page.html", "-q")
    assert (result.code, result.err) == (0, "")
    (found,) = map(json.loads, result.out.splitlines())
    assert [row["state"] for row in found["gradient"]] == ["cell", "hidden"]
    assert all(row["norm"][0] == 1 and len(row["norm"]) == 301 for row in found["gradient"])
    assert all(row["positions"] >= 200 for row in found["gradient"])
    assert len(found["influence"]["k"]) == len(found["influence"]["kl_nats"])
    assert found["context"]["k"] == [2**i for i in range(11)]
    assert found["context"]["bpc"][0] > found["context"]["bpc"][-1]
    assert found["context"]["bpc_ngrams"] is not None
    recurrent = load_file(trained.run / "model.safetensors")["layers.0.recurrent"]
    radius = np.abs(np.linalg.eigvals(recurrent[:32].astype(float))).max()
    assert found["gates"][0]["gate"] == "input"
    assert found["gates"][0]["spectral_radius"] == pytest.approx(radius, rel=1e-3)
    assert found["advice"]


def test_recall(call: Call, tmp_path: Path) -> None:
    """Cells learn to recall one letter over short gaps, and are compared with guessing."""
    options = ("--cells", "gru", "--gaps", "1,0,2", "--recalled", 1, "--time", "2s")
    result = call("memory", "--task", "recall", *options, "--json")
    assert result.code == 0, result.err
    (found,) = map(json.loads, result.out.splitlines())
    assert found["gaps"] == [0, 1, 2]
    assert found["chance"] == 1 / 8
    assert len(found["accuracy"]) == 3
    assert all(0 <= share <= 1 for share in found["accuracy"])
    page = (tmp_path / "memory.html").read_text(encoding="utf-8")
    assert "Recall of 1 letter after a gap" in page
    assert 'data-name="guessing"' in page
    assert [path.name for path in tmp_path.iterdir()] == ["memory.html"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no text to measure on"),
        (("--task", "recall", "text.txt"), "--task trains new networks"),
        (("--gaps", "1", "text.txt"), "--gaps needs --task recall"),
        (("--task", "recall", "--cells", "rnn,xyz"), "no cell named 'xyz'"),
        (("--task", "recall", "--gaps", "a"), "are not numbers"),
        (("--task", "recall", "--gaps", "5000"), "--gaps must be from 0 to 1,000"),
        (("--task", "recall", "--recalled", "0"), "--recalled must be from 1 to 20"),
        (("--task", "recall", "--time", "soon"), "is not a time"),
        (("--json", "-o", "-", "text.txt"), "both mean standard output"),
    ],
)
def test_wrong_usage(call: Call, arguments: tuple[str, ...], said: str) -> None:
    """Wrong usage is an error in one line that says what to do."""
    result = call("memory", *arguments)
    assert result.code == 2
    assert said in result.err
    assert result.err.count("\n") == 1


def test_wrong_texts(call: Call, trained: Training, tmp_path: Path) -> None:
    """A run in place of the text, and a text that is missing, short or binary, are errors."""
    result = call("memory", trained.run)
    assert result.code == 2 and "name it last: charrnn memory RUN... TEXT" in result.err
    for content, said in (
        (None, "does not exist"),
        (b"", "empty"),
        (b"The fox slept.\n", "too short"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 50, "text.txt"),
    ):
        if content is not None:
            (tmp_path / "text.txt").write_bytes(content)
        result = call("memory", trained.run, "text.txt")
        assert result.code == 1
        assert said in result.err
        assert result.err.count("\n") == 1


def test_short_and_strange_text(call: Call, trained: Training, tmp_path: Path) -> None:
    """A text that just suffices, of characters the model does not know, is measured."""
    (tmp_path / "text.txt").write_text("жи <b>&\n" * 40, encoding="utf-8")
    result = call("memory", trained.run, "text.txt")
    assert result.code == 0, result.err


def test_model_of_records(call: Call, labelled: Training, corpus: Path) -> None:
    """A model of records has no text to predict, which is said in one line."""
    result = call("memory", labelled.run, corpus)
    assert result.code == 2
    assert "predicts targets from sources" in result.err


def test_names_are_escaped(call: Call, trained: Training, corpus: Path, tmp_path: Path) -> None:
    """A run's name cannot put markup into the page or control the terminal."""
    folder = tmp_path / "<script>\x1b[2J"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((trained.run / "model.safetensors").read_bytes())
    result = call("memory", folder, corpus)
    assert result.code == 0, result.err
    assert "\x1b" not in result.out + result.err
    page = (tmp_path / "memory.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert page.count("<script>") == 1
    assert "\x1b" not in page


def test_lazy_imports(tmp_path: Path) -> None:
    """The command's help does not load torch."""
    assert "torch" not in modules_loaded("memory", "-h", cwd=tmp_path)
