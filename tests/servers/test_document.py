"""A document against one that is a plain string, and the protocol's rules for lines and units."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.servers.document import ENCODINGS, STEP, Document, Position

# All at which str.splitlines splits, and characters of one to four bytes and of two UTF-16 units.
SPLITS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
TEXTS = st.text(st.sampled_from(SPLITS + "ab é€\U0001d54f"), max_size=20)


def lines_of(text: str) -> list[str]:
    """The lines of a text as the protocol has it, without their ends."""
    return re.split("\r\n|\n|\r", text)


def offset(text: str, line: int, units: int, encoding: str) -> int:
    """Characters before a position, the slow way."""
    if line >= len(lines_of(text)):
        return len(text)
    start = [0, *(found.end() for found in re.finditer("\r\n|\n|\r", text))][line]
    content = lines_of(text)[line]
    fits = [
        i for i in range(len(content) + 1) if len(encoded(content[:i], encoding)) <= units
    ]  # within a character it is its beginning
    return start + fits[-1]


def encoded(text: str, encoding: str) -> list[bytes]:
    """The code units of a text."""
    size = int(encoding[4:]) // 8
    data = text.encode(f"{encoding}-le" if size > 1 else encoding)
    return [data[i : i + size] for i in range(0, len(data), size)]


def whole(document: Document) -> str:
    return document.before(document.end)


@pytest.mark.parametrize("character", SPLITS)
def test_lines_end_as_the_protocol_has_it(character: str) -> None:
    """LF, CRLF and CR end a line, and nothing else does."""
    document = Document(f"a{character}b\r\nlast", "utf-16")
    is_end = character in "\r\n"
    assert document.end.line == 1 + is_end
    assert document.line(0) == ("a" if is_end else f"a{character}b")
    assert document.line(document.end.line) == "last"


@given(
    TEXTS,
    st.lists(st.tuples(*[st.integers(0, 5)] * 4, TEXTS), max_size=5),
    st.sampled_from([*ENCODINGS]),
)
def test_changes(text: str, changes: list[tuple[int, int, int, int, str]], encoding: str) -> None:
    """After any changes the document equals the editor's text."""
    document = Document(text, encoding)
    for line, units, last, last_units, new in changes:
        start, end = sorted([(line, units), (last, last_units)])
        places = [offset(text, *place, encoding) for place in (start, end)]
        text = text[: places[0]] + new + text[places[1] :]
        document.change(document.position(*start), document.position(*end), new)
        assert whole(document) == text
        assert [document.line(i) for i in range(document.end.line + 1)] == lines_of(text)


@given(TEXTS, st.integers(0, 5), st.integers(0, 30), st.sampled_from([*ENCODINGS]))
def test_positions(text: str, line: int, units: int, encoding: str) -> None:
    """Positions count code units; one outside the text is moved to its border."""
    document = Document(text, encoding)
    place = document.position(line, units)
    assert document.before(place) == text[: offset(text, line, units, encoding)]
    assert document.units(place) == len(
        encoded(document._lines[place.line][: place.column], encoding)
    )
    assert document.position(place.line, document.units(place)) == place or place == document.end


def test_long_text() -> None:
    """Only the end of a long text is put together; where it begins seldom moves."""
    text = "".join(f"{i}\n" for i in range(STEP))
    document = Document(text, "utf-16")
    before = whole(document)
    assert STEP <= len(before) < 2 * STEP
    assert text.endswith(before)
    for _ in range(9):
        document.change(document.end, document.end, "typed\n")
        before += "typed\n"
        assert whole(document) == before
    document.change(Position(0, 0), Position(7, 0), "")
    assert whole(document)[-STEP:] == before[-STEP:]


def test_one_long_line() -> None:
    """A text without line ends is no other."""
    text = "".join(map(str, range(STEP)))
    document = Document(text, "utf-16")
    before = document.before(document.position(0, len(text) - 9))
    assert STEP <= len(before) < 2 * STEP
    assert text[:-9].endswith(before)
