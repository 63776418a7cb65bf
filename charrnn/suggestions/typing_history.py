"""What was typed in earlier sessions, for those who ask for it: one SQLite file of words.

Words are kept in the order in which they were typed, the last KEPT of them, but for those that look
like secrets (charrnn.suggestions.secrets).
"""

import os
import re
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from charrnn.errors import RunError
from charrnn.suggestions.secrets import public_words

KEPT = 20_000  # words
BUSY_SECONDS = 5.0  # that another session may take
FILE = "learned.sqlite"
PRIVATE = 0o600  # the mode of a file that its owner alone can read
OTHERS = 0o077  # what such a mode does not hold
SCHEMA = """
CREATE TABLE IF NOT EXISTS typed (place INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS typed_word ON typed (word);
CREATE TABLE IF NOT EXISTS paused (since INTEGER);
"""
NO_WORD = re.compile(r"[\0-\x20\x7f-\xa0]")  # white space and control characters


def _checked(word: object) -> str:
    """Return what the file holds as a word.

    Raises:
        sqlite3.DatabaseError: it cannot be one.
    """
    if isinstance(word, str) and not NO_WORD.search(word):
        return word
    raise sqlite3.DatabaseError("it is damaged")


class Learned:
    """The file of learned words.

    Args:
        path: of it, made if there is none.

    Raises:
        RunError: it cannot be made or read, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._reported():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise OSError("it is not a file")
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE))
            with self._connection() as connection:
                connection.executescript(SCHEMA)
            if stat.S_IMODE(path.stat().st_mode) & OTHERS:  # as a copy or a wide umask left it
                path.chmod(PRIVATE)

    @classmethod
    def of_user(cls) -> Self:
        """The user's: $CHARRNN_LEARNED, else in the folder for data of programs.

        Raises:
            RunError: it cannot be made or read.
        """
        from platformdirs import user_data_path

        named = os.environ.get("CHARRNN_LEARNED")
        return cls(Path(named) if named else user_data_path("charrnn", appauthor=False) / FILE)

    @property
    def paused(self) -> bool:
        """Whether nothing is learned for now."""
        with self._connection() as connection:
            return connection.execute("SELECT 1 FROM paused").fetchone() is not None

    @paused.setter
    def paused(self, paused: bool) -> None:
        with self._connection() as connection:
            connection.execute("DELETE FROM paused")
            if paused:
                connection.execute("INSERT INTO paused VALUES (1)")

    def learn(self, text: str) -> int:
        """Add the words of a text, unless learning is paused; how many."""
        words = [word[0] for word in public_words(text)]
        if not words or self.paused:
            return 0
        with self._connection() as connection:
            connection.executemany("INSERT INTO typed (word) VALUES (?)", [(w,) for w in words])
            connection.execute(
                "DELETE FROM typed WHERE place <= (SELECT max(place) FROM typed) - ?", (KEPT,)
            )
        return len(words)

    def words(self) -> list[str]:
        """All that was learned, the oldest first."""
        with self._connection() as connection:
            rows = connection.execute("SELECT word FROM typed ORDER BY place").fetchall()
            return [_checked(word) for (word,) in rows]

    def counts(self) -> list[tuple[str, int]]:
        """Each word and how often it was typed, the commonest first."""
        query = "SELECT word, count(*) FROM typed GROUP BY word ORDER BY 2 DESC, 1"
        with self._connection() as connection:
            return [(_checked(word), times) for word, times in connection.execute(query).fetchall()]

    def forget(self, word: str) -> int:
        """Delete a word, in any case of its letters; how often it was there."""
        found = [known for known, _ in self.counts() if known.lower() == word.lower()]
        marks = ", ".join("?" * len(found))
        return self._erase(f"DELETE FROM typed WHERE word IN ({marks})", found)

    def clear(self) -> None:
        """Delete all words."""
        self._erase("DELETE FROM typed")

    def _erase(self, statement: str, values: Sequence[str] = ()) -> int:
        """Delete rows for good; how many.

        The file is written anew even if there are none: where SQLite split a page, it may have left
        copies of words in the unused rest of another, which secure_delete does not overwrite.
        """
        with self._connection() as connection:
            count = connection.execute(statement, values).rowcount
            connection.commit()
            connection.execute("VACUUM")
        return count

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """The file, changed as a whole or not at all."""
        with (
            self._reported(),
            closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection,
            connection,
        ):
            connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten,
            connection.execute("PRAGMA temp_store = MEMORY")  # and in no other file meanwhile
            yield connection

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, UnicodeError) as error:
            what = "it is damaged" if isinstance(error, UnicodeError) else str(error)
            raise RunError(
                f"cannot use {self.path}, the file of learned words: {what}",
                "delete it, or name another one by $CHARRNN_LEARNED",
            ) from None
