"""The filters against plain implementations, and draws against the probabilities."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn import sampling
from charrnn.cells import Array
from charrnn.config import SamplingConfig
from charrnn.sampling import FILTERS, sample
from tests.strategies import logits as any_logits

CLOSE = 1e-5  # probabilities of float32 logits agree to this


def probabilities(logits: Array) -> list[float]:
    """Softmax, plainly."""
    largest = max(logits.tolist())
    masses = [math.exp(x - largest) for x in logits.tolist()]
    return [mass / sum(masses) for mass in masses]


def ranking(logits: Array) -> list[int]:
    """Ids from the likeliest down, the lower id first in a tie."""
    return sorted(range(len(logits)), key=lambda i: (-float(logits[i]), i))


def keeping(logits: Array, ids: list[int]) -> Array:
    """The logits of these ids, -inf elsewhere."""
    kept = np.full_like(logits, -np.inf)
    for i in ids:
        kept[i] = logits[i]
    return kept


@given(any_logits, st.integers(1, 40))
def test_top_k(logits: Array, k: int) -> None:
    """The k likeliest stay as they are, ties at the border by the lower id; k may exceed V."""
    assert np.array_equal(sampling.top_k(logits, k), keeping(logits, ranking(logits)[:k]))


@given(any_logits, st.floats(1e-6, 1))
def test_top_p(logits: Array, p: float) -> None:
    """The likeliest tokens that together reach p stay as they are, and no more of them."""
    kept = sampling.top_p(logits, p)
    ids = [i for i in ranking(logits) if kept[i] > -np.inf]
    assert np.array_equal(kept, keeping(logits, ranking(logits)[: len(ids)]))
    mass = [probabilities(logits)[i] for i in ids]
    assert sum(mass) >= p - CLOSE
    assert sum(mass[:-1]) < p + CLOSE


@pytest.mark.parametrize(("v", "p", "kept"), [(4, 0.5, 2), (2, 0.5, 1), (8, 0.25, 2), (4, 0.51, 3)])
def test_top_p_of_equals(v: int, p: float, kept: int) -> None:
    """Of equal tokens that reach p exactly, the lowest ids stay and not one more."""
    logits = np.full(v, 1.5, np.float32)
    assert np.array_equal(sampling.top_p(logits, p), keeping(logits, list(range(kept))))


@given(any_logits, st.floats(0, 1))
def test_min_p(logits: Array, p: float) -> None:
    """Tokens stay, as they are, that have at least p times the likeliest one's probability."""
    kept = sampling.min_p(logits, p)
    least = p * max(probabilities(logits))
    for i, probability in enumerate(probabilities(logits)):
        if probability > least * (1 + CLOSE):
            assert kept[i] == logits[i]
        elif probability < least * (1 - CLOSE):
            assert kept[i] == -np.inf
        else:  # on the border, to rounding
            assert kept[i] in (logits[i], -np.inf)


def test_min_p_of_one() -> None:
    """A share of 1 keeps the likeliest token and its ties alone."""
    logits = np.array([1, 3, -np.inf, 3, 2.9], np.float32)
    assert np.array_equal(sampling.min_p(logits, 1.0), keeping(logits, [1, 3]))


@given(any_logits, st.floats(0.05, 20))
def test_temperature(logits: Array, t: float) -> None:
    """Probabilities at temperature t are those of the logits divided by t."""
    expected = probabilities(np.array([x / t for x in logits.tolist()]))
    assert probabilities(sampling.temperature(logits, t)) == pytest.approx(expected, abs=1e-4)


@given(any_logits)
def test_temperature_of_zero(logits: Array) -> None:
    """Temperature 0 keeps the likeliest token alone, of a tie the lowest id."""
    kept = sampling.temperature(logits, 0.0)
    assert np.flatnonzero(kept > -np.inf).tolist() == ranking(logits)[:1]


FILTER_VALUES = [
    ("temperature", 0.0),
    ("temperature", 0.5),
    ("top_k", 2),
    ("top_k", 100),
    ("top_p", 0.4),
    ("top_p", 1.0),
    ("min_p", 0.0),
    ("min_p", 0.3),
]


@settings(max_examples=40)
@given(logits=any_logits)
@pytest.mark.parametrize(("name", "value"), FILTER_VALUES)
def test_every_filter(name: str, value: Any, logits: Array) -> None:
    """A filter changes nothing in place, brings no token back and keeps the likeliest."""
    before = logits.copy()
    kept = FILTERS[name](logits, value)
    assert np.array_equal(logits, before)
    assert kept.shape == logits.shape
    assert kept.dtype == logits.dtype
    assert np.isneginf(kept[np.isneginf(logits)]).all()
    assert ranking(kept)[0] == ranking(logits)[0]


def test_filters_are_the_configuration() -> None:
    """Every field of SamplingConfig is a filter, and they are applied in its order."""
    assert [*FILTERS] == [field.name for field in dataclasses.fields(SamplingConfig)]


LOGITS = np.array([0.5, 2, -np.inf, 1, 1, -1, 1.8, -3], np.float32)
DRAWS = 10_000


def expected_frequencies(config: SamplingConfig) -> list[float]:
    """Each control, in the order of the configuration, plainly."""
    p = probabilities(np.array([x / config.temperature for x in LOGITS.tolist()]))
    ids = sorted(range(len(p)), key=lambda i: (-p[i], i))
    if config.top_k is not None:
        ids = ids[: config.top_k]
    if config.top_p is not None:
        total, kept = sum(p[i] for i in ids), 0.0
        for n, i in enumerate(ids):
            kept += p[i] / total
            if kept >= config.top_p:
                ids = ids[: n + 1]
                break
    if config.min_p is not None:
        ids = [i for i in ids if p[i] >= config.min_p * p[ids[0]]]
    total = sum(p[i] for i in ids)
    return [p[i] / total if i in ids else 0.0 for i in range(len(p))]


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(temperature=1.0),
        SamplingConfig(temperature=0.5),
        SamplingConfig(temperature=3.0),
        SamplingConfig(temperature=1.0, top_k=3),
        SamplingConfig(temperature=1.0, top_p=0.8),
        SamplingConfig(temperature=1.0, min_p=0.4),
        SamplingConfig(temperature=2.0, top_p=0.8),
        SamplingConfig(temperature=2.0, min_p=0.4),
        SamplingConfig(temperature=1.5, top_k=5, top_p=0.7, min_p=0.3),
    ],
    ids=str,
)
def test_frequencies(config: SamplingConfig) -> None:
    """Tokens are drawn as often as their probability after all filters says."""
    rng = np.random.default_rng(0)
    counts = np.bincount([sample(LOGITS, config, rng) for _ in range(DRAWS)], minlength=len(LOGITS))
    for count, p in zip(counts.tolist(), expected_frequencies(config), strict=True):
        assert abs(count - DRAWS * p) <= 4 * math.sqrt(DRAWS * p * (1 - p))


@given(any_logits, st.integers(0, 2**32))
def test_zero_is_greedy(logits: Array, seed: int) -> None:
    """Temperature 0 takes the likeliest token, whatever the random numbers and other filters."""
    rng = np.random.default_rng(seed)
    for config in (SamplingConfig(0.0), SamplingConfig(0.0, top_k=3, top_p=0.9, min_p=0.1)):
        assert sample(logits, config, rng) == ranking(logits)[0]


@given(any_logits, st.integers(0, 2**32))
def test_impossible_tokens(logits: Array, seed: int) -> None:
    """A token at -inf is never drawn."""
    rng = np.random.default_rng(seed)
    assert logits[sample(logits, SamplingConfig(5.0), rng)] > -np.inf


class Constant(np.random.Generator):
    """A generator that always draws the same number."""

    def __init__(self, number: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.number = number

    def random(self, *_: Any, **__: Any) -> Any:
        return self.number


@given(any_logits)
def test_ends_of_the_random_numbers(logits: Array) -> None:
    """The least and the largest random number draw the first and the last possible token."""
    possible = np.flatnonzero([p > 0 for p in probabilities(logits)])
    largest = float(np.nextafter(1.0, 0.0))
    assert sample(logits, SamplingConfig(1.0), Constant(0.0)) == possible[0]
    assert logits[sample(logits, SamplingConfig(1.0), Constant(largest))] > -np.inf


@pytest.mark.parametrize("t", [1e-30, 1e-38, 1e-40, 1e-46, 1e-300, 5e-324])
def test_tiny_temperature(t: float) -> None:
    """A temperature next to 0 takes the likeliest token as 0 does."""
    for logits in (LOGITS, LOGITS - 50, LOGITS + 50):
        assert sample(logits, SamplingConfig(t), np.random.default_rng(0)) == 1


@pytest.mark.parametrize("t", [1e30, 1e38, 1e39, 1e300])
def test_huge_temperature(t: float) -> None:
    """A huge temperature draws every possible token alike, and no impossible one."""
    rng = np.random.default_rng(0)
    counts = np.bincount([sample(LOGITS, SamplingConfig(t), rng) for _ in range(2000)], minlength=8)
    assert counts[2] == 0
    assert (counts[[0, 1, 3, 4, 5, 6, 7]] > 200).all()
