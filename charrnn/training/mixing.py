"""Fits how much the network and the n-grams each count, on the held-out text.

The logits of both are added with a weight each (a log-linear mixture; Klakow 1998), which depends
on the length of the context that is known. The loss is convex in the weights, so every validation
takes one step of Newton's method.
"""

import torch
from torch import Tensor

MOST_MIX = 4.0  # maximum weight (not tuned)
MOST_LOGITS = 1 << 22  # maximum logits of a fit; bounds its time with many tokens (not tuned)
SHARED = 200  # tokens that the weights for all lengths together stand for at each one (not tuned)
RIDGE = 1e-3  # added to the curvature, nats; keeps a step finite where both agree (not tuned)


class MixFit:
    """Sums the derivatives of the loss of tokens that are scored with some mixture.

    Args:
        lengths: number of lengths of contexts, K.
    """

    def __init__(self, lengths: int) -> None:
        self._tokens = torch.zeros(lengths, dtype=torch.float64)
        self._gradient = torch.zeros(lengths, 2, dtype=torch.float64)
        self._curvature = torch.zeros(lengths, 2, 2, dtype=torch.float64)

    def add(
        self, network: Tensor, ngrams: Tensor, mixed: Tensor, lengths: Tensor, targets: Tensor
    ) -> None:
        """Add tokens, up to MOST_LOGITS logits in all.

        Args:
            network: the network's logits, float [N, V].
            ngrams: the n-grams' log-probabilities, [N, V].
            mixed: the mixture's logits, [N, V].
            lengths: the length of the longest known context, [N].
            targets: the tokens, [N]; those below 0 do not count.
        """
        left = max(0, MOST_LOGITS // mixed.size(1) - int(self._tokens.sum()))
        counted = torch.nonzero(targets >= 0)[:left, 0]
        features = [logits[counted] for logits in (network, ngrams)]
        p = torch.softmax(mixed[counted], dim=1)
        target = targets[counted, None]
        weighed = [p * logits for logits in features]
        means = torch.stack([some.sum(dim=1) for some in weighed], dim=1)
        actual = torch.cat([logits.gather(1, target) for logits in features], dim=1)
        second = torch.stack(
            [torch.stack([(a * b).sum(dim=1) for b in features], dim=1) for a in weighed], dim=1
        )
        curvature = second - means[:, :, None] * means[:, None]
        lengths = lengths[counted].cpu()
        self._tokens += torch.bincount(lengths, minlength=len(self._tokens))
        self._gradient.index_add_(0, lengths, (means - actual).double().cpu())
        self._curvature.index_add_(0, lengths, curvature.double().cpu())

    def step(self, mix: Tensor) -> Tensor:
        """Return better weights than `mix`, [K, 2]: for few tokens, near those for all lengths."""
        count = float(self._tokens.sum())
        if not count:
            return mix
        before = mix.cpu().double()
        overall = self._curvature.sum(dim=0) / count + RIDGE * torch.eye(2)
        mean = (self._tokens[:, None] * before).sum(dim=0) / count
        shared = mean - torch.linalg.solve(overall, self._gradient.sum(dim=0) / count)
        pull = SHARED * overall
        wanted = (self._curvature @ before[:, :, None])[:, :, 0] - self._gradient + pull @ shared
        better = torch.linalg.solve(self._curvature + pull, wanted).clamp(0, MOST_MIX)
        return better.to(mix) if bool(torch.isfinite(better).all()) else mix
