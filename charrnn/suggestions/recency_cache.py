"""The words of the text being typed: people repeat themselves, and soon.

Grave et al. 2017, arXiv:1612.04426, keep a cache of what came before; in this one a word counts
half as much after HALF_LIFE more words. What looks like a secret does not count
(charrnn.suggestions.secrets).
"""

import math
import re
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

from charrnn.suggestions.secrets import LINE, public_words
from charrnn.text.words import LAST_CODE_POINT

HALF_LIFE = 200.0  # words
NEVER = -math.inf
EARLIER = -2  # the end of a word that stands before the text, and stays whatever becomes of it


class _Read(NamedTuple):
    """A word that was read, and what has to be put back to forget it.

    Attributes:
        end: where it ends in the text.
        weight: of the word before.
    """

    word: str
    end: int
    weight: float


class RecencyCache:
    """Follows a text that is typed, changed or replaced.

    Args:
        earlier: words that were typed before it, the oldest first.
    """

    def __init__(self, earlier: Iterable[str] = ()) -> None:
        self._text = ""
        self._read: list[_Read] = []
        # Binary logarithms. Instead of the old words' falling, the new ones' weights rise.
        self._weights: dict[str, float] = {}
        self._after: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._followed: Counter[str] = Counter()
        self._sorted: list[str] = []
        for word in earlier:
            self._add(word, EARLIER)

    def read(self, text: str) -> None:
        """Take in a text that does not end within a word; only what is new is read."""
        same = _shared(text, self._text)
        # With what follows, a word may have become part of a longer one, or of a secret.
        same -= len(re.split(r"\s", text[max(0, same - LINE) : same])[-1])
        while self._read and self._read[-1].end >= same - 1:
            self._forget()
        start = max(0, self._read[-1].end) if self._read else 0
        for match in public_words(text, start):
            self._add(match[0], match.end())
        self._text = text

    def _add(self, word: str, end: int) -> None:
        known = self._weights.get(word, NEVER)
        if known == NEVER:
            insort(self._sorted, word)
        self._after[self._last][word] += 1
        self._followed[self._last] += 1
        self._weights[word] = self._now + math.log2(1 + 2 ** (known - self._now))
        self._read.append(_Read(word, end, known))

    def _forget(self) -> None:
        word, _, weight = self._read.pop()
        self._after[self._last][word] -= 1
        self._followed[self._last] -= 1
        if weight == NEVER:
            del self._weights[word]
            del self._sorted[bisect_left(self._sorted, word)]
        else:
            self._weights[word] = weight

    @property
    def _last(self) -> str:
        return self._read[-1].word if self._read else ""

    @property
    def _now(self) -> float:
        return len(self._read) / HALF_LIFE

    def starting_with(self, prefix: str, k: int) -> list[str]:
        """The `k` words of most weight that start with a prefix and go on after it."""
        first = bisect_left(self._sorted, prefix)
        last = bisect_left(self._sorted, prefix + LAST_CODE_POINT)
        words = self._sorted[first + (prefix in self._weights) : last]
        return nlargest(k, words, self._weights.__getitem__)

    def mass(self, prefix: str) -> float:
        """What part of the recent words start with a prefix, or are it."""
        first = bisect_left(self._sorted, prefix)
        last = bisect_left(self._sorted, prefix + LAST_CODE_POINT)
        if last - first == len(self._sorted):
            return 1 - 2**-self._now
        return sum(map(self.share, self._sorted[first:last]))

    def share(self, word: str) -> float:
        """What part of the recent words is this one."""
        weight = 2 ** (self._weights.get(word, NEVER) - self._now)
        return float(weight) * (1 - 2 ** (-1 / HALF_LIFE))

    def count(self, word: str, earlier: bool = False) -> int:
        """How often a word stands in the text, or stood before it."""
        return sum(read.word == word and (read.end == EARLIER) == earlier for read in self._read)

    def share_after_last(self, word: str) -> float:
        """What part of the words that followed the last one is this one."""
        return self._after[self._last][word] / (self._followed[self._last] + 1)


def _shared(a: str, b: str) -> int:
    """How many characters two texts have in common at the start."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
