"""Writing files so that a crash or a full disk leaves them whole; locks, temporary files, names."""

import errno
import json
import os
import re
import secrets
import shlex
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedRandom
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import RunError, TextError, is_out_of_memory

DISK = "/var/tmp"  # where /tmp may be memory
UNFINISHED = ".tmp"  # ending of a file that is still being written
MOST_HEADER = 1 << 26  # bytes of a safetensors file's header; a million subwords take half of it
MOST_STRINGS = 50_000  # in that header; a thousand layers have 20,000, all metadata is one
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
LOCKED_BYTE = 2**31 - 2  # the last that Windows can lock; no file locked here is as long


@contextmanager
def replacing(path: Path) -> Iterator[BufferedRandom]:
    """Yield a new file that takes the place of `path` once it is written and flushed to disk.

    A reader sees the old file or the new one, never a part. Each writer has a file of its own,
    which is removed whatever goes wrong; a kill leaves it, see `tidy`. Of a symbolic link the file
    that it points to is replaced. A device is not: /dev/null would become a file.

    Raises:
        OSError: the file cannot be written; what was there before is untouched.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with open(beside, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            beside.unlink()
        raise


def tidy(path: Path) -> None:
    """Remove what processes left that were killed while they wrote `path`."""
    for left in path.parent.glob(f"{path.name}*{UNFINISHED}"):
        with suppress(OSError):
            left.unlink()


def write_atomically(path: Path, *data: bytes | memoryview) -> None:
    """Write a file as `replacing` does.

    Args:
        data: the file's content, one part after the other.

    Raises:
        RunError: the file cannot be written; what was there before is untouched.
    """
    try:
        with replacing(path) as file:
            file.writelines(data)
    except OSError as error:
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


def lock(file: BinaryIO) -> bool:
    """Lock a file for this process alone, until the file is closed or the process dies.

    The lock binds only those who ask for it: others can still read and write the file.

    Args:
        file: open for writing.

    Returns:
        Whether it is locked now; False if another process has locked it. A file system without
        locks locks nothing, and True is returned.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows and NFS have the latter
        return False
    except OSError:
        pass
    return True


def is_missing(path: str | Path) -> bool:
    """Return whether there is no such file; one that cannot be looked at is not missing."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def check_regular(path: str | Path) -> None:
    """Raise an error if a path is neither a file nor a folder, but a pipe or a device.

    To open a pipe that nobody writes into would take for ever.

    Raises:
        OSError: it is one, or cannot be looked at.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def read_metadata(path: Path, key: str) -> str | None:
    """Return what a safetensors file, from anyone, says under a key; its tensors are not read.

    Raises:
        OSError, ValueError: see `open_tensors`.
    """
    with open_tensors(path) as file:
        metadata: dict[str, str] = file.metadata() or {}
        return metadata.get(key)


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file, from anyone, as the library's `safe_open` does.

    The header is looked at before the library reads it, which takes many times its size.

    Raises:
        OSError: it cannot be opened. (The library says of any such file that it does not exist.)
        ValueError: it is damaged, or what is done with it meanwhile finds it so.
    """
    from safetensors import SafetensorError, safe_open

    check_regular(path)
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > MOST_HEADER:
            raise ValueError("its header is larger than that of any model")
        strings = STRING.finditer(file.read(size))
        if next(islice(strings, MOST_STRINGS, None), None):
            raise ValueError("its header lists more than any model has")
    try:
        with safe_open(path, "numpy") as tensors:  # unlike "pt" it takes names of any bytes
            yield tensors
    # The last two of a tensor whose type NumPy lacks, such as BF16 and F8_E4M3.
    except (SafetensorError, RecursionError, TypeError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(str(error)) from None


def spelled(path: str | Path) -> str:
    """Return a path as valid Unicode; bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode(errors="replace")


def quoted(path: str | Path) -> str:
    """Return a path as it is typed in a shell."""
    raw = os.fsencode(path)
    try:
        return shlex.quote(raw.decode())
    except UnicodeDecodeError:
        # $'...' takes Python's escapes; a double quote ahead makes Python put single ones around.
        return "$'" + repr(b'"' + raw)[3:]


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
