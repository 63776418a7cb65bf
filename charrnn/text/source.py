"""Where texts come from: files, folders and standard input, and how they are read."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import chain, islice
from pathlib import PurePath
from typing import Any, Self, TextIO

from charrnn import runs
from charrnn.checked import made
from charrnn.config import require
from charrnn.errors import TextError, UsageError
from charrnn.files import room_for, spelled, temporary
from charrnn.text.blocks import (
    END,
    KINDS,
    Blocks,
    bounded_lines,
    gathered,
    lines,
    split_documents,
    whole_lines,
)
from charrnn.text.encodings import ERRORS, SUFFIXES, Note, decode, is_encoding, unnoted
from charrnn.text.normalisation import normalised, normalised_blocks
from charrnn.text.records import Layout, Record, records

GLOBS = ("*.txt", "*.md")  # what is read of a folder,
RECORD_GLOBS = ("*.jsonl", "*.ndjson", "*.csv", "*.tsv")  # and with a field
WAIT_SECONDS = 1.0  # after which a command says that it waits for its input
KEPT_BLOCK = 1 << 20  # characters
LONGEST_LINE = 1 << 22  # characters of a line that is looked at for itself; scoring it takes 340 MB


@dataclass(frozen=True, slots=True)
class Source:
    """Texts as the user names them.

    Attributes:
        paths: files and folders; "-" is standard input.
        encoding: any that Python knows; None finds it out.
        errors: what to do with wrong bytes: strict, replace or skip. Strict also stops at a record
            that is broken or lacks the field; None stops at wrong bytes only.
        glob: which files of folders are read; None stands for GLOBS or RECORD_GLOBS.
        field: of records, whose text is read, see records.Layout; None reads files as they are.
        kind: a key of KINDS: running text, an item in each line, or each file a document.
        delimiter: between the cells of a table; None for what a file's name says.
        header: whether a table's first row names its columns.
        split_on: regular expression for the lines that part a file's documents, see
            text.split_documents; None where each file is one.
        normalise: whether the text is read in one form, see charrnn.text.normalisation.

    Raises:
        UsageError: there is no such encoding, or a value makes no sense.
    """

    paths: Sequence[str]
    encoding: str | None = None
    errors: str | None = None
    glob: str | None = None
    field: str | None = None
    kind: str = "text"
    delimiter: str | None = None
    header: bool = True
    split_on: str | None = None
    normalise: bool = False

    def __post_init__(self) -> None:
        known = self.encoding is None or is_encoding(self.encoding)
        require(known, f"unknown encoding {self.encoding!r}; try utf-8, cp1252 or utf-16")
        known = self.errors is None or self.errors in ERRORS
        require(known, f"--errors {self.errors!r} is none of {', '.join(ERRORS)}")
        require(self.kind in KINDS, f"{self.kind!r} is none of {', '.join(KINDS)}")
        require(self.glob != "", "--glob needs a pattern, for example '*.txt'")
        is_table = self.delimiter is not None or not self.header
        require(self.field is not None or not is_table, "--delimiter and --no-header need --field")
        parts = self.delimiter is None or (
            len(self.delimiter) == 1 and self.delimiter not in '"\n\r'
        )
        require(parts, f"--delimiter {self.delimiter!r} is not one character, such as ; or \\t")
        numbered = self.header or bool(re.fullmatch("[1-9][0-9]*", self.field or ""))
        of_files = self.kind == "documents" and self.field is None
        require(
            self.split_on is None or of_files, "--split-on is for documents, not lines or records"
        )
        require(numbered, f"--field {self.field!r} is no column's number, as --no-header needs it")

        if self.split_on is not None:
            self._separator()

    def _separator(self) -> re.Pattern[str]:
        """What parts documents; compiled anew each time, which `re` remembers."""
        assert self.split_on is not None
        try:
            require(self.split_on != "", "--split-on is empty")
            return re.compile(self.split_on)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"--split-on {self.split_on!r} is no regular expression: {error}",
                r"write for example '^From ' or '^\s*$'",
            ) from None

    @property
    def name(self) -> str:
        """What a run of the texts is called: the first one's name without folder and endings."""
        first = self.paths[0]
        if first == "-":
            return "stdin"
        return spelled(PurePath(unpacked_name(os.path.abspath(first))).stem) or "run"

    def to_json(self) -> dict[str, Any]:
        """Return the fields under the names they have in files, where `kind` is "shape"."""
        values = asdict(self)
        return values | {"shape": values.pop("kind")}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the source that `to_json` describes.

        Raises:
            ValueError: `values` does not describe a source.
            UsageError: a value is out of its range.
        """
        if isinstance(values, dict):
            values = {"kind" if name == "shape" else name: v for name, v in values.items()}
        source = made(cls, values)
        if not source.paths or not all(source.paths):
            raise ValueError("its text has no name")
        return source

    @property
    def lasts(self) -> bool:
        """Whether the texts can be read again: none is standard input, a pipe or a device."""
        return all(path != "-" and not comes_once(path) for path in self.paths)

    def absolute(self) -> Self:
        """The same texts, whatever the current folder."""
        paths = [path if path == "-" else os.path.abspath(path) for path in self.paths]
        return replace(self, paths=paths)

    def read(self, note: Note = unnoted) -> str:
        """The text of all files, as `stream` gives it, in one piece."""
        return "".join(self.stream(note))

    def stream(self, note: Note = unnoted) -> Iterator[str]:
        """The text of all files, one after the other, in blocks of about a million characters.

        Of running text, files are parted by a line break and records by an empty line. Of lines,
        each ends with a line break, white space around them and empty ones are left out, and a
        record is one line. Of documents, each file or record ends with END.

        Args:
            note: told in a line what had to be guessed.

        Raises:
            TextError: a file cannot be read, is damaged, binary or not in its encoding, a record
                is broken, or a folder holds nothing to read.
        """
        return gathered(chain.from_iterable(self.parts(note)))

    @contextmanager
    def kept(self, note: Note = unnoted) -> Iterator[Blocks]:
        """The blocks of `stream`, to be read as often as they are wanted.

        What comes once, such as standard input, is kept in a temporary file meanwhile.

        Raises:
            TextError: the temporary file cannot be written; the rest as `stream`, when it is read.
        """
        stream = partial(self.stream, cache(note))
        if self.lasts:
            yield Blocks(stream)
            return
        with ExitStack() as stack:
            with room_for(", ".join(map(_called, self.paths))):
                file = stack.enter_context(
                    temporary("w+", encoding="utf-8", errors="surrogatepass", newline="")
                )
                file.writelines(stream())
                file.flush()

            def again() -> Iterator[str]:
                file.seek(0)
                return iter(partial(file.read, KEPT_BLOCK), "")

            yield Blocks(again)

    def parts(self, note: Note = unnoted) -> Iterator[Iterator[str]]:
        """The blocks of what stands for itself: of each document, or else of all; see `stream`."""
        found = self._found(note)
        match self.kind:
            case "lines":
                yield self._as_lines(found)
            case "documents":
                for blocks in found:
                    kept = (text for block in blocks if (text := block.replace(END, "")))
                    if first := next(kept, ""):
                        yield chain([first], kept, [END])
            case _:
                yield self._joined(found)

    def _joined(self, found: Iterable[Iterable[str]]) -> Iterator[str]:
        last = ""
        for blocks in found:
            for i, block in enumerate(blocks):
                if i == 0 and last:
                    yield "\n" * (last != "\n") + "\n" * (self.field is not None)
                yield block
                last = block[-1]

    def _as_lines(self, found: Iterable[Iterable[str]]) -> Iterator[str]:
        for blocks in found:
            for text in whole_lines(blocks) if self.field is None else [one_line("".join(blocks))]:
                if kept := "\n".join(filter(None, map(str.strip, text.split("\n")))):
                    yield kept + "\n"

    def lines(self, note: Note = unnoted) -> Iterator[tuple[int, str]]:
        """The lines of the text and their numbers from 1, without line ends, as they are read.

        Raises:
            TextError: a line is longer than LONGEST_LINE; the rest as `stream`.
        """
        # Numbers are those of the lines in the file, before other line ends count as such.
        blocks = chain.from_iterable(replace(self, normalise=False).parts(note))
        name = ", ".join(map(_called, self.paths))
        read = normalised if self.normalise else str
        return enumerate(map(read, lines(bounded_lines(blocks, LONGEST_LINE, name))), 1)

    def records(self, note: Note = unnoted, id: str | None = None) -> Iterator[tuple[str, Record]]:
        """The records of all files, each after the path of its file.

        Those that are broken or lack the field are left out, unless `errors` is strict.

        Args:
            note: told in a line how many were left out, and why the first one was.
            id: field that identifies a record, see records.Layout.

        Raises:
            TextError: as `stream`; or all records are broken or lack the field.
        """
        assert self.field is not None
        layout = Layout(self.field, self.delimiter, self.header, id)
        count = skipped = 0
        first = ""
        for path in self.files():
            name = _called(path)
            for record in records(self._blocks(path, note), unpacked_name(path), name, layout):
                count += 1
                if isinstance(record, Record):
                    if self.normalise:
                        record = record._replace(text=normalised(record.text))
                    yield path, record
                    continue
                why = f"{name}: line {record.line}: {record.why}"
                if self.errors == "strict":
                    raise TextError(why, "without --errors strict it is skipped")
                skipped += 1
                first = first or why
        if skipped and skipped == count:
            raise TextError(f"no record of {count:,} can be read; {first}", "see --field")
        if skipped:
            note(f"{skipped:,} of {count:,} records are skipped; the first one: {first}")

    def files(self) -> Iterator[str]:
        """The files that are read, those of a folder in order of their names."""
        for path in self.paths:
            if path != "-" and os.path.isdir(path):
                yield from self._within(path)
            else:
                yield path

    def by_file(self) -> Iterator[tuple[str, Self]]:
        """Each file, and it alone as a source."""
        return ((path, replace(self, paths=[path])) for path in self.files())

    def _within(self, folder: str) -> list[str]:
        """The files of a folder and of those below.

        Left out are links to folders, which may loop, and run folders: a model must not learn what
        another one wrote. Of a run folder that was named itself, the user's own files are read.
        """
        globs = [self.glob] if self.glob else RECORD_GLOBS if self.field else GLOBS
        found = []
        for below, folders, names in os.walk(folder, onerror=_unreadable):
            if runs.is_run(below):
                if below != folder:
                    folders.clear()
                    continue
                names = [name for name in names if not runs.is_own(name)]
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = os.path.join(below, name)
                matched = unpacked_name(os.path.relpath(path, folder)).lower()
                wanted = any(PurePath(matched).match(glob.lower()) for glob in globs)
                if wanted and not name.startswith(".") and os.path.isfile(path):
                    found.append(path)
        if not found:
            raise TextError(
                f"{folder} holds no {' or '.join(globs)}", "say what to read with --glob '*.*'"
            )
        return sorted(found, key=lambda path: PurePath(path).parts)

    def _found(self, note: Note) -> Iterator[Iterator[str]]:
        """The blocks of each file or record."""
        if self.field is None:
            for path in self.files():
                blocks = self._blocks(path, note)
                if self.normalise:
                    blocks = normalised_blocks(blocks)
                if self.split_on is None:
                    yield blocks
                else:
                    yield from split_documents(blocks, self._separator())
            return
        for _, record in self.records(note):
            if record.text:
                yield iter([record.text])

    def _blocks(self, path: str, note: Note) -> Iterator[str]:
        name = _called(path)
        stream = sys.stdin if path == "-" else None
        try:
            with ExitStack() as stack:
                # (Opening a named pipe waits too.)
                with waiting(name, note, stream) if stream or comes_once(path) else nullcontext():
                    file = stream.buffer if stream else stack.enter_context(open(path, "rb"))
                    blocks = decode(file, name, self.encoding, self.errors or "strict", note)
                    first = [*islice(blocks, 1)]
                yield from chain(first, blocks)
        except FileNotFoundError:
            raise TextError(f"{path} does not exist", "check the path") from None
        except OSError as error:
            raise TextError(f"cannot read {name}: {error.strerror or error}") from None


def unpacked_name(path: str) -> str:
    """A path without the ending that says that the file is compressed."""
    root, ending = os.path.splitext(path)
    return root if ending.lower() in SUFFIXES else path


def one_line(text: str) -> str:
    """Return a record's text as a line: line breaks become spaces."""
    return " ".join(text.split("\n"))


def comes_once(path: str) -> bool:
    """Return whether a path is a pipe or a device."""
    return os.path.exists(path) and not os.path.isdir(path) and not os.path.isfile(path)


def _called(path: str) -> str:
    return "standard input" if path == "-" else path


def _unreadable(error: OSError) -> None:
    raise TextError(f"cannot read {error.filename}: {error.strerror or error}")


@contextmanager
def waiting(name: str, note: Callable[[str], None], stream: TextIO | None = None) -> Iterator[None]:
    """Say that something is waited for: from a terminal at once, else after WAIT_SECONDS.

    Args:
        name: what is waited for.
        note: says it.
        stream: where it comes from, if that is open already.
    """
    from threading import Timer

    typed = stream is not None and stream.isatty()
    end = f"; {'Ctrl-Z and Enter' if os.name == 'nt' else 'Ctrl-D'} ends it" if typed else ""
    said = f"waiting for {name}{end}"
    timer = Timer(WAIT_SECONDS, note, [said])
    timer.daemon = True  # a command that ends does not wait for it
    if typed:
        note(said)
    else:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
