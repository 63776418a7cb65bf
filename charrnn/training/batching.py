"""Batches of windows for truncated backpropagation through time, from running text or documents."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from charrnn.training import devices

# Target id that adds nothing to the loss; the default of torch.nn.functional.cross_entropy.
IGNORED = -100
# Windows that a stream reads in sequence before it jumps to another segment. Shuffled segments
# lowered the validation loss by 1 to 4 % against streams that stay in their part of the text; the
# number is not tuned.
SEGMENT = 8
ALL = slice(None)
ABOUT = (0.9, 1.1)  # documents that are read side by side differ in length by such factors


class Batch(NamedTuple):
    """Windows of B streams.

    Attributes:
        inputs: token ids, int64 [T, B].
        targets: the token that follows each of them, int64 [T, B]; IGNORED past the end of a
            document.
        fresh: the streams that start from a zero state, bool [B]; None for running text.
        in_source: which targets are part of a record's source, bool [T, B]; None without records.
    """

    inputs: Tensor
    targets: Tensor
    fresh: Tensor | None = None
    in_source: Tensor | None = None


def on_device(batches: Sequence[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches on a device, to which they are copied together."""
    fields = [field for batch in batches for field in batch if field is not None]
    there = iter(devices.moved(fields, device))
    for batch in batches:
        yield Batch(*(None if field is None else next(there) for field in batch))  # type: ignore[arg-type]


class Documents(NamedTuple):
    """Where the documents of a text are.

    Attributes:
        ends: index after the last token of each document, int64 [D].
        targets: index of the first token of each record's target, int64 [D]; None without records.
    """

    ends: Tensor
    targets: Tensor | None = None

    @property
    def lengths(self) -> Tensor:
        """Tokens of each document, int64 [D]."""
        return self.ends.diff(prepend=self.ends.new_zeros(1))

    @property
    def target_tokens(self) -> int | None:
        """Tokens of all targets together; None without records."""
        return None if self.targets is None else int((self.ends - self.targets).sum())


class Streams:
    """Batches from B streams that read one text in segments, reshuffled every epoch.

    A stream reads a segment window by window, then goes on with another one and keeps its hidden
    state. Neighbouring passages are alike: streams that stayed in one part of the text would train
    on few subjects at a time. Each epoch partitions the text, viewed as a ring with a random
    offset, into segments. Only `position` is saved.

    Args:
        ids: token ids of the text, integers [N].
        batch: number of streams, B.
        bptt: window length in tokens, T.
        seed: seed of the shuffling.
        part: the streams to return; by default all.

    Attributes:
        position: windows that each stream has read.
    """

    def __init__(
        self, ids: Tensor, batch: int, bptt: int, seed: int = 0, part: slice = ALL
    ) -> None:
        self.ids = ids
        self.batch = batch
        self.bptt = bptt
        self.seed = seed
        self.position = 0
        self._windows = max(1, min(SEGMENT, len(ids) // (batch * bptt)))  # in a segment
        self._round = -1
        self._starts = torch.zeros(0)
        self._part = part
        # A round, in which every stream reads one segment, may end one epoch and begin the next.
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def tokens_per_step(self) -> float:
        """Tokens in a batch, all streams together."""
        return self.batch * self.bptt

    def next(self) -> Batch:
        """Return this part of the next batch, and advance `position`."""
        number, window = divmod(self.position, self._windows)
        if number != self._round:
            self._round, self._starts = number, self._segments(number)[self._part]
        offsets = torch.arange(self.bptt + 1)[:, None] + window * self.bptt
        self.position += 1
        tokens = self.ids[(offsets + self._starts) % len(self.ids)].long()
        return Batch(tokens[:-1], tokens[1:])

    def _segments(self, number: int) -> Tensor:
        """Return where each stream's segment starts in this round, [B]."""
        length = self._windows * self.bptt
        count = max(1, len(self.ids) // length)
        segments = torch.arange(number * self.batch, (number + 1) * self.batch)
        starts = torch.empty_like(segments)
        for epoch in torch.unique(segments // count).tolist():
            order, offset = self._order(epoch, count)
            here = segments // count == epoch
            starts[here] = order[segments[here] % count] * length + offset
        return starts

    def _shuffled(self, epoch: int, count: int) -> tuple[Tensor, Tensor]:
        """Return the order of an epoch's segments and the offset of the first one on the ring."""
        generator = torch.Generator().manual_seed((self.seed + epoch) % 2**63)
        order = torch.randperm(count, generator=generator)
        return order, torch.randint(len(self.ids), (), generator=generator)


class Windows:
    """Documents cut into windows of T tokens; the last window of each is padded.

    The token before a document, from which its first token is predicted, is the end token of the
    document before it. All documents end with the same token.

    Args:
        ids: token ids of all documents, integers [N].
        documents: where they are.
        length: window length in tokens, T.
        order: order in which documents are read, [D]; by default as they are stored.
    """

    def __init__(
        self, ids: Tensor, documents: Documents, length: int, order: Tensor | None = None
    ) -> None:
        self._ids = ids
        self._ends, self._targets = documents
        self._length = length
        self._order = torch.arange(len(self._ends)) if order is None else order
        # Cumulative count of windows per document, [D]; an entry per window would be too large.
        self._behind = self._counts(*self._spans(self._order)).cumsum(0)

    def __len__(self) -> int:
        return int(self._behind[-1])

    def read(self, which: Tensor) -> Batch:
        """Return the windows with these indices, int64 [B]; those that begin a document are fresh.

        They are as long as the longest of them, at most T tokens.
        """
        document = torch.searchsorted(self._behind, which, right=True)
        starts, ends = self._spans(self._order[document])
        window = which - (self._behind[document] - self._counts(starts, ends))
        first = starts + window * self._length
        length = min(self._length, int((ends - first).max()))
        at = first + torch.arange(length)[:, None]
        inside = at < ends
        in_source = None if self._targets is None else at < self._targets[self._order[document]]
        at = at.clamp(max=len(self._ids) - 1)
        targets = torch.where(inside, self._ids[at].long(), IGNORED)
        return Batch(self._ids[at - 1].long(), targets, window == 0, in_source)

    def _spans(self, documents: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each of the documents starts and ends."""
        return torch.where(documents > 0, self._ends[documents - 1], 0), self._ends[documents]

    def _counts(self, starts: Tensor, ends: Tensor) -> Tensor:
        """Return how many windows each document takes."""
        return -(-(ends - starts) // self._length)


class DocumentStreams:
    """Batches from B streams that read documents, reshuffled every epoch.

    Each document begins in a window of its own, from a zero state. An epoch is cut into B strips of
    equal length, one per stream; a strip that begins within a document starts from a zero
    state too. Only `position` is saved.

    Args:
        ids: token ids of all documents, integers [N].
        documents: where they are.
        batch: number of streams, B.
        bptt: window length in tokens, T.
        seed: seed of the shuffling.
        part: the streams to return; by default all.

    Attributes:
        position: windows that each stream has read.
        tokens_per_step: tokens in a batch without padding, on average.
    """

    def __init__(
        self,
        ids: Tensor,
        documents: Documents,
        batch: int,
        bptt: int,
        seed: int = 0,
        part: slice = ALL,
    ) -> None:
        self.batch = batch
        self.seed = seed
        self.position = 0
        self._ids = ids
        self._documents = documents
        self._bptt = bptt
        self._part = part
        self._windows = lru_cache(maxsize=1)(self._shuffled)
        self._strip = -(-len(self._windows(0)) // batch)  # windows of a stream in an epoch
        self.tokens_per_step = len(ids) / self._strip

    def next(self) -> Batch:
        """Return the next batch as `Streams.next` does, with padding as IGNORED targets."""
        epoch, window = divmod(self.position, self._strip)
        self.position += 1
        windows = self._windows(epoch)
        which = torch.arange(self.batch)[self._part] * self._strip + window
        batch = windows.read(which % len(windows))
        assert batch.fresh is not None
        return batch._replace(fresh=batch.fresh | (window == 0))

    def _shuffled(self, epoch: int) -> Windows:
        """Return the windows of an epoch."""
        generator = torch.Generator().manual_seed((self.seed + epoch) % 2**63)
        # Streams read documents of about the same length at a time: so there is little padding.
        lengths = self._documents.lengths
        unequal = torch.empty(len(lengths)).uniform_(*ABOUT, generator=generator)
        by_length = (lengths * unequal).argsort()
        rows = -(-len(lengths) // self.batch)  # documents of a stream
        shuffled = torch.randperm(rows, generator=generator)
        places = shuffled[torch.arange(len(lengths)) % rows].argsort(stable=True)
        order = torch.empty_like(by_length)
        order[places] = by_length
        return Windows(self._ids, self._documents, self._bptt, order)
