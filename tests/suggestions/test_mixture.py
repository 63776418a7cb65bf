"""The weights of the suggestion sources."""

import numpy as np
import pytest

from charrnn.suggestions import mixture
from charrnn.suggestions.mixture import BEGIN, FEATURES, TYPED, Choice, fit, probabilities


def choices(weights: mixture.Weights, count: int, typed: int = 0) -> list[Choice]:
    """Return candidates with random features, one of which is sampled under some weights."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(count):
        size = int(rng.integers(2, 9))
        features = rng.normal(size=(size, len(FEATURES))).astype(np.float32)
        meant = int(rng.choice(size, p=probabilities(features, typed, weights)))
        made.append(Choice(features, typed, meant))
    return made


def test_probabilities() -> None:
    """Probabilities sum to 1 and follow the weights for the number of letters typed."""
    features = np.eye(len(FEATURES), dtype=np.float32)
    for typed in range(6):
        p = probabilities(features, typed, BEGIN)
        assert p.sum() == pytest.approx(1)
        np.testing.assert_allclose(
            np.log(p / p[0]), BEGIN[min(typed, TYPED - 1)] - BEGIN[min(typed, TYPED - 1), 0]
        )


def test_fit() -> None:
    """The weights that many choices were sampled from are recovered; the others stay."""
    true = BEGIN.copy()
    true[2] = np.resize([1.0, -0.5, 0.5, 0.0, 0.3, -0.4], len(FEATURES))
    found = fit(choices(true, 20_000, typed=2))
    np.testing.assert_allclose(found[2], true[2], atol=0.05)
    np.testing.assert_array_equal(found[[0, 1, 3]], BEGIN[[0, 1, 3]])


def test_little() -> None:
    """Few choices move the weights only a little, and none leaves them as they are."""
    np.testing.assert_array_equal(fit([]), BEGIN)
    found = fit(choices(-BEGIN, 3))
    assert 0 < np.abs(found - BEGIN).max() < 0.5


def test_one_sided() -> None:
    """The weights stay finite when one feature always decides."""
    features = np.zeros((2, len(FEATURES)), np.float32)
    features[0, 0] = 30
    assert np.isfinite(fit([Choice(features, 7, 1)] * 1000)).all()
