"""charrnn compare."""

import json
import signal
from pathlib import Path

import pytest

from charrnn.cli import main
from tests.cli.conftest import Call, sentences
from tests.cli.shell import finish, start

TINY = ("--hidden", 8, "--steps", 20, "--threads", 1)


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "book.txt").write_text(sentences()[:6000])
    return "book.txt"


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]


def test_table_verdict_and_page(call: Call, text: str, tmp_path: Path) -> None:
    """One table, the curves, a verdict, a page; each variation is an ordinary run."""
    result = call("compare", text, "--vary", "lstm; gru layers=2 dropout=0.5", *TINY)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split()[:2] == ["variation", "bits/char"]
    assert lines[1].startswith("lstm ")
    assert lines[2].startswith("gru layers=2 dropout=0.5 ")
    assert "2  gru layers=2 dropout=0.5" in result.out
    assert "bits/char" in lines[-1] or "seed" in lines[-1]
    assert "[2/2] gru layers=2 dropout=0.5: 20 steps" in result.err
    page = (tmp_path / "plot.html").read_text()
    assert "<td>gru layers=2 dropout=0.5</td>" in page
    first, second = (tmp_path / "runs" / f"book-compare-{name}" for name in
                     ("lstm", "gru-layers-2-dropout-0.5"))  # fmt: skip
    start = rows(second)[0]
    assert isinstance(start["model"], dict)
    assert start["model"]["layers"] == 2
    assert start["model"]["ngram_order"] == 0
    assert (first / "model.safetensors").exists()
    assert call("info", first).code == 0
    assert call("plot", first, second).code == 0


def test_json_seeds_and_names(call: Call, text: str, tmp_path: Path) -> None:
    """Seeds repeat each training; stdout is JSON; a second comparison gets other names."""
    assert call("compare", text, "--cells", "rnn", *TINY, "-q").code == 0
    result = call("compare", text, "--cells", "rnn,gru", "--seeds", 2, *TINY, "--json", "-q")
    assert result.err == ""
    first, second, last = result.events
    assert first["variation"] == "rnn"
    assert first["runs"] == ["runs/book-compare-2-rnn", "runs/book-compare-2-rnn-seed-2"]
    assert first["spread"] > 0
    assert second["parameters"] > first["parameters"]
    assert last.keys() == {"best", "ties", "verdict"}
    seeds = {rows(tmp_path / run)[0]["training"]["seed"] for run in first["runs"]}  # type: ignore[index]
    assert seeds == {0, 1}


def test_equal_parameters(call: Call, text: str) -> None:
    """The hidden size is solved for."""
    options = ("--cells", "lstm,gru,rnn", "--equal", "parameters", "--json")
    *some, _ = call("compare", text, *options, "--hidden", 48, "--steps", 4, "--threads", 1).events
    counts = [one["parameters"] for one in some]
    assert max(counts) < 1.05 * min(counts)


def test_equal_steps(call: Call, text: str) -> None:
    """All others make as many steps as the first one did in its time."""
    options = ("--equal", "steps", "--time", "1s", "--hidden", 8, "--threads", 1, "--json")
    first, second, _ = call("compare", text, "--cells", "lstm,rnn", *options).events
    assert first["steps"] == second["steps"] > 0


def test_the_optimizer_decides_the_learning_rate(call: Call, text: str, tmp_path: Path) -> None:
    """What only the first sets, and what its optimizer decides, does not hold for the others."""
    vary = "lstm optimizer=sgd clip=0; lstm optimizer=adam; gru"
    assert call("compare", text, "--vary", vary, *TINY, "-o", tmp_path / "x").code == 0
    starts = [rows(path)[0]["training"] for path in sorted(tmp_path.glob("x-*"))]
    gru, adam, sgd = starts
    assert isinstance(gru, dict) and isinstance(adam, dict) and isinstance(sgd, dict)
    assert (gru["optimizer"], gru["clip"], gru["lr"]) == ("muon", 1.0, 0.03)
    assert (adam["optimizer"], adam["clip"]) == ("adam", 1.0)
    assert len({one["lr"] for one in (gru, adam, sgd)}) == 3


def test_an_explosion(call: Call, text: str) -> None:
    """A training that diverges ends neither the others nor the command."""
    vary = "rnn-relu init=normal init-scale=1000 optimizer=sgd lr=100 clip=0; gru"
    options = ("--hidden", 32, "--steps", 60, "--threads", 1, "--json")
    result = call("compare", text, "--vary", vary, *options)
    assert result.code == 0, result.err
    exploded, fine, last = result.events
    assert exploded["state"] == "diverged"
    assert exploded["rollbacks"] > 0
    assert exploded["skipped"] > 0
    assert (fine["state"], last["best"]) == ("finished", "gru")
    again = call("compare", text, "--vary", vary, *options, "--resume")
    assert again.events == result.events


@pytest.mark.slow
def test_ctrl_c_and_resume(call: Call, text: str, tmp_path: Path) -> None:
    """Ctrl-C keeps what is there and prints the table; --resume trains the rest."""
    arguments = ("compare", text, "--cells", "rnn,gru", "--hidden", 8, "--steps", 200,
                 "--threads", 1)  # fmt: skip
    process = start(*arguments, cwd=tmp_path)
    assert process.stderr
    for line in process.stderr:
        if "[2/2] gru" in line:
            break
    next(line for line in process.stderr if "held out" in line)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert "gru (unfinished)" in stopped.out
    assert "--resume" in stopped.err
    other = call(*arguments, "--lr", 0.1, "--resume")
    assert other.code == 2
    assert "was trained with --lr 0.03, not 0.1" in other.error
    resumed = call(*arguments, "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert "[1/2] rnn: finished before" in resumed.err
    assert "resuming from step" in resumed.err
    assert [one["state"] for one in resumed.events[:2]] == ["finished", "finished"]
    whole = call(*arguments, "--json")
    assert [one["val_nats"] for one in whole.events[:2]] == [
        one["val_nats"] for one in resumed.events[:2]
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cells", "lstm,gur"], "no cell 'gur'"),
        (["--vary", "lstm; gru hidden=no"], "hidden cannot be 'no'"),
        (["--vary", "lstm; gru hidden=9", "--equal", "parameters"], "sets hidden"),
        (["--lr", "0"], "--lr must be"),
        (["--resume"], "nothing to resume"),
        (["--time", "soon"], "not a time"),
        (["--level", "char", "--optimizer", "adam", "--init-scale", "-1"], "--init-scale must be"),
    ],
)
def test_errors(arguments: list[str], said: str, call: Call, text: str, tmp_path: Path) -> None:
    """A mistake is one line, before anything is trained."""
    result = call("compare", text, *arguments)
    assert result.code == 2 or "--resume" in arguments
    assert said in result.error
    assert not (tmp_path / "runs").exists()


def test_names_that_are_taken(call: Call, text: str) -> None:
    """With -o, runs that are there are not overwritten."""
    arguments = ("compare", text, "--cells", "rnn", *TINY, "-o", "mine")
    assert call(*arguments).code == 0
    assert "--resume" in call(*arguments).error
    assert main(["compare", "-"]) == 2


def test_text(call: Call, tmp_path: Path) -> None:
    """A text that is missing, too short or a run folder gets one line."""
    (tmp_path / "short.txt").write_text("abc")
    for name, said in (("missing.txt", "does not exist"), ("short.txt", "too short")):
        result = call("compare", name, *TINY)
        assert result.code == 1
        assert said in result.error
