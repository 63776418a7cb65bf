"""The bytes of one file to text: compression, encodings, line ends."""

import codecs
import io
import re
import sys
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from charrnn.errors import TextError

BLOCK = 1 << 20
BOMS = {  # UTF-32's before UTF-16's, which one of them begins with
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
COMPRESSED = {  # how such files begin
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bzip2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),  # a block, or the end
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")  # that the names of such files have
NOT_TEXT = {b"PK\x03\x04": "a zip archive, as .docx and .epub files are", b"%PDF-": "a PDF"}
ERRORS = {"strict": "strict", "replace": "replace", "skip": "ignore"}  # as Python's codecs say
EVIDENCE = 16  # bytes that are not ASCII, or characters, without which no encoding is guessed
EVIDENCE_BYTES = 1 << 16  # that the detector sees at the most
CONFIDENCE = 0.1  # of the detector at the least; texts in 14 languages had 0.16 to 1
WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
CONTROLS = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")  # that no text has
NO_CHARACTER = ("Cn", "Co")  # unassigned, or for private use
ACCIDENTS = 0.6  # in other encodings, characters of UTF-8 for each wrong byte at the most

Note = Callable[[str], None]


def unnoted(message: str) -> None:
    """A Note that nobody reads."""


def decode(
    file: BinaryIO, name: str, encoding: str | None, errors: str, note: Note
) -> Iterator[str]:
    """The text of a file, compressed or not, in blocks of about a million characters.

    Line ends are normalised to LF, so that a model of a Windows file does not spend itself on
    carriage returns.

    Args:
        name: of the file, for messages.
        encoding: left out, it is what a byte order mark says, else UTF-16 or UTF-32 where there
            are zeros and it reads as a text so, else UTF-8, else a guess where the file is plainly
            in another one.
        errors: what to do with wrong bytes, a key of ERRORS.
        note: told in a line what was guessed.

    Raises:
        TextError: the file is damaged, binary or not in that encoding.
    """
    blocks = _blocks(file, name)
    first = next(blocks, b"")
    blocks = chain([first], blocks)
    marked = next((known for bom, known in BOMS.items() if first.startswith(bom)), None)
    kind = next((kind for magic, kind in NOT_TEXT.items() if first.startswith(magic)), None)
    if kind and not encoding:
        raise TextError(f"{name} is {kind}", "save it as plain text first")
    known = encoding or marked
    if not known and 0 in first and (known := _wide(first)):
        note(f"{name} has no byte order mark; it is read as {known}, or as --encoding says")
    decoder = _Decoder(name, known or "utf-8", errors)
    guessing = not known
    # Zeros belong to what is of two or four bytes, and to those who name an encoding.
    text = bool(encoding) or decoder.encoding.startswith(("utf-16", "utf-32"))
    while data := next(blocks, b""):
        if guessing and not data.isascii():  # only ASCII came before, so that all is open
            guessing = False
            after = next(blocks, b"")
            blocks = chain([after], blocks)
            if guess := _guess(data + after):
                note(f"{name} is not UTF-8; it is read as {guess}, or as --encoding says")
                decoder.switch(guess)
        if not text and (nul := data.find(0)) >= 0:
            raise TextError(
                f"{name} is a binary file: byte 0x00 at offset {decoder.offset + nul}",
                "give a text file, or name its encoding with --encoding",
            )
        yield from decoder.feed(data)
    yield from decoder.feed(b"", final=True)


def is_encoding(name: str) -> bool:
    """Whether Python knows an encoding of text by that name."""
    try:
        io.TextIOWrapper(io.BytesIO(), name)  # refuses codecs not of text, such as hex
    except (LookupError, ValueError):
        return False
    return True


class _Decoder:
    """Bytes to text, block by block, and where in the file it stands."""

    def __init__(self, name: str, encoding: str, errors: str) -> None:
        self.offset = 0
        self._name = name
        self._errors = ERRORS[errors]
        self._lines = 0
        self._line_ends = io.IncrementalNewlineDecoder(None, translate=True)
        self.switch(encoding)

    def switch(self, encoding: str) -> None:
        """Go on in another encoding."""
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)

    def feed(self, data: bytes, final: bool = False) -> Iterator[str]:
        """The text of the next bytes, if they make any."""
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            # The decoder may have kept the first bytes of a character from the block before.
            start = self.offset + len(data) - len(error.object) + error.start
            kept = max(0, len(error.object) - len(data))
            line = 1 + self._lines + error.object.count(b"\n", kept, error.start)
            raise TextError(
                f"{self._name} is not {self.encoding}: byte 0x{error.object[error.start]:02x} "
                f"at offset {start} (line {line})",
                "name its encoding, for example --encoding cp1252, or give --errors replace",
            ) from None
        except UnicodeError as error:
            raise TextError(f"{self._name} is not {self.encoding}: {error}") from None
        self.offset += len(data)
        self._lines += data.count(b"\n")
        if text := self._line_ends.decode(text, final):
            yield text


def _wide(data: bytes) -> str | None:
    """The encoding of bytes of which two or four are a character; None where there is doubt.

    A text keeps to few of the blocks of 256 characters, most of all if it is read in the right
    order of bytes, and has hardly a character that is none. The higher and the lower bytes of its
    characters are not alike, as they are if a byte is a character in truth.
    """
    found = {}
    for encoding in WIDE:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(data[:EVIDENCE_BYTES])
        except UnicodeDecodeError:
            continue
        higher = Counter(ord(character) >> 8 for character in text)
        lower = Counter(ord(character) & 0xFF for character in text)
        strange = sum(unicodedata.category(character) in NO_CHARACTER for character in text)
        if (
            len(text) >= max(EVIDENCE, 4 * len(higher))
            and (higher & lower).total() <= len(text) / 2
            and strange <= len(text) / 100
            and not CONTROLS.search(text)
        ):
            found[encoding] = len(higher), max(text)
    return min(found, key=found.__getitem__, default=None)


def _guess(data: bytes) -> str | None:
    """The encoding of bytes that are plainly no UTF-8; None where there is doubt."""
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = len(text) - len(text.encode("ascii", "ignore")) - wrong
    high = len(data.translate(None, bytes(range(128))))
    if high < EVIDENCE or right > ACCIDENTS * wrong:
        return None
    import chardet

    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())
    found = chardet.detect(telling[:EVIDENCE_BYTES])
    if not found["encoding"] or found["confidence"] < CONFIDENCE:
        return None
    try:
        name = codecs.lookup(found["encoding"]).name
    except LookupError:
        return None
    if name.startswith(("utf-16", "utf-32")):  # told by their zeros, or by nobody
        return None
    return "cp1252" if name == "iso8859-1" else name  # the same, with quotation marks


def _blocks(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The bytes of a file in blocks, unpacked if it is compressed."""
    start = file.read(16)
    whole = io.BufferedReader(_Resumed(start, file))
    kind = next((kind for kind, pattern in COMPRESSED.items() if pattern.match(start)), "")
    unpacked, damage = _unpacked(kind, whole)
    try:
        while data := unpacked.read(BLOCK):
            yield data
    except EOFError:
        raise TextError(
            f"{name} breaks off before the end of its {kind} data", "copy it again"
        ) from None
    except damage as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # not the data's fault
        raise TextError(f"{name} is damaged {kind} data: {error}", "copy it again") from None


def _unpacked(
    kind: str, file: "io.BufferedReader[Any]"
) -> tuple[io.BufferedIOBase, tuple[type[Exception], ...]]:
    """The content of a file, compressed or not, and what reading it raises if it is damaged."""
    match kind:
        case "":
            return file, ()
        case "gzip":
            import gzip

            return gzip.GzipFile(fileobj=file), (zlib.error, OSError)
        case "bzip2":
            import bz2

            return bz2.BZ2File(file), (OSError,)
        case "xz":
            import lzma

            return lzma.LZMAFile(file), (lzma.LZMAError,)
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdFile(file), (zstd.ZstdError,)


class _Resumed(io.RawIOBase):
    """A file whose first bytes, which were read, come again."""

    def __init__(self, start: bytes, file: BinaryIO) -> None:
        self._start = start
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start[: len(buffer)] or self._file.read(len(buffer))
        self._start = self._start[len(data) :]
        buffer[: len(data)] = data
        return len(data)
