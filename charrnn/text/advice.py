"""Hints about a text before training: a line for each property that is probably unintended.

Each is a heuristic. The thresholds were tried on the texts in corpora/ and not tuned.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from charrnn.text.records import DELIMITERS
from charrnn.text.source import Source, unpacked_name
from charrnn.text.split import SAMPLE, Parts

START = 1 << 16  # characters examined at the start of the text
ROWS = 20  # minimum rows of a table, or lines of a list
NAMES = 8  # maximum names of fields or columns in a hint
TAGS = 0.05  # minimum share of characters in tags, for HTML or XML
SHORT = 80  # maximum characters of a title
TITLES = 0.9  # minimum share of the lines of a list that start like titles
SENTENCES = 0.3  # maximum share of the lines of a list that contain sentence punctuation

# Markup, the start of a JSON object, sentence punctuation.
TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>")
JSON = re.compile(r'\s*(?:\[\s*)?(?=\{\s*"[^"\n]*"\s*:)')
PUNCTUATION = re.compile(r"[.,;!?](?:\s|$)|[。，；！？]")
# Project Gutenberg's licence, up to the next book or its usual length.
LICENCE = re.compile(
    r"\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG(?:(?!\*\*\* ?START OF TH).){0,20000}", re.DOTALL
)
# Lines that start one of a file's documents: mail (mbox), fortunes, chess games (PGN), tunes
# (ABC).
SEPARATORS = ("^From ", "^%$", r"^\[Event ", "^X:")
BLANK = r"^\s*$"  # the separator suggested where none of those is found


def advice(source: Source, parts: Parts, val: float) -> Iterator[str]:
    """Yield the hints for a text, one line each; usually none.

    Args:
        source: where the text comes from.
        parts: the text's two parts.
        val: share of the text to hold out.
    """
    start = parts.train.sample[:START]
    if source.field is None and parts.kind != "records":
        names = _json_fields(start)
        table = None if names is not None else _columns(start, source.paths)
        tags = sum(len(match[0]) for match in TAG.finditer(start))
        if names is not None:
            yield f"the text looks like JSON; --field NAME reads one field of each record{names}"
        elif table is not None:
            yield f"the text looks like a table; --field NAME reads one column{table}"
        elif tags > TAGS * len(start):
            yield (
                f"{tags / len(start):.0%} of the text is tags of HTML or XML, which the model will "
                "learn to write; remove them first, for example with pandoc -t plain"
            )
        elif parts.kind == "text" and _is_list(start):
            yield "the text looks like a list, perhaps titles; --lines makes each line an item"
    elif parts.kind == "text" and _is_list(start.replace("\n\n", "\n")):
        yield "the records look like a list, perhaps titles; --lines makes each record an item"
    yield from _licence(parts)
    if parts.kind == "documents" and val and not len(parts.val):
        lines = start.split("\n")
        separator = next(
            (s for s in SEPARATORS if sum(bool(re.search(s, line)) for line in lines) > 1), BLANK
        )
        yield (
            "the text is one document, so nothing is held out; --split-on REGEX splits a file into "
            f"documents, for example --split-on '{separator}'"
        )
    if parts.kind == "records" and val and parts.characters and not len(parts.val):
        yield "there is one source, so nothing is held out; give more records"


def _json_fields(start: str) -> str | None:
    """Return the first record's fields for a hint; None if the text is not JSON."""
    match = JSON.match(start)
    if not match:
        return None
    try:
        record, _ = json.JSONDecoder().raw_decode(start, match.end())
    except (ValueError, RecursionError):
        return ""
    return _told([name for name, value in record.items() if isinstance(value, str)])


def _columns(start: str, paths: Sequence[str]) -> str | None:
    """Return a table's columns for a hint; None if the text is not a table."""
    endings = [unpacked_name(path).lower()[-4:] for path in paths]
    named = next((DELIMITERS[ending] for ending in endings if ending in DELIMITERS), None)
    lines = start.split("\n")[:-1]
    for delimiter in named or "\t;,":
        try:
            rows = [row for row in csv.reader(islice(lines, 1000), delimiter=delimiter) if row]
        except csv.Error:
            continue
        widths = {len(row) for row in rows[:-1]}  # the last one may be incomplete
        alike = len(rows) > ROWS and len(widths) == 1 and widths != {1}
        if rows and (named or alike):
            option = "" if named or delimiter == "," else f" with --delimiter {delimiter!r}"
            return option + _told(rows[0])
    return None


def _told(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:NAMES]))
    return f": {shown}{' ...' if len(names) > NAMES else ''}" if names else ""


def _is_list(start: str) -> bool:
    """Return whether the lines look like items: short, unlike sentences, code or wrapped prose."""
    lines = start.split("\n")[:-1]
    if len(lines) < ROWS or any(not line.strip() or len(line) > SHORT for line in lines):
        return False
    as_titles = sum(not line[0].islower() and not line[0].isspace() for line in lines)
    words = sum(len(line.split()) == 1 for line in lines)
    sentences = sum(bool(PUNCTUATION.search(line)) for line in lines)
    return max(as_titles, words) >= TITLES * len(lines) and sentences <= SENTENCES * len(lines)


def _licence(parts: Parts) -> Iterator[str]:
    """Yield a hint on Project Gutenberg's licence, with its share of the held-out part."""
    if parts.characters > SAMPLE:
        return
    held_out = parts.val.sample
    cut = len(parts.train)
    found = [match.span() for match in LICENCE.finditer(parts.train.sample + held_out)]
    if not found:
        return
    share = ""
    if held_out and parts.kind == "text":
        inside = sum(max(0, stop - max(start, cut)) for start, stop in found)
        share = f", {inside / len(held_out):.0%} of the held-out part" if inside else ""
    yield (
        f"the text contains the licence of Project Gutenberg{share}; delete everything before "
        "'*** START OF' and from '*** END OF' on"
    )
