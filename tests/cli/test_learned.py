"""charrnn learned: what was learned from typing."""

from pathlib import Path

import pytest

from charrnn.suggestions.typing_history import Learned
from tests.cli.conftest import Call


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Learned:
    monkeypatch.setenv("CHARRNN_LEARNED", str(tmp_path / "learned.sqlite"))
    learned = Learned.of_user()
    learned.learn("the cat and the dog")
    return learned


def test_list(store: Learned, call: Call) -> None:
    """Each word is listed with how often it was typed, the commonest first."""
    result = call("learned")
    assert (result.code, result.out) == (0, "the\t2\nand\t1\ncat\t1\ndog\t1\n")
    assert call("learned", "--json").events[0] == {"word": "the", "times": 2}


def test_forget(store: Learned, call: Call) -> None:
    """--forget takes words out, --clear all of them."""
    result = call("learned", "--forget", "cat", "--forget", "dog")
    assert (result.code, result.out) == (0, "")
    assert store.words() == ["the", "and", "the"]
    assert call("learned", "--clear").code == 0
    assert call("learned").out == ""
    assert "no words are learned yet" in call("learned").err
    assert call("learned", "--forget", "cow").err == "cow: not learned\n"


def test_off(store: Learned, call: Call) -> None:
    """--off stops learning until --on."""
    assert call("learned", "--off").code == 0
    assert store.paused
    assert "--on" in call("learned").err
    assert call("learned", "--on").code == 0
    assert call("learned").err == ""
    assert not store.paused


def test_mistakes(store: Learned, call: Call) -> None:
    """Two things at once are refused, and so is a file that is no database."""
    assert call("learned", "--on", "--off").code == 2
    store.path.write_bytes(b"no database" * 100)
    result = call("learned")
    assert (result.code, result.out) == (1, "")
    assert str(store.path) in result.error
