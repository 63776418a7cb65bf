"""charrnn predict: one source in, its likeliest targets out."""

import gzip
import json
import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest

import charrnn
from tests.cli.conftest import BEGINNINGS, NATIONS, Call, names_and_nations
from tests.cli.shell import (
    Training,
    charrnn_command,
    finish,
    modules_loaded,
    on_terminal,
    start,
)

NAMES = ["Zarski", "", "Molson", "  ", "Bertini"]
RIGHT = ["Polish", "", "Swedish", "", "Italian"]
CELLS = re.compile(r"[^\t]+\t[01]\.\d{3}")


def names(path: Path, lines: list[str] = NAMES) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


class TestLines:
    def test_pipe(self, labelled: Training, tmp_path: Path) -> None:
        """Each line is answered with a target and its probability, an empty line with another."""
        typed = "\n".join(NAMES)
        result = charrnn_command("predict", "-m", labelled.run, cwd=tmp_path, stdin=typed)
        assert (result.code, result.err) == (0, "")
        lines = result.out.splitlines()
        assert [line.partition("\t")[0] for line in lines] == RIGHT
        assert all(CELLS.fullmatch(line) for line in lines if line)

    def test_file(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """The lines of a file are answered as those of a pipe, and so are those of "-"."""
        names(tmp_path / "names.txt")
        expected = call("predict", "names.txt", "-m", labelled.run)
        assert (expected.code, expected.err) == (0, "")
        typed = (tmp_path / "names.txt").read_text()
        options = ("-m", labelled.run)
        for arguments in ([], ["-"], ["-", "--encoding", "utf-8"]):
            piped = charrnn_command("predict", *arguments, *options, cwd=tmp_path, stdin=typed)
            assert piped == expected

    def test_several_files(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """Files are answered in their order."""
        names(tmp_path / "one.txt", ["Molson"])
        names(tmp_path / "two.txt", ["Zarski"])
        result = call("predict", "two.txt", "one.txt", "-m", labelled.run)
        assert [line.split("\t")[0] for line in result.out.splitlines()] == ["Polish", "Swedish"]

    def test_answers_while_the_pipe_is_open(self, labelled: Training, tmp_path: Path) -> None:
        """An answer arrives before the next line is typed."""
        process = start("predict", "--json", "-m", labelled.run, cwd=tmp_path)
        assert process.stdin and process.stdout
        for line in NAMES:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["source"] == line
        result = finish(process)
        assert (result.code, result.out, result.err) == (0, "", "")

    def test_many(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """Thousands of sources are answered in their order."""
        lines = [beginning + end for beginning in BEGINNINGS for end in NATIONS] * 3
        names(tmp_path / "names.txt", lines)
        result = call("predict", "names.txt", "--json", "-m", labelled.run)
        assert [answer["source"] for answer in result.events] == lines
        right = [NATIONS[line[-3:]] for line in lines]
        found = [answer["targets"][0]["text"] for answer in result.events]
        assert sum(a == b for a, b in zip(found, right, strict=True)) > 0.9 * len(lines)

    def test_ends_of_lines(self, labelled: Training, tmp_path: Path) -> None:
        """The line ends of other systems are read too."""
        typed = b"Molson\r\nZarski\rBertini"
        result = charrnn_command("predict", "-m", labelled.run, cwd=tmp_path, stdin=typed)
        found = [line.split("\t")[0] for line in result.out.splitlines()]
        assert found == ["Swedish", "Polish", "Italian"]

    @pytest.mark.parametrize(
        ("typed", "answers"),
        [
            (b"Molson\nZarski\nBert\xffini\nMolson\n", 2),
            ("Molson\nZarski\n".encode("utf-16"), 0),
            (gzip.compress(b"Molson\n"), 0),
        ],
    )
    def test_not_utf_8(
        self, labelled: Training, tmp_path: Path, typed: bytes, answers: int
    ) -> None:
        """Lines before one that is not UTF-8 are answered; then an error says what to do."""
        result = charrnn_command("predict", "-m", labelled.run, cwd=tmp_path, stdin=typed)
        assert (result.code, result.out.count("\n")) == (1, answers)
        assert f"standard input is not UTF-8 (line {answers + 1}); give --enc" in result.error

    def test_nothing(self, labelled: Training, tmp_path: Path) -> None:
        """No source gets no answer."""
        result = charrnn_command("predict", "-m", labelled.run, cwd=tmp_path)
        assert (result.code, result.out, result.err) == (0, "", "")


class TestJson:
    def test_labels(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """--json gives each source with its targets; the probabilities of all labels add to 1."""
        names(tmp_path / "names.txt")
        result = call("predict", "names.txt", "--json", "--top", 9, "-m", labelled.run)
        assert [answer["source"] for answer in result.events] == NAMES
        for answer, right in zip(result.events, RIGHT, strict=True):
            assert answer.keys() == {"source", "targets"}
            if not right:
                assert answer["targets"] == []
                continue
            assert answer["targets"][0]["text"] == right
            assert {target["text"] for target in answer["targets"]} == {*NATIONS.values()}
            p = [target["p"] for target in answer["targets"]]
            assert p == sorted(p, reverse=True)
            assert sum(p) == pytest.approx(1)

    def test_texts(self, call: Call, paired: Training, tmp_path: Path) -> None:
        """Other targets are searched for: they are what the model in Python finds."""
        names(tmp_path / "names.txt", ["Molson", "Zarski"])
        options = ("--top", 3, "--beam", 8, "--json", "-m", paired.run)
        result = call("predict", "names.txt", *options)
        assert (result.code, result.err) == (0, "")
        model = charrnn.load(paired.run)
        for answer in result.events:
            expected = model.predict(answer["source"], k=3, beam=8)
            assert [target["text"] for target in answer["targets"]] == [t for t, _ in expected]
            p = [target["p"] for target in answer["targets"]]
            assert p == pytest.approx([p for _, p in expected], rel=1e-3)

    def test_same_as_plain(self, call: Call, paired: Training, tmp_path: Path) -> None:
        """Without --json the same targets are in one line, best first."""
        names(tmp_path / "names.txt")
        objects = call("predict", "names.txt", "-k", 2, "--json", "-m", paired.run).events
        lines = call("predict", "names.txt", "-k", 2, "-m", paired.run).out.split("\n")[:-1]
        for answer, line in zip(objects, lines, strict=True):
            cells = [f"{target['text']}\t{target['p']:.3f}" for target in answer["targets"]]
            assert line == "\t".join(cells)


class TestRecords:
    def test_field_of_the_model(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """Of a table the field that the model was trained on is read, in any column."""
        (tmp_path / "new.csv").write_text("year,name\n1900,Molson\n1901,\n1902,Zarski\n")
        result = call("predict", "new.csv", "-m", labelled.run)
        found = [line.split("\t")[0] for line in result.out.split("\n")]
        assert found == ["Swedish", "", "Polish", ""]

    @pytest.mark.parametrize(
        ("name", "content", "options"),
        [
            ("new.csv", "who;year\nMolson;1900\n", ["--field", "who", "--delimiter", ";"]),
            ("new.csv", "1900,Molson\n", ["--field", "2", "--no-header"]),
            ("new.jsonl", '{"user": {"name": "Molson"}}\n', ["--field", "user.name"]),
            ("new.json", '[{"name": "Molson"}]', []),
            ("new.tsv", "name\tyear\nMolson\t1900\n", []),
            ("new.data", '{"name": "Molson"}\n', ["--field", "name"]),
        ],
    )
    def test_other_fields(
        self, call: Call, labelled: Training, tmp_path: Path, name: str, content: str,
        options: list[str],
    ) -> None:  # fmt: skip
        """--field and its options name another field; all kinds of records are read."""
        (tmp_path / name).write_text(content)
        result = call("predict", name, "-m", labelled.run, *options)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("Swedish\t")
        assert result.out.count("\n") == 1

    def test_no_such_field(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """A table without the field is an error that names its columns."""
        (tmp_path / "new.csv").write_text("who,year\nMolson,1900\n")
        result = call("predict", "new.csv", "-m", labelled.run)
        assert (result.code, result.out) == (1, "")
        assert "'name'" in result.error and "'who'" in result.error and "--field" in result.error

    @pytest.mark.slow
    def test_label_folders(self, call: Call, tmp_path: Path) -> None:
        """With a model of label folders each file is a source."""
        for name, nation in names_and_nations(120):
            folder = tmp_path / "notes" / nation
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.txt").write_text(f"Dear Mr\n{name}\n")
        options = ("--label-folders", "--from", "none", "--hidden", 32, "--steps", 150)
        assert call("train", "notes", *options, "-o", "run").code == 0
        (tmp_path / "new.txt").write_text("Dear Mr\nMolson\n")
        result = call("predict", "new.txt", "notes/Polish", "-m", "run")
        found = [line.split("\t")[0] for line in result.out.splitlines()]
        assert found[0] == "Swedish"
        assert len(found) == 41
        assert found.count("Polish") > 30


class TestWrongUsage:
    @pytest.mark.parametrize("options", [["--top", 0], ["--beam", 0], ["--top", "x"]])
    def test_numbers(self, call: Call, labelled: Training, options: list[object]) -> None:
        """Numbers below 1 are refused."""
        result = call("predict", "-m", labelled.run, *options)
        assert (result.code, result.out) == (2, "")
        assert str(options[0]) in result.error

    def test_other_models(self, call: Call, trained: Training) -> None:
        """A model of running text has no targets to predict; the error says what to train."""
        result = call("predict", "-m", trained.run)
        assert (result.code, result.out) == (2, "")
        assert "train --source" in result.error

    def test_missing_among_others(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """What was read before a missing file is answered."""
        names(tmp_path / "names.txt", ["Molson"])
        result = call("predict", "names.txt", "missing.txt", "-m", labelled.run)
        assert result.code == 1
        assert result.out.startswith("Swedish\t")
        assert "missing.txt" in result.error

    def test_run(self, call: Call, labelled: Training) -> None:
        """A run is not a file of sources."""
        result = call("predict", labelled.run)
        assert (result.code, result.out) == (2, "")
        assert "-m" in result.error


def test_progress(
    call: Call, labelled: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard error tells how far it is; -q does not."""
    monkeypatch.setattr("charrnn.display.working.LINE_SECONDS", 0)
    names(tmp_path / "names.txt")
    with patch("charrnn.cli.predict.BATCH", 2):
        told = call("predict", "names.txt", "-m", labelled.run)
    assert re.search(r"^predicting: 21 characters$", told.err, re.M)
    quiet = call("predict", "names.txt", "-q", "-m", labelled.run)
    assert quiet.err == ""
    assert quiet.out == told.out


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal of POSIX")
def test_controls(labelled: Training, tmp_path: Path) -> None:
    """A terminal receives no control characters of a source."""
    names(tmp_path / "names.txt", ["\x1b[31mMolson"])
    for options in ([], ["--json"]):
        shown = on_terminal(["predict", "names.txt", "-m", labelled.run, *options], tmp_path)
        assert "\x1b" not in shown
        assert "Swedish" in shown


def test_without_torch(labelled: Training, tmp_path: Path) -> None:
    """It never waits for torch."""
    modules = modules_loaded("predict", "-m", labelled.run, cwd=tmp_path, stdin="Molson\n")
    assert "torch" not in modules
