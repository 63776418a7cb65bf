"""Reading a corpus: whatever the bytes, the right text or an error that says where."""

import codecs
import hashlib
import io
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import text
from charrnn.errors import CharrnnError, TextError, UsageError
from tests.strategies import LONE_SURROGATES, NASTY, cut, texts

Write = Callable[[bytes], str]


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes bytes to a file and returns its path."""
    path = tmp_path_factory.mktemp("texts") / "text.txt"

    def write(data: bytes) -> str:
        path.write_bytes(data)
        return str(path)

    return write


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK", size)
        yield


def line_feeds(s: str) -> str:
    return s.replace("\r\n", "\n").replace("\r", "\n")


def error_of(paths: list[str], encoding: str | None = None) -> CharrnnError:
    """The error of reading, after checking that it is one line."""
    with pytest.raises(CharrnnError) as caught:
        text.read(paths, encoding)
    assert "\n" not in str(caught.value)
    return caught.value


plain = texts.map(lambda s: s.replace("\x00", "").lstrip("\ufeff"))


class TestStream:
    @given(s=plain, bom=st.sampled_from([b"", codecs.BOM_UTF8]), block=st.integers(3, 9))
    def test_utf8(self, write: Write, s: str, bom: bytes, block: int) -> None:
        """UTF-8 with or without its mark comes back with line feeds, wherever blocks end."""
        with blocks_of(block):
            assert text.read([write(bom + s.encode())]) == line_feeds(s)

    @given(s=plain, order=st.sampled_from(["le", "be"]), block=st.integers(3, 9))
    def test_utf16(self, write: Write, s: str, order: str, block: int) -> None:
        """UTF-16 is recognised by its mark in either byte order, wherever blocks end."""
        mark = {"le": codecs.BOM_UTF16_LE, "be": codecs.BOM_UTF16_BE}[order]
        with blocks_of(block):
            assert text.read([write(mark + s.encode(f"utf-16-{order}"))]) == line_feeds(s)

    @pytest.mark.parametrize("block", range(3, 9))
    def test_crlf_over_a_block(self, write: Write, block: int) -> None:
        """A CR and its LF are one line break even if a block ends between them."""
        with blocks_of(block):
            assert text.read([write(b"a\r\nbc\r\n\r\ndef\rg\r")]) == "a\nbc\n\ndef\ng\n"

    def test_named_encoding(self, write: Write) -> None:
        """A named encoding is used whatever the bytes look like."""
        assert text.read([write(b"caf\xe9 \x93x\x94")], "cp1252") == "café “x”"
        assert text.read([write("猫である".encode("shift_jis"))], "shift_jis") == "猫である"
        assert text.read([write("añb".encode("utf-16-le"))], "utf-16-le") == "añb"

    def test_blocks_are_bounded(self, write: Write) -> None:
        """A file is read in blocks, none of them empty, not in one piece."""
        with blocks_of(10):
            blocks = list(text.stream([write(b"0123456789" * 7 + b"\r\r")]))
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
        self, write: Write, before: str, bad: bytes, after: bytes, bom: bytes, block: int
    ) -> None:
        """The first invalid byte is told by value, offset and line, wherever blocks end."""
        valid = bom + before.encode()
        with blocks_of(block):
            error = error_of([write(valid + bad + after)])
        told = re.search(r"byte 0x(..) at offset (\d+) \(line (\d+)\)", str(error))
        assert isinstance(error, TextError)
        assert told is not None
        assert int(told[1], 16) == bad[0]
        assert int(told[2]) == len(valid)
        assert int(told[3]) == 1 + before.count("\n")

    def test_invalid_byte_in_the_second_block(self, write: Write) -> None:
        """In a file longer than a block, an invalid byte is told as its place in the file."""
        valid = "line é\n".encode() * (text.BLOCK // 8 + 10_000)
        assert len(valid) > text.BLOCK
        error = error_of([write(valid + b"caf\xe9 x")])
        line = text.BLOCK // 8 + 10_001
        assert f"byte 0xe9 at offset {len(valid) + 3} (line {line})" in str(error)
        assert "--encoding" in error.hint

    @pytest.mark.parametrize("block", range(3, 9))
    @pytest.mark.parametrize("data", [b"a", b"ab\xd8", b"\n\xd8\n\xd8x", b"a\xd8a\xd8"])
    def test_invalid_utf16(self, write: Write, data: bytes, block: int) -> None:
        """UTF-16 that ends in half a character or a lone surrogate is an error."""
        with blocks_of(block):
            error = error_of([write(codecs.BOM_UTF16_LE + data)])
        assert isinstance(error, TextError)
        assert "utf-16" in str(error)

    def test_invalid_utf16_line(self, write: Write) -> None:
        """A line feed's byte that two blocks share is counted once."""
        data = codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00\xdc"
        for block in range(3, 10):
            with blocks_of(block):
                assert "offset 8 (line 2)" in str(error_of([write(data)])), f"blocks of {block}"

    @given(before=st.binary(max_size=20).map(lambda b: bytes(c & 127 or 65 for c in b)))
    def test_binary(self, write: Write, before: bytes) -> None:
        """A NUL makes a file binary, told with its offset, in any block."""
        with blocks_of(4):
            error = error_of([write(before + b"\x00\xff\xfe")])
        assert isinstance(error, TextError)
        assert "binary" in str(error)
        assert str(error).count(f"offset {len(before)};") == 1

    def test_missing(self, tmp_path: Path) -> None:
        """A missing file is named."""
        error = error_of([str(tmp_path / "none.txt")])
        assert isinstance(error, TextError)
        assert "none.txt does not exist" in str(error)

    def test_folder(self, tmp_path: Path) -> None:
        """A folder is no text, and the message says what to give instead."""
        error = error_of([str(tmp_path)])
        assert isinstance(error, TextError)
        assert f"{tmp_path} is a folder" in str(error)
        assert "*.txt" in error.hint

    @pytest.mark.parametrize("name", ["text.txt/child", "x" * 300, "two\nlines"])
    def test_unreadable(self, tmp_path: Path, name: str) -> None:
        """Whatever else stands in the way of reading is told in one line."""
        (tmp_path / "text.txt").write_text("a file")
        error = error_of([str(tmp_path / name)])
        assert isinstance(error, TextError)
        assert error.exit_code == 1

    def test_unknown_encoding(self, write: Write) -> None:
        """An encoding that does not exist is a usage error that names it."""
        error = error_of([write(b"abc")], "utf-9")
        assert isinstance(error, UsageError)
        assert "'utf-9'" in str(error)
        assert error.exit_code == 2

    @pytest.mark.parametrize(
        "encoding", ["hex", "base64", "zlib", "bz2", "uu", "rot13", "a\x00", ""]
    )
    def test_not_a_text_encoding(self, write: Write, encoding: str) -> None:
        """A codec of Python's that is no encoding of text is a usage error like an unknown one."""
        assert isinstance(error_of([write(b"abc\xff")], encoding), UsageError)

    def test_several_files(self, tmp_path: Path) -> None:
        """Files are parted by a line break, unless the first ends in one already."""
        for name, content in {"a": "one", "b": "two\n", "c": "three"}.items():
            (tmp_path / name).write_text(content)
        a, b, c = (str(tmp_path / name) for name in "abc")
        assert text.read([a, b, c]) == "one\ntwo\nthree"
        assert text.read([b, a]) == "two\none"
        assert text.read([]) == ""

    def test_an_empty_file_adds_nothing(self, tmp_path: Path) -> None:
        """An empty file among others leaves no empty line."""
        for name, content in {"a": "one", "empty": "", "b": "two"}.items():
            (tmp_path / name).write_text(content)
        a, empty, b = (str(tmp_path / name) for name in ("a", "empty", "b"))
        assert text.read([empty]) == ""
        assert text.read([empty, a]) == "one"
        assert text.read([a, empty, b]) == "one\ntwo"

    def test_standard_input(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """ "-" is standard input, decoded as a file is and told by that name in errors."""
        path = write(b"file")
        for data, expected in {b"caf\xc3\xa9\r\n": "file\ncafé\n", b"": "file"}.items():
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "ascii"))
            assert text.read([path, "-"]) == expected
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), "ascii"))
        assert "standard input is not utf-8: byte 0xe9 at offset 3" in str(error_of(["-"]))


class TestLines:
    @given(s=plain | st.text("a\n\r\u2028", max_size=20), block=st.integers(3, 9))
    def test_split(self, write: Write, s: str, block: int) -> None:
        """They are what split makes of the text, numbered from 1, wherever blocks end."""
        path = write(s.encode())
        with blocks_of(block):
            *every, last = text.read([path]).split("\n")
            assert [*text.lines([path])] == [*enumerate([*every, *([last] if last else [])], 1)]

    def test_several_files(self, tmp_path: Path) -> None:
        """The numbers go on from file to file."""
        (tmp_path / "a").write_text("one\n\ntwo")
        (tmp_path / "b").write_text("three\n")
        lines = text.lines([str(tmp_path / "a"), str(tmp_path / "b")])
        assert [*lines] == [(1, "one"), (2, ""), (3, "two"), (4, "three")]

    def test_as_they_come(self, write: Write) -> None:
        """The first line is there before an error further on is met."""
        with blocks_of(4):
            lines = text.lines([write(b"one\ntwo\n\xff")])
            assert next(lines) == (1, "one")
            with pytest.raises(TextError, match="line 3"):
                list(lines)


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
        with blocks_of(block):
            assert text.fingerprint(s) == hashlib.sha256(s.encode()).hexdigest()

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogates(self, s: str) -> None:
        """Even what is no valid Unicode has a fingerprint of its own."""
        assert text.fingerprint(s) != text.fingerprint(s.encode("utf-8", "replace").decode())
