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
FIRST = 16  # bytes that tell whether a file is compressed
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
EVIDENCE = 16  # characters without which UTF-16 and UTF-32 are not guessed; bytes that are not
# ASCII, without which the encoding of a file of more than two blocks is not guessed
EVIDENCE_BYTES = 1 << 16  # that the detector sees at the most
# The encodings that are guessed. Left out are those that hardly a text is in and that small texts
# are taken for, and those that are part of one here. Chosen by tests/benchmarks/encodings.py.
GUESSED = (
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9",
    "iso8859-15", "koi8-r", "koi8-u", "cp850", "cp852", "cp866", "mac-roman",
    "cp874", "cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949",
)  # fmt: skip
WESTERN = "cp1252"  # what a text in Latin letters is in where little tells
# Confidence of the detector at the least: 100 bytes of text had 0.090 and more, random bytes up to
# 0.054 (tests/benchmarks/encodings.py).
CONFIDENCE = 0.06
UNUSED = re.compile(r"[\x80-\x9f]")  # control characters of ISO 8859
FOREIGN = re.compile(r"[\u0370-\u1dff]+")  # Greek, Cyrillic, Hebrew, Arabic, Thai and the like
MIXED = re.compile(r"[A-Za-z][\u0370-\u1dff]|[\u0370-\u1dff][A-Za-z]")
CAPITAL_WITHIN = re.compile("[a-z\u00df-\u00ff][\u00c0-\u00deŒŠŽ]")  # a word that is read wrongly
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
            after, beyond = next(blocks, b""), next(blocks, b"")
            blocks = chain([after, beyond], blocks)
            if guess := _guess(data + after, small=not beyond and errors == "strict"):
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


def _guess(data: bytes, small: bool) -> str | None:
    """The encoding of bytes that are plainly no UTF-8; None where there is doubt.

    Args:
        small: whether few bytes that are not ASCII are enough, as they are where `data` is the
            whole text and nobody asked for wrong bytes to be replaced.
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
    plain = not strange and 3 * high <= len(data)  # it reads as a Western text
    if high == 1 and plain:
        return WESTERN
    for found in chardet.detect_all(
        telling,
        ignore_threshold=True,
        compat_names=False,
        include_encodings=[*GUESSED, "utf-8"],
        no_match_encoding="utf-8",  # which these bytes are not
    ):
        name = found["encoding"]
        if not name or found["confidence"] < CONFIDENCE:
            break
        reading = _read_as(telling, name)
        if reading and not _mixed(reading):
            return WESTERN if reading == western else name
    return WESTERN if plain else None


def _mixed(text: str) -> bool:
    """Whether words of other scripts mostly hold Latin letters too, as misread ones do."""
    mixed = len(MIXED.findall(text))
    return mixed > 0 and 2 * mixed >= len(FOREIGN.findall(text))


def _read_as(data: bytes, encoding: str) -> str | None:
    """The start of a text in an encoding, or None if it cannot be in that one."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None
    return None if UNUSED.search(text) else text


def _blocks(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The bytes of a file in blocks, unpacked if it is compressed."""
    start = file.read(FIRST)
    whole = io.BufferedReader(_Resumed(start, file, len(start) < FIRST))
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
    """A file whose first bytes, which were read, come again.

    Once it has ended it is not read again: a terminal would go on, and want another Ctrl-D.

    Args:
        start: what was read.
        file: the file.
        ended: whether that was all of it.
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
