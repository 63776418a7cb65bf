"""Find the words that a network expects: beam search over its tokens, up to the word's end."""

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from charrnn.arrays import Array, Floats, Ids
from charrnn.network.engine import Engine, State
from charrnn.suggestions.adaptive_network import AdaptiveNetwork
from charrnn.text.blocks import chunks
from charrnn.text.words import JOINERS, LAST_CODE_POINT, LETTER, MARKS, is_unspaced
from charrnn.tokenizer import Tokenizer, is_half

PARTIAL_BYTES = "\udc80-\udcff"  # bytes of incomplete characters, as code points
# Matches text that lies within a word.
IN_WORD = re.compile(rf"(?:{LETTER}|[{MARKS}{JOINERS}])*[{PARTIAL_BYTES}]{{0,3}}")
NEVER_FIRST = JOINERS + MARKS  # characters that cannot begin a word
MAX_LENGTH = 64  # maximum length of a suggestion in characters (not tuned)
ENCODED_BLOCK = 512  # characters encoded in one piece and kept (not tuned)
UNLIKELY = 1e-3  # minimum probability of a hypothesis, relative to the typed text (not tuned)
SMALLEST = 1e-30  # lower bound of a probability, to take its logarithm


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A continuation in the beam.

    Attributes:
        need: End of the typed text that its tokens have yet to spell.
        text: What it would insert after the typed text; may end in a partial character.
        score: Its log-probability (nats).
        wanted: Remaining tokens of each completion asked for.
    """

    need: str
    text: str
    score: float
    wanted: tuple[tuple[int, ...], ...] = ()

    def is_word(self, within: bool) -> bool:
        """Return whether the text so far is a word, or part of one if `within`."""
        if not self.text:
            return True
        begins = within or self.text[0] not in NEVER_FIRST
        return begins and len(self.text) < MAX_LENGTH and bool(IN_WORD.fullmatch(self.text))

    @property
    def wanted_next(self) -> set[int]:
        """The next token of each completion asked for."""
        return {path[0] for path in self.wanted if path}

    def is_whole(self, parent: "Hypothesis", within: bool) -> bool:
        """Return whether its last token made it a word, and no longer word is wanted."""
        new = bool(self.text or within) and not parent.text
        spelled = new and not self.need and not self.wanted_next
        return spelled and self.is_word(within) and may_end(self.text)


@dataclass(slots=True)
class Found:
    """What a search has found so far.

    Attributes:
        mass: Total probability of spelling the unfinished last token.
        floor: Minimum probability of a hypothesis, relative to the typed text.
        ends: Whether a completion must end the word; if not, letters may follow it.
        p: Joint probability of that token and each completion; divide by `mass`.
    """

    mass: float
    floor: float
    ends: bool = True
    p: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


def may_end(text: str) -> bool:
    """Return whether a word, or its rest, may end here: not after a joiner or half a character."""
    return not text or not (text[-1] in JOINERS or is_half(text[-1]))


class WordSearch:
    """Finds how the partial word may end, or which word may come next.

    Args:
        engine: The network.
        tokenizer: Its tokenizer.
        start: State before any text.
        beam: Hypotheses pursued in parallel, besides those asked for.
        rate: Learning rate at which the network adapts to the typed text.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, start: State, beam: int, rate: float = 0.0
    ) -> None:
        self._tokenizer = tokenizer
        self._network = AdaptiveNetwork(engine, start, tokenizer.unknown_id, rate)
        self._encoded, self._encoded_ids = "", tokenizer.encode("")
        self._beam = beam
        tokens = tokenizer.tokens[:-1]
        self._ids = {token: i for i, token in enumerate(tokens)}
        self._sorted = sorted(tokens)
        self._sorted_ids = np.array([self._ids[token] for token in self._sorted], np.int32)
        inside = np.array([IN_WORD.fullmatch(token) is not None for token in tokens], bool)
        self._inside = np.flatnonzero(inside).astype(np.int32)
        self._never_first = np.array([tokens[i][0] in NEVER_FIRST for i in self._inside], bool)
        unspaced = {i: token[0] for i, token in enumerate(tokens) if is_unspaced(token)}
        self._unspaced = np.array([*unspaced], int)
        # The distinct first characters of those tokens, and each token's index in them.
        self._firsts, self._first_of = np.unique([*unspaced.values()], return_inverse=True)
        self._ends_word = np.flatnonzero(~inside)
        self._spaced = np.array([i for i, token in enumerate(tokens) if token[0] == " "], int)

    def fork(self) -> Self:
        """Return a copy that searches beyond the text last read, without adapting further."""
        other = copy(self)
        other._network = self._network.fork()
        return other

    def read(self, typed: str) -> int:
        """Read a text; return a number that changes whenever the network adapts."""
        unfinished = self._tokenizer.unfinished(typed)
        self._network.state(self._encode(typed.removesuffix(unfinished)))
        return self._network.updates

    def search(self, typed: str, partial: str, wanted: Iterable[str], k: int) -> dict[str, float]:
        """Return each completion's probability: that it comes next and that the word then ends.

        Args:
            typed: All the text so far.
            partial: The partial word at its end; if empty, a word begins.
            wanted: Completions to compute probabilities for in any case.
            k: Number of most likely completions to find; a narrow beam may miss some.

        Returns:
            Probability by completion. Each completion but "" makes a word.
        """
        wanted = [*wanted]
        found = self._search(typed, self._tokenizer.unfinished(typed), bool(partial), wanted, k)
        if not found.mass:  # no token spells the unfinished end: read it as it is
            found = self._search(typed, "", bool(partial), wanted, k)
        return {text: p / found.mass for text, p in found.p.items()} if found.mass else {}

    def followed(self, typed: str, texts: list[str], after: str) -> Floats:
        """Return how likely `after` is to follow each candidate insertion.

        Args:
            typed: All the text so far.
            texts: Candidate insertions.
            after: Text after the cursor; characters outside the vocabulary are skipped.

        Returns:
            Log-probabilities (nats), float64 [len(texts)].
        """
        unfinished = self._tokenizer.unfinished(typed)
        state = self._network.state(self._encode(typed.removesuffix(unfinished)))
        begun = [self._tokenizer.encode(unfinished + text) for text in texts]
        whole = [self._tokenizer.encode(unfinished + text + after) for text in texts]
        ids_tb = np.full((max(map(len, whole), default=0), len(texts)), self._tokenizer.unknown_id)
        counts_tb = np.zeros(ids_tb.shape, bool)
        for column, (start, ids) in enumerate(zip(begun, whole, strict=True)):
            ids_tb[: len(ids), column] = self._tokenizer.known(ids)
            counts_tb[len(start) : len(ids), column] = True
        counts_tb &= ids_tb != self._tokenizer.unknown_id
        state = state.repeat(len(texts))
        logp = np.zeros(len(texts))
        for ids, counts in zip(ids_tb, counts_tb, strict=True):
            if counts.any():
                columns = np.flatnonzero(counts)
                logp[columns] += self._network.logp(state.take(columns))[
                    np.arange(len(columns)), ids[columns]
                ]
            state = self._network.engine.step(ids, state)
        return logp

    def read_ahead(self, typed: str) -> Iterator[None]:
        """Read a text in advance, one block for each item yielded."""
        ids = self._encode(typed)
        yield from self._network.read_ahead(ids)

    def space(self, typed: str) -> float:
        """Return the probability that a space comes next."""
        ids = self._encode(typed)
        ended = 1.0
        if self._tokenizer.unfinished(typed) and ids[-1] != self._tokenizer.unknown_id:
            # The last token may be the beginning of a longer one.
            p = np.exp(self._network.next(self._network.state(ids[:-1]))[0])
            longer = self._spelling(self._tokenizer.tokens[ids[-1]])
            ended = float(p[ids[-1]] / max(SMALLEST, p[longer].sum()))
        p = np.exp(self._network.next(self._network.state(ids))[0])
        return ended * float(p[self._spaced].sum())

    def _encode(self, text: str) -> Ids:
        """Return the token ids of a text; blocks that were encoded before are reused."""
        if not text.startswith(self._encoded):
            self._encoded, self._encoded_ids = "", self._encoded_ids[:0]
        *parts, rest = [*chunks([text[len(self._encoded) :]], ENCODED_BLOCK)] or [""]
        new = [*map(self._tokenizer.encode, parts)]
        self._encoded += "".join(parts)
        self._encoded_ids = np.concatenate([self._encoded_ids, *new])
        ids = np.concatenate([self._encoded_ids, self._tokenizer.encode(rest)])
        return self._tokenizer.known(ids)

    def _search(
        self, typed: str, unfinished: str, within: bool, wanted: list[str], k: int
    ) -> Found:
        """Run the beam search from the text before its unfinished last token."""
        state = self._network.state(self._encode(typed.removesuffix(unfinished)))
        return self.pursue(state, unfinished, within, wanted, k)

    def pursue(
        self,
        state: State,
        unfinished: str,
        within: bool,
        wanted: Iterable[str],
        k: int,
        ends: bool = True,
        floor: float | None = None,
    ) -> Found:
        """Run the beam search from a state of the network.

        Args:
            state: State after the text before its unfinished last token.
            unfinished: That token's text.
            within: Whether the text ends within a word.
            wanted: Completions to compute probabilities for in any case.
            k: Number of most likely completions to find.
            ends: Whether a completion must end the word; if not, letters may follow it.
            floor: Minimum probability of a hypothesis; by default UNLIKELY.
        """
        next_logp = self._network.next(state)
        paths = tuple(tuple(self._tokenizer.encode(unfinished + text).tolist()) for text in wanted)
        beam = [Hypothesis(unfinished, "", 0.0, paths)]
        found = Found(0.0 if unfinished else 1.0, UNLIKELY if floor is None else floor, ends)
        while beam:
            logp_bv = next_logp + np.array([[h.score] for h in beam], np.float32)
            self._collect(beam, logp_bv, within, found)
            rows, tokens, children = [], [], []
            for row, token in self._prune(beam, logp_bv, within, found, k):
                parent = beam[row]
                child = self._expand(parent, token, float(logp_bv[row, token]))
                outcome = self._outcome(parent, child, within, unfinished)
                if isinstance(outcome, str):
                    found.p[outcome] += math.exp(child.score)
                elif outcome:
                    rows.append(row)
                    tokens.append(token)
                    children.append(outcome)
            beam = children
            if beam:
                state = self._network.engine.step(np.array(tokens), state.take(rows))
                next_logp = self._network.logp(state)
        return found

    def _collect(self, beam: list[Hypothesis], logp_bv: Array, within: bool, found: Found) -> None:
        """Add to `found` what the next token ends: words, or the unfinished last token.

        `logp_bv` are the log-probabilities of each hypothesis with each next token, [B, V].
        """
        ends = np.exp(logp_bv[:, self._ends_word]).sum(axis=1).tolist()
        for row, (hypothesis, end) in enumerate(zip(beam, ends, strict=True)):
            if hypothesis.need:
                spelling = self._spelling(hypothesis.need)
                found.mass += float(np.exp(logp_bv[row, spelling]).sum())
            elif not hypothesis.text and not within:
                # A character of a script without spaces is a word, whatever follows it.
                p = np.bincount(self._first_of, np.exp(logp_bv[row, self._unspaced]))
                for i in np.flatnonzero(p > found.floor * math.exp(hypothesis.score)):
                    found.p[str(self._firsts[i])] += p[i]
            elif may_end(hypothesis.text):
                found.p[hypothesis.text] += end if found.ends else math.exp(hypothesis.score)

    def _prune(
        self, beam: list[Hypothesis], logp_bv: Array, within: bool, found: Found, k: int
    ) -> list[tuple[int, int]]:
        """Return distinct (row of the beam, next token) pairs: the best, then those asked for."""
        follow = logp_bv[:, self._inside]
        rows, ids = [np.zeros(0, np.intp)], [np.zeros(0, np.int32)]
        for row, hypothesis in enumerate(beam):
            if hypothesis.need:
                agreeing = self._agreeing(hypothesis.need)
                follow[row] = -np.inf
                rows.append(np.full(len(agreeing), row))
                ids.append(agreeing)
            elif not hypothesis.text and not within:
                follow[row, self._never_first] = -np.inf
        floor = max(found.floor * found.mass, SMALLEST)
        words = sorted(p for text, p in found.p.items() if text)
        # A text is never likelier than its beginning, so nothing below the k-th word can get in.
        least = max(floor, words[-k]) if len(words) >= k else floor
        likely = np.nonzero(follow > math.log(least))
        row_of = np.concatenate([*rows, likely[0]])
        token_of = np.concatenate([*ids, self._inside[likely[1]]])
        scores = logp_bv[row_of, token_of]
        best = np.argsort(-scores, kind="stable")[: max(self._beam, 2 * k)]
        best = best[scores[best] > math.log(floor)]
        pairs = [*zip(row_of[best].tolist(), token_of[best].tolist(), strict=True)]
        pairs += [
            (row, token)
            for row, hypothesis in enumerate(beam)
            for token in hypothesis.wanted_next
            if token < self._tokenizer.unknown_id and logp_bv[row, token] > math.log(floor)
        ]
        return [*dict.fromkeys(pairs)]

    def _expand(self, parent: Hypothesis, token: int, score: float) -> Hypothesis:
        """Return a hypothesis with one more token; `score` is its log-probability (nats)."""
        need = parent.need
        spelled = self._tokenizer.tokens[token]
        text = self._tokenizer.read(parent.text + spelled[len(need) :])
        wanted = tuple(path[1:] for path in parent.wanted if path[:1] == (token,))
        return Hypothesis(need[len(spelled) :], text, score, wanted)

    def _outcome(
        self, parent: Hypothesis, child: Hypothesis, within: bool, unfinished: str
    ) -> Hypothesis | str | None:
        """Return what becomes of a child: itself to pursue, a word to count, or None to drop."""
        # Whether its last token begins the word, rather than continuing earlier tokens.
        begins = parent.need == unfinished if parent.need else not within
        if self._tokenizer.whole_words and begins and child.is_whole(parent, within):
            return child.text
        if child.is_word(within):
            return child
        if not within and is_unspaced(child.text):
            return child.text[0]
        before = child.text[:-1]
        became_whole = len(child.text) <= len(parent.text)  # the last bytes became a character
        if became_whole and (before or within) and may_end(before):
            return before  # that character ends the word
        return None

    def _spelling(self, need: str) -> Ids:
        """Return the ids of the tokens that spell all of `need`, or more."""
        first = bisect_left(self._sorted, need)
        last = bisect_left(self._sorted, need + LAST_CODE_POINT)
        return self._sorted_ids[first:last]

    def _agreeing(self, need: str) -> Ids:
        """Return the ids of the tokens that spell all of `need`, or its beginning."""
        spelling = self._spelling(need)
        if self._tokenizer.whole_words and not is_unspaced(need[-1]) and len(spelling):
            return spelling  # in a word model, a known word is one token
        parts = [self._ids[need[:n]] for n in range(1, len(need)) if need[:n] in self._ids]
        return np.concatenate([spelling, np.array(parts, np.int32)])
