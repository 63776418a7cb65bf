"""Features of a text: each on a text where it is known."""

import numpy as np
import pytest
from hypothesis import given

from charrnn.insight.features import FEATURES
from tests.strategies import texts

# For each feature a text, and below it the feature's value at each character.
KNOWN = {
    "inside double quotes": ('a "b c" d “e” "f\n\ng "h\n', "00111100001100110000110"),
    "inside single quotes": ("don't 'a b' ‘it’s’ x' ", "0000001111001111100000"),
    "inside a comment": ("a /* b */ c // d\ne http://f", "001111110000111100000000000"),
    "depth in ( )": ("a (b (c) d) e) (", "0011122111000000"),
    "depth in [ ]": ("[a[b]]", "112210"),
    "depth in { }": ("{a}{b", "11000"),
    "inside < >": ("a <b> < c\n>", "00110000000"),
    "position in the line": ("ab\nc\n\nd", "1201001"),
    "position in the word": ("ab don't c", "1201234501"),
    "indentation": ("a\n  b\n\tc", "00122011"),
    "upper case": ("aBÉ.", "0110"),
    "digit": ("a10", "011"),
    "vowel": ("aBÉ.", "1010"),
    "punctuation": ("a, «b»\n", "0101010"),
    "space": ("a b\n", "0100"),
    "line end": ("a b\n", "0001"),
    "line end next": ("a b\n", "0010"),
    "empty line": ("a\nb\n \nc", "0000010"),
    "sentence end": ("A. B?” C", "01000100"),
    "sentence end next": ("A. B?” C", "10001000"),
    "word end next": ("ab c ", "01010"),
    "upper case next": ("aBc", "100"),
    "digit next": ("a1b", "100"),
}


@pytest.mark.parametrize("name", FEATURES)
def test_known(name: str) -> None:
    """Each feature has its value at each character."""
    text, values = KNOWN[name]
    found = "".join(f"{value:.0f}" for value in FEATURES[name](text))
    assert f"{text!r}\n{found}" == f"{text!r}\n{values}"


@given(texts)
def test_any_text(text: str) -> None:
    """Each feature has one finite number for each character of any text."""
    for feature in FEATURES.values():
        values = feature(text)
        assert values.shape == (len(text),)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
