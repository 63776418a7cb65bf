"""Explains a suggestion: what each source says, and lines of the training text that contain it."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from charrnn.checked import parsed
from charrnn.errors import CharrnnError
from charrnn.files import read_metadata
from charrnn.runs import RESUME_KEY, RESUME_NAME
from charrnn.suggestions.completer import Completion, Reasons
from charrnn.suggestions.source import TINY
from charrnn.text.source import Source
from charrnn.text.split import Fingerprint
from charrnn.text.words import LETTER, MARKS, UNSPACED, WORD, partial_word

MAX_LINES = 3  # maximum number of lines shown
WIDTH = 70  # maximum length of a line shown in characters
CONTEXT_WORDS = 3  # maximum number of preceding words searched with the suggested one
SEARCHED_CHARS = 1 << 25  # the first characters of the training text that are searched (not tuned)
KNOWN = 2 * TINY  # minimum probability of words that the trigrams know
WAIT_SECONDS = 1.0  # maximum time that an explanation waits for the training text to be read
# Matches a gap between words, with at most one line break. It is possessive: with backtracking,
# long runs of white space would take hours.
WORD_GAP = rf"[^\w\n{UNSPACED}]*+(?:\n[^\w\n{UNSPACED}]*+)?"


@dataclass
class Evidence:
    """The text that a model was trained on, if it is still there and unchanged.

    Attributes:
        source: Where the text comes from; None if unknown.
        fingerprint: The fingerprint of the text in training.
        parent: Name or path of the model that was fine-tuned on it; "" if none was.
    """

    source: Source | None
    fingerprint: str = ""
    parent: str = ""

    @classmethod
    def find(cls, model: Path) -> Self:
        """Return the training text of a model file, if its run folder names it."""
        values = _resume_values(model.with_name(RESUME_NAME))
        try:
            origin = values["origin"]
            parent = str(origin["model"]) if origin else ""
            return cls(Source.from_json(values["source"]), values["fingerprint"], parent)
        except (KeyError, TypeError, ValueError, CharrnnError):
            return cls(None)

    def __post_init__(self) -> None:
        self._text = ""
        self._cut = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def ready(self, seconds: float | None = None) -> bool:
        """Return whether the text has been read.

        A thread reads it once; the first call starts it.

        Args:
            seconds: Maximum time to wait for the thread; None waits until it ends.
        """
        if self._thread.ident is None:  # not started
            self._thread.start()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def text(self) -> str:
        """The first SEARCHED_CHARS characters; empty if the text is gone or has changed."""
        self.ready()
        return self._text

    @property
    def limits(self) -> str:
        """Ending for a sentence: which part of the text is searched; "" if all."""
        return f" in its first {SEARCHED_CHARS / 1e6:.0f} million characters" if self._cut else ""

    def _read(self) -> None:
        if not self.source or not self.source.lasts:
            return
        fingerprint = Fingerprint()
        kept: list[str] = []
        room = SEARCHED_CHARS
        try:
            for block in fingerprint.follow(self.source.stream()):
                kept.append(block[:room])
                room -= len(kept[-1])
        except (CharrnnError, MemoryError):
            return
        if str(fingerprint) == self.fingerprint:
            self._cut = fingerprint.characters > SEARCHED_CHARS
            self._text = "".join(kept)

    def lines(self, before: str, word: str) -> tuple[list[str], str]:
        """Return lines that contain a word after the longest context found.

        Args:
            before: The text before the word.
            word: The word.

        Returns:
            At most MAX_LINES lines, shortened; and the words that they share, with their frequency.
        """
        words = [match[0] for match in WORD.finditer(before[-200:])]
        if before[-1:] == "\n":
            words = []
        for first in range(max(0, len(words) - CONTEXT_WORDS), len(words) + 1):
            shared = [*words[first:], word]
            begin, *rest = map(re.escape, shared)
            # The lookbehind comes after the first word, so that the search starts with a literal.
            pattern = WORD_GAP.join([f"{begin}(?<!{LETTER}{begin})", *rest])
            lines: dict[str, None] = {}
            count = 0
            for match in re.finditer(rf"{pattern}(?!{LETTER}|[{MARKS}])", self.text):
                count += 1
                if len(lines) < MAX_LINES:
                    lines[self._around(*match.span())] = None
            if count:
                return [*lines], f"{' '.join(shared)!r} {_times(count)}"
        return [], ""

    def _around(self, start: int, end: int) -> str:
        """Return the line around a match, shortened to WIDTH characters."""
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        first = max(first, end - WIDTH // 2)
        line = self.text[first : last if last >= 0 else None][:WIDTH]
        return " ".join(line.split())


def _resume_values(path: Path) -> Mapping[str, Any]:
    """Return the values in a run's resume file; empty if it is missing or damaged."""
    try:
        return parsed(read_metadata(path, RESUME_KEY) or "{}", finite=False)
    except (OSError, ValueError):
        return {}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def why(
    reasons: Callable[[str, str], Reasons | None],
    evidence: Evidence,
    typed: str,
    completion: Completion,
) -> str:
    """Return an explanation of a suggestion, a few lines of text.

    Args:
        reasons: Returns what each source says, as Completer.reasons does.
        evidence: The training text.
        typed: All the text before the cursor.
        completion: The suggestion.
    """
    rest = completion.text
    if rest[0].isspace():
        typed, rest = typed + rest[0], rest[1:]
    partial = partial_word(typed)
    word = partial + rest
    output = [f"{word}: {completion.p:.1%}"]
    found = reasons(typed, rest)
    if found:
        typed_before = f", {found.earlier:,} in earlier sessions" if found.earlier else ""
        output.append(
            f"  the network {found.network:.1%}, the trigrams {found.trigrams:.1%}; "
            f"{_times(found.trained)} in the training text, {found.recent:,} in this one"
            f"{typed_before}"
        )
        if evidence.parent and not found.trained and found.trigrams > KNOWN:
            output.append(f"  the word comes from {evidence.parent}, which was fine-tuned")
    if not evidence.ready(WAIT_SECONDS):
        output.append("  (the training text is being read; ask again in a moment)")
        return "\n".join(output)
    lines, shared = evidence.lines(typed[: len(typed) - len(partial)], word)
    if not evidence.text:
        output.append("  (the training text is gone or has changed)")
    elif lines:
        output.append(f"  the training text has {shared}{evidence.limits}:")
        output += [f"  | {line}" for line in lines]
    else:
        output.append(f"  the word is not in the training text{evidence.limits}")
    return "\n".join(output)
