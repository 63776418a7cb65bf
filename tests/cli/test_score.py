"""charrnn score: how likely a model finds each line or file."""

import json
import math
import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest

import charrnn
from charrnn.model import Model
from tests.cli.conftest import Call
from tests.cli.shell import Training, charrnn_command, modules_loaded, on_terminal

COLOUR = re.compile(r"\x1b\[30;48;5;\d+m")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Lines with an empty one, one of disorder and one with an unseen character."""
    path = tmp_path / "text.txt"
    path.write_text(
        "The fox slept by the river.\n\nxqzvfj kwpt\r\nA ☃ sang a song in the barn.\n ",
        encoding="utf-8",
    )
    return path


def test_lines(call: Call, any_trained: Training, text: Path) -> None:
    """An object for each line that is not empty, in order, with its score for itself."""
    run = any_trained.run
    result = call("score", "text.txt", "-m", run)
    assert (result.code, result.err) == (0, "")
    lines = ["The fox slept by the river.", "xqzvfj kwpt", "A ☃ sang a song in the barn.", " "]
    assert [record["text"] for record in result.events] == lines
    assert [record["line"] for record in result.events] == [1, 3, 4, 5]
    model = charrnn.load(run)
    for record in result.events:
        assert record.keys() == {"file", "line", "text", "chars", "tokens", "logp", "bpc"}
        score = model.score(record["text"])
        assert record["file"] == "text.txt"
        assert (record["chars"], record["tokens"]) == (score.chars, score.tokens)
        assert record["logp"] == pytest.approx(-score.nats, rel=1e-4)
        assert record["bpc"] == pytest.approx(-record["logp"] / math.log(2) / record["chars"])
    assert call("score", "text.txt", "-m", run, "--json") == result


def test_line_that_is_too_long(
    call: Call, trained: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is too long for memory is an error with its number; by file it is scored."""
    monkeypatch.setattr("charrnn.text.source.LONGEST_LINE", 1000)
    monkeypatch.setattr("charrnn.text.encodings.READ_BYTES", 100)
    (tmp_path / "a.txt").write_text("The fox\n" + "slept " * 200)
    result = call("score", "a.txt", "-m", trained.run)
    assert result.code == 1
    assert "a.txt: line 2 has more than 1,000 characters" in result.error
    assert "break it into lines" in result.error
    (record,) = call("score", "a.txt", "-m", trained.run, "--by", "file").events
    assert record["chars"] == 1208


def test_files(call: Call, trained: Training, text: Path, tmp_path: Path) -> None:
    """--by file gives an object for each file, with the score that eval finds."""
    (tmp_path / "other.txt").write_text("A heron laughed.\n")
    (tmp_path / "empty.txt").write_text("")
    result = call("score", "text.txt", "other.txt", "empty.txt", "-m", trained.run, "--by", "file")
    assert (result.code, result.err) == (0, "")
    assert [record["file"] for record in result.events] == ["text.txt", "other.txt"]
    for record in result.events:
        (score,) = call("eval", record["file"], "-m", trained.run, "--json").events
        assert record.keys() == {"file", "chars", "tokens", "logp", "bpc"}
        assert (record["chars"], record["tokens"]) == (score["chars"], score["tokens"])
        assert record["bpc"] == pytest.approx(score["bpc"])


def test_several(call: Call, trained: Training, tmp_path: Path) -> None:
    """Each file's lines are counted from 1, an unfinished last line is one of its own."""
    (tmp_path / "a.txt").write_text("The fox\nslept")
    (tmp_path / "b.txt").write_text("all winter\n")
    records = call("score", "a.txt", "b.txt", "-m", trained.run).events
    assert [(r["file"], r["line"], r["text"]) for r in records] == [
        ("a.txt", 1, "The fox"),
        ("a.txt", 2, "slept"),
        ("b.txt", 1, "all winter"),
    ]


class TestRecords:
    @pytest.fixture
    def posts(self, tmp_path: Path) -> None:
        """Records of several lines, empty, broken and without an id."""
        texts: list[object] = ["The fox\nslept.", "", None, "A heron\n\nsang."]
        records = [{"body": text, "meta": {"key": f"p{i}"}} for i, text in enumerate(texts)]
        lines = [*map(json.dumps, records), '{"body": "all winter"}']
        (tmp_path / "posts.jsonl").write_text("\n\n".join(lines))

    def test_units(self, call: Call, trained: Training, posts: None) -> None:
        """A record is scored as a whole, with its number in the file and the line it begins in."""
        result = call("score", "posts.jsonl", "--field", "body", "-m", trained.run)
        assert result.code == 0
        assert [(r["record"], r["line"], r["text"]) for r in result.events] == [
            (1, 1, "The fox\nslept."),
            (4, 7, "A heron\n\nsang."),
            (5, 9, "all winter"),
        ]
        model = charrnn.load(trained.run)
        for record in result.events:
            keys = {"file", "record", "line", "text", "chars", "tokens", "logp", "bpc"}
            assert record.keys() == keys
            assert record["logp"] == pytest.approx(-model.score(record["text"]).nats, rel=1e-4)
        assert result.err == (
            "1 of 5 records are skipped; the first one: posts.jsonl: line 5: "
            "the field 'body' is null\n"
        )

    def test_id(self, call: Call, trained: Training, posts: None) -> None:
        """--id gives each record's own id too."""
        options = ("--field", "body", "--id", "meta.key", "-m", trained.run)
        records = call("score", "posts.jsonl", *options).events
        assert [record["id"] for record in records] == ["p0", "p3", None]

    def test_strict(self, call: Call, trained: Training, posts: None) -> None:
        """--errors strict stops at a broken record."""
        options = ("--field", "body", "--errors", "strict", "-m", trained.run)
        result = call("score", "posts.jsonl", *options)
        assert result.code == 1
        assert "posts.jsonl: line 5" in result.error

    def test_table(self, call: Call, trained: Training, tmp_path: Path) -> None:
        """A table may have another delimiter and no header."""
        (tmp_path / "a.txt").write_text('7;"The fox; the crow"\n8;slept\n')
        options = (
            "--field",
            "2",
            "--id",
            "1",
            "--no-header",
            "--delimiter",
            ";",
            "-m",
            trained.run,
        )
        records = call("score", "a.txt", *options).events
        assert [(r["record"], r["id"], r["text"]) for r in records] == [
            (1, "7", "The fox; the crow"),
            (2, "8", "slept"),
        ]
        (tmp_path / "a.txt").write_text('x\ty\n"The fox\t1\n')
        table = ("--field", "x", "--delimiter", r"\t")
        (record,) = call("score", "a.txt", *table, "-m", trained.run).events
        assert record["text"] == '"The fox'

    def test_files(self, call: Call, trained: Training, posts: None) -> None:
        """--by file scores all records of a file together."""
        options = ("--field", "body", "--by", "file", "-m", trained.run)
        (record,) = call("score", "posts.jsonl", *options).events
        assert record["chars"] == len("The fox\nslept.\n\nA heron\n\nsang.\n\nall winter")

    @pytest.mark.parametrize(
        "options", [("--by", "record"), ("--by", "line", "--field", "x"), ("--id", "x")]
    )
    def test_wrong_usage(
        self, call: Call, trained: Training, posts: None, options: tuple[str, ...]
    ) -> None:
        """Records need a field, and have no lines."""
        result = call("score", "posts.jsonl", *options, "-m", trained.run)
        assert (result.code, result.out) == (2, "")
        assert options[0] in result.error


@pytest.mark.parametrize("by", ["line", "file"])
def test_rank(call: Call, trained: Training, corpus: Path, tmp_path: Path, by: str) -> None:
    """--rank begins with the likeliest, by bits per character."""
    lines = ["xqzvfj kwpt", *corpus.read_text(encoding="utf-8").split("\n")[:70], "QQQ"]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    (tmp_path / "odd.txt").write_text("xqzvfj kwpt")
    options = ("odd.txt", "text.txt", "-m", trained.run, "--by", by)
    plain, ranked = call("score", *options).events, call("score", *options, "--rank").events
    assert ranked == sorted(plain, key=lambda record: record["bpc"])
    assert ranked != plain


def test_standard_input(trained: Training, text: Path, call: Call, tmp_path: Path) -> None:
    """- is standard input, and each line is answered as it is scored."""
    piped = charrnn_command("score", "-", "-m", trained.run, cwd=tmp_path, stdin=text.read_bytes())
    assert (piped.code, piped.err) == (0, "")
    expected = call("score", "text.txt", "-m", trained.run).events
    assert piped.events == [record | {"file": "-"} for record in expected]


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("empty.txt", b"", "empty"),
        ("blank.txt", b"\n\n", "empty"),
        ("binary.txt", b"ab\x00cd", "offset 2"),
        ("latin.txt", b"caf\xe9", "0xe9 at offset 3"),
        ("missing.txt", None, "missing.txt"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--rank"], ["--json"]], ids=str)
def test_bad_text(
    call: Call, trained: Training, tmp_path: Path, name: str, content: bytes | None, wrong: str,
    options: list[str],
) -> None:  # fmt: skip
    """A text that cannot be scored is an error of one line."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = call("score", name, "-m", trained.run, *options)
    assert (result.code, result.out) == (1, "")
    assert wrong in result.error


def test_missing_among_others(call: Call, trained: Training, text: Path) -> None:
    """What was scored before a missing file stands."""
    result = call("score", "text.txt", "missing.txt", "-m", trained.run)
    assert result.code == 1
    assert len(result.events) == 4
    assert "missing.txt" in result.error


def test_by_what(call: Call, trained: Training, text: Path) -> None:
    """--by something else is wrong usage."""
    result = call("score", "text.txt", "--by", "word", "-m", trained.run)
    assert (result.code, result.out) == (2, "")
    assert "--by" in result.error


def test_encoding(call: Call, trained: Training, tmp_path: Path) -> None:
    """--encoding says how a text is written."""
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (record,) = call("score", "latin.txt", "-m", trained.run, "--encoding", "cp1252").events
    assert record["text"] == "café"


def test_long_line(call: Call, word_trained: Training, tmp_path: Path) -> None:
    """A line of 100 KB among short ones is scored like any other."""
    line = "The fox slept by the river. " * 3600
    (tmp_path / "text.txt").write_text(f"The fox\n{line}\nA heron\n")
    records = call("score", "text.txt", "-m", word_trained.run).events
    assert [record["chars"] for record in records] == [7, len(line), 7]
    nats = charrnn.load(word_trained.run).score(line).nats
    assert records[1]["logp"] == pytest.approx(-nats, rel=0.02)
    assert records[0] == call("score", "text.txt", "-m", word_trained.run).events[0]


def test_batches(call: Call, trained: Training, tmp_path: Path) -> None:
    """As many lines are scored side by side as have not too many characters together."""
    lines = ["x" * n for n in (10, 90, 300, 40, 1, 0, 1)] + ["x"] * 100
    (tmp_path / "text.txt").write_text("\n".join(lines))
    whole = call("score", "text.txt", "-m", trained.run)
    with (
        patch("charrnn.cli.batches.CHARS", 100),
        patch.object(Model, "surprisal", autospec=True, side_effect=Model.surprisal) as surprisal,
    ):
        parted = call("score", "text.txt", "-m", trained.run)
    batches = [[len(line) for line in call.args[1]] for call in surprisal.call_args_list]
    assert batches == [[10, 90], [300], [40, 1] + [1] * 59, [1] * 42]
    for record, other in zip(parted.events, whole.events, strict=True):
        assert record == other | {
            "logp": pytest.approx(other["logp"], rel=1e-5),
            "bpc": pytest.approx(other["bpc"], rel=1e-5),
        }


class TestProgress:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("charrnn.display.working.LINE_SECONDS", 0)

    @pytest.mark.parametrize("options", [[], ["--rank"], ["--by", "file"], ["--rank", "--json"]])
    def test_told(self, call: Call, trained: Training, text: Path, options: list[str]) -> None:
        """While a long text is scored, standard error tells how far it is; the output is data."""
        expected = call("score", "text.txt", "-m", trained.run, *options, "-q")
        assert expected.err == ""
        told = call("score", "text.txt", "-m", trained.run, *options)
        assert told.out == expected.out
        chars = [int(n) for n in re.findall(r"^scoring: (\d+) characters$", told.err, re.M)]
        assert len(chars) == len(told.err.splitlines()) > 20
        assert chars == sorted(chars)
        assert chars[-1] == sum(record["chars"] for record in told.events)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal of POSIX")
class TestTerminal:
    def test_heat(self, trained: Training, text: Path, tmp_path: Path) -> None:
        """On a terminal each line is shown with its bits, surprising characters coloured."""
        (tmp_path / "text.txt").write_text("The fox slept.\nThe ☃ \x1b[31mslept\n")
        shown = on_terminal(["score", "text.txt", "-m", trained.run], tmp_path)
        assert COLOUR.search(shown)
        plain = re.sub(r"\x1b\[[\d;]+m", "", shown)
        assert re.fullmatch(
            r" *\d+\.\d{3}  The fox slept\.\r\n *\d+\.\d{3}  The ☃ ·\[31mslept\r\n", plain
        )

    def test_no_color(self, trained: Training, text: Path, tmp_path: Path) -> None:
        """NO_COLOR and a dumb terminal leave the colours out, not the text."""
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            shown = on_terminal(["score", "text.txt", "-m", trained.run], tmp_path, **environment)
            assert "\x1b" not in shown
            assert "The fox slept by the river." in shown

    def test_json(self, trained: Training, text: Path, tmp_path: Path) -> None:
        """--json gives objects on a terminal too."""
        shown = on_terminal(["score", "text.txt", "-m", trained.run, "--json"], tmp_path)
        assert [json.loads(line)["line"] for line in shown.splitlines()] == [1, 3, 4, 5]

    def test_files(self, trained: Training, text: Path, tmp_path: Path) -> None:
        """--by file tells the bits, the length and the name."""
        shown = on_terminal(["score", "text.txt", "-m", trained.run, "--by", "file"], tmp_path)
        assert re.fullmatch(r" *\d+\.\d{3} bits/char +71 characters  text\.txt\r\n", shown)


def test_forced_color(trained: Training, text: Path, tmp_path: Path) -> None:
    """FORCE_COLOR changes nothing about the objects of a pipe."""
    result = charrnn_command(
        "score", "text.txt", "-m", trained.run, cwd=tmp_path, environment={"FORCE_COLOR": "1"}
    )
    assert len(result.events) == 4


def test_without_torch(tmp_path: Path, trained: Training, text: Path) -> None:
    """It never waits for torch."""
    assert "torch" not in modules_loaded("score", text, "-m", trained.run, cwd=tmp_path)
