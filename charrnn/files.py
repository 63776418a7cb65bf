"""Writing files so that a crash or a full disk leaves them whole."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from charrnn.errors import RunError


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename: a reader sees the old file or the new, never a part.

    Raises:
        RunError: the file cannot be written; what was there before is untouched.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            "free some space or choose another folder with -o",
        ) from None


def write_new(path: Path, text: str) -> None:
    """Make a file; one that exists is left alone.

    Raises:
        RunError: there is such a file, or it cannot be written.
    """
    if path.exists():
        raise RunError(f"{path} exists already", "name another file")
    write_atomically(path, text.encode())


def append(path: Path, text: str) -> None:
    """Write at the end of a file, all of the text or nothing.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "ab", buffering=0) as file:
        whole = file.tell()
        data = text.encode()
        if file.write(data) != len(data):
            file.truncate(whole)  # a full disk took a part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
