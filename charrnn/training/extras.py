"""Data from the training text for the model file, and text for tuning suggestions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.blocks import KINDS, lines, told
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.encodings import Note, unnoted
from charrnn.text.split import Parts
from charrnn.training.corpus import kept

OPENINGS = ("\n\n", "\n", " ")  # paragraph, line and word breaks, in order of preference
HELD_OUT = 100_000  # characters kept to tune suggestions; simulated typing uses fewer
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
        held_out: beginning of the held-out text, or sampled held-out lines, to tune suggestions on;
            not in the file.
    """

    opening: str = ""
    word_runs: WordRuns | None = None
    ngram: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    items: Items | None = None
    held_out: str = ""

    @classmethod
    def of(
        cls, parts: Parts, sample: str, note: Note = unnoted, prior: Trigrams | None = None
    ) -> Self:
        """Index a text.

        Args:
            parts: the text, split.
            sample: sample of the training part, to count trigrams in.
            note: called with the progress of reading a long text.
            prior: trigrams of the model that is fine-tuned.
        """
        indexed = told(parts.train, note, "indexing")
        is_lines = parts.kind == "lines"
        return cls(
            opening=opening(parts.kind, sample),
            word_runs=_index(WordRuns, indexed, parts),
            items=_index(Items, lines(parts.train), parts) if is_lines else None,
            ngram=Trigrams.build(sample, prior).tensors(),
            held_out=_shuffled_lines(parts) if is_lines else parts.val.beginning(HELD_OUT),
        )


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


def _shuffled_lines(parts: Parts) -> str:
    """Sample held-out lines from the whole part, because neighbouring lines may be alike."""
    found = [*lines(parts.val.sample(LINE_CHARS))]
    np.random.default_rng(parts.seed).shuffle(found)
    return "".join(f"{line}\n" for line in found)[:HELD_OUT]
