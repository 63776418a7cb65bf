"""Temperature and truncation for the rare words that a word model spells with several tokens.

The first token of a spelled word, often a single space, carries the probability of every word that
begins with it. Temperatures below 1 and limits such as top_k would treat it as one likely word, so
that lower temperatures would invent more words. Instead, the tokens of a word are held until
it ends, and the word is then accepted or rejected as a whole:

- At temperature T a word of probability p should be sampled in proportion to p^(1/T). Sampling
  token by token gives p^(1/T) divided by a product: for each token after the first, the sum, over
  all tokens possible there, of their p^(1/T). Below T = 1 this product is at most 1, and it is
  the acceptance probability (rejection sampling), corrected for alternatives to the first token.
- After a truncation such as top_k, a word is accepted if it is at least as likely as the most
  likely token that was left out.

The first token of a rejected word is not tried again at the same position. Where a word may go on,
all tokens that end it count as one outcome.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress, pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats, Mask
from charrnn.tokenizer import Joints

MAX_WORD_TOKENS = 40  # tokens held back for one word; in letters it is the pretokenizer's maximum
MAX_REJECTIONS = 8  # maximum rejections at one position, to bound the time (not tuned)
ROUNDING = 1e-4  # tolerance of float32 sums, in nats (not tuned)
NEGLIGIBLE = 1e-3  # negligible odds of continuing a word against the likeliest token (not tuned)
MAX_FALL = 30.0  # maximum nats the largest logit may fall before a shift restores it (not tuned)
SMALL = 1e-12  # sums below this are recomputed, as terms may have underflowed (not tuned)


@dataclass(slots=True)
class _Word:
    """The undecided word at the end of a text, and the position where it begins.

    Attributes:
        before: the token before the word; -1 if there is none.
        last: the newest token.
        tokens: number of the word's tokens so far; 0 if no word is undecided.
        first: the word's first token.
        an_end: whether the previous word could have gone on but was ended.
        tried: first tokens of the words rejected at this position.
        weight: logarithm of the product in the module's docstring.
        least: minimum of `weight` for acceptance.
        logp: log-probability of the word so far, in nats.
        floor: minimum of `logp` for acceptance.
    """

    before: int
    last: int
    tokens: int = 0
    first: int = -1
    an_end: bool = False
    tried: list[int] = field(default_factory=list)
    weight: float = 0.0
    least: float = -math.inf
    logp: float = 0.0
    floor: float = -math.inf


class Spelling:
    """Accepts or rejects the words at the ends of B streams.

    Args:
        joints: where tokens form words.
        temperature: sampling temperature.
        limited: whether a filter may leave tokens out.
        last: the newest token of each stream, [B]; -1 where there is none.

    Attributes:
        held: number of undecided tokens at the end of each stream, [B]; -1 where the word and the
            newest token were just rejected.
    """

    def __init__(
        self, joints: Joints, temperature: float, limited: bool, last: Sequence[int]
    ) -> None:
        self._t = temperature
        self._limited = limited or temperature == 0
        self._open = [*joints.open.tolist(), False]  # the last entry is for a token of -1
        self._goes_on = joints.goes_on
        self._kinds = [kind.astype(np.float32) for kind in (joints.goes_on, ~joints.goes_on)]
        # In a sorted vocabulary the tokens that go on form few runs.
        starts = np.flatnonzero(np.diff(joints.goes_on, prepend=~joints.goes_on[:1])).tolist()
        runs = pairwise([*starts, len(joints.goes_on)])
        self._runs = [slice(*run) for run in runs if joints.goes_on[run[0]]]
        self._words = [_Word(before=token, last=token) for token in last]
        self.held = [0] * len(last)
        # The newest logits; the largest of each row; the sums of exponentials, relative to the
        # largest, over the two kinds; and the logarithm of the sum of p^(1/T) over all outcomes.
        self._logits: Array
        self._largest: list[float]
        self._masses: list[tuple[float, float]]
        self._log_powers: list[float]

    def narrow(self, logits: Array) -> Array:
        """Ban the words rejected at this position; a row with nothing left stays as it is.

        Args:
            logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.

        Returns:
            `logits` or a changed copy, float [B, V].
        """
        narrowed = logits
        for row, word in enumerate(self._words):
            if word.tokens or not (word.tried or word.an_end):
                continue
            left = logits[row].copy()
            left[word.tried] = -np.inf
            if word.an_end:
                left[self._goes_on] = -np.inf
            if left.max() > -np.inf:
                narrowed = logits.copy() if narrowed is logits else narrowed
                narrowed[row] = left
        return narrowed

    def ends_as_one(self, tempered: Array, logits: Array) -> Array:
        """Where a word may go on, let all tokens that end it count as one outcome.

        Args:
            tempered: logits divided by the temperature, largest of each row 0, float [B, V]; -inf
                allowed. Changed.
            logits: the logits before that, float [B, V].

        Returns:
            `tempered`.
        """
        t = self._t
        self._logits = logits
        self._largest = logits.max(axis=-1).tolist()
        from_largest = logits - np.array(self._largest, np.float32)[:, None]
        self._masses = self._sums(from_largest)
        if t >= 1:
            return tempered
        rows = [row for row, word in enumerate(self._words) if self._may_go_on(word)]
        rows = [row for row in rows if self._masses[row][0] > NEGLIGIBLE]
        if t == 0:
            for row in rows:
                tempered[row] = self._likeliest(row)
            return tempered
        self._log_powers = [_log(end) / t for _, end in self._masses]
        if not rows:
            return tempered
        some = tempered if len(rows) == len(tempered) else tempered[rows]
        for row, sums in zip(rows, self._sums(some), strict=True):
            as_one = self._log_powers[row]
            if min(sums) > SMALL:
                going_on, end = map(_log, sums)
            else:
                ends = from_largest[row, ~self._goes_on]
                as_one = _log_sum(ends) / t
                going_on = _log_sum(from_largest[row, self._goes_on] / np.float32(t))
                end = _log_sum(ends / np.float32(t))
            self._log_powers[row] = float(np.logaddexp(as_one, going_on))
            if end > -math.inf:
                less = max(0.0, as_one - end)  # rounding alone could make it negative
                for run in self._runs:
                    tempered[row, run] -= less
                if less > MAX_FALL:
                    tempered[row] -= tempered[row].max()
        return tempered

    def _likeliest(self, row: int) -> Array:
        """Return logits of the choice at temperature 0, [V]: an end if ending is likelier."""
        going_on, end = (
            np.where(kind, self._logits[row], -np.inf) for kind in (self._goes_on, ~self._goes_on)
        )
        ended = self._log_end(row) >= going_on.max() - self._largest[row]
        result = np.full_like(end, -np.inf)
        result[(end if ended else going_on).argmax()] = 0
        return result

    def judge(
        self, sampled: NDArray[np.intp], narrowed: Array, reached: Floats, uniform: Floats
    ) -> None:
        """Add a token to each stream, and accept or reject the words that end; sets `held`.

        Args:
            sampled: token ids, [B].
            narrowed: the logits they were sampled from, at most 0, float [B, V]; -inf allowed.
            reached: cumulative sums of the exponentials of `narrowed`, float [B, V].
            uniform: random numbers in (0, 1], [B].
        """
        for row, (token, u) in enumerate(zip(sampled.tolist(), uniform.tolist(), strict=True)):
            word = self._words[row]
            inside = self._may_go_on(word)
            ended = not (inside and self._goes_on[token])
            if word.tokens and not self._accepted(word, row, inside, None if ended else token):
                word.tried.append(word.first)
                word.tokens, word.last = 0, word.before
                self.held[row] = -1
                continue
            if word.tokens and not ended and word.tokens < MAX_WORD_TOKENS:
                word.tokens += 1
                word.last = token
            elif (word.tokens and not ended) or not self._open[token]:
                self._words[row] = _Word(before=token, last=token)
            else:
                again = not word.tokens and (word.tried or word.an_end)
                begun = _Word(before=word.last, last=token, tokens=1, first=token)
                begun.an_end = word.an_end if again else inside and ended
                begun.tried = word.tried if again else []
                self._bound(begun, row, narrowed[row], reached[row], u)
                self._words[row] = begun
            self.held[row] = self._words[row].tokens

    def _accepted(self, word: _Word, row: int, inside: bool, token: int | None) -> bool:
        """Return whether to accept a word that goes on with a token, or ends if `token` is None."""
        total = _log(sum(self._masses[row]))
        if inside and 0 < self._t < 1:
            word.weight += self._log_powers[row] - total / self._t
        word.logp += self._log_end(row) if token is None else self._log(row, token)
        word.logp -= total
        likely = word.weight >= word.least and word.logp >= word.floor - ROUNDING
        return likely or len(word.tried) >= MAX_REJECTIONS

    def _bound(self, word: _Word, row: int, narrowed: Array, reached: Floats, u: float) -> None:
        """Find how likely a word that begins with this token must be for acceptance."""
        base = self._log_end(row) if word.an_end else _log(sum(self._masses[row]))
        word.logp = self._log(row, word.first) - base
        if 0 < self._t < 1:
            own = math.exp(narrowed[word.first])
            others = float(reached[-1]) - own
            if word.an_end:
                before = (float(reached[run.start - 1]) if run.start else 0 for run in self._runs)
                others -= sum(float(reached[run.stop - 1]) for run in self._runs) - sum(before)
            if others < SMALL * own:
                rest = narrowed.copy()
                rest[word.first] = -np.inf
                if word.an_end:
                    rest[self._goes_on] = -np.inf
                log_others = _log_sum(rest)
            else:
                log_others = math.log(others)
            share = own / (own + math.exp(log_others))
            least = log_others - math.log(own + math.exp(log_others)) + math.log(u)
            word.least = least - math.log1p(-u * share) if u * share < 1 else 0.0
        if self._limited:
            logits = self._logits[row]
            left_out = (narrowed == -np.inf) & (logits <= logits[word.first])
            if word.an_end:
                left_out &= ~self._goes_on
            if left_out.any():
                word.floor = float(logits[left_out].max()) - self._largest[row] - base

    def _may_go_on(self, word: _Word) -> bool:
        return self._open[word.last] and (word.tokens > 0 or not word.an_end)

    def _log(self, row: int, token: int) -> float:
        """Return a logit, relative to the largest of its row."""
        return float(self._logits[row, token]) - self._largest[row]

    def _log_end(self, row: int) -> float:
        """Return the log-sum of the logits of all tokens that end a word, relative as in `_log`."""
        return _log(self._masses[row][1])

    def _sums(self, logits: Array) -> list[tuple[float, float]]:
        """Return the sums of exponentials over tokens that continue a word, and that end it."""
        masses = np.exp(logits)
        going_on, end = ((masses @ kind).tolist() for kind in self._kinds)
        return [*zip(going_on, end, strict=True)]

    def keep(self, rows: Mask) -> None:
        """Keep only the streams for which `rows` is true, [B]."""
        self._words = [*compress(self._words, rows.tolist())]
        self.held = [*compress(self.held, rows.tolist())]

    def take_back(self, row: int, last: int) -> None:
        """Restart a stream after the token `last`; -1 if there is none."""
        self._words[row] = _Word(before=last, last=last)
        self.held[row] = 0


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _log_sum(logits: Array) -> float:
    """Return the logarithm of the sum of exponentials without underflow; -inf if empty."""
    largest = logits.max(initial=-np.inf)
    if largest == -np.inf:
        return -math.inf
    return float(largest + np.log(np.exp(logits - largest).sum(dtype=np.float64)))
