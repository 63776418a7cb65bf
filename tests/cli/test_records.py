"""Models of records, which turn a source into a target."""

import itertools
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.shell import Training, charrnn_command

SMALL = ("--hidden", 32, "--steps", 150, "--level", "char", "--val", 0.1)
ANIMALS = ["fox", "heron", "miller", "otter", "goose", "badger", "lark"]
MOODS = {"joy": ["laughed", "sang", "danced"], "grief": ["wept", "sighed", "mourned"]}
SENTENCES = [
    (f"The {who} {what} {when}.", mood)
    for mood, verbs in MOODS.items()
    for who, what, when in itertools.product(
        ANIMALS, verbs, ["today", "at dawn", "in May", "twice"]
    )
]


def train(folder: Path, *options: object) -> Training:
    result = charrnn_command("train", *SMALL, *options, "--json", cwd=folder)
    assert result.code == 0, result.err
    return Training(folder, folder / str(result.events[-1]["run"]), result)


@pytest.fixture(scope="session")
def moods(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A model that tells the mood of a sentence."""
    folder = tmp_path_factory.mktemp("moods")
    rows = "".join(f"{mood},{text}\n" for text, mood in SENTENCES)
    (folder / "moods.csv").write_text(f"mood,text\n{rows}")
    return train(folder, "moods.csv", "--source", "text", "--target", "mood")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A model that writes a sentence to a mood."""
    folder = tmp_path_factory.mktemp("written")
    lines = [json.dumps({"mood": mood, "text": text}) + "\n" for text, mood in SENTENCES]
    (folder / "moods.jsonl").write_text("".join(lines))
    options = "--source", "mood", "--target", "text", "--val", 0, "--steps", 500
    return train(folder, "moods.jsonl", *options)


class TestTrain:
    def test_told(self, moods: Training) -> None:
        """The events count records, and the share of targets that are predicted exactly."""
        start, *_, done = moods.result.events
        assert start["train_records"] + start["val_records"] == len(SENTENCES)
        assert start["val_records"] == pytest.approx(len(SENTENCES) / 10, abs=1)
        assert done["exact"] > 0.9
        assert done["keys_saved"] is None

    def test_samples(self, moods: Training) -> None:
        """A sample shows what is predicted for held-out sources."""
        last = [e["text"] for e in moods.result.events if e["event"] == "sample"][-1]
        assert all(line.partition(" \u2192 ")[2] in MOODS for line in last.splitlines())

    def test_info(self, moods: Training, call: Call) -> None:
        """info names the fields and the targets."""
        (facts,) = call("info", moods.run, "--json").events
        assert facts["shape"] == "records"
        assert (facts["source_field"], facts["target_field"]) == ("text", "mood")
        assert sorted(facts["targets"]) == sorted(MOODS)

    def test_many_targets(self, written: Training, call: Call) -> None:
        """Targets that do not recur are not listed."""
        assert call("info", written.run, "--json").events[0]["targets"] == []

    def test_folders(self, tmp_path: Path, call: Call) -> None:
        """--label-folders learns the names of the folders."""
        for i, (text, mood) in enumerate(SENTENCES):
            (tmp_path / "all" / mood).mkdir(parents=True, exist_ok=True)
            (tmp_path / "all" / mood / f"{i}.txt").write_text(text)
        run = train(tmp_path, "all", "--label-folders").run
        (facts,) = call("info", run, "--json").events
        assert sorted(facts["targets"]) == sorted(MOODS)

    def test_command_line(self, moods: Training) -> None:
        """The command line that makes the same choices names the fields."""
        command = moods.result.events[0]["command"]
        assert "--source text --target mood" in command

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--source", "text"], "--source and --target need each other"),
            (["--target", "mood"], "--source and --target need each other"),
            (["--source", "text", "--target", "mood", "--lines"], "cannot be combined"),
            (["--source", "text", "--target", "mood", "--field", "text"], "cannot be combined"),
            (["--source", "text", "--target", "mood", "--label-folders"], "cannot be combined"),
        ],
    )
    def test_usage(self, moods: Training, call: Call, options: list[str], said: str) -> None:
        """Options that make no sense together are refused."""
        result = call("train", moods.folder / "moods.csv", *options)
        assert result.code == 2
        assert said in result.error

    def test_no_such_field(self, moods: Training, call: Call) -> None:
        """A field that is missing is named, with those that there are."""
        result = call("train", moods.folder / "moods.csv", "--source", "text", "--target", "m")
        assert result.code == 1
        assert "no column 'm', only 'mood', 'text'" in result.error


class TestGenerate:
    def test_source(self, written: Training, call: Call) -> None:
        """A target is written to the source alone, and ends where targets end."""
        right = 0
        for mood, verbs in MOODS.items():
            options = "--source", mood, "-N", 10, "-t", 0.5, "--random-seed", 1
            result = call("generate", "-m", written.run, *options)
            assert (result.code, result.err) == (0, "")
            lines = result.out.splitlines()
            assert len(lines) == 10
            right += sum(any(verb in line for verb in verbs) for line in lines)
        assert right >= 16

    def test_seed(self, written: Training, call: Call) -> None:
        """With a seed the target begins with it."""
        options = "--source", "joy", "--random-seed", 1
        result = call("generate", "-m", written.run, "The heron", *options)
        assert result.out.startswith("The heron ")
        assert result.out.count("\n") == 1

    def test_file(self, written: Training, call: Call, tmp_path: Path) -> None:
        """@FILE has a source on each line, and - is standard input."""
        (tmp_path / "sources.txt").write_text("joy\n\ngrief\n")
        options = "-m", written.run, "--json", "--random-seed", 1
        found = call("generate", *options, "--source", f"@{tmp_path / 'sources.txt'}").events
        assert [each["source"] for each in found] == ["joy", "grief"]
        assert all(each["why"] == "item" for each in found)
        piped = charrnn_command(
            "generate", *options, "--source", "-", cwd=tmp_path, stdin="joy\ngrief\n"
        )
        assert piped.events == found

    def test_match(self, written: Training, call: Call) -> None:
        """A target that has to match a pattern is written to the source all the same."""
        for mood, verbs in MOODS.items():
            options = "--source", mood, "--match", r"The lark \w+ .*", "--random-seed", 1
            found = call(
                "generate", "-m", written.run, *options, "-N", 8, "-t", 0.5, "--json"
            ).events
            assert all(each["source"] == mood for each in found)
            assert sum(any(verb in each["text"] for verb in verbs) for each in found) >= 6

    def test_needed(self, written: Training, trained: Training, call: Call) -> None:
        """A model of records needs a source, and no other model takes one."""
        result = call("generate", "-m", written.run, "The")
        assert (result.code, result.out) == (2, "")
        assert "--source" in result.error
        result = call("generate", "-m", trained.run, "The", "--source", "joy")
        assert (result.code, result.out) == (2, "")
        assert "not trained on records" in result.error

    @pytest.mark.parametrize("source", ["", "-", "@empty.txt"])
    def test_empty(self, written: Training, source: str) -> None:
        """No source at all is an error."""
        (written.folder / "empty.txt").write_text("\n")
        result = charrnn_command(
            "generate", "-m", written.run, "--source", source, cwd=written.folder
        )
        assert result.code == 1
        assert "no source" in result.error


@pytest.mark.parametrize("command", [["complete"], ["lsp"], ["score", "-"]])
def test_refused(moods: Training, call: Call, command: list[str]) -> None:
    """What is of use for running text alone says what to do instead."""
    result = call(*command, "-m", moods.run)
    assert (result.code, result.out) == (2, "")
    assert "charrnn predict" in result.error


def test_long_sources(tmp_path: Path, call: Call) -> None:
    """Sources longer than a window are read whole; a sample shows their beginnings on a line."""
    rows = "".join(f"{'word ' * 200}{i},{'even' if i % 2 == 0 else 'odd'}\n" for i in range(20))
    (tmp_path / "long.csv").write_text(f"text,label\n{rows}")
    run = train(tmp_path, "long.csv", "--source", "text", "--target", "label", "--steps", 5)
    samples = [e["text"] for e in run.result.events if e["event"] == "sample"]
    assert all(len(line) < 150 for sample in samples for line in sample.splitlines())
    assert call("eval", tmp_path / "long.csv", "-m", run.run, "--json").events[0]["records"] == 20
