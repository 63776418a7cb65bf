"""The cloze test: words are removed from a text, and guessed from what is left.

Taylor 1953, doi:10.1177/107769905303000401.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.suggestions.missing_words import MissingWords
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.words import LONGEST_WORD, WORD

EVERY = 10  # of so many words one is removed, each by itself
MOST = 500  # maximum number of removed words: of more, as many at equal distances (not tuned)
CONTEXT = 500  # characters known on each side of a removed word (not tuned)
RANKED = 10  # guesses considered; a word that is not among them counts as not found


@dataclass(slots=True)
class Guesses:
    """How often the removed word was guessed.

    Attributes:
        words: Words removed so far.
        first: How many of them were the first guess.
        in_five: How many were among the first five.
        reciprocals: Sum of the reciprocals of their ranks, 0 for words that were not found.
    """

    words: int = 0
    first: int = 0
    in_five: int = 0
    reciprocals: float = 0.0

    def add(self, rank: int | None) -> None:
        """Count a word by its rank among the guesses, from 1; None if it is not among them."""
        self.words += 1
        if rank is not None and rank <= RANKED:
            self.first += rank == 1
            self.in_five += rank <= 5
            self.reciprocals += 1 / rank

    def to_json(self) -> dict[str, float]:
        """Return the shares, and the mean reciprocal rank."""
        words = max(1, self.words)
        return {
            "top1": self.first / words,
            "top5": self.in_five / words,
            "mrr": self.reciprocals / words,
        }


def removed(text: str) -> list[tuple[int, int]]:
    """Return start and end of the words to remove: every tenth, or MOST of these."""
    words = [word.span() for word in WORD.finditer(text) if len(word[0]) <= LONGEST_WORD]
    tenth = words[EVERY - 1 :: EVERY]
    return tenth if len(tenth) <= MOST else [tenth[i * len(tenth) // MOST] for i in range(MOST)]


def guess(text: str, missing: MissingWords, trigrams: Trigrams) -> Iterator[dict[str, Guesses]]:
    """Remove words from a text, one at a time, and guess each.

    Args:
        text: The text.
        missing: Fills gaps.
        trigrams: The trigrams, as a baseline that looks at two words on both sides.

    Yields:
        After each word and at the end the same guesses: by what precedes it alone ("left"), by both
        sides ("both") and, if there are any, by the trigrams ("trigrams").
    """
    guesses = {"left": Guesses(), "both": Guesses()}
    if trigrams.tokens:  # an older model's file has none
        guesses["trigrams"] = Guesses()
    for start, end in removed(text):
        word = text[start:end]
        left, right = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
        guesses["left"].add(_rank(word, missing.following(left)))
        fillings = missing.fill([left, right], RANKED)
        guesses["both"].add(_rank(word, [filling.words[0] for filling in fillings]))
        if trigrams.tokens:
            p, known = trigrams.between(left, right), trigrams.id(word)
            rank = None if known is None else 1 + int(np.count_nonzero(p > p[known]))
            guesses["trigrams"].add(rank)
        yield guesses
    yield guesses


def _rank(word: str, guesses: list[str]) -> int | None:
    return guesses.index(word) + 1 if word in guesses else None
