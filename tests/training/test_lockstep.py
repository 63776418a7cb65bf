"""Several processes train the network that one would train; here they are threads."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn.events import Done, Rollback, Stop
from charrnn.training import checkpoint
from charrnn.training.clock import Clock
from charrnn.training.lockstep import Action, announce, follow
from charrnn.training.loop import train
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.replica import Replica
from charrnn.training.trainer import Trainer
from tests.training.small import CPU, DOCUMENTS, RECORDS, finish, run_in, setup, trainer

TEXTS = {"documents": DOCUMENTS, "records": RECORDS}
PATIENCE = 60.0  # seconds that a thread waits for the others


class Threads(Ranks):
    """Ranks that are threads of one process."""

    def __init__(self, rank: int, barrier: Barrier, slots: list[Tensor]) -> None:
        super().__init__(rank, barrier.parties)
        self._barrier = barrier
        self._slots = slots

    def _exchange(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all."""
        self._slots[self.rank] = tensor.clone()
        self._barrier.wait(PATIENCE)
        theirs = [*self._slots]
        self._barrier.wait(PATIENCE)
        return theirs

    def _add(self, tensor: Tensor) -> None:
        tensor.copy_(torch.stack(self._exchange(tensor)).sum(0))

    def _copy(self, tensor: Tensor) -> None:
        tensor.copy_(self._exchange(tensor)[0])

    def _collect(self, parts: list[Tensor], mine: Tensor) -> None:
        for part, theirs in zip(parts, self._exchange(mine), strict=True):
            part.copy_(theirs)


@contextmanager
def together(
    size: int, stop: Callable[[], bool] = lambda: False, **options: Any
) -> Iterator[tuple[Trainer, list[Replica]]]:
    """Yield the trainer of rank 0, and the replicas that follow it until the end of the block.

    Args:
        size: number of ranks.
        stop: see `follow`.
        options: of `small.trainer`.
    """
    barrier = Barrier(size)
    slots = [torch.zeros(0)] * size
    ranks = [Threads(rank, barrier, slots) for rank in range(size)]
    replicas = [Replica(*setup(**options), CPU, ranks[rank]) for rank in range(1, size)]
    with ThreadPoolExecutor() as pool:
        following = [pool.submit(follow, replica, stop) for replica in replicas]
        try:
            leader = trainer(**options, ranks=ranks[0])
            yield leader, replicas
            announce(leader, Action.END)
        except BaseException:
            barrier.abort()
            raise
        for each in following:
            each.result()


def weights(replica: Replica) -> dict[str, Tensor]:
    """Return the weights that are trained; rank 0 alone fits the mixture with n-grams."""
    named = replica.network.parameters_by_name()
    return checkpoint.clone({name: weight for name, weight in named.items() if name != "mix"})


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], most: float) -> None:
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=most)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (2, {"steps": 200}),
        (3, {"cell": "gru"}),
        (2, {"kind": "documents"}),
        (2, {"kind": "records", "source_weight": 0.5}),
        (2, {"optimizer": "adam"}),
        (2, {"optimizer": "sgd", "weight_decay": 0.1}),
    ],
    ids=str,
)
def test_the_weights_of_one_process(size: int, options: dict[str, Any], tmp_path: Path) -> None:
    """Without dropout several processes give the weights of one, but for rounding."""
    options = {
        "text": TEXTS[options["kind"]] if "kind" in options else None,
        "dropout": 0,
    } | options
    options = {name: value for name, value in options.items() if value is not None}
    kind = options.get("kind", "text")
    alone = trainer(**options)
    expected = finish(alone, run_in(tmp_path / "alone", kind))[-1]
    with together(size, **options) as (leader, replicas):
        done = finish(leader, run_in(tmp_path / "together", kind))[-1]
    assert isinstance(done, Done)
    assert isinstance(expected, Done)
    assert done.val_nats == pytest.approx(expected.val_nats, abs=1e-5)
    for replica in (leader, *replicas):
        assert_close(weights(alone), weights(replica), 1e-5)
        assert replica.step == alone.step


def test_a_sampled_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process samples other tokens and dropout masks; the weights stay the same everywhere."""
    monkeypatch.setattr("charrnn.training.replica.SAMPLED_FROM", 1)
    with together(2, dropout=0.3) as (leader, (replica,)):
        leader.update()
        leader.update()
    assert_close(weights(leader), weights(replica), 0)
    states = [each.network.dropout_generator.get_state() for each in (leader, replica)]
    assert not torch.equal(*states)


def test_resume_is_exact(tmp_path: Path) -> None:
    """As many processes as before go on as if they had not stopped, dropout included."""
    with together(2, ngram_order=3) as (whole, _):
        finish(whole, run_in(tmp_path / "whole"))
    run = run_in(tmp_path / "parts")
    with together(2, ngram_order=3) as (part, _):
        finish(part, run, 17)
    with together(2, ngram_order=3) as (again, (replica,)):
        again.restore(*checkpoint.load(run.path / "resume.safetensors"))
        finish(again, run)
    assert_close(weights(whole), weights(again), 0)
    assert_close(weights(whole), weights(replica), 0)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (2, 1), (2, 3)])
def test_resume_with_another_number(before: int, after: int, tmp_path: Path) -> None:
    """More or fewer processes than before go on from the same state."""
    whole = trainer(dropout=0)
    finish(whole, run_in(tmp_path / "whole"))
    run = run_in(tmp_path / "parts")
    for size, stop_at in ((before, 17), (after, None)):
        with together(size, dropout=0) as (leader, _):
            if stop_at is None:
                leader.restore(*checkpoint.load(run.path / "resume.safetensors"))
            finish(leader, run, stop_at)
    assert_close(weights(whole), weights(leader), 1e-5)


def test_all_go_back(tmp_path: Path) -> None:
    """After divergence all processes go back together."""
    with together(2, steps=60) as (leader, (replica,)):

        def stop() -> bool:
            if leader.step == 31 and leader.progress.rate == leader.config.lr:
                with torch.no_grad():
                    leader.network.embedding.weight[0] = math.nan
            return False

        events = list(train(leader, run_in(tmp_path), Clock(0.0), stop))
    assert any(isinstance(event, Rollback) for event in events)
    assert isinstance(events[-1], Done)
    assert_close(weights(leader), weights(replica), 0)


def test_any_process_can_stop_all(tmp_path: Path) -> None:
    """A process that was asked to stop makes rank 0 save and end."""
    asked = [False]
    with together(2, lambda: asked[0]) as (leader, _):

        def stop() -> bool:
            asked[0] = leader.step >= 5
            return leader.ranks.stopping

        events = list(train(leader, run_in(tmp_path), Clock(0.0), stop))
    assert isinstance(events[-1], Stop)
    assert (tmp_path / "resume.safetensors").exists()


def test_the_parts_cover_everything() -> None:
    """Every stream belongs to exactly one process."""
    parts = [Ranks(rank, 3).part(10) for rank in range(3)]
    assert [i for part in parts for i in range(10)[part]] == list(range(10))
    assert ALONE.part(10) == slice(0, 10)
