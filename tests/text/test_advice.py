"""Advice before a training: a line where a text is unlikely to be meant as it is read."""

import json

import pytest

from charrnn.text.advice import advice
from charrnn.text.source import Source
from charrnn.text.split import Parts

PROSE = "The fox slept by the river, and nobody came.\nThen it rained; the fox went home\n\n" * 30
EBOOK = "OF THE PROJECT GUTENBERG EBOOK FOX ***"
LICENCE = f"*** START {EBOOK}\n{{}}\n*** END {EBOOK}\nTerms of use.\n"
TITLES = [f"The {who} of {where}" for who in ("Fox", "Crow", "Miller") for where in ("Ur", "Oz")]
VERSE = "The fox, who slept beside the sea,\nBeheld a crow upon a tree.\n" * 30
WRAPPED = "The fox slept beside the river\nand nobody came to wake it up\nuntil it rained so\n" * 30
CODE = "def fox(n):\n    return crow(n)\n" * 30
ROWS = [{"id": "7", "text": "The fox", "n": 1}] * 30


def told(text: str, path: str = "a.txt", val: float = 0.1, **options: str) -> list[str]:
    """The advice on a text."""
    source = Source([path], **options)  # type: ignore[arg-type]
    parts = Parts.of([text], val, source.kind)
    return [*advice(source, parts, val)]


@pytest.mark.parametrize("text", [PROSE, VERSE, WRAPPED, CODE, "", "a", "The fox\n" * 3])
def test_nothing(text: str) -> None:
    """Prose, verse, wrapped lines, code and very short texts need none."""
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("<html><body>" + "<p>The fox slept.</p>\n" * 30, "a.html", "of the text is tags of HTML"),
        ("\n".join(map(json.dumps, ROWS)), "a.jsonl", "JSON; --field NAME"),
        (json.dumps(ROWS), "a", "record: 'id', 'text'"),
        (json.dumps(ROWS, indent=2), "a.json", "record: 'id', 'text'"),
        ('{"text": "' + "The fox " * 20_000, "a.json", "JSON"),
        ("id,text\n1,The fox\n", "a.csv", "column: 'id', 'text'"),
        ("id\ttext\n1\tThe fox\n", "a.TSV.gz", "column: 'id', 'text'"),
        ("id;text\n" + "1;The fox\n" * 30, "a.txt", "with --delimiter ';': 'id', 'text'"),
        ("\n".join(TITLES * 5) + "\n", "a.txt", "--lines makes each line an item"),
        ("fox\ncrow\nmiller\n" * 10, "a.txt", "--lines makes each line an item"),
    ],
)  # fmt: skip
def test_kinds(text: str, path: str, said: str) -> None:
    """Markup, records and lists that are read as running text are told in one line."""
    (line,) = told(text, path)
    assert said in line
    assert "\n" not in line


def test_as_meant() -> None:
    """Records that are read by their field, and lists by lines, need no advice."""
    assert told("\n".join(TITLES * 5) + "\n", kind="lines") == []
    assert told("id,text\n1,The fox\n", "a.csv", field="text") == []
    names = "\n\n".join(TITLES * 5) + "\n"
    (line,) = told(names, "a.csv", field="title")
    assert "--lines makes each record an item" in line


def test_licence() -> None:
    """Of Project Gutenberg's licence it is told how much of the held-out part it is."""
    (line,) = told(LICENCE.format(PROSE))
    assert "licence of Project Gutenberg, 24% of the held-out part" in line
    (line,) = told(LICENCE.format("The fox slept.") + LICENCE.format(PROSE * 2))
    assert ", 12% of the held-out part" in line


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("From a@b Mon\nSubject: x\n\nFoo\n\n" * 3, "'^From '"),
        ("Foo\n%\nBar\n%\n", "'^%$'"),
        ('[Event "Ur"]\n\n1. e4\n\n' * 3, r"'^\[Event '"),
        ("X:1\nT:Foo\nabc\n\nX:2\nT:Bar\n\n", "'^X:'"),
        ("Foo\n\nBar\n", r"'^\s*$'"),
    ],
)  # fmt: skip
def test_one_document(text: str, separator: str) -> None:
    """Of one document nothing is held out; what may part it is told."""
    (line,) = told(text + "\x03", kind="documents")
    assert f"--split-on {separator}" in line
    assert told(text + "\x03", kind="documents", val=0.0) == []
    assert told("Foo\n\x03Bar\n\x03", kind="documents") == []
