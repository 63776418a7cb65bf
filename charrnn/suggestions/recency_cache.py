"""A cache of the words of the text being typed, which are likely to be repeated soon.

After Grave et al. 2017, arXiv:1612.04426; here the weight of a word halves every HALF_LIFE words.
Words that look like secrets are left out (charrnn.suggestions.secrets).
"""

import math
import re
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

from charrnn.suggestions.secrets import LINE, SECRET_CHUNK, public_words
from charrnn.text.words import LAST_CODE_POINT

HALF_LIFE = 200.0  # in words (not tuned)
NEVER = -math.inf  # binary logarithm of the weight of a word not in the cache
EARLIER = -2  # stands for the end of a word from before the text, which is never forgotten


class _Read(NamedTuple):
    """A word that was read, with what undoes the reading.

    Attributes:
        word: The word.
        end: Its end in the text, or EARLIER.
        weight: Binary logarithm of its weight before it was read.
    """

    word: str
    end: int
    weight: float


class RecencyCache:
    """Follows a text as it is edited.

    Args:
        earlier: Words typed before the text, the oldest first.
    """

    def __init__(self, earlier: Iterable[str] = ()) -> None:
        self._text = ""
        self._read: list[_Read] = []
        # Binary logarithms of weights. New words get ever larger weights, and old weights stay.
        self._weights: dict[str, float] = {}
        self._after: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._followed: Counter[str] = Counter()
        self._sorted: list[str] = []
        for word in earlier:
            self._add(word, EARLIER)

    def read(self, text: str) -> None:
        """Read a text that does not end within a word; only what has changed is read."""
        same = _shared(text, self._text)
        # A change may have made the word before it part of a longer one, or of a secret, and all
        # words of a chunk that white space surrounds secrets, or no longer.
        chunk = _last_chunk(text, same)
        begins = same - len(chunk)
        secret = any(SECRET_CHUNK.search(_chunk(some, begins)) for some in (text, self._text))
        same -= len(chunk) if secret else min(len(chunk), LINE)
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
        """Return the `k` heaviest words that start with a prefix and are longer than it."""
        first = bisect_left(self._sorted, prefix)
        last = bisect_left(self._sorted, prefix + LAST_CODE_POINT)
        words = self._sorted[first + (prefix in self._weights) : last]
        return nlargest(k, words, self._weights.__getitem__)

    def mass(self, prefix: str) -> float:
        """Return the share of the recent words that start with a prefix, or are equal to it."""
        first = bisect_left(self._sorted, prefix)
        last = bisect_left(self._sorted, prefix + LAST_CODE_POINT)
        if last - first == len(self._sorted):
            return 1 - 2**-self._now
        return sum(map(self.share, self._sorted[first:last]))

    def share(self, word: str) -> float:
        """Return the share of a word among the recent words."""
        weight = 2 ** (self._weights.get(word, NEVER) - self._now)
        return float(weight) * (1 - 2 ** (-1 / HALF_LIFE))

    def count(self, word: str, earlier: bool = False) -> int:
        """Return how often a word occurs in the text, or before it if `earlier`."""
        return sum(read.word == word and (read.end == EARLIER) == earlier for read in self._read)

    def share_after_last(self, word: str) -> float:
        """Return the share of a word among those that followed earlier uses of the last word."""
        return self._after[self._last][word] / (self._followed[self._last] + 1)


def _last_chunk(text: str, end: int) -> str:
    """Return what follows the last white space before a position."""
    length = LINE
    while True:
        *before, chunk = re.split(r"\s", text[max(0, end - length) : end])
        if before or length >= end:
            return chunk
        length *= 2


def _chunk(text: str, start: int) -> str:
    """Return what follows a position up to white space."""
    return text[start:].split(maxsplit=1)[0] if text[start : start + 1].strip() else ""


def _shared(a: str, b: str) -> int:
    """Return the number of characters that two texts have in common at the start."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
