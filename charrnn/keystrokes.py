"""A simulated user, who types a text and takes suggestions: how many keys they save.

The text is typed as it stands. Before a word's first letter and after each one the best candidates
are shown that go on from what is typed of it; the user takes the word as soon as it is among them,
with one key, if that saves a key at least. With the word comes the space after it, where the text
has one. All else is typed key by key.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.cells import Array
from charrnn.complete import Completion, best
from charrnn.ngram import NGram, half_word
from charrnn.text import WORD

SHOWN = (1, 3, 5)  # candidates that are looked at
DIAL = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # least probability that is shown

Suggest = Callable[[str, int], Sequence[Completion]]


@dataclass(slots=True)
class Dial:
    """One candidate, shown only where its probability is high enough.

    Attributes:
        least: that probability.
        shown, right: times that one was shown, and was the word being typed.
        saved: keys.
    """

    least: float
    shown: int = 0
    right: int = 0
    saved: int = 0


@dataclass(slots=True)
class Keystrokes:
    """What typing a text took.

    Attributes:
        chars, words: of the text.
        saved: keys, by the number of candidates.
        saved_spaceless: the same if the space after a word is typed by hand.
        first: words that were among so many candidates before their first letter.
        unseen_chars: in words outside the vocabulary, and
        unseen_saved: keys saved there, by the number of candidates.
        foresight: keys saved by who knows the text and needs a key a word, and
        vocabulary: by who knows all words of the vocabulary and which one comes next.
        dials: one candidate, at several probabilities.
        seconds: that each suggestion took.
    """

    chars: int = 0
    words: int = 0
    saved: dict[int, int] = field(default_factory=lambda: dict.fromkeys(SHOWN, 0))
    saved_spaceless: dict[int, int] = field(default_factory=lambda: dict.fromkeys(SHOWN, 0))
    first: dict[int, int] = field(default_factory=lambda: dict.fromkeys(SHOWN, 0))
    unseen_chars: int = 0
    unseen_saved: dict[int, int] = field(default_factory=lambda: dict.fromkeys(SHOWN, 0))
    foresight: int = 0
    vocabulary: int = 0
    dials: list[Dial] = field(default_factory=lambda: [Dial(least) for least in DIAL])
    seconds: list[float] = field(default_factory=list)

    def ksr(self, shown: int) -> float:
        """Share of the keys that is saved with so many candidates."""
        return self.saved[shown] / max(1, self.chars)

    def to_json(self) -> dict[str, Any]:
        chars, words = max(1, self.chars), max(1, self.words)
        p50, p99 = np.percentile(self.seconds or [0.0], [50, 99]) * 1e3
        return {
            "ksr": {str(n): self.ksr(n) for n in SHOWN},
            "ksr_without_space": {str(n): self.saved_spaceless[n] / chars for n in SHOWN},
            "next_word": {str(n): self.first[n] / words for n in (1, 3)},
            "ceilings": {
                "vocabulary": self.vocabulary / chars,
                "foresight": self.foresight / chars,
            },
            "unseen_words": {
                "chars": self.unseen_chars,
                "saved": {str(n): self.unseen_saved[n] / max(1, self.unseen_chars) for n in SHOWN},
            },
            "dial": [
                {
                    "p": dial.least,
                    "shown_per_char": dial.shown / chars,
                    "precision": dial.right / dial.shown if dial.shown else None,
                    "ksr": dial.saved / chars,
                }
                for dial in self.dials
            ],
            "latency_ms": {"p50": float(p50), "p99": float(p99)},
        }


def type_text(text: str, suggest: Suggest, vocabulary: Sequence[str]) -> Iterator[Keystrokes]:
    """Type a text with suggestions; since it is typed as it stands, one pass serves every number.

    Args:
        suggest: from what was typed and a number to ranked completions.
        vocabulary: words seen in training.

    Yields:
        The same object after each word, and once at the end.
    """
    seen = set(vocabulary)
    keys = Keystrokes()
    for word in WORD.finditer(text):
        keys.chars = word.end()
        _type_word(keys, text, *word.span(), suggest, seen)
        yield keys
    keys.chars = len(text)
    yield keys


def _type_word(
    keys: Keystrokes, text: str, start: int, end: int, suggest: Suggest, seen: set[str]
) -> None:
    word = text[start:end]
    space = text[end : end + 1] == " "
    keys.words += 1
    ideal = max(0, len(word) + space - 1)
    keys.foresight += ideal
    if word in seen:
        keys.vocabulary += ideal
    else:
        keys.unseen_chars += len(word)
    # Who has not taken the word yet: by number of candidates, with the space and without; by dial.
    waiting = {(n, free) for n in SHOWN for free in (0, int(space))}
    dials = [*keys.dials]
    for typed in range(len(word)):
        gain = len(word) - typed - 1
        if typed and gain + space < 1:
            break
        began = time.perf_counter()
        found = suggest(text[: start + typed], max(SHOWN))
        keys.seconds.append(time.perf_counter() - began)
        rest = word[typed:]
        rank = next((i for i, c in enumerate(found, 1) if c.text == rest), max(SHOWN) + 1)
        for n in SHOWN:
            keys.first[n] += typed == 0 and rank <= n
        for n, free in [*waiting]:
            if rank > n or gain + free < 1:
                continue
            waiting.remove((n, free))
            if free == space:
                keys.saved[n] += gain + space
                keys.unseen_saved[n] += 0 if word in seen else gain + space
            if not free:
                keys.saved_spaceless[n] += gain
        for dial in [*dials]:
            if found and found[0].p >= dial.least:
                dial.shown += 1
                dial.right += rank == 1
                if rank == 1 and gain + space >= 1:
                    dial.saved += gain + space
                    dials.remove(dial)
        if not waiting and not dials:
            break


class WordList:
    """Suggests words by a distribution over them alone, to compare with.

    Args:
        ngram: whose words.
        after: from a text to their probabilities, [V].
    """

    def __init__(self, ngram: NGram, after: Callable[[str], Array]) -> None:
        self._ngram = ngram
        self._after = after
        self._before: str | None = None
        self._p = ngram.one

    def extend(self, typed: str, k: int) -> list[Completion]:
        half = half_word(typed)
        before = typed[: len(typed) - len(half)]
        if before != self._before:
            self._before, self._p = before, self._after(before)
        some = self._ngram.starting_with(half)
        p = self._p[some]
        mass = float(p.sum())
        return [
            Completion(self._ngram.tokens[some.start + i][len(half) :], float(p[i]) / mass)
            for i in best(p, k)
        ]
