"""Text in blocks: lines, documents, chunks, escapes; the kinds of corpus."""

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, dropwhile, groupby
from operator import itemgetter
from typing import AnyStr

import numpy as np

from charrnn.arrays import Ids
from charrnn.errors import TextError, UsageError
from charrnn.events import LINE_SECONDS

END = "\x03"  # end of a document: a control character that is removed from the documents
TARGET = "\x02"  # in a record, between its source and its target; it is removed from both
# Kinds of corpus, with what ends an item.
KINDS = {"text": "", "lines": "\n", "documents": END, "records": END}
UNMARKED = str.maketrans("", "", END + TARGET)  # removes both from a text
# Escape sequences that `unescape` knows.
ESCAPE = re.compile(
    r"\\(?:(?P<simple>[ntr0\\])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>[0-9a-fA-F]{8}))"
)
SURROGATE = re.compile(r"[\ud800-\udfff]")  # from UTF-16, or for a byte (PEP 383)
SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Blocks:
    """A text in blocks that can be iterated over more than once.

    Attributes:
        read: returns the blocks from the start.
    """

    read: Callable[[], Iterator[str]]

    def __iter__(self) -> Iterator[str]:
        return self.read()


def whole(text: str) -> str:
    """Replace each surrogate of a text by U+FFFD."""
    return SURROGATE.sub("\ufffd", text)


def unescape(text: str) -> str:
    r"""Replace the escapes \n, \t, \r, \0, \\, \xHH, \uHHHH and \UHHHHHHHH in a text.

    Raises:
        UsageError: an escape is not a Unicode character.
    """

    def character(match: re.Match[str]) -> str:
        if match["simple"]:
            return SIMPLE_ESCAPES[match["simple"]]
        code = int(match["x"] or match["u"] or match["U"], 16)
        if code > sys.maxunicode or 0xD800 <= code < 0xE000:
            raise UsageError(f"{match[0]} is not a character", "give one up to \\U0010FFFF")
        return chr(code)

    return ESCAPE.sub(character, text)


def gathered(blocks: Iterable[str], size: int = 1 << 20) -> Iterator[str]:
    """Yield a text in blocks of at least `size` characters, except the last."""
    kept: list[str] = []
    length = 0
    for block in blocks:
        kept.append(block)
        length += len(block)
        if length >= size:
            yield "".join(kept)
            kept, length = [], 0
    if length:
        yield "".join(kept)


def whole_lines(blocks: Iterable[str]) -> Iterator[str]:
    """Yield a text in blocks of whole lines, without the last line end of each."""
    kept: list[str] = []
    for block in blocks:
        ended, end, rest = block.rpartition("\n")
        if end:
            yield "".join([*kept, ended])
            kept = []
        kept.append(rest)
    if last := "".join(kept):
        yield last


def lines(blocks: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text without line ends; no empty line follows the last line end."""
    return chain.from_iterable(text.split("\n") for text in whole_lines(blocks))


def bounded_lines(blocks: Iterable[str], most: int, name: str) -> Iterator[str]:
    """Yield blocks unchanged, and refuse a line that is too long for memory.

    Args:
        blocks: the text.
        most: maximum characters of a line that continues beyond a block.
        name: name of the text for the error.

    Raises:
        TextError: such a line is longer.
    """
    length, line = 0, 1
    for block in blocks:
        start, end, _ = block.partition("\n")
        if length + len(start) > most:
            raise TextError(
                f"{name}: line {line} has more than {most:,} characters",
                "break it into lines",
            )
        length = len(block) - block.rfind("\n") - 1 if end else length + len(block)
        line += block.count("\n")
        yield block


def split_documents(blocks: Iterable[str], separator: re.Pattern[str]) -> Iterator[Iterator[str]]:
    """Yield the documents of a text, each in blocks, which must be read in order.

    A line that contains a match of the separator starts a document. A line that matches as a whole
    is dropped, and so are blank lines at the start of a document and blank documents.
    """

    def numbered() -> Iterator[tuple[int, str]]:
        number = 0
        for line in lines(blocks):
            if separator.search(line):
                number += 1
                if separator.fullmatch(line):
                    continue
            yield number, line

    for _, document in groupby(numbered(), key=itemgetter(0)):
        kept = dropwhile(lambda line: not line or line.isspace(), (line for _, line in document))
        yield gathered(f"{line}\n" for line in kept)


class Targets:
    """Returns the targets in each block of records, with what ends them."""

    def __init__(self) -> None:
        self._inside = False

    def __call__(self, text: str) -> str:
        """Return the targets in the next block."""
        kept = []
        for piece in re.split(f"([{TARGET}{END}])", text):
            if self._inside:
                kept.append(piece)
            if piece in (TARGET, END):
                self._inside = piece == TARGET
        return "".join(kept)


def pairs(records: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield source and target of each record of a corpus of records in blocks."""
    rest = ""
    for block in records:
        *ended, rest = (rest + block).split(END)
        for record in ended:
            source, _, target = record.partition(TARGET)
            yield source, target


def chunks(blocks: Iterable[str], size: int = 1 << 16) -> Iterator[str]:
    """Yield a text in chunks of about `size` characters, cut before white space where possible."""
    kept = ""
    for block in blocks:
        kept += block
        start = 0
        while len(kept) - start > size:
            cut = end = start + size
            while cut > start and (kept[cut - 1].isspace() or not kept[cut].isspace()):
                cut -= 1
            if cut == start:  # nothing to cut at
                cut = end
            yield kept[start:cut]
            start = cut
        kept = kept[start:]
    if kept:
        yield kept


def spread(pieces: Iterable[tuple[int, str]], size: int) -> list[tuple[int, str]]:
    """Return all pieces of a text, or evenly spread ones if they are too long together.

    The length of the text need not be known: whenever those kept are too long, every second one is
    dropped.

    Args:
        pieces: the pieces, each with a number that stays with it.
        size: maximum characters of the pieces returned, unless the first alone has more.
    """
    kept: list[tuple[int, str]] = []
    every, length = 1, 0
    for i, piece in enumerate(pieces):
        if i % every:
            continue
        kept.append(piece)
        length += len(piece[1])
        while length > size and len(kept) > 1:
            every *= 2
            kept = kept[::2]
            length = sum(len(text) for _, text in kept)
    return kept


def beginning(blocks: Iterable[str], size: int) -> str:
    """Return the first `size` characters of a text, or all."""
    kept: list[str] = []
    for block in blocks:
        kept.append(block[:size])
        size -= len(kept[-1])
        if not size:
            break
    return "".join(kept)


def told(
    blocks: Iterable[AnyStr], note: Callable[[str], None], doing: str, unit: str = "characters"
) -> Iterator[AnyStr]:
    """Yield blocks unchanged, and report progress through `note` every LINE_SECONDS."""
    read, last = 0, time.monotonic()
    for block in blocks:
        yield block
        read += len(block)
        if time.monotonic() - last > LINE_SECONDS:
            last = time.monotonic()
            note(f"{doing}: {read / 1e6:,.0f} million {unit}")


def code_points(text: str) -> Ids:
    """Return the code points of a text, int32 [len(text)].

    Raises:
        TextError: the text contains a lone surrogate.
    """
    return np.frombuffer(encoded(text, "utf-32-le"), dtype="<i4")


def encoded(text: str, encoding: str) -> bytes:
    """Encode a text.

    Raises:
        TextError: the text contains a lone surrogate.
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise TextError(
            f"not valid Unicode: a lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start}",
            "give the text as UTF-8",
        ) from None
