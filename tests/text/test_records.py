"""Records: the texts of a field, and what is wrong with the broken ones."""

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import TextError
from charrnn.text.records import Broken, Layout, Record, records
from tests.strategies import cut, texts

FIELD = Layout("text")
cells = texts.map(lambda s: s.replace("\r", ""))


def read(text: str, path: str, field: str = "text", **layout: object) -> list[str]:
    """The texts of records of which none is broken."""
    found = [*records([text], path, "file", Layout(field, **layout))]  # type: ignore[arg-type]
    assert not [record for record in found if isinstance(record, Broken)]
    return [record.text for record in found if isinstance(record, Record)]


def told(text: str, path: str, layout: Layout = FIELD) -> list[tuple[int, int, str]]:
    """Number and line of each record, and its text or what is wrong with it."""
    return [
        (record.number, record.line, record.why if isinstance(record, Broken) else record.text)
        for record in records([text], path, "file", layout)
    ]


def error_of(text: str, path: str, layout: Layout = FIELD) -> str:
    """The error of reading, which is one line."""
    with pytest.raises(TextError) as caught:
        list(records([text], path, "file", layout))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(st.data(), st.lists(cells))
def test_json_lines(data: st.DataObject, expected: list[str]) -> None:
    """Whatever the texts, and wherever blocks end, JSON Lines give them back."""
    text = "".join(json.dumps({"n": 1, "text": s}) + "\n" for s in expected)
    blocks = data.draw(cut(text))
    assert [*records(blocks, "a.jsonl", "a", FIELD)] == [
        Record(i, i, s) for i, s in enumerate(expected, 1)
    ]


@given(st.data(), st.lists(cells), st.sampled_from([None, 0, 2]))
def test_json_array(data: st.DataObject, expected: list[str], indent: int | None) -> None:
    """So does a JSON array, however it is laid out, and each record is told by its line."""
    text = json.dumps([{"n": 12, "text": s} for s in expected], indent=indent)
    found = [*records(data.draw(cut(text)), "a.json", "a", FIELD)]
    lines = [1 if indent is None else 2 + 4 * i for i in range(len(expected))]
    assert found == [
        Record(i, line, s) for i, (line, s) in enumerate(zip(lines, expected, strict=True), 1)
    ]


@given(st.data(), st.lists(cells), st.sampled_from([("a.csv", None), ("x", ";"), ("a.tsv", ";")]))
def test_tables(data: st.DataObject, expected: list[str], kind: tuple[str, str | None]) -> None:
    """So do tables, with quotes, delimiters and line breaks in the texts."""
    path, delimiter = kind
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter or ",", lineterminator="\n")
    writer.writerows([["id", "text"], *([1, s] for s in expected)])
    blocks = data.draw(cut(file.getvalue()))
    found = [*records(blocks, path, "a", Layout("text", delimiter, id="id"))]
    line = 2
    for record, (number, text) in zip(found, enumerate(expected, 1), strict=True):
        assert record == Record(number, line, text, "1")
        line += 1 + text.count("\n")


@pytest.mark.parametrize("path", ["-", "records", "x.txt"])
def test_format_by_content(path: str) -> None:
    """Where the name does not tell, a brace at the beginning means JSON Lines, a bracket JSON."""
    assert read('\n{"text": "a"}\n', path) == ["a"]
    assert read('\n[{"text": "a"}]', path) == ["a"]
    assert read("\ntext,n\na,1\n", path) == ["a"]


def test_long_field() -> None:
    """A field of a table may be as long as a book."""
    assert read(f'text\n"{"a" * 300_000}"\n', "a.csv") == ["a" * 300_000]


def test_empty_lines() -> None:
    """Empty lines are no records."""
    assert read('\n{"text": "a"}\n  \n{"text": "b"}\n\n', "a.jsonl") == ["a", "b"]
    assert read("text\n\na\n\nb\n", "a.csv") == ["a", "b"]
    assert read("text\n\na\n\nb\n", "a.tsv") == ["a", "b"]
    assert read("", "a.jsonl") == read("[ ]", "a.json") == []


class TestTabs:
    def test_no_quoting(self) -> None:
        """A quotation mark is a character like any other, so that it swallows no rows."""
        text = 'id\ttext\n1\t"Hello\n2\tb" c\n3\t"d"\n'
        assert told(text, "a.tsv") == [(1, 2, '"Hello'), (2, 3, 'b" c'), (3, 4, '"d"')]

    def test_delimiter(self) -> None:
        """That holds for every table whose cells a tab parts, and for no other."""
        assert read('text\tn\n"a\t1\n', "a.csv", delimiter="\t") == ['"a']
        assert read('text,n\n"a,b",1\n', "a.tsv", delimiter=",") == ["a,b"]


class TestCells:
    @pytest.mark.parametrize(("path", "part"), [("a.csv", ","), ("a.tsv", "\t")])
    def test_more_than_the_header(self, path: str, part: str) -> None:
        """No text is cut in silence: a row of more cells than the header is broken."""
        text = "text,n\nHello, world,1\nb,2\n".replace(",", part)
        first, second = told(text, path)
        assert first[:2] == (1, 2)
        assert "3 cells, the first one 2" in first[2]
        assert second == (2, 3, "b")

    def test_empty_cells(self) -> None:
        """Empty cells behind the others cut nothing, and are left alone."""
        assert read("text,n\na,1,,\nb,2,\n", "a.csv") == ["a", "b"]

    @pytest.mark.parametrize(("path", "part"), [("a.csv", ","), ("a.tsv", "\t"), ("x", ";")])
    def test_one_column(self, path: str, part: str) -> None:
        """In a table of one column all of a row is its text."""
        text = f"text\nThe Good{part} the Bad\nplain\n"
        delimiter = part if path == "x" else None
        expected = [f"The Good{part} the Bad", "plain"]
        assert read(text, path, delimiter=delimiter) == expected

    def test_no_header(self) -> None:
        """Without a header columns have numbers, and the first row is a record."""
        text = '1,"a, b"\n2,c\n'
        layout = Layout("2", header=False, id="1")
        assert [*records([text], "a.csv", "a", layout)] == [
            Record(1, 1, "a, b", "1"),
            Record(2, 2, "c", "2"),
        ]
        assert "no column '3', only '1', '2'" in error_of(text, "a", Layout("3", header=False))


class TestFields:
    def test_nested(self) -> None:
        """A dot leads into an object, unless a field has the whole name."""
        text = '{"user": {"name": {"first": "a"}}}\n{"user.name.first": "b", "user": 1}\n'
        assert read(text, "a.jsonl", "user.name.first") == ["a", "b"]
        assert "is missing; there are 'user'" in told(text, "a.jsonl", Layout("user.x"))[0][2]

    @pytest.mark.parametrize("value", ["x", 7, 1.5, True, None, [1], math.inf, "\ud83d"])
    def test_id(self, value: object) -> None:
        """A record's own id is a text, finite number or truth value; it may be missing."""
        text = json.dumps([{"text": "a", "meta": {"id": value}}, {"text": "b"}])
        first, second = records([text], "a.json", "a", Layout("text", id="meta.id"))
        assert isinstance(first, Record)
        assert isinstance(second, Record)
        assert first.id == (None if value in ([1], math.inf, "\ud83d") else value)
        assert second.id is None

    def test_many(self) -> None:
        """Of a thousand names some are listed."""
        text = json.dumps({f"f{i}": i for i in range(1000)})
        (broken,) = told(text, "a.jsonl")
        assert "'f19' ..." in broken[2]
        assert "'f20'" not in broken[2]


@pytest.mark.parametrize(
    ("path", "text", "place", "why"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": "b\n', (2, 2), "not JSON"),
        ("a.jsonl", "[" * 100_000, (1, 1), "not JSON"),
        ("a.jsonl", '{"text": "a"}\n\n["b"]\n', (2, 3), "object"),
        ("a.jsonl", '{"text": "a"}\n{"body": "b", "n": 1}\n', (2, 2), "'body', 'n'"),
        ("a.jsonl", '{"text": null}\n', (1, 1), "is null"),
        ("a.jsonl", '{"text": 5}\n', (1, 1), "not text"),
        ("a.jsonl", '{"text": "a \\ud83d b"}\n', (1, 1), "surrogate"),
        ("a.json", '[{"text": "a"},\n null]', (2, 2), "object"),
        ("a.json", '[{"text": "a"},\n\n {"text": null}]', (2, 3), "is null"),
        ("a.csv", 'n,text\n1,"a\nb"\n2\n', (2, 4), "ends before"),
        ("a.csv", 'n,text\n1,a\n2,"a" b\n', (2, 3), "broken"),
    ],
)  # fmt: skip
def test_broken(path: str, text: str, place: tuple[int, int], why: str) -> None:
    """A broken record, or one without the field, is told by number and line; others are read."""
    for end in ("", '{"text": "z"}\n' if "jsonl" in path else "9,z\n" if "csv" in path else ""):
        found = told(text + ("" if text.endswith("\n") or not end else "\n") + end, path)
        broken = [record for record in found if record[:2] == place]
        assert len(broken) == 1
        assert why in broken[0][2]
        assert not end or found[-1][2] == "z"


@pytest.mark.parametrize(
    ("text", "broken", "read"),
    [
        ('1,"a\n2,b\n3,c\n', {2: "not closed"}, {3: "b", 4: "c"}),
        ('1,"a\n2,b\n3,"c"\n', {2: "broken"}, {3: "b", 4: "c"}),
        ('1,"a\n2,"b\n3,"c\n4,d\n', dict.fromkeys((2, 3, 4), "broken"), {5: "d"}),
    ],
)  # fmt: skip
def test_open_quotes(text: str, broken: dict[int, str], read: dict[int, str]) -> None:
    """A quotation mark that is not closed costs its row alone, told by the line it begins in."""
    found = {line: text for _, line, text in told("n,text\n" + text, "a.csv")}
    assert found.keys() == broken.keys() | read.keys()
    assert {line: found[line] for line in read} == read
    assert all(why in found[line] for line, why in broken.items())


def test_many_open_quotes() -> None:
    """However many rows are broken, the time stays linear and no stack grows."""
    found = told("n,text\n" + '1,"a\n' * 20_000 + "2,b\n", "a.csv")
    assert found[-1][1:] == (20_002, "b")


@pytest.mark.parametrize(
    ("path", "text", "line", "said"),
    [
        ("a.csv", "body,n\nb,1\n", 1, "'body', 'n'"),
        ("a.csv", "", 1, "no column"),
        ("a.csv", '"text', 1, "not closed"),
        ("a.csv", "n;text\n1;a\n", 1, "--delimiter"),
        ("a.json", '[{"text": "a"},\n{"text": "b]', 2, "Unterminated"),
        ("a.json", '[{"text": "a"}\n{"text": "b"}]', 2, "'{'"),
        ("a.json", '[{"text": "a"},\n', 2, "Expecting value"),
        ("a.json", '[{"text": "a"}\n', 2, "no ]"),
        ("a.json", "[" * 100_000, 1, "recursion"),
    ],
)  # fmt: skip
def test_errors(path: str, text: str, line: int, said: str) -> None:
    """What cannot be gone past is an error with file and line."""
    error = error_of(text, path)
    assert f"file: line {line}" in error
    assert said in error


def test_marks() -> None:
    """Byte order marks at the lines of a file that was joined from several are no part of it."""
    assert read('\ufeff{"text": "a"}\n\ufeff{"text": "b"}\n', "a.jsonl") == ["a", "b"]
