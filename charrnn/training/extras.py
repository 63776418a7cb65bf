"""Data from the training text for the model file, and text for tuning suggestions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.network.linear_classifier import LinearClassifier
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.blocks import END, KINDS, TARGET, lines, pairs, told
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.encodings import Note, unnoted
from charrnn.text.split import Parts
from charrnn.training import linear_fit
from charrnn.training.corpus import kept

OPENINGS = ("\n\n", "\n", " ")  # paragraph, line and word breaks, in order of preference
HELD_OUT = 100_000  # characters kept to tune suggestions; simulated typing uses fewer
MOST_CLASSES = 1000  # maximum different targets that predictions choose between (not tuned)
RECURRING = 10  # minimum records for each of them, on average (not tuned)
RECORDS = 1000  # maximum held-out records to predict at the end; not tuned
RECORDS_CHARS = 1 << 24  # characters of held-out records to sample them from; not tuned
LINE_CHARS = 1 << 20  # characters of held-out lines to sample HELD_OUT from; not tuned

AnyIndex = TypeVar("AnyIndex", WordRuns, Items)


@dataclass(frozen=True, slots=True)
class ModelExtras:
    """Parts of a model file that are computed once, from the training text.

    Attributes:
        opening: text after which a paragraph or item starts; generation without a seed begins
            there.
        word_runs: index of the word runs in the training part.
        ngram: trigrams of the training part as `Trigrams.tensors` returns them.
        items: index of the training lines; None unless the corpus consists of lines.
        targets: see model_file.Trained.
        classifier: linear classifier of those targets; None without.
        held_out: beginning of the held-out text, or sampled held-out lines, to tune suggestions on;
            not in the file.
        records: source and target of some held-out records; not in the file.
    """

    opening: str = ""
    word_runs: WordRuns | None = None
    ngram: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    items: Items | None = None
    targets: Sequence[str] = ()
    classifier: LinearClassifier | None = None
    held_out: str = ""
    records: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(
        cls,
        parts: Parts,
        sample: str,
        note: Note = unnoted,
        prior: Trigrams | None = None,
        seconds: float | None = None,
    ) -> Self:
        """Index a text.

        Args:
            parts: the text, split.
            sample: sample of the training part, to count trigrams in.
            note: called with the progress of reading a long text.
            prior: trigrams of the model that is fine-tuned.
            seconds: time budget of the training, of which a part is taken; None for none.
        """
        indexed = told(parts.train, note, "indexing")
        targets = few_targets(parts.train) if parts.kind == "records" else ()
        is_lines, is_records = parts.kind == "lines", parts.kind == "records"
        return cls(
            opening=opening(parts.kind, sample),
            word_runs=_index(WordRuns, indexed, parts),
            items=_index(Items, lines(parts.train), parts) if is_lines else None,
            ngram=Trigrams.build(sample.replace(TARGET, END), prior).tensors(),
            targets=targets,
            classifier=_classifier(parts, targets, seconds),
            held_out=_shuffled_lines(parts) if is_lines else parts.val.beginning(HELD_OUT),
            records=_held_out_records(parts) if is_records else (),
        )


def few_targets(records: Iterable[str]) -> list[str]:
    """Return the targets of some records, commonest first, if they are few and recur; else none."""
    counts: Counter[str] = Counter()
    for _, target in pairs(records):
        counts[target] += 1
        if len(counts) > MOST_CLASSES:
            return []
    few = len(counts) * RECURRING <= counts.total()
    return [target for target, _ in counts.most_common()] if few else []


def opening(kind: str, sample: str) -> str:
    """Return the text after which a paragraph or an item of a text starts.

    Args:
        kind: the corpus kind, a key of KINDS.
        sample: sample of the text.
    """
    return KINDS[kind] or next((o for o in OPENINGS if o in sample), "")


def _index(kind: type[AnyIndex], texts: Iterable[str], parts: Parts) -> AnyIndex:
    """Return an index of pieces of the training part; cached if the text is large."""

    def build(file: BinaryIO) -> dict[str, Any]:
        index = kind.build(texts)
        file.write(index.bits.data)
        return {"every": index.every}

    bits, values = kept(parts, build, kind.__name__)
    return kind(bits, **values)


def _held_out_records(parts: Parts) -> list[tuple[str, str]]:
    """Sample held-out records from the whole part."""
    whole = [*pairs([parts.val.beginning(RECORDS_CHARS)])]
    order = np.random.default_rng(parts.seed).permutation(len(whole))
    return [whole[i] for i in order[:RECORDS].tolist()]


def _classifier(
    parts: Parts, targets: Sequence[str], seconds: float | None
) -> LinearClassifier | None:
    """Return a linear classifier of the training records, or of some from everywhere."""
    if len(targets) < 2:
        return None
    most = linear_fit.most_values(len(targets), seconds)
    share = most / (linear_fit.VALUES_PER_CHAR * max(1, len(parts.train)))
    random = np.random.default_rng(parts.seed)
    chosen = (pair for pair in pairs(parts.train) if share >= 1 or random.random() < share)
    return linear_fit.fit(chosen, targets, most)


def _shuffled_lines(parts: Parts) -> str:
    """Sample held-out lines from the whole part, because neighbouring lines may be alike."""
    found = [*lines(parts.val.sample(LINE_CHARS))]
    np.random.default_rng(parts.seed).shuffle(found)
    return "".join(f"{line}\n" for line in found)[:HELD_OUT]
