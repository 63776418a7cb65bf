"""Explanations of suggestions: the sources, and lines of the training text."""

import threading
from pathlib import Path

import pytest

from charrnn.suggestions.completer import Completion, Reasons
from charrnn.suggestions.explanation import Evidence, why
from charrnn.text.blocks import KINDS
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.tokenizer import CharTokenizer
from tests.models import random_model

TEXT = "The old fox ran.\nAn old fox sat, and the old\nfox slept.\nfoxes\n"


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Return the evidence of TEXT."""
    (tmp_path / "text.txt").write_text(TEXT)
    return evidence_of(tmp_path / "text.txt")


def evidence_of(path: Path) -> Evidence:
    """Return the evidence of a model trained on the file as it is."""
    fingerprint = Parts.of([path.read_text(encoding="utf-8")], 0.1).fingerprint
    return Evidence(Source([str(path)]), fingerprint)


def test_longest_context(evidence: Evidence) -> None:
    """The lines shown share the longest context found, across line breaks."""
    lines, shared = evidence.lines("I saw the old ", "fox")
    assert shared == "'the old fox' once"
    assert lines == ["An old fox sat, and the old fox slept."]


def test_shorter_context(evidence: Evidence) -> None:
    """Where no line has the whole context, a shorter one is searched for."""
    lines, shared = evidence.lines("My old ", "fox")
    assert shared == "'old fox' 3 times"
    assert lines[0] == "The old fox ran."


def test_whole_words(evidence: Evidence) -> None:
    """A word is not found inside another one."""
    assert evidence.lines("", "foxes")[1] == "'foxes' once"
    assert evidence.lines("", "oxe") == ([], "")


def test_words_of_any_script(tmp_path: Path) -> None:
    """Words that end in a combining mark are found whole, as are those of unspaced scripts."""
    (tmp_path / "text.txt").write_text("हिन्दी की किताब\n小猫在公园里\n", encoding="utf-8")
    evidence = evidence_of(tmp_path / "text.txt")
    assert evidence.lines("हिन्दी ", "की") == (["हिन्दी की किताब"], "'हिन्दी की' once")
    assert evidence.lines("", "क") == ([], "")
    assert evidence.lines("小猫在", "公园")[0] == ["小猫在公园里"]


def test_long_gap(tmp_path: Path) -> None:
    """Long runs of white space are skipped quickly; combining marks that are words stay words."""
    (tmp_path / "text.txt").write_text(f"the{' ' * 200_000}x\nthe fox กิน\n", encoding="utf-8")
    evidence = evidence_of(tmp_path / "text.txt")
    assert evidence.lines("the ", "fox") == (["the fox กิน"], "'the fox' once")
    assert evidence.lines("fox ก", "\N{THAI CHARACTER SARA I}")[1] == "'fox ก ิ' once"


def test_no_text(tmp_path: Path) -> None:
    """A text that is gone, or came from standard input, gives no lines."""
    for source in (Source([str(tmp_path / "gone.txt")]), Source(["-"]), None):
        assert Evidence(source).lines("the ", "fox") == ([], "")


@pytest.mark.parametrize("kind", KINDS)
def test_another_text(kind: str, tmp_path: Path) -> None:
    """A text that has changed since training gives no lines, whatever its kind."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    source = Source([str(path)], kind=kind)
    evidence = Evidence(source, Parts.of(source.stream(), 0.1, kind).fingerprint)
    assert evidence.lines("the old ", "fox")[1] == "'the old fox' once"
    path.write_text(TEXT.replace("slept", "sleeps"))
    evidence = Evidence(source, evidence.fingerprint)
    assert evidence.lines("the old ", "fox") == ([], "")


def test_long_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the beginning of a long text is searched, and the explanation says so."""
    monkeypatch.setattr("charrnn.suggestions.explanation.SEARCHED_CHARS", 1_000_000)
    path = tmp_path / "text.txt"
    path.write_text("the fox ran\n" * 300_000 + "the heron flew\n")
    evidence = evidence_of(path)
    assert len(evidence.text) == 1_000_000
    assert evidence.limits == " in its first 1 million characters"
    assert evidence.lines("the ", "fox") == (["the fox ran"], "'the fox' 83,333 times")
    assert evidence.lines("the ", "heron") == ([], "")


def test_slow_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the text is being read, the sources are explained without waiting for it."""
    monkeypatch.setattr("charrnn.suggestions.explanation.WAIT_SECONDS", 0.05)
    readable = threading.Event()
    monkeypatch.setattr(Source, "stream", lambda _: iter([TEXT] if readable.wait() else []))
    evidence = Evidence(Source(["book.txt"]))
    model = random_model(CharTokenizer.train(TEXT))
    output = why(model.reasons, evidence, "The old f", Completion("ox", 0.5))
    assert output.splitlines()[0] == "fox: 50.0%"
    assert "the training text is being read; ask again in a moment" in output
    readable.set()
    assert evidence.ready()
    assert "gone or has changed" in why(model.reasons, evidence, "The old f", Completion("ox", 0.5))


def test_damaged_resume_file(tmp_path: Path) -> None:
    """A run whose resume file is damaged has no training text."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "resume.safetensors").write_bytes(b"no tensors")
    assert Evidence.find(tmp_path / "model.safetensors").text == ""


def test_a_word_of_the_parent(evidence: Evidence) -> None:
    """A word that only the model that was fine-tuned knows is said to come from it."""
    evidence.parent = "english"
    for word, trained, trigrams, parent in (
        ("badger", 0, 0.01, True),
        ("badger", 0, 1e-5, False),
        ("fox", 3, 0.01, False),
    ):
        found = Reasons(0.1, trigrams, trained, 0, 0)
        text = why(lambda *_, found=found: found, evidence, "The ", Completion(word, 0.2))
        assert ("\n  the word comes from english, which was fine-tuned" in text) == parent
