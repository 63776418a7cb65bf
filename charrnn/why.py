"""Why a word is suggested: what each source says, and the lines of the training text behind it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open

from charrnn.complete import Completion
from charrnn.errors import CharrnnError
from charrnn.files import check_readable
from charrnn.model import Model
from charrnn.ngram import half_word
from charrnn.parts import Fingerprint
from charrnn.runs import RESUME_KEY, RESUME_NAME
from charrnn.source import Source
from charrnn.ui import printable
from charrnn.words import LETTER, MARKS, UNSPACED, WORD

LINES = 3  # that are shown
WIDTH = 70  # characters of each
CONTEXT = 3  # words before the suggested one that a line may share
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
            return cls(Source(**values["source"]), values["fingerprint"])
        except (KeyError, TypeError, CharrnnError):
            return cls(None)

    @cached_property
    def text(self) -> str:
        """Empty if it is not at hand, or has changed since."""
        if not self.source or "-" in self.source.paths:
            return ""
        fingerprint = Fingerprint()
        try:
            text = "".join(fingerprint.follow(self.source.stream()))
        except CharrnnError:
            return ""
        return text if str(fingerprint) == self.fingerprint else ""

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
            pattern = rf"(?<!{LETTER}){WORD_GAP.join(map(re.escape, shared))}(?!{LETTER}|[{MARKS}])"
            found = [*re.finditer(pattern, self.text)]
            if found:
                lines = dict.fromkeys(self._around(*match.span()) for match in found)
                count = "once" if len(found) == 1 else f"{len(found):,} times"
                return [*lines][:LINES], f"{' '.join(shared)!r} {count}"
        return [], ""

    def _around(self, start: int, end: int) -> str:
        """The line about a place, at most WIDTH characters of it."""
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        first = max(first, end - WIDTH // 2)
        line = self.text[first : last if last >= 0 else None][:WIDTH]
        return printable(" ".join(line.split()))


def _resume_values(path: Path) -> Mapping[str, Any]:
    """What a run's resume file says, without its tensors; nothing if there is none."""
    try:
        check_readable(path)
        with safe_open(path, "numpy") as file:
            values = json.loads((file.metadata() or {})[RESUME_KEY])
    except (OSError, SafetensorError, ValueError, KeyError):
        return {}
    return values if isinstance(values, dict) else {}


def why(model: Model, evidence: Evidence, typed: str, completion: Completion) -> str:
    """What speaks for a completion, in some lines."""
    rest = completion.text
    if rest[0].isspace():
        typed, rest = typed + rest[0], rest[1:]
    half = half_word(typed)
    word = half + rest
    said = [f"{word}: {completion.p:.1%}"]
    reasons = model.reasons(typed, rest)
    if reasons:
        said.append(
            f"  the network {reasons.network:.1%}, the trigrams {reasons.trigrams:.1%}; "
            f"{reasons.trained:,} times in the training text, {reasons.recent:,} in this one"
        )
    lines, shared = evidence.lines(typed[: len(typed) - len(half)], word)
    if not evidence.text:
        said.append("  (the training text is gone or has changed)")
    elif lines:
        said += [f"  it has {shared}:", *(f"  | {line}" for line in lines)]
    else:
        said.append("  it does not stand in the training text")
    return "\n".join(said)
