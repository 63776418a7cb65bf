"""Simulates typing a text with suggestions, to measure how many keystrokes they save.

Suggestions are shown before a word's first letter and after each letter. The typist accepts the
word with one key as soon as it is among them, if that saves at least one key; the space after the
word, if there is one, is inserted too. All else is typed key by key, such as a run of letters that
is too long for a word.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.arrays import Array
from charrnn.suggestions.completer import Completion, ranked, worth_showing
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.trigram_source import best
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.words import LONGEST_WORD, WORD, partial_word

COUNTS = (1, 3, 5)  # numbers of suggestions shown, to be compared
DIAL_STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # settings to compare
CANDIDATES = 64  # candidates of a WordList, before dismissed ones are demoted (not tuned)

# A function of the typed text, the maximum number of completions, and the dismissals.
Suggest = Callable[[str, int, Dismissals | None], Sequence[Completion]]


def completable(text: str) -> Iterator[re.Match[str]]:
    """Yield the words of a text that suggestions can complete: at most LONGEST_WORD characters."""
    return (word for word in WORD.finditer(text) if len(word[0]) <= LONGEST_WORD)


@dataclass(slots=True)
class Typist:
    """A simulated typist with one setting of suggestions, and the keystrokes saved.

    Attributes:
        count: Maximum number of suggestions shown.
        least: Minimum probability of the first suggestion; below, none is shown.
        dismissals: Tracks dismissed suggestions; None to show them again.
        knows: Whether a word is known, as for worth_showing; None to show all that are likely.
        saved: Keystrokes saved.
        saved_spaceless: Keystrokes saved if the space after a word is typed by hand.
        unseen_saved: Keystrokes saved in words outside the vocabulary.
        foreseen: Number of words suggested before their first letter.
        shown: Number of times that suggestions were shown.
        right: Number of times that the first of them was the word being typed.
    """

    count: int
    least: float = 0.0
    dismissals: Dismissals | None = field(default_factory=Dismissals)
    knows: Callable[[str], bool] | None = None
    saved: int = 0
    saved_spaceless: int = 0
    unseen_saved: int = 0
    foreseen: int = 0
    shown: int = 0
    right: int = 0

    def look(self, typed: str, rest: str, suggest: Suggest) -> bool:
        """Return whether the suggestions after `typed` contain `rest`, the end of the word."""
        found = suggest(typed, max(COUNTS), self.dismissals)[: self.count]
        if not found or found[0].p < self.least:
            return False
        if self.knows and not worth_showing(typed, found[0], self.least, self.knows):
            return False
        if self.dismissals:
            self.dismissals.show(typed, [completion.text for completion in found])
        self.shown += 1
        self.right += found[0].text == rest
        return any(completion.text == rest for completion in found)


def type_word(
    text: str, start: int, end: int, typists: Sequence[Typist], suggest: Suggest, seen: bool = True
) -> None:
    """Let some typists type one word of a text, and count what each saves.

    Args:
        text: The text.
        start: Start of the word.
        end: End of the word.
        typists: Their counts are updated.
        suggest: Makes the suggestions.
        seen: Whether the word is in the vocabulary.
    """
    space = text[end : end + 1] == " "
    waiting = [*typists]  # those that have not accepted the word yet
    for cursor in range(start, end):
        gain = end - cursor - 1
        worth_it = gain + space >= 1
        if not waiting or (cursor > start and not worth_it):
            break
        typed, rest = text[:cursor], text[cursor:end]
        for typist in [*waiting]:
            there = typist.look(typed, rest, suggest)
            typist.foreseen += there and cursor == start
            if there and worth_it:
                waiting.remove(typist)
                if typist.dismissals:
                    typist.dismissals.accept(typed, rest)
                typist.saved += gain + space
                typist.saved_spaceless += gain
                typist.unseen_saved += 0 if seen else gain + space


@dataclass(slots=True)
class Keystrokes:
    """Keystrokes saved in simulated typing of a text.

    Attributes:
        chars: Characters typed so far.
        words: Words typed so far.
        typists: Typists by the number of suggestions shown.
        repeated: The same, where dismissed suggestions are shown again.
        dials: Typists who are shown one suggestion, one for each minimum probability in DIAL_STEPS.
        unseen_chars: Characters in words outside the vocabulary.
        oracle: Upper bound: keystrokes saved by an oracle that needs one key per word.
        known_oracle: Keystrokes saved by an oracle that completes only words of the vocabulary.
        seconds: Time that each suggestion took, in seconds.
    """

    chars: int = 0
    words: int = 0
    typists: dict[int, Typist] = field(default_factory=lambda: {n: Typist(n) for n in COUNTS})
    repeated: dict[int, Typist] = field(
        default_factory=lambda: {n: Typist(n, dismissals=None) for n in COUNTS}
    )
    dials: list[Typist] = field(default_factory=lambda: [Typist(1, least) for least in DIAL_STEPS])
    unseen_chars: int = 0
    oracle: int = 0
    known_oracle: int = 0
    seconds: list[float] = field(default_factory=list)

    def ksr(self, shown: int) -> float:
        """Return the share of keystrokes saved with `shown` suggestions."""
        return self.typists[shown].saved / max(1, self.chars)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as `eval --json` prints them."""
        chars, words = max(1, self.chars), max(1, self.words)
        p50, p99 = np.percentile(self.seconds or [0.0], [50, 99]) * 1e3

        def share(typists: dict[int, Typist], tally: str, of: int) -> dict[str, float]:
            return {str(n): getattr(typist, tally) / of for n, typist in typists.items()}

        return {
            "ksr": share(self.typists, "saved", chars),
            "ksr_repeated": share(self.repeated, "saved", chars),
            "ksr_without_space": share(self.typists, "saved_spaceless", chars),
            "next_word": {str(n): self.typists[n].foreseen / words for n in (1, 3)},
            "ceilings": {
                "vocabulary": self.known_oracle / chars,
                "foresight": self.oracle / chars,
            },
            "unseen_words": {
                "chars": self.unseen_chars,
                "saved": share(self.typists, "unseen_saved", max(1, self.unseen_chars)),
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
    """Let all typists type a text with suggestions.

    Args:
        text: The text to type.
        suggest: Makes the suggestions; asked about the same text again, it should be fast.
        vocabulary: Words seen in training.

    Yields:
        The same Keystrokes after each word and at the end.
    """
    known = set(vocabulary)
    keys = Keystrokes()
    for typist in keys.dials:
        typist.knows = known.__contains__
    typists = [*keys.repeated.values(), *keys.typists.values(), *keys.dials]
    asked = -1

    def timed(typed: str, k: int, dismissals: Dismissals | None) -> Sequence[Completion]:
        nonlocal asked
        began = time.perf_counter()
        found = suggest(typed, k, dismissals)
        if len(typed) != asked:
            asked = len(typed)
            keys.seconds.append(time.perf_counter() - began)
        return found

    for word in completable(text):
        seen = word[0] in known
        ideal = max(0, len(word[0]) + (text[word.end() : word.end() + 1] == " ") - 1)
        keys.chars = word.end()
        keys.words += 1
        keys.oracle += ideal
        keys.known_oracle += ideal if seen else 0
        keys.unseen_chars += 0 if seen else len(word[0])
        type_word(text, *word.span(), typists, timed, seen)
        yield keys
    keys.chars = len(text)
    yield keys


class WordList:
    """Suggests words from one distribution alone: a baseline.

    Args:
        ngram: The trigram model whose words it suggests.
        after: Returns the probability of each word after a text, [V].
    """

    def __init__(self, ngram: Trigrams, after: Callable[[str], Array]) -> None:
        self._ngram = ngram
        self._after = after
        self._before: str | None = None
        self._p = ngram.unigram

    def extend(self, typed: str, k: int, dismissals: Dismissals | None = None) -> list[Completion]:
        """Return the `k` most likely completions, as Completer.extend does."""
        partial = partial_word(typed)
        before = typed[: len(typed) - len(partial)]
        if before != self._before:
            self._before, self._p = before, self._after(before)
        some = self._ngram.starting_with(partial)
        p = self._p[some]
        first = best(p, CANDIDATES)
        texts = [self._ngram.tokens[some.start + i][len(partial) :] for i in first]
        return ranked(typed, texts, p[first] / p.sum(), dismissals)[:k]
