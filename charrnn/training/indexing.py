"""What is noted about a text while it is tokenized: indexes, targets, held-out passages."""

import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np

from charrnn.text.blocks import beginning, chunks, lines, pairs, spread
from charrnn.text.copy_index import Index, Items, WordRuns
from charrnn.text.split import Pair, Parts

HELD_OUT = 100_000  # characters kept to tune suggestions; simulated typing uses fewer
MOST_CLASSES = 1000  # maximum different targets that predictions choose between (not tuned)
RECURRING = 10  # minimum records for each of them, on average (not tuned)
RECORDS = 1000  # maximum held-out records to predict at the end; not tuned
RECORDS_CHARS = 1 << 24  # characters of held-out records to sample them from; not tuned
LINE_CHARS = 1 << 20  # characters of held-out lines to sample HELD_OUT from; not tuned


class Indexed(NamedTuple):
    """What is noted about a text.

    Attributes:
        word_runs: index of the word runs in the training part.
        items: index of the training lines; None unless the corpus consists of lines.
        targets: targets of the training records, see model_file.Trained.
        held_out: beginning of the held-out text, or sampled held-out lines, to tune suggestions on.
        records: source and target of some held-out records.
    """

    word_runs: WordRuns
    items: Items | None
    targets: list[str]
    held_out: str
    records: list[tuple[str, str]]

    def to_bytes(self) -> bytes:
        """Return this as JSON."""
        indexes = [
            index and [b64encode(index.bits.data).decode(), index.every]
            for index in (self.word_runs, self.items)
        ]
        return json.dumps([*indexes, *self[2:]]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` made bytes of."""
        word_runs, items, targets, held_out, records = json.loads(data)
        return cls(
            _index(WordRuns, *word_runs),
            items and _index(Items, *items),
            targets,
            held_out,
            [(source, target) for source, target in records],
        )


def _index(kind: type[Index], bits: str, every: int) -> Any:
    return kind(np.frombuffer(b64decode(bits), np.uint8), every)


def readers(parts: Parts) -> list[Callable[[Iterator[Pair]], Any]]:
    """Return functions that read what Parts.read yields and return the fields of Indexed."""
    random = np.random.default_rng(parts.seed)

    def word_runs(read: Iterator[Pair]) -> WordRuns:
        return WordRuns.build(train for train, _ in read)

    def items(read: Iterator[Pair]) -> Items | None:
        return Items.build(lines(train for train, _ in read)) if parts.kind == "lines" else None

    def targets(read: Iterator[Pair]) -> list[str]:
        return few_targets(train for train, _ in read) if parts.kind == "records" else []

    def held_out(read: Iterator[Pair]) -> str:
        val = (val for _, val in read)
        if parts.kind != "lines":
            return beginning(val, HELD_OUT)
        # From everywhere, because neighbouring lines may be alike.
        sample = "".join(text for _, text in spread(enumerate(chunks(val)), LINE_CHARS))
        found = [*lines([sample])]
        random.shuffle(found)
        return "".join(f"{line}\n" for line in found)[:HELD_OUT]

    def records(read: Iterator[Pair]) -> list[tuple[str, str]]:
        if parts.kind != "records":
            return []
        whole = [*pairs([beginning((val for _, val in read), RECORDS_CHARS)])]
        order = random.permutation(len(whole))
        return [whole[i] for i in order[:RECORDS].tolist()]

    return [word_runs, items, targets, held_out, records]


def few_targets(records: Iterable[str]) -> list[str]:
    """Return the targets of some records, commonest first, if they are few and recur; else none."""
    counts: Counter[str] = Counter()
    for _, target in pairs(records):
        counts[target] += 1
        if len(counts) > MOST_CLASSES:
            return []
    few = len(counts) * RECURRING <= counts.total()
    return [target for target, _ in counts.most_common()] if few else []
