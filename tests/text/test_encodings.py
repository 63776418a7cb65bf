"""The bytes of a file: the right text, or an error that says where."""

import bz2
import codecs
import gzip
import io
import lzma
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import TextError
from charrnn.text import encodings
from charrnn.text.encodings import decode, unnoted
from tests.benchmarks import encodings as benchmark
from tests.strategies import texts


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "READ_BYTES", size)
        yield


def line_feeds(s: str) -> str:
    return s.replace("\r\n", "\n").replace("\r", "\n")


def read(data: bytes, encoding: str | None = None, errors: str = "strict") -> str:
    return "".join(decode(io.BytesIO(data), "text.txt", encoding, errors, unnoted))


def error_of(data: bytes, encoding: str | None = None) -> TextError:
    """The error of decoding, after checking that it is one line."""
    with pytest.raises(TextError) as caught:
        read(data, encoding)
    assert "\n" not in str(caught.value)
    return caught.value


plain = texts.map(lambda s: s.replace("\x00", "").lstrip("\ufeff"))


class TestText:
    @given(s=plain, bom=st.sampled_from([b"", codecs.BOM_UTF8]), block=st.integers(3, 9))
    def test_utf8(self, s: str, bom: bytes, block: int) -> None:
        """UTF-8 with or without its mark comes back with line feeds, wherever blocks end."""
        with blocks_of(block):
            assert read(bom + s.encode()) == line_feeds(s)

    @given(s=plain, order=st.sampled_from(["le", "be"]), block=st.integers(3, 9))
    def test_utf16(self, s: str, order: str, block: int) -> None:
        """UTF-16 is recognised by its mark in either byte order, wherever blocks end."""
        mark = {"le": codecs.BOM_UTF16_LE, "be": codecs.BOM_UTF16_BE}[order]
        with blocks_of(block):
            assert read(mark + s.encode(f"utf-16-{order}")) == line_feeds(s)

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
    @pytest.mark.parametrize(
        "s",
        [
            "The “fox” and the crow.\r\n",
            "Füchse, 猫 und Żaba 😀!\n\t",
            "Лиса спросила ворону про сыр.\n",
            "老师在学校里看书。学生们在公园里唱歌。\n",
            "きつねはカラスにチーズのことを尋ねた。\n",
            "여우가 까마귀에게 치즈를 물었다.\n",
            "-----\n",
        ],
    )
    def test_no_mark(self, encoding: str, s: str) -> None:
        """UTF-16 and UTF-32 are recognised without a mark, in either byte order; a line tells."""
        notes: list[str] = []
        file = io.BytesIO((s * 100).encode(encoding))
        assert "".join(decode(file, "a", None, "strict", notes.append)) == line_feeds(s * 100)
        assert len(notes) == 1
        assert encoding in notes[0]

    @pytest.mark.parametrize(
        "data",
        [
            "short".encode("utf-16-le"),
            "老师在学校里看书。\n他说今天很好\n".encode("utf-16-le"),
            bytes(range(1, 256)) + bytes(range(256)) * 20,
            np.arange(1000, dtype="<u2").tobytes(),
            np.arange(300, dtype="<i4").tobytes(),
            np.random.default_rng(0).integers(32, 1 << 16, 5000, np.uint16).tobytes(),
            np.random.default_rng(0).normal(size=100).tobytes() + b"\0",
            bytes(100),
            b"\0".join([Path(__file__).read_bytes()] * 2),
        ],
        ids=[
            "short",
            "wide",
            "bytes",
            "numbers",
            "long numbers",
            "random numbers",
            "floats",
            "zeros",
            "source",
        ],
    )
    def test_zeros_elsewhere(self, data: bytes) -> None:
        """Where zeros do not plainly tell an encoding, the file is binary."""
        assert "binary" in str(error_of(data))

    @pytest.mark.parametrize("block", range(3, 9))
    def test_crlf_over_a_block(self, block: int) -> None:
        """A CR and its LF are one line break even if a block ends between them."""
        with blocks_of(block):
            assert read(b"a\r\nbc\r\n\r\ndef\rg\r") == "a\nbc\n\ndef\ng\n"

    def test_named_encoding(self) -> None:
        """A named encoding is used whatever the bytes look like."""
        assert read(b"caf\xe9 \x93x\x94", "cp1252") == "café “x”"
        assert read("猫である".encode("shift_jis"), "shift_jis") == "猫である"
        assert read("añb".encode("utf-16-le"), "utf-16-le") == "añb"

    def test_blocks_are_bounded(self) -> None:
        """A file is read in blocks, none of them empty, not in one piece."""
        with blocks_of(10):
            file = io.BytesIO(b"0123456789" * 7 + b"\r\r")
            blocks = list(decode(file, "a", None, "strict", unnoted))
        assert len(blocks) >= 7
        assert all(1 <= len(block) <= 11 for block in blocks)

    @given(
        before=plain.map(lambda s: s.replace("\r", "")),
        bad=st.sampled_from(
            [b"\xff", b"\xc3a", b"\xe2\x82 ", b"\xed\xa0\x80", b"\x80", b"\xf0\x9f"]
        ),
        after=st.sampled_from([b"", b"tail", b"\ntail\n" * 3]),
        bom=st.sampled_from([b"", codecs.BOM_UTF8]),
        block=st.integers(3, 9),
    )
    def test_invalid_byte(
        self, before: str, bad: bytes, after: bytes, bom: bytes, block: int
    ) -> None:
        """The first invalid byte is told by value, offset and line, wherever blocks end."""
        valid = bom + before.encode()
        with blocks_of(block):
            error = error_of(valid + bad + after, "utf-8")
        told = re.search(r"byte 0x(..) at offset (\d+) \(line (\d+)\)", str(error))
        assert told is not None
        assert int(told[1], 16) == bad[0]
        assert int(told[2]) == len(valid)
        assert int(told[3]) == 1 + before.count("\n")

    def test_invalid_byte_in_the_second_block(self) -> None:
        """In a file longer than a block, an invalid byte is told as its place in the file."""
        valid = "line é\n".encode() * (encodings.READ_BYTES // 8 + 10_000)
        assert len(valid) > encodings.READ_BYTES
        error = error_of(valid + b"caf\xe9 x")
        line = encodings.READ_BYTES // 8 + 10_001
        assert f"byte 0xe9 at offset {len(valid) + 3} (line {line})" in str(error)
        assert "--encoding" in error.hint

    @pytest.mark.parametrize("block", range(3, 9))
    @pytest.mark.parametrize("data", [b"a", b"ab\xd8", b"\n\xd8\n\xd8x", b"a\xd8a\xd8"])
    def test_invalid_utf16(self, data: bytes, block: int) -> None:
        """UTF-16 that ends in half a character or a lone surrogate is an error."""
        with blocks_of(block):
            error = error_of(codecs.BOM_UTF16_LE + data)
        assert "utf-16" in str(error)

    def test_invalid_utf16_line(self) -> None:
        """A line feed's byte that two blocks share is counted once."""
        data = codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00\xdc"
        for block in range(3, 10):
            with blocks_of(block):
                assert "offset 8 (line 2)" in str(error_of(data)), f"blocks of {block}"

    @given(before=st.binary(max_size=20).map(lambda b: bytes(c & 127 or 65 for c in b)))
    def test_binary(self, before: bytes) -> None:
        """A NUL makes a file binary, told with its offset, in any block."""
        with blocks_of(4):
            error = error_of(b"a" + before + b"\x00\xff\xfe")
        assert "binary" in str(error)
        assert str(error).count(f"offset {1 + len(before)};") == 1

    def test_utf32(self) -> None:
        """UTF-32 is recognised by its mark, which begins as UTF-16's does."""
        for order in ("le", "be"):
            mark = {"le": codecs.BOM_UTF32_LE, "be": codecs.BOM_UTF32_BE}[order]
            assert read(mark + "añ猫\r\nb".encode(f"utf-32-{order}")) == "añ猫\nb"

    def test_errors(self) -> None:
        """Wrong bytes can be replaced or left out."""
        assert read(b"caf\xe9, x", errors="replace") == "caf\ufffd, x"
        assert read(b"caf\xe9, x", errors="skip") == "caf, x"

    @pytest.mark.parametrize(("start", "told"), [(b"PK\x03\x04", "zip"), (b"%PDF-1.7\n", "PDF")])
    def test_documents_of_other_programs(self, start: bytes, told: str) -> None:
        """What holds text but is none is named, with what to do."""
        error = error_of(start + b"\x14\x00\x06")
        assert told in str(error)
        assert "plain text" in error.hint


PAGES = {
    "cp1252": "Der alte Müller ging über die Brücke. “Schön ist’s hier”, sagte er, und aß Äpfel. ",
    "cp1250": "Byl jednou jeden král a ten měl tři syny. Nejmladší byl příliš hloupý a šel pryč. ",
    "cp1251": "Жил-был старик, жил он тридцать лет и три года, и пряла старуха свою пряжу. ",
    "koi8_r": "Жил-был старик, жил он тридцать лет и три года, и пряла старуха свою пряжу. ",
    "cp1255": "היה היה פעם איש זקן שגר ליד הים. בכל יום היה יוצא לדוג דגים ובערב היה חוזר לביתו. ",
    "shift_jis": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "euc_jp": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "gb18030": "话说天下大势,分久必合,合久必分。周末七国分争,并入于秦。",
    "big5": "話說天下大勢,分久必合,合久必分。周末七國分爭,並入於秦。",
    "euc_kr": "옛날 옛적에 호랑이가 담배 피우던 시절에 한 노인이 산속에 살고 있었습니다. ",
}


class TestGuess:
    @pytest.mark.parametrize("block", [1000, encodings.READ_BYTES])
    @pytest.mark.parametrize("encoding", PAGES)
    def test_pages(self, encoding: str, block: int) -> None:
        """A text in another encoding is read all the same, and the guess told with its remedy."""
        page = ("A plain beginning.\r\n" + PAGES[encoding] * 20) * 2
        told: list[str] = []
        with blocks_of(block):
            file = io.BytesIO(page.encode(encoding))
            found = "".join(decode(file, "book.txt", None, "strict", told.append))
        assert found == line_feeds(page)
        (line,) = told
        assert line.startswith("book.txt is not UTF-8")
        assert "--encoding" in line

    def test_late(self) -> None:
        """Where ASCII fills whole blocks before, what follows is guessed as well."""
        page = "Plain.\r\n" * 1000 + PAGES["cp1252"] * 20
        with blocks_of(4001):  # which ends between CR and LF
            assert read(page.encode("cp1252")) == line_feeds(page)

    @given(st.integers(0, 400), st.integers(1, 12))
    def test_utf8_with_wrong_bytes(self, place: int, count: int) -> None:
        """A text in UTF-8 with some wrong bytes is not read as something else, but reported."""
        good = PAGES["cp1252"] * 40
        data = good[:place].encode() + b"\xff\xe9" * count + good[place:].encode()
        assert f"not utf-8: byte 0xff at offset {len(good[:place].encode())}" in str(error_of(data))

    @pytest.mark.parametrize("encoding", benchmark.ENCODINGS)
    def test_short(self, encoding: str) -> None:
        """Of 24 encodings, the right one is found for nearly every text of 100 bytes."""
        texts = [*benchmark.pieces(encoding, 100)]
        right = sum(benchmark.by_charrnn(text.encode(encoding)) == text for text in texts)
        assert right >= 0.95 * len(texts)

    @pytest.mark.parametrize(
        "page",
        [
            "Who’s there? I’m asking you\nThat’s what I said… don’t wait\nHe said “no”, “it’s so”",
            "Perché la città è lontana? Così disse l'università: il caffè è migliorato. C'è chi ne"
            " è felice. Non è vero che tutto ciò che è nuovo sia peggio. Lunedì andrò là, più giù",
            "The café is closed.",
            "Ticket: £5",
            "A rest\n" * 30 + "a naïve word, á la carte",
        ],
        ids=["quotes", "accents", "one letter", "one sign", "late"],
    )
    def test_western(self, page: str) -> None:
        """A small Western text is cp1252 where nothing speaks for another encoding."""
        notes: list[str] = []
        file = io.BytesIO(page.encode("cp1252"))
        assert "".join(decode(file, "a.txt", None, "strict", notes.append)) == page
        assert notes == ["a.txt is not UTF-8; read as cp1252 (--encoding overrides)"]

    def test_mixed_scripts(self) -> None:
        """A Cyrillic text is read as one though some of its words have Latin letters too."""
        page = PAGES["cp1251"] * 3 + "Взял папку Windows\u0430. "
        assert read(page.encode("cp1251")) == page

    @pytest.mark.parametrize(
        "data",
        [
            b"one\ntwo\n\x81",
            b"and more of THAT\xe9\x01",
            b"caf\xe9 is one\nBLOCK" + b"The fox slept. " * 500,
            b"The fox slept. " * 500 + b"caf\xe9",
            "Müller ".encode() * 3 + b"M\xfcller",
            b"only the end is missing: caf\xc3",
        ],
        ids=["no letter", "control character", "long", "long at the end", "utf-8", "broken off"],
    )
    def test_doubt(self, data: bytes) -> None:
        """Of bytes that make no sense in cp1252, or a few in a long text, nothing is guessed."""
        with blocks_of(3000):
            assert "not utf-8: byte 0x" in str(error_of(data))

    @pytest.mark.parametrize(("errors", "found"), [("replace", "caf\ufffd"), ("skip", "caf")])
    def test_wrong_bytes_that_are_expected(self, errors: str, found: str) -> None:
        """Where wrong bytes are to be replaced or left out, a few are not taken as a hint."""
        assert read(b"The fox: caf\xe9", errors=errors) == f"The fox: {found}"

    @given(st.binary(min_size=1, max_size=300))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are a text, with no more than a note, or an error in one line."""
        try:
            read(data)
        except TextError as error:
            message = str(error)
            assert "\n" not in message

    def test_none_but_utf8(self) -> None:
        """Text in UTF-8 is never guessed at, even where blocks end within a character."""
        for page in PAGES.values():
            with blocks_of(101):
                assert read((page * 5).encode()) == page * 5

    def test_wrong_later(self) -> None:
        """A byte that is wrong in the guessed encoding too is told by its place."""
        good = ("Plain.\n" + PAGES["shift_jis"] * 20).encode("shift_jis")
        with blocks_of(500):
            error = error_of(good + b"\x81\n")
        assert f"cp932: byte 0x81 at offset {len(good)} (line 2)" in str(error)


def zstd_compress(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress(data)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd_compress,
}


@pytest.mark.parametrize("kind", PACK)
class TestCompressed:
    @given(s=plain, twice=st.booleans(), block=st.integers(16, 40))
    def test_content(self, kind: str, s: str, twice: bool, block: int) -> None:
        """What was compressed comes back, also in two pieces end to end, wherever blocks end."""
        pieces = [s, "\nmore\n"] if twice else [s]
        with blocks_of(block):
            packed = b"".join(PACK[kind](piece.encode()) for piece in pieces)
            assert read(packed) == line_feeds("".join(pieces))

    @pytest.mark.parametrize("left", [0.5, 0.99])
    def test_truncated(self, kind: str, left: float) -> None:
        """A file that breaks off is an error that says so."""
        rng = random.Random(0)
        packed = PACK[kind]("".join(rng.choices("abcdefgh ", k=20_000)).encode())
        error = error_of(packed[: int(len(packed) * left)])
        assert f"text.txt ends before the end of its {kind} data" in str(error)

    def test_damaged(self, kind: str) -> None:
        """Changed bytes are never a traceback; that all of them are noticed is not promised."""
        rng = random.Random(0)
        whole = PACK[kind]("".join(rng.choices("abcdefgh ", k=2000)).encode())
        noticed = 0
        for _ in range(50):
            damaged = bytearray(whole)
            damaged[rng.randrange(16, len(damaged))] ^= 1 << rng.randrange(8)
            try:
                read(bytes(damaged))
            except TextError as error:
                noticed += kind in str(error)
        assert noticed > 40 or (kind == "zstd" and noticed)

    def test_bomb(self, kind: str) -> None:
        """A little that unpacks to very much is read in blocks."""
        packed = PACK[kind](b"a" * 20_000_000)
        assert len(packed) < 30_000
        blocks = decode(io.BytesIO(packed), "bomb", None, "strict", unnoted)
        assert max(len(block) for block in blocks) <= encodings.READ_BYTES
