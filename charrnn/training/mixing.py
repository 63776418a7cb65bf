"""Fits how much the network and the n-grams each count, on the held-out text.

The logits of both are added with a weight each (a log-linear mixture; Klakow 1998). The loss is
convex in the two weights, so every validation takes one step of Newton's method.
"""

import torch
from torch import Tensor

MOST_MIX = 4.0  # maximum weight (not tuned)
MOST_LOGITS = (
    1 << 22
)  # maximum logits of a fit; bounds its time with large vocabularies (not tuned)
RIDGE = 1e-3  # added to the curvature, nats; keeps a step finite where both agree (not tuned)


class MixFit:
    """Sums the derivatives of the loss of tokens that are scored with some mixture."""

    def __init__(self) -> None:
        self._tokens = 0
        self._gradient = torch.zeros(2, dtype=torch.float64)
        self._curvature = torch.zeros(2, 2, dtype=torch.float64)

    def add(self, network: Tensor, ngrams: Tensor, mixed: Tensor, targets: Tensor) -> None:
        """Add tokens, up to MOST_LOGITS logits in all.

        Args:
            network: the network's logits, float [N, V].
            ngrams: the n-grams' log-probabilities, [N, V].
            mixed: the mixture's logits, [N, V].
            targets: the tokens, [N]; those below 0 do not count.
        """
        left = max(0, MOST_LOGITS // mixed.size(1) - self._tokens)
        counted = torch.nonzero(targets >= 0)[:left, 0]
        features = [logits[counted] for logits in (network, ngrams)]
        p = torch.softmax(mixed[counted], dim=1)
        target = targets[counted, None]
        weighed = [p * logits for logits in features]
        means = torch.stack([some.sum(dim=1) for some in weighed]).double().cpu()
        actual = torch.stack([logits.gather(1, target)[:, 0] for logits in features])
        self._gradient += (means - actual.double().cpu()).sum(dim=1)
        second = [[float((a * b).sum()) for b in features] for a in weighed]
        self._curvature += torch.tensor(second, dtype=torch.float64) - means @ means.T
        self._tokens += len(counted)

    def step(self, mix: Tensor) -> Tensor:
        """Return better weights than `mix`, [2]."""
        if not self._tokens:
            return mix
        curvature = self._curvature / self._tokens + RIDGE * torch.eye(2)
        change = torch.linalg.solve(curvature, self._gradient / self._tokens)
        better = (mix.cpu().double() - change).clamp(0, MOST_MIX)
        return better.to(mix) if bool(torch.isfinite(better).all()) else mix
