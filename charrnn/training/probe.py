"""Measures how fast a GPU trains, and how many streams take about the same time per step.

A GPU makes many times as many operations per second in a large network as in a small one, so larger
ones are timed as long as the choice depends on it.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

from charrnn.config import ModelConfig
from charrnn.errors import is_out_of_memory
from charrnn.training import devices
from charrnn.training.network import Network
from charrnn.training.optimizer import Optimizer
from charrnn.training.recipe import OPERATIONS, STREAMS, weights_multiplied

UNITS = 512  # units of the smallest network that is timed
VOCAB_SIZE, EMBEDDING = 256, 64  # of the networks that are timed
WINDOW = 64  # tokens of a window
LONGER = 1.5  # maximum time of a step with more streams, relative to STREAMS; not tuned
MOST = 8  # maximum number of streams, as a multiple of STREAMS, up to which recipe.py scales --lr
WARM_UP, STEPS = 3, 5  # steps with each number of streams; not tuned


class Probe(NamedTuple):
    """How fast a device trains.

    Attributes:
        speed: relative to the reference machine, see recipe.speed.
        streams: number of streams to train at once.
        units: units of a layer of the network that was timed.
    """

    speed: float
    streams: int
    units: int


def probe(device: torch.device, units: Callable[[float], int]) -> Probe:
    """Time training steps on a device.

    Args:
        device: the device.
        units: returns the units of a layer to choose, given the speed of the device.

    Returns:
        What was measured with at least the units chosen, or with the most that fit into memory.
    """
    found = _probed(device, UNITS)
    while (more := units(found.speed)) > found.units:
        try:
            found = _probed(device, more)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
    return found


def _probed(device: torch.device, units: int) -> Probe:
    """Time a network with this many units per layer, with more and more streams."""
    model = ModelConfig(VOCAB_SIZE, layers=1, hidden=units, embedding=EMBEDDING)
    first = seconds = _seconds(device, model, STREAMS)
    streams = STREAMS
    while streams < MOST * STREAMS:
        try:
            longer = _seconds(device, model, 2 * streams)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
        if longer > LONGER * first:
            break
        streams, seconds = 2 * streams, longer
    tokens = streams * WINDOW
    speed = 6 * weights_multiplied(model, tokens) * tokens / seconds / OPERATIONS
    return Probe(speed, streams, units)


def _seconds(device: torch.device, model: ModelConfig, streams: int) -> float:
    """Return the shortest time of a training step with some streams."""
    random = torch.Generator().manual_seed(0)
    network = Network(model, random).to(device)
    optimizer = Optimizer(network, 1.0, 0.1)
    ids = torch.randint(model.vocab_size, (WINDOW + 1, streams), generator=random).to(device)
    took = []
    for _ in range(WARM_UP + STEPS):
        began = time.perf_counter()
        with devices.precision(device):
            logits, _ = network(ids[:-1], network.zero_state(streams))
            loss = F.cross_entropy(logits.flatten(0, 1), ids[1:].flatten())
        torch.autograd.backward(loss)
        optimizer.step(torch.full((), 0.01, device=device)).item()  # waits for the device
        took.append(time.perf_counter() - began)
    return min(took[WARM_UP:])
