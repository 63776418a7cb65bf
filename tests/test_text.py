"""Text as it is: escapes, lines, pieces."""

import itertools
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import text
from charrnn.errors import UsageError
from tests.strategies import cut, texts


class TestLines:
    @given(st.data(), texts)
    def test_split(self, data: st.DataObject, s: str) -> None:
        """They are what split makes of the text, wherever blocks end; no line follows the last."""
        *every, last = s.split("\n")
        assert [*text.lines(data.draw(cut(s)))] == [*every, *([last] if last else [])]


class TestWords:
    @given(texts)
    def test_without_marks(self, s: str) -> None:
        """In a text of letters without marks a word is letters, with one joiner between them."""
        marks = {c for c in s if unicodedata.category(c)[0] == "M" or c in "\u200c\u200d"}
        plain = "".join(c for c in s if c not in marks and not text.is_unspaced(c))
        assert text.WORD.findall(plain) == re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", plain)

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
    def test_marks(self, words: list[str]) -> None:
        """A letter's marks belong to its word, and so does a joiner between letters."""
        assert text.WORD.findall(" ".join(words)) == words
        assert text.WORD.findall("".join(f"-{word}\u200d-" for word in words)) == words

    def test_mark_alone(self) -> None:
        """A mark without a letter before it is no word, and starts none."""
        assert text.WORD.findall("\u0301 -\u0301a \u0301") == ["a"]

    def test_every_mark(self) -> None:
        """No mark of a letter ends its word, whatever its script."""
        marks = [c for c in map(chr, range(0x1BC00)) if unicodedata.category(c)[0] == "M"]
        within = [c for c in marks if text.WORD.fullmatch(f"a{c}b{c}")]
        assert [c for c in marks if not text.is_unspaced(c)] == within

    @pytest.mark.parametrize("s", ["吾輩は猫", "カー", "กิน", "ဗမာ", "ខ្មែរ", "ລາວ"])
    def test_unspaced(self, s: str) -> None:
        """Each character is a word where a script has no spaces, beside words of other scripts."""
        assert text.WORD.findall(f"ab-{s}cd {s}") == ["ab", *s, "cd", *s]


class TestUnescape:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            (r"a\nb", "a\nb"),
            (r"\t\r\0", "\t\r\0"),
            (r"\\n", r"\n"),
            (r"\\\n", "\\\n"),
            (r"\x41\xe9", "Aé"),
            (r"\u732b\U0001F600", "猫😀"),
            (r"\u00e9a", "éa"),
            (r"\U0010FFFF", "\U0010ffff"),
            (r"\q \x4 \u73 \U0001", r"\q \x4 \u73 \U0001"),  # none of ours stays
            ("\\", "\\"),
            ("猫é\n", "猫é\n"),
            ("", ""),
        ],
    )
    def test_table(self, given: str, meant: str) -> None:
        """Each escape stands for its character; what is none stays."""
        assert text.unescape(given) == meant

    @given(texts)
    def test_doubled(self, s: str) -> None:
        """A text whose backslashes are doubled stays as it is."""
        assert text.unescape(s.replace("\\", "\\\\")) == s

    @given(texts)
    def test_every_character(self, s: str) -> None:
        """Every character can be written by its number."""
        assert text.unescape("".join(f"\\U{ord(c):08x}" for c in s)) == s

    @pytest.mark.parametrize(
        "escape",
        [
            r"\U00110000",
            r"\UFFFFFFFF",
            r"\ud800",
            r"\U0000DFFF",
        ],
    )
    def test_no_character(self, escape: str) -> None:
        """The number of no character is wrong usage, and named."""
        with pytest.raises(UsageError) as caught:
            text.unescape(f"a{escape}b")
        assert escape in str(caught.value)


class TestChunks:
    @given(st.data(), texts, st.integers(1, 12))
    def test_adds_up(self, data: st.DataObject, s: str, size: int) -> None:
        """The pieces make the text, none is empty or longer than asked, however it came."""
        pieces = list(text.chunks(data.draw(cut(s)), size))
        assert "".join(pieces) == s
        assert all(1 <= len(piece) <= size for piece in pieces)
        assert pieces == list(text.chunks([s], size))

    @given(texts, st.integers(1, 12))
    def test_cut_before_white_space(self, s: str, size: int) -> None:
        """A piece ends where white space starts, or is full and holds no such place."""
        pieces = list(text.chunks([s], size))
        for piece, after in itertools.pairwise(pieces):
            both = piece + after[0]
            places = [
                i for i in range(1, len(both)) if not both[i - 1].isspace() and both[i].isspace()
            ]
            assert len(piece) == (places[-1] if places else size)
