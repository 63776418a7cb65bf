"""Files, folders and standard input as one text, or an error that names what is wrong."""

import gzip
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CharrnnError, TextError, UsageError
from charrnn.text import encodings
from charrnn.text.source import Source
from tests.strategies import texts

Write = Callable[[bytes], str]
PAIRS: dict[str, Any] = {"kind": "records", "field": "x", "target": "y"}


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
        patch.setattr(encodings, "READ_BYTES", size)
        yield


def read(*paths: object, **options: Any) -> str:
    return Source([str(path) for path in paths], **options).read()


def error_of(*paths: object, **options: Any) -> CharrnnError:
    """The error of reading, after checking that it is one line."""
    with pytest.raises(CharrnnError) as caught:
        read(*paths, **options)
    assert "\n" not in str(caught.value)
    return caught.value


plain = texts.map(lambda s: s.replace("\x00", "").lstrip("\ufeff"))


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        """A missing file is named."""
        error = error_of(tmp_path / "none.txt")
        assert isinstance(error, TextError)
        assert "none.txt does not exist" in str(error)

    @pytest.mark.parametrize("name", ["text.txt/child", "x" * 300, "two\nlines"])
    def test_unreadable(self, tmp_path: Path, name: str) -> None:
        """Whatever else stands in the way of reading is told in one line."""
        (tmp_path / "text.txt").write_text("a file")
        error = error_of(tmp_path / name)
        assert isinstance(error, TextError)
        assert error.exit_code == 1

    def test_unknown_encoding(self, write: Write) -> None:
        """An encoding that does not exist is a usage error that names it."""
        error = error_of(write(b"abc"), encoding="utf-9")
        assert isinstance(error, UsageError)
        assert "'utf-9'" in str(error)
        assert error.exit_code == 2

    @pytest.mark.parametrize(
        "encoding", ["hex", "base64", "zlib", "bz2", "uu", "rot13", "a\x00", ""]
    )
    def test_not_a_text_encoding(self, write: Write, encoding: str) -> None:
        """A codec of Python's that is no encoding of text is a usage error like an unknown one."""
        assert isinstance(error_of(write(b"abc\xff"), encoding=encoding), UsageError)

    @pytest.mark.parametrize("options", [{"errors": "ignore"}, {"glob": ""}])
    def test_bad_option(self, write: Write, options: dict[str, str]) -> None:
        """A value that makes no sense is a usage error that names the option."""
        error = error_of(write(b"abc"), **options)
        assert isinstance(error, UsageError)
        assert "--" + next(iter(options)) in str(error)

    def test_several_files(self, tmp_path: Path) -> None:
        """Files are parted by a line break, unless the first ends in one already."""
        for name, content in {"a": "one", "b": "two\n", "c": "three"}.items():
            (tmp_path / name).write_text(content)
        a, b, c = (tmp_path / name for name in "abc")
        assert read(a, b, c) == "one\ntwo\nthree"
        assert read(b, a) == "two\none"
        assert read() == ""

    def test_an_empty_file_adds_nothing(self, tmp_path: Path) -> None:
        """An empty file among others leaves no empty line."""
        for name, content in {"a": "one", "empty": "", "b": "two"}.items():
            (tmp_path / name).write_text(content)
        a, empty, b = (tmp_path / name for name in ("a", "empty", "b"))
        assert read(empty) == ""
        assert read(empty, a) == "one"
        assert read(a, empty, b) == "one\ntwo"

    def test_standard_input(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """ "-" is standard input, decoded as a file is and told by that name in errors."""
        path = write(b"file")
        packed = gzip.compress(b"packed")
        for data, expected in {
            b"caf\xc3\xa9\r\n": "file\ncafé\n", b"": "file", packed: "file\npacked",
        }.items():  # fmt: skip
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "ascii"))
            assert read(path, "-") == expected
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), "ascii"))
        assert "standard input is not utf-8: byte 0xe9 at offset 3" in str(error_of("-"))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_named_pipe(self, tmp_path: Path) -> None:
        """A pipe is read to its end, as a file is."""
        os.mkfifo(tmp_path / "pipe")
        writer = threading.Thread(
            target=(tmp_path / "pipe").write_bytes, args=(b"a\r\nb" * 50_000,)
        )
        writer.start()
        assert read(tmp_path / "pipe") == "a\nb" * 50_000
        writer.join()


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Notes and what else is found beside them."""
        for name in (
            "b.txt", "a/z.MD", "a/y.txt", "a/data.csv", "a/.hidden.txt", ".git/x.txt", "picture.png"
        ):  # fmt: skip
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"{name} ")
        (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"c"))
        return tmp_path

    def test_default(self, folder: Path) -> None:
        """Of a folder the .txt and .md files are read, also compressed, in order of their names."""
        assert read(folder).split() == ["a/y.txt", "a/z.MD", "b.txt", "c"]

    @pytest.mark.parametrize(
        ("glob", "found"),
        [("*.csv", ["a/data.csv"]), ("a/*.txt", ["a/y.txt"]), ("*.PNG", ["picture.png"])],
    )
    def test_glob(self, folder: Path, glob: str, found: list[str]) -> None:
        """A pattern says which files are read instead, in any case of letters."""
        assert read(folder, glob=glob).split() == found

    def test_named_files(self, folder: Path) -> None:
        """A file named by itself is read whatever the pattern says."""
        assert read(folder / "picture.png", folder / "a/.hidden.txt").split() == [
            "picture.png",
            "a/.hidden.txt",
        ]

    @pytest.mark.parametrize("glob", [None, "*.nothing"])
    def test_nothing_in_it(self, tmp_path: Path, glob: str | None) -> None:
        """A folder without a text is named, with the option that helps."""
        (tmp_path / "data.bin").touch()
        error = error_of(tmp_path, glob=glob)
        assert str(tmp_path) in str(error)
        assert (glob or "*.md") in str(error)
        assert "--glob" in error.hint

    def test_loop(self, folder: Path) -> None:
        """A link to a folder, which may lead in a circle, is not followed; one to a file is."""
        (folder / "a" / "loop").symlink_to(folder)
        (folder / "nowhere.txt").symlink_to(folder / "missing")
        (folder / "d.txt").symlink_to(folder / "picture.png")
        assert read(folder).split() == ["a/y.txt", "a/z.MD", "b.txt", "c", "picture.png"]

    def test_runs(self, folder: Path) -> None:
        """Run folders, and what is below them, are left out, whatever is looked for."""
        run = folder / "a" / "run"
        (run / "notes").mkdir(parents=True)
        (run / "log.jsonl").write_text('{"event": "start", "text": "log"}\n')
        for name in ("samples.txt", "notes/mine.txt"):
            (run / name).write_text("written by a model")
        assert read(folder).split() == ["a/y.txt", "a/z.MD", "b.txt", "c"]
        assert "log.jsonl" in str(error_of(folder / "a" / "run" / "log.jsonl", field="none"))
        assert "holds no *.jsonl" in str(error_of(folder / "a", field="text", glob="*.jsonl"))
        (folder / "empty").mkdir()
        assert "empty holds no files" in str(error_of(folder / "empty"))
        with pytest.raises(UsageError, match="field needs a name"):
            Source(["a.csv"], field="")
        assert read(run) == "written by a model"  # the user's own, of a run that is named

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_no_file(self, folder: Path) -> None:
        """What is no file is left out: a pipe would never end."""
        os.mkfifo(folder / "pipe.txt")
        assert "pipe" not in read(folder)

    @pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")
    def test_hostile_names(self, tmp_path: Path) -> None:
        """Names that are no UTF-8, or hold line breaks, are names; an error is still one line."""
        for i, name in enumerate([b"\xff.txt", b"a\nb.txt", b"\x1b[31m.txt", b"-.txt", b" .txt"]):
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(f"{i}\n")
        assert sorted(read(tmp_path).split()) == ["0", "1", "2", "3", "4"]
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\nb.txt")).write_bytes(b"\0")
        assert "binary" in str(error_of(tmp_path))

    @pytest.mark.skipif(os.name != "posix" or not os.geteuid(), reason="root reads everything")
    @pytest.mark.parametrize("name", ["a", "b.txt"])
    def test_no_permission(self, folder: Path, name: str) -> None:
        """A file or folder that may not be read is named."""
        (folder / name).chmod(0)
        try:
            assert str(folder / name) in str(error_of(folder))
        finally:
            (folder / name).chmod(0o700)


class TestLines:
    @given(s=plain | st.text("a\n\r\u2028", max_size=20), block=st.integers(3, 9))
    def test_split(self, write: Write, s: str, block: int) -> None:
        """They are what split makes of the text, numbered from 1, wherever blocks end."""
        source = Source([write(s.encode())])
        with blocks_of(block):
            *every, last = source.read().split("\n")
            assert [*source.lines()] == [*enumerate([*every, *([last] if last else [])], 1)]

    def test_several_files(self, tmp_path: Path) -> None:
        """The numbers go on from file to file."""
        (tmp_path / "a").write_text("one\n\ntwo")
        (tmp_path / "b").write_text("three\n")
        lines = Source([str(tmp_path / "a"), str(tmp_path / "b")]).lines()
        assert [*lines] == [(1, "one"), (2, ""), (3, "two"), (4, "three")]

    def test_as_they_come(self, write: Write) -> None:
        """The first line is there before an error further on is met."""
        with blocks_of(4):
            lines = Source([write(b"one\ntwo\n\x81")]).lines()
            assert next(lines) == (1, "one")
            with pytest.raises(TextError, match="line 3"):
                list(lines)

    def test_a_huge_line(self, write: Write) -> None:
        """A line of many blocks is one line."""
        with blocks_of(1000):
            assert [*Source([write(b"ab" * 500_000)]).lines()] == [(1, "ab" * 500_000)]


class TestRecords:
    def test_parted(self, tmp_path: Path) -> None:
        """The texts of the field, of all records and files, are parted by empty lines."""
        (tmp_path / "a.jsonl").write_text('{"x": "one\\ntwo"}\n{"x": ""}\n{"x": "three"}\n')
        (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"x,y\r\nfour,4\r\n"))
        (tmp_path / "c.txt").write_text("not read")
        assert read(tmp_path, field="x") == "one\ntwo\n\nthree\n\nfour"

    def test_skipped(self, tmp_path: Path) -> None:
        """Broken records of all files are skipped, counted and told in one line."""
        (tmp_path / "a.jsonl").write_text('{"x": "one"}\n{"x": null}\nbroken\n')
        (tmp_path / "b.csv").write_text("x,y\ntwo,2\n3,3,3\n")
        notes: list[str] = []
        source = Source([str(tmp_path)], field="x")
        assert source.read(notes.append) == "one\n\ntwo"
        (note,) = notes
        assert note.startswith("3 of 5 records are skipped; the first one: ")
        assert note.endswith("a.jsonl: line 2: the field 'x' is null")

    @pytest.mark.parametrize("errors", [None, "replace", "skip"])
    def test_strict(self, write: Write, errors: str | None) -> None:
        """Only strict stops at a broken record, which it names."""
        path = write(b'{"x": "one"}\n{"y": 1}\n')
        assert read(path, field="x", errors=errors) == "one"
        assert "line 2: the field 'x' is missing" in str(error_of(path, field="x", errors="strict"))

    def test_none_left(self, write: Write) -> None:
        """Where no record has the field, that is an error, as a rule a wrong name."""
        error = error_of(write(b'{"x": "one"}\n{"x": "two"}\n'), field="y")
        assert "all 2 records are broken" in str(error)
        assert "there are 'x'" in str(error)

    def test_numbers(self, tmp_path: Path) -> None:
        """Each record has its number in its file, which the broken and empty ones count for."""
        (tmp_path / "a.jsonl").write_text('{"x": "a\\nb"}\n\n{"x": ""}\n{"x": 1}\n{"x": "c"}\n')
        (tmp_path / "b.csv").write_text('x,y\n"d\ne",1\nf,2\n')
        found = [*Source([str(tmp_path)], field="x").records(id="y")]
        assert [(PurePath(path).name, r.number, r.line, r.text, r.id) for path, r in found] == [
            ("a.jsonl", 1, 1, "a\nb", None),
            ("a.jsonl", 2, 3, "", None),
            ("a.jsonl", 4, 5, "c", None),
            ("b.csv", 1, 2, "d\ne", "1"),
            ("b.csv", 2, 4, "f", "2"),
        ]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"delimiter": ";"}, "need --field"),
            ({"header": False}, "need --field"),
            ({"field": "x", "delimiter": ";;"}, "--delimiter"),
            ({"field": "x", "delimiter": '"'}, "--delimiter"),
            ({"field": "x", "delimiter": ""}, "--delimiter"),
            ({"field": "x", "header": False}, "column number"),
            ({"field": "0", "header": False}, "column number"),
        ],
    )
    def test_bad_layout(self, write: Write, options: dict[str, Any], said: str) -> None:
        """What makes no sense of a table is a usage error."""
        error = error_of(write(b"a"), **options)
        assert isinstance(error, UsageError)
        assert said in str(error)


class TestPairs:
    """Records with a source and a target."""

    def test_stream(self, tmp_path: Path) -> None:
        """A record is its source, the separator, its target and the end; numbers are text."""
        (tmp_path / "a.jsonl").write_text('{"x": "good\\n one ", "y": 5}\n{"x": 1.5, "y": true}\n')
        (tmp_path / "b.tsv").write_text("y\tx\nbad\tawful\n")
        assert read(tmp_path, **PAIRS) == ("good\n one\x025\x031.5\x02true\x03awful\x02bad\x03")

    def test_folders(self, tmp_path: Path) -> None:
        """Without fields, a file is a source, and the name of its folder the target."""
        for label, text in (("joy", "ha\nha\n"), ("grief", "oh")):
            (tmp_path / label).mkdir()
            (tmp_path / label / "1.txt").write_text(text)
        assert read(tmp_path, kind="records") == "oh\x02grief\x03ha\nha\x02joy\x03"

    def test_normalised(self, write: Write) -> None:
        """Both are normalised, if the corpus is."""
        path = write("x,y\ne\u0301,a\u0308\n".encode())
        assert read(path, normalise=True, **PAIRS) == "é\x02ä\x03"

    def test_told(self, write: Write) -> None:
        """Records that are broken, lack a field or hold a separator are counted, in a line each."""
        path = write(b"x,y\na,1\n,2\nb, \nc\nd\x02e,4\x03\n\x03,5\n")
        notes: list[str] = []
        assert Source([path], **PAIRS).read(notes.append) == "a\x021\x03de\x024\x03"
        skipped, marked = notes
        assert skipped.startswith("4 of 6 records are skipped; the first one: ")
        assert skipped.endswith("line 3: the source is empty")
        assert marked.startswith("2 of 6 records hold the characters U+0002 or U+0003")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (b"x,z\na,1\n", "there is no column 'y', only 'x', 'z'"),
            (b'{"x": "a"}\n', "the field 'y' is missing"),
            (b'{"x": "a", "y": []}\n', "the field 'y' is not text"),
            (b"x,y\na\n", "the row ends before the column 'y'"),
            (b"x,y\na,\n", "the target is empty"),
        ],
    )
    def test_none_left(self, write: Write, text: bytes, said: str) -> None:
        """If there is no record with both, the error says what is wrong, and names the options."""
        error = error_of(write(text), **PAIRS)
        assert said in str(error)
        assert "--source" in str(error.hint)

    def test_field_alone(self, write: Write) -> None:
        """A target without a source makes no sense."""
        assert "--source" in str(error_of(write(b"a"), kind="records", target="y"))


class TestShapes:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "a.txt").write_text("  one \n\ntwo\x03\r\n \t\n")
        (tmp_path / "b.md").write_text("three")
        (tmp_path / "c.txt").touch()
        (tmp_path / "d.jsonl").write_text('{"x": "four\\nfive "}\n{"x": "six"}\n')
        return tmp_path

    def test_lines(self, folder: Path) -> None:
        """Lines end with a line break; space around them and empty ones are left out."""
        assert read(folder, kind="lines") == "one\ntwo\x03\nthree\n"

    def test_records_as_lines(self, folder: Path) -> None:
        """A record is one line, whatever its text."""
        assert read(folder, kind="lines", field="x") == "four five\nsix\n"

    def test_documents(self, folder: Path) -> None:
        """Each file that is not empty ends with END, which is taken from its text."""
        assert read(folder, kind="documents") == "  one \n\ntwo\n \t\n\x03three\x03"
        with blocks_of(3):
            assert read(folder, kind="documents") == "  one \n\ntwo\n \t\n\x03three\x03"

    def test_records_as_documents(self, folder: Path) -> None:
        """So does each record."""
        assert read(folder, kind="documents", field="x") == "four\nfive \x03six\x03"

    @pytest.mark.parametrize(
        ("text", "separator", "expected"),
        [
            ("From a\nx\n\nFrom b\nFrom c\n", "^From ", ["From a\nx\n\n", "From b\n", "From c\n"]),
            ("one\n%\n\ntwo\n2%\n%\n%\n", "^%$", ["one\n", "two\n2%\n"]),
            ("\n\none\n1\n \n\ntwo", r"^\s*$", ["one\n1\n", "two\n"]),
            ("[A a]\n\n1. e4\n\n[A b]\n", r"^\[A ", ["[A a]\n\n1. e4\n\n", "[A b]\n"]),
            ("a --- b\n---\nc", "^-+$", ["a --- b\n", "c\n"]),
            ("one", "%|%%", ["one\n"]),
            ("one\n%%\ntwo", "%|%%", ["one\n", "two\n"]),
            ("\n \n%\n", "%", []),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("block", [3, 1000])
    def test_split(
        self, write: Write, text: str, separator: str, expected: list[str], block: int
    ) -> None:
        """A line that holds the separator begins a document; one that is it is left out."""
        source = Source([write(text.encode())], kind="documents", split_on=separator)
        with blocks_of(block):
            assert ["".join(part) for part in source.parts()] == [f"{s}\x03" for s in expected]
            assert source.read() == "".join(f"{s}\x03" for s in expected)

    def test_split_files(self, folder: Path) -> None:
        """A document never goes on in the next file."""
        expected = "  one \n\x03two\n \t\n\x03three\n\x03"
        assert read(folder, kind="documents", split_on="^$") == expected

    @pytest.mark.parametrize(
        "options",
        [
            {"split_on": "^$"},
            {"split_on": "^$", "kind": "lines"},
            {"split_on": "^$", "kind": "documents", "field": "x"},
            {"split_on": "x(", "kind": "documents"},
            {"split_on": "x{99999999999}", "kind": "documents"},
            {"split_on": "", "kind": "documents"},
        ],
    )
    def test_bad_separator(self, folder: Path, options: dict[str, str]) -> None:
        """A separator that is no regular expression, or of what has no documents, is named."""
        error = error_of(folder, **options)
        assert isinstance(error, UsageError)
        assert "--split-on" in str(error)

    @pytest.mark.parametrize(("kind", "count"), [("text", 1), ("lines", 1), ("documents", 2)])
    def test_parts(self, folder: Path, kind: str, count: int) -> None:
        """What stands for itself comes alone, and adds up to the text."""
        source = Source([str(folder)], kind=kind)
        parts = ["".join(part) for part in source.parts()]
        assert len(parts) == count
        assert "".join(parts) == source.read()


class TestKept:
    def test_files(self, write: Write) -> None:
        """Files are read again each time; what was guessed is told once."""
        umlauts = "Für den Müller wäre es schön, über Öl zu verfügen. "
        source = Source([write(umlauts.encode("cp1252") * 9)])
        notes: list[str] = []
        with source.kept(notes.append) as blocks:
            assert "".join(blocks) == "".join(blocks) == source.read()
        assert len(notes) == 1

    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What comes once is kept, to the character."""
        text = "a\r\nb\x85c\u2028d 猫🙂\n" * 1000
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        with Source(["-"]).kept() as blocks:
            assert "".join(blocks) == "".join(blocks) == text.replace("\r\n", "\n")

    def test_pipe(self, tmp_path: Path) -> None:
        """A pipe with a name is kept too."""
        path = tmp_path / "pipe"
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_text, args=("text",))
        writer.start()
        with Source([str(path)]).kept() as blocks:
            assert [*blocks] == [*blocks] == ["text"]
        writer.join()

    def test_no_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A temporary file that cannot be written is an error that says what to do."""
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"text")))
        monkeypatch.setattr("charrnn.files.DISK", str(tmp_path / "nowhere"))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
        with pytest.raises(TextError, match=r"cannot keep standard input .*; set TMPDIR"):
            Source(["-"]).kept().__enter__()


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/book.txt", "book"), ("book.txt.gz", "book"), ("-", "stdin"), (".hidden", ".hidden")],
)
def test_name(path: str, name: str) -> None:
    """A run is called as the first text, without folder and endings."""
    assert Source([path, "other"]).name == name


def test_json() -> None:
    """A source is read back from JSON, where its kind is called "shape"."""
    source = Source(["book.txt"], kind="documents", split_on="^X")
    values = json.loads(json.dumps(source.to_json()))
    assert values["shape"] == "documents"
    assert Source.from_json(values) == source


def test_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same texts can be found from another folder; links stay links."""
    monkeypatch.chdir(tmp_path)
    Path("real").mkdir()
    Path("link").symlink_to("real")
    paths = ["book.txt", "-", "link/../.", "link/book.txt", "/book.txt"]
    found = Source(paths, kind="lines").absolute()
    names = ("book.txt", ".", "link/book.txt")
    book, here, linked = (os.path.normpath(tmp_path / name) for name in names)
    assert found == Source([book, "-", here, linked, os.path.abspath("/book.txt")], kind="lines")
