"""The text of a session, and its unsent entry."""

from pathlib import Path

import pytest
from hypothesis import given

from charrnn.display.format import CONTROL
from charrnn.errors import UsageError
from charrnn.session.transcript import CONTEXT_CHARS, Transcript, Unsent, clean
from tests.strategies import LONE_SURROGATES, texts


class TestTranscript:
    @pytest.mark.parametrize(("held", "begins"), [("", ""), ("a\n", "a\n"), ("a", "a\n")])
    def test_added(self, tmp_path: Path, held: str, begins: str) -> None:
        """An entry is a line of its own, whether or not the file ended with a line break."""
        path = tmp_path / "notes.txt"
        path.write_text(held)
        transcript = Transcript(str(path))
        assert transcript.earlier == begins
        assert path.read_text() == held  # nothing is written before something is entered
        transcript.add("b")
        transcript.add("c")
        transcript.close()
        assert path.read_text() == begins + "b\nc\n"

    def test_end_of_a_large_file(self, tmp_path: Path) -> None:
        """Of a large file the end counts as typed before, cut anywhere in its bytes."""
        path = tmp_path / "notes.txt"
        path.write_text("é漢" * 100_000 + "end")
        assert (
            Transcript(str(path)).earlier == ("é漢" * CONTEXT_CHARS)[3 - CONTEXT_CHARS :] + "end\n"
        )

    def test_no_file(self) -> None:
        """Standard output is where the session itself is shown."""
        with pytest.raises(UsageError, match="name a file after -o"):
            Transcript("-")


class TestUnsent:
    def test_once(self, tmp_path: Path) -> None:
        """An unsent text is kept for one session; an empty one is not."""
        unsent = Unsent(str(tmp_path / "notes.txt"))
        assert unsent.take() == ""
        assert unsent.keep(" \n") is None
        assert unsent.keep("a\nb") == tmp_path / "notes.txt.unsent"
        assert unsent.take() == "a\nb"
        assert unsent.take() == ""
        assert not [*tmp_path.iterdir()]

    def test_read_only(self, tmp_path: Path) -> None:
        """Where it cannot be kept, nothing is raised: the session is ending."""
        (tmp_path / "file").write_text("")
        assert Unsent(str(tmp_path / "file" / "notes.txt")).keep("text") is None


@given(texts)
def test_clean(text: str) -> None:
    """A clean text holds nothing that steers a terminal, and stays as it is."""
    assert not CONTROL.search(clean(text))
    assert clean(clean(text)) == clean(text)
    if not CONTROL.search(text):
        assert clean(text) == text.replace("\x0b", "\n").replace("\x0c", "\n")


@pytest.mark.parametrize("text", LONE_SURROGATES)
def test_clean_halves(text: str) -> None:
    """What is no character becomes a replacement character."""
    assert "\ufffd" in clean(text)
