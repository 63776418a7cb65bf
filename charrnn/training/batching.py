"""Windows of text for truncated backpropagation through time."""

from functools import lru_cache

import torch
from torch import Tensor

SEGMENT = 8  # windows that a head reads on end; the next ones are elsewhere in the text


class Streams:
    """B heads reading one text in segments, shuffled anew in every pass.

    A head reads a segment window by window and goes on with another, its hidden state carried
    over: near places of a text are alike, and heads that stayed in theirs would train on few
    subjects at a time. The segments of a pass part the text, taken as a circle from another
    start each time. The whole position is one number.

    Args:
        ids: the text's token ids, integers [N].
        batch: heads, B.
        bptt: tokens in a window, T.
        seed: of the shuffling.
    """

    def __init__(self, ids: Tensor, batch: int, bptt: int, seed: int = 0) -> None:
        self.ids = ids
        self.batch = batch
        self.bptt = bptt
        self.seed = seed
        self.position = 0  # windows read by each head
        self._windows = max(1, min(SEGMENT, len(ids) // (batch * bptt)))  # in a segment
        self._turn = -1
        self._starts = torch.zeros(0)
        # A turn may end one pass and begin the next.
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def next(self) -> tuple[Tensor, Tensor]:
        """The next window and, for each of its tokens, the one that follows; int64 [T, B] both."""
        turn, window = divmod(self.position, self._windows)
        if turn != self._turn:
            self._turn, self._starts = turn, self._segments(turn)
        offsets = torch.arange(self.bptt + 1)[:, None] + window * self.bptt
        self.position += 1
        tokens = self.ids[(offsets + self._starts) % len(self.ids)].long()
        return tokens[:-1], tokens[1:]

    def _segments(self, turn: int) -> Tensor:
        """Where the heads start in a turn, [B]."""
        length = self._windows * self.bptt
        count = max(1, len(self.ids) // length)
        places = torch.arange(turn * self.batch, (turn + 1) * self.batch)
        starts = torch.empty_like(places)
        for number in torch.unique(places // count).tolist():
            order, shift = self._order(number, count)
            here = places // count == number
            starts[here] = order[places[here] % count] * length + shift
        return starts

    def _shuffled(self, number: int, count: int) -> tuple[Tensor, Tensor]:
        """The order of a pass's segments, and where on the circle the first of them starts."""
        generator = torch.Generator().manual_seed((self.seed + number) % 2**63)
        order = torch.randperm(count, generator=generator)
        return order, torch.randint(len(self.ids), (), generator=generator)
