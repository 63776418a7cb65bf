"""Lines of a session are broken between words."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from charrnn.session.wrapping import spaces_before


def rows(text: str, width: int) -> list[str]:
    """What a terminal of that width shows."""
    spaces = spaces_before(text, width)
    shown = [" " * count + c for count, c in zip(spaces, text, strict=False)]
    found = [""]
    for character in "".join(shown):
        if get_cwidth(found[-1] + character) > width:
            found.append("")
        found[-1] += character
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", ["one two ", "three"]),
        ("onetwothree four", ["onetwoth", "ree four"]),
        ("a onetwothree", ["a       ", "onetwoth", "ree"]),
        ("one two  three", ["one two ", " three"]),
        ("漢字 漢字漢字", ["漢字    ", "漢字漢字"[:2] + "漢字"]),
        ("one two four f", ["one two ", "four f"]),
    ],
)
def test_rows(text: str, expected: list[str]) -> None:
    """A row ends after a word, and only a word that is longer than a row is broken."""
    assert [row.ljust(0) for row in rows(text, 8)] == expected


@given(st.text("ab 漢", max_size=60), st.integers(4, 20))
def test_any(text: str, width: int) -> None:
    """Nothing is lost, and no word that fits into a row is broken."""
    shown = rows(text, width)
    assert "".join(shown).replace(" ", "") == text.replace(" ", "")
    for row, following in pairwise(shown):
        begun = row.rpartition(" ")[2]
        rest = following.partition(" ")[0]
        if begun and rest and not row.endswith(" ") and not following.startswith(" "):
            assert get_cwidth(begun + rest) > width or row == begun
