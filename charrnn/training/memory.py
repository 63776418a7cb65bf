"""Checks that the machine has enough memory to train a network, before allocating any."""

from contextlib import suppress
from pathlib import Path

import psutil
import torch

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import TrainingError
from charrnn.network.cells import CELLS, parameter_count
from charrnn.training.sampled_softmax import sample_size

FLOAT = 4  # bytes in a float32
# Copies of each weight: itself, gradient, momentum, average, best average, and three to roll back.
COPIES = 8
PER_GATE = 3  # floats kept for each gate of a unit and token until the backward pass
PER_LOGIT = 2  # floats kept for each logit: its value and its gradient
ROOM = 1.5  # memory that a network may take, relative to its lower bound
LIMIT = Path("/sys/fs/cgroup/memory.max")  # memory limit of a Linux container, bytes or "max"


def needed(model: ModelConfig, training: TrainingConfig) -> int:
    """Return a lower bound of the memory that training takes, bytes.

    Networks of 100 MB to 2 GB took 1.2 to 1.4 times as much; hence ROOM.
    """
    tokens = training.batch * training.bptt
    units = model.layers * model.hidden
    activations = PER_GATE * CELLS[model.cell].gates * units
    logits = PER_LOGIT * sample_size(model.vocab_size, tokens)
    return FLOAT * (COPIES * parameter_count(model) + tokens * (activations + logits))


def fits(model: ModelConfig, training: TrainingConfig, device: torch.device) -> bool:
    """Return whether the network very likely fits in the free memory of a device."""
    return ROOM * needed(model, training) <= _free(device)


def check(model: ModelConfig, training: TrainingConfig, device: torch.device) -> None:
    """Check that the network may fit in the free memory of a device.

    Raises:
        TrainingError: it certainly does not.
    """
    free, bytes_needed = _free(device), needed(model, training)
    if bytes_needed > free:
        raise TrainingError(
            f"not enough memory: training this network takes {_gigabytes(bytes_needed)} or more, "
            f"but only {_gigabytes(free)} is free",
            "give a smaller --hidden, --layers, --batch or --bptt",
        )


def _free(device: torch.device) -> int:
    """Return the free memory of a device, bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free: int = psutil.virtual_memory().available + psutil.swap_memory().free
    with suppress(OSError, ValueError):  # not Linux, or no limit
        free = min(free, int(LIMIT.read_text()))
    return free


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
