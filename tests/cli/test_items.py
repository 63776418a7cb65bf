"""Models of lines and of documents: each item for itself, from the text to what is written."""

import itertools
import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.shell import Training, charrnn_command

NAMES = [
    "".join(parts)
    for parts in itertools.product(
        ["Mega", "Ultra", "Bronto", "Steno", "Tri", "Ankylo"],
        ["lo", "cera", "rapto", "", "pelto", "dro"],
        ["saurus", "tops", "raptor", "don", "mimus"],
    )
]


def trained(folder: Path, *options: object) -> Training:
    result = charrnn_command(
        "train", *options, "--hidden", 48, "--steps", 150, "--json", cwd=folder
    )
    assert result.code == 0, result.err
    return Training(folder, folder / result.events[-1]["run"], result)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A model of names, one a line."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "names.txt").write_text("\n\n".join(NAMES) + "\n \n")
    return trained(folder, "names.txt", "--lines")


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A model of documents of three lines each."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "notes").mkdir()
    for i in range(60):
        note = f"Dear {NAMES[i]},\nthe {NAMES[-i]} slept.\nYours\n"
        (folder / "notes" / f"{i}.txt").write_text(note)
    return trained(folder, "notes", "--documents")


@pytest.mark.slow
class TestLines:
    def test_whole_items(self, names: Training) -> None:
        """Whole lines are held out, empty ones left out, and the share of new lines is told."""
        start, *_, done = names.result.events
        chars = sum(len(name) + 1 for name in NAMES)
        assert start["train_chars"] + start["val_chars"] == chars
        assert start["val_chars"] == pytest.approx(chars / 10, abs=20)
        assert 0 <= done["new_items"] <= 1
        assert "are new" in names.result.err

    def test_one_a_line(self, names: Training, call: Call) -> None:
        """Each text is one item, and so one line."""
        result = call("generate", "-N", 20, "--random-seed", 1, "-m", names.model)
        assert (result.code, result.err) == (0, "")
        written = result.out.splitlines()
        assert len(written) == 20
        assert all(1 <= len(line) < 40 for line in written)
        endings = ("saurus", "tops", "raptor", "don", "mimus")
        assert sum(line.endswith(endings) for line in written) > 10

    def test_json(self, names: Training, call: Call) -> None:
        """The reason is that the item has ended; a seed is the beginning of one."""
        result = call("generate", "Mega", "-N", 3, "--json", "--novelty", "-m", names.model)
        for text in result.events:
            assert text["why"] == "item"
            assert "\n" not in text["text"]
            assert text["novelty"] in (0, 1)

    def test_length(self, names: Training, call: Call) -> None:
        """-n ends it sooner; of half an item it is not told whether it is new."""
        options = ("-n", 2, "--json", "--novelty", "-m", names.model)
        (text,) = call("generate", *options).events
        assert (len(text["text"]), text["why"], text["novelty"]) == (2, "length", None)

    def test_novelty(self, names: Training, call: Call) -> None:
        """--novelty counts the lines that the training text does not hold."""
        result = call("generate", "-N", 10, "--novelty", "--random-seed", 2, "-m", names.model)
        new = sum(name not in NAMES for name in result.out.splitlines())
        told = int(result.err.split()[1])
        # Names that were held out are new to the model.
        assert new <= told <= 10
        assert "10 are not in the training text" in result.err.replace("of ", "")

    def test_novelty_unknown(self, names: Training, call: Call) -> None:
        """Of no line that has ended it is not told that 0 of 0 are new; a template's lines end."""
        result = call("generate", "-n", 2, "--novelty", "-m", names.model)
        assert result.err == "\nnovelty: -, no line was finished\n"
        template = f"{NAMES[0]}\n{NAMES[1]}\nZzz{{chars:3}}"
        options = ("--template", template, "--novelty", "-q", "--json", "-m", names.model)
        assert call("generate", *options).events[0]["novelty"] == pytest.approx(1 / 3)
        result = call("generate", "--template", "Zzz{chars:3}", "--novelty", "-m", names.model)
        assert "1 of 1 are not" in result.err

    def test_lines(self, names: Training, call: Call) -> None:
        """If more lines are asked of a text than it can have, a warning says what gives them."""
        result = call("generate", "--lines", 5, "-m", names.model)
        assert (result.code, result.out.count("\n")) == (0, 1)
        assert "-N 5 writes 5 lines" in result.err
        assert call("generate", "--lines", 1, "-m", names.model).err == ""

    def test_score(self, names: Training, call: Call) -> None:
        """eval reads items as train did, so that empty lines and space change nothing."""
        Path("plain.txt").write_text("Megadon\nTritops\n")
        Path("spaced.txt").write_text("\n  Megadon\n\n\nTritops  ")
        plain, spaced = (
            call("eval", f"{name}.txt", "--json", "-m", names.model).events
            for name in ("plain", "spaced")
        )
        assert plain == spaced

    def test_resume(self, names: Training, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        """--resume finds the same items again without being told what they are."""
        monkeypatch.chdir(names.folder)
        result = call("train", "--resume", "-o", names.run, "--steps", 152, "--json")
        assert result.code == 0, result.err
        assert result.events[-1]["steps"] == 152

    def test_fine_tuned(self, names: Training, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        """--from takes a model of lines to other lines, and scores both held-out parts."""
        text = Path("more.txt").absolute()
        text.write_text("\n".join(f"{name}ia" for name in NAMES))
        monkeypatch.chdir(names.folder)  # where the old text is
        options = (
            "--lines",
            "--from",
            names.run,
            "--steps",
            10,
            "--json",
            "-o",
            text.parent / "run",
        )
        result = call("train", text, *options)
        assert result.code == 0, result.err
        before, after = [e for e in result.events if e["event"] == "transfer"]
        done = next(e for e in names.result.events if e["event"] == "done")
        assert before["old_nats"] == pytest.approx(done["val_nats"], rel=0.05)
        assert after["new_nats"] < before["new_nats"]

    def test_records(self, call: Call) -> None:
        """A field of records gives items as lines do."""
        Path("names.jsonl").write_text("".join(f"{json.dumps({'n': n})}\n" for n in NAMES))
        options = ("--lines", "--field", "n", "--hidden", 8, "--steps", 2, "--json")
        result = call("train", "names.jsonl", *options)
        assert result.code == 0, result.err
        start = result.events[0]
        assert start["train_chars"] + start["val_chars"] == sum(len(n) + 1 for n in NAMES)


@pytest.mark.slow
class TestDocuments:
    def test_ends(self, notes: Training, call: Call) -> None:
        """A text ends where a document would, and what marks that is never shown."""
        result = call("generate", "-N", 8, "--json", "--random-seed", 1, "-m", notes.model)
        assert result.code == 0
        ended = [text for text in result.events if text["why"] == "item"]
        assert len(ended) >= 6
        assert all(text["text"].startswith("Dear ") for text in ended)
        assert not any("\x03" in text["text"] for text in result.events)

    def test_agrees_with_training(self, notes: Training, call: Call) -> None:
        """eval scores each document for itself, as the validation does."""
        folder = notes.folder / "notes"
        (one,) = call("eval", folder / "1.txt", "--json", "-m", notes.model).events
        (two,) = call("eval", folder / "2.txt", "--json", "-m", notes.model).events
        (both,) = call(
            "eval", folder / "1.txt", folder / "2.txt", "--json", "-m", notes.model
        ).events
        assert both["chars"] == one["chars"] + two["chars"]
        total = one["bpc"] * one["chars"] + two["bpc"] * two["chars"]
        assert both["bpc"] * both["chars"] == pytest.approx(total)

    def test_words(self, notes: Training, call: Call) -> None:
        """A word model of documents writes and ends them too."""
        options = ("--level", "word", "--hidden", 32, "--steps", 120, "-o", "words")
        assert call("train", notes.folder / "notes", "--documents", *options).code == 0
        texts = call("generate", "-N", 5, "--json", "--random-seed", 1, "-m", "words").events
        assert {text["why"] for text in texts} == {"item"}

    def test_a_few(self, call: Call) -> None:
        """Of documents too long for the share, the shortest is held out; of one alone, nothing."""
        Path("a.txt").write_text("The fox slept. " * 40)
        Path("b.txt").write_text("The crow sang. " * 30)
        options = ("--documents", "--hidden", 8, "--steps", 2, "--json")
        assert call("train", "a.txt", "b.txt", *options).events[0]["val_chars"] == 451
        result = call("train", "a.txt", *options)
        assert result.events[0]["val_chars"] == 0
        assert "hint: the text is one document" in result.err

    def test_split(self, call: Call) -> None:
        """One file has several documents if a separator says so, also when they are resumed."""
        fortunes = "".join(f"Dear {name},\nhello.\n%\n" for name in NAMES)
        Path("a.txt").write_text(fortunes)
        options = ("--split-on", "^%$", "--hidden", 8, "--steps", 2, "--json", "-o", "run")
        result = call("train", "a.txt", *options)
        assert result.code == 0, result.err
        start = result.events[0]
        size = len(fortunes.replace("%\n", "\x03"))
        assert start["train_chars"] + start["val_chars"] == size
        assert start["val_chars"] > 0
        assert "--split-on '^%$'" in start["command"]
        assert call("train", "--resume", "-o", "run", "--steps", 3).code == 0
        whole, parted = (
            call("eval", "a.txt", "--json", "-m", "run", *split).events[0]
            for split in ((), ("--split-on", "^%$"))
        )
        assert (whole["chars"], parted["chars"]) == (len(fortunes) + 1, size)


def test_one_shape(call: Call) -> None:
    """Lines and documents exclude each other."""
    Path("a.txt").write_text("The fox slept. " * 40)
    for option in (["--documents"], ["--split-on", "^$"]):
        result = call("train", "a.txt", "--lines", *option)
        assert (result.code, result.out) == (2, "")
        assert option[0] in result.error


def test_hostile_name(call: Call, tmp_path: Path) -> None:
    """A text whose name is no UTF-8 is trained on, resumed and read back as any other."""
    name = b"caf\xe9 \n.txt"
    path = tmp_path / os.fsdecode(name)
    try:
        path.write_text("The fox slept. " * 40)
    except OSError:
        pytest.skip("names are UTF-8 here")
    result = call("train", path, "--hidden", 8, "--steps", 2)
    assert result.code == 0, result.err
    resumed = call("train", "--resume", "--steps", 4)
    assert resumed.code == 0, resumed.err
    assert call("info").code == 0
