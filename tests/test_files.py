"""Files are written whole or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from charrnn.errors import RunError
from charrnn.files import append, write_atomically, write_new, write_tensors


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
        """A file is replaced, even after a kill has left a part of one beside it."""
        (tmp_path / "model").write_bytes(b"old and longer")
        (tmp_path / "model.tmp").write_bytes(b"a part of one, longer than the whole")
        write_atomically(tmp_path / "model", b"new")
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]

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
