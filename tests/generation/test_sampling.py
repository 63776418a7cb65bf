"""Sampling from filtered logits: frequencies, memory, random numbers."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.arrays import Array
from charrnn.config import SamplingConfig
from charrnn.errors import ModelFileError
from charrnn.generation import filters, sampling
from charrnn.generation.filters import FILTERS, NGRAM_HISTORY, Context
from charrnn.generation.sampling import Sampler
from tests.generation.plain import (
    ANY_LOGITS,
    BATCHES,
    NO_RUN,
    Row,
    draw,
    greedy,
    name,
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


def remember(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Let no_repeat_ngram look back at so many tokens."""
    row = FILTERS["no_repeat_ngram"]._replace(history=tokens)
    monkeypatch.setitem(FILTERS, "no_repeat_ngram", row)


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


@pytest.mark.parametrize(("length", "drawn"), [(NGRAM_HISTORY, 2), (NGRAM_HISTORY + 1, 0)])
def test_long_memory(length: int, drawn: int) -> None:
    """An n-gram may be repeated once its first token is more than NGRAM_HISTORY tokens ago."""
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
