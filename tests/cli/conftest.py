"""One tiny model of each level, trained once and used by every test of the command line."""

import itertools
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
        with one_thread() if arguments[0] == "train" else nullcontext():
            code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
