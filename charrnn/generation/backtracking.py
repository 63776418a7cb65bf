"""Tokens that were drawn but may be taken back, since with them a copy of other text begins."""

from collections import deque
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Array
from charrnn.text.copy_index import WORDS, WordRuns, hash_words
from charrnn.tokenizer import Tokenizer

MOST_BANS = 16  # at one place; then the copy is let through
LONGEST = 200  # characters that are held back; what is longer is no word


class Drawn(NamedTuple):
    """A token as it was drawn.

    Attributes:
        token: its id.
        nats: its surprise.
        before: the state before it, [L, S, H].
    """

    token: int
    nats: float
    before: Array


class Guard:
    """Follows the words of a text and finds the one that completes a copied run.

    Args:
        index: of the training text.
        seed: what the text continues.
    """

    def __init__(self, index: WordRuns, seed: str) -> None:
        self._index = index
        self._last = deque(hash_words(seed[-1000:]), WORDS - 1)

    def check(self, text: str, forgive: bool) -> tuple[int, int | None]:
        """Look at words that are complete, since something else follows them.

        Args:
            text: what came since the end of the last word that was found to be no copy.
            forgive: whether to let a copy pass.

        Returns:
            Where the last such word ends in `text`, 0 if there is none; and where the word
            starts that is a copy, None if there is none.
        """
        from charrnn.text.words import JOINERS, WORD

        end = 0
        open_from = len(text) - (text[-1:] in JOINERS)  # the last word may go on
        for word in WORD.finditer(text):
            if word.end() >= open_from:
                break
            words = np.array([*self._last, *hash_words(word[0])], np.uint64)
            if not forgive and self._index.copied(words):
                return end, word.start()
            self._last.append(words[-1])
            end = word.end()
        return end, None


class Draft:
    """The end of a text: tokens whose last word is not complete yet.

    Args:
        avoid: of the text that is not to be copied.
        tokenizer: its tokens.
        seed: what the text continues.
        most_bans: fewer than there are tokens.
    """

    def __init__(
        self, avoid: WordRuns, tokenizer: Tokenizer, seed: str, most_bans: int = MOST_BANS
    ) -> None:
        self._guard = Guard(avoid, seed)
        self._tokenizer = tokenizer
        self._drawn: list[Drawn] = []
        self._most_bans = most_bans
        self._bans: set[int] = set()
        self._place = 0  # tokens in the draft before those that are banned

    @property
    def tokens(self) -> list[int]:
        return [drawn.token for drawn in self._drawn]

    @property
    def banned(self) -> list[int]:
        """Tokens that cannot come next, because they began a copy."""
        return [*self._bans] if len(self._drawn) == self._place else []

    def add(self, drawn: Drawn) -> tuple[list[Drawn], list[Drawn]]:
        """Go on with a token.

        Returns:
            Tokens that stand from now on, and tokens that are taken back.
        """
        self._drawn.append(drawn)
        texts = [*map(self._tokenizer.decoder(), self.tokens)]
        text = "".join(texts)
        end, copy = self._guard.check(text, forgive=len(self._bans) >= self._most_bans)
        if copy is None and len(text) > LONGEST:
            end = len(text)
        ends = [*accumulate(map(len, texts))]  # those of half a character do not stand yet
        standing = max((i for i, e in enumerate(ends, 1) if e <= end and texts[i - 1]), default=0)
        undone: list[Drawn] = []
        if copy is not None:
            first = sum(e <= copy for e in ends)  # the token in which the copying word starts
            undone = self._drawn[first:]
            del self._drawn[first:]
            if standing or first != self._place:
                self._bans.clear()
            self._bans.add(undone[0].token)
            self._place = first - standing
        elif standing:
            self._bans.clear()
        stands = self._drawn[:standing]
        del self._drawn[:standing]
        return stands, undone
