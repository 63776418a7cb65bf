"""Words that a network finds likely: a beam over its tokens, up to the word's end."""

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.arrays import Array, Floats, Ids
from charrnn.network.engine import Engine
from charrnn.suggestions.adaptive_network import AdaptiveNetwork
from charrnn.text.blocks import chunks
from charrnn.text.words import JOINERS, LAST_CODE_POINT, LETTER, MARKS, is_unspaced
from charrnn.tokenizer import Tokenizer, is_half

HALVES = "\udc80-\udcff"  # bytes of characters that are not complete
IN_WORD = re.compile(rf"(?:{LETTER}|[{MARKS}{JOINERS}])*[{HALVES}]{{0,3}}")
NEVER_FIRST = JOINERS + MARKS  # in a word
MAX_LENGTH = 64  # characters in a suggestion
AT_ONCE = 512  # characters that are encoded as one
UNLIKELY = 1e-3  # probability of a beginning under which it is not followed
SMALLEST = 1e-30


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
        rate: at which the network learns what is typed.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, start: Array, beam: int, rate: float = 0.0
    ) -> None:
        self._tokenizer = tokenizer
        self._reader = AdaptiveNetwork(engine, start, tokenizer.unknown_id, rate)
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
        self._unspaced = np.array([*unspaced], int)  # tokens; and the characters they begin with
        self._firsts, self._first_of = np.unique([*unspaced.values()], return_inverse=True)
        self._ends_word = np.flatnonzero(~inside)
        self._spaced = np.array([i for i, token in enumerate(tokens) if token[0] == " "], int)

    def search(self, typed: str, half: str, wanted: Iterable[str], k: int) -> dict[str, float]:
        """Probabilities that the text goes on so and that its word then ends.

        Args:
            typed: all the text so far.
            half: the word at its end that goes on; if empty, a word begins.
            wanted: completions of the partial word whose probabilities to compute.
            k: the likeliest ones that are sure to be among those found; any but "" are words.
        """
        unfinished = self._tokenizer.unfinished(typed)
        found, mass = self._search(typed, unfinished, bool(half), [*wanted], k)
        if not mass:  # no token can spell it: it is read as it stands
            found, mass = self._search(typed, "", bool(half), [*wanted], k)
        return {text: p / mass for text, p in found.items()} if mass else {}

    def followed(self, typed: str, texts: list[str], after: str) -> Floats:
        """How likely a text comes after each of several that go on from what was typed.

        Args:
            typed: all the text so far.
            texts: that would be inserted.
            after: what would come next; its characters that the network does not know count for
                nothing.

        Returns:
            Log-probabilities (nats), [len(texts)].
        """
        unfinished = self._tokenizer.unfinished(typed)
        state = self._reader.state(self._encode(typed.removesuffix(unfinished)))
        begun = [self._tokenizer.encode(unfinished + text) for text in texts]
        whole = [self._tokenizer.encode(unfinished + text + after) for text in texts]
        ids_tb = np.full((max(map(len, whole), default=0), len(texts)), self._tokenizer.unknown_id)
        counts_tb = np.zeros(ids_tb.shape, bool)
        for column, (start, ids) in enumerate(zip(begun, whole, strict=True)):
            ids_tb[: len(ids), column] = self._tokenizer.known(ids)
            counts_tb[len(start) : len(ids), column] = True
        counts_tb &= ids_tb != self._tokenizer.unknown_id
        state = np.repeat(state, len(texts), axis=2)
        logp = np.zeros(len(texts))
        for ids, counts in zip(ids_tb, counts_tb, strict=True):
            if counts.any():
                columns = np.flatnonzero(counts)
                logp[columns] += self._reader.logp(state[:, :, columns])[
                    np.arange(len(columns)), ids[columns]
                ]
            state = self._reader.engine.step(ids, state)
        return logp

    def read_ahead(self, typed: str) -> Iterator[None]:
        """Read a text before anything is asked about it, some of it for each item."""
        ids = self._encode(typed)
        yield from self._reader.read_ahead(ids)

    def space(self, typed: str) -> float:
        """The probability that a space comes next."""
        ids = self._encode(typed)
        ended = 1.0
        if self._tokenizer.unfinished(typed) and ids[-1] != self._tokenizer.unknown_id:
            # The last token is complete if nothing longer begins like it.
            p = np.exp(self._reader.next(self._reader.state(ids[:-1]))[0])
            _, longer = self._spell(self._tokenizer.tokens[ids[-1]])
            ended = float(p[ids[-1]] / max(SMALLEST, p[longer].sum()))
        p = np.exp(self._reader.next(self._reader.state(ids))[0])
        return ended * float(p[self._spaced].sum())

    def _encode(self, text: str) -> Ids:
        """The tokens of a text, of which little is encoded that was so before."""
        if not text.startswith(self._encoded):
            self._encoded, self._encoded_ids = "", self._encoded_ids[:0]
        *parts, rest = [*chunks([text[len(self._encoded) :]], AT_ONCE)] or [""]
        new = [*map(self._tokenizer.encode, parts)]
        self._encoded += "".join(parts)
        self._encoded_ids = np.concatenate([self._encoded_ids, *new])
        ids = np.concatenate([self._encoded_ids, self._tokenizer.encode(rest)])
        return self._tokenizer.known(ids)

    def _search(
        self, typed: str, unfinished: str, within: bool, wanted: list[str], k: int
    ) -> tuple[dict[str, float], float]:
        """Words that may follow and their probabilities, and that of the unfinished end."""
        state = self._reader.state(self._encode(typed.removesuffix(unfinished)))
        next_logp = self._reader.next(state)
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
                state = self._reader.engine.step(np.array(tokens), state[:, :, rows])
                next_logp = self._reader.logp(state)
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
