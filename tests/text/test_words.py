"""What a word is."""

import re
import unicodedata

import pytest
from hypothesis import given

from charrnn.text.words import WORD, is_unspaced
from tests.strategies import texts


@given(texts)
def test_without_marks(s: str) -> None:
    """In a text of letters without marks a word is letters, with one joiner between them."""
    marks = {c for c in s if unicodedata.category(c)[0] == "M" or c in "\u200c\u200d"}
    plain = "".join(c for c in s if c not in marks and not is_unspaced(c))
    assert WORD.findall(plain) == re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", plain)


@pytest.mark.parametrize(
    "words",
    [
        ["हिन्दी", "में", "क्‍ष"],
        ["cafe\u0301", "s\u0323\u0307o"],
        ["العَرَبِيَّة", "می‌خواهم"],
        ["שָׁלוֹם", "தமிழ்", "বাংলা"],
        ["rock’n’roll", "it's", "well-known"],
        ["한국어", "Việt", "O\u0303’k"],
    ],
)
def test_marks(words: list[str]) -> None:
    """A letter's marks belong to its word, and so does a joiner between letters."""
    assert WORD.findall(" ".join(words)) == words
    assert WORD.findall("".join(f"-{word}\u200d-" for word in words)) == words


def test_mark_alone() -> None:
    """A mark without a letter before it is no word, and starts none."""
    assert WORD.findall("\u0301 -\u0301a \u0301") == ["a"]


def test_every_mark() -> None:
    """No mark of a letter ends its word, whatever its script."""
    marks = [c for c in map(chr, range(0x1BC00)) if unicodedata.category(c)[0] == "M"]
    within = [c for c in marks if WORD.fullmatch(f"a{c}b{c}")]
    assert [c for c in marks if not is_unspaced(c)] == within


@pytest.mark.parametrize("s", ["吾輩は猫", "カー", "กิน", "ဗမာ", "ខ្មែរ", "ລາວ"])
def test_unspaced(s: str) -> None:
    """Each character is a word where a script has no spaces, beside words of other scripts."""
    assert WORD.findall(f"ab-{s}cd {s}") == ["ab", *s, "cd", *s]
