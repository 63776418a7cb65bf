"""What is done with text: escapes, lines, pieces."""

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, dropwhile, groupby
from operator import itemgetter

import numpy as np

from charrnn.arrays import Ids
from charrnn.errors import TextError, UsageError

END = "\x03"  # ends a document: a control character that no text needs, and that is taken from it
KINDS = {"text": "", "lines": "\n", "documents": END}  # of a corpus, and what ends an item of it
TELL_SECONDS = 5.0
ESCAPE = re.compile(
    r"\\(?:(?P<simple>[ntr0\\])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>[0-9a-fA-F]{8}))"
)
HALF = re.compile(r"[\ud800-\udfff]")
SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Blocks:
    """A text in blocks, which can be read more than once.

    Attributes:
        read: gives them from the start.
    """

    read: Callable[[], Iterator[str]]

    def __iter__(self) -> Iterator[str]:
        return self.read()


def whole(text: str) -> str:
    """The text with U+FFFD for what is half a character: of UTF-16, or a byte that is no UTF-8."""
    return HALF.sub("\ufffd", text)


def unescape(text: str) -> str:
    r"""The text with \n, \t, \r, \0, \\, \xHH, \uHHHH and \UHHHHHHHH for what they stand for.

    Raises:
        UsageError: an escape names no character.
    """

    def character(match: re.Match[str]) -> str:
        if match["simple"]:
            return SIMPLE_ESCAPES[match["simple"]]
        code = int(match["x"] or match["u"] or match["U"], 16)
        if code > sys.maxunicode or 0xD800 <= code < 0xE000:
            raise UsageError(f"{match[0]} is no character", "give one up to \\U0010FFFF")
        return chr(code)

    return ESCAPE.sub(character, text)


def gathered(blocks: Iterable[str], size: int = 1 << 20) -> Iterator[str]:
    """The same text in blocks of at least `size` characters, but for the last one."""
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
    """The same text in blocks that end where a line ends, without that line end."""
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
    """The lines of a text in blocks, without line ends; after the last one there is none."""
    return chain.from_iterable(text.split("\n") for text in whole_lines(blocks))


def bounded_lines(blocks: Iterable[str], most: int, name: str) -> Iterator[str]:
    """The same blocks, as long as no line outgrows memory.

    Args:
        most: characters of a line that blocks have in common.
        name: of the text, for the error.

    Raises:
        TextError: such a line has more of them.
    """
    length, line = 0, 1
    for block in blocks:
        start, end, _ = block.partition("\n")
        if length + len(start) > most:
            raise TextError(
                f"{name}: line {line} has more than {most:,} characters",
                "break it into lines, or score the file with --by file",
            )
        length = len(block) - block.rfind("\n") - 1 if end else length + len(block)
        line += block.count("\n")
        yield block


def split_documents(blocks: Iterable[str], separator: re.Pattern[str]) -> Iterator[Iterator[str]]:
    """Yield the documents of a text, each in blocks, to be read one after the other.

    A line in which the separator is found begins a document; one that it matches as a whole is left
    out. So are empty lines at the beginning of a document, and documents of nothing else.
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


def chunks(blocks: Iterable[str], size: int = 1 << 16) -> Iterator[str]:
    """The same text in pieces of about `size` characters, cut before white space where possible."""
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


def told(blocks: Iterable[str], note: Callable[[str], None], doing: str) -> Iterator[str]:
    """The same blocks; while a long text goes by, a line tells now and then how far it is."""
    read, last = 0, time.monotonic()
    for block in blocks:
        yield block
        read += len(block)
        if time.monotonic() - last > TELL_SECONDS:
            last = time.monotonic()
            note(f"{doing}: {read / 1e6:,.0f} million characters")


def code_points(text: str) -> Ids:
    """The code points of a text, int32 [len(text)].

    Raises:
        TextError: the text holds half of a surrogate pair, which is no character.
    """
    return np.frombuffer(encoded(text, "utf-32-le"), dtype="<i4")


def encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise TextError(
            f"not valid Unicode: a lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start}",
            "give the text as UTF-8",
        ) from None
