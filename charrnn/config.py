"""Configurations of a model, a training run and a sampler, validated on construction.

Each field is declared once, with its range and the help of its option on the command line: a new
field of TrainingConfig, SamplingConfig or StopConfig is a new option.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from charrnn.errors import UsageError

# Panels of the help, in the order in which they are shown.
RUN, NETWORK = "The run", "The network"
REGULARISATION, UPDATES = "Regularisation", "Updates of the weights"
WRITE, STOP, SAMPLE = "What to write", "Where to stop", "How to sample"
READING, OUTPUT = "What is read", "Output"
PANELS = (RUN, NETWORK, REGULARISATION, UPDATES, WRITE, STOP, SAMPLE, READING, OUTPUT)

LENGTH = 500  # characters of a text, if nothing else ends it (not tuned)
# Default number of hypotheses kept in the search for a target. English words to phonemes: errors of
# 62.3, 60.7, 60.7, 60.6 and 60.6 % of words with 1, 2, 4, 8 and 16 (a model of 150 s).
BEAM = 4
LevelName = Literal["auto", "char", "word", "bpe", "byte"]  # `auto` chooses among TOKENIZERS
CellName = Literal["lstm", "gru", "rnn", "rnn-relu"]  # keys of network.cells.CELLS
# `auto`, or keys of training.initialisation.INITIALISATIONS.
InitName = Literal["auto", "orthogonal", "identity", "uniform", "normal"]
OptimizerName = Literal["muon", "adam", "sgd"]  # keys of training.optimizer.OPTIMIZERS
# Minimum probability of a suggestion that is shown, by the name of the setting (not tuned).
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


class Range(NamedTuple):
    """The values that a field may have, besides None.

    The upper bounds are far beyond practical use, but cannot overflow (not tuned).

    Attributes:
        low: smallest value.
        high: largest value.
        above: whether `low` itself is excluded.
        under: whether `high` itself is excluded.
        unit: unit of the values, for messages.
    """

    low: float
    high: float = math.inf
    above: bool = False
    under: bool = False
    unit: str = ""

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return not (self.above and value == self.low) and not (self.under and value == self.high)

    def __str__(self) -> str:
        low, high = f"{self.low:g}", f"{self.high:,}{self.unit}"
        if self.high == math.inf:
            return f"above {low}" if self.above else f"{low} or more"
        if not self.above and not self.under:
            return f"from {low} to {high}"
        return f"{'above' if self.above else 'at least'} {low} and " + (
            f"under {high}" if self.under else f"at most {high}"
        )


def setting(
    default: Any,
    allowed: Range | None = None,
    text: str | None = None,
    panel: str | None = None,
    *,
    shown: str | Literal[True] | None = None,
    metavar: str | None = None,
    values: Any = None,
) -> Any:
    """Return a dataclass field.

    Args:
        default: its default value.
        allowed: its range; None if it has none.
        text: help of its option; None if it has no option, or the command declares it.
        panel: panel of the help that shows the option.
        shown: what the help shows as the default; True stands for `default`.
        metavar: what the help shows as the value.
        values: Literal type of the values that its option takes.
    """
    told = {
        "range": allowed,
        "help": text,
        "panel": panel,
        "shown": str(default) if shown is True else shown,
        "metavar": metavar,
        "values": values,
    }
    return dataclasses.field(default=default, metadata=told)


def _require_ranges(config: Any) -> None:
    """Raise an error unless every field of a configuration is None or in its range."""
    for field in dataclasses.fields(config):
        value, allowed = getattr(config, field.name), field.metadata.get("range")
        if allowed and value is not None:
            require(value in allowed, f"{field.name} must be {allowed}", field.name)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a network.

    Attributes:
        vocab_size: tokens in the vocabulary, V.

    Raises:
        UsageError: a value is out of range.
    """

    vocab_size: int = setting(dataclasses.MISSING, Range(1, 1_500_000))
    cell: str = setting("lstm", None, "Recurrent cell.", NETWORK, shown=True, values=CellName)
    layers: int = setting(1, Range(1, 1000), "Recurrent layers.", NETWORK, shown=True)
    hidden: int = setting(256, Range(1, 2**17), "Units in each layer.", NETWORK)
    embedding: int = setting(64, Range(1, 2**17), "Size of the token embeddings.", NETWORK)
    # Press & Wolf 2017, arXiv:1608.05859; requires that embedding and hidden are equal.
    tied: bool = setting(
        False, None, "Use the token embedding as the output layer's weights.", NETWORK
    )
    # See charrnn.network.ngrams.
    ngram_order: int = setting(
        0,
        Range(0, 16),
        "Mix the network with n-grams of up to this many tokens; 0 for none.",
        NETWORK,
        shown="8 for characters, 5 for subwords, 3 for words",
        metavar="N",
    )

    def __post_init__(self) -> None:
        cells = get_args(CellName)
        require(self.cell in cells, f"no cell named {self.cell!r}; use one of {', '.join(cells)}")
        for name in ("vocab_size", "layers", "hidden", "embedding", "ngram_order"):
            whole = type(getattr(self, name)) is int
            require(whole, f"{name} must be a whole number", name)
        _require_ranges(self)
        same = self.embedding == self.hidden
        fields = ("tied", "embedding", "hidden")
        require(same or not self.tied, "with tied, embedding must be as large as hidden", *fields)


SHARE = Range(0, 1, under=True)
LEARNING_RATE = Range(0, 100, above=True)


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained; None stands for no limit.

    Raises:
        UsageError: a value is out of range, or neither seconds, epochs nor steps is given.
    """

    # The time budget, start-up included.
    seconds: float | None = setting(None, Range(0, 10**9, above=True, unit=" seconds"))
    epochs: float | None = setting(
        None, Range(0, 10**9, above=True), "Maximum number of epochs.", RUN
    )
    steps: int | None = setting(None, Range(1, 10**12), "Maximum number of updates.", RUN)
    patience: int | None = setting(
        None, Range(1, 10**9), "Stop after this many validations in a row without improvement.", RUN
    )
    val: float = setting(0.1, SHARE, "Share of the text held out for validation.", RUN)
    seed: int = setting(0, Range(0, 2**63 - 1), "Seed of every random choice.", RUN)
    threads: int | None = setting(
        None,
        Range(1, 1024),  # more threads than a step can use, and few enough to start (not tuned)
        "Processor threads; a fixed number makes training exactly repeatable.",
        RUN,
        shown="adapted while training",
    )
    dropout: float = setting(
        0.0, SHARE, "Share of each layer's outputs dropped in training.", REGULARISATION
    )
    input_dropout: float = setting(
        0.0, SHARE, "Share of the embeddings' values dropped in training.", REGULARISATION
    )
    # Gal & Ghahramani 2016, arXiv:1512.05287; one mask for each window.
    embedding_dropout: float = setting(
        0.0,
        SHARE,
        "Share of the vocabulary whose embeddings are dropped in training.",
        REGULARISATION,
    )
    # Merity et al. 2018, arXiv:1708.02182; chosen anew for each window.
    weight_drop: float = setting(
        0.0, SHARE, "Share of the recurrent weights dropped in training.", REGULARISATION
    )
    # Gal & Ghahramani 2016.
    variational: bool = setting(
        False, None, "Keep each dropout mask for a whole window of text.", REGULARISATION
    )
    weight_decay: float = setting(
        0.0,
        None,
        "Weight decay of the recurrent matrices (decoupled, scaled by the learning rate).",
        REGULARISATION,
    )
    # Li et al. 2018, arXiv:1802.01483.
    anchor: float = setting(
        0.0,
        Range(0, 1000),
        "Strength of the pull towards the weights that fine-tuning started from (scaled by the "
        "learning rate).",
        REGULARISATION,
    )
    # Dai & Le 2015, arXiv:1511.01432: predicting a text helps to classify it.
    source_weight: float = setting(
        0.3,
        Range(0, 1),
        "Weight of the loss on the sources of records; that on their targets counts 1.",
        REGULARISATION,
        shown=True,
    )
    init: str = setting(
        "auto",
        None,
        "Initial weights of the recurrent layers; auto is identity for rnn-relu, else orthogonal.",
        UPDATES,
        shown=True,
        values=InitName,
    )
    init_scale: float = setting(
        1.0,
        Range(0, 1000),
        "Multiply the initial recurrent matrices by this.",
        UPDATES,
        shown=True,
    )
    optimizer: str = setting(
        "muon",
        None,
        "Update rule of the recurrent matrices; adam and sgd update all other weights too.",
        UPDATES,
        shown=True,
        values=OptimizerName,
    )
    # Rate of the recurrent matrices; see training/optimizer.py.
    lr: float = setting(0.03, LEARNING_RATE, "Peak learning rate.", UPDATES)
    batch: int = setting(
        32, Range(1, 2**20), "Batch size: text streams trained in parallel.", UPDATES
    )
    bptt: int = setting(
        64, Range(1, 2**20), "Tokens that the gradient is propagated back through.", UPDATES
    )
    clip: float = setting(
        1.0, Range(0, 10**9), "Clip the gradient to this norm; 0 never clips.", UPDATES
    )

    def __post_init__(self) -> None:
        _require_ranges(self)
        for name, values in (("init", get_args(InitName)), ("optimizer", get_args(OptimizerName))):
            value = getattr(self, name)
            require(value in values, f"no {name} {value!r}; use one of {', '.join(values)}", name)
        require(
            self.weight_decay >= 0 and self.weight_decay * self.lr < 1,
            "weight_decay must be at least 0 and under 1 / lr, for example 0.1",
            "weight_decay",
            "lr",
        )
        limits = ("seconds", "epochs", "steps")
        limited = any(getattr(self, name) is not None for name in limits)
        require(limited, "give seconds, epochs or steps", *limits)


P = Range(0, 1, above=True)


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is sampled; a control that is None is off.

    The order in which the controls apply is that of filters.FILTERS.

    Attributes:
        temperature: divisor of the logits; 0 always picks the likeliest token. A temperature below
            1 does not prolong runs of one token, such as spaces (see filters.runs_end), nor favour
            invented words (see charrnn.generation.spelling).
        bias: nats added to a text's log-probability wherever it may start; -inf bans the text.

    Raises:
        UsageError: a value is out of range.
    """

    temperature: float = setting(0.8, Range(0, math.inf, under=True))
    top_k: int | None = setting(
        None, Range(1), "Sample from the N likeliest tokens.", SAMPLE, metavar="N"
    )
    top_p: float | None = setting(
        None, P, "Sample from the likeliest tokens that sum to this probability.", SAMPLE
    )
    min_p: float | None = setting(
        None,
        Range(0, 1),
        "Drop tokens below this share of the highest probability; 0 drops none.",
        SAMPLE,
        shown="0.05; 0.02 for subwords, 0.01 for words",
    )
    typical_p: float | None = setting(
        None,
        P,
        "Sample from the tokens closest to the expected surprisal, up to this total probability.",
        SAMPLE,
    )
    mirostat: float | None = setting(
        None, Range(0.01, 100), "Keep the mean surprisal at this many bits a token.", SAMPLE
    )
    # The share of each deviation from the target that is corrected.
    mirostat_rate: float = setting(0.1, P, "How fast mirostat adapts, up to 1.", SAMPLE, shown=True)
    repetition_penalty: float | None = setting(
        None, Range(0.01, 100), "Above 1 makes recent tokens less likely.", SAMPLE
    )
    frequency_penalty: float | None = setting(
        None,
        Range(-100, 100),
        "Subtract this many nats for each recent occurrence of a token.",
        SAMPLE,
    )
    penalty_window: int = setting(
        64, Range(1, 16_384), "Tokens that count as recent.", SAMPLE, shown=True
    )
    no_repeat_ngram: int | None = setting(
        None, Range(1), "Never write the same N tokens in a row twice.", SAMPLE, metavar="N"
    )
    bias: Mapping[str, float] | None = None
    known_words: bool = setting(
        False, None, "Write only words of the vocabulary (word models).", SAMPLE
    )

    def __post_init__(self) -> None:
        _require_ranges(self)
        for text, nats in (self.bias or {}).items():
            require(text != "", "bias needs some text", "bias")
            allowed = nats <= 1000 and not -math.inf < nats < -1000
            require(allowed, "bias must be from -1000 to 1000 nats, or -inf", "bias")


@dataclass(frozen=True)
class StopConfig:
    """Where a text ends: at whichever limit is reached first.

    Attributes:
        chars: maximum characters; the last token is finished.
        lines: lines after which to stop, not counting blank ones.
        stop: strings to stop before.
        seconds: maximum seconds.
        item: stop before this character, which ends a corpus item; "" for none.
        match: the whole text, without the seed, matches this pattern of Python's `re`; it has at
            most `chars` characters, and no other field ends it; see charrnn.generation.matching.

    Raises:
        UsageError: a value is out of range, or `match` is combined with another field.
    """

    chars: int | None = setting(None, Range(0))
    words: int | None = setting(None, Range(1), "Words to write.", STOP)
    sentences: int | None = setting(None, Range(1), "Sentences to write.", STOP)
    lines: int | None = setting(None, Range(1), "Lines to write.", STOP)
    tokens: int | None = setting(None, Range(0), "Tokens to write.", STOP)
    seconds: float | None = setting(None, Range(0, math.inf, above=True, under=True))
    stop: Sequence[str] = ()
    item: str = ""
    match: str | None = setting(
        None,
        None,
        "Write only texts that match this regular expression (of Python's re) as a whole; the seed "
        "is not part of the text.",
        WRITE,
        metavar="REGEX",
    )

    def __post_init__(self) -> None:
        _require_ranges(self)
        texts = not isinstance(self.stop, str) and all(self.stop)
        require(texts, "stop texts must not be empty", "stop")
        for name in ("words", "sentences", "lines", "tokens", "seconds", "stop"):
            alone = self.match is None or not getattr(self, name)
            require(alone, f"match cannot be combined with {name}", "match", name)


def dial(value: str) -> float:
    """Return the minimum probability of a suggestion that is shown.

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
