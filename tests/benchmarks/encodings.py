"""How often the encoding of a small text is found: 24 encodings, texts of three lengths.

    python -m tests.benchmarks.encodings

The texts are pieces of languages.txt, the same story in 24 languages, each of which is encoded in
what it was usually written in. A piece counts if it is read character for character; pieces that
are valid UTF-8, such as those of ASCII alone, are left out. Beside charrnn are chardet as it comes
and charset-normalizer, where that is installed.

The confidence under which charrnn does not believe chardet is chosen by the last two lines.
"""

import argparse
import importlib
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import chardet

from charrnn.errors import TextError
from charrnn.text.encodings import GUESSED, decode, unnoted
from tests.benchmarks.figures import parse, tell, write

LENGTHS = (40, 100, 400)  # bytes
STORIES = Path(__file__).parent / "languages.txt"
WESTERN = ["English", "German", "French", "Spanish", "Italian", "Portuguese"]
WESTERN += ["Swedish", "Danish", "Finnish"]
CENTRAL = ["Polish", "Czech", "Hungarian"]
ENCODINGS = {
    "cp1252": WESTERN,
    "iso8859-15": WESTERN,
    "mac_roman": WESTERN,
    "cp850": WESTERN,
    "cp1250": CENTRAL,
    "iso8859-2": CENTRAL,
    "cp852": CENTRAL,
    "cp1251": ["Russian", "Ukrainian"],
    "iso8859-5": ["Russian", "Ukrainian"],
    "koi8_r": ["Russian"],
    "koi8_u": ["Ukrainian"],
    "cp866": ["Russian"],
    "cp1253": ["Greek"],
    "iso8859-7": ["Greek"],
    "cp1254": ["Turkish"],
    "cp1255": ["Hebrew"],
    "cp1256": ["Arabic"],
    "cp1257": ["Lithuanian"],
    "cp874": ["Thai"],
    "shift_jis": ["Japanese"],
    "euc_jp": ["Japanese"],
    "gb18030": ["Chinese"],
    "big5": ["Traditional Chinese"],
    "euc_kr": ["Korean"],
}
# What older encodings lack was typed so.
TYPED = str.maketrans("’“”„«»\u2013", '\'"""""-') | {ord("…"): "...", ord("œ"): "oe"}
RANDOM = 200  # texts of random bytes

Reader = Callable[[bytes], str | None]


def stories() -> dict[str, str]:
    """The text of each language."""
    blocks = STORIES.read_text(encoding="utf-8").strip().split("\n\n")
    return {name: text for name, _, text in (block.partition("\n") for block in blocks)}


def written(text: str, encoding: str) -> str:
    """The text with what the encoding lacks as it was typed there.

    Raises:
        UnicodeEncodeError: it lacks more than punctuation.
    """
    lacking = {c for c in text if not c.encode(encoding, "ignore")}
    text = "".join(c.translate(TYPED) if c in lacking else c for c in text)
    text.encode(encoding)
    return text


def pieces(encoding: str, length: int) -> Iterator[str]:
    """Pieces of about `length` bytes, end to end, that are no valid UTF-8."""
    texts = stories()
    for language in ENCODINGS[encoding]:
        piece = ""
        for character in written(texts[language], encoding):
            piece += character
            if len(piece.encode(encoding)) >= length:
                if "\ufffd" in piece.encode(encoding).decode("utf-8", "replace"):
                    yield piece
                piece = ""


def by_charrnn(data: bytes) -> str | None:
    try:
        return "".join(decode(io.BytesIO(data), "text", None, "strict", unnoted))
    except TextError:
        return None


def by_chardet(data: bytes) -> str | None:
    return _decoded(data, chardet.detect(data, compat_names=False)["encoding"])


def by_charset_normalizer() -> Reader | None:
    """How charset-normalizer reads, or None if it is not installed."""
    try:
        library = importlib.import_module("charset_normalizer")
    except ImportError:
        return None

    def read(data: bytes) -> str | None:
        best = library.from_bytes(data).best()
        return _decoded(data, best and best.encoding)

    return read


def _decoded(data: bytes, encoding: str | None) -> str | None:
    try:
        return data.decode(encoding) if encoding else None
    except (LookupError, UnicodeDecodeError):
        return None


def confidence(data: bytes) -> float:
    """That of chardet in its best guess, 0 if it has none."""
    found = chardet.detect(data, compat_names=False, include_encodings=[*GUESSED, "utf-8"])
    return found["confidence"] if found["encoding"] in GUESSED else 0.0


def main() -> None:
    parse(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    readers: dict[str, Reader] = {"charrnn": by_charrnn, "chardet": by_chardet}
    if other := by_charset_normalizer():
        readers["charset-normalizer"] = other
    else:
        tell("charset-normalizer is not installed: its columns are left out")
    columns = [(reader, length) for reader in readers for length in LENGTHS]
    found: dict[tuple[str, str, int], tuple[int, int]] = {}
    for encoding in ENCODINGS:
        for length in LENGTHS:
            texts = [*pieces(encoding, length)]
            for reader, read in readers.items():
                right = sum(read(text.encode(encoding)) == text for text in texts)
                found[encoding, reader, length] = right, len(texts)
    lines = [
        f"Texts of {', '.join(map(str, LENGTHS))} bytes that are read right, of so many; the mean "
        "counts each encoding alike.",
        "",
        "| encoding | " + " | ".join(f"{reader}, {length}" for reader, length in columns) + " |",
        "| --- " * (1 + len(columns)) + "|",
    ]
    for encoding in ENCODINGS:
        cells = (found[encoding, *column] for column in columns)
        lines.append(f"| {encoding} | {' | '.join(f'{right}/{n}' for right, n in cells)} |")
    means = []
    for column in columns:
        shares = [right / n for right, n in (found[name, *column] for name in ENCODINGS)]
        means.append(f"{sum(shares) / len(shares):.1%}")
    rng = random.Random(0)
    noise = [
        bytes(rng.choices(range(first, 256), k=k))
        for k in (100, 400, 1 << 16)
        for first in (32, 128)
        for _ in range(RANDOM if k <= 400 else 10)
    ]
    told = [confidence(text.encode(name)) for name in ENCODINGS for text in pieces(name, 100)]
    lines += [
        f"| mean | {' | '.join(means)} |",
        "",
        f"chardet's confidence: at least {min(told):.3f} in texts of 100 bytes,",
        f"at most {max(map(confidence, noise)):.3f} in {len(noise)} texts of random bytes.",
    ]
    write("encodings", lines)


if __name__ == "__main__":
    main()
