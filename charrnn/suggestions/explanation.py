"""Why a word is suggested: what each source says, and the lines of the training text behind it."""

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
from charrnn.text.source import Source
from charrnn.text.split import Fingerprint
from charrnn.text.words import LETTER, MARKS, UNSPACED, WORD, partial_word

LINES = 3  # that are shown
WIDTH = 70  # characters of each
CONTEXT = 3  # words before the suggested one that a line may share
KEPT = 1 << 25  # characters of the training text that are searched, its first ones
WAIT_SECONDS = 1.0  # for the text to be read; later it is there
# Between two words, which a line break may part. (It takes all that it can at once: trying less
# would take hours where a text has long runs of white space.)
WORD_GAP = rf"[^\w\n{UNSPACED}]*+(?:\n[^\w\n{UNSPACED}]*+)?"


@dataclass
class Evidence:
    """The text that a model was trained on, if it is still where it was.

    Attributes:
        source: of the text; None if it is not known.
        fingerprint: of the text that was trained on; another text is no evidence.
    """

    source: Source | None
    fingerprint: str = ""

    @classmethod
    def find(cls, model: Path) -> Self:
        """From the run folder of a model file, if it is in one."""
        values = _resume_values(model.with_name(RESUME_NAME))
        try:
            return cls(Source.from_json(values["source"]), values["fingerprint"])
        except (KeyError, ValueError, CharrnnError):
            return cls(None)

    def __post_init__(self) -> None:
        self._text = ""
        self._cut = False
        self._reader = threading.Thread(target=self._read, daemon=True)

    def ready(self, seconds: float | None = None) -> bool:
        """Whether the text has been read, after waiting so long at most; None waits for the end.

        It is read in a thread, once.
        """
        if self._reader.ident is None:  # not started
            self._reader.start()
        self._reader.join(seconds)
        return not self._reader.is_alive()

    @property
    def text(self) -> str:
        """The first KEPT characters; empty if it is not at hand, or has changed since."""
        self.ready()
        return self._text

    @property
    def limits(self) -> str:
        """What of the text is searched, in words that follow; empty if it is all of it."""
        return f" in its first {KEPT / 1e6:.0f} million characters" if self._cut else ""

    def _read(self) -> None:
        if not self.source or not self.source.lasts:
            return
        fingerprint = Fingerprint()
        kept: list[str] = []
        room = KEPT
        try:
            for block in fingerprint.follow(self.source.stream()):
                kept.append(block[:room])
                room -= len(kept[-1])
        except (CharrnnError, MemoryError):
            return
        if str(fingerprint) == self.fingerprint:
            self._cut = fingerprint.characters > KEPT
            self._text = "".join(kept)

    def lines(self, before: str, word: str) -> tuple[list[str], str]:
        """The lines that have a word after as many of the words before it as any line has.

        Args:
            before: what was typed before the word.

        Returns:
            Some of them, shortened; and what they share.
        """
        words = [match[0] for match in WORD.finditer(before[-200:])]
        if before[-1:] == "\n":
            words = []
        for first in range(max(0, len(words) - CONTEXT), len(words) + 1):
            shared = [*words[first:], word]
            begin, *rest = map(re.escape, shared)
            # What is behind the first word is looked at after it, so that it is found quickly.
            pattern = WORD_GAP.join([f"{begin}(?<!{LETTER}{begin})", *rest])
            lines: dict[str, None] = {}
            count = 0
            for match in re.finditer(rf"{pattern}(?!{LETTER}|[{MARKS}])", self.text):
                count += 1
                if len(lines) < LINES:
                    lines[self._around(*match.span())] = None
            if count:
                return [*lines], f"{' '.join(shared)!r} {_times(count)}"
        return [], ""

    def _around(self, start: int, end: int) -> str:
        """The line about a place, at most WIDTH characters of it."""
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        first = max(first, end - WIDTH // 2)
        line = self.text[first : last if last >= 0 else None][:WIDTH]
        return " ".join(line.split())


def _resume_values(path: Path) -> Mapping[str, Any]:
    """What a run's resume file says, without its tensors; nothing if there is none."""
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
    """Return what speaks for a completion, in some lines.

    Args:
        reasons: what each source says, as Completer.reasons does.
        evidence: the training text.
        typed: all the text before the completion.
        completion: what is suggested.
    """
    rest = completion.text
    if rest[0].isspace():
        typed, rest = typed + rest[0], rest[1:]
    half = partial_word(typed)
    word = half + rest
    said = [f"{word}: {completion.p:.1%}"]
    found = reasons(typed, rest)
    if found:
        typed_before = f", {found.earlier:,} in earlier sessions" if found.earlier else ""
        said.append(
            f"  the network {found.network:.1%}, the trigrams {found.trigrams:.1%}; "
            f"{_times(found.trained)} in the training text, {found.recent:,} in this one"
            f"{typed_before}"
        )
    if not evidence.ready(WAIT_SECONDS):
        said.append("  (the training text is being read; ask again in a moment)")
        return "\n".join(said)
    lines, shared = evidence.lines(typed[: len(typed) - len(half)], word)
    if not evidence.text:
        said.append("  (the training text is gone or has changed)")
    elif lines:
        said += [f"  it has {shared}{evidence.limits}:", *(f"  | {line}" for line in lines)]
    else:
        said.append(f"  it does not stand in the training text{evidence.limits}")
    return "\n".join(said)
