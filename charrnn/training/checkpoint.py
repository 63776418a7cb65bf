"""All that training needs to go on exactly, as one safetensors file beside the model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from charrnn.errors import RunError
from charrnn.files import write_tensors
from charrnn.model_file import RESUME_KEY

FORMAT = 4


def save(path: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write tensors and JSON values, atomically.

    Raises:
        RunError: the file cannot be written.
    """
    description = json.dumps({"format": FORMAT} | values)  # names of files may be no UTF-8
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    write_tensors(path, arrays, {RESUME_KEY: description})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote.

    Raises:
        RunError: the file is missing, damaged or of another format.
    """
    try:
        with safe_open(path, "pt") as file:
            values = json.loads((file.metadata() or {})[RESUME_KEY])
            if values["format"] != FORMAT:
                raise RunError(
                    f"{path} is of format {values['format']!r}, this charrnn resumes {FORMAT}",
                    "start a new run, or use the charrnn that wrote it",
                )
            return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(
            f"nothing to resume: {path} does not exist",
            "start without --resume, or name a run with -o",
        ) from None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{path} cannot be resumed from: {error}", "start a new run") from None


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix` and a dot, without it."""
    start = prefix + "."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def nest(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The opposite of `under`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def clone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.clone(tensor.detach()) for name, tensor in tensors.items()}
