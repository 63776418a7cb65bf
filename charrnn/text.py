"""What is done with text: escapes, the held-out part, pieces, a fingerprint."""

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator

from charrnn.errors import UsageError

BLOCK = 1 << 20  # characters hashed together
END = "\x03"  # ends a document: a control character that no text needs, and that is taken from it
SHAPES = {"text": "", "lines": "\n", "documents": END}  # of a corpus, and what ends an item of it
JOINERS = "'’-"  # inside a word, never at its end
WORD = re.compile(rf"[^\W_]+(?:[{JOINERS}][^\W_]+)*")
ESCAPE = re.compile(
    r"\\(?:(?P<simple>[ntr0\\])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>[0-9a-fA-F]{8}))"
)
SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}


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


def split(text: str, val: float, shape: str = "text", seed: int = 0) -> tuple[str, str]:
    """The part to train on and the held-out part.

    Of running text that is the last `val` of the characters. Of items it is about as much in whole
    ones, drawn at random; copies of an item stay together, so that none is in both parts. At
    least one is held out, if there are different ones and `val` is above 0. Both are shuffled.

    Args:
        shape: a key of SHAPES; items end as it says.
        seed: of the drawing and shuffling.
    """
    boundary = SHAPES[shape]
    if not boundary:
        cut = int(len(text) * (1 - val))
        return text[:cut], text[cut:]
    import numpy as np

    rng = np.random.default_rng(seed)
    items = text.split(boundary)[:-1]
    counts = Counter(items)
    room = val * len(text)
    held: set[str] = set()
    different = [*counts]
    for i in rng.permutation(len(different)).tolist():
        size = counts[different[i]] * (len(different[i]) + 1)
        if size <= room:
            held.add(different[i])
            room -= size
    if val and not held and len(different) > 1:
        held.add(min(different, key=len))
    shuffled = [items[i] for i in rng.permutation(len(items)).tolist()]
    return (
        "".join(item + boundary for item in shuffled if item not in held),
        "".join(item + boundary for item in shuffled if item in held),
    )


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


def fingerprint(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, in hexadecimal: tells whether a text has changed."""
    digest = hashlib.sha256()
    for start in range(0, len(text), BLOCK):
        digest.update(text[start : start + BLOCK].encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
