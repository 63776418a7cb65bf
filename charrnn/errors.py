"""Everything that can go wrong for a user, as one tree.

CharrnnError            exit code 1
├── UsageError          exit code 2: an option or argument makes no sense
├── TextError           a text cannot be read, decoded or is too short
├── ModelFileError      a model file is missing, damaged or not ours
├── RunError            a run folder cannot be made, written or resumed
└── TrainingError       training cannot go on (it diverged)
"""

import errno
import re
from collections.abc import Sequence

PANIC = "PanicException"  # of libraries in Rust; no Exception, and not to be imported
OUT_OF_MEMORY = re.compile(r"memory|bad_alloc|allocator|failed to map segment", re.IGNORECASE)


class CharrnnError(Exception):
    """A failure told to the user in one line: what is wrong, then what to do.

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
    """An option, argument or field makes no sense.

    Args:
        message: what is wrong, and where.
        hint: what the user can do about it.
        fields: names of fields or arguments in the message; the command line names the options
            that stand for them.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "", fields: Sequence[str] = ()) -> None:
        super().__init__(message, hint)
        self.fields = fields


class TextError(CharrnnError):
    pass


class ModelFileError(CharrnnError):
    pass


class RunError(CharrnnError):
    pass


class TrainingError(CharrnnError):
    pass


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine, or the GPU, has too little memory, in any of the ways it is told.

    torch raises RuntimeError ("DefaultCPUAllocator: can't allocate memory", "std::bad_alloc", "CUDA
    out of memory"), the loader of a shared library ImportError, a mapped file OSError, safetensors
    an error of its own or, as libraries in Rust do, a panic.
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
