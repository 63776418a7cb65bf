"""Why a word is suggested: sources and lines of the training text."""

from pathlib import Path

import pytest

from charrnn.source import Source
from charrnn.why import Evidence

TEXT = "The old fox ran.\nAn old fox sat, and the old\nfox slept.\nfoxes\n"


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    (tmp_path / "text.txt").write_text(TEXT)
    return Evidence(Source([str(tmp_path / "text.txt")]))


def test_longest_context(evidence: Evidence) -> None:
    """Lines are shown that share as many words before it as any do, line breaks apart."""
    lines, shared = evidence.lines("I saw the old ", "fox")
    assert shared == "'the old fox' once"
    assert lines == ["An old fox sat, and the old fox slept."]


def test_shorter_context(evidence: Evidence) -> None:
    """Where no line has the words before it, fewer have to do."""
    lines, shared = evidence.lines("My old ", "fox")
    assert shared == "'old fox' 3 times"
    assert lines[0] == "The old fox ran."


def test_whole_words(evidence: Evidence) -> None:
    """A word is not found within another."""
    assert evidence.lines("", "foxes")[1] == "'foxes' once"
    assert evidence.lines("", "oxe") == ([], "")


def test_words_of_any_script(tmp_path: Path) -> None:
    """Words that end in a mark are found whole, and those of a script without spaces."""
    (tmp_path / "text.txt").write_text("हिन्दी की किताब\n小猫在公园里\n", encoding="utf-8")
    evidence = Evidence(Source([str(tmp_path / "text.txt")]))
    assert evidence.lines("हिन्दी ", "की") == (["हिन्दी की किताब"], "'हिन्दी की' once")
    assert evidence.lines("", "क") == ([], "")
    assert evidence.lines("小猫在", "公园")[0] == ["小猫在公园里"]


def test_no_text(tmp_path: Path) -> None:
    """A text that has gone, or came from standard input, gives no lines."""
    for source in (Source([str(tmp_path / "gone.txt")]), Source(["-"]), None):
        assert Evidence(source).lines("the ", "fox") == ([], "")


def test_damaged_resume_file(tmp_path: Path) -> None:
    """A run whose resume file is damaged has no text at hand."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "resume.safetensors").write_bytes(b"no tensors")
    assert Evidence.find(str(tmp_path)).text == ""
