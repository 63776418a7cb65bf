"""Records: the texts of a field, or an error with its line."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import TextError
from charrnn.records import records
from tests.strategies import cut, texts

cells = texts.map(lambda s: s.replace("\r", ""))


def read(text: str, path: str, field: str = "text") -> list[str]:
    return [*records([text], path, "file", field)]


@given(st.data(), st.lists(cells))
def test_json_lines(data: st.DataObject, expected: list[str]) -> None:
    """Whatever the texts, and wherever blocks end, JSON Lines give them back."""
    text = "".join(json.dumps({"n": 1, "text": s}) + "\n" for s in expected)
    blocks = data.draw(cut(text))
    assert [*records(blocks, "a.jsonl", "a", "text")] == expected


@given(st.data(), st.lists(cells), st.sampled_from([("a.csv", ","), ("A.TSV", "\t")]))
def test_tables(data: st.DataObject, expected: list[str], kind: tuple[str, str]) -> None:
    """So do tables, with quotes, delimiters and line breaks in the texts."""
    path, delimiter = kind
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerows([["id", "text"], *([1, s] for s in expected)])
    assert [*records(data.draw(cut(file.getvalue())), path, "a", "text")] == expected


@pytest.mark.parametrize("path", ["-", "records", "x.txt"])
def test_format_by_content(path: str) -> None:
    """Where the name does not tell, a brace at the beginning means JSON Lines."""
    assert read('{"text": "a"}\n', path) == ["a"]
    assert read("text,n\na,1\n", path) == ["a"]


def test_long_field() -> None:
    """A field of a table may be as long as a book."""
    assert read(f'text\n"{"a" * 300_000}"\n', "a.csv") == ["a" * 300_000]


def test_empty_lines() -> None:
    """Empty lines are no records."""
    assert read('\n{"text": "a"}\n  \n{"text": "b"}\n\n', "a.jsonl") == ["a", "b"]
    assert read("text\n\na\n\nb\n", "a.csv") == ["a", "b"]
    assert read("", "a.jsonl") == []


@pytest.mark.parametrize(
    ("path", "text", "line", "told"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": "b', 2, "not JSON"),
        ("a.jsonl", "[" * 100_000, 1, "not JSON"),
        ("a.jsonl", '{"text": "a"}\n\n["b"]\n', 3, "object"),
        ("a.jsonl", '{"text": "a"}\n{"body": "b", "n": 1}\n', 2, "'body', 'n'"),
        ("a.jsonl", '{"text": null}\n', 1, "no text"),
        ("a.jsonl", '{"text": "a \\ud83d b"}\n', 1, "surrogate"),
        ("a.csv", "body,n\nb,1\n", 1, "'body', 'n'"),
        ("a.csv", "", 1, "no column"),
        ("a.csv", 'n,text\n1,"a\nb"\n2\n', 4, "ends before"),
        ("a.csv", 'n,text\n1,"a\n', 2, "unexpected end"),
        ("a.tsv", 'n\ttext\n1\t"a" b\n', 2, "expected"),
    ],
)  # fmt: skip
def test_broken(path: str, text: str, line: int, told: str) -> None:
    """A broken record, or one without the field, is told with file and line."""
    with pytest.raises(TextError) as caught:
        read(text, path)
    assert f"file: line {line}" in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
