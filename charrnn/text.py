"""What is done with text: escapes, lines, pieces."""

import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from charrnn.errors import UsageError

END = "\x03"  # ends a document: a control character that no text needs, and that is taken from it
SHAPES = {"text": "", "lines": "\n", "documents": END}  # of a corpus, and what ends an item of it
TELL_SECONDS = 5.0
JOINERS = "'’\u200c\u200d-"  # inside a word, never at its end; two of them have no width
# Inside the brackets of a pattern: what belongs to words of scripts without spaces (Thai, Lao,
# Burmese, Khmer, Chinese, Japanese), of which each character counts as a word;
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e80-\u0eff\u1000-\u1049\u1050-\u109d"
    "\u1780-\u17d3\u17d7\u17dc\u17dd\u17e0-\u17e9\u3005-\u3007\u3041-\u309a\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U000323af"
)
# and the marks of letters, such as accents and vowel signs, which `re` has no name for. They are
# looked for where there are some, since looking everywhere would take a tenth of a second.
MARKED = (
    (0x300, 0xE00), (0xF00, 0x1000), (0x1200, 0x1780), (0x1800, 0x3040), (0xA66F, 0xAC00),
    (0xFB1E, 0xFE30), (0x101FD, 0x11F60), (0x16AF0, 0x17000), (0x1E000, 0x1E94B),
)  # fmt: skip
MARKS = "".join(
    character
    for first, end in MARKED
    for character in map(chr, range(first, end))
    if unicodedata.category(character)[0] == "M"
)
LETTER = rf"[^\W_{UNSPACED}]"  # or digit
# (Few characters are beyond U+02FF, and looking for marks takes long.)
WORD = re.compile(rf"{LETTER}++(?:[{JOINERS}]?{LETTER}++|(?![\0-\u02ff])[{MARKS}])*+|[{UNSPACED}]")
ESCAPE = re.compile(
    r"\\(?:(?P<simple>[ntr0\\])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>[0-9a-fA-F]{8}))"
)
SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}


def is_unspaced(text: str) -> bool:
    """Whether a text begins with a character that is a word, since its script has no spaces."""
    return text > "\u0e00" and bool(re.match(f"[{UNSPACED}]", text))


@dataclass(frozen=True, slots=True)
class Blocks:
    """A text in blocks, which can be read more than once.

    Attributes:
        read: gives them from the start.
    """

    read: Callable[[], Iterator[str]]

    def __iter__(self) -> Iterator[str]:
        return self.read()


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


def lines(blocks: Iterable[str]) -> Iterator[str]:
    """The lines of a text in blocks, without line ends; after the last one there is none."""
    line: list[str] = []
    for block in blocks:
        first, *others = block.split("\n")
        line.append(first)
        for other in others:
            yield "".join(line)
            line = [other]
    if last := "".join(line):
        yield last


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
