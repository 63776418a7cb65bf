"""What an error is."""

import errno

import pytest
from safetensors import SafetensorError

from charrnn.errors import is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        SafetensorError("Error while opening: Cannot allocate memory (os error 12)"),
        type("PanicException", (BaseException,), {})("PyObject pointer is null"),
    ],
)
def test_out_of_memory(error: BaseException) -> None:
    """Every way in which a machine says that its memory is full is known."""
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shape mismatch"), OSError(errno.ENOSPC, "No space left"), ValueError("memory")],
)
def test_other_errors(error: Exception) -> None:
    """Nothing else is taken for it."""
    assert not is_out_of_memory(error)
