"""Files are written whole or not at all."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from charrnn.errors import RunError
from charrnn.files import (
    append,
    lock,
    quoted,
    spelled,
    tidy,
    write_atomically,
    write_new,
    write_tensors,
)


class TestWriteAtomically:
    @pytest.mark.parametrize("name", ["replace", "fsync"])
    @pytest.mark.parametrize("before", [b"old", None])
    def test_no_space(
        self, name: str, before: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When writing fails what was there before stays and nothing is left beside it."""
        path = tmp_path / "model"
        if before is not None:
            path.write_bytes(before)

        def fail(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, name, fail)
        with pytest.raises(RunError, match="No space left on device") as caught:
            write_atomically(path, b"new")
        assert str(path) in str(caught.value)
        assert caught.value.hint
        assert [p.read_bytes() for p in tmp_path.iterdir()] == ([before] if before else [])

    def test_killed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before the new file is on disk the old one is still there, and then the new one whole."""
        path = tmp_path / "model"
        path.write_bytes(b"old")
        seen: list[bytes] = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)

            def watched(*arguments: Any, real: Callable[..., Any] = real) -> None:
                seen.append(path.read_bytes())
                real(*arguments)
                seen.append(path.read_bytes())

            monkeypatch.setattr(os, name, watched)
        write_atomically(path, b"new")
        assert seen == [b"old", b"old", b"old", b"new"]
        assert [*tmp_path.iterdir()] == [path]

    def test_replaces(self, tmp_path: Path) -> None:
        """A file is replaced."""
        (tmp_path / "model").write_bytes(b"old and longer")
        write_atomically(tmp_path / "model", b"new")
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]

    def test_link(self, tmp_path: Path) -> None:
        """A symbolic link stays one; the file that it points to is written, existing or not."""
        (tmp_path / "there").mkdir()
        link, target = tmp_path / "link", tmp_path / "there" / "file"
        link.symlink_to(target)
        for text in ("first", "second"):
            write_atomically(link, text.encode())
            assert link.is_symlink()
            assert target.read_text() == text
        assert os.listdir(tmp_path / "there") == ["file"]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_device(self, tmp_path: Path) -> None:
        """What is no file, such as a pipe or /dev/null, is neither replaced nor written."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with pytest.raises(RunError, match="pipe or a device"):
            write_atomically(pipe, b"text")
        assert pipe.is_fifo()

    @pytest.mark.parametrize("name", ["replace", "fsync"])
    def test_interrupted(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C in the midst of writing leaves what was there before, and nothing beside it."""
        path = tmp_path / "model"
        path.write_bytes(b"old")

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"new")
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]

    def test_two_writers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two that write one file at once do not write into each other's; the last one stays."""
        path = tmp_path / "model"
        replace = os.replace

        def while_another_writes(*paths: Path) -> None:
            monkeypatch.setattr(os, "replace", replace)
            write_atomically(path, b"the other one's, and longer")
            assert path.read_bytes() == b"the other one's, and longer"
            replace(*paths)

        monkeypatch.setattr(os, "replace", while_another_writes)
        write_atomically(path, b"one's")
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"one's"]

    @pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_permissions(self, mask: int, tmp_path: Path) -> None:
        """Who may read the file is what the user's umask says, as for every new file."""
        before = os.umask(mask)
        try:
            write_atomically(tmp_path / "model", b"new")
        finally:
            os.umask(before)
        assert (tmp_path / "model").stat().st_mode & 0o777 == 0o666 & ~mask

    @pytest.mark.parametrize("path", ["none/model", "file/model", "x" * 300, "folder"], ids=str)
    def test_impossible_path(self, path: str, tmp_path: Path) -> None:
        """A path that nothing can be written to is told in one line."""
        (tmp_path / "file").write_text("a file")
        (tmp_path / "folder").mkdir()
        with pytest.raises(RunError) as caught:
            write_atomically(tmp_path / path, b"new")
        assert "\n" not in str(caught.value)
        assert {p.name for p in tmp_path.iterdir()} == {"file", "folder"}


def test_tensors(tmp_path: Path) -> None:
    """The safetensors library reads what was written, of every kind and shape."""
    kinds = (np.uint8, np.int16, np.uint16, np.int64, np.float16, np.float32)
    shapes = ((), (0,), (3,), (2, 5))
    tensors = {
        f"{np.dtype(kind)} {shape}": np.arange(np.prod(shape, dtype=int))
        .astype(kind)
        .reshape(shape)
        for kind in kinds
        for shape in shapes
    }
    tensors["turned"] = tensors["float32 (2, 5)"].T
    write_tensors(tmp_path / "file", tensors, {"about": "ÿ ☃"})
    with safe_open(tmp_path / "file", "numpy") as file:
        assert file.metadata() == {"about": "ÿ ☃"}
        assert {*file.keys()} == {*tensors}
        for name, tensor in tensors.items():
            read = file.get_tensor(name)
            assert read.dtype == tensor.dtype
            assert np.array_equal(read, tensor)


def test_tidy(tmp_path: Path) -> None:
    """What killed writers left of a file is removed, and nothing else."""
    for name in ("model", "model.12ab34cd.tmp", "model.tmp", "other.12ab34cd.tmp", "tmp"):
        (tmp_path / name).touch()
    tidy(tmp_path / "model")
    assert {p.name for p in tmp_path.iterdir()} == {"model", "other.12ab34cd.tmp", "tmp"}


class TestLock:
    def test_one_at_a_time(self, tmp_path: Path) -> None:
        """A file is locked once, until it is closed; it can be read and appended to meanwhile."""
        path = tmp_path / "log"
        with open(path, "ab") as file, open(path, "ab") as other:
            assert lock(file)
            assert not lock(other)
            append(path, "text")
            assert path.read_text() == "text"
        with open(path, "ab") as other:
            assert lock(other)

    @pytest.mark.skipif(os.name != "posix", reason="needs locks of POSIX")
    @pytest.mark.parametrize(
        ("number", "locked"),
        [(errno.EAGAIN, False), (errno.EACCES, False), (errno.ENOLCK, True), (errno.ENOSYS, True)],
    )
    def test_file_systems(
        self, number: int, locked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a file system without locks everyone has the lock; NFS may refuse it by EACCES."""

        def flock(*_: Any) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("fcntl.flock", flock)
        with open(tmp_path / "log", "ab") as file:
            assert lock(file) == locked


@pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")
@pytest.mark.parametrize(
    "name",
    [b"run", b"two words", b"it's", b"\xff", b"\xff'\"$a`\\ \n", "é ☃".encode(), b"\xc3"],
)
def test_names(name: bytes) -> None:
    """A name of any bytes is spelled in characters, and typed in a shell it is that name again."""
    path = os.fsdecode(name)
    assert spelled(path).encode().decode() == name.decode(errors="replace")
    said = subprocess.run(["bash", "-c", f"printf %s {quoted(path)}"], capture_output=True)
    assert said.stdout == name
    assert spelled(Path(path)) == spelled(path)


class TestAppend:
    def test_appends(self, tmp_path: Path) -> None:
        """Text comes after what is there, in a file that need not be."""
        for text in ("", "one\n", "zwei ☃"):
            append(tmp_path / "file", text)
        assert (tmp_path / "file").read_text(encoding="utf-8") == "one\nzwei ☃"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
    def test_full(self) -> None:
        """A full disk is an error."""
        with pytest.raises(OSError, match="No space"):
            append(Path("/dev/full"), "text")

    def test_a_part(self, tmp_path: Path) -> None:
        """What a disk takes of a text that it has no room for is taken away again."""
        resource = pytest.importorskip("resource")
        path = tmp_path / "file"
        path.write_text("before\n")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal = pytest.importorskip("signal")
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            with pytest.raises(OSError, match="No space"):
                append(path, "x" * 1000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert path.read_text() == "before\n"


def test_write_new(tmp_path: Path) -> None:
    """A file that exists is left alone."""
    path = tmp_path / "notes.txt"
    write_new(path, "Café")
    with pytest.raises(RunError, match="exists already"):
        write_new(path, "other")
    assert path.read_text(encoding="utf-8") == "Café"
