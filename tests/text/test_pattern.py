"""Automata: a text leads to a match if and only if re.fullmatch finds one."""

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import UsageError
from charrnn.text.blocks import code_points
from charrnn.text.pattern import FAR, Automaton, automaton
from tests.strategies import patterns

ALPHABET = "".join(sorted("abefoxThcm ,.\né猫1_"))


def built(pattern: str, alphabet: str = ALPHABET) -> Automaton:
    return automaton(pattern, code_points(alphabet))


def distance(built: Automaton, text: str) -> int:
    """How many characters a match still needs after a text."""
    state = 0
    for c in text:
        state = built.table[state, built.classes[ord(c)]]
    return int(built.distance[state])


_anchored = st.tuples(
    st.sampled_from(["", "^", r"\A", "(^|a)", "(a^)?"]),
    patterns,
    st.sampled_from(["", "$", r"\Z", r"$\n?", "($|a)", "(a$)*", r"\n$", r"($\n)+", "$.*", r"\Z$"]),
    st.sampled_from(["", "(?i)", "(?s)", "(?a)", "(?x)", "(?is)"]),
).map(lambda parts: parts[3] + "".join(parts[:3]))


@settings(max_examples=200)
@given(pattern=_anchored, text=st.text(ALPHABET, max_size=8), data=st.data())
def test_as_re(pattern: str, text: str, data: st.DataObject) -> None:
    """A text of any pattern's alphabet matches as in Python; so does a text sampled to match."""
    found = built(pattern)
    texts = [text]
    if found.distance[0] < FAR:
        texts.append(data.draw(st.from_regex(pattern, fullmatch=True), "match"))
    for each in texts:
        known = not set(each) - set(ALPHABET)
        assert (distance(found, each) == 0) == (known and bool(re.fullmatch(pattern, each)))


@pytest.mark.parametrize(
    "pattern", ["(a*b?)*", "((a|b)*e)+", "(?:(?:ab?){2,}e*){,2}", "((a?)+b)*?a"]
)
@given(text=st.text("abe", max_size=8))
def test_nested_repeats(pattern: str, text: str) -> None:
    """Repeats may be nested."""
    assert (distance(built(pattern), text) == 0) == bool(re.fullmatch(pattern, text))


@given(pattern=patterns)
def test_distance(pattern: str) -> None:
    """Going the shortest way ends at a match, after as many characters as announced."""
    found = built(pattern)
    state, text = 0, ""
    if found.distance[0] == FAR:
        return
    while found.distance[state]:
        after = found.table[state, found.classes[code_points(ALPHABET)]]
        nearest = int(found.distance[after].argmin())
        state, text = after[nearest], text + ALPHABET[nearest]
    assert len(text) == found.distance[0]
    assert re.fullmatch(pattern, text)


@pytest.mark.parametrize(
    "pattern",
    [r"\w", r"\d", r"\s", r"\W", ".", "[^a]", "(?i)[k-sß]", r"(?i)\u017f", r"(?a)\w", "[À-ž]"],
)
def test_every_character(pattern: str) -> None:
    """Classes are those of Python, for every character."""
    alphabet = "".join(chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000)
    found = built(pattern, alphabet)
    codes = code_points(alphabet)
    matches = found.distance[found.table[0, found.classes[codes]]] == 0
    expected = code_points("".join(re.findall(pattern, alphabet)))
    assert np.array_equal(codes[matches], expected)


@pytest.mark.parametrize("pattern", ["a☃", "[☃]", "a(?:☃|☃a)", "[^\\s\\S]", "a$b", r"\Za"])
def test_impossible(pattern: str) -> None:
    """A pattern that no text of the alphabet matches leads nowhere from the start."""
    assert built(pattern).distance[0] == FAR


@pytest.mark.parametrize(
    "pattern",
    [
        "(", "a**", "[z-a]", "a{3,2}", "(?P<a", "\\", "(?L)a", "a{99999999999}", "*",
        "(" * 5000 + ")" * 5000, "\\ud83d\\",
    ],
)  # fmt: skip
def test_invalid(pattern: str) -> None:
    """What Python refuses, or cannot hold, is refused."""
    with pytest.raises(UsageError, match=r"^match is"):
        built(pattern)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("a(?=b)b", "look-around"), ("(?!b)a", "look-around"), ("(?<=a)b", "look-around"),
        ("(?<!a)b", "look-around"), ("(?!)", "look-around"), (r"(a)\1", "back-references"),
        ("(?P<x>a)(?P=x)", "back-references"), ("(a)?(?(1)b|c)", "conditional groups"),
        ("(?>a*)a", "atomic groups"), ("a*+a", "possessive repeats"), (r"\ba", r"\\b"),
        (r"a\B", r"\\B"), ("(?m)^a", "anchors inside"), ("(?m:a$)", "anchors inside"),
    ],
)  # fmt: skip
def test_unsupported(pattern: str, named: str) -> None:
    """What an automaton cannot express is refused by its name, with what is supported."""
    with pytest.raises(UsageError, match=f"match does not support {named}.*repeats"):
        built(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|b)*a.{30}", "(a{1000}){1000}", "((a{0,200}){0,200}){0,200}", "(a?){5000}", "a{60000}",
        "(.*a){2000}", "(^){100000}", "(?:a|b)*a(?:a|b){14}x",
    ],
)  # fmt: skip
def test_too_complex(pattern: str) -> None:
    """A pattern whose automaton is too large is refused."""
    with pytest.raises(UsageError, match="too complex"):
        built(pattern)


@pytest.mark.parametrize(
    "pattern", ["(?:){4000000000}", "(?:(?:){999999999}){999999999}", ".{0,2000}"]
)
def test_large_repeats(pattern: str) -> None:
    """Repeats of nothing, and long plain ones, are fine."""
    assert built(pattern).distance[0] == 0


def test_warnings() -> None:
    """What Python warns of is taken as it is."""
    assert distance(built("[[a]"), "a") == 0
