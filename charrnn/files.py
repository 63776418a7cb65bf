"""Atomic writes, locks, temporary files, safetensors files and the spelling of paths."""

import errno
import json
import os
import re
import secrets
import shlex
import stat
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedRandom
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import RunError, TextError, is_out_of_memory

DISK = "/var/tmp"  # folder for large temporary files; /tmp may be in memory
UNFINISHED = ".tmp"  # suffix of a file that is still being written
MOST_HEADER = 1 << 26  # maximum bytes of a safetensors header; a million subwords take half of it
MOST_STRINGS = 50_000  # maximum strings in that header; a thousand layers take 20,000
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)  # a JSON string, quotes included
FULL = {errno.ENOSPC, errno.EDQUOT}  # error numbers of a full disk or quota
LOCKED_BYTE = 2**31 - 2  # offset locked on Windows: the largest, beyond the end of any file


@contextmanager
def replacing(path: Path, private: bool = False) -> Iterator[BufferedRandom]:
    """Yield a new file that replaces `path` when the block ends without an error.

    The new file is flushed to disk and renamed, so a reader sees the old file or the new one, never
    a part. Each writer has a file of its own, which is removed on any error; a kill leaves it (see
    `tidy`). A symbolic link stays, and its target is replaced. A device is refused: /dev/null would
    become a file.

    Args:
        path: the file to write.
        private: whether only the user may read the file.

    Raises:
        OSError: the file cannot be written; the old one is unchanged.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    mode = 0o600 if private else 0o666
    try:
        with open(beside, "x+b", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            beside.unlink()
        raise


def check_target(path: str | os.PathLike[str]) -> None:
    """Check, before long work, that its result can be written to a file.

    Raises:
        RunError: the path is a folder, or its folder does not exist.
    """
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        wrong = errno.EISDIR if os.path.isdir(path) else errno.ENOENT
        raise RunError(f"cannot write {path}: {os.strerror(wrong)}", "name another file with -o")


def advice(error: OSError, other: str) -> str:
    """Return what to do about a failed write: free some space if there is none, or `other`."""
    return f"free some space, or {other}" if error.errno in FULL else other


def tidy(path: Path) -> None:
    """Remove unfinished files left by processes that were killed while they wrote `path`."""
    for left in path.parent.glob(f"{path.name}*{UNFINISHED}"):
        with suppress(OSError):
            left.unlink()


def write_atomically(path: Path, *data: bytes | memoryview) -> None:
    """Write a file as `replacing` does.

    Args:
        path: the file to write.
        data: parts of the content, in order.

    Raises:
        RunError: the file cannot be written; the old one is unchanged.
    """
    try:
        with replacing(path) as file:
            file.writelines(data)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            advice(error, "choose another folder with -o"),
        ) from None


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file atomically, without copying the tensors.

    The library's own functions hold two copies in memory, too much for a large vocabulary.

    Raises:
        RunError: the file cannot be written.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    start, parts = 0, []
    # Widest elements first, so that every tensor is aligned.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
        kind = f"{tensor.dtype.kind.upper()}{8 * tensor.itemsize}"  # for example F32
        stop = start + tensor.nbytes
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": (start, stop)}
        parts.append(np.ascontiguousarray(tensor).data)
        start = stop
    described = json.dumps(header, ensure_ascii=False).encode()
    described += b" " * (-len(described) % 8)
    write_atomically(path, len(described).to_bytes(8, "little"), described, *parts)


def checksum(tensors: Mapping[str, NDArray[Any]]) -> int:
    """Return the CRC-32 of the content of some tensors, which finds damage but no forgery."""
    found = 0
    for name in sorted(tensors):
        found = zlib.crc32(np.ascontiguousarray(tensors[name]).data, found)
    return found


def write_new(path: Path, text: str) -> None:
    """Create a file; never overwrite one.

    Raises:
        RunError: the file exists or cannot be written.
    """
    if path.exists():
        raise RunError(f"{path} exists already", "name another file")
    write_atomically(path, text.encode())


def append(path: Path, text: str) -> None:
    """Append a text to a file, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    with open(path, "ab", buffering=0) as file:
        whole = file.tell()
        data = text.encode()
        if file.write(data) != len(data):
            file.truncate(whole)  # the disk is full and took only a part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def lock(file: BinaryIO) -> bool:
    """Take an advisory lock on a file, held until the file is closed or the process dies.

    Processes that do not ask for the lock can still read and write the file.

    Args:
        file: the file, open for writing.

    Returns:
        False if another process holds the lock, else True, even on a file system without locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # PermissionError on Windows and NFS
        return False
    except OSError:
        pass
    return True


def is_missing(path: str | Path) -> bool:
    """Return whether a path does not exist; False if that cannot be determined."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def check_regular(path: str | Path) -> None:
    """Refuse a pipe or a device: opening a pipe without a writer blocks for ever.

    Raises:
        OSError: the path is neither a file nor a folder, does not exist or is not accessible.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def read_metadata(path: Path, key: str) -> str | None:
    """Return the metadata under a key of an untrusted safetensors file, without its tensors.

    Raises:
        OSError: see `open_tensors`.
        ValueError: see `open_tensors`.
    """
    with open_tensors(path) as file:
        metadata: dict[str, str] = file.metadata() or {}
        return metadata.get(key)


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """Open an untrusted safetensors file as the library's `safe_open` does.

    The header's size is checked first, since the library needs many times that much memory.

    Raises:
        OSError: the file cannot be opened, for the true reason; the library would say it is
            missing.
        ValueError: the file is damaged, even if that shows only within the block.
    """
    from safetensors import SafetensorError, safe_open

    check_regular(path)
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > MOST_HEADER:
            raise ValueError("it is not a safetensors file")
        strings = STRING.finditer(file.read(size))
        if next(islice(strings, MOST_STRINGS, None), None):
            raise ValueError("its header has too many entries")
    try:
        with safe_open(path, "numpy") as tensors:  # unlike "pt", it accepts paths of any bytes
            yield tensors
    # TypeError, AttributeError: element types NumPy lacks, such as BF16 and F8_E4M3.
    except (SafetensorError, RecursionError, TypeError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(str(error)) from None


def spelled(path: str | Path) -> str:
    """Return a path as valid Unicode; bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode(errors="replace")


def quoted(path: str | Path) -> str:
    """Return a path quoted for a shell."""
    raw = os.fsencode(path)
    try:
        return shlex.quote(raw.decode())
    except UnicodeDecodeError:
        # $'...' knows Python's escapes; the double quote in front makes repr() use single quotes.
        return "$'" + repr(b'"' + raw)[3:]


def temporary(mode: str, in_memory: int = 0, **options: Any) -> IO[Any]:
    """Open an unnamed temporary file on disk for data too large for memory.

    Args:
        mode: mode, as for `open`.
        in_memory: bytes up to which it stays in memory.
        options: other options of `open`.

    Raises:
        OSError: the file cannot be created.
    """
    from tempfile import SpooledTemporaryFile, TemporaryFile

    on_disk = "TMPDIR" not in os.environ and os.access(DISK, os.W_OK)
    options["dir"] = DISK if on_disk else None
    if in_memory:
        return SpooledTemporaryFile(in_memory, mode, **options)
    return TemporaryFile(mode, **options)


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Turn an OSError from writing a temporary file into an error for the user.

    Args:
        what: what is kept in the file, for the message.

    Raises:
        TextError: an OSError was raised within the block.
    """
    try:
        yield
    except OSError as error:
        raise TextError(
            f"cannot keep {what} in a temporary file: {error.strerror or error}",
            advice(error, "set TMPDIR to another folder"),
        ) from None
