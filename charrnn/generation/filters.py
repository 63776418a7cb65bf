"""Filters: how sampling controls change the logits [B, V], one row per stream.

To add a control: a function, a field of SamplingConfig and a row in FILTERS.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from charrnn.arrays import LN2, Array, Ids, Mask
from charrnn.errors import ModelFileError
from charrnn.generation.spelling import Spelling
from charrnn.network.engine import log_softmax
from charrnn.tokenizer import Joints

NOTHING = np.float32(-np.inf)  # logit of a token that is left out
NGRAM_HISTORY = 16_384  # newest tokens among which no_repeat_ngram looks for repeats (not tuned)


def bias(logits: Array, added: Array) -> Array:
    """Add a bias to the logits; -inf bans a token. A row with nothing left stays as it is.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        added: nats, float [V] or [B, V]; -inf allowed.
    """
    return _unless_empty(logits, logits + added)


def known_words(logits: Array, joints: Joints, last: NDArray[np.integer]) -> Array:
    """Ban tokens that spell a word outside the vocabulary. A row with nothing left stays as it is.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        joints: where tokens form words.
        last: the newest token of each stream, [B]; -1 if there is none.
    """
    within = (last >= 0) & joints.open[last]
    banned = joints.parts | (within[:, None] & joints.goes_on)
    return _unless_empty(logits, _where(~banned, logits))


def repetition_penalty(logits: Array, recent: Ids, penalty: float) -> Array:
    """Divide the positive logits of recent tokens by `penalty`, and multiply the negative ones.

    Keskar et al. 2019, arXiv:1909.05858, with the usual extension to negative logits.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        recent: token ids in the window, [B, W]; -1 where there is none.
        penalty: above 0; 1 changes nothing, a value below 1 favours repetition.
    """
    factor = np.float32(penalty)
    penalised = np.where(logits > 0, logits / factor, logits * factor)
    return np.where(_counts(recent, logits.shape) > 0, penalised, logits)


def frequency_penalty(logits: Array, recent: Ids, penalty: float) -> Array:
    """Subtract `penalty` nats for each occurrence of a token in the window, as OpenAI's API does.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        recent: token ids in the window, [B, W]; -1 where there is none.
        penalty: nats; 0 changes nothing, a negative value favours repetition.
    """
    return logits - np.float32(penalty) * _counts(recent, logits.shape)


def no_repeat_ngram(logits: Array, past: Ids, n: int) -> Array:
    """Ban tokens that would repeat a run of `n` tokens.

    Paulus et al. 2017, arXiv:1705.04304. A row with nothing left stays as it is.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        past: token ids so far, newest last, [B, W]; -1 where there is none.
        n: length of the run, 1 or more.
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
    """Divide the logits by `t`; 0 keeps only the likeliest token (the lowest id of a tie).

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        t: temperature, 0 or more; below 1 sharpens, above 1 flattens.

    Returns:
        A copy of the logits, shifted so that the largest of each row is 0, float [B, V].

    Raises:
        ModelFileError: a row's largest logit is not finite, as with damaged weights.
    """
    largest = _largest(logits)
    if not (math.isfinite(largest.item()) if len(logits) == 1 else np.isfinite(largest).all()):
        raise ModelFileError("the model's logits are not finite", "train it again")
    if t == 0:
        kept = np.full_like(logits, -np.inf)
        np.put_along_axis(kept, logits.argmax(axis=-1, keepdims=True), 0, -1)
        return kept
    # Shifted first, so that a tiny t cannot give inf, nor a huge one NaN.
    divided: Array = logits - largest
    if 1e-3 < t < 1e3:
        divided /= np.float32(t)
        return divided
    with np.errstate(over="ignore"):
        return (divided.astype(np.float64) / t).astype(np.float32)


def runs_end(tempered: Array, logits: Array, tokens: Ids) -> Array:
    """Let runs of one token end as often as the model ends them, however low the temperature.

    A temperature sharpens each choice separately. Where a run of spaces continues with probability
    0.97, it does so with 0.999 at temperature 0.5: the run becomes thirty times as long, and longer
    than any that the model has read. So a run continues with at most the model's own probability;
    the tokens that may end it are sharpened as usual.

    Args:
        tempered: logits (nats) divided by a temperature below 1, float [B, V]; -inf allowed.
        logits: the logits before that, float [B, V].
        tokens: the token of which each row's run consists, [B]; -1 where there is no run.

    Returns:
        A copy of `tempered`, float [B, V].
    """
    rows = np.flatnonzero(tokens >= 0)
    at = np.arange(len(rows)), tokens[rows]
    known, sharp = (_normalised(some[rows].astype(np.float64)) for some in (logits, tempered))
    own, sharpened = known[at], sharp[at]
    known[at] = sharp[at] = -np.inf
    can_end = np.minimum(known.max(axis=-1), sharp.max(axis=-1)) > -np.inf
    likeliest = logits[rows].argmax(axis=-1) == tokens[rows]
    raised = likeliest & (sharpened > own) & can_end
    sharp[raised] += (_log_sum(known[raised]) - _log_sum(sharp[raised]))[:, None]
    # The likeliest token stays the likeliest.
    above = np.nextafter(sharp.max(axis=-1).astype(np.float32), np.float32(np.inf))
    sharp[at] = np.maximum(own, above)
    result = tempered.copy()
    result[rows[raised]] = sharp[raised]
    return result


def _normalised(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-probabilities (nats), [B, V]."""
    return logits - _log_sum(logits)[:, None]


def _log_sum(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of each row's sum of exponentials, [B]; no row is all -inf."""
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
    """Keep the tokens whose surprisal is closest to its expectation, until they reach `p`.

    Locally typical sampling, Meister et al. 2022, arXiv:2202.00666. A tie goes to the lower token
    id. The likeliest token may be dropped.

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
    """Drop tokens less likely than `p` times the likeliest token's probability.

    Nguyen et al. 2024, arXiv:2407.01082.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        p: share in [0, 1]; 0 keeps every token, 1 keeps the likeliest.
    """
    if p == 0:
        return logits
    return _where(logits >= _largest(logits) + np.float32(math.log(p)), logits)


def mirostat(logits: Array, limit: Array) -> Array:
    """Keep the tokens whose surprisal is at most `limit`, and always the likeliest.

    Mirostat 2.0, Basu et al. 2021, arXiv:2007.14966. `Sampler` then moves the limit so that the
    mean surprisal of the sampled tokens approaches a target.

    Args:
        logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
        limit: maximum surprisal (bits), float [B].
    """
    logp = log_softmax(logits)
    least = np.minimum(-limit[:, None] * LN2, _largest(logp))
    return _where(logp >= least, logits)


def _largest(logits: Array) -> Array:
    """Return the largest logit of each row, [B, 1]."""
    largest: Array = np.maximum.reduce(logits, axis=-1, keepdims=True)  # faster than logits.max
    return largest


def _where(kept: Mask, logits: Array) -> Array:
    return np.where(kept, logits, NOTHING)


def _reaching(cost: Array, logits: Array, p: float) -> Mask:
    """Return the tokens of least cost whose probability reaches p; a tie goes to the lower id."""
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
    """Return how often each token occurs among a row's ids, float [B, V]."""
    batch, size = shape
    counts = np.zeros((batch, size + 1), np.float32)  # the last column counts ids of -1
    np.add.at(counts, (np.arange(batch)[:, None], ids), 1)
    return counts[:, :size]


def _unless_empty(logits: Array, narrowed: Array) -> Array:
    left = _largest(narrowed) > -np.inf
    return narrowed if left.all() else np.where(left, narrowed, logits)


@dataclass(slots=True)
class Context:
    """State that filters depend on besides the logits.

    Attributes:
        bias: nats added by the filter `bias`, float [B, V] or [V].
        past: token ids so far, newest last, [B, W]; -1 where there is none.
        window: number of ids at the end of `past` that count as recent.
        limit: maximum surprisal (bits) of the filter `mirostat`, float [B].
        run: the token that occurred `sampling.RUN` or more times in a row, [B]; -1 where there is
            no such run; None where no row has one.
        spelling: accepts or rejects spelled words; None where words are not spelled.
        last: the newest token of each stream, [B]; -1 if there is none.
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
        """Return the ids in the window, [B, window]."""
        return self.past[:, -self.window :]


class Filter(NamedTuple):
    """A row of FILTERS.

    Attributes:
        apply: returns the filtered logits, [B, V], from logits, the control's value and a Context.
        history: number of past tokens that it needs, or the field of SamplingConfig that sets it.
        drops: whether it leaves unlikely tokens out.
    """

    apply: Callable[[Array, Any, Context], Array]
    history: int | str = 0
    drops: bool = False


# The filters by their field of SamplingConfig, in the order of application; None skips one.
FILTERS = {
    "bias": Filter(lambda logits, _, context: bias(logits, context.bias)),
    "known_words": Filter(lambda logits, x, at: known_words(logits, x, np.array(at.last))),
    "repetition_penalty": Filter(
        lambda logits, x, at: repetition_penalty(logits, at.recent, x), history="penalty_window"
    ),
    "frequency_penalty": Filter(
        lambda logits, x, at: frequency_penalty(logits, at.recent, x), history="penalty_window"
    ),
    "no_repeat_ngram": Filter(
        lambda logits, n, at: no_repeat_ngram(logits, at.past, n), history=NGRAM_HISTORY
    ),
    "temperature": Filter(lambda logits, t, at: _temperature(logits, t, at)),
    "top_k": Filter(lambda logits, k, _: top_k(logits, k), drops=True),
    "typical_p": Filter(lambda logits, p, _: typical_p(logits, p), drops=True),
    "top_p": Filter(lambda logits, p, _: top_p(logits, p), drops=True),
    "min_p": Filter(lambda logits, p, _: min_p(logits, p), drops=True),
    "mirostat": Filter(lambda logits, _, at: mirostat(logits, at.limit), drops=True),
}


def _temperature(logits: Array, t: float, context: Context) -> Array:
    if context.spelling:
        logits = context.spelling.narrow(logits)
    tempered = temperature(logits, t)
    if context.spelling:
        tempered = context.spelling.ends_as_one(tempered, logits)
    if context.run is None or not 0 < t < 1:
        return tempered
    return runs_end(tempered, logits, context.run)
