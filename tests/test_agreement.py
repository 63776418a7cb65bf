"""Agreement of predicted and right targets, against plain computations."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from charrnn.agreement import BINS, Agreement, edit_distance
from tests.strategies import texts

labels = st.sampled_from(["red", "green", "blue"])
unseen = st.sampled_from(["red", "green", "blue", "grey"])


def agreement(pairs: Sequence[tuple[str, str]], p: Sequence[float] = ()) -> Agreement:
    total = Agreement(["red", "green", "blue"])
    for (right, predicted), each in zip(pairs, p or [1.0] * len(pairs), strict=True):
        total.add(right, predicted, each)
        total.add_nats(1.0, len(right) + 1)
    return total


class TestEditDistance:
    @given(a=st.text("ab ", max_size=90), b=st.text("ab ", max_size=90))
    def test_few_characters(self, a: str, b: str) -> None:
        """It is the Levenshtein distance."""
        assert edit_distance(a, b) == Levenshtein.distance(a, b)

    @given(a=texts, b=texts)
    def test_any(self, a: str, b: str) -> None:
        """So it is for all texts."""
        assert edit_distance(a, b) == Levenshtein.distance(a, b)


class TestLabels:
    @given(pairs=st.lists(st.tuples(unseen, labels), min_size=1, max_size=30))
    def test_equals_scikit_learn(self, pairs: list[tuple[str, str]]) -> None:
        """Accuracy, macro F1 and the confusion table are those of scikit-learn."""
        values = agreement(pairs).to_json()
        right, predicted = zip(*pairs, strict=True)
        assert values["accuracy"] == values["exact_match"] == accuracy_score(right, predicted)
        expected = f1_score(right, predicted, average="macro", zero_division=0)
        assert values["macro_f1"] == pytest.approx(expected)
        names = values["labels"]
        assert names[:3] == ["red", "green", "blue"]
        assert ("grey" in names) == ("grey" in right)
        assert values["confusion"] == confusion_matrix(right, predicted, labels=names).tolist()

    def test_calibration(self) -> None:
        """The calibration error is the mean gap between probability and accuracy in each bin."""
        pairs = [("red", "red"), ("red", "red"), ("red", "green"), ("blue", "red")]
        values = agreement(pairs, [0.91, 0.99, 0.95, 0.41]).to_json()
        assert BINS == 10
        expected = (abs(0.91 + 0.99 + 0.95 - 2) + abs(0.41 - 0)) / 4
        assert values["calibration_error"] == pytest.approx(expected)

    @given(p=st.lists(st.floats(0, 1), min_size=1, max_size=20))
    def test_any_probability(self, p: list[float]) -> None:
        """Every probability has a bin, 0 and 1 too."""
        values = agreement([("red", "red")] * len(p), p).to_json()
        assert 0 <= values["calibration_error"] <= 1


class TestTexts:
    def test_metrics(self) -> None:
        """Exact matches are per record, edits per character, nats per character and end."""
        total = Agreement()
        total.add("abc", "abc")
        total.add("abcde", "abxd")
        total.add_nats(2.0, 4)
        total.add_nats(3.0, 6)
        values = total.to_json()
        assert values["records"] == 2
        assert values["exact_match"] == 0.5
        assert values["edit_rate"] == 2 / 8
        assert values["nats_per_char"] == 0.5
        assert "accuracy" not in values

    def test_empty(self) -> None:
        """No record gives no error."""
        assert Agreement().to_json() == {"records": 0, "exact_match": 0, "edit_rate": 0}
