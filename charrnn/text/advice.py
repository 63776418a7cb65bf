"""What to know of a text before a model is trained on it: a line for each thing that is unlikely
to be meant. Each is a guess, by thresholds that were tried on the texts in corpora/ and not tuned.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from charrnn.text.records import DELIMITERS
from charrnn.text.source import Source, unpacked_name
from charrnn.text.split import Parts

START = 1 << 16  # characters looked at, but for a licence, which is looked for in all
WHOLE = 1 << 24  # characters of a text in which it is looked for
ROWS = 20  # of a table, or lines of a list, without which none is recognised
NAMES = 8  # of fields or columns that are told
TAGS = 0.05  # share of the characters of HTML or XML that is tags, at the least
SHORT = 80  # characters of a title, at the most
TITLES = 0.9  # share of the lines of a list that begin as titles do, at the least
SENTENCES = 0.3  # share of the lines of a list that hold punctuation of sentences, at the most

TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>")
JSON = re.compile(r'\s*(?:\[\s*)?(?=\{\s*"[^"\n]*"\s*:)')
PUNCTUATION = re.compile(r"[.,;!?](?:\s|$)|[。，；！？]")
# Up to the next book, or as long as the licence is.
LICENCE = re.compile(
    r"\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG(?:(?!\*\*\* ?START OF TH).){0,20000}", re.DOTALL
)
# Lines at which files of several documents are parted: mail (mbox), fortunes, games of chess
# (PGN), tunes (ABC); else empty lines.
SEPARATORS = ("^From ", "^%$", r"^\[Event ", "^X:")
BLANK = r"^\s*$"


def advice(source: Source, parts: Parts, sample: str, val: float) -> Iterator[str]:
    """Yield what to know, a line each; as a rule nothing.

    Args:
        source: the text.
        parts: its parts.
        sample: of the training part.
        val: share that was to be held out.
    """
    start = sample[:START]
    if source.field is None:
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
                "learn to write; take them out first, for example with pandoc -t plain"
            )
        elif parts.kind == "text" and _is_list(start):
            yield "the text looks like a list, such as of titles; --lines makes each line an item"
    yield from _licence(parts, sample)
    if parts.kind == "documents" and val and not len(parts.val):
        lines = start.split("\n")
        separator = next(
            (s for s in SEPARATORS if sum(bool(re.search(s, line)) for line in lines) > 1), BLANK
        )
        yield (
            "the text is one document, so nothing is held out; --split-on REGEX parts a file into "
            f"documents, for example --split-on '{separator}'"
        )


def _json_fields(start: str) -> str | None:
    """The fields of the first record, as they are told; None if the text is no JSON."""
    match = JSON.match(start)
    if not match:
        return None
    try:
        record, _ = json.JSONDecoder().raw_decode(start, match.end())
    except (ValueError, RecursionError):
        return ""
    return _told([name for name, value in record.items() if isinstance(value, str)])


def _columns(start: str, paths: Sequence[str]) -> str | None:
    """The columns of a table, as they are told; None if the text is none."""
    endings = [unpacked_name(path).lower()[-4:] for path in paths]
    named = next((DELIMITERS[ending] for ending in endings if ending in DELIMITERS), None)
    lines = start.split("\n")[:-1]
    for delimiter in named or "\t;,":
        try:
            rows = [row for row in csv.reader(islice(lines, 1000), delimiter=delimiter) if row]
        except csv.Error:
            continue
        widths = {len(row) for row in rows[:-1]}  # the last one may go on
        alike = len(rows) > ROWS and len(widths) == 1 and widths != {1}
        if rows and (named or alike):
            option = "" if named or delimiter == "," else f" with --delimiter {delimiter!r}"
            return option + _told(rows[0])
    return None


def _told(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:NAMES]))
    return f": {shown}{' ...' if len(names) > NAMES else ''}" if names else ""


def _is_list(start: str) -> bool:
    """Whether each line stands for itself: short, and unlike a sentence, code or wrapped prose."""
    lines = start.split("\n")[:-1]
    if len(lines) < ROWS or any(not line.strip() or len(line) > SHORT for line in lines):
        return False
    as_titles = sum(not line[0].islower() and not line[0].isspace() for line in lines)
    words = sum(len(line.split()) == 1 for line in lines)
    sentences = sum(bool(PUNCTUATION.search(line)) for line in lines)
    return max(as_titles, words) >= TITLES * len(lines) and sentences <= SENTENCES * len(lines)


def _licence(parts: Parts, sample: str) -> Iterator[str]:
    """Whether a text holds Project Gutenberg's licence, and how much of what is held out is it."""
    if parts.characters > WHOLE:
        return
    held_out = parts.val.beginning(len(parts.val))
    cut = len(sample)
    found = [match.span() for match in LICENCE.finditer(sample + held_out)]
    if not found:
        return
    share = ""
    if held_out and parts.kind == "text":
        inside = sum(max(0, stop - max(start, cut)) for start, stop in found)
        share = f", {inside / len(held_out):.0%} of the held-out part" if inside else ""
    yield (
        f"the text holds the licence of Project Gutenberg{share}; delete what stands before "
        "'*** START OF' and from '*** END OF' on"
    )
