"""Large files whose split is known: found again, and never taken for others."""

import gzip
import os
from pathlib import Path

import pytest

from charrnn.errors import TextError
from charrnn.text import known
from charrnn.text.source import Source
from charrnn.text.split import Parts
from tests.training.small import TEXT


@pytest.fixture(autouse=True)
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text, which counts as large."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(known, "LARGE", 0)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "text.txt"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """The sources whose text has been read, once for each time."""
    found: list[Source] = []
    stream = Source.stream

    def counted(source: Source, *arguments: object) -> object:
        found.append(source)
        return stream(source, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Source, "stream", counted)
    return found


def split(source: Source, notes: list[str] | None = None, val: float = 0.1) -> Parts:
    with known.split(source, val, 1, ([] if notes is None else notes).append) as parts:
        return parts


@pytest.mark.parametrize("kind", ["text", "lines"])
def test_found_again(kind: str, text: Path, reads: list[Source]) -> None:
    """The second time nothing is decoded, and the split is the same."""
    source = Source([str(text)], kind=kind)
    made, found = split(source), split(source)
    assert len(reads) == 1
    assert found.key == made.key
    assert found.samples == made.samples == ("".join(made.train), "".join(made.val))
    assert "".join(found.val) == made.samples[1] != ""


def test_notes(text: Path) -> None:
    """What was guessed about a text is said the second time too, once."""
    text.write_bytes(("Ein längerer Satz über schöne Größen.\n" * 9).encode("cp1252"))
    first: list[str] = []
    again: list[str] = []
    for notes in (first, again):
        split(Source([str(text)]), notes)
    assert len(first) == 1
    assert "read as cp1252" in first[0]
    assert again == first


def test_a_change(text: Path, reads: list[Source]) -> None:
    """A changed character is noticed, also if size and times of the file are as before."""
    before = split(Source([str(text)]))
    times = os.stat(text)
    text.write_text(TEXT.replace("miller", "killer", 1), encoding="utf-8")
    os.utime(text, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert split(Source([str(text)])).fingerprint != before.fingerprint
    assert len(reads) == 2


def test_other_options(text: Path) -> None:
    """Whatever changes the text or the split is a split of its own."""
    path = str(text)
    sources = [Source([path]), Source([path], kind="lines"), Source([path, path])]
    assert len({str(split(source).key) for source in sources}) == 3
    assert len(split(Source([path]), val=0.5).val) > len(split(Source([path])).val)


def test_a_new_file_in_a_folder(text: Path) -> None:
    """A file that comes into a folder is noticed, a compressed one too."""
    folder = Source([str(text.parent)])
    before = split(folder)
    (text.parent / "more.txt.gz").write_bytes(gzip.compress(b"more"))
    assert split(folder).characters > before.characters


def test_changed_meanwhile(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes while its split is made is refused, and the split not kept."""
    of = Parts.of

    def changing(*arguments: object) -> Parts:
        parts = of(*arguments)  # type: ignore[arg-type]
        text.write_text(TEXT + "more", encoding="utf-8")
        return parts

    monkeypatch.setattr(Parts, "of", changing)
    with pytest.raises(TextError, match="changed while it was read"):
        split(Source([str(text)]))
    assert not [*Path(os.environ["XDG_CACHE_HOME"], "charrnn", "texts").iterdir()]


def test_a_missing_file(tmp_path: Path) -> None:
    """A missing file is an error that names it."""
    with pytest.raises(TextError, match=r"missing\.txt does not exist"):
        split(Source([str(tmp_path / "missing.txt")]))
