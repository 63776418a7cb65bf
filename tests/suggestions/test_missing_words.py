"""Words that are missing in a text, against the surprisal of the texts that they make."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import TextError, UsageError
from charrnn.model import Model
from charrnn.suggestions import missing_words
from charrnn.suggestions.missing_words import Filling, MissingWords, parts
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.words import WORD
from charrnn.tokenizer import TOKENIZERS, CharTokenizer
from tests.models import CORPUS, random_model
from tests.strategies import LONE_SURROGATES, NASTY, texts

MANY = 10_000  # fillings: all that were considered


def missing_from(model: Model, text: str = CORPUS) -> MissingWords:
    """Fills gaps with a model and the trigrams of a text."""
    return MissingWords(model.engine, model.file.tokenizer, model._start, Trigrams.build(text))


def whole(pieces: list[str], words: tuple[str, ...]) -> str:
    """The text with its gaps filled."""
    return "".join(itertools.chain(*itertools.zip_longest(pieces, words, fillvalue="")))


def check_exact(model: Model, pieces: list[str], found: list[Filling]) -> None:
    """The fillings have the ratios of the probabilities of the whole texts."""
    assert found
    nats = model.surprisal([whole(pieces, filling.words) for filling in found])
    logp = np.array([-float(each.sum(dtype=float)) for each in nats])
    expected = np.exp(logp - logp.max())
    np.testing.assert_allclose([f.p / found[0].p for f in found], expected, rtol=2e-3)


class TestParts:
    @pytest.mark.parametrize(
        ("text", "gap", "expected"),
        [
            ("the ___ sat", None, ["the ", " sat"]),
            ("___", None, ["", ""]),
            ("un_____able __", None, ["un", "able __"]),
            ("a ___ b ____ c", None, ["a ", " b ", " c"]),
            ("a ? b ___ c", "?", ["a ", " b ___ c"]),
            ("a ??? b", "?", ["a ", " b"]),
            ("a [MASK].", "[MASK]", ["a ", "."]),
        ],
    )
    def test_gaps(self, text: str, gap: str | None, expected: list[str]) -> None:
        """Three or more underscores are a gap, or another text, once or more often."""
        assert parts(text, gap) == expected

    @pytest.mark.parametrize(
        ("text", "gap", "wrong"),
        [
            ("the __ sat", None, "___"),
            ("", None, "no gap"),
            ("a ___", "?", "?"),
            ("a", "", "empty"),
        ],
    )
    def test_none(self, text: str, gap: str | None, wrong: str) -> None:
        """A text without a gap is wrong usage, and so is an empty mark."""
        with pytest.raises(UsageError, match=wrong.replace("?", r"\?")):
            parts(text, gap)


@pytest.mark.parametrize("pieces", [["The ", " sat on"], ["", " fox, it's"], ["the crow's ", "."]])
def test_exact(model: Model, pieces: list[str]) -> None:
    """Fillings are as likely as the model finds the texts that they make."""
    check_exact(model, pieces, missing_from(model).fill(pieces, MANY))


def test_several_exact(model: Model) -> None:
    """So are fillings of several gaps, and phrases."""
    pieces = ["The ", " and the ", " sat"]
    check_exact(model, pieces, missing_from(model).fill(pieces, 20))
    check_exact(model, pieces[1:], missing_from(model).fill(pieces[1:], 20, length=2))


@given(left=texts, right=texts, length=st.integers(1, 2))
def test_laws(model: Model, left: str, right: str, length: int) -> None:
    """Probabilities descend and sum to 1, and no candidate comes twice, whatever the text."""
    found = missing_from(model).fill([left, right], MANY, length)
    ps = [filling.p for filling in found]
    assert ps == sorted(ps, reverse=True)
    assert not ps or sum(ps) == pytest.approx(1)
    words = [filling.words for filling in found]
    assert len({*words}) == len(words)
    assert all(len(each) == 1 and each[0] for each in words)


@pytest.mark.parametrize(("left", "right"), [("a ", " b"), ("", "ba."), ("ab", " a"), ("b ", "")])
def test_brute_force(left: str, right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The likeliest of all words is found, without trigrams."""
    monkeypatch.setattr(missing_words, "CANDIDATES", 500)
    monkeypatch.setattr(missing_words, "MOST", 500)
    model = random_model(CharTokenizer([*"ab ."]))
    words = ["".join(w) for n in (1, 2, 3, 4, 5) for w in itertools.product("ab", repeat=n)]
    ends = [right] if right else [" ", "."]
    nats = model.surprisal([left + word + end for word in words for end in ends])
    logp = np.array([-each.sum(dtype=float) for each in nats]).reshape(len(words), len(ends))
    p = np.exp(logp).sum(axis=1)
    expected = [words[i] for i in np.argsort(-p)[:5]]
    found = missing_from(model, "").fill([left, right], 5)
    assert [filling.words[0] for filling in found] == expected


@pytest.mark.parametrize("level", TOKENIZERS)
def test_inside_a_word(level: str) -> None:
    """Letters on both sides of a gap belong to the word."""
    text = "It was unbearable, unthinkable and unable. The table is here.\n" * 3
    model = random_model(TOKENIZERS[level].train(text))
    found = missing_from(model, text).fill(["It was un", "able."], MANY)
    words = {filling.words[0] for filling in found}
    assert {"bear", "think"} <= words
    assert "" not in words
    assert all(WORD.fullmatch(f"un{word}able") for word in words)
    beginnings = missing_from(model, text).fill(["It was ", "able."], MANY)
    assert {"un", "unbear", "t"} <= {filling.words[0] for filling in beginnings}


def test_both_sides_of_the_trigrams(model: Model) -> None:
    """A word that fits what follows is among the candidates, at the start of a sentence too."""
    text = "A heron stood there. We saw zebras grazing. " * 3
    found = missing_from(model, text).fill(["It ", " grazing. "], MANY)
    assert "zebras" in {filling.words[0] for filling in found}
    for left in ("", "Look! ", "“"):
        found = missing_from(model, text).fill([left, " grazing. "], MANY)
        assert "Zebras" in {filling.words[0] for filling in found}


def test_phrases(model: Model) -> None:
    """A phrase has up to so many words, and exactly as many where nothing follows."""
    missing = missing_from(model)
    inside = missing.fill(["The fox ", " the branch"], MANY, 3)
    counts = {len(filling.words[0].split()) for filling in inside}
    assert counts == {1, 2, 3}
    at_the_end = missing.fill(["The fox "], 5, 2) + missing.fill(["The fox ", ""], MANY, 2)
    assert {len(WORD.findall(filling.words[0])) for filling in at_the_end[1:]} == {2}


def test_far_context(model: Model) -> None:
    """What is far from the gaps costs little, and the gaps after it are filled."""
    far = "The fox sat under the branch. " * 500
    found = missing_from(model).fill([far, f" {far}", f" {far}"], 3)
    assert len(found) == 3
    assert all(len(filling.words) == 2 for filling in found)


def test_many_gaps(char_model: Model) -> None:
    """Each of very many gaps is filled, and progress is told."""
    told: list[float] = []
    (found,) = missing_from(char_model).fill([" "] * 31, 1, tell=told.append)
    assert len(found.words) == 30 == sum(told)
    assert found.p <= 1


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_nasty(model: Model, text: str) -> None:
    """Nothing in a text breaks it."""
    for found in (
        model.missing(f"{text} ___ {text}", 3),
        model.missing(f"{text}___{text}", 3),
        model.missing(f"___{text}___", 3),
    ):
        assert all(0 < filling.p <= 1 for filling in found)


@pytest.mark.parametrize("text", LONE_SURROGATES)
def test_lone_surrogates(model: Model, text: str) -> None:
    """What is not valid Unicode is an error, on either side."""
    for wrong in (f"{text} ___ a", f"a ___ {text} a"):
        with pytest.raises(TextError):
            model.missing(wrong)


def test_lines() -> None:
    """In a model of lines, what fills a gap at the end ends the line."""
    model = random_model(CharTokenizer.train("Anna\nBob\n"), kind="lines")
    found = model.missing("An___", MANY)
    check_exact(model, ["An", "\n"], found)


@pytest.mark.parametrize(("k", "length"), [(0, 1), (1, 0)])
def test_out_of_range(char_model: Model, k: int, length: int) -> None:
    """A number that makes no sense is wrong usage."""
    with pytest.raises(UsageError):
        char_model.missing("a ___", k, length)
