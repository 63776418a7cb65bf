"""The linear classifier beside the network of a classifier of records."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.network.linear_classifier import EDGE, LONGEST, LinearClassifier, counted, features
from charrnn.training import linear_fit
from tests.strategies import texts

IDF = np.ones(1 << 18, np.float32)
RECORDS = [(f"{word} {i}", label) for i in range(50) for word, label in (("yes", "a"), ("no", "b"))]


@given(texts)
def test_counted(text: str) -> None:
    """N-grams are counted whole, with the edges of the text; hardly two share a bucket."""
    whole = EDGE + text + EDGE
    expected = Counter(
        whole[i : i + n] for n in range(1, LONGEST + 1) for i in range(len(whole) - n + 1)
    )
    _, counts = counted(text, 1 << 60)
    assert sorted(counts.tolist()) == sorted(expected.values())


@given(texts, st.integers(1, 18))
def test_features(text: str, bits: int) -> None:
    """The values of any text have length 1, whatever the number of buckets."""
    buckets, values = features(text, IDF[: 1 << bits])
    assert (buckets >= 0).all()
    assert (buckets < 1 << bits).all()
    assert np.linalg.norm(values) == pytest.approx(1, abs=1e-5)


def test_fit() -> None:
    """What tells the targets apart is learned, and holds for other texts."""
    classifier = linear_fit.fit(RECORDS, ["a", "b"])
    assert classifier
    logp = classifier.logp(["yes, yes", "oh no", ""])
    assert np.exp(logp).sum(1) == pytest.approx(1)
    assert logp[0, 0] > logp[0, 1]
    assert logp[1, 1] > logp[1, 0]


def test_bounded() -> None:
    """No more records are read than the bound allows, but at least one."""
    read = iter(RECORDS)
    assert linear_fit.fit(read, ["a", "b"], most=100)
    assert len([*read]) > 80


def test_mix() -> None:
    """Of two classifiers the better one counts more; one that knows nothing hardly counts."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 1000)
    good = np.log(np.where(np.eye(2)[labels] == 1, 0.9, 0.1))
    good[:100] = good[:100, ::-1]
    blind = np.log(random.dirichlet([3, 3], 1000))
    ours, theirs = linear_fit.mix(blind, good, labels.tolist())
    assert theirs == pytest.approx(1, abs=0.1)
    assert ours < 0.2
    mixed = LinearClassifier(IDF[:2], np.zeros((2, 2), np.float32), (1.0, 0.0))
    np.testing.assert_allclose(mixed.mixed(good, [""] * 1000), good)
