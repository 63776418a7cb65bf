"""A test of memory with a known answer: the first letters of a sequence, after a gap.

An item is `recalled` letters, a gap of g more, a mark, and the answer: the first letters again.

    bdc  faaghc  ->  bdc        (without spaces; recalled = 3, g = 6)

All letters are drawn uniformly from LETTERS, those of the gap as well: nothing but the position of
a letter tells whether it counts, so that a network has to keep some letters and to ignore others of
the same kind. The items of a text are records, so each starts from a zero state.
"""

from dataclasses import dataclass

import numpy as np

from charrnn.config import Range, require
from charrnn.model import Model
from charrnn.text.blocks import END, TARGET

LETTERS = "abcdefgh"
# Letters to recall. In 13 s on one core a simple RNN learned to keep one letter over a gap of 64,
# but of three rarely all; LSTM and GRU kept three, and four.
RECALLED = 3
GAPS = (1, 2, 4, 8, 16, 32, 64)
LARGEST_GAP = Range(0, 1000)
MOST_RECALLED = Range(1, 20)
CHARACTERS = 2_000_000  # maximum characters of a training text (not tuned)
ITEMS = 30_000  # maximum items of a training text (not tuned)
TESTED = 400  # items for each gap, by which a network is judged (not tuned)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be recalled.

    Attributes:
        gaps: the lengths of gaps; a text has as many items of each.
        recalled: letters to recall.

    Raises:
        UsageError: a value is out of range.
    """

    gaps: tuple[int, ...] = GAPS
    recalled: int = RECALLED

    def __post_init__(self) -> None:
        require(bool(self.gaps), "gaps must not be empty", "gaps")
        for gap in self.gaps:
            require(gap in LARGEST_GAP, f"gaps must be {LARGEST_GAP}", "gaps")
        require(self.recalled in MOST_RECALLED, f"recalled must be {MOST_RECALLED}", "recalled")

    @property
    def longest(self) -> int:
        """Tokens of the longest item, marks included."""
        return 2 * self.recalled + max(self.gaps) + 2

    @property
    def chance(self) -> float:
        """Share of answers that guessing gets right."""
        return float(len(LETTERS)) ** -self.recalled

    def source(self, gap: int, rng: np.random.Generator) -> str:
        """Return what precedes the mark of a random item."""
        return "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=self.recalled + gap))

    def answer(self, source: str) -> str:
        """Return the answer to a source."""
        return source[: self.recalled]

    def text(self, rng: np.random.Generator) -> str:
        """Return a text of items to learn from."""
        mean = sum(self.gaps) / len(self.gaps) + 2 * self.recalled + 2
        count = min(ITEMS, int(CHARACTERS / mean))
        which = rng.integers(len(self.gaps), size=count).tolist()
        sources = [self.source(self.gaps[i], rng) for i in which]
        return "".join(f"{source}{TARGET}{self.answer(source)}{END}" for source in sources)


def accuracy(
    model: Model, task: Task, rng: np.random.Generator, items: int = TESTED
) -> list[float]:
    """Return the share of items whose whole answer a model finds likeliest, for each gap.

    Args:
        model: a model of records, trained on `Task.text`.
        task: the task.
        rng: draws the items, which are new.
        items: number of items for each gap.
    """
    shares = []
    for gap in task.gaps:
        sources = [task.source(gap, rng) for _ in range(items)]
        answers = model.predictions(sources, k=1, beam=1)
        right = [
            bool(found) and found[0].text == task.answer(source)
            for source, found in zip(sources, answers, strict=True)
        ]
        shares.append(sum(right) / items)
    return shares
