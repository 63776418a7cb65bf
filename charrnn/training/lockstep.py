"""How the processes of a training stay in step: rank 0 announces each action before it takes it.

Rank 0 has a Trainer, with which it decides what comes next as if it were alone. The others have a
Replica and do what they are told, so that the weights and the optimizer's state are the same
everywhere.
"""

import dataclasses
from collections.abc import Callable
from enum import IntEnum

import torch
from torch import Tensor

from charrnn import tokenizer
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import RunError, UsageError
from charrnn.text import known
from charrnn.text.source import Source
from charrnn.training.corpus import Corpus
from charrnn.training.ranks import Ranks
from charrnn.training.replica import Replica


class Action(IntEnum):
    """What all processes do next."""

    UPDATE = 1  # train on some batches
    GATHER = 2  # give rank 0 the hidden states of all streams
    RESTORE = 3  # take over rank 0's state
    END = 4


def introduce(
    ranks: Ranks,
    source: Source,
    model: ModelConfig,
    training: TrainingConfig,
    corpus: Corpus,
    anchored: bool,
) -> None:
    """Tell the other processes what is trained, before the first action.

    Args:
        ranks: the processes.
        source: the text, which the others read too.
        model: configuration of the network.
        training: configuration of the training.
        corpus: the text, tokenized.
        anchored: whether the optimizer has an anchor.

    Raises:
        UsageError: there are fewer streams than processes.
    """
    if ranks.size == 1:
        return
    if training.batch < ranks.size:
        raise UsageError(
            f"batch is {training.batch}, but each of {ranks.size} processes needs a stream",
            "give a larger batch, or use fewer processes",
            ["batch"],
        )
    ranks.share_json(
        {
            "source": source.absolute().to_json(),
            "model": dataclasses.asdict(model),
            "training": dataclasses.asdict(training),
            "tokenizer": corpus.tokenizer.to_json(),
            "fingerprint": corpus.fingerprint,
            "anchored": anchored,
        }
    )


def announce(leader: Replica, action: Action, count: int = 0) -> None:
    """Announce to the other processes what comes next; nothing if there are none."""
    if leader.ranks.size > 1:
        progress = leader.progress
        leader.ranks.agree([action, count, progress.step, progress.steps, progress.rate])


def gather(replica: Replica) -> list[Tensor]:
    """Return the states of all streams, for each layer [S, B, H]; in all processes at once."""
    return [replica.ranks.whole(state, replica.config.batch) for state in replica.hidden]


def share_state(replica: Replica, hidden: list[Tensor]) -> None:
    """Take over rank 0's state; in all processes at once.

    Args:
        replica: the replica to change; that of rank 0 only gets its part of `hidden`.
        hidden: rank 0's states of all streams, for each layer [S, B, H]; other values elsewhere.
    """
    position = torch.tensor(replica.streams.position)
    if replica.ranks.size > 1:
        weights = replica.network.parameters_by_name().values()
        optimizer = replica.optimizer.state().values()
        replica.ranks.share([*(w.detach() for w in weights), *optimizer, *hidden, position])
    replica.streams.position = int(position)
    part = replica.ranks.part(replica.config.batch)
    replica.hidden = [layer[:, part].contiguous() for layer in hidden]


def prepare(ranks: Ranks, device: torch.device) -> Replica:
    """Return the replica of a process that is not rank 0, once rank 0 has introduced the training.

    Args:
        ranks: the processes.
        device: the device that computes.

    Raises:
        TextError: the text cannot be read here.
        RunError: the text here is another one, or another process is lost.
    """
    values = ranks.share_json()
    source = Source.from_json(values["source"])
    config = TrainingConfig(**values["training"])
    vocabulary = tokenizer.from_json(values["tokenizer"])
    with known.split(source, config.val, config.seed) as parts:
        corpus = Corpus.prepare(parts, lambda _: vocabulary)
    if corpus.fingerprint != values["fingerprint"]:
        raise RunError(
            f"{', '.join(source.paths)} is not the text that rank 0 reads",
            "give all machines the same file, at the same path",
        )
    if config.threads:
        torch.set_num_threads(config.threads)
    replica = Replica(ModelConfig(**values["model"]), config, corpus, device, ranks)
    if values["anchored"]:
        replica.optimizer.set_anchor()
    return replica


def follow(replica: Replica, stop: Callable[[], bool]) -> None:
    """Train with rank 0 until it ends.

    Args:
        replica: from `prepare`.
        stop: called before each action; True asks rank 0 to save and end.

    Raises:
        RunError: another process is lost.
    """
    while True:
        action, count, step, steps, rate = replica.ranks.agree([0.0] * 5, stop())
        progress = replica.progress
        progress.step, progress.steps, progress.rate = int(step), int(steps), rate
        match Action(int(action)):
            case Action.UPDATE:
                for batch in replica.batches(int(count)):
                    replica.learn(batch)
            case Action.GATHER:
                gather(replica)
            case Action.RESTORE:
                share_state(replica, replica.network.zero_state(replica.config.batch))
            case Action.END:
                return
