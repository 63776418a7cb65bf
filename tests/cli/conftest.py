"""One tiny model of each level, trained once and used by every test of the command line."""

import itertools
import json
import random
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import pytest

from charrnn.cli import main
from charrnn.tokenizer import TOKENIZERS
from tests.cli.shell import Result, Training, charrnn_command, one_thread

Call = Callable[..., Result]


def sentences(seed: int = 0) -> str:
    every = [
        f"{who} {what} {where}.\n"
        for who, what, where in itertools.product(
            ["The fox", "A heron", "The old miller", "Her daughter", "My neighbour"],
            ["slept", "sang a song", "waited for rain", "counted the stones", "laughed"],
            ["by the river", "in the barn", "under a bridge", "on Sunday", "all winter"],
        )
    ]
    return "".join(random.Random(seed).choices(every, k=600))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of some 20,000 characters."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text(sentences(), encoding="utf-8")
    return path


def train(corpus: Path, folder: Path, *options: object) -> Training:
    (folder / corpus.name).write_bytes(corpus.read_bytes())
    result = charrnn_command(
        "train", corpus.name, "--hidden", 32, "--steps", 60, "--val", 0.1, *options, cwd=folder
    )
    assert result.code == 0, result.err
    return Training(folder, folder / "runs" / corpus.stem, result)


@pytest.fixture(scope="session")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A character model, trained with --json."""
    return train(corpus, tmp_path_factory.mktemp("trained"), "--level", "char", "--json")


@pytest.fixture(scope="session")
def word_trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A word model, trained without --json."""
    return train(corpus, tmp_path_factory.mktemp("word-trained"), "--level", "word")


@pytest.fixture(scope="session", params=TOKENIZERS)
def any_trained(
    request: pytest.FixtureRequest, corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Training:
    """A model of each level."""
    level = request.param
    known: dict[str, str] = {"char": "trained", "word": "word_trained"}
    if level in known:
        return cast(Training, request.getfixturevalue(known[level]))
    return train(corpus, tmp_path_factory.mktemp(f"{level}-trained"), "--level", level)


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Calls the command line in this process, which saves a start; the folder is `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_MODEL", raising=False)

    def call(*arguments: object) -> Result:
        with one_thread() if arguments[0] in ("train", "compare") else nullcontext():
            code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


NATIONS = {"son": "Swedish", "ski": "Polish", "ini": "Italian"}  # by the ends of names
BEGINNINGS = ["".join(p) for p in itertools.product("BDKLMRST", "aeiou", "bdlnrst")]


def names_and_nations(count: int = 240) -> list[tuple[str, str]]:
    """Names and their nations, as many of each."""
    ends = itertools.cycle(NATIONS.items())
    pairs = zip(random.Random(0).sample(BEGINNINGS, count), ends, strict=False)
    return [(beginning + end, nation) for beginning, (end, nation) in pairs]


def _train_records(folder: Path, *options: object) -> Training:
    run = folder / "run"
    result = charrnn_command(
        "train", *options, "--from", "none", "--hidden", 32, "-o", run, cwd=folder
    )
    assert result.code == 0, result.err
    return Training(folder, run, result)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A model of names and nations, with the names in names.csv."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = "".join(f"{nation},{name}\n" for name, nation in names_and_nations())
    (folder / "names.csv").write_text("nation,name\n" + rows)
    options = ("names.csv", "--source", "name", "--target", "nation")
    return _train_records(folder, *options, "--steps", 100)


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A model of names and the same names in capitals, with both in pairs.jsonl."""
    folder = tmp_path_factory.mktemp("paired")
    rows = ({"small": name, "capitals": name.upper()} for name, _ in names_and_nations())
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    options = ("pairs.jsonl", "--source", "small", "--target", "capitals")
    return _train_records(folder, *options, "--steps", 100)
