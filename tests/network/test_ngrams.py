"""The trie of n-grams: probabilities, contexts, and what a stranger's file may hold."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.network.ngrams import FEW, LEAST, STEP, TENSORS, Ngrams, known
from charrnn.training.ngram_counts import estimate

TEXT = np.array([0, 1, 2, 0, 1, 3, 0, 1, 2, 2, 1, 0, 0, 1, 2] * 20, np.int32)
V = 5


def after(ngrams: Ngrams, ids: list[int]) -> np.ndarray:
    """Return the log-probabilities of the next token after some, [V]."""
    contexts = ngrams.start(1)
    for token in ids:
        contexts = ngrams.step(np.array([token]), contexts)
    logp: np.ndarray = ngrams.logp(contexts)[0]
    return logp


@pytest.mark.parametrize("order", [1, 2, 3, 8])
def test_sums_to_one(order: int) -> None:
    """After any context the probabilities of all tokens sum to 1, but for rounding."""
    ngrams = Ngrams(V, estimate(TEXT, V, order, 1000))
    assert ngrams.order == order
    for start in range(30):
        p = np.exp(after(ngrams, TEXT[start : start + 9].tolist()))
        assert p.sum() == pytest.approx(1, abs=2 / STEP)
        assert p.min() > 0


def test_by_hand() -> None:
    """A bigram model is interpolated Kneser-Ney: discounted counts and distinct predecessors."""
    text = np.array([0, 1, 0, 1, 0, 2], np.int32)
    ngrams = Ngrams(3, estimate(text, 3, 2, 1000))
    # After 0 there is 1 twice and 2 once, after 1 there is 0 twice. Of these bigrams one occurs
    # once and two twice (and none three times, which counts as one): Y = D1 = 1/5, D2 = 17/10.
    # Each token has one distinct predecessor: Y = 3/5, D1 = 3/5, and all unigrams are equal.
    rest = (1 / 5 + 17 / 10) / 3
    expected = np.log(np.array([0, 2 - 17 / 10, 1 - 1 / 5]) / 3 + rest / 3)
    np.testing.assert_allclose(after(ngrams, [0]), expected, atol=1.01 / STEP)


@given(st.lists(st.integers(0, V - 1), max_size=30), st.integers(1, 9))
def test_streams_are_independent(ids: list[int], order: int) -> None:
    """Several streams give what each gives alone, to the bit."""
    ngrams = Ngrams(V, estimate(TEXT, V, order, 1000))
    together = ngrams.start(FEW + 1)
    for token in ids:
        together = ngrams.step(np.array([token] + [0] * FEW), together)
    found = ngrams.logp(together)
    for row, text in enumerate([ids, [0] * len(ids)]):
        np.testing.assert_array_equal(found[row], after(ngrams, text))
    contexts = together[:1]
    np.testing.assert_array_equal(ngrams._row(contexts[0].tolist()), found[0])


@pytest.mark.parametrize("table", [0, V * 2, 10**6])
def test_table(table: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of the rows is tabulated, they are the same."""
    expected = Ngrams(V, estimate(TEXT, V, 5, 1000))
    monkeypatch.setattr("charrnn.network.ngrams.TABLE", table)
    ngrams = Ngrams(V, estimate(TEXT, V, 5, 1000))
    for start in range(20):
        ids = TEXT[start : start + 7].tolist()
        np.testing.assert_allclose(after(ngrams, ids), after(expected, ids), atol=1e-5)


@given(st.lists(st.integers(0, V - 1), max_size=12))
def test_mix(ids: list[int]) -> None:
    """Weights by the length of the longest known context; one stream gives what several give."""
    mix = np.random.default_rng(0).random((4, 2)).astype(np.float32)
    ngrams = Ngrams(V, estimate(TEXT, V, 4, 1000)).weighed(mix)
    contexts = ngrams.start(1)
    for token in ids:
        contexts = ngrams.step(np.array([token]), contexts)
    share, weight = mix[known(contexts)[0]]
    network = np.arange(V, dtype=np.float32)[None]
    for count in (1, 1, FEW + 1):
        logits = np.repeat(network, count, axis=0)
        ngrams.mix(logits, np.repeat(contexts, count, axis=0))
        for row in logits:
            expected = share * network + weight * after(ngrams, ids)
            np.testing.assert_allclose(row[None], expected, atol=1e-5)


def test_extended() -> None:
    """In a larger vocabulary the old tokens keep their probabilities; new ones have the least."""
    text = np.where(TEXT == 3, V - 1, TEXT).astype(np.int32)
    ngrams = Ngrams(V, estimate(text, V, 4, 1000))
    larger = ngrams.extended(300)
    old, new = after(ngrams, [0, 1]), after(larger, [0, 1])
    np.testing.assert_allclose(new[: V - 1], old[: V - 1], atol=1e-6)
    assert new[-1] == pytest.approx(old[-1], abs=1e-6)
    assert new[V:-1].max() < -LEAST / STEP + 1e-6


def test_most() -> None:
    """The rarest n-grams are left out of a large trie; what is kept is still a model."""
    tensors = estimate(np.random.default_rng(0).integers(0, V, 5000).astype(np.int32), V, 6, 300)
    assert len(tensors["tokens"]) <= 300 + V + V * V
    assert np.exp(after(Ngrams(V, tensors), [0, 1, 2, 3])).sum() == pytest.approx(1, abs=0.2)


def test_short_text() -> None:
    """A text that is shorter than the longest n-gram has only shorter ones."""
    assert Ngrams(V, estimate(np.array([1, 2, 1], np.int32), V, 8, 100)).order == 3


def damaged(name: str, values: Any) -> dict[str, np.ndarray]:
    """Return the tensors of a trie with one of them replaced."""
    tensors = estimate(TEXT, V, 3, 1000)
    return tensors | {name: np.asarray(values, tensors[name].dtype)}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((name, []) for name in TENSORS),
        ("tokens", [9] * 60),
        ("tokens", [0] * 60),
        ("lengths", [0]),
        ("lengths", [255] * 6),
        ("lengths", [1] * 1000),
        ("backoff", [0]),
    ],
)
def test_refused(name: str, values: list[int]) -> None:
    """Tensors that are not a trie are an error."""
    with pytest.raises(ValueError, match="n-grams"):
        Ngrams(V, damaged(name, values))


@given(st.data())
def test_hostile(data: st.DataObject) -> None:
    """Any tensors are refused or give finite numbers."""
    tensors = estimate(TEXT, V, 3, 1000)
    name = data.draw(st.sampled_from(TENSORS))
    array = tensors[name].copy()
    array[data.draw(st.integers(0, len(array) - 1))] = data.draw(st.integers(0, 255))
    try:
        ngrams = Ngrams(V, tensors | {name: array})
    except ValueError:
        return
    for start in range(5):
        row = after(ngrams, TEXT[start : start + 4].tolist())
        assert row.shape == (V,)
        assert np.isfinite(row).all()
