"""Texts that match a regular expression, whole: only tokens that lead to a match, and an end.

The pattern's automaton says which tokens are possible: those after which a match can be reached
within the length (Willard & Louf 2023, arXiv:2307.09702). Its answer for each state is kept. Where
the text matches, the model chooses between going on and ending. A running text ends where the model
would write something that the pattern does not allow, such as a line end after `.*`: the end is as
likely as all of that together. A line or document ends where the model ends it. A text that could
have ended, but went on into what turned out improbable, may end there after all.

The probability that the model gives to the pattern is estimated by importance sampling: as the
product, over the steps of a text, of the probability of all that is possible there. A text of which
WINDOW steps in a row come under LEAST is given up: the next attempt samples at a temperature of at
least 1, and after ATTEMPTS the pattern is refused. Of several candidates, one is chosen in
proportion to that product (sampling-importance resampling, Rubin 1988).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import compress, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Ids, Mask
from charrnn.config import LENGTH, SamplingConfig, require
from charrnn.errors import UsageError
from charrnn.generation.filters import FILTERS
from charrnn.generation.sample import Part, Sample
from charrnn.text.blocks import code_points
from charrnn.text.pattern import FAR, automaton
from charrnn.tokenizer import UNKNOWN, Tokenizer

LEAST = 1e-12  # least probability of a pattern
LOG_LEAST = math.log(LEAST)
WINDOW = 32  # tokens in a row whose probability must not be less (not tuned)
ATTEMPTS = 6  # attempts to write a text, each with twice as many candidates (not tuned)
CACHED = 1 << 23  # maximum tokens of the states kept in memory, 4 bytes each (not tuned)
TOGETHER = 64  # candidates written together (not tuned)

# A state of the automaton, and tokens that are not a part of the text yet: the end of the seed, or
# the first bytes of a character.
State = tuple[int, str]


class Step(NamedTuple):
    """A step of a text.

    Attributes:
        state: the state before it; None after the end.
        left: how many characters may still come.
        weight: logarithm of the probability of what was possible in the steps before.
        inside: probability of all tokens that may be written; set once the step is taken.
        outside: probability of the end; 0 where the text does not match.
    """

    state: State | None
    left: int
    weight: float = 0.0
    inside: float = 0.0
    outside: float = 0.0


class Pattern:
    """A regular expression over the tokens of a vocabulary.

    Args:
        pattern: a regular expression of Python's `re`.
        tokenizer: the model's tokenizer.
        item: the character that ends an item of the corpus, which no text contains; "" if there
            are no items.

    Attributes:
        lengths: characters of each token, int32 [V]; of bytes, the first one counts.
        ends: tokens that end an item, bool [V]; None if there are none.
        shortest: characters of the shortest text that matches.

    Raises:
        UsageError: the pattern is invalid or too complex, or matches no text of this vocabulary.
    """

    def __init__(self, pattern: str, tokenizer: Tokenizer, item: str) -> None:
        tokens = tokenizer.tokens[:-1]
        self._tokens = tokens
        self._bytes = tokenizer.transitions  # the automaton of UTF-8
        if self._bytes is None:
            alphabet = np.array(sorted({ord(t) for t in tokens if len(t) == 1}), np.int32)
            self.lengths = np.array([*map(len, tokens), 0], np.int32)
        else:
            surrogates = np.arange(0xD800, 0xE000)
            alphabet = np.delete(np.arange(0x110000, dtype=np.int32), surrogates)
            self.lengths = np.array([not 0x80 <= i < 0xC0 for i in range(256)] + [0], np.int32)
        if item:
            alphabet = alphabet[alphabet != ord(item)]
        ends = np.array([bool(item) and t.startswith(item) for t in tokens] + [False])
        self.ends = ends if ends.any() else None
        self._automaton = automaton(pattern, alphabet)
        self.shortest = int(self._automaton.distance[0])
        self._accepting = {*np.flatnonzero(self._automaton.distance == 0).tolist()}
        if self.shortest == FAR:
            raise UsageError(
                f"no text of the model's characters matches {pattern!r}",
                "use characters that the training text has",
                ["match"],
            )
        if self._bytes is None:  # the class of each token's characters, and where they start
            self._classes = self._automaton.classes[code_points("".join(tokens))]
            self._starts = np.cumsum([0, *self.lengths[:-1]], dtype=np.int64)
        # The classes, [C], that each byte leads to after the first bytes of a character.
        self._spans: dict[str, Mask] = {}
        self._rows: dict[State, int] = {}  # index into the next two
        self._needs = np.zeros((0, len(tokens) + 1), np.int32)
        self._after: list[Ids | None] = []  # the state after each token; None for bytes

    def accepts(self, state: State) -> bool:
        """Return whether the text matches in a state."""
        return state[0] in self._accepting and not (state[1] and self._bytes is not None)

    def needs(self, states: Sequence[State]) -> Ids:
        """Return how many characters each token needs, with the shortest text after it, [B, V]."""
        if len(self._rows) * self._needs.shape[1] > CACHED:
            self._rows.clear()
            self._after.clear()
        for state in states:
            if state not in self._rows:
                self._add(state)
        return self._needs[[self._rows[state] for state in states]]

    def after(self, state: State, token: int) -> State:
        """Return the state after a token that is possible in a state; `needs` came before."""
        after = self._after[self._rows[state]]
        if after is not None:
            return int(after[token]), ""
        character = (state[1] + self._tokens[token]).encode("utf-8", "surrogateescape")
        if len(span := _span(character)) > 1:
            return state[0], state[1] + self._tokens[token]
        return int(self._automaton.table[state[0], self._automaton.classes[span[0]]]), ""

    def possible(self, open_end: str, length: int | None) -> Mask:
        """Return the tokens that can begin a text, bool [V]; see Matching."""
        possible: Mask = self.needs([(0, open_end)])[0] <= _limit(length) + len(open_end)
        return possible

    def _add(self, state: State) -> None:
        need, after = self._walk(*state) if self._bytes is None else (self._need(*state), None)
        row = len(self._rows)
        if row == len(self._needs):
            self._needs = np.resize(self._needs, (max(16, 2 * row), self._needs.shape[1]))
        self._needs[row] = need
        self._rows[state] = row
        self._after.append(after)

    def _walk(self, start: int, skipped: str) -> tuple[Ids, Ids]:
        """Return what each token needs, and the state after it, both int32 [V].

        Args:
            start: the state before it.
            skipped: the text that it begins with, which the automaton does not read.
        """
        table, distance = self._automaton.table, self._automaton.distance
        dead = len(table) - 1
        after = np.full(len(self.lengths), dead, np.int32)
        ids = np.arange(len(self._tokens))
        if skipped:
            ids = ids[[token.startswith(skipped) for token in self._tokens]]
        after[ids] = start
        at = len(skipped)
        while len(ids := ids[(self.lengths[ids] > at) & (after[ids] != dead)]):
            after[ids] = table[after[ids], self._classes[self._starts[ids] + at]]
            at += 1
        return np.minimum(self.lengths + distance[after], FAR), after

    def _need(self, start: int, begun: str) -> Ids:
        """Return what each byte needs after the first bytes of a character."""
        distance, classes = self._automaton.distance, self._automaton.classes
        after = distance[self._automaton.table[start]]
        if begun not in self._spans:
            found = np.zeros((257, len(after)), bool)
            prefix = begun.encode("utf-8", "surrogateescape")
            for byte in self._continuations(begun):
                span = _span(prefix + bytes([byte]))
                found[byte] = np.bincount(classes[span.start : span.stop], minlength=len(after)) > 0
            self._spans[begun] = found
        least = np.where(self._spans[begun], after, FAR).min(axis=1)
        need: Ids = np.minimum(least + (not begun), FAR)
        return need

    def _continuations(self, begun: str) -> list[int]:
        """Return the bytes that may follow the first bytes of a character."""
        assert self._bytes is not None
        state = 0
        for byte in begun.encode("utf-8", "surrogateescape"):
            state = int(self._bytes[state, byte])
        return np.flatnonzero(self._bytes[state] >= 0).tolist()


def _span(start: bytes) -> range:
    """Return the code points whose UTF-8 begins with some bytes, at least one."""
    lead = start[0]
    size = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
    number = lead & (0x7F, 0x1F, 0xF, 0x7)[size - 1]
    for byte in start[1:]:
        number = number << 6 | byte & 0x3F
    bits = 6 * (size - len(start))
    least = (0, 0x80, 0x800, 0x10000)[size - 1]
    return range(max(number << bits, least), min((number + 1) << bits, 0x110000))


class Matching:
    """What B streams may write next, and where they may end.

    The unknown token, which is never sampled otherwise, stands for the end of the text.

    Args:
        pattern: what the texts match.
        samples: their samples; `weight` is noted in them.
        open_ends: the end of each seed, with which the first token begins.
        length: maximum characters of a text; None for LENGTH.
        random_seed: with a sample's key, selects its random numbers.

    Raises:
        UsageError: every text that matches is longer.
    """

    def __init__(
        self,
        pattern: Pattern,
        samples: Sequence[Sample],
        open_ends: Sequence[str],
        length: int | None,
        random_seed: int,
    ) -> None:
        self._pattern = pattern
        self._samples = [*samples]
        length = _limit(length)
        fits = pattern.shortest <= length
        clash = f"match needs at least {pattern.shortest:,} characters; chars allows {length:,}"
        require(fits, clash, "match", "chars")
        # The steps of each stream; the last one is to be taken.
        self._steps = [[Step((0, end), length + len(end))] for end in open_ends]
        self._rngs = [
            np.random.default_rng(np.random.SeedSequence(random_seed, spawn_key=(*s.key, 0)))
            for s in samples
        ]

    def mask(self, logits: Array) -> None:
        """Leave only what is possible, in place; `logits` are [B, V]."""
        now = [steps[-1] for steps in self._steps]
        states = [step.state or (0, "") for step in now]
        left = np.array([step.left for step in now])
        needs = self._pattern.needs(states)
        banned = needs > left[:, None]
        largest: Array = np.maximum.reduce(logits, axis=1, keepdims=True)  # faster than logits.max
        masses = np.exp(logits - largest)
        inside, barred = _sums(masses, ~banned), _sums(masses, banned)
        outside = barred
        if self._pattern.ends is not None:  # what is too long can only be cut off
            outside = _sums(masses, self._pattern.ends | (banned & (needs < FAR)))
        shift = largest[:, 0].tolist()
        for row, step in enumerate(now):
            total = inside[row] + barred[row]
            if step.state is None or math.isnan(total):  # it has ended; the sampler refuses NaN
                banned[row] = False
                continue
            end = outside[row] if self._pattern.accepts(step.state) else 0.0
            steps = self._steps[row]
            weight = step.weight + _log((inside[row] + end) / total)
            if weight - steps[max(0, len(steps) - WINDOW)].weight < LOG_LEAST:  # it is given up
                steps[-1] = Step(step.state, step.left, step.weight)
                banned[row], end = True, 1.0
            else:
                steps[-1] = Step(*step[:3], inside[row] / total, end / total)
            if end > 0:
                logits[row, -1] = math.log(end) + shift[row]
                banned[row, -1] = False
        np.putmask(logits, banned, -np.inf)

    def add(self, ids: NDArray[np.intp]) -> None:
        """Add the tokens that were sampled, [B]."""
        pattern, end = self._pattern, len(self._pattern.lengths) - 1
        lengths = pattern.lengths[ids].tolist()
        for row, (token, length) in enumerate(zip(ids.tolist(), lengths, strict=True)):
            steps = self._steps[row]
            step = steps[-1]
            after = None
            if token == end:
                self._note(row)
            elif step.state is not None:
                after = pattern.after(step.state, token)
            weight = step.weight + _log(step.inside + step.outside)
            steps.append(Step(after, step.left - length, weight))

    def _note(self, row: int) -> None:
        """Note the end of a text and its weight in its sample.

        Where a text could have ended but went on, into what turned out improbable, it may end after
        all: with the probability that corrects the choice made without that knowledge.
        """
        *steps, last = self._steps[row]
        sample, rng = self._samples[row], self._rngs[row]
        sample.kept = len(steps)
        value = _log(last.inside + last.outside)  # of what follows, as a logarithm
        for i in reversed(range(len(steps))):
            _, _, _, inside, outside = steps[i]
            on, end = _log(inside) + value, _log(outside)
            both = max(on, end) + math.log1p(math.exp(-abs(on - end))) if outside else on
            if outside:
                if sample.sampling.temperature == 0:
                    ends = end > on
                else:
                    ends = rng.random() >= math.exp(value + _log(inside + outside) - both)
                if ends:
                    sample.kept = i
            value = both
        sample.weight = value

    def take_back(self, row: int, count: int) -> None:
        """Forget the newest tokens of a stream."""
        del self._steps[row][-count:]

    def keep(self, rows: Sequence[bool]) -> None:
        """Keep only the streams for which `rows` is true, [B]."""
        self._samples = [*compress(self._samples, rows)]
        self._steps = [*compress(self._steps, rows)]
        self._rngs = [*compress(self._rngs, rows)]


def _sums(masses: Array, where: Mask) -> list[float]:
    sums: list[float] = np.add.reduce(masses, axis=1, dtype=np.float64, where=where).tolist()
    return sums


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _limit(length: int | None) -> int:
    return LENGTH if length is None else length


class MatchEnding:
    """Holds a text back until it matches; see stopping.Ending, whose part it plays.

    Args:
        sample: its sample, in which `Matching` notes where it ends.

    Attributes:
        why: "match" at the end of the text; None while it goes on.
        room: how many tokens may still come.
    """

    room = math.inf

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._tokens: list[str] = []
        self.why: str | None = None

    @property
    def held(self) -> str:
        """Return the text so far."""
        return "".join(self._tokens)

    def feed(self, tokens: Sequence[str]) -> tuple[str, int]:
        """Add tokens up to UNKNOWN, the end; return as Ending.feed does."""
        if self.why:
            return "", 0
        used = tokens.index(UNKNOWN) if UNKNOWN in tokens else len(tokens)
        self._tokens += tokens[:used]
        if used == len(tokens):
            return "", used
        self.why = "match"
        return "".join(self._tokens[: self._sample.kept]), used


def chosen(
    samples: Iterable[Sample],
    write: Callable[[Sequence[Sample]], Iterable[Part]],
    best_of: int,
    random_seed: int,
) -> Iterator[Part]:
    """Write texts that match; of several candidates for each, choose one.

    Args:
        samples: the texts to write; their progress is noted in them.
        write: yields the texts of candidates in parts; see batch.generate.
        best_of: candidates for each text.
        random_seed: with a sample's key, selects the random numbers of the choice.

    Yields:
        Each text in one part.

    Raises:
        UsageError: after ATTEMPTS attempts, no candidate for a text is probable enough.
    """
    rest = iter(samples)
    while waiting := [*islice(rest, max(1, TOGETHER // best_of))]:
        for attempt in range(ATTEMPTS):
            candidates = {
                Sample(
                    sample.seed,
                    _relaxed(sample.sampling) if attempt else sample.sampling,
                    (*sample.key, attempt, i),
                    sample.source,
                ): sample
                for sample in waiting
                for i in range(best_of << attempt)
            }
            found: dict[Sample, list[Part]] = defaultdict(list)
            for part in write([*candidates]):
                if part.last and part.sample.weight > -math.inf:
                    found[candidates[part.sample]].append(part)
            for sample, parts in found.items():
                yield _choose(sample, parts, random_seed)
            if not (waiting := [sample for sample in waiting if sample not in found]):
                break
        else:
            raise UsageError(
                f"match: the model gives this pattern a probability below {LEAST:g}",
                "allow more, or give a seed that leads to it",
                ["match"],
            )


def _relaxed(sampling: SamplingConfig) -> SamplingConfig:
    """Return controls that keep to what the model finds likely, and leave no token out."""
    dropped: dict[str, Any] = {name: None for name, row in FILTERS.items() if row.drops}
    return replace(
        sampling, temperature=max(1.0, sampling.temperature), no_repeat_ngram=None, **dropped
    )


def _choose(sample: Sample, parts: Sequence[Part], random_seed: int) -> Part:
    """Choose a candidate in proportion to the probability that its steps gave to the pattern."""
    weights = np.array([part.sample.weight for part in parts])
    p = np.exp(weights - weights.max())
    rng = np.random.default_rng(np.random.SeedSequence(random_seed, spawn_key=sample.key))
    part = parts[rng.choice(len(parts), p=p / p.sum())]
    sample.why, sample.weight = part.sample.why, part.sample.weight
    sample.tokens = sample.kept = part.sample.kept
    sample.logp = 0.0 if part.nats is None else -float(part.nats.sum(dtype=np.float64))
    return part._replace(sample=sample)
