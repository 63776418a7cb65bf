"""Data from the training text for the model file, and text for tuning suggestions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.network.linear_classifier import LinearClassifier
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.blocks import END, KINDS, TARGET, pairs
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.split import Parts
from charrnn.training import linear_fit
from charrnn.training.corpus import Corpus

OPENINGS = ("\n\n", "\n", " ")  # paragraph, line and word breaks, in order of preference


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
        corpus: Corpus,
        parts: Parts,
        prior: Trigrams | None = None,
        seconds: float | None = None,
    ) -> Self:
        """Return what belongs to a corpus.

        Args:
            corpus: the corpus.
            parts: the text that it was made of.
            prior: trigrams of the model that is fine-tuned.
            seconds: time budget of the training, of which a part is taken; None for none.
        """
        sample = parts.train.sample
        word_runs, items, targets, held_out, records = corpus.indexed
        return cls(
            opening=opening(parts.kind, sample),
            word_runs=word_runs,
            items=items,
            ngram=Trigrams.build(sample.replace(TARGET, END), prior).tensors(),
            targets=targets,
            classifier=_classifier(sample, targets, parts.seed, seconds),
            held_out=held_out,
            records=records,
        )


def opening(kind: str, sample: str) -> str:
    """Return the text after which a paragraph or an item of a text starts.

    Args:
        kind: the corpus kind, a key of KINDS.
        sample: sample of the text.
    """
    return KINDS[kind] or next((o for o in OPENINGS if o in sample), "")


def _classifier(
    sample: str, targets: Sequence[str], seed: int, seconds: float | None
) -> LinearClassifier | None:
    """Return a linear classifier of the sampled training records, or of some of them."""
    if len(targets) < 2:
        return None
    most = linear_fit.most_values(len(targets), seconds)
    share = most / (linear_fit.VALUES_PER_CHAR * max(1, len(sample)))
    random = np.random.default_rng(seed)
    known = {*targets}  # of a record that the sample holds only in part, the target may be wrong
    whole = (pair for pair in pairs([sample]) if pair[1] in known)
    chosen = (pair for pair in whole if share >= 1 or random.random() < share)
    return linear_fit.fit(chosen, targets, most)
