"""Trains a small network on a task of charrnn.insight.recall."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.events import Event
from charrnn.insight.recall import Task
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.training.clock import Clock
from charrnn.training.corpus import Corpus
from charrnn.training.extras import ModelExtras, opening
from charrnn.training.loop import train
from charrnn.training.run import Run
from charrnn.training.trainer import Trainer

# Sizes with which LSTM and GRU solve the default task within 15 s on one core; not tuned further.
HIDDEN, EMBEDDING, BATCH = 64, 32, 64
HELD_OUT = 0.02  # share of the items that validations read


def learn(task: Task, cell: str, seconds: float, seed: int, folder: Path) -> Iterator[Event]:
    """Train a network by the ordinary loop, yielding its events; the run is saved to a folder.

    Of an item only the answer counts, the rest being random. Every window holds whole items, so
    that the gradient reaches back over the longest gap.

    Args:
        task: the task.
        cell: a key of CELLS.
        seconds: time to train.
        seed: seed of every random choice.
        folder: an empty folder.
    """
    clock = Clock(time.monotonic())
    text = task.text(np.random.default_rng(seed))
    config = TrainingConfig(
        seconds=seconds,
        seed=seed,
        threads=1,  # more only lose time with so small a network
        val=HELD_OUT,
        source_weight=0.0,
        batch=BATCH,
        bptt=task.longest,
    )
    corpus = Corpus.prepare(Parts.of([text], config.val, "records"))
    shape = ModelConfig(corpus.tokenizer.vocab_size, cell, 1, HIDDEN, EMBEDDING)
    trainer = Trainer(shape, config, corpus, torch.device("cpu"))
    run = Run(folder, Source(["recall"]), ModelExtras(opening("records", text)))
    return train(trainer, run, clock, lambda: False)
