"""Sources of text: files, folders and standard input, and how they are read."""

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
    TARGET,
    UNMARKED,
    Blocks,
    bounded_lines,
    gathered,
    lines,
    split_documents,
    whole_lines,
)
from charrnn.text.encodings import ERRORS, SUFFIXES, Note, decode, is_encoding, unnoted
from charrnn.text.normalisation import normalised, normalised_blocks
from charrnn.text.records import Broken, Layout, Record, records

GLOBS = ("*.txt", "*.md")  # files read from a folder
RECORD_GLOBS = ("*.jsonl", "*.ndjson", "*.csv", "*.tsv")  # files of records read from a folder
WAIT_SECONDS = 1.0  # seconds without input after which a command says that it waits (not tuned)
KEPT_BLOCK = 1 << 20  # characters read from a temporary file at a time (not tuned)
LONGEST_LINE = 1 << 22  # maximum characters of a line processed whole; scoring it takes 340 MB


@dataclass(frozen=True, slots=True)
class Source:
    """Texts as the user names them.

    Attributes:
        paths: files and folders; "-" is standard input.
        encoding: name of an encoding in Python; None detects it.
        errors: how to treat invalid bytes: strict, replace or skip. Strict also stops at a record
            that is broken or lacks the field; None stops at invalid bytes only.
        glob: pattern of the files to read in folders; None stands for GLOBS or RECORD_GLOBS.
        field: field of the records to read, see records.Layout; None reads plain text.
        kind: kind of corpus, a key of KINDS: running text, a line per item, documents, or records
            with a source and a target.
        delimiter: delimiter of a table's cells; None for the one that the file's suffix implies.
        header: whether the first row of a table names the columns.
        split_on: regular expression that splits a file into documents, see
            blocks.split_documents; None makes each file one document.
        normalise: whether to normalise the text, see charrnn.text.normalisation.
        target: field of the records' targets; their sources are in `field`. Without both, each file
            is a source, and the name of its folder the target.

    Raises:
        UsageError: the encoding is unknown, or a value is invalid.
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
    target: str | None = None

    def __post_init__(self) -> None:
        known = self.encoding is None or is_encoding(self.encoding)
        require(known, f"unknown encoding {self.encoding!r}; try utf-8, cp1252 or utf-16")
        known = self.errors is None or self.errors in ERRORS
        require(known, f"--errors must be one of {', '.join(ERRORS)}, not {self.errors!r}")
        require(self.kind in KINDS, f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        require(self.glob != "", "--glob needs a pattern, for example '*.txt'")
        is_table = self.delimiter is not None or not self.header
        option = "--field" if self.target is None else "--source and --target"
        of_fields = self.field is not None
        require(of_fields or not is_table, f"--delimiter and --no-header need {option}")
        both = self.kind == "records" and of_fields
        require(both or self.target is None, "--target needs --source")
        parts = self.delimiter is None or (
            len(self.delimiter) == 1 and self.delimiter not in '"\n\r'
        )
        require(parts, f"--delimiter takes one character, such as ; or \\t, not {self.delimiter!r}")
        require("" not in (self.field, self.target), "a field needs a name, which is not empty")
        named = filter(None, (self.field, self.target))
        numbered = self.header or all(re.fullmatch("[1-9][0-9]*", name) for name in named)
        of_files = self.kind == "documents" and self.field is None
        require(
            self.split_on is None or of_files, "--split-on is for documents, not lines or records"
        )
        require(numbered, f"with --no-header, {option} must be a column number, not {self.field!r}")

        if self.split_on is not None:
            self._separator()

    def _separator(self) -> re.Pattern[str]:
        """Return the pattern that splits documents; `re` caches the compilation."""
        assert self.split_on is not None
        try:
            require(self.split_on != "", "--split-on is empty")
            return re.compile(self.split_on)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"--split-on {self.split_on!r} is not a regular expression: {error}",
                r"for example '^From ' or '^\s*$'",
            ) from None

    @property
    def name(self) -> str:
        """Name for a run on these texts: that of the first, less folder and suffixes."""
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
        """Whether the texts can be read repeatedly: none is standard input, a pipe or a device."""
        return all(path != "-" and not comes_once(path) for path in self.paths)

    def absolute(self) -> Self:
        """Return this source with absolute paths."""
        paths = [path if path == "-" else os.path.abspath(path) for path in self.paths]
        return replace(self, paths=paths)

    def read(self, note: Note = unnoted) -> str:
        """Return the text of all files, as `stream` yields it."""
        return "".join(self.stream(note))

    def stream(self, note: Note = unnoted) -> Iterator[str]:
        """Yield the text of all files, in order, in blocks of about a million characters.

        In running text, files are separated by a line break and records by an empty line. Kind
        "lines" strips lines, drops empty ones and joins a record into one. Documents each end with
        END; so do records, each of which is its source, TARGET and its target.

        Args:
            note: called with a line about each guess.

        Raises:
            TextError: a file cannot be read, is damaged, binary or not in its encoding, a record
                is broken, or a folder has nothing to read.
        """
        return gathered(chain.from_iterable(self.parts(note)))

    @contextmanager
    def kept(self, note: Note = unnoted) -> Iterator[Blocks]:
        """Yield the blocks of `stream` in a form that can be read repeatedly.

        Input that can be read only once, such as standard input, is kept in a temporary file.

        Args:
            note: as in `stream`.

        Raises:
            TextError: as `stream`, also while the blocks are read; or the temporary file cannot be
                written.
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
        """Yield the blocks of each document, or else of the whole text; see `stream`."""
        found = self._found(note)
        match self.kind:
            case "lines":
                yield self._as_lines(found)
            case "documents":
                for blocks in found:
                    kept = (text for block in blocks if (text := block.replace(END, "")))
                    if first := next(kept, ""):
                        yield chain([first], kept, [END])
            case "records":
                for _, record in self.records(note):
                    yield iter([record.text, TARGET, record.target or "", END])
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
        """Yield the lines of the text without line ends, with their numbers from 1.

        Raises:
            TextError: as `stream`; or a line is longer than LONGEST_LINE.
        """
        # Lines are numbered as in the file, before normalisation adds line ends.
        blocks = chain.from_iterable(replace(self, normalise=False).parts(note))
        name = ", ".join(map(_called, self.paths))
        read = normalised if self.normalise else str
        return enumerate(map(read, lines(bounded_lines(blocks, LONGEST_LINE, name))), 1)

    def records(self, note: Note = unnoted, id: str | None = None) -> Iterator[tuple[str, Record]]:
        """Yield the records of all files, each with the path of its file.

        Records that are broken or lack a field are skipped, unless `errors` is strict; so are those
        without a source or target. Of sources and targets, END, TARGET and the white space around
        them are removed.

        Args:
            note: called with the number of records skipped and the reason for the first, and with
                the number of those that held END or TARGET.
            id: field that identifies a record, see records.Layout.

        Raises:
            TextError: as `stream`; or all records are broken or lack a field.
        """
        count = skipped = marked = 0
        first = ""
        for path in self.files():
            name = _called(path)
            for record in self._records(path, note, id):
                count += 1
                if isinstance(record, Record):
                    if self.normalise:
                        record = record._replace(text=normalised(record.text))
                    if self.kind == "records":
                        record, changed = self._pair(record)
                        marked += changed
                if isinstance(record, Record):
                    yield path, record
                    continue
                why = f"{name}: line {record.line}: {record.why}"
                if self.errors == "strict":
                    raise TextError(why, "without --errors strict it is skipped")
                skipped += 1
                first = first or why
        if skipped and skipped == count:
            option = "--field" if self.target is None else "--source and --target"
            raise TextError(f"all {count:,} records are broken; {first}", f"see {option}")
        if skipped:
            note(f"{skipped:,} of {count:,} records are skipped; the first one: {first}")
        if marked:
            note(
                f"{marked:,} of {count:,} records hold the characters U+0002 or U+0003, which are "
                "removed"
            )

    def _records(self, path: str, note: Note, id: str | None) -> Iterator[Record | Broken]:
        """Yield the records of a file."""
        blocks = self._blocks(path, note)
        if self.field is None:
            label = PurePath(os.path.abspath(path)).parent.name
            yield Record(1, 1, "".join(blocks), target=label)
            return
        layout = Layout(self.field, self.delimiter, self.header, id, self.target)
        yield from records(blocks, unpacked_name(path), _called(path), layout)

    def _pair(self, record: Record) -> tuple[Record | Broken, bool]:
        """Return a record with its source and target cleaned, and whether they held a mark."""
        pair = record.text, record.target or ""
        if self.normalise:
            pair = pair[0], normalised(pair[1])
        text, target = (part.translate(UNMARKED) for part in pair)
        changed = len(text) + len(target) < sum(map(len, pair))
        text, target = text.strip(), target.strip()
        if text and target:
            return record._replace(text=text, target=target), changed
        empty = "target" if text else "source"
        return Broken(record.number, record.line, f"the {empty} is empty"), changed

    def files(self) -> Iterator[str]:
        """Yield the files to read, those of a folder ordered by path."""
        for path in self.paths:
            if path != "-" and os.path.isdir(path):
                yield from self._within(path)
            else:
                yield path

    def by_file(self) -> Iterator[tuple[str, Self]]:
        """Yield each file with a source of that file alone."""
        return ((path, replace(self, paths=[path])) for path in self.files())

    def _within(self, folder: str) -> list[str]:
        """Return the files in a folder and its subfolders.

        Links to folders are skipped, since they may form a loop, and so are run folders: a model
        must not learn what another one wrote. In a run folder that the user named, only charrnn's
        own files are skipped.
        """
        globs = [self.glob] if self.glob else RECORD_GLOBS if self.field else GLOBS
        found, seen = [], False
        for below, folders, names in os.walk(folder, onerror=_unreadable):
            seen |= bool(names)
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
            if not seen:
                raise TextError(f"{folder} holds no files", "check the path")
            raise TextError(
                f"{folder} holds no {' or '.join(globs)}", "choose the files with --glob '*.*'"
            )
        return sorted(found, key=lambda path: PurePath(path).parts)

    def _found(self, note: Note) -> Iterator[Iterator[str]]:
        """Yield the blocks of each file or record."""
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
                # Opening a named pipe blocks too.
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
    """Return a path without the suffix of a compressed file."""
    root, ending = os.path.splitext(path)
    return root if ending.lower() in SUFFIXES else path


def one_line(text: str) -> str:
    """Return a text with its line breaks replaced by spaces."""
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
    """Say that the `with` block waits for input: at once on a terminal, else after WAIT_SECONDS.

    Args:
        name: what the block waits for.
        note: called with the message.
        stream: stream that the input comes from, if it is open already.
    """
    from threading import Timer

    typed = stream is not None and stream.isatty()
    end = f"; {'Ctrl-Z and Enter' if os.name == 'nt' else 'Ctrl-D'} ends it" if typed else ""
    said = f"waiting for {name}{end}"
    timer = Timer(WAIT_SECONDS, note, [said])
    timer.daemon = True  # does not keep the process alive
    if typed:
        note(said)
    else:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
