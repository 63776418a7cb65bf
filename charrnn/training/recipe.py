"""Chooses the options that the user of `train` omits, from the text and the time budget.

tests/benchmarks/choices.py compares the choices with their neighbours. Times are those of a
reference machine with two cores; see `speed`.
"""

import math
import re
import time
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.files import quoted
from charrnn.network.cells import tensor_shapes
from charrnn.text.source import Source
from charrnn.text.words import WORD
from charrnn.tokenizer import TOKENIZERS
from charrnn.training.sampled_softmax import SAMPLED_FROM, sample_size

LIMITS = {"seconds", "epochs", "steps"}  # fields of TrainingConfig that say when to stop
SHAPE = (
    "cell",
    "layers",
    "hidden",
    "embedding",
    "tied",
    "ngram_order",
)  # fields of ModelConfig to choose
# Learning rate of fine-tuning on a short text and on one of LONG_TEXT tokens or more, which has no
# anchor: with an anchor of 0.33, tinyshakespeare stopped improving after five minutes.
FINE_TUNING_LR, LONG_TEXT_LR = 0.006, 0.02
LONG_TEXT = 400_000
# Peak learning rate of each optimizer. Held-out loss of an lstm of 128 units after 250 steps on
# fables.txt, nats/char: muon 1.53; adam 1.67, 1.53 and 1.45 with rates of 0.004, 0.008 and 0.016;
# sgd 1.90, 1.65, 1.52 and 1.56 with 0.3, 1, 3 and 6. Half of the best rate is taken: with 1.5 the
# plain rnn learns too (1.73 after 150 steps), with 3 it barely does (2.88).
LEARNING_RATES = {"muon": 0.03, "adam": 0.008, "sgd": 1.5}
# The best learning rate of Muon grows with the streams to this power, from STREAMS to 8 times as
# many, at equal epochs (README.md here, "Several processes").
STREAMS, MORE_STREAMS = 16, 2 / 3
# Minimum characters, and seconds, for twice as many: C after 21 and 106 s on a machine of speed 2.8
# 0.493 and 0.434 nats/char instead of 0.500 and 0.444, tinyshakespeare 1.426 and 1.367 instead of
# 1.428 and 1.365; shorter texts lose (fables 1.170 instead of 1.153).
LARGER_TEXT, LARGER_TIME = 500_000, 40.0
WHOLE = 0.99  # share of records that a window holds whole (not tuned)
MIN_WINDOW, MAX_WINDOW = 8, 256  # tokens of a window of records (not tuned)
TOKENS = 1024  # tokens of records in a batch, about as many as of running text
RECORD_UNITS = (
    256  # phonemes of 54,000 words after ten minutes: 35.4 % wrong, with 384 units 38.3 %
)
MAX_STREAMS = 128  # maximum streams of records (not tuned)
# Units of a layer, from so many seconds and tokens of text on. Up to 512 chosen by
# tests/benchmarks/choices.py; the rest, for GPUs, goes on in the same proportion: weights grow with
# time to the power 0.44. They are not measured.
UNITS = (
    (2048, 490_000.0, 50_000_000),
    (1024, 21_000.0, 5_000_000),
    (512, 900.0, 500_000),
    (384, 240.0, 500_000),
    (256, 40.0, 50_000),
    (128, 0.0, 0),
)
ANCHORED = 3e5  # tokens of a text with which the anchor of fine-tuning is 1
SECONDS = 300.0  # time budget if the user sets no limit, seconds
LONG = 240.0  # minimum time budget for larger networks and batches, seconds
EPOCHS = 60  # maximum epochs if the user sets no limit; a short text is learned sooner
# For each kind of token, rows of: maximum epochs (for characters: epochs * weights / characters),
# dropout, input dropout, weight drop, weight decay.
REGULARISATION = {
    "characters": (
        (4, 0.0, 0.0, 0.0, 0.1),
        (8, 0.1, 0.0, 0.0, 0.1),
        (18, 0.2, 0.0, 0.0, 0.2),
        (40, 0.3, 0.0, 0.0, 0.2),
        (100, 0.4, 0.0, 0.0, 0.2),
        (math.inf, 0.5, 0.0, 0.0, 0.2),
    ),
    "subwords": (
        (2, 0.0, 0.0, 0.0, 0.1),
        (8, 0.2, 0.0, 0.0, 0.1),
        (12, 0.4, 0.2, 0.0, 0.2),
        (math.inf, 0.5, 0.3, 0.0, 0.2),
    ),
    "words": (
        (2, 0.0, 0.0, 0.0, 0.1),
        (8, 0.2, 0.0, 0.0, 0.1),
        (35, 0.5, 0.5, 0.0, 0.2),
        (math.inf, 0.5, 0.5, 0.3, 0.2),
    ),
}
NGRAM_ORDERS = {"characters": 8, "subwords": 5, "words": 3}  # tokens in the longest n-gram
TIED_EPOCHS = 20  # minimum epochs for tied weights with a small vocabulary of words
OPERATIONS = 5e10  # operations per second of training on the reference machine, roughly
MULTIPLIED = 8.2e10  # operations per second of matrix products on one of its cores
UNSEEN = 0.05  # maximum share of unseen words for whole words (kinds.py: 4.8 % gains, 6.4 % loses)
PROSE = 2 / 3  # minimum share of the text that is words; code has up to 0.64, prose from 0.73
ENOUGH = 1000  # minimum words to tell (not tuned)
JUDGED = 1 << 20  # maximum characters that the level is judged by, as many as in kinds.py
DIGIT = re.compile(r"\d")
CORES = 2  # cores of the reference machine
PRODUCTS = 12  # matrix products that measure a machine's speed; not tuned
SIZE = 512  # rows and columns of their matrices


def speed() -> float:
    """Return how fast this machine multiplies matrices, relative to the reference machine.

    Other programs affect neither the result nor the choices: one core multiplies, only the fastest
    of PRODUCTS is used, and the ratio is rounded to a power of sqrt(2).
    """
    cores = torch.get_num_threads()
    matrix = torch.ones(SIZE, SIZE)
    took = []
    try:
        torch.set_num_threads(1)
        for _ in range(PRODUCTS):
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            took.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(cores)
    measured = 2 * SIZE**3 / min(took) / MULTIPLIED * cores / CORES
    return float(2 ** (round(2 * math.log2(measured)) / 2))


def choose_level(sample: str) -> tuple[str, str]:
    """Choose the level for a text.

    Whole words are learned best in prose where nearly all of them recur, as in a novel. In code,
    verse and lists of names many words are new; games and tunes consist of other things; and in
    scripts without spaces a single character is a word.

    Args:
        sample: sample of the training part.

    Returns:
        A key of TOKENIZERS, and the reason.
    """
    sample = sample[:JUDGED]
    found = [word for word in WORD.findall(sample) if len(word) > 1 and not DIGIT.search(word)]
    if len(found) < ENOUGH:
        return "char", f"the text has fewer than {ENOUGH:,} words of two letters or more"
    share = sum(map(len, found)) / len(sample)
    if share < PROSE:
        return "char", f"only {share:.0%} of the text is words of two letters or more"
    cut = len(found) * 9 // 10
    known = {*found[:cut]}
    unseen = sum(word not in known for word in found[cut:]) / (len(found) - cut)
    reason = f"{unseen:.1%} of the words in the last tenth of the text are new"
    if unseen <= UNSEEN:
        return "word", reason
    return "char", f"{reason} (at most {UNSEEN:.0%} for level word)"


def fine_tuning(tokens: int, optimizer: str = "muon") -> dict[str, Any]:
    """Choose the fields of TrainingConfig for fine-tuning: the shorter the text, the more careful.

    Args:
        tokens: number of tokens in the training part.
        optimizer: a key of LEARNING_RATES; Muon's rates are tuned, others are in proportion.
    """
    share = LEARNING_RATES[optimizer] / LEARNING_RATES["muon"]
    if tokens >= LONG_TEXT:
        return {"lr": LONG_TEXT_LR * share, "anchor": 0.0}
    return {"lr": FINE_TUNING_LR * share, "anchor": round(min(100.0, ANCHORED / tokens), 2)}


def records(
    lengths: Tensor, seconds: float | None, speed: float, optimizer: str = "muon"
) -> dict[str, Any]:
    """Choose fields of ModelConfig and TrainingConfig for records.

    A window holds nearly all of them whole. A small network reads them more often.

    Args:
        lengths: tokens of each record, int64 [D].
        seconds: time budget; None for none.
        speed: see `choose`.
        optimizer: a key of LEARNING_RATES.
    """
    bptt = int(lengths.sort().values[int(WHOLE * (len(lengths) - 1))].clamp(MIN_WINDOW, MAX_WINDOW))
    mean = max(1.0, float(lengths.clamp(max=bptt).float().mean()))
    batch = min(MAX_STREAMS, max(16, round(TOKENS / mean)))
    budget = SECONDS if seconds is None else seconds * speed
    hidden = min(_hidden(int(lengths.sum()), budget), RECORD_UNITS)
    batch = max(1, min(batch, len(lengths) // 8))
    return {"hidden": hidden, "bptt": bptt, "batch": batch, "lr": LEARNING_RATES[optimizer]}


def choose(
    level: str, tokens: int, vocab_size: int, options: dict[str, Any], speed: float = 1.0
) -> dict[str, Any]:
    """Choose the fields of ModelConfig and TrainingConfig that the user has not set.

    The network grows with the text and the time budget; dropout and weight decay, against
    overfitting, grow with the epochs of a one-layer network.

    Args:
        level: a key of TOKENIZERS.
        tokens: number of tokens in the training part.
        vocab_size: V.
        options: fields that the user has set.
        speed: relative speed of the machine, see `speed`; ignored without a time budget.

    Returns:
        The chosen fields together with `options`.
    """
    kind = _kind(level, vocab_size)
    if not options.keys() & LIMITS:
        options = {"seconds": SECONDS, "epochs": EPOCHS} | options
    seconds = options.get("seconds", math.inf) * speed
    shape: dict[str, Any] = {
        "cell": "lstm",
        "layers": 1,
        "hidden": _hidden(tokens, seconds if "seconds" in options else SECONDS),
        "embedding": 64 if kind == "characters" else 128,
        "tied": False,
        "ngram_order": NGRAM_ORDERS[kind],
    }
    shape |= {name: options[name] for name in shape if name in options}
    if shape["tied"] and "embedding" not in options:
        shape["embedding"] = shape["hidden"]
    # The text is too short to learn the embeddings of a large vocabulary twice. Those of a small
    # one are learned faster without tied weights, but not as well.
    tied: dict[str, Any] = {"embedding": shape["hidden"], "tied": True}
    if options.keys() & {"embedding", "tied"}:
        tied = {}
    if vocab_size >= SAMPLED_FROM:
        shape |= tied
    bptt = max(1, options.get("bptt", min(64, tokens // 8)))
    enough = tokens >= LARGER_TEXT and LARGER_TIME <= seconds < math.inf
    larger = kind == "characters" and enough
    streams = 2 * STREAMS if larger and "anchor" not in options else STREAMS  # no fine-tuning
    batch = max(1, options.get("batch", min(streams, tokens // (4 * bptt))))
    multiplied = weights_multiplied(ModelConfig(vocab_size, **shape), bptt * batch)
    read = min(
        seconds * OPERATIONS / (6 * multiplied), options.get("steps", math.inf) * bptt * batch
    )
    epochs = min(options.get("epochs", math.inf), read / tokens)
    words = kind == "words"
    if words and epochs >= TIED_EPOCHS:
        shape |= tied
    # Below one epoch, a long run can feed more streams with unread text.
    if epochs < 1 and LONG <= seconds < math.inf and batch == STREAMS and "batch" not in options:
        batch *= 2
    overfitting = epochs * multiplied / tokens if kind == "characters" else epochs
    rows = REGULARISATION[kind]
    # `not >=`: a limit of NaN gets this far, and TrainingConfig refuses it.
    dropout, inputs, weights, decay = next(row for below, *row in rows if not overfitting >= below)
    optimizer = options.get("optimizer", "muon")
    more = 1.0
    if "batch" in options and optimizer == "muon":
        more = min(max(1.0, options["batch"] / STREAMS), 8.0) ** MORE_STREAMS
    recipe = {
        "lr": round(LEARNING_RATES[optimizer] * more, 4),
        "bptt": bptt,
        "batch": batch,
        "dropout": dropout,
        "input_dropout": inputs,
        "weight_drop": weights,
        "variational": words or inputs > 0,
        "weight_decay": decay if optimizer == "muon" else 0.0,  # tuned with Muon only
    }
    return shape | recipe | options


def _kind(level: str, vocab_size: int) -> str:
    """Return the kind of tokens, a key of REGULARISATION; longer tokens overfit sooner."""
    return "words" if vocab_size >= SAMPLED_FROM else TOKENIZERS[level].units


def _hidden(tokens: int, seconds: float) -> int:
    """Return the units of a layer."""
    # `not <`: a limit of NaN gets this far, see below.
    return next(units for units, *least in UNITS if not (seconds < least[0] or tokens < least[1]))


def weights_multiplied(config: ModelConfig, tokens_per_step: int) -> int:
    """Return the number of weights that each token is multiplied with."""
    recurrent = sum(math.prod(s) for name, s in tensor_shapes(config).items() if "layers." in name)
    return recurrent + sample_size(config.vocab_size, tokens_per_step) * config.hidden


def command(
    source: Source,
    level: str,
    vocab_size: int | None,
    parent: str,
    model: ModelConfig,
    training: TrainingConfig,
) -> str:
    """Return a command line that makes these choices, whatever the speed of the machine.

    Args:
        source: the text, as the user named it.
        level: as given to `prepare.begin`.
        vocab_size: as given to `prepare.begin`.
        parent: what was fine-tuned, which decides the network's shape, or `none`.
        model: the configuration that was chosen.
        training: the configuration that was chosen.
    """
    values: dict[str, Any] = {"--encoding": source.encoding, "--glob": source.glob}
    records = source.kind == "records"
    values |= {"--source" if records else "--field": source.field, "--target": source.target}
    values |= {"--delimiter": source.delimiter, "--errors": source.errors}
    values |= {"--split-on": source.split_on}
    for option, off in (
        ("--no-header", not source.header),
        ("--no-normalise", not source.normalise and level != "byte"),
    ):
        values |= {option: True} if off else {}
    if records and source.field is None:
        values["--label-folders"] = True
    elif not records and source.kind != "text":
        values[f"--{source.kind}"] = True
    values["--from"] = parent
    if parent == "none":
        values |= {"--level": level, "--vocab-size": vocab_size}
        values |= {f"--{name}": getattr(model, name) for name in SHAPE}
    values |= {f"--{name}": value for name, value in asdict(training).items()}
    names = {"--embedding": "--embed", "--seconds": "--time", "--seed": "--random-seed"}
    words = ["charrnn", "train", *source.paths]
    for name, value in values.items():
        option = names.get(name, name).replace("_", "-")
        match value:
            case None:
                pass
            case True:
                words.append(option)
            case False:
                words.append(option.replace("--", "--no-", 1))
            case _:
                words += [option, str(value)]
    return " ".join(map(quoted, words))
