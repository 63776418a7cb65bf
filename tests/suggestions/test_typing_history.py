"""The words typed in earlier sessions: learned, forgotten, and kept private."""

import os
import random
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from charrnn.errors import RunError
from charrnn.suggestions.typing_history import MAX_WORDS, Learned


@pytest.fixture
def learned(tmp_path: Path) -> Learned:
    """Return an empty history in a new folder."""
    return Learned(tmp_path / "folder" / "learned.sqlite")


def test_order(learned: Learned) -> None:
    """Words are kept in the order in which they were typed, for the next session too."""
    assert learned.learn("Don't wake\nthe well-known cat.") == 5
    assert learned.learn("The cat!") == 2
    words = ["Don't", "wake", "the", "well-known", "cat", "The", "cat"]
    assert Learned(learned.path).words() == words
    assert learned.counts()[0] == ("cat", 2)


def test_forget(learned: Learned) -> None:
    """A forgotten word is gone in any letter case, and from the file's bytes too."""
    learned.learn("Zanzibar is not zanzibar but a place")
    assert learned.forget("ZANZIBAR") == 2
    assert learned.forget("nothing") == 0
    assert learned.words() == ["is", "not", "but", "a", "place"]
    assert b"anzibar" not in learned.path.read_bytes()


def test_clear(learned: Learned) -> None:
    """Clearing removes every word."""
    learned.learn("some words")
    learned.clear()
    assert learned.words() == []
    assert b"some" not in learned.path.read_bytes()


def test_forget_after_page_splits(learned: Learned) -> None:
    """No forgotten word is left anywhere in the file, even after page splits."""
    rng = random.Random(0)
    syllables = [c + v for c in "bdfgklmnprst" for v in "aeiou"]
    words = {"".join(rng.choices(syllables, k=4)) for _ in range(600)}
    for _ in range(6):
        learned.learn(" ".join(rng.sample(sorted(words), len(words))))
    gone = sorted(words)[::6]
    for word in gone:
        assert learned.forget(word) == 6
    data = learned.path.read_bytes()
    assert [word for word in gone if word.encode() in data] == []
    assert {*learned.words()} == words - {*gone}
    learned.clear()
    data = learned.path.read_bytes()
    assert [word for word in words if word.encode() in data] == []


def test_forget_again(learned: Learned) -> None:
    """Traces that an earlier version left are gone once the word is forgotten again."""
    learned.learn("Zanzibar")
    with closing(sqlite3.connect(learned.path)) as connection, connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM typed")
    assert b"Zanzibar" in learned.path.read_bytes()
    assert learned.forget("Zanzibar") == 0
    assert b"Zanzibar" not in learned.path.read_bytes()


def test_pause(learned: Learned) -> None:
    """While learning is paused no session adds words; the old ones stay."""
    learned.learn("before")
    learned.paused = True
    assert Learned(learned.path).paused
    assert learned.learn("meanwhile") == 0
    learned.paused = False
    learned.learn("after")
    assert learned.words() == ["before", "after"]


def test_the_last_words_are_kept(learned: Learned) -> None:
    """The file does not grow without end."""
    learned.learn("first " + "word " * MAX_WORDS)
    assert len(learned.words()) == MAX_WORDS
    assert learned.words()[0] == "word"


def test_no_secrets(learned: Learned) -> None:
    """Words that look like secrets are not kept."""
    learned.learn("The cat sat.\nmy password is correct horse\n")
    assert learned.words() == ["The", "cat", "sat", "my", "password"]
    assert b"horse" not in learned.path.read_bytes()


def test_owner_alone(learned: Learned) -> None:
    """Only the owner can read the file, even if others could before."""
    assert stat.S_IMODE(learned.path.stat().st_mode) == 0o600
    learned.path.chmod(0o644)
    Learned(learned.path)
    assert stat.S_IMODE(learned.path.stat().st_mode) == 0o600


def test_no_database(tmp_path: Path) -> None:
    """A file that is not a database is left alone, with an error that names it."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but a text that is long enough to be one " * 20)
    path.chmod(0o644)
    with pytest.raises(RunError, match=r"notes\.txt"):
        Learned(path)
    assert path.read_text().startswith("not a database")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A folder or a named pipe is refused at once and left as it is."""
    path = tmp_path / "words"
    make(path)
    mode = path.stat().st_mode
    with pytest.raises(RunError, match="not a file"):
        Learned(path)
    assert path.stat().st_mode == mode


def test_damaged(learned: Learned) -> None:
    """A damaged file is either usable or refused with a one-line error."""
    learned.learn(" ".join(Path(__file__).read_text().split()))
    good = learned.path.read_bytes()
    rng = random.Random(0)
    errors = []
    for _ in range(40):
        damaged = bytearray(good[: rng.choice([len(good), rng.randrange(len(good))])])
        for _ in range(rng.choice([1, 30])):
            damaged[rng.randrange(min(len(damaged), rng.choice([400, len(good)])))] = rng.randrange(
                256
            )
        learned.path.write_bytes(damaged)
        try:
            again = Learned(learned.path)
            again.words()
            again.forget("test")
            again.learn("more")
        except RunError as error:
            errors.append(str(error))
        for other in learned.path.parent.iterdir():
            if other != learned.path:
                other.unlink()
    assert 0 < len(errors) < 40
    assert not [error for error in errors if "\n" in error]


@pytest.mark.parametrize("word", [b"bytes", "two words", "\x1b[31m", "a\nb"])
def test_no_words(learned: Learned, word: object) -> None:
    """Values that cannot be words count as damage and are not shown."""
    with closing(sqlite3.connect(learned.path)) as connection, connection:
        connection.execute("INSERT INTO typed (word) VALUES (?)", [word])
    with pytest.raises(RunError, match="it is damaged"):
        learned.words()
    with pytest.raises(RunError, match="it is damaged"):
        learned.counts()


def test_busy(learned: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another session keeps locked is an error, not an endless wait."""
    monkeypatch.setattr("charrnn.suggestions.typing_history.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(learned.path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RunError, match="locked"):
        learned.learn("word")
    other.close()
