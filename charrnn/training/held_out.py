"""Scores any weights of a network in training on a corpus's held-out part."""

import math
from collections.abc import Mapping
from typing import NamedTuple, Self

from torch import Tensor

from charrnn.network.ngrams import Ngrams
from charrnn.training import checkpoint
from charrnn.training.corpus import Corpus
from charrnn.training.mixing import MixFit
from charrnn.training.network import Network
from charrnn.training.validation import Losses, evaluate, evaluate_documents


class Score(NamedTuple):
    """A validation loss.

    Attributes:
        nats: mean loss, nats per character.
        error: standard error of `nats`; None if too few tokens were scored to estimate it.
        few: whether too few tokens were scored to compare validations.
    """

    nats: float
    error: float | None
    few: bool

    @classmethod
    def of(cls, losses: Losses | None, corpus: Corpus) -> Self | None:
        """Return the score of some of the corpus's held-out tokens; None without losses."""
        if losses is None:
            return None
        error = losses.error * corpus.val_tokens / corpus.val_chars
        known = error if math.isfinite(error) else None
        return cls(corpus.nats_per_char(losses.mean), known, losses.few)


def losses(
    network: Network,
    weights: Mapping[str, Tensor],
    ngrams: Ngrams | None,
    corpus: Corpus,
    tokens: int,
    fit: MixFit | None = None,
) -> Losses | None:
    """Return the losses of held-out tokens; None if nothing is held out.

    Args:
        network: computes them; keeps its own weights.
        weights: the weights to score, by name.
        ngrams: n-grams that the network is mixed with; None for the network alone.
        corpus: its held-out part is scored.
        tokens: number of tokens to score.
        fit: fits the mixture to these tokens; None if it stays.
    """
    if not len(corpus.val):
        return None
    present = checkpoint.clone(network.parameters_by_name())
    try:  # evaluation may be interrupted
        network.load(weights)
        if corpus.val_documents:
            documents = corpus.val_documents
            return evaluate_documents(network, corpus.val, documents, tokens, ngrams, fit)
        return evaluate(network, corpus.train, corpus.val, tokens, ngrams, fit)
    finally:
        network.load(present)
        network.train()
