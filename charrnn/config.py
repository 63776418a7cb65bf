"""Configurations of a model, a training run and a sampler, validated on construction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from charrnn.errors import UsageError

MOST_THREADS = 1024  # maximum threads: more than a step can use, few enough to start (not tuned)
# Largest values allowed: far beyond use, and small enough that nothing overflows (not tuned).
MOST = {
    "vocab_size": 1_500_000,
    "layers": 1000,
    "hidden": 2**17,
    "embedding": 2**17,
    "bptt": 2**20,
    "batch": 2**20,
    "lr": 100,
    "clip": 1e9,
    "seconds": 1e9,
    "epochs": 1e9,
    "steps": 10**12,
    "patience": 10**9,
}
CellName = Literal["lstm", "gru", "rnn", "rnn-relu"]  # keys of network.cells.CELLS
# Least probability of a suggestion that is shown, by the name of the setting (not tuned).
DIAL = {"quiet": 0.7, "normal": 0.4, "eager": 0.0}


def require(condition: bool, message: str, *fields: str) -> None:
    """Raise an error unless a condition holds.

    Args:
        condition: what must hold.
        message: what is wrong if it does not.
        fields: field names that the message mentions, see UsageError.

    Raises:
        UsageError: the condition does not hold.
    """
    if not condition:
        raise UsageError(message, fields=fields)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a network.

    Attributes:
        vocab_size: tokens in the vocabulary, V.
        cell: recurrent cell, a CellName.
        layers: stacked recurrent layers, L.
        hidden: units in each layer, H.
        embedding: size of a token embedding, E.
        tied: whether the output layer uses the embedding matrix as its weights (Press & Wolf 2017,
            arXiv:1608.05859); requires E = H.

    Raises:
        UsageError: a value is out of range.
    """

    vocab_size: int
    cell: str = "lstm"
    layers: int = 1
    hidden: int = 256
    embedding: int = 64
    tied: bool = False

    def __post_init__(self) -> None:
        cells = get_args(CellName)
        require(self.cell in cells, f"no cell named {self.cell!r}; use one of {', '.join(cells)}")
        for name in ("vocab_size", "layers", "hidden", "embedding"):
            size = getattr(self, name)
            allowed = type(size) is int and 1 <= size <= MOST[name]
            require(allowed, f"{name} must be a whole number from 1 to {MOST[name]:,}", name)
        same = self.embedding == self.hidden
        fields = ("tied", "embedding", "hidden")
        require(same or not self.tied, "tied needs embedding to be as large as hidden", *fields)


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        bptt: tokens per window of truncated backpropagation through time, T.
        batch: text streams trained in parallel, B.
        lr: peak learning rate of the recurrent layers' matrices (see training/optimizer.py).
        clip: maximum global gradient norm; larger gradients are scaled down to it.
        dropout: share of each layer's outputs zeroed in training.
        input_dropout: share of the elements of the token embeddings zeroed in training.
        embedding_dropout: share of the vocabulary whose embeddings are zeroed for a window in
            training (Gal & Ghahramani 2016, arXiv:1512.05287).
        weight_drop: share of the recurrent weights zeroed for a window in training (Merity et al.
            2018, arXiv:1708.02182).
        variational: whether dropout and input dropout keep one mask for a whole window (Gal &
            Ghahramani 2016).
        weight_decay: decoupled weight decay of the recurrent layers' matrices, scaled by the
            learning rate.
        val: share of the text held out for validation.
        seconds: time budget in seconds, start-up included; None for no limit.
        epochs: maximum epochs over the training part; None for no limit.
        steps: maximum optimizer steps; None for no limit.
        patience: stop after this many validations in a row without improvement; None never stops.
        seed: seed of every random choice.
        threads: CPU threads per step; None uses the number measured to be fastest, which may change
            during training. Only a fixed number gives the same weights bit for bit.

    Raises:
        UsageError: a value is out of range, or neither seconds, epochs nor steps is given.
    """

    bptt: int = 64
    batch: int = 32
    lr: float = 0.03
    clip: float = 1.0
    dropout: float = 0.0
    input_dropout: float = 0.0
    embedding_dropout: float = 0.0
    weight_drop: float = 0.0
    variational: bool = False
    weight_decay: float = 0.0
    val: float = 0.1
    seconds: float | None = None
    epochs: float | None = None
    steps: int | None = None
    patience: int | None = None
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("bptt", "batch"):
            allowed = 1 <= getattr(self, name) <= MOST[name]
            require(allowed, f"{name} must be from 1 to {MOST[name]:,}", name)
        for name in ("dropout", "input_dropout", "embedding_dropout", "weight_drop"):
            share = getattr(self, name)
            require(0 <= share < 1, f"{name} must be at least 0 and under 1", name)
        require(
            self.weight_decay >= 0 and self.weight_decay * self.lr < 1,
            "weight_decay must be at least 0 and under 1 / lr, for example 0.1",
            "weight_decay",
            "lr",
        )
        require(0 <= self.val < 1, "val must be at least 0 and under 1, for example 0.1", "val")
        for name in ("lr", "clip", "seconds", "epochs", "steps", "patience"):
            value = getattr(self, name)
            unit = " seconds" if name == "seconds" else ""
            require(
                value is None or 0 < value <= MOST[name],
                f"{name} must be above 0 and at most {MOST[name]:,.0f}{unit}",
                name,
            )
        limits = ("seconds", "epochs", "steps")
        limited = any(getattr(self, name) is not None for name in limits)
        require(limited, "give seconds, epochs or steps", *limits)
        require(0 <= self.seed < 2**63, "seed must be from 0 to 2^63-1", "seed")
        known = self.threads is None or 1 <= self.threads <= MOST_THREADS
        require(known, f"threads must be from 1 to {MOST_THREADS}", "threads")


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is sampled; a control that is None is off.

    The order in which the controls apply is that of filters.FILTERS.

    Attributes:
        temperature: divisor of the logits; 0 always picks the likeliest token. A temperature below
            1 does not prolong runs of one token, such as spaces (see filters.runs_end), nor favour
            invented words (see charrnn.generation.spelling).
        top_k: sample from this many of the likeliest tokens.
        top_p: sample from the smallest set of tokens whose probability reaches this value.
        min_p: drop tokens whose probability is below this share of the likeliest token's.
        typical_p: sample from the tokens closest to the expected surprisal, as many as reach this
            probability.
        mirostat: target for the mean surprisal, in bits per token.
        mirostat_rate: correction rate of mirostat, as a share of each deviation.
        repetition_penalty: factor that makes tokens of the window less likely, for example 1.2.
        frequency_penalty: nats subtracted for each occurrence of a token in the window.
        penalty_window: tokens that the two penalties look back.
        no_repeat_ngram: length in tokens of the n-grams that may not occur twice.
        bias: nats added to a text's log-probability wherever it may start; -inf bans the text.
        known_words: whether a word model writes only words of its vocabulary.

    Raises:
        UsageError: a value is out of range.
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    mirostat: float | None = None
    mirostat_rate: float = 0.1
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    penalty_window: int = 64
    no_repeat_ngram: int | None = None
    bias: Mapping[str, float] | None = None
    known_words: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.temperature < math.inf, "temperature must be 0 or more", "temperature")
        for name in ("top_k", "no_repeat_ngram"):
            count = getattr(self, name)
            require(count is None or count >= 1, f"{name} must be 1 or more", name)
        window = 1 <= self.penalty_window <= 16_384
        require(window, "penalty_window must be from 1 to 16384", "penalty_window")
        for name in ("top_p", "typical_p"):
            p = getattr(self, name)
            require(p is None or 0 < p <= 1, f"{name} must be above 0 and at most 1", name)
        share = self.min_p is None or 0 <= self.min_p <= 1
        require(share, "min_p must be from 0 to 1", "min_p")
        for name, low, high in (
            ("mirostat", 0.01, 100),
            ("repetition_penalty", 0.01, 100),
            ("frequency_penalty", -100, 100),
        ):
            value = getattr(self, name)
            allowed = value is None or low <= value <= high
            require(allowed, f"{name} must be from {low} to {high}", name)
        rate = 0 < self.mirostat_rate <= 1
        require(rate, "mirostat_rate must be above 0 and at most 1", "mirostat_rate")
        for text, nats in (self.bias or {}).items():
            require(text != "", "bias needs some text", "bias")
            allowed = nats <= 1000 and not -math.inf < nats < -1000
            require(allowed, "bias must be from -1000 to 1000 nats, or -inf", "bias")


@dataclass(frozen=True)
class StopConfig:
    """Where a text ends: at whichever limit is reached first.

    Attributes:
        chars: maximum characters; the last token is finished.
        tokens: maximum tokens.
        words: words after which to stop.
        lines: lines after which to stop, not counting blank ones.
        sentences: sentences after which to stop.
        stop: strings to stop before.
        seconds: maximum seconds.
        item: character that ends an item of the corpus, to stop before; "" for none.

    Raises:
        UsageError: a value is out of range.
    """

    chars: int | None = None
    tokens: int | None = None
    words: int | None = None
    lines: int | None = None
    sentences: int | None = None
    stop: Sequence[str] = ()
    seconds: float | None = None
    item: str = ""

    def __post_init__(self) -> None:
        for name in ("chars", "tokens"):
            count = getattr(self, name)
            require(count is None or count >= 0, f"{name} must be 0 or more", name)
        for name in ("words", "lines", "sentences"):
            count = getattr(self, name)
            require(count is None or count >= 1, f"{name} must be 1 or more", name)
        texts = not isinstance(self.stop, str) and all(self.stop)
        require(texts, "stop needs texts, not empty", "stop")
        allowed = self.seconds is None or 0 < self.seconds < math.inf
        require(allowed, "seconds must be above 0", "seconds")


def dial(value: str) -> float:
    """Return the least probability that a suggestion needs to be shown.

    Args:
        value: a key of DIAL, or a number from 0 to 1.

    Raises:
        UsageError: it is neither.
    """
    try:
        least = DIAL[value] if value in DIAL else float(value)
    except ValueError:
        least = math.nan
    if not 0 <= least <= 1:
        words = ", ".join(DIAL)
        raise UsageError(f"no dial {value!r}", f"use {words} or a number from 0 to 1")
    return least
