"""The training of a network, step by step."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from charrnn import load
from charrnn.config import ModelConfig
from charrnn.events import Done, Validation
from charrnn.network.cells import CELLS
from charrnn.text.blocks import END
from charrnn.text.split import Parts
from charrnn.training import checkpoint, final_weights
from charrnn.training.batching import Documents
from charrnn.training.network import Network
from charrnn.training.trainer import AVERAGED, Trainer
from charrnn.training.validation import evaluate, evaluate_documents
from tests.training.small import DOCUMENTS, RECORDS, TEXT, finish, run_in, trainer


def everything(training: Trainer) -> dict[str, Tensor]:
    """Return all tensors of the training's state."""
    return training.state()[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "text", "kind", "large", "order"),
    [
        *((cell, TEXT, "text", False, 0) for cell in CELLS),
        ("lstm", TEXT, "text", False, 5),
        ("lstm", DOCUMENTS, "documents", False, 5),
        ("lstm", DOCUMENTS, "documents", True, 0),
        ("lstm", RECORDS, "records", False, 3),
        ("gru", RECORDS, "records", True, 0),
    ],
)
def test_resume_is_exact(
    cell: str,
    text: str,
    kind: str,
    large: bool,
    order: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run interrupted at any steps and resumed equals an unbroken one, bit for bit."""
    options: dict[str, Any] = {"kind": kind, "ngram_order": order}
    if large:  # options of large vocabularies
        monkeypatch.setattr("charrnn.training.replica.SAMPLED_FROM", 1)
        options |= {"input_dropout": 0.2, "weight_drop": 0.2, "variational": True}
        options |= {"embedding_dropout": 0.1}
    whole = trainer(cell, text, **options)
    finish(whole, run_in(tmp_path_factory.mktemp("whole")))

    @settings(max_examples=2, deadline=None)
    @given(st.lists(st.integers(1, 39), min_size=1, max_size=3, unique=True))
    def check(stops: list[int]) -> None:
        run = run_in(tmp_path_factory.mktemp("parts"))
        for stop in [*sorted(stops), None]:
            part = trainer(cell, text, **options)
            if (run.path / "resume.safetensors").exists():
                part.restore(*checkpoint.load(run.path / "resume.safetensors"))
            finish(part, run, stop)
        for name, tensor in everything(whole).items():
            assert torch.equal(tensor, everything(part)[name]), name
        assert part.keeper.kept.val == whole.keeper.kept.val

    check()


@pytest.mark.parametrize(
    "options", [{"optimizer": "adam"}, {"optimizer": "sgd", "clip": 0.0}], ids=str
)
def test_resume_of_other_optimizers(options: dict[str, Any], tmp_path: Path) -> None:
    """A resumed run equals an unbroken one with every optimizer."""
    options |= {"init": "normal", "init_scale": 0.5, "weight_decay": 0.1}
    whole, part, again = (trainer(**options) for _ in range(3))
    finish(whole, run_in(tmp_path / "whole"))
    run = run_in(tmp_path / "part")
    finish(part, run, 17)
    again.restore(*checkpoint.load(run.path / "resume.safetensors"))
    finish(again, run)
    assert all(torch.equal(t, everything(again)[name]) for name, t in everything(whole).items())


def test_a_resume_file_without_newer_options(tmp_path: Path) -> None:
    """A file from before --init and --optimizer resumes exactly, plan included."""
    training, run = trainer(), run_in(tmp_path)
    training.progress.steps = 39  # a plan that its configuration alone does not give
    finish(training, run, 17)
    tensors, values = checkpoint.load(tmp_path / "resume.safetensors")
    for name in ("init", "init_scale", "optimizer"):
        del values["training"][name]
    again = trainer()
    again.restore(tensors, values)
    assert again.progress.steps == 39


def test_same_seed_same_model(tmp_path: Path) -> None:
    """The same seed gives the same weights, another seed gives others."""
    first, second, other = trainer(), trainer(), trainer(seed=1)
    for number, training in enumerate((first, second, other)):
        finish(training, run_in(tmp_path / str(number)))
    assert torch.equal(first.network.output.weight, second.network.output.weight)
    assert not torch.equal(first.network.output.weight, other.network.output.weight)


@pytest.mark.parametrize(
    ("cell", "kind", "norm"),
    [("lstm", "text", 5.66497), ("gru", "text", 5.81351), ("gru", "documents", 5.66633)],
)
def test_the_same_weights_as_ever(cell: str, kind: str, norm: float) -> None:
    """A seed gives the weights that it gave in earlier versions, but for rounding."""
    training = trainer(cell, DOCUMENTS if kind == "documents" else TEXT, kind=kind)
    for _ in range(40):
        training.update()
    assert float(training.network.output.weight.detach().norm()) == pytest.approx(norm, rel=1e-4)


def test_training_learns(tmp_path: Path) -> None:
    """A few hundred steps halve the loss of a uniform prediction."""
    training = trainer(layers=1, steps=300, dropout=0.0)
    done = finish(training, run_in(tmp_path / "run"))[-1]
    assert isinstance(done, Done)
    assert done.val_nats is not None
    assert done.val_nats < math.log(training.network.config.vocab_size) / 2


def test_the_best_model_is_kept(tmp_path: Path) -> None:
    """The model file holds the weights and the score of the best validation, not the last."""
    backwards = TEXT[: len(TEXT) // 9][::-1]
    training = trainer(text=TEXT + backwards, layers=1, steps=200, dropout=0.0)
    events = finish(training, run_in(tmp_path / "run"))
    validations = [event for event in events if isinstance(event, Validation)]
    best = min(validations, key=lambda event: event.val_nats)
    assert best.step < 200
    saved = load(tmp_path / "run")
    for name, weight in saved.file.weights.items():
        assert np.array_equal(weight, training.best[name].numpy())
    final = final_weights.choose(training)
    assert final
    assert saved.file.trained.facts["val_nats"] == pytest.approx(final.nats)


def test_the_average() -> None:
    """The model's weights are a mean of those after each step, in which older ones decay."""
    training = trainer()
    after = []
    for _ in range(30):
        training.update()
        after.append(training.network.output.weight.detach().clone())
    # Polynomial decay as a product: the weights after step t have share t of the mean until then.
    shares = [min(1, (AVERAGED + 1) / (AVERAGED + t)) for t in range(1, 31)]
    remaining = [math.prod(1 - s for s in shares[t:]) for t in range(1, 31)]
    parts = [s * r for s, r in zip(shares, remaining, strict=True)]
    assert sum(parts) == pytest.approx(1)
    assert sum(parts[:15]) < 0.01
    mean = torch.stack([part * weights for part, weights in zip(parts, after, strict=True)]).sum(0)
    assert torch.allclose(training.average["output"], mean, atol=1e-6)
    saved = training.weights(best=False)["output"]
    assert np.array_equal(saved, training.average["output"])


@pytest.mark.parametrize("order", [0, 5])
def test_scores_agree(order: int, tmp_path: Path) -> None:
    """Training and the model file agree on the loss of the held-out text after what precedes it."""
    training = trainer(layers=1, steps=100, ngram_order=order)
    done = finish(training, run_in(tmp_path / "run"))[-1]
    assert isinstance(done, Done)
    (nats,) = load(tmp_path / "run").surprisal([TEXT])
    assert nats[int(len(TEXT) * 0.9) :].mean() == pytest.approx(done.val_nats, rel=1e-3)


@pytest.mark.parametrize("order", [0, 5])
def test_document_scores_agree(order: int, tmp_path: Path) -> None:
    """Each held-out document is scored as the model scores it alone."""
    training = trainer(text=DOCUMENTS, layers=1, steps=100, kind="documents", ngram_order=order)
    done = finish(training, run_in(tmp_path / "run", "documents"))[-1]
    assert isinstance(done, Done)
    held_out = "".join(Parts.of([DOCUMENTS], 0.1, "documents").val)
    model = load(tmp_path / "run")
    scores = [model.score(document + END) for document in held_out.split(END)[:-1]]
    assert len(scores) > 5
    assert done.val_nats == pytest.approx(
        sum(score.nats for score in scores) / len(held_out), rel=1e-4
    )


def test_documents_are_forgotten() -> None:
    """A document does not affect the score of the next one."""
    network = Network(ModelConfig(9, hidden=16, embedding=8), torch.Generator().manual_seed(0))
    last = torch.tensor([1, 2, 3, 8])
    alone = evaluate_documents(network, last, Documents(torch.tensor([4]))).mean
    for before in ([5, 8], [4] * 500 + [8]):
        ids = torch.cat((torch.tensor(before), last))
        sizes = torch.tensor([len(before), len(ids)])
        first = evaluate_documents(network, torch.tensor(before), Documents(sizes[:1])).mean
        both = evaluate_documents(network, ids, Documents(sizes)).mean
        mean = (len(before) * first + len(last) * alone) / len(ids)
        assert both == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("tokens", [1, 2000, None])
def test_targets_are_scored(tokens: int | None) -> None:
    """However few tokens of records are asked for, some targets are scored, and only they."""
    network = Network(ModelConfig(3, hidden=4, embedding=2), torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.copy_(torch.tensor([0.0, 5.0, 9.0]))
    record = torch.tensor([0] * 1997 + [1, 1, 2])
    ends = torch.arange(2000, 20_001, 2000)
    losses = evaluate_documents(network, record.repeat(10), Documents(ends, ends - 2), tokens)
    expected = -network.output.bias.detach().log_softmax(0)[1:].mean()
    assert losses.mean == pytest.approx(float(expected), rel=1e-5)


def test_a_sample_of_documents() -> None:
    """If only a part of the tokens is scored, it is spread over all of the text."""
    network = Network(ModelConfig(2, hidden=4, embedding=2), torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.output.bias.copy_(torch.tensor([9.0, 0.0]))
    ids = torch.cat((torch.zeros(30_000), torch.ones(30_000))).to(torch.uint8)
    ends = Documents(torch.arange(300, 60_001, 300))
    whole = evaluate_documents(network, ids, ends).mean
    assert evaluate_documents(network, ids, ends, 6000).mean == pytest.approx(whole, rel=0.15)


@pytest.mark.parametrize("count", [1, 5, 300, 2000, 5001])
def test_evaluate_equals_one_stream(count: int) -> None:
    """Scoring passages in parallel nearly equals one stream, and counts each token once."""
    config = ModelConfig(20, hidden=16, embedding=8)
    network = Network(config, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 20, (count + 300,), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        logits, _ = network(ids[:-1, None].long(), network.zero_state(1))
    logp = logits[:, 0].log_softmax(1).gather(1, ids[1:, None].long())[-count:]
    found = evaluate(network, ids[:300], ids[300:]).mean
    assert found == pytest.approx(-logp.mean().item(), rel=1e-4)


def test_a_sample_stands_for_the_whole() -> None:
    """If only a part of the tokens is scored, it is spread over all of the text."""
    network = Network(ModelConfig(2, hidden=4, embedding=2), torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.output.bias.copy_(torch.tensor([9.0, 0.0]))
    ids = torch.cat((torch.zeros(30_000), torch.ones(30_000))).to(torch.uint8)
    whole = evaluate(network, ids[:1], ids).mean
    assert evaluate(network, ids[:1], ids, 6000).mean == pytest.approx(whole, rel=0.15)
    assert evaluate(network, ids[:1], ids, 10**9).mean == whole
