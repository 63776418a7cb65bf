"""How well predicted targets agree with the right ones."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.arrays import bits

BINS = 10  # intervals of equal width of the probability, for the calibration error (not tuned)


class Agreement:
    """Totals over records, from which the usual metrics follow.

    Args:
        labels: the targets that predictions are chosen from; empty if they may be any text.

    Attributes:
        labels: those targets, then others that were right; empty if targets may be any text.
        records: number of records.
        exact: number of records whose target was predicted exactly.
        edits: sum of the edit distances between the right and the predicted targets.
        target_chars: characters of the right targets.
        counts: for labels, how often a right one (first) was predicted as another or the same.
    """

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self.labels = [*labels]
        self.records = self.exact = self.edits = self.target_chars = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self._known = {*labels}
        self._classifies = bool(labels)
        self._nats = 0.0
        self._chars = 0
        self._bins = np.zeros((BINS, 2))  # sums of the probability, and of whether it was right

    def add(self, right: str, predicted: str, p: float = 1.0) -> None:
        """Add a record.

        Args:
            right: its target.
            predicted: the predicted target.
            p: probability of the predicted target.
        """
        self.records += 1
        self.exact += right == predicted
        self.edits += edit_distance(right, predicted)
        self.target_chars += len(right)
        if self._classifies:
            if right not in self._known:
                self._known.add(right)
                self.labels.append(right)
            self.counts[right, predicted] += 1
            self._bins[min(BINS - 1, int(p * BINS))] += p, right == predicted

    def add_nats(self, nats: float, chars: int) -> None:
        """Add the negative log-probability of a right target (nats), and its length."""
        self._nats += nats
        self._chars += chars

    def to_json(self) -> dict[str, Any]:
        """Return counts and metrics; those of the probability only if `add_nats` was called."""
        records = max(1, self.records)
        values: dict[str, Any] = {
            "records": self.records,
            "exact_match": self.exact / records,
            "edit_rate": self.edits / max(1, self.target_chars),
        }
        if self._chars:
            nats = self._nats / self._chars
            values |= {"chars": self._chars, "nats_per_char": nats, "bpc": bits(nats)}
        if self._classifies:
            values |= {"accuracy": self.exact / records, "macro_f1": self.macro_f1}
        if self._classifies and self._chars:
            gaps = np.abs(self._bins[:, 0] - self._bins[:, 1])
            values |= {
                "calibration_error": float(gaps.sum()) / records,
                "calibration_bins": BINS,
                "labels": self.labels,
                "confusion": [[self.counts[a, b] for b in self.labels] for a in self.labels],
            }
        return values

    @property
    def macro_f1(self) -> float:
        """Mean of F1 over the labels that were right or predicted."""
        right, predicted = Counter[str](), Counter[str]()
        for (a, b), count in self.counts.items():
            right[a] += count
            predicted[b] += count
        labels = right.keys() | predicted.keys()
        scores = [2 * self.counts[x, x] / (right[x] + predicted[x]) for x in labels]
        return sum(scores) / max(1, len(scores))


def edit_distance(a: str, b: str) -> int:
    """Return the Levenshtein distance of two texts: insertions, deletions and substitutions.

    A column of the table of distances is held in the bits of integers: Myers 1999,
    doi:10.1145/316542.316550, as in Hyyrö 2003.
    """
    if not a:
        return len(b)
    last, every = 1 << (len(a) - 1), (1 << len(a)) - 1
    places: dict[str, int] = {}  # bits of the places of each character in `a`
    for i, character in enumerate(a):
        places[character] = places.get(character, 0) | 1 << i
    distance, plus, minus = len(a), every, 0  # where the column grows, and where it falls
    for character in b:
        equal = places.get(character, 0)
        down = equal | minus
        diagonal = (((equal & plus) + plus) ^ plus) | equal
        grows = minus | ~(diagonal | plus) & every
        falls = plus & diagonal
        distance += bool(grows & last) - bool(falls & last)
        grows = (grows << 1) | 1
        plus = ((falls << 1) | ~(down | grows)) & every
        minus = grows & down & every
    return distance
