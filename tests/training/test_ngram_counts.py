"""Counting n-grams."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charrnn.training.ngram_counts import _distinct


@given(st.lists(st.integers(0, 5)), st.sampled_from([1, 1 << 40, (1 << 63) // 6]))
def test_distinct(keys: list[int], factor: int) -> None:
    """Distinct keys, their places and their counts are those of np.unique, for large keys too."""
    array = np.array(keys, np.int64) * factor
    expected = np.unique(array, return_inverse=True, return_counts=True)
    for found, right in zip(_distinct(array), expected, strict=True):
        assert np.array_equal(found, right)
