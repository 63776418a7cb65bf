"""The weights kept are those of the last validation that was not worse than the best."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from charrnn import load
from charrnn.events import Done, Few, Overfit, Stop, Validation
from charrnn.training import checkpoint, final_weights
from charrnn.training.trainer import Trainer
from charrnn.training.validation import Losses
from tests.training.small import TEXT, finish, run_in, trainer

Score = Callable[[Trainer, int], Tensor]
NOISE = torch.randn(3200, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trainer, Score], None]:
    """A function that replaces a training's losses by those of `of(training, tokens)`."""

    def scored(training: Trainer, of: Score) -> None:
        def losses(_weights: object, _corpus: object, tokens: int, _fit: object = None) -> Losses:
            return Losses.of(of(training, tokens))

        monkeypatch.setattr(training, "losses", losses)

    return scored


def validated(training: Trainer, steps: int = 1) -> None:
    """Make updates, then validate."""
    for _ in range(steps):
        training.update()
    training.validate()


def test_a_difference_counts_above_its_error(
    scores: Callable[[Trainer, Score], None],
) -> None:
    """Weights that are better or no worse are kept; patience counts until better ones."""
    told: list[Tensor] = []
    training = trainer()
    scores(training, lambda *_: told[-1])
    found = []
    for change in (
        NOISE + 3,  # the first
        NOISE + 2,  # better
        NOISE + 2.001 + 0.2 * NOISE.flip(0),  # no different
        NOISE + 2.1,  # worse
        NOISE + 2.2,  # worse
        NOISE + 1.9,  # better
    ):
        told.append(change)
        validated(training)
        found.append((training.keeper.kept.step, training.keeper.since_best, training.keeper.worse))
    assert found == [(1, 0, 0), (2, 0, 0), (3, 1, 0), (3, 2, 1), (3, 3, 2), (6, 0, 0)]


def test_no_drift(scores: Callable[[Trainer, Score], None]) -> None:
    """Weights that get slightly worse each time are compared with the best, not with the last."""
    training = trainer()
    scores(training, lambda training, _: NOISE + 0.01 * training.step * NOISE.flip(0).abs())
    error = Losses.of(0.01 * NOISE.flip(0).abs()).error
    for _ in range(8):
        validated(training)
    assert error < 0.001
    assert training.keeper.kept.step == 1
    assert training.keeper.worse == 7


def test_all_candidates_are_scored_again(
    tmp_path: Path, scores: Callable[[Trainer, Score], None]
) -> None:
    """The final score reads more, and keeps other weights if they are better on that."""
    text = TEXT * 20
    training = trainer(text=text, steps=40, val=0.5, batch=16, bptt=64)

    def score(training: Trainer, tokens: int) -> Tensor:
        misled = tokens == training.progress.val_tokens
        return NOISE + (0.1 * training.step if misled else 1.0)

    scores(training, score)
    events = finish(training, run_in(tmp_path))
    assert training.progress.val_tokens < final_weights.scored_tokens(training)
    validations = [event for event in events if isinstance(event, Validation)]
    assert [event.best for event in validations] == [True] + 19 * [False]
    done = events[-1]
    assert isinstance(done, Done)
    assert done.best_step == 40
    saved = load(tmp_path).file
    assert torch.equal(torch.from_numpy(saved.weights["output"]), training.average["output"])
    assert done.val_nats == pytest.approx(1, abs=0.05)


def test_the_same_passages(scores: Callable[[Trainer, Score], None]) -> None:
    """If the final score reads nothing more, it is computed for one candidate alone."""
    training = trainer()
    scores(training, lambda training, _: NOISE + training.step)
    for _ in range(3):
        validated(training)
    assert training.progress.val_tokens == final_weights.scored_tokens(training)
    counted: list[int] = []
    scores(training, lambda *_: counted.append(1) or NOISE)  # type: ignore[func-returns-value]
    final_weights.choose(training)
    assert len(counted) == 1
    assert training.keeper.kept.step == 1


def test_few_characters_decide_nothing(tmp_path: Path) -> None:
    """If too little text is held out, the last weights are kept, and one event says so."""
    backwards = TEXT[:100][::-1]
    training = trainer(text=TEXT[:900] + backwards, layers=1, steps=200, dropout=0.0, patience=2)
    events = finish(training, run_in(tmp_path))
    (hint,) = [event for event in events if isinstance(event, Few)]
    assert hint.val_chars == 100
    assert not any(isinstance(event, Stop | Overfit) for event in events)
    scores = [event.val_nats for event in events if isinstance(event, Validation)]
    assert scores[-1] > min(scores) + 1
    assert training.step == training.keeper.kept.step == 200
    saved = load(tmp_path).file
    assert torch.equal(torch.from_numpy(saved.weights["output"]), training.average["output"])


def test_enough_characters(tmp_path: Path) -> None:
    """If enough text is held out, there is no such event."""
    assert not any(isinstance(event, Few) for event in finish(trainer(), run_in(tmp_path)))


def test_an_older_file_is_resumed(tmp_path: Path) -> None:
    """A resume file written before losses were compared loads, and its best weights stay."""
    backwards = TEXT[: len(TEXT) // 9][::-1]
    training = trainer(text=TEXT + backwards, layers=1, steps=200, dropout=0.0)
    finish(training, run_in(tmp_path), stop_at=100)
    tensors, values = checkpoint.load(tmp_path / "resume.safetensors")
    old = {n: t for n, t in tensors.items() if not n.startswith(("lowest.", "reference."))}
    new = ("lowest_step", "lowest_val", "lowest_loss", "last_val", "worse")
    values = {name: value for name, value in values.items() if name not in new}
    again = trainer(text=TEXT + backwards, layers=1, steps=200, dropout=0.0)
    again.check(old, values)
    again.restore(old, values)
    assert again.keeper.kept.step == training.keeper.kept.step
    finish(again, run_in(tmp_path))
    whole = trainer(text=TEXT + backwards, layers=1, steps=200, dropout=0.0)
    finish(whole, run_in(tmp_path / "whole"))
    assert torch.equal(again.network.output.weight, whole.network.output.weight)
    assert again.keeper.kept.step < 200
