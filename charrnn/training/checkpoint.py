"""The resume file: all that training needs to go on exactly, as safetensors beside the model."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from charrnn.checked import is_of, parsed
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import CharrnnError, RunError, is_out_of_memory
from charrnn.files import checksum, open_tensors, write_tensors
from charrnn.network.cells import CELLS, tensor_shapes
from charrnn.runs import RESUME_KEY
from charrnn.tokenizer import Tokenizer

FORMAT = 4  # version of the layout; a file of another one is refused
MOST_STEPS = 2**40  # bound on a number of updates read from a file; no training reaches it

Bounds = tuple[type, float, float]  # type, minimum and maximum of a number in the file


def save(path: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write tensors and JSON values, atomically.

    Raises:
        RunError: the file cannot be written.
    """
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    values = {"format": FORMAT, "checksum": checksum(arrays)} | values
    description = json.dumps(values)  # ASCII: file names may be invalid UTF-8
    write_tensors(path, arrays, {RESUME_KEY: description})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote.

    Raises:
        RunError: the file is missing, unreadable, damaged or of another format.
    """
    try:
        with open_tensors(path) as file:
            metadata = file.metadata() or {}
            if RESUME_KEY not in metadata:
                raise ValueError("it was not written by charrnn")
            values = parsed(metadata[RESUME_KEY], finite=False)
            written = values.get("format", "unknown")
            if written != FORMAT:
                raise RunError(
                    f"{path} has format {written}; this version resumes {FORMAT}",
                    "start a new run, or use the version that wrote it",
                )
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
        if values.get("checksum") not in (None, checksum(arrays)):  # older files have none
            raise ValueError("its content has changed since it was written")
        return {name: torch.from_numpy(array) for name, array in arrays.items()}, values
    except FileNotFoundError:
        raise RunError(
            f"nothing to resume: {path} does not exist",
            "start without --resume, or name a run with -m",
        ) from None
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}", "start a new run") from None


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Report an error in the `with` block, which checks data from `path`, as damage to the file.

    Raises:
        RunError: the block found that the file is not what `save` wrote.
    """
    try:
        yield
    except KeyError as error:
        raise RunError(f"{path} is damaged: it lacks {error}", "start a new run") from None
    except (ValueError, RuntimeError, CharrnnError) as error:
        if is_out_of_memory(error):
            raise
        raise RunError(f"{path} is damaged: {error}", "start a new run") from None


def check_number(name: str, value: Any, kind: type, least: float, most: float) -> None:
    """Check the type and range of a number that was read.

    Args:
        name: its name in the error message.
        value: the number; a float may also be NaN or infinite if `most` is infinite.
        kind: bool, int or float.
        least: the minimum.
        most: the maximum.

    Raises:
        ValueError: the number has another type or is out of range.
    """
    free = kind is float and most == math.inf and isinstance(value, float)
    if not free and not (is_of(value, kind) and least <= value <= most):
        raise ValueError(f"its {name} cannot be {value!r:.40}")


def check_sizes(
    tensors: Mapping[str, Tensor],
    network: ModelConfig,
    training: TrainingConfig,
    tokenizer: Tokenizer,
) -> None:
    """Check that the configurations fit the tensors, before allocating memory.

    Raises:
        ValueError: a tensor has another shape, or the vocabulary another size.
        KeyError: a tensor is missing.
    """
    shapes = {f"network.{name}": shape for name, shape in tensor_shapes(network).items()}
    shapes["hidden.0"] = (CELLS[network.cell].states, training.batch, network.hidden)
    if any(tuple(tensors[name].shape) != shape for name, shape in shapes.items()):
        raise ValueError("its tensors do not match its configuration")
    if network.vocab_size != tokenizer.vocab_size:
        raise ValueError("its tokenizer and its network differ in vocabulary size")


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix` and a dot, under the rest of the name."""
    start = prefix + "."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def nest(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix` and a dot before each name; the opposite of `under`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def clone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of the tensors, detached from the graph."""
    return {name: torch.clone(tensor.detach()) for name, tensor in tensors.items()}
