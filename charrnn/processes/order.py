"""What to write with one process or several: many samples, in one order, in blocks."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from charrnn.config import SamplingConfig, StopConfig
from charrnn.generation.batch import BATCH_SIZE
from charrnn.generation.matching import TOGETHER
from charrnn.generation.sample import Part, Sample, in_order
from charrnn.generation.template import Piece

if TYPE_CHECKING:
    from charrnn.model import Model

BATCHES = 16  # batches in a block of short texts, of which the last is not full (not tuned)
SHORT = ("lines", "records")  # kinds of corpora whose items are short and of different lengths


@dataclass(frozen=True)
class Order:
    """What to write.

    Attributes:
        sources: sources of records; None alone for other corpora.
        seeds: texts to continue, for each source.
        samplings: how each of them is sampled.
        count: number of texts for each sampling.
        stop: where each text ends; its time limit holds for all texts together.
        pieces: pieces of the template to fill; None without a template.
        best_of: candidates for each text that has to match, or for each gap.
        random_seed: seed of the random choices.
        scored: whether to compute log-probabilities.
        surprisal: whether the surprisal of each character is needed too.
        avoid_copying: whether to avoid runs of words that are in the training text.
    """

    sources: Sequence[str | None]
    seeds: Sequence[str]
    samplings: Sequence[SamplingConfig]
    count: int
    stop: StopConfig
    pieces: Sequence[Piece] | None
    best_of: int
    random_seed: int
    scored: bool
    surprisal: bool
    avoid_copying: bool

    def __len__(self) -> int:
        return len(self.sources) * len(self.seeds) * len(self.samplings) * self.count

    def sample(self, i: int) -> Sample:
        """Return a sample; samplings come before seeds, and seeds before sources."""
        i, j = divmod(i, self.count)
        i, sampling = divmod(i, len(self.samplings))
        source, seed = divmod(i, len(self.seeds))
        return Sample(self.seeds[seed], self.samplings[sampling], (i, j), self.sources[source])

    def to_json(self) -> str:
        """Return it as JSON in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> "Order":
        """Return what `to_json` was given."""
        fields = json.loads(line)
        samplings = [SamplingConfig(**sampling) for sampling in fields["samplings"]]
        pieces = fields["pieces"] and [
            Piece(fixed, gap and StopConfig(**gap)) for fixed, gap in fields["pieces"]
        ]
        stop = StopConfig(**fields["stop"])
        return cls(**fields | {"samplings": samplings, "pieces": pieces, "stop": stop})


class Writer:
    """Writes blocks of an order with a model.

    Args:
        model: the model.
        order: what to write; its time limit starts now.
    """

    def __init__(self, model: "Model", order: Order) -> None:
        self._model = model
        self._order = order
        self._began = time.monotonic()
        if order.pieces is not None:
            self._size = 1
        elif order.stop.match is not None:
            self._size = max(1, TOGETHER // order.best_of)
        else:
            self._size = BATCH_SIZE * (BATCHES if model.kind in SHORT else 1)
        self.blocks = -(-len(order) // self._size)

    def samples(self, block: int) -> list[Sample]:
        """Return the samples of a block."""
        first = block * self._size
        return [*map(self._order.sample, range(first, min(first + self._size, len(self._order))))]

    def write(self, samples: Sequence[Sample]) -> Iterator[Part]:
        """Yield the texts of the samples of a block, in order."""
        order, stop = self._order, self._order.stop
        options = order.random_seed, order.scored, order.avoid_copying
        if order.pieces is not None:
            return self._model.fill(order.pieces, samples, order.best_of, *options)
        if stop.seconds is not None:
            left = self._began + stop.seconds - time.monotonic()
            stop = replace(stop, seconds=max(1e-9, left))
        return in_order(self._model.write(samples, stop, *options, order.best_of), samples)

    def all(self) -> Iterator[Part]:
        """Yield all texts, in order."""
        blocks = map(self.samples, range(self.blocks))
        return chain.from_iterable(map(self.write, blocks))
