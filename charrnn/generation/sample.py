"""A text to write, and the parts in which it comes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from charrnn.arrays import Array
from charrnn.config import SamplingConfig


@dataclass(slots=True, eq=False)
class Sample:
    """A text to write, and how far it has come.

    Attributes:
        seed: what it continues; may be empty, and may hold characters outside the vocabulary.
        sampling: how its tokens are drawn.
        key: with the random seed, decides its random numbers.
        tokens: drawn so far.
        logp: their log-probability (nats) under the model as it is, if that is asked for.
        why: the rule that ended it; None while it goes on.
    """

    seed: str
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    key: tuple[int, ...] = (0, 0)
    tokens: int = 0
    logp: float = 0.0
    why: str | None = None


class Part(NamedTuple):
    """The next piece of a sample.

    Attributes:
        sample: which one.
        text: without the seed.
        nats: the surprise of each character, float32 [len(text)], if that is asked for: a
            token's, spread evenly over the characters that it completes.
        last: whether the sample ends here.
    """

    sample: Sample
    text: str
    nats: Array | None
    last: bool


def in_order(parts: Iterable[Part], samples: Iterable[Sample]) -> Iterator[Part]:
    """The parts of the first sample as they come, then those of the second, and so on.

    Of all samples only those are held that have begun before their turn.
    """
    turns = iter(samples)
    current = next(turns, None)
    waiting: dict[Sample, list[Part]] = {}
    for part in parts:
        if part.sample is not current:
            waiting.setdefault(part.sample, []).append(part)
            continue
        yield part
        ended = part.last
        while ended and (current := next(turns, None)):
            ready = waiting.pop(current, [])
            yield from ready
            ended = bool(ready) and ready[-1].last
