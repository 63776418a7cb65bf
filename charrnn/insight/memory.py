"""How far back the predictions of a network depend on a text."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats, Ids
from charrnn.network.engine import Engine, State, log_softmax
from charrnn.network.ngrams import Ngrams
from charrnn.scoring import Tell, untold

# Distances of replaced tokens: two to the octave, up to the reach of the gradient (not tuned).
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
CONTEXTS = tuple(2**i for i in range(11))  # lengths of a context, in tokens
WARM_UP = 64  # tokens read before the most distant replaced one (not tuned)
FALL = 0.01  # share of the first value under which a curve counts as having fallen (a convention)
# Positions at which a text is predicted: as many as take WORK multiplications, within these limits
# (not tuned; a second or two on one core, and 8 s where a network of 512 units needs the fewest).
FEWEST, MOST = 128, 1024
WORK = 1e11
LONG = 64  # tokens of context from which a measurement may end early (not tuned)
SAME = 1e-3  # mean change of a loss that counts as none (nats, not tuned)
SHORTEST = 300  # minimum tokens of a text


class Influence(NamedTuple):
    """What replacing one token changes.

    Attributes:
        lags: distances k of the replaced token; the last token read has distance 1, [K].
        kl: mean divergence of the next token's distribution from the one without replacement
            (nats), [K].
        positions: number of positions that the mean is taken over.
    """

    lags: NDArray[np.intp]
    kl: Floats
    positions: int


class Context(NamedTuple):
    """What longer contexts buy.

    Attributes:
        lengths: tokens read before the one that is predicted, [K].
        nats: the network's mean loss (nats per token), [K].
        ngram_nats: that of its n-grams alone, [K]; None without n-grams.
        positions: number of positions that the means are taken over.
    """

    lengths: NDArray[np.intp]
    nats: Floats
    ngram_nats: Floats | None
    positions: int


def places(count: int, before: int, most: int) -> NDArray[np.intp]:
    """Return positions in a text, evenly spaced.

    Args:
        count: tokens of the text.
        before: tokens that precede the first position, under `count`.
        most: maximum number of positions.
    """
    return np.unique(np.linspace(before, count - 1, most).astype(np.intp))


def affordable(engine: Engine, steps: int) -> int:
    """Return the number of positions for a measure that takes `steps` steps for each."""
    multiplied = sum(layer.outgoing.size for layer in engine.layers)
    return int(np.clip(WORK / (steps * multiplied), FEWEST, MOST))


def influence(engine: Engine, ids: Ids, rng: np.random.Generator, tell: Tell = untold) -> Influence:
    """Measure how much a prediction changes when an earlier token is replaced.

    The replacement is drawn from the text's own tokens, other than the one that it replaces. The
    predictions are those of the network, without n-grams.

    Args:
        engine: the network.
        ids: token ids below V of a text, at least SHORTEST; a short one limits the lags.
        rng: draws the replacements.
        tell: called regularly with the share of the work that was done since the last call.
    """
    engine = engine.without_ngrams()
    lags = np.array([lag for lag in LAGS if lag == 1 or lag + WARM_UP <= len(ids) // 2], np.intp)
    furthest = int(lags[-1])
    before = min(WARM_UP + furthest, len(ids) // 2)
    steps = before + int(lags.sum())
    at = places(len(ids), before, affordable(engine, steps))
    count = len(at)
    # The first stream of each position reads the text, the others begin at their replacements.
    state = engine.zero_state(count)
    with engine.threads(count):
        for back in range(before, 0, -1):
            tokens = ids[at - back]
            before_it = state.take(slice(count)) if back in lags else None
            state = engine.step(np.tile(tokens, state.hidden.shape[2] // count), state)
            if before_it is not None:
                state = State.join([state, engine.step(_others(tokens, ids, rng), before_it)])
            tell(state.hidden.shape[2] / count / steps)
        logp = log_softmax(engine.logits(state).astype(np.float64))
    logp = logp.reshape(len(lags) + 1, count, -1)
    differences = logp[0] - logp[:0:-1]  # the nearest replacement was made last
    kl = (np.exp(logp[0]) * differences).sum(axis=2).mean(axis=1)
    return Influence(lags, np.maximum(kl, 0), count)


def _others(tokens: Ids, ids: Ids, rng: np.random.Generator) -> Ids:
    """Return a token of a text for each of some tokens, different from it where the text allows."""
    drawn = rng.choice(ids, len(tokens))
    values, counts = np.unique(ids, return_counts=True)
    for i in np.flatnonzero(drawn == tokens) if len(values) > 1 else ():
        p = np.where(values == tokens[i], 0, counts)
        drawn[i] = rng.choice(values, p=p / p.sum())
    return drawn


def falls(lags: NDArray[np.intp], values: Floats) -> float | None:
    """Return the distance at which a curve falls under FALL of its first value; None if it stays.

    Between two distances the logarithm of the curve is taken as a straight line.

    Args:
        lags: distances, ascending, [K].
        values: values at these distances, not negative, [K].
    """
    limit = FALL * values[0]
    below = np.flatnonzero(values < limit)
    if not len(below):
        return None
    after = int(below[0])
    tiny = np.finfo(float).tiny  # a value may be 0
    high, low = np.log(np.maximum(values[after - 1 : after + 1], tiny))
    share = (high - np.log(limit)) / (high - low)
    return float(lags[after - 1] + share * (lags[after] - lags[after - 1]))


def context(engine: Engine, ids: Ids, tell: Tell = untold) -> Context:
    """Measure the loss at the same positions after contexts of several lengths.

    Each context is read from a zero state. If from LONG tokens on twice the context changes the
    losses by less than SAME, longer ones are taken to change nothing.

    Args:
        engine: the network.
        ids: token ids below V of a text, at least SHORTEST; a short one limits the contexts.
        tell: as in `influence`.
    """
    lengths = np.array([k for k in CONTEXTS if k <= len(ids) // 2], np.intp)
    steps, longest = int(lengths.sum()), int(lengths[-1])
    network, ngrams = engine.without_ngrams(), engine.ngrams
    at = places(len(ids), longest, affordable(engine, steps))
    nats = np.zeros((len(lengths), len(at)))
    ngram_nats = np.zeros(len(lengths))
    same = False  # whether the last length changed nothing
    with engine.threads(len(at)):
        for i, length in enumerate(lengths.tolist()):
            if ngrams:
                ngram_nats[i] = _losses(_ngram_logp(ngrams, ids, at, length), ids[at]).mean()
            if same:
                nats[i] = nats[i - 1]
                tell(length / steps)
                continue
            state = network.zero_state(len(at))
            for back in range(length, 0, -1):
                state = network.step(ids[at - back], state)
                tell(1 / steps)
            nats[i] = _losses(network.logits(state), ids[at])
            same = length >= LONG and np.abs(nats[i] - nats[i - 1]).mean() < SAME
    return Context(lengths, nats.mean(axis=1), ngram_nats if ngrams else None, len(at))


def _ngram_logp(ngrams: Ngrams, ids: Ids, at: NDArray[np.intp], length: int) -> Array:
    """Return what n-grams predict at some positions, from at most `length` tokens before each."""
    contexts = ngrams.start(len(at))
    for back in range(min(length, ngrams.order - 1), 0, -1):
        contexts = ngrams.step(ids[at - back], contexts)
    return ngrams.logp(contexts)


def _losses(logits: Array, ids: Ids) -> Floats:
    """Return the losses of predicting token ids [B] from logits [B, V], nats, [B]."""
    logp = log_softmax(logits.astype(np.float64))
    losses: Floats = -np.take_along_axis(logp, ids[:, None], axis=1)[:, 0]
    return losses
