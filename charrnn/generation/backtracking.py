"""Taking back sampled tokens that would copy eight words in a row from the training text."""

from collections import deque
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from charrnn.network.engine import State
from charrnn.text.copy_index import RUN_WORDS, WordRuns, hash_words
from charrnn.tokenizer import Tokenizer

MOST_BANS = 16  # maximum tokens banned at one position; then the copy is allowed (not tuned)
MAX_HELD = 200  # maximum characters held back; a longer run is not a word (not tuned)
SEED_CHARS = 1000  # characters at the seed's end in which its last words are found (not tuned)


class Sampled(NamedTuple):
    """A sampled token.

    Attributes:
        token: the token's id.
        nats: the token's surprisal; 0 unless scored.
        before: the network's state before the token.
    """

    token: int
    nats: float
    before: State


class Guard:
    """Follows the words of a text and finds the one that completes a copied run.

    Args:
        index: runs of words that must not be copied.
        seed: text that is continued.
    """

    def __init__(self, index: WordRuns, seed: str) -> None:
        self._index = index
        self._last = deque(hash_words(seed[-SEED_CHARS:]), RUN_WORDS - 1)

    def check(self, text: str, forgive: bool) -> tuple[int, int | None]:
        """Check the complete words of a text: those followed by something.

        Args:
            text: the text after the last word that was accepted.
            forgive: whether to accept a copy.

        Returns:
            Where the last accepted word ends in `text` (0 if there is none), and where the word
            that completes a copy starts (None if there is none).
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
        avoid: runs of words that must not be copied.
        tokenizer: the model's tokenizer.
        seed: text that is continued.
        most_bans: maximum tokens banned at one position; less than the vocabulary's size.
    """

    def __init__(
        self, avoid: WordRuns, tokenizer: Tokenizer, seed: str, most_bans: int = MOST_BANS
    ) -> None:
        self._guard = Guard(avoid, seed)
        self._tokenizer = tokenizer
        self._tokens: list[Sampled] = []
        self._most_bans = most_bans
        self._bans: set[int] = set()
        self._position = 0  # number of draft tokens before the banned ones

    @property
    def tokens(self) -> list[int]:
        """Return the ids of the tokens in the draft."""
        return [sampled.token for sampled in self._tokens]

    @property
    def banned(self) -> list[int]:
        """Return the tokens that cannot come next, because they began a copy."""
        return [*self._bans] if len(self._tokens) == self._position else []

    def add(self, sampled: Sampled) -> tuple[list[Sampled], list[Sampled]]:
        """Add a token.

        Returns:
            The tokens that are settled now, and the tokens that are taken back.
        """
        self._tokens.append(sampled)
        texts = [*map(self._tokenizer.decoder(), self.tokens)]
        text = "".join(texts)
        end, copy = self._guard.check(text, forgive=len(self._bans) >= self._most_bans)
        if copy is None and len(text) > MAX_HELD:
            end = len(text)
        ends = [*accumulate(map(len, texts))]  # a partial character is not settled yet
        settled = max((i for i, e in enumerate(ends, 1) if e <= end and texts[i - 1]), default=0)
        undone: list[Sampled] = []
        if copy is not None:
            first = sum(e <= copy for e in ends)  # the token in which the copying word starts
            undone = self._tokens[first:]
            del self._tokens[first:]
            if settled or first != self._position:
                self._bans.clear()
            self._bans.add(undone[0].token)
            self._position = first - settled
        elif settled:
            self._bans.clear()
        ready = self._tokens[:settled]
        del self._tokens[:settled]
        return ready, undone
