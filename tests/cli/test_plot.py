"""charrnn plot: how runs went."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.shell import Training, charrnn_command, modules_loaded, on_terminal
from tests.display.plot.logs import Row, done, start, trained, write

ROWS = [start(), *trained(0, 1000), done(1000)]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The folder of a run that came to its end, runs/book."""
    return write(tmp_path / "runs" / "book" / "log.jsonl", *ROWS).parent


def test_one_run(call: Call, book: Path) -> None:
    """The page is written into the run's folder; stdout has a curve and what came of the run."""
    result = call("plot", "book")
    assert result.code == 0
    assert result.err == f"wrote {Path('runs', 'book', 'plot.html')}: open it in a browser\n"
    assert (book / "plot.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    title, *_, last = result.out.splitlines()
    assert title == "held-out text, bits/char"
    assert last == (
        "book: held-out text 1.2500 nats/char = 1.803 bits/char; "
        "1,000 steps, 1,024,000 tokens in 10 s; done"
    )


def test_trained(tmp_path: Path, trained: Training) -> None:
    """What training logs can be drawn, and agrees with what training said."""
    result = charrnn_command("plot", trained.run, "--json", "-o", "p.html", cwd=tmp_path)
    assert result.code == 0, result.err
    (told,) = result.events
    last = trained.result.events[-1]
    assert told["best_val_nats"] == last["val_nats"]
    assert [told[name] for name in ("steps", "tokens", "seconds")] == [
        last[name] for name in ("steps", "tokens", "seconds")
    ]
    assert told["validations"] == [
        [event["seconds"], event["step"], event["val_nats"]]
        for event in trained.result.events
        if event["event"] == "validation"
    ]
    assert 'aria-label="Loss"' in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_newest_run(call: Call, book: Path, tmp_path: Path) -> None:
    """Without a name it is the newest run here."""
    older = write(tmp_path / "runs" / "older" / "log.jsonl", *ROWS)
    os.utime(older, (1e9, 1e9))
    assert call("plot").out.splitlines()[-1].startswith("book: ")
    assert (book / "plot.html").exists()


def test_several_runs(call: Call, tmp_path: Path) -> None:
    """The page of several runs is written here; each has a numbered line."""
    for name in ("one", "two"):
        write(tmp_path / "runs" / name / "log.jsonl", *ROWS)
    result = call("plot", "one", "runs/two/log.jsonl")
    assert result.code == 0
    assert "one, two" in Path("plot.html").read_text(encoding="utf-8")
    assert not list(Path("runs").glob("*/plot.html"))
    assert [line[:6] for line in result.out.splitlines()[-2:]] == ["1  one", "2  two"]


def test_runs_far_apart(call: Call, book: Path, tmp_path: Path) -> None:
    """A run whose loss is far above the best one's is drawn too, here and on the page."""
    rows: list[Row] = [start(), *trained(0, 1000), done(1000, val_nats=9.0)]
    rows = [row | {"val_nats": 9.0} if "val_nats" in row else row for row in rows]
    write(tmp_path / "runs" / "worse" / "log.jsonl", *rows)
    curve = [line.partition("│")[2] for line in call("plot", "book", "worse").out.splitlines()]
    assert [number for number in "12" if any(number in line for line in curve)] == ["1", "2"]
    assert "worse, final score" in Path("plot.html").read_text(encoding="utf-8")


def test_output(call: Call, book: Path) -> None:
    """-o names the page's file."""
    result = call("plot", "book", "-o", "page.html")
    assert result.err == "wrote page.html: open it in a browser\n"
    assert Path("page.html").exists()
    assert not (book / "plot.html").exists()


def test_standard_output(call: Call, book: Path) -> None:
    """-o - writes the page to standard output, nothing else, and no file."""
    result = call("plot", "book", "-o", "-")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("<!doctype html>")
    assert result.out.endswith("</html>\n")
    assert os.listdir(book) == ["log.jsonl"]


def test_json(call: Call, tmp_path: Path) -> None:
    """--json prints an object for each run instead of the curve."""
    rows: list[Row] = [start(), *trained(0, 200)]
    rows += [{"event": "validation", "step": 210, "seconds": 2.1, "val_nats": float("nan")}]
    for name in ("one", "two"):
        write(tmp_path / "runs" / name / "log.jsonl", *rows)
    result = call("plot", "one", "two", "--json")
    assert [event["name"] for event in result.events] == ["one", "two"]
    assert "NaN" not in result.out
    one = result.events[0]
    assert set(one) == {
        *("name", "best_val_nats", "best_val_bpc", "steps", "tokens", "seconds", "validations"),
    }
    assert (one["steps"], one["tokens"], one["seconds"]) == (210, 204_800, 2.1)
    assert one["best_val_nats"] == one["validations"][1][2]
    assert [row[:2] for row in one["validations"]] == [[1.0, 100], [2.0, 200], [2.1, 210]]
    assert one["validations"][2][2] is None
    assert Path("plot.html").exists()


def test_json_and_page_on_standard_output(call: Call, book: Path) -> None:
    """--json and the page cannot both be standard output."""
    result = call("plot", "book", "--json", "-o", "-")
    assert (result.code, result.out) == (2, "")
    assert "-o" in result.error


def test_quiet(call: Call, book: Path) -> None:
    """-q keeps the result and says nothing else."""
    result = call("plot", "book", "-q")
    assert result.err == ""
    assert "held-out text" in result.out


@pytest.mark.parametrize(
    ("by", "title"), [("tokens", "tokens read"), ("steps", "steps"), ("epochs", "epochs")]
)
def test_by(call: Call, book: Path, by: str, title: str) -> None:
    """--by chooses what the curve and the page are drawn over."""
    result = call("plot", "book", "--by", by)
    assert result.out.splitlines()[-2].strip() == title
    assert f"Horizontal axis: {title}." in (book / "plot.html").read_text()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("missing", None),
        ("empty.jsonl", b""),
        ("binary", b"\x00\x01\xff\n" * 9),
        (".", None),
        ("text.txt", b"The fox slept.\n"),
    ],
)
def test_no_log(call: Call, tmp_path: Path, name: str, data: bytes | None) -> None:
    """What is no log is an error of one line that names it; nothing is written."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    result = call("plot", name)
    assert (result.code, result.out) == (1, "")
    assert name in result.error
    assert not list(tmp_path.glob("**/*.html"))


def test_no_run(call: Call) -> None:
    """Without any run it is wrong usage, told in one line."""
    result = call("plot")
    assert (result.code, result.out) == (2, "")
    assert "runs/" in result.error


def test_unknown_axis(call: Call, book: Path) -> None:
    """What it cannot be drawn over is wrong usage, told in one line with what it can."""
    result = call("plot", "book", "--by", "weeks")
    assert (result.code, result.out) == (2, "")
    assert "epochs" in result.error


def test_cannot_write(call: Call, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the page cannot be written, the curve is shown before an error says what to do."""
    (book / "plot.html").mkdir()  # as good as read-only, for root too
    for options in ([], ["--json"]):
        result = call("plot", "book", *options)
        assert result.code == 1
        assert result.out == call("plot", "book", *options, "-o", "page.html").out != ""
    assert str(Path("runs", "book", "plot.html")) in result.error
    assert "-o" in result.error
    assert sorted(os.listdir(book)) == ["log.jsonl", "plot.html"]


def test_ascii(tmp_path: Path, book: Path) -> None:
    """Where the locale has no braille, ASCII does."""
    result = charrnn_command("plot", book, cwd=tmp_path, environment={"LC_ALL": "C"})
    assert result.out.isascii()
    assert "*" in result.out


def test_braille(tmp_path: Path, book: Path) -> None:
    """To a pipe the curve is of plain braille characters, with no colour."""
    result = charrnn_command("plot", book, cwd=tmp_path, environment={"LC_ALL": "C.UTF-8"})
    assert any("\u2800" < character <= "\u28ff" for character in result.out)
    assert "\x1b" not in result.out


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal of POSIX")
def test_terminal(tmp_path: Path, book: Path) -> None:
    """On a terminal the curve has a colour, unless NO_COLOR is set, and fits the width."""
    arguments = ["plot", book]
    assert "\x1b[36m" in on_terminal(arguments, tmp_path)
    plain = on_terminal(arguments, tmp_path, NO_COLOR="1")
    assert "\x1b" not in plain
    assert all(len(line) <= 40 for line in plain.splitlines()[:15])


def test_control_characters(call: Call, tmp_path: Path) -> None:
    """What a log says cannot steer the terminal."""
    stop = {"event": "stop", "step": 1000, "why": "\x1b[2Jevil\r"}
    write(tmp_path / "evil" / "log.jsonl", *ROWS[:-1], stop)
    result = call("plot", "evil")
    assert "evil" in result.out
    assert "\x1b" not in result.out + result.err
    assert "\r" not in result.out + result.err


def test_log_is_left_alone(call: Call, book: Path) -> None:
    """It only reads the log."""
    call("plot", "book")
    lines = (book / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == ROWS


def test_without_torch(tmp_path: Path, book: Path) -> None:
    """It never waits for torch, nor away from a terminal for rich."""
    assert not {"torch", "rich"} & modules_loaded("plot", book, cwd=tmp_path)
