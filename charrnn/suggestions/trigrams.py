"""A trigram model of words: interpolated modified Kneser-Ney smoothing.

Chen & Goodman 1999, doi:10.1006/csla.1999.0128. Its tokens are words, single punctuation characters
and line breaks, but only words are predicted. Token ids are in alphabetical order, so the words
with a common prefix are one slice.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.text.blocks import chunks
from charrnn.text.words import JOINERS, LAST_CODE_POINT, LONGEST_WORD, MARKS, UNSPACED, WORD

TOKEN = re.compile(rf"{WORD.pattern}|[^\w\s]|_|\n")  # matches one token
NO_WORD = re.compile(rf"[^\w{UNSPACED}{MARKS}{JOINERS}]")  # matches a character that no word has
MAX_TOKENS = 65_535  # maximum vocabulary size: 16 bits hold all ids and one for other tokens
MAX_ENTRIES = 400_000  # maximum n-grams of each order; the most frequent are kept (not tuned)
# How often words of a prior count as following each context, beside what the discounts leave them,
# and without a context: best for 20 to 300 KB of news, essays and a manual.
PRIOR, PRIOR_WORDS = 5.0, 5000.0
RAREST = 1e-9  # minimum probability of the tokens after a gap (not tuned)
ORDER_NAMES = "two", "three"  # prefixes of the tensors of bigrams and trigrams in model files

Keys = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Order:
    """The n-grams of one length: the words that follow each context.

    Attributes:
        contexts: Keys of the contexts, ascending, int64 [C].
        starts: Index of the first word after each context, then N, [C + 1].
        words: Ids of the words, ascending within a context, uint16 [N].
        p: Discounted probabilities of the words, float16 [N].
        mass: Sum of `p` in each context, float64 [C].
        backoff: Probability left to the next shorter context, float32 [C].
    """

    contexts: Keys
    starts: NDArray[np.intp]
    words: NDArray[np.uint16]
    p: NDArray[np.float16]
    mass: NDArray[np.float64] = field(init=False)
    backoff: Array = field(init=False)

    def __post_init__(self) -> None:
        sums = np.concatenate([[0], np.cumsum(self.p, dtype=np.float64)])[self.starts]
        object.__setattr__(self, "mass", np.diff(sums))
        object.__setattr__(self, "backoff", np.clip(1 - self.mass, 0, 1).astype(np.float32))

    @classmethod
    def estimate(
        cls,
        contexts: Keys,
        words: Keys,
        counts: Keys,
        vocab_size: int,
        most: int,
        prior: Self | None = None,
    ) -> Self:
        """Estimate the probabilities from distinct (context, word) pairs in ascending order.

        Words with an id of `vocab_size` or more are counted but left out, and so are the rarest
        pairs beyond `most`: their probability goes to the shorter context. With a prior that has
        the context, it goes to the prior's words.

        Args:
            contexts: Keys of the contexts, [N].
            words: Ids of the words, [N].
            counts: How often each word follows its context, [N].
            vocab_size: V.
            most: Maximum number of pairs.
            prior: The n-grams of another text.
        """
        starts, totals = _groups(contexts, counts)
        known = contexts[starts[:-1]]
        p = (counts - discounts(counts)) / np.repeat(
            totals + (PRIOR if prior else 0), np.diff(starts)
        )
        least = np.partition(counts, -most)[-most] if len(counts) > most else 0
        kept = (words < vocab_size) & (counts > least if least else True) & (p > 0)
        contexts, words, p = contexts[kept], words[kept], p[kept]
        if prior:
            mass = np.bincount(np.searchsorted(known, contexts), p, len(known))
            _, here, there = np.intersect1d(known, prior.contexts, True, True)
            left = np.ones(len(prior.contexts))
            left[there] -= mass[here]
            lengths = np.diff(prior.starts)
            more = np.repeat(prior.contexts, lengths) * (vocab_size + 1) + prior.words
            keys = np.concatenate([contexts * (vocab_size + 1) + words, more])
            both = np.concatenate([p, prior.p * np.repeat(left, lengths)])
            pairs, at = np.unique(keys, return_inverse=True)
            contexts, words = pairs // (vocab_size + 1), pairs % (vocab_size + 1)
            p = np.bincount(at, both).astype(np.float64)
        starts, _ = _groups(contexts, words)
        return cls(contexts[starts[:-1]], starts, words.astype(np.uint16), p.astype(np.float16))

    def renumbered(self, ids: Keys, vocab_size: int, length: int) -> Self:
        """Return the n-grams for another vocabulary.

        Args:
            ids: The new id of each token, ascending, and of tokens outside the vocabulary; -1 for
                those to leave out, [V + 1].
            vocab_size: The new V.
            length: Number of tokens in a context, 1 or 2.
        """
        size = len(ids)
        first, last = ids[self.contexts // size], ids[self.contexts % size]
        if length == 1:
            first[:] = 0
        lengths = np.diff(self.starts)
        kept = np.repeat((first >= 0) & (last >= 0), lengths) & (ids[self.words] >= 0)
        contexts = np.repeat(first * (vocab_size + 1) + last, lengths)[kept]
        starts, _ = _groups(contexts, contexts)
        words = ids[self.words[kept]].astype(np.uint16)
        return type(self)(contexts[starts[:-1]], starts, words, self.p[kept])

    def interpolate(self, p: Array, context: int) -> None:
        """Turn the probabilities after the shorter context, [V], into those after this one.

        Changes `p` in place.
        """
        i = int(np.searchsorted(self.contexts, context))
        if i < len(self.contexts) and self.contexts[i] == context:
            p *= self.backoff[i]
            here = slice(self.starts[i], self.starts[i + 1])
            p[self.words[here]] += self.p[here]

    def leading_to(self, word: int) -> tuple[Keys, NDArray[np.float16]]:
        """Return the contexts that a word follows, [N], and its probabilities there, [N]."""
        entries = np.flatnonzero(self.words == word)
        rows = np.searchsorted(self.starts, entries, "right") - 1
        return self.contexts[rows], self.p[entries]


def _descending(counts: NDArray[np.integer]) -> list[int]:
    """Return the indices of counts, the largest first."""
    found: list[int] = np.argsort(-counts.astype(np.int64), kind="stable").tolist()
    return found


def _groups(contexts: Keys, counts: Keys) -> tuple[NDArray[np.intp], Keys]:
    """Return where each run of equal contexts starts, the end of the last, and total counts."""
    begins = np.flatnonzero(np.diff(contexts, prepend=-1))
    totals = np.add.reduceat(counts, begins) if len(begins) else counts
    return np.append(begins, len(contexts)), totals


def discounts(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the discount of each count: Chen & Goodman's D1, D2 and D3+."""
    n = np.maximum(1, np.bincount(np.minimum(counts, 5), minlength=5)[1:5])
    y = n[0] / (n[0] + 2 * n[1])
    off = np.array([0, *(i - (i + 1) * y * n[i] / n[i - 1] for i in (1, 2, 3))])
    by_count: NDArray[np.float64] = np.clip(off, 0, [0, 0.99, 1.99, 2.99])
    discount: NDArray[np.float64] = by_count[np.minimum(counts, 3)]
    return discount


@dataclass(frozen=True, slots=True)
class Trigrams:
    """A trigram model.

    Attributes:
        tokens: The vocabulary, ascending; a token's index is its id.
        counts: Occurrences of each token in the text, uint32 [V].
        unigram: Probabilities without a context, float32 [V]; 0 for tokens that are not words.
        bigram: The words that follow one token.
        trigram: The words that follow two tokens.
    """

    tokens: list[str]
    counts: NDArray[np.uint32]
    unigram: Array
    bigram: Order
    trigram: Order

    @classmethod
    def build(
        cls,
        text: str,
        prior: Self | None = None,
        most_tokens: int = MAX_TOKENS,
        most: int = MAX_ENTRIES,
    ) -> Self:
        """Estimate the model from a text.

        Args:
            text: The text.
            prior: The model of another text: what this text leaves open is as likely as there. The
                count of its words is 0 if they do not occur in this text.
            most_tokens: Maximum vocabulary size; the most frequent tokens of the text are kept.
            most: Maximum n-grams of each order from the text; the most frequent are kept.
        """
        numbers: defaultdict[str, int] = defaultdict()  # in order of first occurrence
        numbers.default_factory = numbers.__len__
        streams = [
            np.array([numbers[token] for token in _tokens(chunk)], np.int64)
            for chunk in ["", *chunks([text])]
        ]
        stream = np.concatenate(streams)
        occurrences = np.bincount(stream, minlength=len(numbers))
        found = [*numbers]
        common = [found[i] for i in _descending(occurrences)]
        others = [prior.tokens[i] for i in _descending(prior.counts)] if prior else []
        tokens = sorted([*dict.fromkeys([*common, *others])][:most_tokens])
        size = len(tokens)
        base = size + 1  # the last id stands for all tokens outside the vocabulary
        ids = {token: i for i, token in enumerate(tokens)}
        numbered = np.array([ids.get(token, size) for token in found], np.int64)
        counts = np.bincount(numbered, occurrences, base)[:size].astype(np.uint32)
        before: Sequence[Order | None] = (None, None)
        if prior:
            new = np.array([*(ids.get(token, -1) for token in prior.tokens), size], np.int64)
            before = prior.bigram.renumbered(new, size, 1), prior.trigram.renumbered(new, size, 2)
        stream = numbered[stream]
        contexts, words = stream[:-2] * base + stream[1:-1], stream[2:]
        triples, times = np.unique(contexts * base + words, return_counts=True)
        trigram = Order.estimate(triples // base, triples % base, times, size, most, before[1])
        # Kneser & Ney: a shorter context counts distinct words before it, not occurrences.
        pairs, times = np.unique(triples % base**2, return_counts=True)
        bigram = Order.estimate(pairs // base, pairs % base, times, size, most, before[0])
        singles, times = np.unique(pairs % base, return_counts=True)
        p = np.zeros(base)
        p[singles] = times - discounts(times)
        p /= max(1, times.sum() + (PRIOR_WORDS if prior else 0))
        if prior:
            kept = new[:-1] >= 0
            p[new[:-1][kept]] += (1 - p.sum()) * prior.unigram[kept]
        else:
            p += max(0.0, 1 - p.sum()) / base
        unigram = np.where(_words(tokens), p[:size], 0).astype(np.float32)
        return cls(tokens, counts, unigram, bigram, trigram)

    def after(self, text: str) -> Array:
        """Return the probability of each next word after a text, float32 [V].

        Args:
            text: A text that does not end within a word.
        """
        p = self.unigram.copy()
        context = [self.id(token) for token in _tokens(text[-4 * LONGEST_WORD :])[-2:]]
        base = len(self.tokens) + 1
        if context and context[-1] is not None:
            self.bigram.interpolate(p, context[-1])
            if len(context) > 1 and context[-2] is not None:
                self.trigram.interpolate(p, context[-2] * base + context[-1])
        p[self.unigram == 0] = 0  # only words are predicted
        return p

    def between(self, before: str, after: str) -> Array:
        """Return how likely each word is between two texts, up to a factor, float32 [V].

        Args:
            before: A text that does not end within a word.
            after: A text that does not begin within a word.
        """
        p = self.after(before)
        last = [self.id(token) for token in _tokens(before[-4 * LONGEST_WORD :])[-1:]]
        following = [self.id(token) for token in _tokens(after[: 4 * LONGEST_WORD])[:2]]
        first, second = [*following, None, None][:2]
        if first is not None:
            p *= self._around(last[0] if last else None, first)
            if second is not None:
                p *= self._ahead(first, second)
        return p

    def _around(self, before: int | None, token: int) -> Array:
        """Return the probability of a token after `before` and each other token, float32 [V]."""
        base, size = len(self.tokens) + 1, len(self.tokens)
        p = np.full(base, self._alone(token), np.float32)
        p[self.bigram.contexts] *= self.bigram.backoff
        contexts, found = self.bigram.leading_to(token)
        p[contexts] += found
        if before is not None:
            bounds = [before * base, (before + 1) * base]
            here = slice(*np.searchsorted(self.trigram.contexts, bounds).tolist())
            p[self.trigram.contexts[here] % base] *= self.trigram.backoff[here]
            contexts, found = self.trigram.leading_to(token)
            same = contexts // base == before
            p[contexts[same] % base] += found[same]
        return p[:size]

    def _ahead(self, token: int, following: int) -> Array:
        """Return the probability of `following` after each token and then `token`, float32 [V]."""
        base, size = len(self.tokens) + 1, len(self.tokens)
        alone = np.full(size, self._alone(following), np.float32)
        self.bigram.interpolate(alone, token)
        p = np.full(base, alone[following], np.float32)
        same = self.trigram.contexts % base == token
        p[self.trigram.contexts[same] // base] *= self.trigram.backoff[same]
        contexts, found = self.trigram.leading_to(following)
        same = contexts % base == token
        p[contexts[same] // base] += found[same]
        return p[:size]

    def _alone(self, token: int) -> float:
        """Return the probability of a token without a context; punctuation has one too."""
        share = float(self.counts[token]) / max(1.0, float(self.counts.sum(dtype=float)))
        return float(self.unigram[token]) or max(share, RAREST)

    def id(self, token: str) -> int | None:
        """Return the token's id, or None."""
        i = bisect_left(self.tokens, token)
        return i if self.tokens[i : i + 1] == [token] else None

    @property
    def word_counts(self) -> Array:
        """Occurrences of each word in the text, float32 [V]; 0 for tokens that are not words."""
        return np.where(self.unigram > 0, self.counts, 0).astype(np.float32)

    def starting_with(self, prefix: str) -> slice:
        """Return the ids of the tokens that start with a prefix and are longer than it."""
        first = bisect_left(self.tokens, prefix)
        last = bisect_left(self.tokens, prefix + LAST_CODE_POINT)
        return slice(first + (self.tokens[first : first + 1] == [prefix]), last)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the model as arrays for a model file."""
        base = len(self.tokens) + 1
        arrays: dict[str, NDArray[Any]] = {
            "tokens": np.frombuffer(" ".join(self.tokens).encode(), np.uint8),
            "counts": self.counts,
            "one": self.unigram,
        }
        for name, order in zip(ORDER_NAMES, (self.bigram, self.trigram), strict=True):
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
        """Return the model that `tensors` stored.

        Raises:
            ValueError: The arrays are incomplete, of other types, or do not fit together.
        """
        if _kinds(arrays) != _kinds(cls.build("").tensors()):
            raise ValueError("it is incomplete")
        tokens = arrays["tokens"].tobytes().decode().split(" ") if len(arrays["tokens"]) else []
        size = len(tokens)
        unigram, counts = arrays["one"], arrays["counts"]
        if not (
            unigram.shape == counts.shape == (size,)
            and (unigram >= 0).all()
            and _is_share(unigram.sum(dtype=float))
        ):
            raise ValueError("its words have no probabilities")
        if not all(map(str.__lt__, tokens, tokens[1:])):
            raise ValueError("its words are not in order")
        words_alone = [token for token, p in zip(tokens, unigram.tolist(), strict=True) if p]
        if NO_WORD.search("".join(words_alone)) or max(map(len, tokens), default=0) > LONGEST_WORD:
            raise ValueError("some of its words are invalid")
        orders = []
        for length, name in enumerate(ORDER_NAMES, 1):
            contexts, lengths, words, p = (
                arrays[f"{name}.{part}"] for part in ("contexts", "lengths", "words", "p")
            )
            starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.intp)])
            if not (
                contexts.shape == (2, len(lengths))
                and words.shape == p.shape == (starts[-1],)
                and (words < size).all()
                and (contexts <= size).all()
                and ((p >= 0) & (p <= 1)).all()
            ):
                raise ValueError("its contexts and words do not match")
            keys = contexts[0].astype(np.int64) * (size + 1) + contexts[1]
            if not (np.diff(keys) > 0).all() or keys.max(initial=0) >= (size + 1) ** length:
                raise ValueError("its contexts are not in order")
            order = Order(keys, starts, words, p)
            if not _is_share(order.mass.max(initial=0)):
                raise ValueError("its probabilities add up to more than 1")
            orders.append(order)
        return cls(tokens, counts, unigram, *orders)


def _is_share(p: float) -> bool:
    """Return whether a sum of rounded probabilities is at most about 1."""
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
