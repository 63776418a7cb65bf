"""The filters against plain implementations, and draws against the probabilities."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charrnn.arrays import Array, Ids
from charrnn.config import SamplingConfig
from charrnn.errors import ModelFileError
from charrnn.generation import filters, sampling
from charrnn.generation.filters import FILTERS, MEMORY, Context
from charrnn.generation.sampling import Sampler
from tests.strategies import logits as logits_of_rows

CLOSE = 1e-5  # probabilities of float32 logits agree to this,
NEAR = 1e-4  # and surprises

ANY_LOGITS = logits_of_rows()
BATCHES = settings(max_examples=25)  # of some rows each
Row = list[float]


def remember(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Let no_repeat_ngram look back at so many tokens."""
    row = FILTERS["no_repeat_ngram"]._replace(history=tokens)
    monkeypatch.setitem(FILTERS, "no_repeat_ngram", row)


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


# Each filter plainly, on one row; `recent` and `past` hold ids only, no -1.


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


NO_RUN = np.full(1, -1, np.int32)


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


def name(config: SamplingConfig) -> str:
    """What differs from the default."""
    fields = dataclasses.asdict(config).items()
    return " ".join(f"{k}={v}" for k, v in fields if v != getattr(SamplingConfig(), k))


LOGITS = np.array([0.5, 2, -np.inf, 1, 1, -1, 1.8, -3], np.float32)
BIAS = np.array([0, -1, 3, -np.inf, 0.5, 2.5, 0, 0], np.float32)
PAST = [1, 7, 6, 4, 1, 0, 0, 6, 4]
DRAWS = 5000


def new_sampler(
    config: SamplingConfig, seeds: Sequence[int] = (0,), pasts: Sequence[Sequence[int]] = ()
) -> Sampler:
    """A sampler of a text for each seed."""
    ids = [np.array(past, np.int32) for past in pasts or [[]] * len(seeds)]
    return Sampler(config, [np.random.default_rng(seed) for seed in seeds], ids)


def draw(sampler: Sampler, logits: Array, count: int) -> list[int]:
    """Draw for one text again and again from the same logits [V]."""
    nothing = np.zeros_like(logits)
    return [int(sampler.sample(logits[None], nothing)[0]) for _ in range(count)]


def expected_frequencies(config: SamplingConfig) -> Row:
    """Each control, in the documented order, plainly."""
    row: Row = LOGITS.tolist()
    if config.bias is not None:
        row = plain_bias(row, BIAS.tolist())
    recent = PAST[-config.penalty_window :]
    if config.repetition_penalty is not None:
        row = plain_repetition_penalty(row, recent, config.repetition_penalty)
    if config.frequency_penalty is not None:
        row = plain_frequency_penalty(row, recent, config.frequency_penalty)
    if config.no_repeat_ngram is not None:
        row = plain_no_repeat_ngram(row, PAST, config.no_repeat_ngram)
    row = plain_temperature(row, config.temperature)
    if config.top_k is not None:
        row = plain_top_k(row, config.top_k)
    if config.typical_p is not None:
        row = plain_typical_p(row, config.typical_p)
    if config.top_p is not None:
        row = plain_top_p(row, config.top_p)
    if config.min_p is not None:
        row = plain_min_p(row, config.min_p)
    if config.mirostat is not None:  # the limit starts at twice the target
        row = plain_mirostat(row, 2 * config.mirostat)
    return probabilities(row)


CONFIGS = [
    SamplingConfig(temperature=1.0),
    SamplingConfig(temperature=0.5),
    SamplingConfig(temperature=3.0),
    SamplingConfig(temperature=1.0, top_k=3),
    SamplingConfig(temperature=1.0, top_p=0.8),
    SamplingConfig(temperature=1.0, min_p=0.4),
    SamplingConfig(temperature=1.0, typical_p=0.6),
    SamplingConfig(temperature=1.0, mirostat=1.2),
    SamplingConfig(temperature=1.0, repetition_penalty=1.7, penalty_window=4),
    SamplingConfig(temperature=1.0, frequency_penalty=0.4, penalty_window=7),
    SamplingConfig(temperature=1.0, no_repeat_ngram=3),
    SamplingConfig(temperature=1.0, bias={"a": 1.0}),
    SamplingConfig(temperature=2.0, top_p=0.8),
    SamplingConfig(temperature=2.0, min_p=0.4),
    SamplingConfig(temperature=2.0, typical_p=0.7, top_p=0.7),
    SamplingConfig(temperature=1.5, top_k=5, top_p=0.7, min_p=0.3),
    SamplingConfig(temperature=1.5, top_k=5, typical_p=0.9, mirostat=1.0),
    SamplingConfig(temperature=2.0, frequency_penalty=0.5, no_repeat_ngram=3, top_k=4),
    SamplingConfig(temperature=1.5, repetition_penalty=1.5, frequency_penalty=0.3, top_p=0.9),
    SamplingConfig(temperature=1.2, bias={"a": 1.0}, repetition_penalty=2.0, no_repeat_ngram=2),
    SamplingConfig(0.9, 6, 0.95, 0.05, 0.97, 1.4, 0.1, 1.3, 0.2, 5, 3, {"a": 1.0}),
]


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_frequencies(config: SamplingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are sampled as often as their probability after all filters says."""
    remember(monkeypatch, len(PAST))  # of so many texts
    rng = np.random.default_rng(0)
    sampler = Sampler(config, [rng] * DRAWS, [np.array(PAST)] * DRAWS)
    ids = sampler.sample(np.tile(LOGITS, (DRAWS, 1)), BIAS)
    counts = np.bincount(ids, minlength=len(LOGITS)).tolist()
    for count, p in zip(counts, expected_frequencies(config), strict=True):
        assert abs(count - DRAWS * p) <= 4 * math.sqrt(DRAWS * p * (1 - p))


def test_frequencies_of_one_text() -> None:
    """A text's draws follow the probabilities one after the other too, whatever came before."""
    ids = np.array(draw(new_sampler(SamplingConfig(1.0)), LOGITS, DRAWS))
    p = np.array(probabilities(LOGITS.tolist()))
    pairs = np.bincount(8 * ids[:-1] + ids[1:], minlength=64) / (DRAWS - 1)
    expected = np.outer(p, p).ravel()
    assert (np.abs(pairs - expected) <= 5 * np.sqrt(expected / DRAWS)).all()


SPACES = np.log([0.96, 0.02, 0.015, 0.005]).astype(np.float32)  # 25 on average at temperature 1


def longest_run(ids: Sequence[int]) -> int:
    return max(len([*group]) for _, group in itertools.groupby(ids))


class TestRuns:
    @pytest.mark.parametrize("t", [0.05, 0.2, 0.5, 0.9])
    def test_length(self, t: float) -> None:
        """However low the temperature, a run ends about as soon as the model would end it."""
        as_it_is = longest_run(draw(new_sampler(SamplingConfig(1.0)), SPACES, 4000))
        assert longest_run(draw(new_sampler(SamplingConfig(t)), SPACES, 4000)) <= 2 * as_it_is

    @pytest.mark.parametrize("t", [0.2, 0.5, 0.9])
    def test_what_follows_is_sharpened(self, t: float) -> None:
        """A run continues with the model's probability; all else follows the temperature."""
        tempered = filters.temperature(SPACES[None], t)
        (row,) = filters.runs_end(tempered, SPACES[None], np.zeros(1, np.int32))
        p, expected = np.exp(row), np.array(probabilities(plain_temperature(SPACES.tolist(), t)))
        assert p[0] == pytest.approx(0.96)
        assert p[1:] == pytest.approx(0.04 * expected[1:] / expected[1:].sum())

    @pytest.mark.parametrize("t", [1e-6, 0.2, 1.0, 1.5])
    def test_never_longer(self, t: float) -> None:
        """Where the temperature would end a run sooner, it does."""
        logits = np.log([[0.1, 0.8, 0.1]]).astype(np.float32)
        zero = np.zeros(1, np.float32)
        context = Context(zero, NO_RUN[None], 1, zero, np.zeros(1, np.int32))
        kept = FILTERS["temperature"].apply(logits, t, context)
        assert np.array_equal(kept, filters.temperature(logits, t))

    def test_nothing_else(self) -> None:
        """A run continues where nothing else is possible."""
        logits = np.array([[-np.inf, 2, -np.inf]], np.float32)
        tempered = filters.temperature(logits, 0.5)
        kept = filters.runs_end(tempered, logits, np.ones(1, np.int32))
        assert np.array_equal(kept, tempered)

    def test_other_texts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stream without such runs is unchanged."""
        ids = draw(new_sampler(SamplingConfig(0.5)), LOGITS, 2000)
        assert longest_run(ids) < sampling.RUN
        monkeypatch.setattr(sampling, "RUN", 10**6)
        assert draw(new_sampler(SamplingConfig(0.5)), LOGITS, 2000) == ids

    @pytest.mark.parametrize(("taken_back", "ended"), [(0, 0.04), (1, 0.0)])
    def test_a_seed_that_ends_in_one(self, taken_back: int, ended: float) -> None:
        """The start of a stream counts, except for tokens that were taken back."""
        past = np.array([1] + [0] * sampling.RUN)
        sampler = Sampler(SamplingConfig(0.05), [np.random.default_rng(0)] * DRAWS, [past] * DRAWS)
        for row in range(DRAWS):
            sampler.take_back(row, taken_back, last=0)
        ids = sampler.sample(np.tile(SPACES, (DRAWS, 1)), np.zeros(4, np.float32))
        assert (ids != 0).mean() == pytest.approx(ended, abs=0.01)

    def test_ended_texts_are_dropped(self) -> None:
        """Each text keeps its own run when others end."""
        pasts = [np.array([token] * sampling.RUN) for token in (1, 0)] * (DRAWS // 2)
        sampler = Sampler(SamplingConfig(0.05), [np.random.default_rng(0)] * DRAWS, pasts)
        sampler.keep(np.arange(DRAWS) % 2 == 1)
        ids = sampler.sample(np.tile(SPACES, (DRAWS // 2, 1)), np.zeros(4, np.float32))
        assert (ids != 0).mean() == pytest.approx(0.04, abs=0.015)


MANY_CONTROLS = [
    SamplingConfig(),
    SamplingConfig(temperature=0.0, frequency_penalty=0.5),
    SamplingConfig(temperature=1.3, top_k=20, top_p=0.95, min_p=0.01, typical_p=0.9),
    SamplingConfig(temperature=1.0, repetition_penalty=1.2, frequency_penalty=0.1),
    SamplingConfig(temperature=1.0, no_repeat_ngram=2, penalty_window=8, frequency_penalty=0.3),
    SamplingConfig(temperature=1.0, mirostat=2.5, bias={"a": 1.0}),
    SamplingConfig(0.9, 25, 0.98, 0.01, 0.98, 3.0, 0.2, 1.2, 0.1, 30, 2, {"a": 1.0}),
]


@pytest.mark.parametrize("config", MANY_CONTROLS, ids=name)
def test_a_text_does_not_depend_on_its_batch(
    config: SamplingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text draws the same alone, beside others, and after others were dropped."""
    remember(monkeypatch, 40)
    steps, size = 320, 30
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (steps, 4, size)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.1] = -np.inf
    added = rng.normal(0, 1, (4, size)).astype(np.float32)
    seeds = (5, 6, 7, 8)
    pasts: list[list[int]] = [[], [3, 4, 3], [*range(30)] * 3, [1]]
    alone = np.empty((steps, 4), np.intp)
    for row, (seed, past) in enumerate(zip(seeds, pasts, strict=True)):
        sampler = new_sampler(config, [seed], [past])
        for t in range(steps):
            alone[t, row] = sampler.sample(logits[t, [row]], added[row])[0]
    going = np.arange(4)
    sampler = new_sampler(config, seeds, pasts)
    for t in range(steps):
        if t in (0, 10, 256, 300):
            kept = np.array({0: [1, 1, 1, 1], 10: [1, 0, 1, 1], 256: [0, 1, 1], 300: [0, 1]}[t]) > 0
            sampler.keep(kept)
            going = going[kept]
        ids = sampler.sample(logits[t, going], added[going])
        assert ids.tolist() == alone[t, going].tolist()


def test_seeds() -> None:
    """Streams sample alike if and only if their random numbers are the same."""
    sampler = new_sampler(SamplingConfig(1.0), (1, 2, 1))
    rows = np.tile(LOGITS, (3, 1))
    ids = np.array([sampler.sample(rows, BIAS) for _ in range(40)]).T.tolist()
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("config", MANY_CONTROLS, ids=name)
def test_drawing_changes_nothing(config: SamplingConfig) -> None:
    """Sampling does not change the logits or the bias."""
    logits, added = np.stack([LOGITS, LOGITS + 1]), BIAS.copy()
    new_sampler(config, (1, 2), [PAST, PAST]).sample(logits, added)
    assert np.array_equal(logits, [LOGITS, LOGITS + 1])
    assert np.array_equal(added, BIAS)


@BATCHES
@given(ANY_LOGITS, st.integers(0, 2**32))
def test_zero_is_greedy(logits: Array, seed: int) -> None:
    """Temperature 0 takes the likeliest token, whatever the random numbers and the cuts."""
    cuts = SamplingConfig(0.0, top_k=3, top_p=0.9, min_p=0.1, typical_p=0.5, mirostat=3.0)
    for config in (SamplingConfig(0.0), cuts):
        sampler = new_sampler(config, [seed] * len(logits))
        for _ in range(2):
            ids = sampler.sample(logits, np.zeros_like(logits))
            assert ids.tolist() == logits.argmax(axis=-1).tolist()


class Constant(np.random.Generator):
    """A generator that always draws the same number."""

    def __init__(self, number: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.number = number

    def random(self, *shape: Any, **options: Any) -> Any:
        numbers = options.get("out", np.empty(shape))
        numbers[...] = self.number
        return numbers


LEAST, LARGEST = 0.0, float(np.nextafter(1.0, 0.0))


@BATCHES
@given(ANY_LOGITS, st.sampled_from([LEAST, LARGEST]) | st.floats(0, LARGEST))
def test_impossible_tokens(logits: Array, number: float) -> None:
    """A token of probability 0 is never sampled, whatever the random number."""
    for config in (
        SamplingConfig(5.0),
        SamplingConfig(1.0),
        SamplingConfig(0.001),
        SamplingConfig(1.0, top_k=2),
        SamplingConfig(1.0, top_p=0.7, min_p=0.1, mirostat=1.0),
    ):
        sampler = Sampler(config, [Constant(number)] * len(logits), [])
        ids = sampler.sample(logits, np.zeros_like(logits)).tolist()
        for i, row in zip(ids, logits.tolist(), strict=True):
            assert probabilities(plain_temperature(row, config.temperature))[i] > 0


@pytest.mark.parametrize(("number", "drawn"), [(LEAST, 4), (LARGEST, 1)])
def test_ends_of_the_random_numbers(number: float, drawn: int) -> None:
    """The least random number draws the last possible token, the largest the first."""
    logits = np.array([-np.inf, 0.5, 2, -np.inf, 1, -np.inf], np.float32)
    sampler = Sampler(SamplingConfig(), [Constant(number)], [np.zeros(0, np.int32)])
    assert draw(sampler, logits, 2) == [drawn, drawn]


@pytest.mark.parametrize("t", [1e-30, 1e-38, 1e-40, 1e-46, 1e-300, 5e-324])
def test_tiny_temperature(t: float) -> None:
    """A temperature next to 0 takes the likeliest token as 0 does."""
    for logits in (LOGITS, LOGITS - 50, LOGITS + 50):
        assert draw(new_sampler(SamplingConfig(t)), logits, 3) == [1, 1, 1]


@pytest.mark.parametrize("t", [1e30, 1e38, 1e39, 1e300])
def test_huge_temperature(t: float) -> None:
    """A huge temperature draws every possible token alike, and no impossible one."""
    counts = np.bincount(draw(new_sampler(SamplingConfig(t)), LOGITS, 2000), minlength=8)
    assert counts[2] == 0
    assert (counts[[0, 1, 3, 4, 5, 6, 7]] > 200).all()


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(repetition_penalty=0.01),
        SamplingConfig(repetition_penalty=100),
        SamplingConfig(frequency_penalty=100),
        SamplingConfig(frequency_penalty=-100),
        SamplingConfig(mirostat=100),
        SamplingConfig(mirostat=0.01),
    ],
    ids=name,
)
def test_absurd_controls(config: SamplingConfig) -> None:
    """With any valid configuration a possible token is sampled, without a warning."""
    for past in ([], [0, 0, 0, 1, 1, 5, 6], [*range(8)]):
        sampler = new_sampler(config, pasts=[past])
        assert 2 not in draw(sampler, LOGITS * 5, 20)


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(),
        SamplingConfig(temperature=0.0),
        SamplingConfig(temperature=1e-9),
        SamplingConfig(top_k=2),
        SamplingConfig(top_p=0.9),
        SamplingConfig(min_p=0.1),
        SamplingConfig(typical_p=0.9),
        SamplingConfig(mirostat=2.0),
        SamplingConfig(repetition_penalty=1.2, frequency_penalty=0.2, no_repeat_ngram=2),
        SamplingConfig(bias={"a": 1.0}),
    ],
    ids=name,
)
def test_logits_that_are_not_finite(config: SamplingConfig) -> None:
    """Logits of NaN or inf, or of no possible token, in any row, are the model file's fault."""
    for row in ([1, np.nan, 2], [1, np.inf, 2], [np.nan] * 3, [np.inf] * 3, [-np.inf] * 3):
        logits = np.array([[1, 0, -1], row], np.float32)
        with pytest.raises(ModelFileError, match="not finite"):
            new_sampler(config, (0, 1)).sample(logits, np.zeros(3, np.float32))


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


@st.composite
def remembering(draw: st.DrawFn) -> tuple[SamplingConfig, int, list[list[int]]]:
    """Generate a configuration that looks back, how far n-grams do, and the streams' pasts."""
    window = draw(st.integers(1, 7))
    penalties = st.sampled_from([(1.5, None, None), (None, 0.7, None), (1.3, 0.4, None)])
    ngrams = st.sampled_from([(None, None, 1), (None, None, 2), (1.3, 0.4, 2), (None, 0.4, 3)])
    repetition, frequency, n = draw(penalties | ngrams)
    config = SamplingConfig(
        temperature=0.0,
        repetition_penalty=repetition,
        frequency_penalty=frequency,
        penalty_window=window,
        no_repeat_ngram=n,
    )
    texts = st.lists(st.integers(0, 4), max_size=12)
    return config, draw(st.integers(window, 9)), draw(st.lists(texts, min_size=1, max_size=3))


@BATCHES
@given(remembering(), st.integers(1, 25), st.data(), st.integers(0, 2**32))
def test_memory(
    case: tuple[SamplingConfig, int, list[list[int]]], steps: int, data: st.DataObject, seed: int
) -> None:
    """Penalties and n-grams cover the start of a stream and the tokens sampled since."""
    config, memory, texts = case
    dropping = data.draw(st.integers(0, steps))
    kept = [True, *(data.draw(st.booleans()) for _ in texts[1:])][::-1]
    with pytest.MonkeyPatch.context() as monkeypatch:
        remember(monkeypatch, memory)
        sampler = new_sampler(config, range(len(texts)), texts)
    rng = np.random.default_rng(seed)
    for t in range(steps):
        if t == dropping:
            sampler.keep(np.array(kept))
            texts = [text for text, goes in zip(texts, kept, strict=True) if goes]
        logits = rng.normal(0, 0.5, (len(texts), 5)).astype(np.float32)
        drawn = sampler.sample(logits, np.zeros(5, np.float32)).tolist()
        for text, row, i in zip(texts, logits.tolist(), drawn, strict=True):
            assert i == greedy(config, row, text, memory)
            text.append(i)


@BATCHES
@given(remembering(), st.lists(st.integers(0, 3), min_size=1, max_size=25), st.integers(0, 2**32))
def test_taking_back(
    case: tuple[SamplingConfig, int, list[list[int]]], undone: list[int], seed: int
) -> None:
    """Tokens that are taken back are forgotten, in their own stream only."""
    config, memory, texts = case
    with pytest.MonkeyPatch.context() as monkeypatch:
        remember(monkeypatch, memory)
        sampler = new_sampler(config, range(len(texts)), texts)
    begun = len(texts[0])
    rng = np.random.default_rng(seed)
    for count in undone:
        logits = rng.normal(0, 0.5, (len(texts), 5)).astype(np.float32)
        drawn = sampler.sample(logits, np.zeros(5, np.float32)).tolist()
        for text, row, i in zip(texts, logits.tolist(), drawn, strict=True):
            assert i == greedy(config, row, text, memory)
            text.append(i)
        count = min(count, len(texts[0]) - begun)
        del texts[0][len(texts[0]) - count :]
        sampler.take_back(0, count, last=[-1, *texts[0]][-1])


def test_no_token_twice() -> None:
    """With n = 1 no token occurs twice, including those of the past, until none is left."""
    sampler = new_sampler(SamplingConfig(1.0, no_repeat_ngram=1), pasts=[[1, 4]])
    ids = draw(sampler, LOGITS, 10)
    assert sorted(ids[:5]) == [0, 3, 5, 6, 7]
    assert 2 not in ids


def test_window_of_what_was_drawn() -> None:
    """A heavy penalty lets a token come back once it has left the window."""
    config = SamplingConfig(0.0, frequency_penalty=100.0, penalty_window=3)
    logits = -np.arange(10, dtype=np.float32)
    assert draw(new_sampler(config), logits, 9) == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert draw(new_sampler(config, pasts=[[0, 1, 7, 0]]), logits, 4) == [2, 1, 3, 0]


@pytest.mark.parametrize(("length", "drawn"), [(MEMORY, 2), (MEMORY + 1, 0)])
def test_long_memory(length: int, drawn: int) -> None:
    """An n-gram may be repeated once its first token is more than MEMORY tokens ago."""
    past = [0, 0, 1] + [2] * (length - 4) + [0]  # (0, 0) and (0, 1) occurred
    sampler = new_sampler(SamplingConfig(0.0, no_repeat_ngram=2), pasts=[past])
    assert draw(sampler, np.array([2, 1, 0], np.float32), 1) == [drawn]


@pytest.mark.parametrize(
    ("target", "t", "rate"),
    [(1.0, 1.0, 0.1), (1.5, 1.0, 0.1), (1.5, 1.0, 1.0), (2.0, 1.0, 0.1), (2.5, 1.5, 0.2)],
)
def test_mean_surprise(target: float, t: float, rate: float) -> None:
    """The mean surprisal, before truncation, approaches the target."""
    steps, size = 2500, 60
    zipf = -2 * np.log(np.arange(1, size + 1), dtype=np.float32)
    logits = np.random.default_rng(0).permuted(np.stack([zipf, zipf, zipf]), axis=1)
    config = SamplingConfig(t, mirostat=target, mirostat_rate=rate)
    sampler = new_sampler(config, (1, 2, 3))
    ids = np.array([sampler.sample(logits, np.zeros_like(logits)) for _ in range(steps)])
    for row, drawn in zip(logits.tolist(), ids.T.tolist(), strict=True):
        nats = surprises(plain_temperature(row, t))
        mean = sum(nats[i] for i in drawn) / steps / math.log(2)
        assert mean == pytest.approx(target, abs=0.05)


def test_limit_of_surprise() -> None:
    """The limit starts at twice the target and falls by the rate times what a token exceeds it."""
    config = SamplingConfig(1.0, mirostat=1.5, mirostat_rate=0.3)
    sampler = Sampler(config, [Constant(LEAST)], [np.zeros(0, np.int32)])  # draws what comes last
    rng = np.random.default_rng(0)
    limit = 2 * 1.5
    for _ in range(300):
        logits = rng.normal(0, 2, 12).astype(np.float32)
        [i] = draw(sampler, logits, 1)
        assert i == max(possible(plain_mirostat(logits.tolist(), limit)))
        limit += 0.3 * (1.5 - surprises(logits.tolist())[i] / math.log(2))


def test_surprise_out_of_reach() -> None:
    """A target above any possible surprisal changes nothing."""
    with_target = new_sampler(SamplingConfig(1.0, mirostat=50.0))
    without = new_sampler(SamplingConfig(1.0))
    assert draw(with_target, LOGITS, 300) == draw(without, LOGITS, 300)
