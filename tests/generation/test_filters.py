"""Each filter against a plain one for a single row."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charrnn.arrays import Array, Ids
from charrnn.config import SamplingConfig
from charrnn.generation import filters
from charrnn.generation.filters import FILTERS, Context
from tests.generation.plain import (
    ANY_LOGITS,
    BATCHES,
    NO_RUN,
    Row,
    atypicality,
    keeping,
    plain_bias,
    plain_frequency_penalty,
    plain_min_p,
    plain_mirostat,
    plain_no_repeat_ngram,
    plain_repetition_penalty,
    plain_temperature,
    plain_top_k,
    plain_top_p,
    plain_typical_p,
    possible,
    probabilities,
    surprises,
)

CLOSE = 1e-5  # probabilities of float32 logits agree to this,
NEAR = 1e-4  # and surprises


def agrees(kept: Array, logits: Array, plain: Callable[[int, Row], Row]) -> bool:
    """Assert that a filter's rows equal the reference's, up to rounding."""
    rows = [plain(b, row) for b, row in enumerate(logits.tolist())]
    return kept.dtype == np.float32 and np.allclose(kept, np.array(rows), rtol=1e-6, atol=1e-6)


def check_between(kept: Array, logits: Array, fewer: list[Row], more: list[Row]) -> None:
    """Logits stay as they are or become -inf; which ones, the stricter and the laxer decide."""
    for got, row, least, most in zip(kept.tolist(), logits.tolist(), fewer, more, strict=True):
        assert got == keeping(row, [*possible(got)])
        assert possible(least) <= possible(got) <= possible(most)


def padded(rows: Sequence[Sequence[int]], width: int) -> Ids:
    """Ids at the end of each row, -1 before them, [B, width]."""
    ids = np.full((len(rows), width), -1, np.int32)
    for b, row in enumerate(rows):
        ids[b, width - len(row) :] = row
    return ids


@st.composite
def logits_and_past(draw: st.DrawFn) -> tuple[Array, list[list[int]], Ids]:
    """Generate logits, the past of each stream, and the pasts padded with -1."""
    logits = draw(ANY_LOGITS)
    batch, size = logits.shape
    width = draw(st.integers(0, 12))
    few = st.integers(0, min(size, 3) - 1)  # so that runs of them repeat
    ids = draw(st.lists(few, min_size=batch * width, max_size=batch * width))
    lengths = draw(st.lists(st.integers(0, width), min_size=batch, max_size=batch))
    past = [ids[b * width : b * width + length] for b, length in enumerate(lengths)]
    return logits, past, padded(past, width)


_bias = st.sampled_from([-np.inf, -np.inf, 0.0, 1.25, -3.0])


def biases(shape: tuple[int, ...]) -> st.SearchStrategy[Array]:
    size = math.prod(shape)
    lists = st.lists(_bias, min_size=size, max_size=size)
    return lists.map(lambda values: np.array(values, np.float32).reshape(shape))


@BATCHES
@given(st.data(), ANY_LOGITS)
def test_bias(data: st.DataObject, logits: Array) -> None:
    """A bias is added, -inf too, unless nothing were left of the row."""
    alike, each = data.draw(biases(logits.shape[1:])), data.draw(biases(logits.shape))
    kept = filters.bias(logits, alike)
    assert agrees(kept, logits, lambda _, row: plain_bias(row, alike.tolist()))
    kept = filters.bias(logits, each)
    assert agrees(kept, logits, lambda b, row: plain_bias(row, each[b].tolist()))


def test_bias_that_leaves_nothing() -> None:
    """A row of which a bias would leave nothing stays as it is, its bans of others included."""
    logits = np.array([[1, -np.inf, 2], [1, 3, 2]], np.float32)
    added = np.array([-np.inf, 5, -np.inf], np.float32)
    assert filters.bias(logits, added).tolist() == [
        [1, -math.inf, 2],
        [-math.inf, 8, -math.inf],
    ]


@BATCHES
@given(logits_and_past(), st.floats(0.125, 8, width=32))
def test_repetition_penalty(case: tuple[Array, list[list[int]], Ids], penalty: float) -> None:
    """What occurred, however often, has a positive logit divided and another multiplied."""
    logits, recent, padded_recent = case
    kept = filters.repetition_penalty(logits, padded_recent, penalty)
    assert agrees(kept, logits, lambda b, row: plain_repetition_penalty(row, recent[b], penalty))


@BATCHES
@given(logits_and_past(), st.floats(-10, 10, width=32))
def test_frequency_penalty(case: tuple[Array, list[list[int]], Ids], penalty: float) -> None:
    """Each occurrence takes the penalty from a token's logit."""
    logits, recent, padded_recent = case
    kept = filters.frequency_penalty(logits, padded_recent, penalty)
    assert agrees(kept, logits, lambda b, row: plain_frequency_penalty(row, recent[b], penalty))


def test_penalties_of_nothing() -> None:
    """Ids of -1, and a past of no ids at all, count for nothing."""
    logits = np.array([[1, -np.inf, -2], [0, 3, 3]], np.float32)
    for nothing in (np.full((len(logits), 3), -1, np.int32), padded([[]] * len(logits), 0)):
        assert np.array_equal(filters.repetition_penalty(logits, nothing, 3.0), logits)
        assert np.array_equal(filters.frequency_penalty(logits, nothing, 3.0), logits)
        assert np.array_equal(filters.no_repeat_ngram(logits, nothing, 1), logits)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 9])
def test_window(window: int) -> None:
    """The penalties look at the last ids of the past, as many as the window holds."""
    past = [0, 0, 3, 1]
    logits = np.array([[2, 1, -1, -2]], np.float32)
    context = Context(
        np.zeros(4, np.float32), padded([past], 6), window, np.zeros(1, np.float32), NO_RUN[:1]
    )
    kept = FILTERS["repetition_penalty"].apply(logits, 1.5, context)
    assert agrees(kept, logits, lambda _, row: plain_repetition_penalty(row, past[-window:], 1.5))
    kept = FILTERS["frequency_penalty"].apply(logits, 1.5, context)
    assert agrees(kept, logits, lambda _, row: plain_frequency_penalty(row, past[-window:], 1.5))


@BATCHES
@given(logits_and_past(), st.integers(1, 5) | st.just(1000))
def test_no_repeat_ngram(case: tuple[Array, list[list[int]], Ids], n: int) -> None:
    """What would complete n tokens that occurred is banned, unless nothing were left."""
    logits, past, padded_past = case
    kept = filters.no_repeat_ngram(logits, padded_past, n)
    assert agrees(kept, logits, lambda b, row: plain_no_repeat_ngram(row, past[b], n))


@pytest.mark.parametrize(
    ("past", "n", "banned"),
    [
        ([1, 2, 1], 1, {1, 2}),
        ([1, 2, 1], 2, {2}),
        ([1, 2, 1], 3, set()),
        ([1, 2, 1], 4, set()),
        ([1, 2, 0, 1, 2, 3, 1, 2], 3, {0, 3}),
        ([2, 2, 2], 3, {2}),
        ([2, 2, 2], 4, set()),
        ([0, 1, 2, 3], 1, set()),
        ([], 1, set()),
    ],
)
@pytest.mark.parametrize("padding", [0, 1, 5])
def test_banned_tokens(past: list[int], n: int, banned: set[int], padding: int) -> None:
    """The banned tokens are those after earlier occurrences of the last n - 1 ids."""
    logits = np.array([[1, 0, -1, 2]], np.float32)
    kept = filters.no_repeat_ngram(logits, padded([past], len(past) + padding), n)
    assert kept.tolist() == [keeping([1, 0, -1, 2], [*{0, 1, 2, 3} - banned])]


@BATCHES
@given(ANY_LOGITS, st.floats(1e-4, 1e4))
def test_temperature(logits: Array, t: float) -> None:
    """Probabilities at temperature t are those of the logits divided by t; the largest is 0."""
    kept = filters.temperature(logits, t)
    assert kept.max(axis=-1).tolist() == [0] * len(logits)
    for got, row in zip(kept.tolist(), logits.tolist(), strict=True):
        expected = probabilities(plain_temperature(row, t))
        assert probabilities(got) == pytest.approx(expected, abs=1e-4)


@BATCHES
@given(ANY_LOGITS)
def test_temperature_of_zero(logits: Array) -> None:
    """Temperature 0 keeps the likeliest token alone, of a tie the lowest id."""
    assert agrees(
        filters.temperature(logits, 0.0), logits, lambda _, row: plain_temperature(row, 0.0)
    )


@BATCHES
@given(ANY_LOGITS, st.integers(1, 15))
def test_top_k(logits: Array, k: int) -> None:
    """The k likeliest stay as they are, ties at the border by the lower id; k may exceed V."""
    expected = [plain_top_k(row, k) for row in logits.tolist()]
    assert filters.top_k(logits, k).tolist() == expected


@BATCHES
@given(ANY_LOGITS, st.floats(1e-6, 1))
def test_typical_p(logits: Array, p: float) -> None:
    """Only the tokens of the most typical surprisal that together reach p are kept."""
    rows = logits.tolist()
    for row in rows:  # in which order they stay is not for rounding to decide
        costs = sorted(dict(zip(row, atypicality(row), strict=True)).values())
        assume(all(b - a > NEAR for a, b in pairwise(costs)))
    fewer = [plain_typical_p(row, p - CLOSE) for row in rows]
    more = [plain_typical_p(row, p + CLOSE) for row in rows]
    check_between(filters.typical_p(logits, p), logits, fewer, more)


def test_typical_p_without_the_likeliest() -> None:
    """A token much likelier than expected may be dropped."""
    logits = np.log(np.array([[0.4] + [0.02] * 30], np.float32))
    assert np.flatnonzero(filters.typical_p(logits, 0.09) > -np.inf).tolist() == [1, 2, 3, 4, 5]


@BATCHES
@given(ANY_LOGITS, st.floats(1e-6, 1))
def test_top_p(logits: Array, p: float) -> None:
    """Only the likeliest tokens that together reach p are kept, unchanged."""
    fewer = [plain_top_p(row, p - CLOSE) for row in logits.tolist()]
    more = [plain_top_p(row, p + CLOSE) for row in logits.tolist()]
    check_between(filters.top_p(logits, p), logits, fewer, more)


@pytest.mark.parametrize("keep", [filters.top_p, filters.typical_p])
@pytest.mark.parametrize(
    ("v", "p", "kept"),
    [(4, 0.5, 2), (2, 0.5, 1), (8, 0.25, 2), (4, 0.51, 3), (4, 5e-324, 1), (1, 0.5, 1)],
)
def test_reaching_p_among_equals(
    keep: Callable[[Array, float], Array], v: int, p: float, kept: int
) -> None:
    """Of equal tokens that reach p exactly, the lowest ids stay and not one more."""
    logits = np.array([[1.5] * v, [-7.25] * v], np.float32)
    expected = [keeping(row, range(kept)) for row in logits.tolist()]
    assert keep(logits, p).tolist() == expected


@pytest.mark.parametrize("keep", [filters.top_p, filters.typical_p])
def test_p_of_one(keep: Callable[[Array, float], Array]) -> None:
    """A probability of 1 keeps every token, the unlikeliest too."""
    logits = np.array([[20, -80, -np.inf], [0, 0, 0]], np.float32)
    assert np.array_equal(keep(logits, 1.0), logits)


@BATCHES
@given(ANY_LOGITS, st.floats(0, 1))
def test_min_p(logits: Array, p: float) -> None:
    """Tokens stay, as they are, that have at least p times the likeliest one's probability."""
    fewer = [plain_min_p(row, p * (1 + CLOSE)) for row in logits.tolist()]
    more = [plain_min_p(row, p * (1 - CLOSE)) for row in logits.tolist()]
    check_between(filters.min_p(logits, p), logits, fewer, more)


def test_min_p_of_one() -> None:
    """A share of 1 keeps the likeliest token and its ties alone."""
    logits = np.array([[1, 3, -np.inf, 3, 2.9], [4, 0, 3, 3, 3]], np.float32)
    kept = filters.min_p(logits, 1.0).tolist()
    assert [sorted(possible(row)) for row in kept] == [[1, 3], [0]]


@BATCHES
@given(st.data(), ANY_LOGITS)
def test_mirostat(data: st.DataObject, logits: Array) -> None:
    """Tokens whose surprisal is at most their row's limit are kept, unchanged."""
    limits = data.draw(
        st.lists(st.floats(-5, 60, width=32), min_size=len(logits), max_size=len(logits))
    )
    kept = filters.mirostat(logits, np.array(limits, np.float32))
    rows = [*zip(logits.tolist(), limits, strict=True)]
    fewer = [plain_mirostat(row, limit - NEAR) for row, limit in rows]
    least = [min(surprises(row)) / math.log(2) for row, _ in rows]
    more = [
        plain_mirostat(row, max(limit, x) + NEAR)
        for (row, limit), x in zip(rows, least, strict=True)
    ]
    check_between(kept, logits, fewer, more)


def test_mirostat_among_equals() -> None:
    """A limit equal to a token's surprisal keeps it; below every surprisal, the likeliest stay."""
    logits = np.array([[0, 0, 0, 0], [1, 4, 4, 0], [1, 4, 3, 0]], np.float32)
    for limit, kept in ((2.0, [{0, 1, 2, 3}, {1, 2}, {1}]), (-9.0, [{0, 1, 2, 3}, {1, 2}, {1}])):
        limits = np.array([limit, -1, 0], np.float32)
        assert [possible(row) for row in filters.mirostat(logits, limits).tolist()] == kept


# Values of each filter; whether the likeliest token is sure to stay so.
FILTER_VALUES: list[tuple[str, Any, bool]] = [
    ("bias", {}, False),
    ("repetition_penalty", 1.5, False),
    ("repetition_penalty", 0.5, False),
    ("frequency_penalty", 0.75, False),
    ("frequency_penalty", -0.75, False),
    ("no_repeat_ngram", 1, False),
    ("no_repeat_ngram", 3, False),
    ("temperature", 0.0, True),
    ("temperature", 0.5, True),
    ("temperature", 1e4, True),
    ("top_k", 2, True),
    ("top_k", 100, True),
    ("typical_p", 0.4, False),
    ("typical_p", 1.0, True),
    ("top_p", 0.4, True),
    ("top_p", 1.0, True),
    ("min_p", 0.0, True),
    ("min_p", 0.3, True),
    ("mirostat", 2.0, True),
]


@st.composite
def logits_and_context(draw: st.DrawFn) -> tuple[Array, Context]:
    logits, _, past = draw(logits_and_past())
    added = draw(biases(logits.shape))
    limits = draw(st.lists(st.floats(-1, 9), min_size=len(logits), max_size=len(logits)))
    window = draw(st.integers(1, 12))
    tokens = st.integers(-1, logits.shape[1] - 1)
    runs = draw(st.lists(tokens, min_size=len(logits), max_size=len(logits)))
    limit, run = np.array(limits, np.float32), np.array(runs, np.int32)
    return logits, Context(added, past, window, limit, run)


@BATCHES
@given(logits_and_context())
def test_every_filter(case: tuple[Array, Context]) -> None:
    """A filter changes nothing in place, restores no token and leaves at least one."""
    logits, context = case
    assert context.run is not None
    inputs = (logits, context.bias, context.past, context.limit, context.run)
    before = [array.copy() for array in inputs]
    for name, value, greedy in FILTER_VALUES:
        kept = FILTERS[name].apply(logits, value, context)
        assert all(map(np.array_equal, inputs, before)), name
        assert kept.shape == logits.shape, name
        assert kept.dtype == np.float32, name
        assert np.isneginf(kept[np.isneginf(logits)]).all(), name
        assert np.isfinite(kept.max(axis=-1)).all(), name
        for row, i in zip(kept, logits.argmax(axis=-1), strict=True):
            assert not greedy or row[i] == row.max(), name


@BATCHES
@given(logits_and_context())
def test_rows_are_independent(case: tuple[Array, Context]) -> None:
    """A row's result does not depend on the batch, bit for bit."""
    logits, context = case
    assert context.run is not None
    for name, value, _ in FILTER_VALUES:
        kept = FILTERS[name].apply(logits, value, context)
        for b in range(len(logits)):
            row = slice(b, b + 1)
            alone = Context(
                context.bias[row],
                context.past[row],
                context.window,
                context.limit[row],
                context.run[row],
            )
            assert np.array_equal(FILTERS[name].apply(logits[row], value, alone), kept[row]), name


def test_filters_are_the_configuration() -> None:
    """Every filter is a field of SamplingConfig, and this is their order."""
    assert {*FILTERS} <= {field.name for field in dataclasses.fields(SamplingConfig)}
    assert " ".join(FILTERS) == (
        "bias known_words repetition_penalty frequency_penalty no_repeat_ngram "
        "temperature top_k typical_p top_p min_p mirostat"
    )
    assert {name for name, *_ in FILTER_VALUES} == {*FILTERS} - {"known_words"}  # see test_spelling
