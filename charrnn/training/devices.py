"""How a GPU is used differently from a CPU: lower precision, and no reading of results in a step.

A GPU works through a queue of operations. Reading a result waits until the queue is empty, and then
the GPU idles until the queue is filled again. So a step reads nothing: see Trainer.update.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, distributed

from charrnn.config import require
from charrnn.errors import UsageError


def named(name: str) -> torch.device:
    """Return the device called auto, cpu or cuda; of several processes each has its own GPU.

    Raises:
        UsageError: there is no such device.
    """
    require(name in ("auto", "cpu", "cuda"), f"no device {name!r}; use auto, cpu or cuda")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise UsageError("torch finds no CUDA device here", "use --device cpu")
    if not found or name == "cpu":
        return torch.device("cpu")
    local = os.environ.get("LOCAL_RANK", "0") if distributed.is_initialized() else "0"
    number, count = int(local), torch.cuda.device_count()
    if number >= count:
        raise UsageError(
            f"more processes than GPUs on this machine ({count})",
            f"use --nproc-per-node {count}, or --device cpu",
        )
    torch.cuda.set_device(number)
    torch.set_float32_matmul_precision("high")  # TF32, for what `precision` leaves in float32
    return torch.device("cuda", number)


def queues(device: torch.device) -> bool:
    """Return whether a device works through a queue, so that reading a result takes long."""
    return device.type != "cpu"


def halves(device: torch.device) -> bool:
    """Return whether products are computed in bfloat16: on a GPU that can.

    A CPU that cannot is many times slower then.
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def precision(device: torch.device) -> AbstractContextManager[object]:
    """Compute products in the precision of the device; the weights stay in float32."""
    return torch.autocast(device.type, torch.bfloat16) if halves(device) else nullcontext()


def generator(device: torch.device, seed: int) -> torch.Generator:
    """Return a generator of the random numbers that are drawn on a device."""
    where = device if device.type == "cuda" else torch.device("cpu")
    return torch.Generator(where).manual_seed(seed)


def moved(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return integer tensors on a device, to which they are copied in one piece."""
    if not queues(device):
        return [*tensors]
    packed = torch.cat([tensor.flatten().to(torch.int32) for tensor in tensors])
    if device.type == "cuda":
        packed = packed.pin_memory()  # only then is it copied while the GPU works
    pieces = torch.split(packed.to(device, non_blocking=True), [t.numel() for t in tensors])
    return [
        piece.view(tensor.shape).to(tensor.dtype)
        for piece, tensor in zip(pieces, tensors, strict=True)
    ]
