"""The sentence of advice."""

from typing import Any

import numpy as np
import pytest

from charrnn.insight.advice import FINE, Findings, advice
from charrnn.insight.gates import Gate, Units

HEALTHY = Findings(
    norms=[np.power(0.95, np.arange(300.0))],
    memory=90.0,
    gated=True,
    gates=[Gate(1, "forget", 1.0, 0.6, 0.2, 0.1)],
    units=[Units(1, 0.1, None)],
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, FINE),
        ({"norms": [np.power(1.1, np.arange(100.0))]}, "the gradient grows up to 12528 times"),
        ({"norms": [np.full(9, np.nan)]}, FINE),
        ({"units": [Units(1, None, 0.0), Units(2, None, 0.5)]}, "50% of the ReLU units of layer 2"),
        ({"units": [Units(1, 0.9, None)]}, "90% of the outputs of layer 1"),
        ({"memory": 3.0}, "the gradient falls under 1 % within 3 tokens: train longer"),
        ({"memory": 9.0, "gated": False}, "within 9 tokens: a gru or lstm remembers longer"),
        ({"memory": 9.0}, FINE),
        ({"memory": None}, FINE),
        ({"gates": [Gate(2, "update", 1.0, 1.0, 0.99, 0.0)]}, "update gates of layer 2 are nearly"),
    ],
)
def test_rules(change: dict[str, Any], said: str) -> None:
    """What is out of the ordinary is said in one sentence, and else that nothing is."""
    sentence = advice(HEALTHY._replace(**change))
    assert said in sentence
    assert "\n" not in sentence
