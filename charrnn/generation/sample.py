"""Samples: texts to write, and the parts in which they arrive."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from charrnn.arrays import Array
from charrnn.config import SamplingConfig
from charrnn.text.blocks import TARGET


@dataclass(slots=True, eq=False)
class Sample:
    """A text to write, and its progress.

    Attributes:
        seed: text to continue; may be empty or hold characters outside the vocabulary.
        sampling: how its tokens are sampled.
        key: selects its random numbers, together with the random seed.
        source: source of a record, whose target is written; None for other corpora.
        tokens: number of tokens written so far.
        logp: their log-probability (nats) under the unmodified model; 0 unless scored.
        why: the rule that ended the text; None while it goes on.
        weight: logarithm of the probability that the model gave to the pattern to match, estimated;
            see charrnn.generation.matching.
        kept: number of tokens up to the end chosen there.
    """

    seed: str
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    key: tuple[int, ...] = (0, 0)
    source: str | None = None
    tokens: int = 0
    logp: float = 0.0
    why: str | None = None
    weight: float = 0.0
    kept: int = 0

    @property
    def read(self) -> str:
        """The text that the network reads first."""
        return self.seed if self.source is None else self.source + TARGET + self.seed


class Part(NamedTuple):
    """The next piece of a sample.

    Attributes:
        sample: the sample that it belongs to.
        text: characters, without the seed.
        nats: surprisal of each character, float32 [len(text)]; None unless scored. A token's
            surprisal is spread evenly over the characters that it completes.
        last: whether the sample ends here.
    """

    sample: Sample
    text: str
    nats: Array | None
    last: bool


def in_order(parts: Iterable[Part], samples: Iterable[Sample]) -> Iterator[Part]:
    """Yield the parts of the first sample as they arrive, then those of the second, and so on.

    Only samples that have begun before their turn are held in memory.

    Args:
        parts: parts of all samples, those of one sample in order.
        samples: all samples, in the order wanted.
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
