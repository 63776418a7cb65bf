"""Drawing the next tokens from logits [B, V], a row for each of B texts.

To add a control: a function, a field of SamplingConfig and a row in FILTERS.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from charrnn.cells import Array
from charrnn.config import SamplingConfig
from charrnn.engine import log_softmax
from charrnn.errors import ModelFileError, UsageError
from charrnn.spelling import Spelling
from charrnn.tokenizer import Ids, Joints

Mask = NDArray[np.bool_]

MEMORY = 16_384  # tokens among which no_repeat_ngram looks for repeats
SPARE = 512  # more of them are kept, so that some can be taken back
AHEAD = 256  # random numbers drawn at once for each text
RUN = 16  # equal tokens in a row, from which on a run ends as often as the model would end it
LN2 = np.float32(np.log(2))


def bias(logits: Array, added: Array) -> Array:
    """Add to the logits; -inf bans a token. A row with nothing left stays as it is.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        added: nats, float [V] or [B, V]; -inf allowed.
    """
    return _unless_empty(logits, logits + added)


def known_words(logits: Array, joints: Joints, last: NDArray[np.integer]) -> Array:
    """Ban what would spell a word outside the vocabulary. A row with nothing left stays as it is.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        joints: where tokens join to words.
        last: the token before, [B]; -1 if there is none.
    """
    within = (last >= 0) & joints.open[last]
    banned = joints.parts | (within[:, None] & joints.goes_on)
    return _unless_empty(logits, _where(~banned, logits))


def repetition_penalty(logits: Array, recent: Ids, penalty: float) -> Array:
    """Make tokens that occurred less likely: a positive logit is divided, another multiplied.

    Keskar et al. 2019, arXiv:1909.05858, as it is commonly carried over to negative logits.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        recent: the ids that occurred, [B, W]; -1 where there is none.
        penalty: above 0; 1 changes nothing, under 1 favours repetition.
    """
    factor = np.float32(penalty)
    penalised = np.where(logits > 0, logits / factor, logits * factor)
    return np.where(_counts(recent, logits.shape) > 0, penalised, logits)


def frequency_penalty(logits: Array, recent: Ids, penalty: float) -> Array:
    """Take `penalty` nats from a token's logit for each time it occurred, as OpenAI's API does.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        recent: the ids that occurred, [B, W]; -1 where there is none.
        penalty: 0 changes nothing, a negative one favours repetition.
    """
    return logits - np.float32(penalty) * _counts(recent, logits.shape)


def no_repeat_ngram(logits: Array, past: Ids, n: int) -> Array:
    """Ban the tokens that would complete `n` tokens in a row that occurred before.

    Paulus et al. 2017, arXiv:1705.04304. A row with nothing left stays as it is.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        past: the ids so far, newest last, [B, W]; -1 where there is none.
        n: 1 or more.
    """
    if past.shape[1] < n:
        return logits
    banned = logits.copy()
    for row, ids in enumerate(past):
        runs = sliding_window_view(ids, n)
        again = runs[(runs[:, :-1] == ids[len(ids) - n + 1 :]).all(axis=1), -1]
        banned[row, again[again >= 0]] = -np.inf
    return _unless_empty(logits, banned)


def temperature(logits: Array, t: float) -> Array:
    """Divide the logits by `t`; 0 keeps the likeliest token alone (the lowest id of a tie).

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        t: 0 or more; under 1 sharpens, above 1 flattens.

    Returns:
        Logits of which the largest of each row is 0, float [B, V].

    Raises:
        ModelFileError: a row's largest logit is not finite, as with absurd weights.
    """
    largest = _largest(logits)
    if not (math.isfinite(largest.item()) if len(logits) == 1 else np.isfinite(largest).all()):
        raise ModelFileError("the model's logits are not finite", "train it anew")
    if t == 0:
        kept = np.full_like(logits, -np.inf)
        np.put_along_axis(kept, logits.argmax(axis=-1, keepdims=True), 0, -1)
        return kept
    # From the likeliest down, so that a t next to 0 cannot give inf, nor a huge one NaN.
    divided: Array = logits - largest
    if 1e-3 < t < 1e3:
        divided /= np.float32(t)
        return divided
    with np.errstate(over="ignore"):
        return (divided.astype(np.float64) / t).astype(np.float32)


def runs_end(tempered: Array, logits: Array, tokens: Ids) -> Array:
    """Let runs of one token end as often as the model ends them, however low the temperature.

    A temperature sharpens each choice by itself. Where a run of spaces goes on with probability
    0.97, at 0.5 it does with 0.999, so that it becomes thirty times as long, and longer than all
    that the model has read. So whether a run goes on is left to the model's own probability, where
    the temperature would raise it; what comes after the run is sharpened as everywhere.

    Args:
        tempered: logits (nats) divided by a temperature below 1, float [B, V]; -inf allowed.
        logits: the same as they were, float [B, V].
        tokens: what the run of each row consists of, [B]; -1 where there is none.
    """
    rows = np.flatnonzero(tokens >= 0)
    at = np.arange(len(rows)), tokens[rows]
    known, sharp = (_normalised(some[rows].astype(np.float64)) for some in (logits, tempered))
    own, sharpened = known[at], sharp[at]
    known[at] = sharp[at] = -np.inf
    else_may_come = np.minimum(known.max(axis=-1), sharp.max(axis=-1)) > -np.inf
    likeliest = logits[rows].argmax(axis=-1) == tokens[rows]
    raised = likeliest & (sharpened > own) & else_may_come
    sharp[raised] += (_log_sum(known[raised]) - _log_sum(sharp[raised]))[:, None]
    # What is the likeliest stays so.
    above = np.nextafter(sharp.max(axis=-1).astype(np.float32), np.float32(np.inf))
    sharp[at] = np.maximum(own, above)
    result = tempered.copy()
    result[rows[raised]] = sharp[raised]
    return result


def _normalised(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities (nats), [B, V]."""
    return logits - _log_sum(logits)[:, None]


def _log_sum(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the sum of the exponentials of each row, [B]; none is all -inf."""
    largest = logits.max(axis=-1)
    sums: NDArray[np.float64] = np.log(np.exp(logits - largest[:, None]).sum(axis=-1)) + largest
    return sums


def top_k(logits: Array, k: int) -> Array:
    """Keep the `k` likeliest tokens; a tie at the border goes to the lower token id.

    Fan et al. 2018, arXiv:1805.04833.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        k: 1 or more; V or more keeps every token.
    """
    size = logits.shape[-1]
    if k >= size:
        return logits
    least = np.partition(logits, size - k, axis=-1)[..., size - k, None]
    above, level = logits > least, logits == least
    room = k - above.sum(axis=-1, keepdims=True)
    return _where(above | (level & (level.cumsum(axis=-1) <= room)), logits)


def typical_p(logits: Array, p: float) -> Array:
    """Keep the tokens whose surprise is nearest to the expected one, up to probability `p`.

    Locally typical sampling, Meister et al. 2022, arXiv:2202.00666. The smallest set that
    reaches `p`; a tie goes to the lower token id. The likeliest token may be left out.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        p: probability mass to keep, in (0, 1]; 1 keeps every token.
    """
    if p >= 1:
        return logits
    logp = log_softmax(logits)
    entropy = -np.sum(np.exp(logp) * np.maximum(logp, -1e30), axis=-1, keepdims=True)
    return _where(_reaching(np.abs(entropy + logp), logp, p), logits)


def top_p(logits: Array, p: float) -> Array:
    """Keep the smallest set of tokens whose probability reaches `p`.

    Nucleus sampling, Holtzman et al. 2020, arXiv:1904.09751. The likeliest
    token always stays; a tie at the border goes to the lower token id.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        p: probability mass to keep, in (0, 1]; 1 keeps every token.
    """
    return logits if p >= 1 else _where(_reaching(-logits, logits, p), logits)


def min_p(logits: Array, p: float) -> Array:
    """Drop the tokens whose probability is under `p` times the likeliest one's.

    Nguyen et al. 2024, arXiv:2407.01082.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        p: from 0, which keeps every token, to 1, which keeps the likeliest.
    """
    if p == 0:
        return logits
    return _where(logits >= _largest(logits) + np.float32(np.log(p)), logits)


def mirostat(logits: Array, limit: Array) -> Array:
    """Keep the tokens whose surprise is at most `limit`, and the likeliest in any case.

    Mirostat 2.0, Basu et al. 2021, arXiv:2007.14966: the limit then moves so that the mean
    surprise of what is drawn nears a target; see `Sampler`.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        limit: bits, float [B].
    """
    logp = log_softmax(logits)
    least = np.minimum(-limit[:, None] * LN2, _largest(logp))
    return _where(logp >= least, logits)


def _largest(logits: Array) -> Array:
    """The largest of each row, [B, 1]."""
    largest: Array = np.maximum.reduce(logits, axis=-1, keepdims=True)  # faster than logits.max
    return largest


def _where(kept: Mask, logits: Array) -> Array:
    return np.where(kept, logits, np.float32(-np.inf))


def _reaching(cost: Array, logits: Array, p: float) -> Mask:
    """The tokens of least cost, the lower id first in a tie, until their probability reaches p."""
    ranking = np.argsort(cost, axis=-1, kind="stable")
    ranked = np.take_along_axis(logits, ranking, -1)
    masses = np.exp(ranked - _largest(logits), dtype=np.float64)
    reached = masses.cumsum(axis=-1)
    kept = np.empty(logits.shape, bool)
    # A token stays if those before it do not reach p.
    before = np.concatenate([np.zeros_like(reached[..., :1]), reached[..., :-1]], axis=-1)
    np.put_along_axis(kept, ranking, before < p * reached[..., -1:], -1)
    return kept


def _counts(ids: Ids, shape: tuple[int, ...]) -> Array:
    """How often each token is among a row's ids, float [B, V]."""
    batch, size = shape
    counts = np.zeros((batch, size + 1), np.float32)  # the last column counts the ids that are -1
    np.add.at(counts, (np.arange(batch)[:, None], ids), 1)
    return counts[:, :size]


def _unless_empty(logits: Array, narrowed: Array) -> Array:
    left = _largest(narrowed) > -np.inf
    return narrowed if left.all() else np.where(left, narrowed, logits)


@dataclass(slots=True)
class Context:
    """What filters look at beside the logits.

    Attributes:
        bias: added by `bias`, [B, V] or [V].
        past: the ids so far, newest last, [B, W]; -1 where there is none.
        window: ids that count as recent, at the end of `past`.
        limit: of mirostat, bits, [B].
        run: the token that the last RUN or more were, [B]; -1 where they differ, None if all do.
        spelling: of words, where they are drawn as wholes.
        last: the newest token of each text, -1 if there is none, [B].
    """

    bias: Array
    past: Ids
    window: int
    limit: Array
    run: Ids | None = None
    spelling: Spelling | None = None
    last: Sequence[int] = ()

    @property
    def recent(self) -> Ids:
        return self.past[:, -self.window :]


# Applied in this order, each one whose field in SamplingConfig is not None.
FILTERS: dict[str, Callable[[Array, Any, Context], Array]] = {
    "bias": lambda logits, _, context: bias(logits, context.bias),
    "known_words": lambda logits, joints, at: known_words(logits, joints, np.array(at.last)),
    "repetition_penalty": lambda logits, x, at: repetition_penalty(logits, at.recent, x),
    "frequency_penalty": lambda logits, x, at: frequency_penalty(logits, at.recent, x),
    "no_repeat_ngram": lambda logits, n, at: no_repeat_ngram(logits, at.past, n),
    "temperature": lambda logits, t, at: _temperature(logits, t, at),
    "top_k": lambda logits, k, _: top_k(logits, k),
    "typical_p": lambda logits, p, _: typical_p(logits, p),
    "top_p": lambda logits, p, _: top_p(logits, p),
    "min_p": lambda logits, p, _: min_p(logits, p),
    "mirostat": lambda logits, _, at: mirostat(logits, at.limit),
}
LIMITS = ("top_k", "typical_p", "top_p", "min_p", "mirostat")  # filters that leave tokens out


def _temperature(logits: Array, t: float, context: Context) -> Array:
    if context.spelling:
        logits = context.spelling.narrow(logits)
    tempered = temperature(logits, t)
    if context.spelling:
        tempered = context.spelling.ends_as_one(tempered, logits)
    if context.run is None or not 0 < t < 1:
        return tempered
    return runs_end(tempered, logits, context.run)


class Sampler:
    """Draws tokens for B texts under one configuration, each text with random numbers of its own.

    Args:
        config: the controls.
        rngs: draw the tokens, one for each text.
        pasts: the ids that each text begins with.
        joints: of words that are drawn as wholes, if tokens are that.

    Attributes:
        held: how many tokens at the end of each text may be taken back; -1 where those before and
            the newest now are. None if none ever is.
    """

    def __init__(
        self,
        config: SamplingConfig,
        rngs: Sequence[np.random.Generator],
        pasts: Sequence[NDArray[np.integer]],
        joints: Joints | None = None,
    ) -> None:
        values = {name: getattr(config, name) for name in FILTERS}
        if config.known_words and not joints:
            raise UsageError(
                "known_words needs a model of words", "train one at level word", ["known_words"]
            )
        values["known_words"] = joints if config.known_words else None
        self._filters = [(FILTERS[n], value) for n, value in values.items() if value is not None]
        self._config = config
        self._rngs = list(rngs)
        self._uniform = np.empty((len(rngs), AHEAD))
        self._used = AHEAD
        penalised = config.repetition_penalty is not None or config.frequency_penalty is not None
        looked_at = config.penalty_window if penalised else 0
        self._depth = max(looked_at, MEMORY if config.no_repeat_ngram is not None else 0)
        # The newest are appended; when the array is full, its second half moves to the front.
        self._kept = self._depth + SPARE if self._depth else 0
        self._ids = np.full((len(rngs), 2 * self._kept), -1, np.int32)
        self._end = self._kept
        self._context = Context(
            bias=np.zeros(0, np.float32),
            past=self._ids[:, :0],
            window=config.penalty_window,
            limit=np.full(len(rngs), 2 * (config.mirostat or 0.0), np.float32),
        )
        limited = any(getattr(config, name) is not None for name in LIMITS)
        if joints and not config.known_words and (config.temperature < 1 or limited):
            last = [int(past[-1]) if len(past) else -1 for past in pasts]
            self._context.spelling = Spelling(joints, config.temperature, limited, last)
        # The newest token of each text, and how often it came in a row. (For a single text lists
        # are faster than arrays.)
        self._last = [-1] * len(rngs)
        self._repeated = [0] * len(rngs)
        for row, past in enumerate(pasts):
            for token in past[-RUN:].tolist():
                self._repeated[row] = self._repeated[row] + 1 if token == self._last[row] else 1
                self._last[row] = token
        for row, past in enumerate(pasts):
            known = past[max(0, len(past) - self._kept) :]
            self._ids[row, self._end - len(known) : self._end] = known

    def draw(self, logits: Array, bias: Array) -> NDArray[np.intp]:
        """Draw the next token of each text.

        Args:
            logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
            bias: nats, [V] or [B, V], for the filter of that name.

        Returns:
            Token ids, [B].

        Raises:
            ModelFileError: the logits are not finite, as those of absurd weights.
        """
        context = self._context
        context.bias = bias
        context.last = self._last
        context.run = self._runs() if max(self._repeated) >= RUN else None
        if self._depth:
            context.past = self._ids[:, self._end - self._depth : self._end]
        unlimited = logits
        for keep, value in self._filters:
            unlimited, logits = logits, keep(logits, value, context)
        # Since `temperature`, no logit is above 0.
        reached = np.add.accumulate(np.exp(logits), axis=-1, dtype=np.float64)
        drawn = self._next_uniform() * reached[:, -1]
        ids: NDArray[np.intp]
        if len(reached) == 1:  # the same, but faster
            ids = reached[0].searchsorted(drawn)
        else:
            ids = (reached >= drawn[:, None]).argmax(axis=-1)
        if self._config.mirostat is not None:
            self._move_limit(unlimited, ids, self._config.mirostat)
        drawn_ids = ids.tolist()
        self._repeated = [
            count + 1 if token == last else 1
            for count, token, last in zip(self._repeated, drawn_ids, self._last, strict=True)
        ]
        self._last = drawn_ids
        if self._depth:
            self._remember(ids)
        if spelling := self._context.spelling:
            spelling.judge(ids, logits, reached, self._next_uniform())
        return ids

    @property
    def held(self) -> list[int] | None:
        return self._context.spelling.held if self._context.spelling else None

    def keep(self, rows: Mask) -> None:
        """Go on with these texts alone, [B]."""
        self._rngs = [*compress(self._rngs, rows.tolist())]
        self._uniform = self._uniform[rows]
        self._ids = self._ids[rows]
        self._last = [*compress(self._last, rows.tolist())]
        self._repeated = [*compress(self._repeated, rows.tolist())]
        self._context.limit = self._context.limit[rows]
        if self._context.spelling:
            self._context.spelling.keep(rows)

    def take_back(self, row: int, count: int, last: int, spelled: bool = False) -> None:
        """Forget the last `count` tokens of a text; its random numbers are spent.

        Args:
            last: the token before them; -1 if there is none.
            spelled: whether that follows from `held`.
        """
        # How often it came before a shorter run is not known any more.
        self._repeated[row] = max(self._repeated[row] - count, int(last >= 0))
        self._last[row] = last
        if self._context.spelling and not spelled:
            self._context.spelling.take_back(row, last)
        if self._depth and count:
            known = self._ids[row, : self._end]
            known[count:] = known[:-count].copy()
            known[:count] = -1

    def _runs(self) -> Ids:
        pairs = zip(self._last, self._repeated, strict=True)
        return np.array([token if count >= RUN else -1 for token, count in pairs], np.int32)

    def _next_uniform(self) -> NDArray[np.float64]:
        if self._used == AHEAD:
            for row, rng in zip(self._uniform, self._rngs, strict=True):
                rng.random(out=row)
            # Above 0, so that a token of no mass is never drawn, and at most 1.
            np.subtract(1, self._uniform, out=self._uniform)
            self._used = 0
        self._used += 1
        return self._uniform[:, self._used - 1]

    def _move_limit(self, logits: Array, ids: NDArray[np.intp], target: float) -> None:
        logp = np.take_along_axis(log_softmax(logits), ids[:, None], -1)[:, 0]
        rate = np.float32(self._config.mirostat_rate)
        self._context.limit += rate * (np.float32(target) + logp / LN2)

    def _remember(self, ids: NDArray[np.intp]) -> None:
        if self._end == self._ids.shape[1]:
            self._ids[:, : self._kept] = self._ids[:, self._kept :]
            self._end = self._kept
        self._ids[:, self._end] = ids
        self._end += 1
