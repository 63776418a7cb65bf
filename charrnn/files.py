"""Writing files so that a crash or a full disk leaves them whole; temporary ones."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import RunError, TextError

DISK = "/var/tmp"  # where /tmp may be memory


def write_atomically(path: Path, *data: bytes | memoryview) -> None:
    """Write beside, flush to disk, rename: a reader sees the old file or the new, never a part.

    Args:
        data: the file's content, one part after the other.

    Raises:
        RunError: the file cannot be written; what was there before is untouched.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        with open(beside, "wb") as file:
            file.writelines(data)
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


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file, atomically, and without a copy of the tensors in memory.

    (The library's own functions copy them twice, which a large vocabulary has no room for.)

    Raises:
        RunError: the file cannot be written.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    start, parts = 0, []
    # The widest numbers first, so that all are aligned.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
        kind = f"{tensor.dtype.kind.upper()}{8 * tensor.itemsize}"  # such as F32
        stop = start + tensor.nbytes
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": (start, stop)}
        parts.append(np.ascontiguousarray(tensor).data)
        start = stop
    described = json.dumps(header, ensure_ascii=False).encode()
    described += b" " * (-len(described) % 8)
    write_atomically(path, len(described).to_bytes(8, "little"), described, *parts)


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


def temporary(mode: str, **options: Any) -> IO[Any]:
    """A file without a name, for what is too large for memory; options as `open` has them.

    Raises:
        OSError: it cannot be made.
    """
    from tempfile import TemporaryFile

    on_disk = "TMPDIR" not in os.environ and os.access(DISK, os.W_OK)
    return TemporaryFile(mode, dir=DISK if on_disk else None, **options)


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Where a temporary file is written.

    Raises:
        TextError: it cannot be.
    """
    try:
        yield
    except OSError as error:
        raise TextError(
            f"cannot keep {what} in a temporary file: {error.strerror or error}",
            "free some space, or name another folder in TMPDIR",
        ) from None
