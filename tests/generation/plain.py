"""The filters for a single row, written plainly."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from hypothesis import settings

from charrnn.arrays import Array
from charrnn.config import SamplingConfig
from charrnn.generation.sampling import Sampler
from tests.strategies import logits as logits_of_rows

ANY_LOGITS = logits_of_rows()
BATCHES = settings(max_examples=25)  # of some rows each


Row = list[float]


def probabilities(row: Sequence[float]) -> Row:
    """Softmax, plainly."""
    largest = max(row)
    masses = [math.exp(x - largest) for x in row]
    total = sum(masses)
    return [mass / total for mass in masses]


def surprises(row: Sequence[float]) -> Row:
    """Nats of each token, inf if it is impossible."""
    return [-math.log(p) if p > 0 else math.inf for p in probabilities(row)]


def ranking(costs: Sequence[float]) -> list[int]:
    """Ids from the least cost up, the lower id first in a tie."""
    return sorted(range(len(costs)), key=lambda i: (costs[i], i))


def likeliest(row: Sequence[float]) -> list[int]:
    """Ids from the likeliest down, the lower id first in a tie."""
    return ranking([-x for x in row])


def keeping(row: Row, ids: Sequence[int]) -> Row:
    """The logits of these ids, -inf elsewhere."""
    return [x if i in ids else -math.inf for i, x in enumerate(row)]


def reaching(row: Row, ids: Sequence[int], p: float) -> Row:
    """The first of these ids that together reach p."""
    mass, masses = 0.0, probabilities(row)
    for count, i in enumerate(ids, start=1):
        mass += masses[i]
        if mass >= p:
            return keeping(row, ids[:count])
    return row


def plain_bias(row: Row, added: Sequence[float]) -> Row:
    biased = [x + a for x, a in zip(row, added, strict=True)]
    return biased if max(biased) > -math.inf else row


def plain_repetition_penalty(row: Row, recent: Sequence[int], penalty: float) -> Row:
    penalised = [x / penalty if x > 0 else x * penalty for x in row]
    return [penalised[i] if i in recent else x for i, x in enumerate(row)]


def plain_frequency_penalty(row: Row, recent: Sequence[int], penalty: float) -> Row:
    return [x - penalty * list(recent).count(i) for i, x in enumerate(row)]


def plain_no_repeat_ngram(row: Row, past: Sequence[int], n: int) -> Row:
    runs = [tuple(past[i : i + n]) for i in range(len(past) - n + 1)]
    begun = tuple(past[len(past) - n + 1 :])
    left = [i for i in range(len(row)) if (*begun, i) not in runs]
    kept = keeping(row, left)
    return kept if max(kept) > -math.inf else row


def plain_temperature(row: Row, t: float) -> Row:
    if t == 0:
        return [0.0 if i == likeliest(row)[0] else -math.inf for i in range(len(row))]
    return [(x - max(row)) / t for x in row]


def plain_top_k(row: Row, k: int) -> Row:
    return keeping(row, likeliest(row)[:k])


def plain_typical_p(row: Row, p: float) -> Row:
    return reaching(row, ranking(atypicality(row)), p)


def atypicality(row: Row) -> Row:
    """Return how far each token's surprisal is from its expectation, nats."""
    pairs = zip(probabilities(row), surprises(row), strict=True)
    entropy = sum(p * surprise for p, surprise in pairs if p > 0)
    return [abs(surprise - entropy) for surprise in surprises(row)]


def plain_top_p(row: Row, p: float) -> Row:
    return reaching(row, likeliest(row), p)


def plain_min_p(row: Row, p: float) -> Row:
    least = p * max(probabilities(row))
    return keeping(row, [i for i, q in enumerate(probabilities(row)) if q >= least])


def plain_mirostat(row: Row, limit: float) -> Row:
    bits = [nats / math.log(2) for nats in surprises(row)]
    return keeping(row, [i for i, x in enumerate(bits) if x <= max(limit, min(bits))])


def possible(row: Sequence[float]) -> set[int]:
    return {i for i, x in enumerate(row) if x > -math.inf}


NO_RUN = np.full(1, -1, np.int32)


def name(config: SamplingConfig) -> str:
    """What differs from the default."""
    fields = dataclasses.asdict(config).items()
    return " ".join(f"{k}={v}" for k, v in fields if v != getattr(SamplingConfig(), k))


def draw(sampler: Sampler, logits: Array, count: int) -> list[int]:
    """Draw for one text again and again from the same logits [V]."""
    nothing = np.zeros_like(logits)
    return [int(sampler.sample(logits[None], nothing)[0]) for _ in range(count)]


def greedy(config: SamplingConfig, row: Row, text: Sequence[int], memory: int) -> int:
    """The likeliest token after a text, plainly."""
    recent = text[-config.penalty_window :]
    if config.repetition_penalty is not None:
        row = plain_repetition_penalty(row, recent, config.repetition_penalty)
    if config.frequency_penalty is not None:
        row = plain_frequency_penalty(row, recent, config.frequency_penalty)
    if config.no_repeat_ngram is not None:
        row = plain_no_repeat_ngram(row, text[-memory:], config.no_repeat_ngram)
    return likeliest(row)[0]
