"""Results computed from a long text, cached in the user's cache folder and memory-mapped.

A file is a header, JSON padded to HEADER bytes, followed by the data. It is written atomically;
processes that build the same file at the same time write the same content.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from charrnn import __version__
from charrnn.files import UNFINISHED, advice, replacing, room_for, temporary
from charrnn.text.encodings import Note, unnoted

HEADER = 4096  # bytes; a page, so that the data are aligned
DAY = 86_400.0  # seconds
UNUSED_SECONDS = 30 * DAY  # seconds without use after which a file is removed (not tuned)
ABANDONED = DAY  # seconds after which an unfinished file of a killed process is removed (not tuned)

Build = Callable[[BinaryIO], dict[str, Any]]  # writes the data, returns JSON values about them
Data = NDArray[np.uint8]
Made = tuple[Data, dict[str, Any]]  # the data and those values


def in_memory(build: Build) -> Made:
    """Return the data that `build` writes and the values that it returns."""
    file = BytesIO()
    values = build(file)
    return np.frombuffer(file.getbuffer(), np.uint8), values


def cached(build: Build, *key: Any, note: Note = unnoted) -> Made:
    """Return the same as `in_memory`, with the data mapped from a cached file.

    Args:
        build: called if there is no such file, or a damaged one.
        key: JSON values that identify everything the data depend on.
        note: called if the file cannot be written; the data are then in a temporary file.

    Raises:
        TextError: the temporary file cannot be written either.
    """
    from platformdirs import user_cache_path

    name = hashlib.sha256(json.dumps([__version__, *key]).encode()).hexdigest()
    path = user_cache_path("charrnn") / "texts" / name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _tidy(path.parent)
        values = _read(path)
        if values is None:
            values = _make(path, build)
        os.utime(path)
        return np.memmap(path, np.uint8, "c", HEADER), values
    except OSError as error:
        hint = advice(error, "set XDG_CACHE_HOME to another folder")
        note(
            f"cannot write {path}: {error.strerror or error}; the next training will read the text "
            f"again ({hint})"
        )
    with room_for("what was read"), cast(BinaryIO, temporary("w+b")) as file:
        file.write(bytes(HEADER))
        values = build(file)
        file.flush()
        return np.memmap(file, np.uint8, "c", HEADER), values


def _read(path: Path) -> dict[str, Any] | None:
    """Return the values in a file; None if it does not exist or is damaged."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # reading a pipe could block for ever
            path.unlink()
        with open(path, "rb") as file:
            seal, values = json.loads(file.read(HEADER))
            return values if seal == _seal(file, values) else None
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return None


def _make(path: Path, build: Build) -> dict[str, Any]:
    with replacing(path) as file:
        file.write(bytes(HEADER))
        values = build(file)
        file.seek(HEADER)
        header = json.dumps([_seal(file, values), values]).encode()
        file.seek(0)
        file.write(header.ljust(HEADER))
    return values


def _seal(file: BufferedIOBase, values: Any) -> str:
    """Return the SHA-256 of the rest of a file and of the values."""
    digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(values).encode())
    return digest.hexdigest()


def _tidy(folder: Path) -> None:
    """Remove files that are unused or abandoned."""
    for path in folder.iterdir():
        with suppress(OSError):
            age = time.time() - path.stat().st_mtime
            if age > (ABANDONED if path.suffix == UNFINISHED else UNUSED_SECONDS):
                path.unlink()
