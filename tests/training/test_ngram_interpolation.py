"""Interpolated n-grams: weighted means of the probabilities of two texts' n-grams."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.network.ngrams import Ngrams
from charrnn.training.ngram_counts import estimate
from charrnn.training.ngram_interpolation import interpolated, joined, predictions, share

V = 6
Tokens = NDArray[np.integer]
ids = st.lists(st.integers(0, V - 2), min_size=4, max_size=60).map(np.array)


def counted(text: Tokens, order: int) -> Ngrams:
    return Ngrams(V, estimate(text.astype(np.int32), V, order, 1000))


def p_after(ngrams: Ngrams, context: Tokens) -> NDArray[np.float64]:
    """Probabilities of all tokens after a context, [V]."""
    contexts = ngrams.start(1)
    for token in context:
        contexts = ngrams.step(np.array([token]), contexts)
    p: NDArray[np.float64] = np.exp(ngrams.logp(contexts)[0].astype(np.float64))
    return p


@given(ids, ids, st.integers(1, 4), st.integers(1, 4), st.sampled_from([0.0, 0.3, 1.0]), ids)
def test_means(
    own: Tokens, other: Tokens, order: int, other_order: int, weight: float, context: Tokens
) -> None:
    """Known n-grams have the mean of both probabilities; so has the sum of all."""
    first, second = counted(own, order), counted(other, other_order)
    mean = interpolated(first, second, weight, V)
    assert mean.order == max(first.order, second.order)
    for text, n in ((own, first.order), (other, second.order), (context, mean.order)):
        for end in range(len(text)):
            before = text[max(0, end - n + 1) : end]
            p = p_after(mean, before)
            one, two = (p_after(each, before) for each in (first, second))
            expected = weight * one + (1 - weight) * two
            assert p.sum() == pytest.approx(expected.sum(), rel=0.2)  # logarithms are rounded
            if text is not context:
                assert p[text[end]] == pytest.approx(expected[text[end]], rel=0.15, abs=1e-6)


def test_share() -> None:
    """The text that the end resembles gets the larger share; without an end a quarter."""
    rng = np.random.default_rng(1)
    own = np.arange(20_000) % 3
    other = rng.integers(0, 5, 20_000)
    ngrams = counted(own, 4), counted(other, 4)
    for end, least, most in (
        (own, 0.9, 1.0),
        (rng.integers(0, 5, 20_000), 0.0, 0.1),
        (own[:0], 0.25, 0.25),
    ):
        assert least <= share(*(predictions(each, end) for each in ngrams)) <= most
    assert joined(*ngrams, own[:5], V).order == 4
