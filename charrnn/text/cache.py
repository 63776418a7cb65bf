"""What was made of a long text, kept in the user's cache folder and read through a memory map.

A file is a header, JSON filled up to HEADER bytes, and data. It is written beside and renamed, so
that whoever looks finds a whole file or none; processes that make the same one at once write the
same.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn import __version__
from charrnn.errors import RunError
from charrnn.files import UNFINISHED, replacing

HEADER = 4096
DAY = 86_400.0  # seconds
UNUSED = 30 * DAY  # after which a file is removed,
ABANDONED = DAY  # and what a process was killed over

Build = Callable[[BinaryIO], dict[str, Any]]
Data = NDArray[np.uint8]
Made = tuple[Data, dict[str, Any]]


def in_memory(build: Build) -> Made:
    """The data that `build` writes, and the values, of JSON, that it returns."""
    file = BytesIO()
    values = build(file)
    return np.frombuffer(file.getbuffer(), np.uint8), values


def cached(build: Build, *key: Any) -> Made:
    """The same, mapped from a file; it is made if there is none, or a damaged one.

    Args:
        key: JSON values that say all that the data depend on.

    Raises:
        RunError: the file cannot be written.
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
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            "free some space, or name another folder in XDG_CACHE_HOME",
        ) from None


def _read(path: Path) -> dict[str, Any] | None:
    """The values; None if there is no such file, or a damaged one."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # to read a pipe takes for ever
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
    """SHA-256 of the rest of a file and of the values."""
    digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(values).encode())
    return digest.hexdigest()


def _tidy(folder: Path) -> None:
    """Remove what is of no use any more."""
    for path in folder.iterdir():
        with suppress(OSError):
            age = time.time() - path.stat().st_mtime
            if age > (ABANDONED if path.suffix == UNFINISHED else UNUSED):
                path.unlink()
