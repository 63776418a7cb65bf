"""The trigram model against a plain reference, and its tensors in a model file."""

from collections import Counter, defaultdict
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.suggestions.trigrams import TOKEN, Trigrams
from charrnn.text.words import LONGEST_WORD, partial_word
from tests.strategies import NASTY, texts

SMALL = st.text(st.sampled_from("aAb ,\n"), max_size=120)
FABLE = """\
The fox saw the crow. The crow saw the fox, and the fox said: sing!
The crow sang. The fox took the cheese; the crow saw the fox take the cheese.
"""


def discount(counts: Counter[Any]) -> dict[int, float]:
    """Return the discounts of counts 1, 2 and 3+ (Chen & Goodman 1999, equation 26)."""
    n = [max(1, sum(c == i for c in counts.values())) for i in (1, 2, 3, 4)]
    y = n[0] / (n[0] + 2 * n[1])
    off = {i: i - (i + 1) * y * n[i] / n[i - 1] for i in (1, 2, 3)}
    return {i: min(max(0.0, off[i]), i - 0.01) for i in off}


def reference(text: str, context: list[str]) -> dict[str, float]:
    """Return the probabilities of all tokens after a context, computed from the definition."""
    tokens = TOKEN.findall(text)
    trigrams_ = Counter(zip(tokens, tokens[1:], tokens[2:], strict=False))
    bigrams = Counter((v, w) for _, v, w in trigrams_)
    unigrams = Counter(w for _, w in bigrams)
    vocabulary = sorted(set(tokens))
    off = discount(unigrams)
    total = sum(unigrams.values())
    p = {w: (n - off[min(3, n)]) / total if (n := unigrams[w]) else 0.0 for w in vocabulary}
    rest = max(0.0, 1 - sum(p.values()))
    p = {w: q + rest / (len(vocabulary) + 1) for w, q in p.items()}
    for counts, known in ((bigrams, context[-1:]), (trigrams_, context[-2:])):
        off = discount(counts)
        after = defaultdict(int)
        for key, count in counts.items():
            if len(known) == len(key) - 1 and [*key[:-1]] == known:
                after[key[-1]] = count
        if after:
            total = sum(after.values())
            seen = {w: (c - off[min(3, c)]) / total for w, c in after.items()}
            p = {w: q * (1 - sum(seen.values())) + seen.get(w, 0) for w, q in p.items()}
    return p


@pytest.mark.parametrize("context", ["", "The ", "the ", "saw the ", "The fox", "x ", "fox, and "])
def test_reference(context: str) -> None:
    """Words have the probabilities of modified Kneser-Ney, punctuation has none."""
    model = Trigrams.build(FABLE)
    expected = reference(FABLE, TOKEN.findall(context)[-2:])
    found = model.after(context + ("" if context.endswith(" ") else " "))
    words = [w for w in model.tokens if w[0].isalnum()]
    assert dict(zip(model.tokens, found.tolist(), strict=True)) == pytest.approx(
        {w: expected[w] if w in words else 0 for w in model.tokens}, rel=2e-3, abs=1e-6
    )


@given(SMALL, SMALL)
def test_any_reference(text: str, before: str) -> None:
    """The same holds for any text."""
    model = Trigrams.build(text)
    expected = reference(text, TOKEN.findall(before)[-2:])
    for token, p in zip(model.tokens, model.after(before).tolist(), strict=True):
        if token[0].isalnum():
            assert p == pytest.approx(expected[token], rel=5e-3, abs=1e-3)


@pytest.mark.parametrize("limit", ["tokens", "n-grams"])
def test_limits(limit: str) -> None:
    """Of a long text the most frequent tokens are kept; their probabilities sum to at most 1."""
    build = partial(Trigrams.build, FABLE)
    model = build(most_tokens=8) if limit == "tokens" else build(most=8)
    kept = (
        len(model.tokens) if limit == "tokens" else max(len(model.bigram.p), len(model.trigram.p))
    )
    assert kept <= 8
    assert "fox" in model.tokens
    for before in ("", "The ", "the ", "saw the "):
        assert 0 < model.after(before).sum() <= 1.001


OTHER_FABLE = (
    "The wolf saw the lamb; the wolf said: drink! The lamb saw the wolf take the cheese.\n"
)


@given(SMALL, SMALL, SMALL)
def test_prior(text: str, earlier: str, before: str) -> None:
    """A text adapts the model of an earlier one; probabilities still sum to at most 1."""
    model = Trigrams.build(text, Trigrams.build(earlier))
    assert {*model.tokens} == {*TOKEN.findall(text), *TOKEN.findall(earlier)}
    counts = Counter(TOKEN.findall(text))
    assert [*model.counts] == [counts[token] for token in model.tokens]
    assert 0 <= model.after(before).sum() <= 1.01
    stored = Trigrams.from_tensors(model.tensors())
    assert (stored.after(before) == model.after(before)).all()


@pytest.mark.parametrize("before", ["", "The ", "the ", "saw the ", "wolf said: "])
def test_prior_alone(before: str) -> None:
    """Without a text the prior stays what it was."""
    prior = Trigrams.build(OTHER_FABLE)
    adapted = Trigrams.build("", prior)
    assert adapted.tokens == prior.tokens
    assert not adapted.counts.any()
    assert adapted.after(before) == pytest.approx(prior.after(before), rel=0.02, abs=1e-3)


def test_prior_and_text() -> None:
    """Words that follow a context in the text become likelier, others stay possible."""
    prior = Trigrams.build(OTHER_FABLE)
    adapted = Trigrams.build(FABLE, prior)
    alone = Trigrams.build(FABLE)

    def p(model: Trigrams, before: str, word: str) -> float:
        i = model.id(word)
        return 0.0 if i is None else float(model.after(before)[i])

    assert p(adapted, "The ", "fox") > p(prior, "The ", "fox") == 0
    assert p(adapted, "The ", "lamb") > p(alone, "The ", "lamb") == 0


def test_prior_beyond_the_vocabulary() -> None:
    """The rarest words of the prior give way, wherever they stand in the alphabet."""
    prior = Trigrams.build("zebra zebra zebra ant")
    model = Trigrams.build("bee", prior, most_tokens=2)
    assert model.tokens == ["bee", "zebra"]
    assert 0 < model.after("zebra ").sum() <= 1.01


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_nasty(text: str) -> None:
    """Any text can be counted, queried, stored and loaded."""
    model = Trigrams.build(text)
    again = Trigrams.from_tensors(model.tensors())
    assert again.tokens == model.tokens
    np.testing.assert_array_equal(again.after(text), model.after(text))
    assert (model.after(text) >= 0).all()


@given(texts)
def test_counts(text: str) -> None:
    """Each token is counted."""
    model = Trigrams.build(text)
    counts = Counter(token[:LONGEST_WORD] for token in TOKEN.findall(text))
    assert dict(zip(model.tokens, model.counts.tolist(), strict=True)) == counts


@pytest.mark.parametrize(
    ("text", "partial"),
    [
        ("", ""),
        ("The fo", "fo"),
        ("The ", ""),
        ("don'", "don'"),
        ("rock'n'ro", "rock'n'ro"),
        ("'ti", "ti"),
        ("a--b", "b"),
        ("a--", ""),
        ("under_sc", "sc"),
        ("état-ma", "état-ma"),
        ("x" * 500, "x" * LONGEST_WORD),
    ],
)
def test_partial_word(text: str, partial: str) -> None:
    """The partial word is what has been typed of the last word."""
    assert partial_word(text) == partial


@pytest.mark.parametrize("part", ["a", "a-", "e\u0301", "e\u0308\u0323", "ab'"])
def test_long_partial_word(part: str) -> None:
    """The partial word of a long run is its end, as long as a word can be."""
    run = part * 300
    for end in range(len(run) - 6, len(run) + 1):
        assert partial_word("The " + run[:end]) == run[end - LONGEST_WORD : end]


def test_starting_with() -> None:
    """Tokens with a prefix are found; the prefix itself is not among them."""
    model = Trigrams.build("the then they other th")
    assert model.tokens[model.starting_with("th")] == ["the", "then", "they"]
    assert model.tokens[model.starting_with("the")] == ["then", "they"]
    assert model.tokens[model.starting_with("")] == model.tokens
    assert model.tokens[model.starting_with("x")] == []


def damage(name: str, model: Trigrams) -> dict[str, Any]:
    """Return the tensors of a model, one of them damaged."""
    arrays = model.tensors()
    array = arrays[name].copy()
    match name.rpartition(".")[2]:
        case "tokens":
            array = array[::-1]
        case "counts" | "one":
            array = array[:-1]
        case "contexts":
            array = array[:, ::-1]
        case "lengths":
            array[0] += 1
        case "words":
            array[:] = 60_000
        case "p":
            array[0] = np.nan
    return arrays | {name: array}


@pytest.mark.parametrize("name", Trigrams.build("").tensors())
def test_damaged(name: str) -> None:
    """Tensors that do not fit together, are missing, or have another type are refused."""
    model = Trigrams.build(FABLE)
    arrays = model.tensors()
    for wrong in (
        damage(name, model),
        {key: array for key, array in arrays.items() if key != name},
        arrays | {name: arrays[name].astype(np.int64)},
        arrays | {name: arrays[name].reshape(-1, 1, 1)},
    ):
        with pytest.raises(ValueError, match=r"\w"):
            Trigrams.from_tensors(wrong)


def test_between() -> None:
    """What follows a word counts as the model predicts it after the word."""
    text = "the fox saw the crow. the crow saw a fox and the hen saw the crow sing. " * 3
    trigrams = Trigrams.build(text)
    for before, after in (("the", "saw the"), ("fox", "the"), ("zebra", "crow sing"), ("", "saw")):
        expected = trigrams.after(before)
        for i, word in enumerate(trigrams.tokens):
            first, *second = after.split()
            expected[i] *= trigrams.after(f"{before} {word}")[trigrams.id(first)]
            if second:
                expected[i] *= trigrams.after(f"{word} {first}")[trigrams.id(second[0])]
        np.testing.assert_allclose(trigrams.between(before, after), expected, rtol=1e-2)
    np.testing.assert_array_equal(trigrams.between("the", ""), trigrams.after("the"))
    np.testing.assert_array_equal(trigrams.between("the", "zebra"), trigrams.after("the"))
    stop = trigrams.between("the", ".")
    assert trigrams.tokens[int(stop.argmax())] == "crow"
