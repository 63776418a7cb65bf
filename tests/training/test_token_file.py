"""A large text, whose tokens are kept in a file, trains the same model as one in memory."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import RunError, TextError
from charrnn.text.blocks import KINDS, Blocks
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.tokenizer import CharTokenizer
from charrnn.training import corpus as corpora
from charrnn.training import final_weights, prepare, token_file
from charrnn.training.corpus import Corpus
from charrnn.training.extras import ModelExtras
from charrnn.training.run import Run
from charrnn.training.trainer import Trainer
from tests.training.small import CPU, TEXT, finish, made

OPTIONS: dict[str, Any] = {"hidden": 16, "bptt": 16, "batch": 4, "steps": 12}


@pytest.fixture(autouse=True)
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text that is read and encoded in many blocks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("charrnn.text.encodings.READ_BYTES", 1000)
    monkeypatch.setattr(token_file, "CHUNK_CHARS", 700)
    (tmp_path / "text.txt").write_text(TEXT * 4 + "§", encoding="utf-8")
    return tmp_path / "text.txt"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text counts as large."""
    monkeypatch.setattr(corpora, "IN_MEMORY", 0)


def begin(text: Path, name: str, level: str = "char", kind: str = "text") -> tuple[Trainer, Run]:
    """Begin a run named `name` on a text."""
    source = Source([str(text)], kind=kind)
    return prepare.begin(source, made(text.with_name(name)), "cpu", level, OPTIONS)


@pytest.mark.parametrize(
    ("level", "kind"),
    [
        ("char", "text"),
        ("word", "text"),
        ("char", "lines"),
        ("bpe", "lines"),
        ("char", "documents"),
        ("char", "records"),
    ],
)
@pytest.mark.slow
def test_the_same_model(text: Path, level: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary, the tokens, the indices and the weights are the same, bit for bit."""
    if kind in ("documents", "records"):
        for i in range(40):
            path = text.parent / "ab"[i % 2] / f"{i}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(TEXT[i * 9 :] + "§" * i, encoding="utf-8")
        text = text.parent
    small, small_run = begin(text, "small", level, kind)
    finish(small, small_run)
    assert not Path(os.environ["XDG_CACHE_HOME"]).exists()
    monkeypatch.setattr(corpora, "IN_MEMORY", 0)
    for name in ("made", "found"):
        trainer, run = begin(text, name, level, kind)
        one, other = trainer.corpus, small.corpus
        assert one.tokenizer.tokens == other.tokenizer.tokens
        assert torch.equal(one.train, other.train)
        assert torch.equal(one.val, other.val)
        assert one.escape_nats == other.escape_nats
        assert one.escape_nats > 0 or kind != "text"
        extras, expected = run.extras, small_run.extras
        assert extras.word_runs
        assert expected.word_runs
        assert extras.word_runs.bits.tobytes() == expected.word_runs.bits.tobytes()
        assert extras.held_out == expected.held_out
        assert (extras.items is None) == (expected.items is None) == (kind != "lines")
        if extras.items and expected.items:
            assert extras.items.bits.tobytes() == expected.items.bits.tobytes()
        assert extras.targets == expected.targets
        assert len(extras.targets) == (3 if kind == "records" else 0)  # with the folder itself
        if kind in ("documents", "records"):
            assert one.train_documents
            assert other.train_documents
            for places, there in zip(one.train_documents, other.train_documents, strict=True):
                assert (places is None) == (there is None)
                assert places is None or there is None or torch.equal(places, there)
        finish(trainer, run)
        for there, here in zip(
            trainer.network.parameters(), small.network.parameters(), strict=True
        ):
            assert torch.equal(there, here)
    made = [*Path(os.environ["XDG_CACHE_HOME"], "charrnn/texts").iterdir()]
    assert len(made) == 1


@pytest.mark.usefixtures("large")
def test_resumed(text: Path) -> None:
    """A run on a large text resumes, but not after the text has changed."""
    trainer, run = begin(text, "run")
    finish(trainer, run, stop_at=5)
    resumed, _ = prepare.resume([], run.path, "cpu", {})
    assert resumed.step == 5
    text.write_text(TEXT * 4 + "!", encoding="utf-8")
    with pytest.raises(RunError, match="the text is not the one"):
        prepare.resume([], run.path, "cpu", {})


@pytest.mark.usefixtures("large")
def test_another_split() -> None:
    """Another held-out share is tokenized separately."""
    parts = [Parts.of([TEXT], val) for val in (0.1, 0.2)]
    one, other = (Corpus.prepare(part).train for part in parts)
    assert len(one) == len(parts[0].train) > len(other) == len(parts[1].train)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("large")
def test_changed_meanwhile(kind: str) -> None:
    """A text that changes while it is read is refused, and no file is left behind."""
    end = KINDS[kind]
    reads = iter(["a", "b" * (1 + len(end))])
    items = TEXT.replace("\n", end or "\n")
    parts = Parts.of(Blocks(lambda: iter([items, next(reads), end])), 0.1, kind)
    with pytest.raises(TextError, match="changed while it was read"):
        Corpus.prepare(parts)
    assert not [*Path(os.environ["XDG_CACHE_HOME"]).rglob("*.tmp")]


@pytest.mark.parametrize("kind", KINDS)
def test_read_twice(kind: str) -> None:
    """The text is read once to split it, and once for the tokens and all that is noted about it."""
    reads = 0

    def read() -> Iterator[str]:
        nonlocal reads
        reads += 1
        return iter([TEXT.replace("\n", KINDS[kind] or "\n")])

    parts = Parts.of(Blocks(read), 0.1, kind)
    corpus = Corpus.prepare(parts)
    extras = ModelExtras.of(corpus, parts)
    assert reads == 2
    assert len(corpus.train) == len(parts.train)
    assert extras.word_runs
    assert extras.held_out


@pytest.mark.parametrize("kind", ["lines", "documents"])
def test_grown_meanwhile(kind: str) -> None:
    """A text that grows by items while it is read is refused."""
    items = TEXT.replace("\n", KINDS[kind])
    reads = iter([[items], [items, items]])
    parts = Parts.of(Blocks(lambda: iter(next(reads))), 0.1, kind)
    with pytest.raises(TextError, match="changed while it was read"):
        Corpus.prepare(parts)


def test_a_long_text_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary of a long text comes from a sample; training still reads all of the text."""
    monkeypatch.setattr("charrnn.text.split.SAMPLE", 1 << 16)
    text = "abcd " * (1 << 16)
    parts = Parts.of([text], 0.1)
    seen = 0

    def tokenize(sample: str) -> CharTokenizer:
        nonlocal seen
        seen = len(sample)
        return CharTokenizer.train(sample)

    assert len(Corpus.prepare(parts, tokenize).train) == len(parts.train)
    assert 0 < seen <= 1 << 16


@pytest.mark.usefixtures("large")
def test_held_out_is_scored_in_place() -> None:
    """Held-out tokens in a file have the same loss as in memory."""
    corpus = Corpus.prepare(Parts.of([TEXT * 4], 0.3))
    network = ModelConfig(corpus.tokenizer.vocab_size, "gru", 1, hidden=8, embedding=8)
    trainer = Trainer(network, TrainingConfig(batch=4, bptt=16, steps=4), corpus, CPU)
    there = final_weights.choose(trainer)
    object.__setattr__(corpus, "val", corpus.val.clone())
    assert final_weights.choose(trainer) == there
