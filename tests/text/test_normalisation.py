"""One way to write the same text, whole or in blocks."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.normalisation import normalised, normalised_blocks
from charrnn.text.source import Source
from tests.strategies import NASTY, cut, texts

DECOMPOSED = "cafe\u0301 \ufeffA\u030angstro\u0308m\u2028\u1112\u1161\u11ab\u0085x\u2029y"
JAMO = "\u1112\u1161\u11ab\uac00"
composing = st.text("ae\u0301\u0323\u0308\u09c7\u09be\ufeff\u2028\x85\n猫" + JAMO, max_size=30)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("q\u0323\u0307 q\u0307\u0323", "q\u0323\u0307 q\u0323\u0307"),
        ("\u1112\u1161\u11ab", "한"),
        ("a\ufeffb\ufeff", "ab"),
        ("e\ufeff\u0301", "é"),
        ("a\u2028b\u2029c\x85d\ne\x0bf", "a\nb\nc\nd\ne\x0bf"),
        ("ﬁ ² Ａ", "ﬁ ² Ａ"),  # noqa: RUF001
    ],
)
def test_table(given: str, expected: str) -> None:
    """Accents are composed and ordered, line ends are LF, marks are gone, all else stays."""
    assert normalised(given) == expected


@given(texts | composing | st.sampled_from([*NASTY.values()]))
def test_laws(text: str) -> None:
    """It is in NFC, and what is normalised stays as it is."""
    once = normalised(text)
    assert unicodedata.is_normalized("NFC", once)
    assert normalised(once) == once
    assert not {*once} & {*"\ufeff\x85\u2028\u2029"}


@given(st.data(), texts | composing)
def test_blocks(data: st.DataObject, text: str) -> None:
    """Wherever blocks end, the text comes out the same."""
    assert "".join(normalised_blocks(data.draw(cut(text)))) == normalised(text)


def test_no_place_to_cut() -> None:
    """A text of combining marks alone is not held in memory."""
    blocks = ["\u0301" * 40_000] * 5
    passed = [*normalised_blocks(blocks)]
    assert "".join(passed) == "".join(blocks)
    assert len(passed) > 1


class TestSource:
    def test_read(self, tmp_path: Path) -> None:
        """A source reads so if it is told to, files and records alike."""
        path = tmp_path / "a.txt"
        path.write_text(DECOMPOSED, encoding="utf-8")
        assert Source([str(path)]).read() == DECOMPOSED
        assert Source([str(path)], normalise=True).read() == normalised(DECOMPOSED)
        path.write_text(f'{{"x": "{DECOMPOSED}"}}\n', encoding="utf-8")
        read = Source([str(path)], field="x", normalise=True).read()
        assert read == normalised(DECOMPOSED)

    def test_lines(self, tmp_path: Path) -> None:
        """Lines are numbered as the file has them; as items they are those of the result."""
        path = tmp_path / "a.txt"
        path.write_text("e\u0301\u2028b\n\ufeff\nc\n", encoding="utf-8")
        source = Source([str(path)], normalise=True)
        assert [*source.lines()] == [(1, "é\nb"), (2, ""), (3, "c")]
        assert Source([str(path)], kind="lines", normalise=True).read() == "é\nb\nc\n"
