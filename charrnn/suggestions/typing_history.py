"""The words typed in earlier sessions, for users who opt in: one SQLite file.

The last MAX_WORDS words are kept in the order in which they were typed, except those that look like
secrets (charrnn.suggestions.secrets).
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

MAX_WORDS = 20_000  # maximum number of words kept (not tuned)
BUSY_SECONDS = 5.0  # maximum wait for another session that uses the file
FILE = "learned.sqlite"  # default name of the file
PRIVATE = 0o600  # file mode: readable and writable by the owner only
NOT_OWNER = 0o077  # permission bits of everybody but the owner
SCHEMA = """
CREATE TABLE IF NOT EXISTS typed (place INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS typed_word ON typed (word);
CREATE TABLE IF NOT EXISTS paused (since INTEGER);
"""
NOT_STORED = re.compile(r"[\0-\x20\x7f-\xa0]")  # matches white space and control characters


def _checked(word: object) -> str:
    """Return a word from the file.

    Raises:
        sqlite3.DatabaseError: It cannot be a word.
    """
    if isinstance(word, str) and not NOT_STORED.search(word):
        return word
    raise sqlite3.DatabaseError("it is damaged")


class Learned:
    """The file of words learned from earlier sessions.

    Args:
        path: Path of the file; created if it is missing, with its folder.

    Raises:
        RunError: The file cannot be created or used, or is damaged; from any method.
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
            if stat.S_IMODE(path.stat().st_mode) & NOT_OWNER:  # because of a copy or a wide umask
                path.chmod(PRIVATE)

    @classmethod
    def of_user(cls) -> Self:
        """Return the user's file: $CHARRNN_LEARNED, or FILE in the user's data folder.

        Raises:
            RunError: The file cannot be created or used, or is damaged.
        """
        from platformdirs import user_data_path

        named = os.environ.get("CHARRNN_LEARNED")
        return cls(Path(named) if named else user_data_path("charrnn", appauthor=False) / FILE)

    @property
    def paused(self) -> bool:
        """Whether learning is paused, in all sessions."""
        with self._connection() as connection:
            return connection.execute("SELECT 1 FROM paused").fetchone() is not None

    @paused.setter
    def paused(self, paused: bool) -> None:
        with self._connection() as connection:
            connection.execute("DELETE FROM paused")
            if paused:
                connection.execute("INSERT INTO paused VALUES (1)")

    def learn(self, text: str) -> int:
        """Add the words of a text, unless learning is paused; return how many."""
        words = [word[0] for word in public_words(text)]
        if not words or self.paused:
            return 0
        with self._connection() as connection:
            connection.executemany("INSERT INTO typed (word) VALUES (?)", [(w,) for w in words])
            connection.execute(
                "DELETE FROM typed WHERE place <= (SELECT max(place) FROM typed) - ?", (MAX_WORDS,)
            )
        return len(words)

    def words(self) -> list[str]:
        """Return all words, the oldest first."""
        with self._connection() as connection:
            rows = connection.execute("SELECT word FROM typed ORDER BY place").fetchall()
            return [_checked(word) for (word,) in rows]

    def counts(self) -> list[tuple[str, int]]:
        """Return each word and how often it was typed, the most frequent first."""
        query = "SELECT word, count(*) FROM typed GROUP BY word ORDER BY 2 DESC, 1"
        with self._connection() as connection:
            return [(_checked(word), times) for word, times in connection.execute(query).fetchall()]

    def forget(self, word: str) -> int:
        """Delete a word in any letter case; return the number of its occurrences."""
        found = [known for known, _ in self.counts() if known.lower() == word.lower()]
        placeholders = ", ".join("?" * len(found))
        return self._erase(f"DELETE FROM typed WHERE word IN ({placeholders})", found)

    def clear(self) -> None:
        """Delete all words."""
        self._erase("DELETE FROM typed")

    def _erase(self, statement: str, values: Sequence[str] = ()) -> int:
        """Delete rows without a trace; return how many.

        VACUUM rewrites the file even if no row matches: a page split may have left copies of words
        in unused space, which secure_delete does not overwrite.
        """
        with self._connection() as connection:
            count = connection.execute(statement, values).rowcount
            connection.commit()
            connection.execute("VACUUM")
        return count

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction."""
        with (
            self._reported(),
            closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection,
            connection,
        ):
            connection.execute("PRAGMA secure_delete = ON")  # overwrite what is deleted
            connection.execute("PRAGMA temp_store = MEMORY")  # leave no words in temporary files
            yield connection

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn errors of the file into a RunError that names it."""
        try:
            yield
        except (OSError, sqlite3.Error, UnicodeError) as error:
            what = "it is damaged" if isinstance(error, UnicodeError) else str(error)
            raise RunError(
                f"cannot use {self.path}, the file of learned words: {what}",
                "delete it, or name another one with $CHARRNN_LEARNED",
            ) from None
