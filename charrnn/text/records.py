"""Files of records: JSON Lines, JSON arrays, and tables (CSV, TSV)."""

import csv
import json
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePath
from typing import Any, NamedTuple

from charrnn.errors import TextError
from charrnn.text.blocks import lines
from charrnn.text.normalisation import MARK

DELIMITERS = {".csv": ",", ".tsv": "\t"}  # delimiters of tables by file suffix
JSON_LINES = (".jsonl", ".ndjson")  # file suffixes
WHITE = re.compile(rf"[ \t\n\r{MARK}]*")  # white space of JSON, and byte order marks
DECODER = json.JSONDecoder()
MAX_RECORD = 1 << 25  # maximum characters of a record or quoted cell (not tuned)
MAX_NAMES = 20  # maximum names of fields or columns in a message (not tuned)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the texts are in a file of records.

    Attributes:
        field: name of the field or column. In JSON, "a.b" is the field b of the object a, unless
            there is a field named "a.b". In a table without a header, the column's number from 1.
        delimiter: delimiter of a table's cells; None for the one that the file's suffix implies.
        header: whether the first row of a table names the columns.
        id: field or column that identifies a record, in the syntax of `field`; or None.
        target: field or column of a record's target, in the syntax of `field`; or None. The field
            `field` is then its source, and both may be numbers.
    """

    field: str
    delimiter: str | None = None
    header: bool = True
    id: str | None = None
    target: str | None = None


class Record(NamedTuple):
    """One record.

    Attributes:
        number: number of the record in its file, from 1, broken ones included.
        line: number of the line where the record starts, from 1.
        text: content of the field.
        id: content of the field that identifies the record; None if it has none.
        target: content of the target's field; None without one.
    """

    number: int
    line: int
    text: str
    id: Any = None
    target: str | None = None


class Broken(NamedTuple):
    """A record that cannot be read, or that lacks the field.

    Attributes:
        number: as in Record.
        line: as in Record.
        why: what is wrong with the record.
    """

    number: int
    line: int
    why: str


class _BrokenError(Exception):
    """What is wrong with a record."""


def records(
    blocks: Iterable[str], path: str, name: str, layout: Layout
) -> Iterator[Record | Broken]:
    """Yield the records of a file.

    A table may have quoted cells (RFC 4180), except with tabs (IANA text/tab-separated-values).
    After a row with invalid quoting, reading continues at the line after the row's first line.

    Args:
        blocks: text of the file in blocks.
        path: path of the file, whose suffix decides the format. With another suffix, a text that
            starts with { is JSON Lines, one with [ a JSON array, any other a table.
        name: name of the file for messages.
        layout: where the texts are.

    Raises:
        TextError: a table lacks the column, or a JSON array is broken.
    """
    unread = filter(None, blocks)
    start = ""
    while not start.strip(MARK).strip() and (block := next(unread, "")):
        start += block
    blocks = chain([start], unread)
    ending = PurePath(path).suffix.lower()
    first = start.strip(MARK).lstrip()[:1]
    found: Iterator[tuple[int, Any]]
    if ending in JSON_LINES:
        found = _json_lines(blocks)
    elif ending in DELIMITERS or layout.delimiter or first not in ("{", "["):
        delimiter = layout.delimiter or DELIMITERS.get(ending, ",")
        found = _table(blocks, delimiter, name, layout)
    else:
        found = _json_lines(blocks) if first == "{" else _elements(blocks, name)
    for number, (line, value) in enumerate(found, 1):
        try:
            if type(value) is tuple:
                yield Record(number, line, *value)
            elif isinstance(value, _BrokenError):
                raise value
            else:
                own = None if layout.id is None else _scalar(value, layout.id)
                if layout.target is None:
                    yield Record(number, line, _text(value, layout.field), own)
                else:
                    text, target = (_text(value, x, True) for x in (layout.field, layout.target))
                    yield Record(number, line, text, own, target)
        except _BrokenError as error:
            yield Broken(number, line, str(error))


def _text(record: Any, field: str, numbers: bool = False) -> str:
    """Return the text of a field of a JSON object, which may be a number if `numbers`."""
    if not isinstance(record, dict):
        raise _BrokenError("it is not a JSON object")
    text = _at(record, field)
    if text is None:
        raise _BrokenError(f"the field {field!r} is null")
    if numbers and isinstance(text, int | float):
        return json.dumps(text)
    if not isinstance(text, str):
        missing = f"is missing; there are {_listed(record)}" if text is _MISSING else "is not text"
        raise _BrokenError(f"the field {field!r} {missing}")
    if not _is_valid(text):
        raise _BrokenError("it contains a lone surrogate")
    return text


def _scalar(record: Any, field: str) -> Any:
    """Return a field that is a string, a finite number or a boolean; None if it is not."""
    value = _at(record, field) if isinstance(record, dict) else None
    if isinstance(value, str):
        return value if _is_valid(value) else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) else None


def _is_valid(text: str) -> bool:
    """Return whether a text, unescaped from JSON, has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_MISSING = object()


def _at(record: dict[str, Any], field: str) -> Any:
    """Return the value of a field, or _MISSING."""
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _json_lines(blocks: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each line that is not blank."""
    for number, line in enumerate(lines(blocks), 1):
        if not (text := line.strip(MARK)).strip():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            value = _BrokenError(f"it is not JSON: {error}")
        yield number, value


def _elements(blocks: Iterable[str], name: str) -> Iterator[tuple[int, Any]]:
    """Yield line number and value of each element of a JSON array, one at a time in memory."""
    text = _Json(blocks)
    text.peek()
    text.skip()  # the bracket
    mark = "" if text.peek() == "]" else ","
    while mark == ",":
        text.peek()
        line = text.line
        try:
            yield line, text.value()
        except (ValueError, RecursionError) as error:
            said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise TextError(
                f"{name}: line {line}: the JSON array has a broken element here: {said}",
                "fix it, or write one object per line (JSON Lines), where a broken one is skipped",
            ) from None
        if (mark := text.peek()) == ",":
            text.skip()
    if text.peek() != "]":
        found = repr(mark) if mark else "no ]"
        raise TextError(
            f"{name}: line {text.line}: the JSON array is broken: {found} follows an element",
            "fix it, or write one object per line (JSON Lines), where a broken one is skipped",
        )


class _Json:
    """A reader of JSON in blocks that keeps only the current value in memory.

    Attributes:
        line: line number of the next character, from 1.
    """

    def __init__(self, blocks: Iterable[str]) -> None:
        self.line = 1
        self._blocks = iter(blocks)
        self._text = ""
        self._place = 0

    def peek(self) -> str:
        """Return the next character that is not white space; "" at the end."""
        while True:
            self._go(WHITE.match(self._text, self._place).end())  # type: ignore[union-attr]
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._more():
                return ""

    def skip(self) -> None:
        """Advance by one character."""
        self._go(self._place + 1)

    def value(self) -> Any:
        """Read the value that starts here.

        Raises:
            ValueError: there is no valid value, or it is longer than MAX_RECORD.
            RecursionError: the value is nested too deeply.
        """
        while True:
            try:
                value, stop = DECODER.raw_decode(self._text, self._place)
            except ValueError:
                if len(self._text) - self._place > MAX_RECORD or not self._more():
                    raise
                continue
            # A number may continue in the next block.
            if stop < len(self._text) or not self._more():
                self._go(stop)
                return value

    def _go(self, place: int) -> None:
        self.line += self._text.count("\n", self._place, place)
        self._place = place

    def _more(self) -> bool:
        block = next(self._blocks, "")
        self._text = self._text[self._place :] + block
        self._place = 0
        return bool(block)


def _table(
    blocks: Iterable[str], delimiter: str, name: str, layout: Layout
) -> Iterator[tuple[int, Any]]:
    """Yield the line number of each row with its text, id and target, or with what is wrong."""
    rows = _rows(lines(blocks), delimiter)
    number, first = next(rows, (1, []))
    if isinstance(first, _BrokenError):
        raise TextError(f"{name}: line {number}: {first}", "fix the table's first row")
    names = first if layout.header else [*map(str, range(1, len(first) + 1))]
    for wanted in filter(None, (layout.field, layout.id, layout.target)):
        if wanted not in names:
            option = "--field" if layout.target is None else "--source, --target"
            raise TextError(
                f"{name}: line {number}: there is no column {wanted!r}, only {_listed(names)}",
                f"see {option}, --delimiter and --no-header",
            )
    if not layout.header:
        rows = chain([(number, first)], rows)
    column = names.index(layout.field)
    own = names.index(layout.id) if layout.id else None
    target = names.index(layout.target) if layout.target else None
    for number, row in rows:
        if isinstance(row, _BrokenError):
            yield number, row
        elif len(names) == 1:  # with one column, the delimiter is text
            text = delimiter.join(row)
            yield number, (text, text if layout.id else None, text if layout.target else None)
        elif any(row[len(names) :]):
            yield (
                number,
                _BrokenError(
                    f"the row has {len(row)} cells, the first one {len(names)}; "
                    f"a cell that contains {delimiter!r} must be quoted"
                    if delimiter != "\t"
                    else f"the row has {len(row)} cells, the first one {len(names)}"
                ),
            )
        elif len(row) <= max(column, target or 0):
            missing = layout.field if len(row) <= column else layout.target
            yield number, _BrokenError(f"the row ends before the column {missing!r}")
        else:
            id = row[own] if own is not None and own < len(row) else None
            yield number, (row[column], id, None if target is None else row[target])


def _rows(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str] | _BrokenError]]:
    """Yield the line number of each non-empty row, with its cells or with what is wrong."""
    if delimiter == "\t":
        yield from ((number, line.split("\t")) for number, line in enumerate(lines, 1) if line)
        return
    csv.field_size_limit(MAX_RECORD)
    again: deque[str] = deque()  # lines to read again after a broken row
    row: list[str] = []  # lines of the current row

    def read() -> Iterator[str]:
        while (line := again.popleft() if again else next(lines, None)) is not None:
            row.append(line)
            yield line + "\n"

    number = 1
    reader = csv.reader(read(), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            unclosed = "unexpected end" in str(error) or "limit" in str(error)
            why = "a quotation mark is not closed" if unclosed else str(error)
            yield number, _BrokenError(f"the row is broken: {why}")
            again.extendleft(reversed(row[1:]))
            del row[1:]
            reader = csv.reader(read(), delimiter=delimiter, strict=True)
        else:
            if cells:
                yield number, cells
        number += len(row)
        row.clear()


def _listed(names: Iterable[str]) -> str:
    names = iter(names)
    shown = ", ".join(map(repr, islice(names, MAX_NAMES))) or "none"
    return f"{shown} ..." if next(names, None) is not None else shown
