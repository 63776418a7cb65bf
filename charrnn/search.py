"""Words that a network finds likely: a beam over its tokens, up to the word's end."""

import math
import re
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from charrnn.cells import Array
from charrnn.engine import Engine, log_softmax
from charrnn.ngram import LAST_CODE_POINT
from charrnn.tokenizer import Ids, Tokenizer, is_half
from charrnn.words import JOINERS, LETTER, MARKS, is_unspaced

HALVES = "\udc80-\udcff"  # bytes of characters that are not complete
IN_WORD = re.compile(rf"(?:{LETTER}|[{MARKS}{JOINERS}])*[{HALVES}]{{0,3}}")
NEVER_FIRST = JOINERS + MARKS  # in a word
MAX_LENGTH = 64  # characters in a suggestion
KNOWN = 4  # states whose next tokens are kept: of the word, after it, and after a space
UNLIKELY = 1e-3  # probability of a beginning under which it is not followed
SMALLEST = 1e-30


class Reader:
    """The state after a text, kept for its last tokens, so that a key costs a step.

    Args:
        engine: reads.
        start: the state before any text, [L, S, 1, H].
        keep: states that are kept; going back further reads again from the start.
    """

    def __init__(self, engine: Engine, start: Array, keep: int = 512) -> None:
        self._engine = engine
        self._keep = keep
        self._ids: Ids = np.zeros(0, np.int32)
        self._start = start
        self._states = [start]  # after the first N - len + 1 ... N of the N ids

    def state(self, ids: Ids) -> Array:
        """The state after `ids`, [L, S, 1, H]."""
        shorter = min(len(ids), len(self._ids))
        differ = np.flatnonzero(ids[:shorter] != self._ids[:shorter])
        same = int(differ[0]) if len(differ) else shorter
        stale = len(self._ids) - same
        if stale >= len(self._states):
            same, self._states = 0, [self._start]
        elif stale:
            del self._states[-stale:]
        unread = ids[same:]
        skipped = max(0, len(unread) - self._keep)
        if skipped:
            self._states = [self._engine.read(unread[:skipped], self._states[-1])]
        for i in range(skipped, len(unread)):
            self._states.append(self._engine.step(unread[i : i + 1], self._states[-1]))
        del self._states[: -2 * self._keep]
        self._ids = ids
        return self._states[-1]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text that is pursued.

    Attributes:
        need: end of the typed text that its tokens have yet to spell.
        text: what it would insert after the typed text; it may end in half a character.
        score: its log-probability, nats.
        wanted: the tokens still to come of texts that are asked for.
    """

    need: str
    text: str
    score: float
    wanted: tuple[tuple[int, ...], ...] = ()

    def is_word(self, within: bool) -> bool:
        """Whether the text is, so far, a word or, if `within` one, part of it."""
        if not self.text:
            return True
        begins = within or self.text[0] not in NEVER_FIRST
        return begins and len(self.text) < MAX_LENGTH and bool(IN_WORD.fullmatch(self.text))

    @property
    def wanted_next(self) -> set[int]:
        """The next tokens of those texts."""
        return {way[0] for way in self.wanted if way}

    def is_whole(self, parent: "Hypothesis", within: bool) -> bool:
        """Whether the last token made it a word, of which nothing longer is asked for."""
        new = bool(self.text or within) and not parent.text
        spelled = new and not self.need and not self.wanted_next
        return spelled and self.is_word(within) and may_end(self.text)


def may_end(text: str) -> bool:
    """Whether a word, or the rest of one, may end so: with no joiner and no half character."""
    return not text or not (text[-1] in JOINERS or is_half(text[-1]))


class WordSearch:
    """Finds how words may end, or begin and end, after what was typed.

    Args:
        start: the state before any text, [L, S, 1, H].
        beam: texts pursued at once, besides those asked for.
    """

    def __init__(self, engine: Engine, tokenizer: Tokenizer, start: Array, beam: int) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._reader = Reader(engine, start)
        self._beam = beam
        # The last states that were asked about, and what may come next.
        self._known: deque[tuple[Array, Array]] = deque(maxlen=KNOWN)
        tokens = tokenizer.tokens[:-1]
        self._ids = {token: i for i, token in enumerate(tokens)}
        self._sorted = sorted(tokens)
        self._sorted_ids = np.array([self._ids[token] for token in self._sorted], np.int32)
        inside = np.array([IN_WORD.fullmatch(token) is not None for token in tokens], bool)
        self._inside = np.flatnonzero(inside).astype(np.int32)
        self._never_first = np.array([tokens[i][0] in NEVER_FIRST for i in self._inside], bool)
        unspaced = {i: token[0] for i, token in enumerate(tokens) if is_unspaced(token)}
        self._unspaced = np.array([*unspaced], int)  # tokens; and the characters they begin with
        self._firsts, self._first_of = np.unique([*unspaced.values()], return_inverse=True)
        self._ends_word = np.flatnonzero(~inside)
        self._spaced = np.array([i for i, token in enumerate(tokens) if token[0] == " "], int)

    def search(self, typed: str, half: str, wanted: Iterable[str], k: int) -> dict[str, float]:
        """Probabilities that the text goes on so and that its word then ends.

        Args:
            typed: all the text so far.
            half: the word at its end that goes on; if empty, a word begins.
            wanted: texts, without the half word, whose probabilities are asked for.
            k: the likeliest ones that are sure to be among those found; any but "" are words.
        """
        unfinished = self._tokenizer.unfinished(typed)
        found, mass = self._search(typed, unfinished, bool(half), [*wanted], k)
        if not mass:  # no token can spell it: it is read as it stands
            found, mass = self._search(typed, "", bool(half), [*wanted], k)
        return {text: p / mass for text, p in found.items()} if mass else {}

    def space(self, typed: str) -> float:
        """The probability that a space comes next."""
        ids = self._tokenizer.known(self._tokenizer.encode(typed))
        ended = 1.0
        if self._tokenizer.unfinished(typed) and ids[-1] != self._tokenizer.unknown_id:
            # The last token is complete if nothing longer begins like it.
            p = np.exp(self._next(self._reader.state(ids[:-1]))[0])
            _, longer = self._spell(self._tokenizer.tokens[ids[-1]])
            ended = float(p[ids[-1]] / max(SMALLEST, p[longer].sum()))
        return ended * float(np.exp(self._next(self._reader.state(ids))[0, self._spaced]).sum())

    def _state(self, text: str) -> Array:
        return self._reader.state(self._tokenizer.known(self._tokenizer.encode(text)))

    def _next(self, state: Array) -> Array:
        """Log-probabilities of the next token after a state of the reader's, [1, V].

        While a word is typed they stay the same, and of many words they take long to find.
        """
        for known, logp in self._known:
            if known is state:
                return logp
        logp = self._logp(state)
        self._known.append((state, logp))
        return logp

    def _logp(self, state: Array) -> Array:
        logits = self._engine.logits(state)
        logits[:, self._tokenizer.unknown_id] = -np.inf
        return log_softmax(logits)

    def _search(
        self, typed: str, unfinished: str, within: bool, wanted: list[str], k: int
    ) -> tuple[dict[str, float], float]:
        """Words that may follow and their probabilities, and that of the unfinished end."""
        state = self._state(typed.removesuffix(unfinished))
        next_logp = self._next(state)
        paths = tuple(tuple(self._tokenizer.encode(unfinished + text).tolist()) for text in wanted)
        beam = [Hypothesis(unfinished, "", 0.0, paths)]
        mass = 0.0 if unfinished else 1.0
        found: defaultdict[str, float] = defaultdict(float)
        while beam:
            # Of each text with one token more, [B, V].
            logp = next_logp + np.array([[h.score] for h in beam], np.float32)
            ends = np.exp(logp[:, self._ends_word]).sum(axis=1).tolist()
            follow = logp[:, self._inside]
            rows, ids = [np.zeros(0, np.intp)], [np.zeros(0, np.int32)]
            for row, (hypothesis, end) in enumerate(zip(beam, ends, strict=True)):
                if hypothesis.need:
                    agree, spelled = self._spell(hypothesis.need)
                    mass += float(np.exp(logp[row, spelled]).sum())
                    follow[row] = -np.inf
                    rows.append(np.full(len(agree), row))
                    ids.append(agree)
                elif not hypothesis.text and not within:
                    follow[row, self._never_first] = -np.inf
                    p = np.bincount(self._first_of, np.exp(logp[row, self._unspaced]))
                    for i in np.flatnonzero(p > UNLIKELY * math.exp(hypothesis.score)):
                        found[str(self._firsts[i])] += p[i]
                elif may_end(hypothesis.text):
                    found[hypothesis.text] += end
            words = sorted(p for text, p in found.items() if text)
            floor = max(UNLIKELY * mass, SMALLEST)
            # A longer text is never likelier than its beginning, so the rest cannot get in.
            least = max(floor, words[-k]) if len(words) >= k else floor
            likely = np.nonzero(follow > math.log(least))
            row_of = np.concatenate([*rows, likely[0]])
            token_of = np.concatenate([*ids, self._inside[likely[1]]])
            scores = logp[row_of, token_of]
            best = np.argsort(-scores, kind="stable")[: max(self._beam, 2 * k)]
            best = best[scores[best] > math.log(floor)]
            chosen = [*zip(row_of[best].tolist(), token_of[best].tolist(), strict=True)]
            chosen += [
                (row, token)
                for row, hypothesis in enumerate(beam)
                for token in hypothesis.wanted_next
                if token < self._tokenizer.unknown_id and logp[row, token] > math.log(floor)
            ]
            rows, tokens, children = [], [], []
            for row, token in dict.fromkeys(chosen):
                parent = beam[row]
                child = self._followed(parent, token, float(logp[row, token]))
                before = child.text[:-1]
                # A token that begins a word, not one that goes on where others have spelled.
                begins = parent.need == unfinished if parent.need else not within
                if self._tokenizer.whole_words and begins and child.is_whole(parent, within):
                    found[child.text] += math.exp(child.score)
                elif child.is_word(within):
                    rows.append(row)
                    tokens.append(token)
                    children.append(child)
                elif not within and is_unspaced(child.text):
                    found[child.text[0]] += math.exp(child.score)
                elif len(child.text) <= len(parent.text) and (before or within) and may_end(before):
                    # It became a whole character, and one that ends the word.
                    found[before] += math.exp(child.score)
            beam = children
            if beam:
                state = self._engine.step(np.array(tokens), state[:, :, rows])
                next_logp = self._logp(state)
        return found, mass

    def _spell(self, need: str) -> tuple[Ids, Ids]:
        """Tokens that agree with the typed text `need`; of them, those that spell all of it."""
        first = bisect_left(self._sorted, need)
        last = bisect_left(self._sorted, need + LAST_CODE_POINT)
        spelled = self._sorted_ids[first:last]
        spaced = not is_unspaced(need[-1])
        if self._tokenizer.whole_words and spaced and len(spelled):  # then no parts spell it
            return spelled, spelled
        parts = [self._ids[need[:n]] for n in range(1, len(need)) if need[:n] in self._ids]
        return np.concatenate([spelled, np.array(parts, np.int32)]), spelled

    def _followed(self, hypothesis: Hypothesis, token: int, score: float) -> Hypothesis:
        """A text with one token more, of which `score` is the log-probability."""
        need = hypothesis.need
        spelled = self._tokenizer.tokens[token]
        text = self._tokenizer.read(hypothesis.text + spelled[len(need) :])
        wanted = tuple(way[1:] for way in hypothesis.wanted if way[:1] == (token,))
        return Hypothesis(need[len(spelled) :], text, score, wanted)
