"""The texts in a file of records: JSON Lines, or a table with commas or tabs (CSV, TSV)."""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import PurePath

from charrnn.errors import TextError
from charrnn.text import lines

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit is 131,072


def records(blocks: Iterable[str], path: str, name: str, field: str) -> Iterator[str]:
    """The text of one field of each record.

    Args:
        blocks: of the file's text.
        path: its name's ending tells the format; of another name it is JSON Lines if the first
            character is a brace, else a table, whose first row names the columns.
        name: of the file, for messages.
        field: of an object, or the name of a column.

    Raises:
        TextError: a record is broken or lacks the field.
    """
    numbered = enumerate(lines(blocks), 1)
    first = next(numbered, (1, ""))
    whole = chain([first], numbered)
    ending = PurePath(path).suffix.lower()
    if ending in JSON_LINES or (ending not in DELIMITERS and first[1].lstrip().startswith("{")):
        return _from_json(whole, name, field)
    rows = (line + "\n" for _, line in whole)
    return _from_table(rows, DELIMITERS.get(ending, ","), name, field)


def _from_json(numbered: Iterable[tuple[int, str]], name: str, field: str) -> Iterator[str]:
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextError(f"{name}: line {number} is not JSON: {error}") from None
        if not isinstance(record, dict):
            raise TextError(f"{name}: line {number} is no JSON object")
        text = record.get(field)
        if not isinstance(text, str):
            has = "is no text" if field in record else f"is missing; there are {_listed(record)}"
            raise TextError(f"{name}: line {number}: the field {field!r} {has}", "see --field")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise TextError(
                f"{name}: line {number}: half of a surrogate pair is no character"
            ) from None
        yield text


def _from_table(rows: Iterator[str], delimiter: str, name: str, field: str) -> Iterator[str]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(rows, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if field not in header:
            raise TextError(
                f"{name}: line 1: there is no column {field!r}, only {_listed(header)}",
                "see --field",
            )
        column = header.index(field)
        for row in reader:
            if row and len(row) <= column:
                raise TextError(
                    f"{name}: line {reader.line_num}: the row ends before the column {field!r}"
                )
            if row:
                yield row[column]
    except csv.Error as error:
        raise TextError(f"{name}: line {reader.line_num}: {error}") from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
