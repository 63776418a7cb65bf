"""A trigram model of a text's words: what it predicts after the last two, fast and exact.

Interpolated modified Kneser-Ney (Chen & Goodman 1999, doi:10.1006/csla.1999.0128). Its tokens are
words, single marks and line breaks, but only words are predicted. They are in order, so that those
that start alike are neighbours.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.text.blocks import chunks
from charrnn.text.words import JOINERS, LAST_CODE_POINT, LONGEST_WORD, MARKS, UNSPACED, WORD

TOKEN = re.compile(rf"{WORD.pattern}|[^\w\s]|_|\n")
NO_WORD = re.compile(rf"[^\w{UNSPACED}{MARKS}{JOINERS}]")  # what stands in none
MOST_TOKENS = 65_535  # distinct; ids fit 16 bits
MOST_ENTRIES = 400_000  # of each order, the commonest

Keys = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Order:
    """What is known after contexts of one length.

    Attributes:
        contexts: ascending keys of the contexts, [C].
        starts: where the words after each one begin, [C + 1].
        words: ids that followed, ascending within a context, uint16 [N].
        p: their probabilities, float16 [N].
        known: the probability that follows from them in each context, float64 [C].
        rest: the probability left to the next shorter context, float32 [C].
    """

    contexts: Keys
    starts: NDArray[np.intp]
    words: NDArray[np.uint16]
    p: NDArray[np.float16]
    known: NDArray[np.float64] = field(init=False)
    rest: Array = field(init=False)

    def __post_init__(self) -> None:
        sums = np.concatenate([[0], np.cumsum(self.p, dtype=np.float64)])[self.starts]
        object.__setattr__(self, "known", np.diff(sums))
        object.__setattr__(self, "rest", np.clip(1 - self.known, 0, 1).astype(np.float32))

    @classmethod
    def estimate(cls, contexts: Keys, words: Keys, counts: Keys, most_words: int) -> Self:
        """From distinct (context, word) pairs in ascending order.

        Words of the id `most_words` or more are counted but left out, and so are the rarest
        pairs if there are too many: what they had goes to the shorter context.
        """
        starts, totals = _groups(contexts, counts)
        p = (counts - _discounts(counts)) / np.repeat(totals, np.diff(starts))
        least = (
            np.partition(counts, -MOST_ENTRIES)[-MOST_ENTRIES] if len(counts) > MOST_ENTRIES else 0
        )
        kept = (words < most_words) & (counts > least if least else True) & (p > 0)
        contexts, words, p = contexts[kept], words[kept], p[kept]
        starts, _ = _groups(contexts, words)
        return cls(contexts[starts[:-1]], starts, words.astype(np.uint16), p.astype(np.float16))

    def interpolate(self, p: Array, context: int) -> None:
        """Turn the probabilities after the shorter context into those after this one, in place."""
        i = int(np.searchsorted(self.contexts, context))
        if i < len(self.contexts) and self.contexts[i] == context:
            p *= self.rest[i]
            here = slice(self.starts[i], self.starts[i + 1])
            p[self.words[here]] += self.p[here]


def _groups(contexts: Keys, counts: Keys) -> tuple[NDArray[np.intp], Keys]:
    """Where each context begins, and the end; the sum of its counts."""
    begins = np.flatnonzero(np.diff(contexts, prepend=-1))
    totals = np.add.reduceat(counts, begins) if len(begins) else counts
    return np.append(begins, len(contexts)), totals


def _discounts(counts: Keys) -> NDArray[np.float64]:
    """What is taken off each count: one amount for 1, one for 2, one for 3 and more."""
    n = np.maximum(1, np.bincount(np.minimum(counts, 5), minlength=5)[1:5])
    y = n[0] / (n[0] + 2 * n[1])
    off = np.array([0, *(i - (i + 1) * y * n[i] / n[i - 1] for i in (1, 2, 3))])
    taken: NDArray[np.float64] = np.clip(off, 0, [0, 0.99, 1.99, 2.99])[np.minimum(counts, 3)]
    return taken


@dataclass(frozen=True, slots=True)
class Trigrams:
    """A trigram model.

    Attributes:
        tokens: ascending.
        counts: how often each stood in the text, uint32 [V].
        one: probabilities without a context, float32 [V]; 0 for marks.
        two, three: what is known after one token, and after two.
    """

    tokens: list[str]
    counts: NDArray[np.uint32]
    one: Array
    two: Order
    three: Order

    @classmethod
    def build(cls, text: str) -> Self:
        """Count a text."""
        numbers: defaultdict[str, int] = defaultdict()  # in the order in which they are met
        numbers.default_factory = numbers.__len__
        streams = [
            np.array([numbers[token] for token in _tokens(chunk)], np.int64)
            for chunk in ["", *chunks([text])]
        ]
        stream = np.concatenate(streams)
        occurrences = np.bincount(stream, minlength=len(numbers))
        known = [*numbers]
        common = np.argsort(-occurrences, kind="stable")[:MOST_TOKENS].tolist()
        common.sort(key=known.__getitem__)
        tokens = [known[number] for number in common]
        counts = occurrences[common].astype(np.uint32)
        size = len(tokens)
        ids = np.full(len(numbers), size, np.int64)
        ids[common] = np.arange(size)
        stream = ids[stream]
        base = size + 1  # the last stands for all that are no tokens
        pairs, words = stream[:-2] * base + stream[1:-1], stream[2:]
        triples, times = np.unique(pairs * base + words, return_counts=True)
        three = Order.estimate(triples // base, triples % base, times, size)
        # Kneser & Ney: what counts for a shorter context is after how many words, not how often.
        doubles, times = np.unique(triples % base**2, return_counts=True)
        two = Order.estimate(doubles // base, doubles % base, times, size)
        singles, times = np.unique(doubles % base, return_counts=True)
        p = np.zeros(base)
        p[singles] = (times - _discounts(times)) / max(1, times.sum())
        p += max(0.0, 1 - p.sum()) / base
        one = np.where(_words(tokens), p[:size], 0).astype(np.float32)
        return cls(tokens, counts, one, two, three)

    def after(self, text: str) -> Array:
        """Probabilities of the next token after a text that does not end within a word, [V]."""
        p = self.one.copy()
        context = [self.id(token) for token in _tokens(text[-4 * LONGEST_WORD :])[-2:]]
        base = len(self.tokens) + 1
        if context and context[-1] is not None:
            self.two.interpolate(p, context[-1])
            if len(context) > 1 and context[-2] is not None:
                self.three.interpolate(p, context[-2] * base + context[-1])
        p[self.one == 0] = 0  # marks are predicted by nobody
        return p

    def id(self, token: str) -> int | None:
        """Of a token; None if it is none."""
        i = bisect_left(self.tokens, token)
        return i if self.tokens[i : i + 1] == [token] else None

    @property
    def word_counts(self) -> Array:
        """How often each word stood in the text, 0 for marks, float32 [V]."""
        return np.where(self.one > 0, self.counts, 0).astype(np.float32)

    def starting_with(self, prefix: str) -> slice:
        """The ids of tokens that start with a prefix and go on after it."""
        first = bisect_left(self.tokens, prefix)
        last = bisect_left(self.tokens, prefix + LAST_CODE_POINT)
        return slice(first + (self.tokens[first : first + 1] == [prefix]), last)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays, for a file."""
        base = len(self.tokens) + 1
        arrays: dict[str, NDArray[Any]] = {
            "tokens": np.frombuffer(" ".join(self.tokens).encode(), np.uint8),
            "counts": self.counts,
            "one": self.one,
        }
        for name, order in (("two", self.two), ("three", self.three)):
            contexts = np.stack([order.contexts // base, order.contexts % base])
            arrays |= {
                f"{name}.contexts": contexts.astype(np.uint16),
                f"{name}.lengths": np.diff(order.starts).astype(np.uint16),
                f"{name}.words": order.words,
                f"{name}.p": order.p,
            }
        return arrays

    @classmethod
    def from_tensors(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `tensors` gave.

        Raises:
            ValueError: they do not fit together.
        """
        if _kinds(arrays) != _kinds(cls.build("").tensors()):
            raise ValueError("it is incomplete")
        tokens = arrays["tokens"].tobytes().decode().split(" ") if len(arrays["tokens"]) else []
        size = len(tokens)
        one, counts = arrays["one"], arrays["counts"]
        if not (
            one.shape == counts.shape == (size,)
            and (one >= 0).all()
            and _is_share(one.sum(dtype=float))
        ):
            raise ValueError("its words have no probabilities")
        if not all(map(str.__lt__, tokens, tokens[1:])):
            raise ValueError("its words are not in order")
        words_alone = [token for token, p in zip(tokens, one.tolist(), strict=True) if p]
        if NO_WORD.search("".join(words_alone)) or max(map(len, tokens), default=0) > LONGEST_WORD:
            raise ValueError("its words are none")
        orders = []
        for name in ("two", "three"):
            contexts, lengths, words, p = (
                arrays[f"{name}.{part}"] for part in ("contexts", "lengths", "words", "p")
            )
            starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.intp)])
            if not (
                contexts.shape == (2, len(lengths))
                and words.shape == p.shape == (starts[-1],)
                and (words < size).all()
                and ((p >= 0) & (p <= 1)).all()
            ):
                raise ValueError("its contexts and words do not fit")
            keys = contexts[0].astype(np.int64) * (size + 1) + contexts[1]
            if not (np.diff(keys) > 0).all():
                raise ValueError("its contexts are not in order")
            order = Order(keys, starts, words, p)
            if not _is_share(order.known.max(initial=0)):
                raise ValueError("its probabilities add up to more than 1")
            orders.append(order)
        return cls(tokens, counts, one, *orders)


def _is_share(p: float) -> bool:
    """Return whether a sum of rounded probabilities can be one."""
    return 0 <= p <= 1.01


def _tokens(text: str) -> list[str]:
    tokens = TOKEN.findall(text)
    if max(map(len, tokens), default=0) > LONGEST_WORD:
        tokens = [token[:LONGEST_WORD] for token in tokens]
    return tokens


def _words(tokens: list[str]) -> NDArray[np.bool_]:
    return np.array([bool(WORD.match(token)) for token in tokens], bool)


def _kinds(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[np.dtype[Any], int]]:
    return {name: (array.dtype, array.ndim) for name, array in arrays.items()}
