"""Completions of texts as people type them."""

import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.network.engine import Engine
from charrnn.suggestions import completer
from charrnn.suggestions.adaptive_network import LESSON_TOKENS, AdaptiveNetwork
from charrnn.suggestions.completer import (
    PHRASE_LONGEST,
    PHRASE_WORDS,
    Completer,
    Completion,
)
from charrnn.suggestions.mixture import BEGIN, Weights
from charrnn.suggestions.trigrams import Trigrams
from charrnn.suggestions.word_search import WordSearch
from charrnn.text.words import WORD, is_unspaced
from charrnn.tokenizer import (
    TOKENIZERS,
    BpeTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
)
from tests.models import CORPUS, KnownCompleter, Table, random_model
from tests.strategies import texts
from tests.suggestions.suggesting import NETWORK, log_probabilities, read, suggesting

WORDS: Weights = BEGIN * (
    NETWORK == 0
)  # all sources but the network, whose weights are random here


def test_word_after_punctuation_is_spaced() -> None:
    """Suggestions may begin with a space after a comma, but not after white space."""
    tokenizer = WordTokenizer.train("one, two, three, four. " * 3)
    suggest, _ = suggesting(tokenizer)
    assert any(c.text.startswith(" ") for c in suggest.complete("one,", 5))
    assert not any(c.text.startswith(" ") for c in suggest.complete("one, ", 5))


@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_characters_outside_the_vocabulary(level: type[Tokenizer]) -> None:
    """Characters outside the vocabulary do not stop the model from suggesting."""
    tokenizer = level.train("plain words only " * 4)
    suggest, _ = suggesting(tokenizer)
    assert suggest.complete("žluťoučký pl", 3)
    suggest.complete("žluť", 3)


@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_typing_equals_starting_over(level: type[Tokenizer]) -> None:
    """After any edits the suggestions are those of a fresh session with the same text."""
    tokenizer = level.train("the cat sat on the mat, the dog did not. " * 3)
    suggest, _ = suggesting(tokenizer)
    for typed in ("the", "the c", "the ca", "the c", "a dog", "", "the cat sat on", "the c"):
        fresh, _ = suggesting(tokenizer)
        expected = fresh.complete(typed)
        assert [c.text for c in suggest.complete(typed)] == [c.text for c in expected]


@pytest.mark.slow
@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_keystroke_costs_the_same_in_a_long_text(level: type[Tokenizer]) -> None:
    """Only the end of a long text is encoded and read again."""
    tokenizer = level.train(TALE)
    text = TALE * 300
    suggest, _ = suggesting(tokenizer, recent=True)
    suggest.complete(text[:39_800])
    plain = tokenizer.encode
    for end in range(39_800, 40_400, 7):
        with (
            patch.object(tokenizer, "encode", wraps=plain) as encode,
            patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step,
            patch.object(AdaptiveNetwork, "_read_round") as read_round,
        ):
            suggest.complete(text[:end])
        assert sum(len(call.args[0]) for call in encode.call_args_list) < 4000
        assert step.call_count < 200
        read_round.assert_not_called()
    window = suggest._window(text[:end])
    np.testing.assert_array_equal(suggest._network._encode(window), plain(window))


@pytest.mark.slow
@pytest.mark.parametrize("run", ["a" * 5000, "a-" * 2500])
@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_run_without_spaces(level: type[Tokenizer], run: str) -> None:
    """In a run of letters too long for a word, nothing is searched for or offered."""
    tokenizer = level.train(TALE)
    suggest, _ = suggesting(tokenizer, text=TALE, recent=True)
    suggest.complete(run[:4000])
    plain = tokenizer.encode
    for end in range(4001, 4600, 4):
        with (
            patch.object(tokenizer, "encode", wraps=plain) as encode,
            patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step,
            patch.object(WordSearch, "search", return_value={}) as search,
        ):
            assert suggest.extend(run[:end], 3) == []
            assert all(word.text[0] == " " for word in suggest.complete(run[:end]))
        assert sum(len(call.args[0]) for call in encode.call_args_list) < 2000
        assert step.call_count < 50
        assert all(call.args[0].endswith(" ") for call in search.call_args_list)


def test_a_jump_back_seldom_moves_the_window() -> None:
    """The window seldom moves, so little is read again, and it is never short."""
    suggest, _ = suggesting(CharTokenizer.train(TALE))
    text = "".join(f"{i} {TALE}" for i in range(1000))
    begins = []
    for end in (70_000, 69_000, 51_000, 51_001, 58_000, 49_000, 48_000):
        window = suggest._window(text[:end])
        begins.append(end - len(window))
        assert text[:end].endswith(window)
        assert len(window) >= completer.WINDOW // 2
    assert begins == [40_000] * 5 + [20_000] * 2


CHINESE = "小猫在公园里吃鱼。小狗在公园里睡觉。老师在学校里看书。小猫不看书。\n" * 4


@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_script_without_spaces(level: type[Tokenizer]) -> None:
    """In a script without spaces, a suggestion is a few characters, within a line too."""
    suggest, _ = suggesting(level.train(CHINESE), text=CHINESE, weights=WORDS)
    for typed in ("", "小", "小猫在公", "老师在学校里看书。", "ok 小"):
        (found,) = suggest.complete(typed, 1)
        assert all(map(is_unspaced, found.text))
        assert 1 <= len(found.text) <= completer.RUN_ON


def test_characters_that_come_together() -> None:
    """Characters that are each likely after the one before are offered together."""
    suggest, _ = suggesting(CharTokenizer.train(CHINESE), text=CHINESE, weights=WORDS)
    assert suggest.complete("老师在公", 1)[0].text == "园里"
    assert suggest.complete("小", 2)[0].text[0] in "猫狗"


@pytest.mark.parametrize("typed", ["", "猫", "a ", "猫a"])
def test_next_character(typed: str) -> None:
    """In a script without spaces a suggestion has the probability of its character."""
    tokenizer = CharTokenizer([*"猫犬a 。"])
    suggest, engine = suggesting(tokenizer)
    found = {c.text: c.p for c in suggest.extend(typed, 9) if is_unspaced(c.text)}
    within = typed.endswith("a")
    expected = {} if within else {c: math.exp(read(engine, tokenizer, typed, c)[0]) for c in "猫犬"}
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_marks(level: type[Tokenizer]) -> None:
    """Combining marks are part of a word, before the cursor and after it."""
    text = "हिन्दी की किताब। हिन्दी में कहानी।\n" * 4
    suggest, _ = suggesting(level.train(text), text=text, weights=WORDS)
    assert suggest.complete("हि", 1)[0].text == "न्दी"
    assert suggest.complete("किता", 1)[0].text == "ब"


TALE = """\
The fox saw the crow, and the crow saw the fox. The crow had a cheese.
"Sing," said the fox, "and the cheese of the crow is the cheese of the fox."
"""


def test_words_of_the_training_text() -> None:
    """Words of the training text are offered where they occurred, without the network's help."""
    suggest, _ = suggesting(CharTokenizer.train(TALE), text=TALE, weights=WORDS)
    assert {c.text for c in suggest.complete("The ", 3)} & {"fox", "crow", "cheese"}
    assert suggest.complete("The cr", 1)[0].text == "ow"
    assert suggest.complete("The che", 1)[0].text == "ese"


@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
def test_words_typed_before(level: type[Tokenizer]) -> None:
    """A word outside the training text is offered once it has been typed."""
    suggest, _ = suggesting(level.train(TALE), text=TALE, weights=WORDS, recent=True)
    typed = "The fox met Xanthippe-Žofie and Xa"
    assert suggest.extend(typed, 1)[0].text == "nthippe-Žofie"
    cold, _ = suggesting(level.train(TALE), text=TALE, weights=WORDS)
    assert "nthippe-Žofie" not in [c.text for c in cold.extend(typed, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("level", TOKENIZERS.values(), ids=TOKENIZERS)
@settings(max_examples=25)
@given(st.lists(texts, max_size=4))
def test_any_text(level: type[Tokenizer], typings: list[str]) -> None:
    """On any text suggestions are words or ends of words, best first, as in a fresh session."""
    tokenizer = level.train(TALE)
    suggest, _ = suggesting(tokenizer, text=TALE, weights=BEGIN, recent=True)
    for typed in [t for typing in typings for t in (typing, typing[:-1], typing + " fo")]:
        found = suggest.complete(typed, 3)
        fresh, _ = suggesting(tokenizer, text=TALE, weights=BEGIN, recent=True)
        expected = fresh.complete(typed, 3)
        np.testing.assert_allclose([c.p for c in found], [c.p for c in expected], rtol=1e-3)
        ps = [c.p for c in found]
        assert ps == sorted(ps, reverse=True)
        assert sum(ps) <= 1 + 1e-4
        assert all(WORD.search(c.text) or WORD.fullmatch("a" + c.text) for c in found)


@pytest.mark.parametrize(
    ("typed", "text", "p", "least", "shown"),
    [
        ("the f", "ox", 0.5, 0.4, True),
        ("the f", "ox", 0.3, 0.4, False),
        ("the f", "ox", 0.3, 0.0, True),
        ("the fo", "x", 0.9, 0.4, False),  # saves a letter and a space, and costs a key
        ("the fo", "x", 0.9, 0.0, True),
        ("the", " fox", 0.5, 0.4, True),
        ("The f", "ox", 0.5, 0.4, True),
        ("F", "ox", 0.5, 0.4, True),
        ("the f", "oxen", 0.5, 0.4, False),  # in no text
        ("the f", "oxen", 0.8, 0.4, True),
        ("the f", "oxen", 0.1, 0.0, True),
        ("in 198", "ties", 0.9, 0.4, False),
        ("in 198", "ties", 0.9, 0.0, False),
        ("the U.", "fox", 0.9, 0.4, False),
        ("It ends.", " The", 0.9, 0.4, True),
        ("(", "the", 0.9, 0.4, True),
        ("吾輩は", "猫", 0.9, 0.4, False),
        ("吾輩は", "猫で", 0.9, 0.4, False),
        ("吾輩は", "猫である", 0.9, 0.4, True),
    ],
)
def test_worth_showing(typed: str, text: str, p: float, least: float, shown: bool) -> None:
    """Suggestions that distract more than they help are not shown."""
    known = {"the", "fox"}
    completion = completer.Completion(text, p)
    assert completer.worth_showing(typed, completion, least, known.__contains__) == shown


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("They don'", "t"),
        ("They don’", "t"),
        ("It’s so. They do", "n’t"),
        ("It's so. They do", "n't"),
        ("They DO", "N'T"),
        ("ZEB", "RA"),
        ("Zeb", "ra"),
    ],
)
def test_as_the_writer_writes(typed: str, text: str) -> None:
    """Apostrophes are equal, and so is letter case if the text has no word in this case."""
    ngram = Trigrams.build("they don't see the zebra, and the zebra doesn't see them. " * 9)
    tokenizer = CharTokenizer.train(CORPUS)
    model = random_model(tokenizer)
    suggest = Completer(model.engine, tokenizer, model.engine.zero_state(), ngram)
    assert text in suggest.options(typed, 9).texts
    reasons = suggest.reasons(typed, text)
    assert reasons
    assert reasons.trained in (0, 9, 18)


@pytest.mark.parametrize("level", TOKENIZERS)
@pytest.mark.parametrize("after", [" sat on", " on the mat", "。"])
def test_reranked_by_the_text_after_the_cursor(level: str, after: str) -> None:
    """Each candidate is weighted by the probability of the text after the cursor."""
    tokenizer = TOKENIZERS[level].train("The cat sat on the mat, the cow on the moor. " * 9)
    suggest, engine = suggesting(tokenizer, text="the cat cow mat moor")
    plain = {c.text: c.p for c in suggest.complete("the ", 16, spaces=False)}
    reranked = suggest.complete("the ", 16, after=after, spaces=False)
    assert [c.p for c in reranked] == sorted((c.p for c in reranked), reverse=True)
    assert {c.text for c in reranked} == {*plain}
    assert sum(c.p for c in reranked) == pytest.approx(sum(plain.values()))

    def follows(text: str) -> float:
        """Return the log-probability of the text after the cursor, given an insertion."""
        unfinished = tokenizer.unfinished("the ")
        begun = tokenizer.encode(unfinished + text)
        state = engine.read(
            tokenizer.known(tokenizer.encode("the ".removesuffix(unfinished))), engine.zero_state()
        )
        total = 0.0
        for i, token in enumerate(tokenizer.known(tokenizer.encode(unfinished + text + after))):
            logp = log_probabilities(engine, tokenizer, state)
            if i >= len(begun) and token != tokenizer.unknown_id:
                total += float(logp[token])
            state = engine.step(np.array([token]), state)
        return total

    first = reranked[0]
    for each in reranked[1:]:
        gain = follows(each.text) - follows(first.text)
        expected = plain[each.text] / plain[first.text] * math.exp(gain)
        assert each.p / first.p == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("typed", "table", "phrase"),
    [
        ("moth", {"moth": [("er", 0.6)], "mother": [("'s", 0.4), (" is", 0.3)]}, "er is"),
        ("wit", {"wit": [("h", 0.8)], "with": [("out", 0.6)]}, "h"),
        ("the", {"the": [(" quick", 0.5)], "the quick": [("er", 0.9)]}, " quick"),
        ("吾", {"吾": [("輩", 0.9)], "吾輩": [("は", 0.8)], "吾輩は": [("猫", 0.8)]}, "輩は猫"),
        ("a", {"a" * n: [("a", 1.0)] for n in range(99)}, "a"),
        ("", {" a" * n: [(" a", 1.0)] for n in range(99)}, " a" * 8),
        ("", {" abcdefghijk" * n: [(" abcdefghijk", 1.0)] for n in range(99)}, " abcdefghijk" * 6),
    ],
)
def test_phrases(typed: str, table: Table, phrase: str) -> None:
    """A phrase adds whole words after the first one, which it does not extend."""
    first = Completion(*table[typed][0])
    found = KnownCompleter(table).phrase(typed, first, 0.1)
    assert found == phrase
    assert len(found) <= PHRASE_LONGEST


@pytest.mark.parametrize("level", [CharTokenizer, BpeTokenizer, WordTokenizer])
def test_searches(level: type[Tokenizer], monkeypatch: pytest.MonkeyPatch) -> None:
    """A key costs few beam searches, and those of a phrase are not repeated by typing it."""
    searches: list[str] = []
    search = WordSearch._search

    def counted(self: WordSearch, typed: str, *rest: Any) -> Any:
        searches.append(typed)
        return search(self, typed, *rest)

    monkeypatch.setattr(WordSearch, "_search", counted)
    model = random_model(level.train(CORPUS))
    completer = model.completer()
    text = "The cat sat"
    first, *_ = completer.complete(text)
    phrase = completer.phrase(text, first, 0.0)
    assert len(searches) <= 2 + PHRASE_WORDS
    asked = {*searches}
    for end in range(1, len(phrase) + 1):
        completer.complete(text + phrase[:end])
    assert len(searches) == len({*searches}) >= len(asked)


def test_looking_ahead_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only suggested does not change the network."""
    model = random_model(CharTokenizer.train(CORPUS))
    completer = model.completer()
    text = CORPUS[: LESSON_TOKENS - 2]
    completer.complete(text)
    corrections: list[object] = []
    monkeypatch.setattr(Engine, "correct", lambda *given: corrections.append(given))
    found = completer.complete(text)
    completer.phrase(text, found[0], 0.0)
    assert not corrections
    completer.complete(text + "abcd")
    assert corrections
