"""The processes that train one network together, as torchrun starts them.

torchrun numbers them: rank 0 leads, that is, it alone decides, validates, writes and prints. The
others follow it, see lockstep.py. Each reads its own share of the streams, from the same text.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from charrnn.errors import RunError
from charrnn.training.interrupts import ending_signals


class LostRank(RunError):
    """Another process of this training has ended, or cannot be reached."""


class Ranks:
    """The processes of a training; by default, this one alone.

    Args:
        rank: number of this process, from 0.
        size: number of processes.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        stopping: whether `agree` has told that some process was asked to stop.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self.stopping = False

    @classmethod
    def joined(cls) -> "Ranks":
        """Return the processes that torchrun started, once all of them are there.

        Raises:
            LostRank: they do not find each other.
        """
        if os.environ.get("WORLD_SIZE", "1") == "1":
            return ALONE
        from torch import distributed
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        with _together(), ending_signals():
            store, rank, size = next(rendezvous("env://"))
            if os.environ.get("LOCAL_WORLD_SIZE") == str(size):
                # On one machine torchrun keeps its store when it restarts the processes: they must
                # not find the addresses of those that have ended.
                attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
                store = PrefixStore(attempt, store)
            # gloo for tensors on the CPU, nccl for those on GPUs
            distributed.init_process_group(store=store, rank=rank, world_size=size)
        return cls(rank, size)

    def part(self, count: int) -> slice:
        """Return the share of `count` things, such as streams, that is this process's."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def agree(self, numbers: Sequence[float], stop: bool = False) -> list[float]:
        """Return rank 0's numbers to all, and learn whether any process was asked to stop.

        Args:
            numbers: of rank 0; the others give as many.
            stop: whether this process was asked to stop.
        """
        mine = [*numbers] if self.rank == 0 else [0.0] * len(numbers)
        shared = torch.tensor([*mine, float(stop)], dtype=torch.float64)
        self._add(shared)
        *theirs, stops = shared.tolist()
        self.stopping = self.stopping or stops > 0
        return theirs

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Copy rank 0's tensors into those of the others."""
        for tensor in tensors:
            self._copy(tensor)

    def share_json(self, values: Any = None) -> Any:
        """Return rank 0's JSON values to all."""
        data = torch.frombuffer(bytearray(json.dumps(values).encode()), dtype=torch.uint8)
        (size,) = self.agree([len(data)])
        if self.rank:
            data = torch.empty(int(size), dtype=torch.uint8)
        self.share([data])
        return json.loads(data.numpy().tobytes())

    def whole(self, part: Tensor, streams: int) -> Tensor:
        """Return the states of all streams, float32 [S, B, H], from each process's share of them.

        Args:
            part: the states of this process's streams.
            streams: B.
        """
        whole = part.new_zeros(part.size(0), streams, part.size(2))
        whole[:, self.part(streams)] = part
        self._add(whole)
        return whole

    def mean_gradients(
        self, parameters: Sequence[nn.Parameter], loss: Tensor, tokens: Tensor
    ) -> Tensor:
        """Replace the gradients by their mean over the tokens of all processes.

        Args:
            parameters: have the gradient of the sum of this process's losses.
            loss: the sum of this process's losses, nats.
            tokens: the number of its tokens.

        Returns:
            The mean loss of all processes, nats per token.
        """
        gradients = [_gradient(parameter) for parameter in parameters]
        flat = torch.cat([*(each.flatten() for each in gradients), torch.stack([loss, tokens])])
        self._add(flat)
        flat = flat / flat[-1].clamp(min=1)
        pieces = torch.split(flat[:-2], [each.numel() for each in gradients])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)
        return flat[-2]

    def divided(self, work: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Return what `work`, which treats each row alone, makes of the rows; they are shared out.

        Args:
            work: returns a tensor of the shape of its argument.
            rows: float [N, ...].
        """
        if self.size == 1:
            return work(rows)
        each = math.ceil(len(rows) / self.size)
        padded = rows.new_zeros(each * self.size, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [*padded.chunk(self.size)]
        self._collect(parts, work(parts[self.rank]).contiguous())
        return padded[: len(rows)]

    def _add(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes."""
        from torch import distributed

        with _together():
            distributed.all_reduce(tensor)

    def _copy(self, tensor: Tensor) -> None:
        """Replace a tensor by rank 0's."""
        from torch import distributed

        with _together():
            distributed.broadcast(tensor, 0)

    def _collect(self, parts: list[Tensor], mine: Tensor) -> None:
        """Replace each of the tensors by that of the process with this rank."""
        from torch import distributed

        with _together():
            distributed.all_gather(parts, mine)


ALONE = Ranks()


@contextmanager
def _together() -> Iterator[None]:
    """Report that another process is lost."""
    try:
        yield
    except RuntimeError as error:
        raise LostRank(
            "another process of this training has ended or cannot be reached",
            "see the message of the process that failed first",
        ) from error


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
