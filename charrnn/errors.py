"""Every error that a user can see, as one tree.

CharrnnError            exit code 1
├── UsageError          exit code 2: an option, argument or field is invalid
├── TextError           a text cannot be read or decoded, or is too short
├── ModelFileError      a model file is missing, damaged or not from charrnn
├── RunError            a run folder cannot be created, written or resumed
└── TrainingError       training cannot continue (it diverged)
"""

import errno
import re
from collections.abc import Sequence

# Class name of a panic in a Rust extension: a BaseException that no module exports.
PANIC = "PanicException"
# Wording of memory exhaustion in messages of torch and the dynamic loader.
OUT_OF_MEMORY = re.compile(r"memory|bad_alloc|allocator|failed to map segment", re.IGNORECASE)


class CharrnnError(Exception):
    """An error shown to the user in one line: what is wrong, then what to do.

    Args:
        message: what is wrong, and where.
        hint: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.message}; {self.hint}" if self.hint else self.message
        # A file name or an operating system's message may hold line breaks.
        return " ".join(line.split())


class UsageError(CharrnnError):
    """An option, argument or field is invalid.

    Args:
        message: what is wrong, and where.
        hint: what the user can do about it.
        fields: field or argument names that the message mentions; the command line replaces them
            with the options that set them.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "", fields: Sequence[str] = ()) -> None:
        super().__init__(message, hint)
        self.fields = fields


class TextError(CharrnnError):
    """A text cannot be read or decoded, or is too short."""


class ModelFileError(CharrnnError):
    """A model file is missing, damaged or not from charrnn."""


class RunError(CharrnnError):
    """A run folder cannot be created, written or resumed."""


class TrainingError(CharrnnError):
    """Training cannot continue."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the machine or the GPU has run out of memory.

    torch raises RuntimeError ("DefaultCPUAllocator: can't allocate memory", "std::bad_alloc", "CUDA
    out of memory"), the dynamic loader ImportError, a memory map OSError, and safetensors either
    its own error or a Rust panic.
    """
    match error:
        case MemoryError():
            return True
        case OSError():
            return error.errno == errno.ENOMEM
        case RuntimeError() | ImportError():
            return bool(OUT_OF_MEMORY.search(str(error)))
    kind, said = type(error).__name__, str(error)
    return (kind == "SafetensorError" and "os error 12" in said) or (
        kind == PANIC and "pointer is null" in said
    )
