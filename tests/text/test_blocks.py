"""Text as it is: escapes, lines, pieces."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import TextError, UsageError
from charrnn.text import blocks
from tests.strategies import cut, texts


class TestLines:
    @given(st.data(), texts)
    def test_split(self, data: st.DataObject, s: str) -> None:
        """They are what split makes of the text, wherever blocks end; no line follows the last."""
        *every, last = s.split("\n")
        assert [*blocks.lines(data.draw(cut(s)))] == [*every, *([last] if last else [])]


class TestBoundedLines:
    @given(st.data(), texts)
    def test_short_enough(self, data: st.DataObject, s: str) -> None:
        """A text whose lines are short enough stays as it is, wherever blocks end."""
        most = max(map(len, s.split("\n")))
        assert "".join(blocks.bounded_lines(data.draw(cut(s)), most, "a.txt")) == s

    @pytest.mark.parametrize("size", [1, 4, 9])
    def test_too_long(self, size: int) -> None:
        """A line of many blocks is an error as soon as it is too long, with its number."""

        def endless() -> Iterator[str]:
            yield from ("a\nb", "c\n", "d\ne")
            yield from itertools.repeat("f" * size)

        bounded = blocks.bounded_lines(endless(), 20, "a.txt")
        with pytest.raises(TextError, match=r"a\.txt: line 4 has more than 20 characters"):
            len("".join(bounded))


@given(st.data(), texts, st.integers(1, 9))
def test_gathered(data: st.DataObject, s: str, size: int) -> None:
    """Blocks make the same text and are as large as asked, but for the last."""
    gathered = [*blocks.gathered(data.draw(cut(s)), size)]
    assert "".join(gathered) == s
    assert all(len(block) >= size for block in gathered[:-1])
    assert all(gathered)


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
        assert blocks.unescape(given) == meant

    @given(texts)
    def test_doubled(self, s: str) -> None:
        """A text whose backslashes are doubled stays as it is."""
        assert blocks.unescape(s.replace("\\", "\\\\")) == s

    @given(texts)
    def test_every_character(self, s: str) -> None:
        """Every character can be written by its number."""
        assert blocks.unescape("".join(f"\\U{ord(c):08x}" for c in s)) == s

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
            blocks.unescape(f"a{escape}b")
        assert escape in str(caught.value)


class TestChunks:
    @given(st.data(), texts, st.integers(1, 12))
    def test_adds_up(self, data: st.DataObject, s: str, size: int) -> None:
        """The pieces make the text, none is empty or longer than asked, however it came."""
        pieces = list(blocks.chunks(data.draw(cut(s)), size))
        assert "".join(pieces) == s
        assert all(1 <= len(piece) <= size for piece in pieces)
        assert pieces == list(blocks.chunks([s], size))

    @given(texts, st.integers(1, 12))
    def test_cut_before_white_space(self, s: str, size: int) -> None:
        """A piece ends where white space starts, or is full and holds no such place."""
        pieces = list(blocks.chunks([s], size))
        for piece, after in itertools.pairwise(pieces):
            both = piece + after[0]
            places = [
                i for i in range(1, len(both)) if not both[i - 1].isspace() and both[i].isspace()
            ]
            assert len(piece) == (places[-1] if places else size)
