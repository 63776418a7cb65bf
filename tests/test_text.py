"""Text as it is: escapes, the held-out part, pieces, a fingerprint."""

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import text
from charrnn.errors import UsageError
from tests.strategies import LONE_SURROGATES, NASTY, cut, texts


class TestLines:
    @given(st.data(), texts)
    def test_split(self, data: st.DataObject, s: str) -> None:
        """They are what split makes of the text, wherever blocks end; no line follows the last."""
        *every, last = s.split("\n")
        assert [*text.lines(data.draw(cut(s)))] == [*every, *([last] if last else [])]


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


class TestSplit:
    @given(texts, st.floats(0, 1, exclude_max=True))
    def test_adds_up(self, s: str, val: float) -> None:
        """Both parts make the text, and the second is the share asked for, to a character."""
        training, held_out = text.split(s, val)
        assert training + held_out == s
        assert abs(len(held_out) - val * len(s)) < 1 + 1e-9

    def test_nothing_held_out(self) -> None:
        """A share of 0 trains on the whole text."""
        assert text.split("abc", 0.0) == ("abc", "")


items = st.lists(
    st.sampled_from(["a", "bb", "ccc", "猫", "a b", "x" * 30]) | st.text("ab", max_size=9)
)


class TestSplitItems:
    @given(items, st.floats(0, 1, exclude_max=True), st.sampled_from(["lines", "documents"]))
    def test_parts(self, found: list[str], val: float, shape: str) -> None:
        """Both parts together hold every item as often as the text, and no item is in both."""
        boundary = text.SHAPES[shape]
        whole = "".join(item + boundary for item in found)
        parts = [part.split(boundary)[:-1] for part in text.split(whole, val, shape)]
        assert sorted(parts[0] + parts[1]) == sorted(found)
        assert not {*parts[0]} & {*parts[1]}
        assert bool(parts[1]) == (val > 0 and len({*found}) > 1)
        assert parts[0] or not found

    def test_share(self) -> None:
        """Of many items about the share asked for is held out, some from everywhere."""
        names = [f"name {i}" for i in range(1000)]
        _, held_out = text.split("".join(f"{name}\n" for name in names), 0.2, "lines")
        numbers = [names.index(name) for name in held_out.split("\n")[:-1]]
        assert len(numbers) == pytest.approx(200, abs=5)
        assert min(numbers) < 50
        assert max(numbers) > 950
        assert numbers != sorted(numbers)

    def test_seed(self) -> None:
        """The same seed draws the same items, another one others."""
        whole = "".join(f"name {i}\n" for i in range(100))
        one, again, other = (text.split(whole, 0.1, "lines", seed) for seed in (1, 1, 2))
        assert one == again != other


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


class TestFingerprint:
    @pytest.mark.parametrize("block", [1, 7, 1 << 20])
    @pytest.mark.parametrize("s", NASTY.values(), ids=NASTY)
    def test_is_sha256(self, s: str, block: int) -> None:
        """It is SHA-256 of the UTF-8 bytes, for every text and block size."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text, "BLOCK", block)
            assert text.fingerprint(s) == hashlib.sha256(s.encode()).hexdigest()

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogates(self, s: str) -> None:
        """Even what is no valid Unicode has a fingerprint of its own."""
        assert text.fingerprint(s) != text.fingerprint(s.encode("utf-8", "replace").decode())
