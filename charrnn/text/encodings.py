"""Decoding the bytes of a file to text: compression, encodings, line ends."""

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

READ_BYTES = 1 << 20  # bytes read at a time (not tuned)
FIRST = 16  # bytes at the start of a file that show whether it is compressed
# Encodings by byte order mark; UTF-32 first, because its mark starts with that of UTF-16.
BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
COMPRESSED = {  # how compressed files start
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bzip2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),  # a block, or the end
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")  # suffixes of compressed files
# Common files that are not text, by how they start.
NOT_TEXT = {b"PK\x03\x04": "a zip archive, as .docx and .epub files are", b"%PDF-": "a PDF"}
ERRORS = {"strict": "strict", "replace": "replace", "skip": "ignore"}  # names in Python's codecs
# Minimum characters to guess UTF-16 or UTF-32; also minimum non-ASCII bytes to guess another
# encoding, if a file exceeds two blocks (not tuned).
EVIDENCE = 16
EVIDENCE_BYTES = 1 << 16  # maximum bytes that the detector examines (not tuned)
# Encodings that are guessed. Those omitted are rare and easily confused on short texts, or are
# subsets of one listed. Chosen by tests/benchmarks/encodings.py.
GUESSED = (
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9",
    "iso8859-15", "koi8-r", "koi8-u", "cp850", "cp852", "cp866", "mac-roman",
    "cp874", "cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949",
)  # fmt: skip
WESTERN = "cp1252"  # fallback for a text in Latin letters with little evidence
# Minimum confidence of the detector: 100 bytes of text scored 0.090 or more, random bytes up to
# 0.054
# (tests/benchmarks/encodings.py).
CONFIDENCE = 0.06
C1_CONTROLS = re.compile(r"[\x80-\x9f]")  # control characters of ISO 8859
FOREIGN = re.compile(r"[\u0370-\u1dff]+")  # letters of scripts from Greek to Thai and beyond
MIXED = re.compile(r"[A-Za-z][\u0370-\u1dff]|[\u0370-\u1dff][A-Za-z]")  # one next to a Latin letter
# A capital after a small letter, as in a word that was decoded wrongly.
CAPITAL_WITHIN = re.compile("[a-z\u00df-\u00ff][\u00c0-\u00deŒŠŽ]")
WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
CONTROLS = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")  # control characters that no text contains
NO_CHARACTER = ("Cn", "Co")  # categories of unassigned and private-use code points
# Maximum valid UTF-8 characters per invalid byte in a text of another encoding (not tuned).
ACCIDENTS = 0.6

Note = Callable[[str], None]  # called with a line for the user


def unnoted(message: str) -> None:
    """Ignore a message: the default Note."""


def decode(
    file: BinaryIO, name: str, encoding: str | None, errors: str, note: Note
) -> Iterator[str]:
    """Yield the text of a file, compressed or not, in blocks of about a million characters.

    Line ends become LF, so that a model of a Windows file need not learn carriage returns.

    Args:
        file: the file, open for reading.
        name: name of the file for messages.
        encoding: encoding of the file. If None, a byte order mark decides; else UTF-16 or UTF-32 if
            there are zero bytes and the text looks plausible; else UTF-8, unless the file clearly
            has another encoding, which is guessed.
        errors: how to treat invalid bytes, a key of ERRORS.
        note: called with a line about each guess.

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
        note(f"{name} has no byte order mark; read as {known} (--encoding overrides)")
    decoder = _Decoder(name, known or "utf-8", errors)
    guessing = not known
    # Zero bytes are valid in UTF-16 and UTF-32, and in an encoding that the user named.
    text = bool(encoding) or decoder.encoding.startswith(("utf-16", "utf-32"))
    while data := next(blocks, b""):
        if guessing and not data.isascii():  # all before was ASCII, which fits any encoding
            guessing = False
            after, beyond = next(blocks, b""), next(blocks, b"")
            blocks = chain([after, beyond], blocks)
            if guess := _guess(data + after, small=not beyond and errors == "strict"):
                note(f"{name} is not UTF-8; read as {guess} (--encoding overrides)")
                decoder.switch(guess)
        if not text and (nul := data.find(0)) >= 0:
            raise TextError(
                f"{name} is a binary file: byte 0x00 at offset {decoder.offset + nul}",
                "give a text file, or name its encoding with --encoding",
            )
        yield from decoder.feed(data)
    yield from decoder.feed(b"", final=True)


def is_encoding(name: str) -> bool:
    """Return whether Python has a text encoding of that name."""
    try:
        io.TextIOWrapper(io.BytesIO(), name)  # refuses codecs not for text, such as hex
    except (LookupError, ValueError):
        return False
    return True


class _Decoder:
    """Decodes a file block by block and knows the position for error messages."""

    def __init__(self, name: str, encoding: str, errors: str) -> None:
        self.offset = 0
        self._name = name
        self._errors = ERRORS[errors]
        self._lines = 0
        self._line_ends = io.IncrementalNewlineDecoder(None, translate=True)
        self.switch(encoding)

    def switch(self, encoding: str) -> None:
        """Continue in another encoding."""
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)

    def feed(self, data: bytes, final: bool = False) -> Iterator[str]:
        """Yield the text of the next bytes, if any is complete."""
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            # The decoder may hold the first bytes of a character from the previous block.
            start = self.offset + len(data) - len(error.object) + error.start
            kept = max(0, len(error.object) - len(data))
            line = 1 + self._lines + error.object.count(b"\n", kept, error.start)
            raise TextError(
                f"{self._name} is not {self.encoding}: byte 0x{error.object[error.start]:02x} "
                f"at offset {start} (line {line})",
                "name its encoding, for example --encoding cp1252; most commands also take "
                "--errors replace",
            ) from None
        except UnicodeError as error:
            raise TextError(f"{self._name} is not {self.encoding}: {error}") from None
        self.offset += len(data)
        self._lines += data.count(b"\n")
        if text := self._line_ends.decode(text, final):
            yield text


def _wide(data: bytes) -> str | None:
    """Guess whether bytes are UTF-16 or UTF-32; return the encoding, or None in case of doubt.

    A text uses few 256-character blocks, fewest in the right byte order, and few unassigned code
    points. Its high and low bytes differ in distribution; they would be alike if each byte
    were a character.
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


def _guess(data: bytes, small: bool) -> str | None:
    """Guess the encoding of bytes that are clearly not UTF-8; return None in case of doubt.

    Args:
        data: the bytes.
        small: whether few non-ASCII bytes are sufficient evidence, as they are if `data` is the
            whole file and invalid bytes are an error.
    """
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    wrong = text.count("\ufffd")
    right = len(text) - len(text.encode("ascii", "ignore")) - wrong
    high = len(data.translate(None, bytes(range(128))))
    if not wrong or right > ACCIDENTS * wrong or (high < EVIDENCE and not small):
        return None
    import chardet

    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())
    telling = telling[:EVIDENCE_BYTES]
    western = _read_as(telling, WESTERN)
    strange = western is None or CAPITAL_WITHIN.search(western) or CONTROLS.search(western)
    plain = not strange and 3 * high <= len(data)  # plausible as a Western text
    if high == 1 and plain:
        return WESTERN
    for found in chardet.detect_all(
        telling,
        ignore_threshold=True,
        compat_names=False,
        include_encodings=[*GUESSED, "utf-8"],
        no_match_encoding="utf-8",  # excluded above
    ):
        name = found["encoding"]
        if not name or found["confidence"] < CONFIDENCE:
            break
        reading = _read_as(telling, name)
        if reading and not _mixed(reading):
            return WESTERN if reading == western else name
    return WESTERN if plain else None


def _mixed(text: str) -> bool:
    """Return whether most words of other scripts contain Latin letters, as after wrong decoding."""
    mixed = len(MIXED.findall(text))
    return mixed > 0 and 2 * mixed >= len(FOREIGN.findall(text))


def _read_as(data: bytes, encoding: str) -> str | None:
    """Decode bytes that may end within a character; None if they are invalid in that encoding."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None
    return None if C1_CONTROLS.search(text) else text


def _blocks(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks, decompressed."""
    start = file.read(FIRST)
    whole = io.BufferedReader(_Resumed(start, file, len(start) < FIRST))
    kind = next((kind for kind, pattern in COMPRESSED.items() if pattern.match(start)), "")
    unpacked, damage = _unpacked(kind, whole)
    try:
        while data := unpacked.read(READ_BYTES):
            yield data
    except EOFError:
        raise TextError(f"{name} ends before the end of its {kind} data", "copy it again") from None
    except damage as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # not the data's fault
        raise TextError(f"{name} is damaged {kind} data: {error}", "copy it again") from None


def _unpacked(
    kind: str, file: "io.BufferedReader[Any]"
) -> tuple[io.BufferedIOBase, tuple[type[Exception], ...]]:
    """Return a file that decompresses, and the exceptions that it raises on damaged data."""
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
    """A file whose first bytes, already read, are put back.

    After its end the file is not read again: a terminal would wait for another Ctrl-D.

    Args:
        start: bytes already read.
        file: the file.
        ended: whether `start` is all.
    """

    def __init__(self, start: bytes, file: BinaryIO, ended: bool) -> None:
        self._start = start
        self._file = file
        self._ended = ended

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start[: len(buffer)]
        self._start = self._start[len(data) :]
        if not data and not self._ended:
            data = self._file.read(len(buffer))
            self._ended = len(data) < len(buffer)
        buffer[: len(data)] = data
        return len(data)
