"""Measures how fast a GPU trains, and how many streams it takes at about the same time a step."""

import time
from typing import NamedTuple

import torch
import torch.nn.functional as F

from charrnn.config import ModelConfig
from charrnn.errors import is_out_of_memory
from charrnn.training import devices
from charrnn.training.network import Network
from charrnn.training.optimizer import Optimizer
from charrnn.training.recipe import OPERATIONS, STREAMS, weights_multiplied

MODEL = ModelConfig(256, layers=1, hidden=512, embedding=64)  # the network that is timed
WINDOW = 64  # tokens of a window
LONGER = 1.5  # maximum time of a step with more streams, relative to STREAMS; not tuned
MOST = 8  # maximum number of streams, as a multiple of STREAMS: the learning rate is known so far
WARM_UP, STEPS = 3, 5  # steps with each number of streams; not tuned


class Probe(NamedTuple):
    """How fast a device trains.

    Attributes:
        speed: relative to the reference machine, see recipe.speed.
        streams: number of streams that it takes at once.
    """

    speed: float
    streams: int


def probe(device: torch.device) -> Probe:
    """Time training steps on a device, with more and more streams."""
    streams = STREAMS
    first = took = _seconds(device, streams)
    while streams < MOST * STREAMS:
        try:
            longer = _seconds(device, 2 * streams)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
        if longer > LONGER * first:
            break
        streams, took = 2 * streams, longer
    tokens = streams * WINDOW
    return Probe(6 * weights_multiplied(MODEL, tokens) * tokens / took / OPERATIONS, streams)


def _seconds(device: torch.device, streams: int) -> float:
    """Return the shortest time of a training step with some streams."""
    random = torch.Generator().manual_seed(0)
    network = Network(MODEL, random).to(device)
    optimizer = Optimizer(network, 1.0, 0.1)
    ids = torch.randint(MODEL.vocab_size, (WINDOW + 1, streams), generator=random).to(device)
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
