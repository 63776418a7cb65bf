"""Which runs of words stand in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text import copy_index
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.words import WORD
from tests.strategies import texts

some_words = st.lists(st.sampled_from(["fox", "crow", "Ünter", "42", "x", "猫"]), max_size=60)


def numbered(start: int, end: int) -> str:
    """Words of which no two are the same."""
    return " ".join(f"word{i}" for i in range(start, end))


class TestIndex:
    @given(texts)
    def test_words(self, text: str) -> None:
        """Words are those of the pattern for a word."""
        spans = [[m.start(), m.end()] for m in WORD.finditer(text)]
        assert copy_index._spans(text).tolist() == spans

    @given(words=some_words, cut=st.tuples(st.integers(0, 60), st.integers(0, 60)))
    def test_never_misses(self, words: list[str], cut: tuple[int, int]) -> None:
        """No run of the text is new, whatever stands between the words, in any case of letters."""
        part = words[min(cut) : max(cut)]
        share = WordRuns.build([", ".join(words)]).novelty("\n".join(part).upper())
        assert share == (0 if len(part) >= 8 else None)

    @given(texts)
    def test_any_text(self, text: str) -> None:
        """A text copies itself, if it has eight words."""
        assert WordRuns.build([text]).novelty(text) in (0, None)

    def test_share(self) -> None:
        """The share is that of all runs of eight words, those across known and new text too."""
        index = WordRuns.build([numbered(0, 1000)])
        assert index.novelty(numbered(2000, 3000)) == 1
        # 8 words there, 8 not: 9 runs, of which one is known.
        assert index.novelty(f"{numbered(0, 8)} {numbered(2000, 2008)}") == pytest.approx(8 / 9)
        assert index.novelty(" ".join(reversed(numbered(0, 1000).split()))) == 1

    def test_seldom_wrong(self) -> None:
        """Fewer than one in a thousand runs that are not in the text are taken for copies."""
        share = WordRuns.build([numbered(0, 20_000)]).novelty(numbered(30_000, 60_000))
        assert share is not None
        assert share > 0.999

    def test_long_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The index of a long text stays small and estimates the share."""
        monkeypatch.setattr(copy_index, "MAX_HASHES", 500)
        monkeypatch.setattr(copy_index, "CHUNK_CHARS", 1000)
        text = numbered(0, 10_000)
        index = WordRuns.build([text])
        assert len(index.bits) <= 2 * 500
        assert index.every > 1
        assert index.novelty(text) == 0
        share = index.novelty(f"{text} {numbered(20_000, 30_000)}")
        assert share == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize("text", ["", "a b c", "!?" * 100])
    def test_too_few_words(self, text: str) -> None:
        """A text of fewer than eight words has no share, and nothing copies one."""
        assert WordRuns.build([text]).novelty(text) is None
        assert WordRuns.build([text]).novelty(numbered(0, 10)) == 1


class TestItems:
    @given(st.lists(texts, max_size=20))
    def test_never_misses(self, items: list[str]) -> None:
        """No item of the list is new, in any case of letters, or with space around it."""
        index = Items.build(items)
        for item in items:
            assert index.novelty([f" {item}\n"]) == 0

    def test_share(self) -> None:
        """The share is that of all items; fewer than one in a thousand new ones are missed."""
        index = Items.build([f"name {i}" for i in range(20_000)])
        assert index.novelty(["NAME 7", "name 20001", "names", "name 19999"]) == 0.5
        share = index.novelty([f"name {i}" for i in range(20_000, 50_000)])
        assert share is not None
        assert share > 0.999
        assert index.novelty([]) is None

    def test_long_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The index of a long list stays small and estimates the share."""
        monkeypatch.setattr(copy_index, "MAX_HASHES", 500)
        monkeypatch.setattr(copy_index, "CHUNK_CHARS", 300)
        names = [f"name {i}" for i in range(10_000)]
        index = Items.build(names)
        assert len(index.bits) <= 2 * 500
        assert index.novelty(names) == 0
        share = index.novelty([*names, *(f"other {i}" for i in range(10_000))])
        assert share == pytest.approx(0.5, abs=0.1)
