"""From what was typed to ranked next words, whole words from a character model too."""

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from charrnn.cells import Array
from charrnn.engine import Engine, log_softmax
from charrnn.sampling import Mask
from charrnn.text import JOINERS, WORD
from charrnn.tokenizer import Ids, Tokenizer

IN_WORD = re.compile(rf"(?:[^\W_]|[{JOINERS}])+")
SPACED = re.compile(rf" {IN_WORD.pattern}| ")

LAST_CODE_POINT = "\U0010ffff"
MAX_LENGTH = 64  # characters in a suggestion


@dataclass(frozen=True, slots=True)
class Completion:
    """A suggestion.

    Attributes:
        text: what would be inserted after the typed text, with a leading space where one is due.
        p: probability that the text goes on exactly so, to the end of that word.
    """

    text: str
    p: float


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
    """A text that the beam pursues.

    Attributes:
        need: end of the typed text that its tokens have yet to spell.
        text: what it would insert after the typed text.
        score: its log-probability, nats.
    """

    need: str
    text: str
    score: float

    def followed_by(self, token: str, score: float) -> "Hypothesis":
        spelled = len(self.need)
        return Hypothesis(self.need[len(token) :], self.text + token[spelled:], score)

    def is_word(self) -> bool:
        """Whether the text is, so far, a word or part of one, maybe after a space."""
        word = self.text.removeprefix(" ")
        return len(self.text) < MAX_LENGTH and (not word or IN_WORD.fullmatch(word) is not None)

    def ends_in_word(self) -> bool:
        return WORD.search(self.text) is not None and self.text[-1] not in JOINERS


class Completer:
    """Ranks the words that may come next, by a beam over tokens up to the word's end.

    Args:
        start: the state before any text, [L, S, 1, H].
        beam: texts pursued at once.
    """

    def __init__(self, engine: Engine, tokenizer: Tokenizer, start: Array, beam: int = 12) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._reader = Reader(engine, start)
        self._beam = beam
        tokens = tokenizer.tokens[:-1]
        self._ids = {token: i for i, token in enumerate(tokens)}
        self._sorted = sorted(tokens)
        self._sorted_ids = np.array([self._ids[token] for token in self._sorted], np.int32)
        inside = np.array([IN_WORD.fullmatch(token) is not None for token in tokens] + [False])
        letter = np.array([token[0] not in JOINERS for token in tokens] + [False])
        spaced = np.array([SPACED.fullmatch(token) is not None for token in tokens] + [False])
        # What may follow: inside a word, at a word's start, there or after one space.
        self._inside: Mask = inside
        self._at_start: Mask = inside & letter
        self._spaced: Mask = spaced
        self._ends_word: Mask = ~inside
        self._ends_word[tokenizer.unknown_id] = False

    def complete(self, typed: str, k: int = 3) -> list[Completion]:
        """The `k` likeliest ways to end the word being typed, or the next one, the best first.

        Args:
            typed: all the text so far; its last word may be half typed.
            k: completions at the most.
        """
        unfinished = self._tokenizer.unfinished(typed)
        found, typed_mass = self._search(typed, unfinished, k)
        if not typed_mass:  # no token can spell it: it is read as it stands
            found, typed_mass = self._search(typed, "", k)
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:k]
        return [Completion(text, min(1.0, p / typed_mass)) for text, p in ranked if p > 0]

    def _search(self, typed: str, unfinished: str, k: int) -> tuple[dict[str, float], float]:
        """Words that may follow and their probabilities, and that of the unfinished end."""
        ids = self._tokenizer.known(self._tokenizer.encode(typed.removesuffix(unfinished)))
        state = self._reader.state(ids)
        beam = [Hypothesis(unfinished, "", 0.0)]
        typed_mass = 0.0 if unfinished else 1.0
        found: defaultdict[str, float] = defaultdict(float)
        while beam:
            logits = self._engine.logits(state)
            logits[:, self._tokenizer.unknown_id] = -np.inf
            logp = log_softmax(logits)
            options: list[tuple[Ids, Array]] = []
            for hypothesis, after in zip(beam, logp, strict=True):
                if hypothesis.need:
                    follow, spelled = self._spell(hypothesis.need)
                    typed_mass += float(np.exp(after[spelled] + hypothesis.score).sum())
                else:
                    if hypothesis.ends_in_word():
                        ends = np.exp(after[self._ends_word], dtype=np.float64).sum()
                        found[hypothesis.text] += float(ends * np.exp(hypothesis.score))
                    follow = np.flatnonzero(self._may_follow(typed, hypothesis.text)).astype(
                        np.int32
                    )
                options.append((follow, after[follow] + hypothesis.score))
            # A longer text is never likelier than its beginning, so the rest cannot get in.
            least = sorted(found.values())[-k] if len(found) >= k else 0.0
            state, beam = self._advance(state, beam, options, least, max(self._beam, 2 * k))
        return found, typed_mass

    def _spell(self, need: str) -> tuple[Ids, Ids]:
        """Tokens that agree with the typed text `need`; of them, those that spell all of it."""
        first = bisect_left(self._sorted, need)
        last = bisect_left(self._sorted, need + LAST_CODE_POINT)
        spelled = self._sorted_ids[first:last]
        parts = [self._ids[need[:n]] for n in range(1, len(need)) if need[:n] in self._ids]
        return np.concatenate([spelled, np.array(parts, np.int32)]), spelled

    def _may_follow(self, typed: str, text: str) -> Mask:
        """Which tokens can go on a suggestion, [V]: one word, after one space where none is."""
        if text.strip():
            return self._inside
        last = text or typed[-1:]
        if not last or last.isspace():
            return self._at_start
        return (self._inside if IN_WORD.fullmatch(last) else self._at_start) | self._spaced

    def _advance(
        self,
        state: Array,
        beam: list[Hypothesis],
        options: list[tuple[Ids, Array]],
        least: float,
        width: int,
    ) -> tuple[Array, list[Hypothesis]]:
        """Read the `width` likeliest options; those under the probability `least` are dropped."""
        rows = np.repeat(np.arange(len(beam)), [len(follow) for follow, _ in options])
        ids = np.concatenate([follow for follow, _ in options])
        scores = np.concatenate([score for _, score in options])
        enough = np.flatnonzero(np.exp(scores, dtype=np.float64) > least)
        best = enough[np.argsort(-scores[enough], kind="stable")[:width]]
        children = [
            beam[row].followed_by(self._tokenizer.tokens[token], score)
            for row, token, score in zip(
                rows[best].tolist(), ids[best].tolist(), scores[best].tolist(), strict=True
            )
        ]
        valid = [i for i, child in enumerate(children) if child.is_word()]
        if not valid:
            return state, []
        best = best[valid]
        return self._engine.step(ids[best], state[:, :, rows[best]]), [children[i] for i in valid]
