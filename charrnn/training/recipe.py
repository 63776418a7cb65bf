"""What `train` chooses where the user has not: sizes and limits that follow text and time."""

import math
import time
from dataclasses import asdict
from typing import Any

import torch

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.files import quoted
from charrnn.network.cells import tensor_shapes
from charrnn.text.source import Source
from charrnn.training.sampled_softmax import SAMPLED_FROM, sample_size

LIMITS = {"seconds", "epochs", "steps"}  # fields of TrainingConfig that say when to stop
SHAPE = ("cell", "layers", "hidden", "embedding", "tied")  # fields of ModelConfig to choose
FINE_TUNING_LR = 0.02  # 0.03 learns the new text best and forgets the old one most
SECONDS = 300.0  # if nothing says how long
LONG = 240.0  # from so many on, on that machine, larger networks and batches pay
EPOCHS = 60  # then also at the most: a short text is learned sooner
# Up to so many passes over the text, of characters times the weights that learn each of them:
# dropout, input dropout, weight drop, weight decay.
REGULARISATION = {
    "characters": (
        (2, 0.0, 0.0, 0.0, 0.0),
        (8, 0.1, 0.0, 0.0, 0.03),
        (18, 0.1, 0.0, 0.0, 0.06),
        (25, 0.2, 0.0, 0.0, 0.06),
        (40, 0.3, 0.0, 0.0, 0.1),
        (100, 0.4, 0.0, 0.0, 0.1),
        (math.inf, 0.5, 0.0, 0.0, 0.1),
    ),
    "parts": (
        (2, 0.0, 0.0, 0.0, 0.0),
        (8, 0.2, 0.0, 0.0, 0.03),
        (12, 0.4, 0.2, 0.0, 0.1),
        (math.inf, 0.5, 0.3, 0.0, 0.1),
    ),
    "words": (
        (2, 0.0, 0.0, 0.0, 0.0),
        (8, 0.2, 0.0, 0.0, 0.03),
        (35, 0.5, 0.5, 0.0, 0.1),
        (math.inf, 0.5, 0.5, 0.3, 0.1),
    ),
}
DEEP_PASSES = 35  # from so many passes on a second layer pays for its time, not for words
TIED_PASSES = 20  # from so many on a small vocabulary of words shares vectors with the output
OPERATIONS = 5e10  # a second, roughly what training spends on the machine that times here are of
MULTIPLIED = 8.2e10  # and what products of matrices reach there on one core
CORES = 2  # of that machine
PRODUCTS = 12  # of matrices, that a machine's speed is measured with


def speed() -> float:
    """How fast this machine's cores multiply matrices, beside the one that times are for.

    It is the machine's speed, not that of the moment, so that the choices which follow from it are
    the same beside another program: one core multiplies, the fastest of some products counts, and
    the result is rounded to a power of the square root of 2.
    """
    cores = torch.get_num_threads()
    matrix = torch.ones(512, 512)
    took = []
    try:
        torch.set_num_threads(1)
        for _ in range(PRODUCTS):
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            took.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(cores)
    measured = 2 * 512**3 / min(took) / MULTIPLIED * cores / CORES
    return float(2 ** (round(2 * math.log2(measured)) / 2))


def choose(
    level: str,
    tokens: int,
    vocab_size: int,
    options: dict[str, Any],
    speed: float = 1.0,
) -> dict[str, Any]:
    """Values for the fields of ModelConfig and TrainingConfig, those of the user first.

    The more text and time, the larger the network; the more often one layer would see each
    part of the text, the more dropout and decay keep it from learning it by heart.

    Args:
        level: a key of TOKENIZERS.
        tokens: in the training part.
        vocab_size: V.
        options: what the user has set.
        speed: of the machine; see `speed`. Of no account if no time limits the training.
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
    }
    shape |= {name: options[name] for name in shape if name in options}
    if shape["tied"] and "embedding" not in options:
        shape["embedding"] = shape["hidden"]
    # A large vocabulary has more vectors than its text can teach twice; those of a small one are
    # learned sooner apart, but not as well.
    shared: dict[str, Any] = {"embedding": shape["hidden"], "tied": True}
    if options.keys() & {"embedding", "tied"}:
        shared = {}
    if vocab_size >= SAMPLED_FROM:
        shape |= shared
    bptt = max(1, options.get("bptt", min(64, tokens // 8)))
    batch = max(1, options.get("batch", min(16, tokens // (4 * bptt))))
    multiplied = _multiplied(ModelConfig(vocab_size, **shape), bptt * batch)
    read = min(
        seconds * OPERATIONS / (6 * multiplied), options.get("steps", math.inf) * bptt * batch
    )
    passes = min(options.get("epochs", math.inf), read / tokens)
    words = kind == "words"
    if words and passes >= TIED_PASSES:
        shape |= shared
    if passes >= DEEP_PASSES and not words and "layers" not in options:
        shape["layers"] = 2
    # A text that is never read to its end can be read at more places at once, given some time.
    if passes < 1 and LONG <= seconds < math.inf and "batch" not in options:
        batch *= 2
    learned = passes * multiplied / tokens if kind == "characters" else passes
    # (A limit of NaN gets this far; TrainingConfig refuses it.)
    rows = REGULARISATION[kind]
    dropout, inputs, weights, decay = next(row for below, *row in rows if not learned >= below)
    recipe = {
        "bptt": bptt,
        "batch": batch,
        "dropout": dropout,
        "input_dropout": inputs,
        "weight_drop": weights,
        "variational": words or inputs > 0,
        "weight_decay": decay,
    }
    return shape | recipe | options


def _kind(level: str, vocab_size: int) -> str:
    """What tokens are, a key of REGULARISATION: the longer, the sooner a text is known by heart."""
    if level == "word" or vocab_size >= SAMPLED_FROM:
        return "words"
    return "parts" if level == "bpe" else "characters"


def _hidden(tokens: int, seconds: float) -> int:
    if seconds < 40 or tokens < 50_000:
        return 128
    if seconds < LONG or tokens < 500_000:
        return 256
    return 384 if seconds < 900 else 512


def _multiplied(config: ModelConfig, tokens_per_step: int) -> int:
    """Weights that a token is multiplied with."""
    recurrent = sum(math.prod(s) for name, s in tensor_shapes(config).items() if "layers." in name)
    return recurrent + sample_size(config.vocab_size, tokens_per_step) * config.hidden


def command(
    source: Source,
    level: str,
    vocab_size: int | None,
    parent: str | None,
    model: ModelConfig,
    training: TrainingConfig,
) -> str:
    """The command line that makes these choices, whatever the speed of the machine.

    Args:
        source: the text, as the user named it.
        level, vocab_size, parent: as given to training.setup.begin.
        model, training: what was chosen. A `parent` decides the shape.
    """
    values: dict[str, Any] = {"--encoding": source.encoding, "--glob": source.glob}
    values |= {"--field": source.field, "--delimiter": source.delimiter, "--errors": source.errors}
    values |= {"--split-on": source.split_on}
    for option, off in (
        ("--no-header", not source.header),
        ("--no-normalise", not source.normalise and level != "byte"),
    ):
        values |= {option: True} if off else {}
    if source.kind != "text":
        values[f"--{source.kind}"] = True
    if parent:
        values["--from"] = parent
    else:
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
