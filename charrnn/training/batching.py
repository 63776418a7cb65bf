"""Windows of text for truncated backpropagation through time."""

import torch
from torch import Tensor


class Streams:
    """B heads reading one text as a circle, evenly spaced, a window at a time.

    Each head goes on where it stopped, so the hidden state carries over between
    windows; after a pass it stands where its neighbour began and reads on. The
    whole position is one number, and windows fall elsewhere in every pass.

    Args:
        ids: the text's token ids, integers [N].
        batch: heads, B.
        bptt: tokens in a window, T.
    """

    def __init__(self, ids: Tensor, batch: int, bptt: int) -> None:
        self.ids = ids
        self.bptt = bptt
        self.position = 0
        self.starts = torch.arange(batch) * (len(ids) // batch)
        self._offsets = torch.arange(bptt + 1)[:, None] + self.starts

    def next(self) -> tuple[Tensor, Tensor]:
        """The next window and, for each of its tokens, the one that follows; int64 [T, B] both."""
        at = (self._offsets + self.position) % len(self.ids)
        self.position = (self.position + self.bptt) % len(self.ids)
        window = self.ids[at].long()
        return window[:-1], window[1:]
