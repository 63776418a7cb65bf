"""Tiny trainings for tests, without the command line."""

import itertools
import time
from pathlib import Path
from typing import Any

import torch

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.events import Event
from charrnn.text.blocks import END, TARGET
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training.clock import Clock
from charrnn.training.corpus import Corpus
from charrnn.training.extras import ModelExtras, opening
from charrnn.training.loop import train
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.run import Run
from charrnn.training.trainer import Trainer

TEXT = "".join(
    f"{who} {what} {where}.\n"
    for who, what, where in itertools.product(
        ["The fox", "A heron", "The old miller", "Her daughter", "My neighbour"],
        ["slept", "sang a song", "waited for rain", "counted the stones"],
        ["by the river", "in the barn", "under a bridge", "on Sunday", "all winter"],
    )
)
DOCUMENTS = "".join(TEXT[i : i + 37 + i % 80] + END for i in range(0, len(TEXT), 50))
RECORDS = "".join(
    sentence[4:-1] + TARGET + sentence[:4].strip() + END for sentence in TEXT.splitlines()
)
CPU = torch.device("cpu")


def trainer(*arguments: Any, ranks: Ranks = ALONE, **options: Any) -> Trainer:
    """Return a new training of a tiny network; the other arguments are those of `setup`."""
    return Trainer(*setup(*arguments, **options), CPU, ranks=ranks)


def setup(
    cell: str = "lstm",
    text: str = TEXT,
    layers: int = 2,
    kind: str = "text",
    ngram_order: int = 0,
    **options: object,
) -> tuple[ModelConfig, TrainingConfig, Corpus]:
    """Return a tiny network, its training and its text; `options` are those of TrainingConfig."""
    values: dict[str, object] = {"bptt": 16, "batch": 4, "dropout": 0.2, "steps": 40}
    config = TrainingConfig(**(values | options))  # type: ignore[arg-type]
    corpus = Corpus.prepare(Parts.of([text], config.val, kind))
    network = ModelConfig(
        corpus.tokenizer.vocab_size,
        cell,
        layers,
        hidden=16,
        embedding=8,
        ngram_order=ngram_order,
    )
    return network, config, corpus


def run_in(folder: Path, kind: str = "text") -> Run:
    """Return a run that is saved to the folder, which is created if it is missing."""
    return Run(made(folder), Source(["text.txt"]), ModelExtras(opening(kind, TEXT)))


def made(folder: str | Path) -> Path:
    """Create the folder if it is missing, and return its path."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


def finish(training: Trainer, run: Run, stop_at: int | None = None) -> list[Event]:
    """Train until `stop_at` steps, or to the end, and return the events."""
    clock = Clock(time.monotonic())
    return list(train(training, run, clock, lambda: training.step == stop_at))
