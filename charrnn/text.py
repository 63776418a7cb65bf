"""Reading a corpus: files or standard input, their encodings, and the held-out part."""

import codecs
import hashlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import BinaryIO

from charrnn.errors import TextError, UsageError

BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
BLOCK = 1 << 20
JOINERS = "'’-"  # inside a word, never at its end
WORD = re.compile(rf"[^\W_]+(?:[{JOINERS}][^\W_]+)*")


def read(paths: Sequence[str], encoding: str | None = None) -> str:
    """The text of all files, as `stream` gives it, in one piece."""
    return "".join(stream(paths, encoding))


def stream(paths: Sequence[str], encoding: str | None = None) -> Iterator[str]:
    """The text of all files, one after the other, in blocks of about a million characters.

    Files are parted by a line break. Line ends are normalised to LF, so that a
    model of a Windows file does not spend itself on carriage returns.

    Args:
        paths: files; "-" is standard input.
        encoding: any that Python knows; left out, UTF-8, or UTF-16 if a byte order mark says so.

    Raises:
        TextError: a file cannot be read, is binary or is not in that encoding.
        UsageError: Python knows no such encoding.
    """
    last = "\n"
    for path in paths:
        name = "standard input" if path == "-" else path
        try:
            with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
                for i, block in enumerate(_decode(file, name, encoding)):
                    if i == 0 and last != "\n":
                        yield "\n"
                    yield block
                    last = block[-1]
        except FileNotFoundError:
            raise TextError(f"{path} does not exist", "check the path") from None
        except IsADirectoryError:
            raise TextError(
                f"{path} is a folder", f"name its files, for example {path}/*.txt"
            ) from None
        except OSError as error:
            raise TextError(f"cannot read {name}: {error.strerror or error}") from None


def lines(paths: Sequence[str], encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """The lines of all files and their numbers from 1, without line ends; see `stream`."""
    kept = ""
    number = 0
    for block in stream(paths, encoding):
        *whole, kept = (kept + block).split("\n")
        for line in whole:
            number += 1
            yield number, line
    if kept:
        yield number + 1, kept


def _decode(file: BinaryIO, name: str, encoding: str | None) -> Iterator[str]:
    data = file.read(BLOCK)
    guessed = encoding is None
    if encoding is None:
        encoding = next((known for bom, known in BOMS.items() if data.startswith(bom)), "utf-8")
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)  # refuses codecs not of text, such as hex
        decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder(encoding)(), translate=True
        )
    except (LookupError, ValueError):
        raise UsageError(f"unknown encoding {encoding!r}", "try utf-8, cp1252 or utf-16") from None
    offset = lines = 0
    while True:
        if guessed and encoding.startswith("utf-8") and (nul := data.find(0)) >= 0:
            raise TextError(
                f"{name} is a binary file: byte 0x00 at offset {offset + nul}",
                "give a text file, or name its encoding with --encoding",
            )
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            # The decoder may have kept the first bytes of a character from the block before.
            start = offset + len(data) - len(error.object) + error.start
            kept = max(0, len(error.object) - len(data))
            line = 1 + lines + error.object.count(b"\n", kept, error.start)
            raise TextError(
                f"{name} is not {encoding}: byte 0x{error.object[error.start]:02x} "
                f"at offset {start} (line {line})",
                "name its encoding, for example --encoding cp1252",
            ) from None
        except UnicodeError as error:
            raise TextError(f"{name} is not {encoding}: {error}") from None
        if text:
            yield text
        if not data:
            return
        offset += len(data)
        lines += data.count(b"\n")
        data = file.read(BLOCK)


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


def split(text: str, val: float) -> tuple[str, str]:
    """The part to train on and the held-out part, the last `val` of the characters."""
    cut = int(len(text) * (1 - val))
    return text[:cut], text[cut:]


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
