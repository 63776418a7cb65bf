"""Finds the words that are missing in a text: those that fit both what precedes and what follows.

A candidate is as likely as the text that it completes. A network that reads forwards gives this
exactly: it reads what precedes the gap once, then each candidate together with what follows.
Several gaps are filled from left to right by a beam search over the whole text.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats
from charrnn.errors import UsageError
from charrnn.network import blas
from charrnn.network.engine import Engine, State, log_softmax
from charrnn.suggestions.trigram_source import best
from charrnn.suggestions.trigrams import Trigrams
from charrnn.suggestions.word_search import SMALLEST, WordSearch
from charrnn.text.words import LONGEST_WORD, WORD, is_unspaced, partial_word
from charrnn.tokenizer import ESCAPE_NATS, Tokenizer

GAP = re.compile("_{3,}")  # what marks a gap
LEFT = 4000  # maximum characters read before a gap (not tuned)
TAIL = 4 * LONGEST_WORD  # characters before a gap in which words are looked for
# Characters after a gap that are read between checks of which candidates are still possible; 120
# in all. With 56 of 504, the probabilities of nine gaps in ten changed by at most 0.0001.
BLOCKS = (8, 16, 32, 64)
# Probabilities that change by less in a block of at least so many characters are final (not tuned).
SETTLED, SETTLING = 0.001, 16
HOPELESS = 10.0  # nats by which a candidate is less likely than the best one, not to be read on
CANDIDATES = 64  # candidates from the network, and as many from the trigrams (not tuned)
MOST = 256  # maximum number of them, if more fillings are asked for (not tuned)
FEWEST = 12  # minimum number of them for each of several versions of the text (not tuned)
FLOOR = 1e-5  # minimum probability of the network's candidates (not tuned)
BEAM = 8  # versions of a text with several gaps that are pursued in parallel (not tuned)
PHRASES = 8  # beginnings of phrases that are pursued in parallel (not tuned)
# Matches a text after which a sentence begins.
SENTENCE_END = re.compile(r"""(?:\A|[.!?…]|\n)[\s"'“‘(]*\Z""")

Tell = Callable[[float], None]  # called with the number of gaps filled since the last call


@dataclass(frozen=True, slots=True)
class Filling:
    """What may fill the gaps of a text.

    Attributes:
        words: The word or phrase for each gap.
        p: Its probability among all candidates considered.
    """

    words: tuple[str, ...]
    p: float


class _Versions(NamedTuple):
    """Versions of a text, B of them, each read up to the same place.

    Attributes:
        state: The network's state after each, but for its `ends`.
        ends: The end of each that is not read yet, as its tokens may change.
        tails: The last characters of each.
        filled: The words in the gaps of each.
        logp: Log-probability (nats) of each, from the first gap on, float64 [B].
    """

    state: State
    ends: list[str]
    tails: list[str]
    filled: list[tuple[str, ...]]
    logp: Floats

    def take(self, rows: Sequence[int]) -> "_Versions":
        """Return some of them, in that order."""
        ends, tails = [self.ends[i] for i in rows], [self.tails[i] for i in rows]
        filled = [self.filled[i] for i in rows]
        return _Versions(self.state.take(rows), ends, tails, filled, self.logp[rows])


class _Option(NamedTuple):
    """A candidate for a gap.

    Attributes:
        row: The version of the text that it continues.
        words: The word or phrase.
        logp: Log-probability (nats) of the text up to its end, if nothing follows.
    """

    row: int
    words: str
    logp: float


def parts(text: str, gap: str | None = None) -> list[str]:
    """Return what is before, between and after the gaps of a text.

    Args:
        text: The text.
        gap: What marks a gap, once or several times in a row; None for three or more underscores.

    Raises:
        UsageError: The text has no gap, or `gap` is empty.
    """
    if gap == "":
        raise UsageError("gap must not be empty", "for example ???", ["gap"])
    marks = GAP if gap is None else re.compile(f"(?:{re.escape(gap)})+")
    found = marks.split(text)
    if len(found) == 1:
        raise UsageError(
            "the text has no gap",
            f"write {'___' if gap is None else gap} for each missing word",
        )
    return found


class MissingWords:
    """Fills the gaps of texts.

    Args:
        engine: The network.
        tokenizer: Its tokenizer.
        start: State before any text.
        trigrams: Trigrams of the training text.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, start: State, trigrams: Trigrams
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._start = start
        self._trigrams = trigrams
        self._search = WordSearch(engine, tokenizer, start, CANDIDATES)

    def fill(
        self, parts: Sequence[str], k: int, length: int = 1, tell: Tell = lambda _: None
    ) -> list[Filling]:
        """Return the `k` likeliest fillings of the gaps in a text, best first.

        Args:
            parts: What is before, between and after the gaps.
            k: Maximum number of fillings.
            length: Maximum words in a gap. At the end of a text a phrase has as many, as nothing
                tells where it ends.
            tell: Called with the number of gaps filled since the last call.

        Raises:
            TextError: The text is not valid Unicode.
        """
        versions = self._begun(parts[0])
        for i, right in enumerate(parts[1:], 2):
            options = self._options(versions, right, min(max(CANDIDATES, k), MOST), length)
            if not options:
                return []
            versions = self._continued(versions, options, right, i == len(parts), k)
            tell(1)
        p = _shares(versions.logp)
        ranking = np.argsort(-p, kind="stable")[:k].tolist()
        return [Filling(versions.filled[i], float(p[i])) for i in ranking]

    def following(self, left: str) -> list[str]:
        """Return the words that may come next by what precedes them alone, the likeliest first."""
        words = self._words(self._begun(left), 0, "", CANDIDATES)
        return sorted(words, key=words.__getitem__, reverse=True)

    def _begun(self, left: str) -> _Versions:
        """Return the text before the first gap, read."""
        left = left[-LEFT:]
        end = self._tokenizer.unfinished(left)
        ids = self._tokenizer.known(self._tokenizer.encode(left.removesuffix(end)))
        state = self._engine.read(ids, self._start)
        return _Versions(state, [end], [left[-TAIL:]], [()], np.zeros(1))

    def _continued(
        self,
        versions: _Versions,
        options: Sequence[_Option],
        right: str,
        last: bool,
        k: int,
    ) -> _Versions:
        """Return the versions that options make, read up to the end of `right`, the best ones.

        Args:
            versions: The text up to the gap.
            options: The candidates.
            right: What follows the gap, up to the next one.
            last: Whether there is no further gap.
            k: Number of versions to keep in any case.
        """
        rows = [option.row for option in options]
        filled = [(*versions.filled[option.row], option.words) for option in options]
        versions = versions.take(rows)._replace(filled=filled)
        if not right:
            return versions._replace(logp=np.array([option.logp for option in options]))
        read, added = 0, [option.words for option in options]
        for size in BLOCKS:
            block = right[read : read + size]
            read += len(block)
            ended = read == len(right)
            after = self._read(versions, [words + block for words in added], last and ended)
            change = np.abs(_shares(after.logp) - _shares(versions.logp)).max()
            settled = len(block) >= SETTLING and change < SETTLED
            versions = after.take(_hopeful(after.logp, k))
            added = [""] * len(versions.ends)
            if ended or settled:
                break
        if last:
            return versions
        versions = versions.take(np.argsort(-versions.logp, kind="stable")[:BEAM].tolist())
        return self._skipped(versions, right[read:]) if read < len(right) else versions

    def _read(self, versions: _Versions, added: Sequence[str], last: bool = False) -> _Versions:
        """Return versions of the text with more text, read and scored in parallel.

        Args:
            versions: The versions so far.
            added: What each goes on with.
            last: Whether nothing follows, so that the end is read too.
        """
        encode, unfinished = self._tokenizer.encode, self._tokenizer.unfinished
        whole = [end + text for end, text in zip(versions.ends, added, strict=True)]
        ends = ["" if last else unfinished(text) for text in whole]
        ids = [encode(text.removesuffix(end)) for text, end in zip(whole, ends, strict=True)]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        lengths = np.array([len(ids[i]) for i in order], int)
        ids_tb = np.zeros((lengths.max(initial=0), len(ids)), np.int32)
        logp = np.zeros(len(ids))
        for column, i in enumerate(order):
            ids_tb[: len(ids[i]), column] = self._tokenizer.known(ids[i])
            logp[column] -= ESCAPE_NATS * int((ids[i] >= self._tokenizer.vocab_size).sum())
        state = versions.state.take(order)
        with blas.threads(1, 0):  # on a busy machine, two would wait for each other
            for t, ids_b in enumerate(ids_tb):
                going = int((lengths > t).sum())  # shorter ones have ended
                now, before = ids_b[:going], state.take(slice(going))
                logits = log_softmax(self._engine.logits(before))
                logp[:going] += np.take_along_axis(logits, now[:, None], 1)[:, 0]
                state.replace(slice(going), self._engine.step(now, before))
        back = np.argsort(order)
        tails = [(tail + text)[-TAIL:] for tail, text in zip(versions.tails, added, strict=True)]
        return _Versions(state.take(back), ends, tails, versions.filled, versions.logp + logp[back])

    def _skipped(self, versions: _Versions, rest: str) -> _Versions:
        """Return the versions after a text that no longer depends on their words.

        It is read once, after the likeliest version.
        """
        text = (versions.ends[0] + rest)[-LEFT:]
        end = self._tokenizer.unfinished(text)
        ids = self._tokenizer.known(self._tokenizer.encode(text.removesuffix(end)))
        count = len(versions.ends)
        state = self._engine.read(ids, versions.state.take([0])).repeat(count)
        tails = [text[-TAIL:]] * count
        return versions._replace(state=state, ends=[end] * count, tails=tails)

    def _options(self, versions: _Versions, right: str, count: int, length: int) -> list[_Option]:
        """Return the candidates for a gap; at least `count` of the network, if it has as many."""
        several = len(versions.ends)
        count = count if several == 1 else max(FEWEST, count // several)
        return [
            _Option(row, words, logp)
            for row in range(several)
            for words, logp in dict(self._phrases(versions, row, right, count, length)).items()
            if right or logp > -math.inf
        ]

    def _phrases(
        self, versions: _Versions, row: int, right: str, count: int, length: int
    ) -> Iterator[tuple[str, float]]:
        """Yield candidates of up to `length` words, with their log-probabilities as in _Option."""
        rows, begun = [row], [""]
        for words_left in range(length, 0, -1):
            for at, phrase in zip(rows, begun, strict=True):
                if right or words_left == 1:
                    found = self._words(versions, at, right, count)
                    yield from ((phrase + word, logp) for word, logp in found.items())
            if words_left == 1:
                break
            longer = (
                (logp, at, phrase, word)
                for at, phrase in zip(rows, begun, strict=True)
                for word, logp in self._words(versions, at, "", count).items()
            )
            if not (first := nlargest(PHRASES, longer)):
                break
            added = [word if is_unspaced(word[-1]) else f"{word} " for *_, word in first]
            versions = self._read(versions.take([at for _, at, *_ in first]), added)
            begun = [phrase + word for (*_, phrase, _), word in zip(first, added, strict=True)]
            rows = [*range(len(begun))]
            count = max(FEWEST, count // PHRASES)

    def _words(self, versions: _Versions, row: int, right: str, count: int) -> dict[str, float]:
        """Return candidates for the next word, or the rest of the word.

        Args:
            versions: The text up to the gap.
            row: Which version.
            right: What follows the gap; if it begins with letters, they belong to the word.
            count: Number of candidates from the network, and as many from the trigrams.

        Returns:
            The log-probability (nats) of each together with the text before it, and, unless letters
            follow, with the word's end; -inf for words of the trigrams if anything follows.
        """
        tail, unfinished = versions.tails[row], versions.ends[row]
        partial, suffix = partial_word(tail), _rest(right)
        others = self._from_trigrams(tail, partial, right, suffix, count)
        state = versions.state.take([row])
        wanted = [] if right else others
        within, ends = bool(partial), not suffix
        pursue = self._search.pursue
        found = pursue(state, unfinished, within, wanted, count, ends, FLOOR)
        if not found.mass:  # no token spells the unfinished end: read it as it is
            ids = self._tokenizer.known(self._tokenizer.encode(unfinished))
            state = self._engine.read(ids, state)
            found = pursue(state, "", within, wanted, count, ends, FLOOR)
        likely = nlargest(count, ((p, text) for text, p in found.p.items() if text))
        words = {text: p for p, text in likely}
        words |= {text: found.p.get(text, 0.0) for text in others}
        before = float(versions.logp[row])
        return {
            text: before + math.log(p) if p > SMALLEST else -math.inf for text, p in words.items()
        }

    def _from_trigrams(
        self, tail: str, partial: str, right: str, suffix: str, count: int
    ) -> list[str]:
        """Return the rest of the words of the training text that fit between two texts best."""
        before = tail.removesuffix(partial)
        p = self._trigrams.between(before, right.removeprefix(suffix))
        first = SENTENCE_END.search(before) is not None
        found: list[str] = []
        for beginning in dict.fromkeys([partial, partial.lower() if first else partial]):
            some = self._trigrams.starting_with(beginning)
            ids = np.arange(some.start, some.stop)
            if suffix:
                shortest = len(beginning) + len(suffix)
                ids = np.array([i for i in ids if self._ends(i, suffix, shortest)], int)
            tokens = [self._trigrams.tokens[ids[i]] for i in best(p[ids], count)]
            found += [token[len(beginning) : len(token) - len(suffix)] for token in tokens]
        if first and not partial:
            found += [text[0].upper() + text[1:] for text in found]
        return [*dict.fromkeys(found)]

    def _ends(self, i: int, suffix: str, shortest: int) -> bool:
        token = self._trigrams.tokens[i]
        return token.endswith(suffix) and len(token) > shortest


def _rest(right: str) -> str:
    """Return the end of a word with which a text begins, or "" if a gap before it ends a word."""
    word = WORD.match("x" + right[:LONGEST_WORD])
    return word[0][1:] if word else ""


def _shares(logp: Floats) -> Floats:
    """Return the share of each version in the probability of all."""
    p = np.exp(logp - logp.max())
    shares: Floats = p / p.sum()
    return shares


def _hopeful(logp: Floats, k: int) -> list[int]:
    """Return the indices of the versions to read on: the `k` best, and those close to the best."""
    order = np.argsort(-logp, kind="stable")
    close = int((logp > logp.max() - HOPELESS).sum())
    hopeful: list[int] = np.sort(order[: max(k, close)]).tolist()
    return hopeful
