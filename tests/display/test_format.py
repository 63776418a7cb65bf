"""How numbers and text are shown."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.arrays import bits
from charrnn.display.format import duration, printable, to_json

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.6, "1 s"),
        (59.4, "59 s"),
        (99, "99 s"),
        (100, "1 min 40 s"),
        (99.9, "1 min 40 s"),
        (3599, "59 min 59 s"),
        (3600, "60 min 0 s"),
        (5999, "99 min 59 s"),
        (6000, "1 h 40 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """A duration has at most two units."""
    assert duration(seconds) == text


def test_bits() -> None:
    """One bit is ln 2 nats."""
    assert bits(math.log(2)) == 1


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("The fox.\n\tNew line", "The fox.\n\tNew line"),
        ("naïve ☃ 漢字", "naïve ☃ 漢字"),
        ("a\x1b[2Jb", "a·[2Jb"),
        ("a\rb\x00c\x7fd\x9be", "a·b·c·d·e"),
        ("a\u202eb\u2066c\u2028d", "a·b·c·d"),
        ("\ud800\ufffe", "··"),
        (
            "吾輩は\u3000猫 3\u00a0% क्\u200dष 👩\u200d👧",
            "吾輩は\u3000猫 3\u00a0% क्\u200dष 👩\u200d👧",
        ),
    ],
)
def test_printable(text: str, safe: str) -> None:
    """Control characters, which could steer the terminal, become dots; all else stays."""
    assert printable(text) == safe


@given(st.text())
def test_json(text: str) -> None:
    """JSON holds no control character, and gives back every text that it was made of."""
    line = to_json({"text": text, "more": ["\x9b31m\x7f\u202e", 1.5, None]})
    assert not CONTROLS.search(line)
    assert json.loads(line) == {"text": text, "more": ["\x9b31m\x7f\u202e", 1.5, None]}
