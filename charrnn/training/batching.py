"""Windows of text, or of documents, for truncated backpropagation through time."""

from functools import lru_cache

import torch
from torch import Tensor

IGNORED = -100  # a target that does not count, as torch.nn.functional.cross_entropy has it
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

    @property
    def tokens_per_step(self) -> float:
        """In a window of all heads."""
        return self.batch * self.bptt

    def next(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """The next window and, for each of its tokens, the one that follows; int64 [T, B] both.

        Third, for documents: the heads that start without a memory, bool [B].
        """
        turn, window = divmod(self.position, self._windows)
        if turn != self._turn:
            self._turn, self._starts = turn, self._segments(turn)
        offsets = torch.arange(self.bptt + 1)[:, None] + window * self.bptt
        self.position += 1
        tokens = self.ids[(offsets + self._starts) % len(self.ids)].long()
        return tokens[:-1], tokens[1:], None

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


class Windows:
    """Documents in windows of T tokens, the last one of each document filled up.

    A document is predicted from an empty memory and, before its first token, the one that ended
    the document before; all end alike.

    Args:
        ids: tokens of all documents, integers [N].
        ends: where each one ends, behind its last token, [D].
        length: tokens in a window, T.
        order: in which documents are read, [D]; by default as they stand.
    """

    def __init__(self, ids: Tensor, ends: Tensor, length: int, order: Tensor | None = None) -> None:
        self._ids = ids
        self._ends = ends
        self._length = length
        self._order = torch.arange(len(ends)) if order is None else order
        # Windows up to the end of each document, [D]. (Nothing of each window: they are many.)
        self._behind = self._counts(*self._spans(self._order)).cumsum(0)

    def __len__(self) -> int:
        return int(self._behind[-1])

    def read(self, which: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Some windows: tokens and those that follow, int64 [T, B]; which begin a document, [B].

        Behind the end of a document the latter are IGNORED.
        """
        turn = torch.searchsorted(self._behind, which, right=True)
        starts, ends = self._spans(self._order[turn])
        place = which - (self._behind[turn] - self._counts(starts, ends))
        at = starts + place * self._length + torch.arange(self._length)[:, None]
        inside = at < ends
        at = at.clamp(max=len(self._ids) - 1)
        targets = torch.where(inside, self._ids[at].long(), IGNORED)
        return self._ids[at - 1].long(), targets, place == 0

    def _spans(self, documents: Tensor) -> tuple[Tensor, Tensor]:
        """Where they begin, and end."""
        return torch.where(documents > 0, self._ends[documents - 1], 0), self._ends[documents]

    def _counts(self, starts: Tensor, ends: Tensor) -> Tensor:
        """Windows of documents."""
        return -(-(ends - starts) // self._length)


class DocumentStreams:
    """B heads reading documents one after the other, in a new order in every pass.

    Each document begins in a window of its own, from an empty memory. A pass is cut into B strips
    of as many windows; where a strip begins within a document, its head starts without a memory
    too. The whole position is one number.

    Args:
        ids: token ids of all documents, integers [N].
        ends: where each one ends, [D].
        batch: heads, B.
        bptt: tokens in a window, T.
        seed: of the shuffling.
    """

    def __init__(self, ids: Tensor, ends: Tensor, batch: int, bptt: int, seed: int = 0) -> None:
        self.batch = batch
        self.seed = seed
        self.position = 0  # windows read by each head
        self._ids = ids
        self._ends = ends
        self._bptt = bptt
        self._windows = lru_cache(maxsize=1)(self._shuffled)
        self._strip = -(-len(self._windows(0)) // batch)  # windows of a head in a pass
        self.tokens_per_step = len(ids) / self._strip

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """See Streams.next; targets that do not count are IGNORED."""
        number, place = divmod(self.position, self._strip)
        self.position += 1
        windows = self._windows(number)
        places = torch.arange(self.batch) * self._strip + place
        inputs, targets, fresh = windows.read(places % len(windows))
        return inputs, targets, fresh | (place == 0)

    def _shuffled(self, number: int) -> Windows:
        """The windows of a pass."""
        generator = torch.Generator().manual_seed((self.seed + number) % 2**63)
        order = torch.randperm(len(self._ends), generator=generator)
        return Windows(self._ids, self._ends, self._bptt, order)
