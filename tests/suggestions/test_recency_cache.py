"""The recency cache against counting the words anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.suggestions.recency_cache import HALF_LIFE, RecencyCache
from charrnn.suggestions.secrets import public_words
from charrnn.text.words import WORD
from tests.strategies import texts

typed = st.one_of(texts, st.text(st.sampled_from("ab -'@:\n"), max_size=40))


def fresh(text: str) -> RecencyCache:
    """Return a cache that has read one text."""
    recent = RecencyCache()
    recent.read(text)
    return recent


@given(st.lists(typed, max_size=6))
def test_changes(typings: list[str]) -> None:
    """Typing on, deleting and changing give what reading the text anew gives."""
    recent = RecencyCache()
    for text in [t for typing in typings for t in (typing, typing[: len(typing) // 2], typing)]:
        recent.read(text)
        expected = fresh(text)
        for word in {"a", "b", "ab", *WORD.findall("".join(typings))}:
            assert recent.share(word) == pytest.approx(expected.share(word))
            assert recent.share_after_last(word) == expected.share_after_last(word)
        for prefix in ("", "a", "b"):
            assert recent.starting_with(prefix, 100) == expected.starting_with(prefix, 100)


def test_a_long_secret() -> None:
    """A digit makes a secret of all before it without white space, however long that is."""
    begun = "my x," + "abcdefghij" * 130
    recent = fresh(begun)
    assert recent.share("x") > 0
    recent.read(begun + "7 ")
    assert recent.share("x") == 0
    assert recent.share("my") > 0


@given(typed)
def test_shares(text: str) -> None:
    """Shares sum to at most 1, and only typed words have one."""
    recent = fresh(text)
    words = {word[0] for word in public_words(text)}
    shares = [recent.share(word) for word in words]
    assert all(share > 0 for share in shares)
    assert sum(shares) <= 1
    assert sum(map(recent.share_after_last, words)) <= 1
    assert recent.share("\x00") == 0


def test_long_run() -> None:
    """A run of letters too long for a word is not offered again."""
    recent = fresh("x" * 5000 + " xyz ")
    assert recent.starting_with("x", 3) == ["xyz"]


def test_half_life() -> None:
    """After HALF_LIFE more words a word weighs half as much."""
    once = fresh("once " + "other " * 9).share("once")
    later = fresh("once " + "other " * (9 + int(HALF_LIFE))).share("once")
    assert later == pytest.approx(once / 2)


def test_order() -> None:
    """The most recent of equally common words come first; the prefix itself is left out."""
    recent = fresh("their the there then the these")
    assert recent.starting_with("the", 3) == ["these", "then", "there"]
    assert recent.starting_with("", 2) == ["the", "these"]
    assert recent.starting_with("x", 2) == []


def test_followers() -> None:
    """Words are counted by the word that they followed."""
    recent = fresh("a fox, a crow, a fox, a")
    assert recent.share_after_last("fox") == pytest.approx(2 / 4)
    assert recent.share_after_last("crow") == pytest.approx(1 / 4)
    assert recent.share_after_last("a") == 0


@pytest.mark.slow
def test_long() -> None:
    """Weights stay finite however long the text."""
    recent = fresh("once " + "word " * 250_000)  # 2^1250 times
    assert 0.9 < recent.share("word") <= 1
    assert recent.share("once") == 0
