"""Whether the machine has the memory that training a network takes, before any is taken."""

from contextlib import suppress
from pathlib import Path

import psutil

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import TrainingError
from charrnn.network.cells import CELLS, parameter_count
from charrnn.training.sampled_softmax import sample_size

FLOAT = 4  # bytes
# Weights, gradients, momentum, average, the best average, and a copy of three of them to return to.
COPIES = 8
PER_GATE = 3  # numbers kept for each gate of a unit and token until the gradient has come back
PER_LOGIT = 2
LIMIT = Path("/sys/fs/cgroup/memory.max")  # what a Linux container may use, or "max"


def needed(model: ModelConfig, training: TrainingConfig) -> int:
    """Return the bytes that training takes at the least.

    Networks of 100 MB to 2 GB took 1.2 to 1.4 times as much.
    """
    tokens = training.batch * training.bptt
    units = model.layers * model.hidden
    activations = PER_GATE * CELLS[model.cell].gates * units
    logits = PER_LOGIT * sample_size(model.vocab_size, tokens)
    return FLOAT * (COPIES * parameter_count(model) + tokens * (activations + logits))


def check(model: ModelConfig, training: TrainingConfig) -> None:
    """Check that the network can be trained in the memory that is free.

    Raises:
        TrainingError: it certainly cannot.
    """
    free = psutil.virtual_memory().available + psutil.swap_memory().free
    with suppress(OSError, ValueError):  # no Linux, or no limit
        free = min(free, int(LIMIT.read_text()))
    if (bytes_needed := needed(model, training)) > free:
        raise TrainingError(
            f"not enough memory: training this network takes {_gigabytes(bytes_needed)} or more, "
            f"{_gigabytes(free)} are free",
            "give a smaller --hidden, --layers, --batch or --bptt",
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
