"""A simulated user, who types a text and takes suggestions: how many keys they save.

The text is typed as it stands. Before a word's first letter and after each one the best candidates
are shown that go on from what is typed of it; the user takes the word as soon as it is among them,
with one key, if that saves a key at least. With the word comes the space after it, where the text
has one. All else is typed key by key, such as a run of letters that is too long for a word.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.arrays import Array
from charrnn.suggestions.completer import Completion, best, ranked, worth_showing
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.words import LONGEST_WORD, WORD, partial_word

SHOWN = (1, 3, 5)  # candidates that are looked at
DIAL = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # least probability that is shown
OFFERED = 64  # words that a list can go through, of which the first were passed over

Suggest = Callable[[str, int, Dismissals | None], Sequence[Completion]]


def completable(text: str) -> Iterator[re.Match[str]]:
    """Yield the words of a text that suggestions can complete: at most LONGEST_WORD characters."""
    return (word for word in WORD.finditer(text) if len(word[0]) <= LONGEST_WORD)


@dataclass(slots=True)
class Typist:
    """Somebody who types with suggestions.

    Attributes:
        count: candidates that are looked at.
        least: probability that the first one has, or none is shown.
        dismissals: followed by who suggests; None if what was passed over comes again.
        knows: whether a word stands in some text; None to look at whatever is likely enough.
        saved: keys.
        saved_spaceless: the same if the space after a word is typed by hand.
        unseen_saved: keys saved in words outside the vocabulary.
        foreseen: words that were shown before their first letter.
        shown, right: times that something was shown, and that the first was the word being typed.
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
        """Look at what is suggested, once; whether the rest of the word is there."""
        found = suggest(typed, max(SHOWN), self.dismissals)[: self.count]
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
    text: str, start: int, end: int, users: Sequence[Typist], suggest: Suggest, seen: bool = True
) -> None:
    """Let some users type one word of a text, each with suggestions.

    Args:
        start, end: of the word.
        seen: whether it is in the vocabulary.
    """
    space = text[end : end + 1] == " "
    waiting = [*users]  # who have not taken the word yet
    for place in range(start, end):
        gain = end - place - 1
        worth_it = gain + space >= 1
        if not waiting or (place > start and not worth_it):
            break
        typed, rest = text[:place], text[place:end]
        for user in [*waiting]:
            there = user.look(typed, rest, suggest)
            user.foreseen += there and place == start
            if there and worth_it:
                waiting.remove(user)
                if user.dismissals:
                    user.dismissals.accept(typed, rest)
                user.saved += gain + space
                user.saved_spaceless += gain
                user.unseen_saved += 0 if seen else gain + space


@dataclass(slots=True)
class Keystrokes:
    """What typing a text took.

    Attributes:
        chars, words: of the text.
        users: by the number of candidates that they look at.
        repeated: the same, where what was passed over comes again.
        dials: who look at one candidate, at several least probabilities.
        unseen_chars: in words outside the vocabulary.
        foresight: keys saved by who knows the text and needs a key a word, and
        vocabulary: by who knows all words of the vocabulary and which one comes next.
        seconds: that each suggestion took.
    """

    chars: int = 0
    words: int = 0
    users: dict[int, Typist] = field(default_factory=lambda: {n: Typist(n) for n in SHOWN})
    repeated: dict[int, Typist] = field(
        default_factory=lambda: {n: Typist(n, dismissals=None) for n in SHOWN}
    )
    dials: list[Typist] = field(default_factory=lambda: [Typist(1, least) for least in DIAL])
    unseen_chars: int = 0
    foresight: int = 0
    vocabulary: int = 0
    seconds: list[float] = field(default_factory=list)

    def ksr(self, shown: int) -> float:
        """Share of the keys that is saved with so many candidates."""
        return self.users[shown].saved / max(1, self.chars)

    def to_json(self) -> dict[str, Any]:
        chars, words = max(1, self.chars), max(1, self.words)
        p50, p99 = np.percentile(self.seconds or [0.0], [50, 99]) * 1e3

        def share(users: dict[int, Typist], tally: str, of: int) -> dict[str, float]:
            return {str(n): getattr(user, tally) / of for n, user in users.items()}

        return {
            "ksr": share(self.users, "saved", chars),
            "ksr_repeated": share(self.repeated, "saved", chars),
            "ksr_without_space": share(self.users, "saved_spaceless", chars),
            "next_word": {str(n): self.users[n].foreseen / words for n in (1, 3)},
            "ceilings": {
                "vocabulary": self.vocabulary / chars,
                "foresight": self.foresight / chars,
            },
            "unseen_words": {
                "chars": self.unseen_chars,
                "saved": share(self.users, "unseen_saved", max(1, self.unseen_chars)),
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
    """Type a text with suggestions; since it is typed as it stands, one pass serves all users.

    Args:
        suggest: from what was typed, a number and an dismissals to ranked completions; asked
            about the same text again, it should be fast.
        vocabulary: words seen in training.

    Yields:
        The same object after each word, and once at the end.
    """
    known = set(vocabulary)
    keys = Keystrokes()
    for user in keys.dials:
        user.knows = known.__contains__
    users = [*keys.repeated.values(), *keys.users.values(), *keys.dials]
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
        keys.foresight += ideal
        keys.vocabulary += ideal if seen else 0
        keys.unseen_chars += 0 if seen else len(word[0])
        type_word(text, *word.span(), users, timed, seen)
        yield keys
    keys.chars = len(text)
    yield keys


class WordList:
    """Suggests words by a distribution over them alone, to compare with.

    Args:
        ngram: whose words.
        after: from a text to their probabilities, [V].
    """

    def __init__(self, ngram: Trigrams, after: Callable[[str], Array]) -> None:
        self._ngram = ngram
        self._after = after
        self._before: str | None = None
        self._p = ngram.unigram

    def extend(self, typed: str, k: int, dismissals: Dismissals | None = None) -> list[Completion]:
        half = partial_word(typed)
        before = typed[: len(typed) - len(half)]
        if before != self._before:
            self._before, self._p = before, self._after(before)
        some = self._ngram.starting_with(half)
        p = self._p[some]
        first = best(p, OFFERED)
        texts = [self._ngram.tokens[some.start + i][len(half) :] for i in first]
        return ranked(typed, texts, p[first] / p.sum(), dismissals)[:k]
