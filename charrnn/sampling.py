"""Drawing the next token from logits [V]. To add a control: a function and a row in FILTERS."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from charrnn.cells import Array
from charrnn.config import SamplingConfig
from charrnn.errors import ModelFileError


def temperature(logits: Array, t: float) -> Array:
    """Divide the logits by `t`; 0 keeps the likeliest token alone (the lowest id of a tie).

    Args:
        logits: unnormalised log-probabilities (nats), float [V]; -inf allowed.
        t: 0 or more; under 1 sharpens, above 1 flattens.
    """
    if t == 0:
        return _keep(logits, np.argmax(logits, keepdims=True))
    # From the likeliest down, so that a t next to 0 cannot give inf, nor a huge one NaN.
    with np.errstate(over="ignore"):
        divided: Array = ((logits - logits.max()).astype(np.float64) / t).astype(np.float32)
    return divided


def top_k(logits: Array, k: int) -> Array:
    """Keep the `k` likeliest tokens; a tie at the border goes to the lower token id.

    Fan et al. 2018, arXiv:1805.04833.

    Args:
        logits: unnormalised log-probabilities (nats), float [V]; -inf allowed.
        k: 1 or more; V or more keeps every token.
    """
    return logits if k >= len(logits) else _keep(logits, _ranking(logits)[:k])


def top_p(logits: Array, p: float) -> Array:
    """Keep the smallest set of tokens whose probability reaches `p`.

    Nucleus sampling, Holtzman et al. 2020, arXiv:1904.09751. The likeliest
    token always stays; a tie at the border goes to the lower token id.

    Args:
        logits: unnormalised log-probabilities (nats), float [V]; -inf allowed.
        p: probability mass to keep, in (0, 1]; 1 keeps every token.
    """
    if p >= 1:
        return logits
    ranking = _ranking(logits)
    mass = np.cumsum(np.exp(logits[ranking] - logits.max(), dtype=np.float64))
    return _keep(logits, ranking[: 1 + np.searchsorted(mass, p * mass[-1])])


def min_p(logits: Array, p: float) -> Array:
    """Drop the tokens whose probability is under `p` times the likeliest one's.

    Nguyen et al. 2024, arXiv:2407.01082.

    Args:
        logits: unnormalised log-probabilities (nats), float [V]; -inf allowed.
        p: from 0, which keeps every token, to 1, which keeps the likeliest.
    """
    if p == 0:
        return logits
    return np.where(logits >= logits.max() + np.float32(np.log(p)), logits, np.float32(-np.inf))


def _ranking(logits: Array) -> NDArray[np.intp]:
    """Token ids from the likeliest down; the lower id first in a tie."""
    return np.argsort(-logits, kind="stable")


def _keep(logits: Array, ids: NDArray[np.intp]) -> Array:
    kept = np.full_like(logits, -np.inf)
    kept[ids] = logits[ids]
    return kept


# Applied in this order, each one whose field in SamplingConfig is not None.
FILTERS: dict[str, Callable[..., Array]] = {
    "temperature": temperature,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
}


def sample(logits: Array, config: SamplingConfig, rng: np.random.Generator) -> int:
    """Draw a token id from filtered logits, float [V].

    Raises:
        ModelFileError: the logits are not finite, as those of absurd weights.
    """
    for name, keep in FILTERS.items():
        value = getattr(config, name)
        if value is not None:
            logits = keep(logits, value)
    mass = np.cumsum(np.exp(logits - logits.max(), dtype=np.float64))
    if not np.isfinite(mass[-1]):
        raise ModelFileError("the model's logits are not finite", "train it anew")
    return int(np.searchsorted(mass, rng.random() * mass[-1], side="right"))
