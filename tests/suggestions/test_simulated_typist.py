"""The simulated typist against keystrokes counted by hand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given

from charrnn.suggestions.completer import Completion, ranked
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.simulated_typist import Keystrokes, Suggest, Typist, completable, type_text
from charrnn.text.words import LONGEST_WORD, WORD
from tests.strategies import texts


def typed(text: str, suggest: Suggest, vocabulary: Sequence[str] = ()) -> Keystrokes:
    """Type a whole text and return the counts."""
    *_, keys = type_text(text, suggest, vocabulary)
    return keys


def saved(typists: Mapping[int, Typist], tally: str = "saved") -> list[int]:
    """Return one count of each typist."""
    return [getattr(typist, tally) for typist in typists.values()]


def always(*words: str, p: float = 0.6) -> Suggest:
    """Suggest the words that the partial word begins, in this order."""

    def suggest(text: str, k: int, *_: object) -> list[Completion]:
        partial = next(iter(WORD.findall(text)[-1:]), "") if text[-1:].isalnum() else ""
        rest = [w[len(partial) :] for w in words if w.startswith(partial) and w != partial]
        return [Completion(w, p) for w in rest][:k]

    return suggest


def test_nothing_shown() -> None:
    """Without suggestions every key is typed."""
    keys = typed("The fox sat.", always())
    assert (keys.chars, keys.words) == (12, 3)
    assert saved(keys.typists) == [0, 0, 0]


def test_ranks() -> None:
    """A word is accepted after the first letter where it is among the suggestions."""
    # the: rank 3; then (4 letters, no space after it): rank 2 before its first letter.
    keys = typed("the then", always("they", "then", "the"))
    # With one suggestion, only "they" is ever shown.
    assert saved(keys.typists) == [0, 3 + 3, 6]
    assert saved(keys.typists, "saved_spaceless") == [0, 2 + 3, 5]
    assert saved(keys.typists, "foreseen") == [0, 2, 2]


def test_partial_word() -> None:
    """Letters typed narrow the candidates down."""
    keys = typed("sat x", always("a", "b", "c", "d", "e", "sat"))
    assert saved(keys.typists) == [2, 2, 2]  # after the s: "at" and the space for one key
    assert saved(keys.typists, "foreseen") == [0, 0, 0]


def test_not_worth_it() -> None:
    """A suggestion that saves no key is not accepted, but counts as foreseen."""
    keys = typed("a,b c", always("a", "b", "c"))
    assert saved(keys.typists) == [0, 1, 1]  # "b" and its space
    assert saved(keys.typists, "foreseen") == [1, 3, 3]


def test_dismissed() -> None:
    """A dismissed suggestion gives way to the next candidate."""

    def suggest(text: str, k: int, dismissals: Dismissals | None) -> list[Completion]:
        partial = text.rpartition(" ")[2]
        rest = [word[len(partial) :] for word in ("them", "then") if word.startswith(partial)]
        return ranked(text, rest, np.array([0.6, 0.4][: len(rest)]), dismissals)[:k]

    keys = typed("then them then", suggest)
    # With one candidate: after the first letter "hen", "hem" at once, "hen" again.
    assert keys.typists[1].saved == 3 + 4 + 2
    assert keys.repeated[1].saved == 0 + 4 + 0
    assert saved(keys.typists)[1:] == saved(keys.repeated)[1:]


def test_ceilings() -> None:
    """The oracle needs one key per word; the vocabulary's oracle types unknown words out."""
    keys = typed("The fox sat.", always("The", "fox", "sat"), ["The", "sat"])
    assert keys.oracle == 3 + 3 + 2
    assert keys.known_oracle == 3 + 2
    assert keys.unseen_chars == 3
    assert saved(keys.typists, "unseen_saved") == [2, 3, 3]


@pytest.mark.parametrize("length", [LONGEST_WORD, LONGEST_WORD + 1, 300_000])
def test_run_without_spaces(length: int) -> None:
    """In a run of letters too long for a word, nothing is suggested and no key is saved."""
    asked = []

    def suggest(text: str, *_: object) -> list[Completion]:
        asked.append(len(text))
        return []

    keys = typed("A " + "x" * length + " end", suggest, ["end"])
    fits = length <= LONGEST_WORD
    assert keys.chars == length + 6
    assert keys.words == 2 + fits
    assert keys.oracle == 1 + length * fits + 2
    assert len({*asked}) == 1 + length * fits + 2


@pytest.mark.parametrize(("p", "shown"), [(0.05, 1), (0.35, 4), (0.99, 10)])
def test_dial(p: float, shown: int) -> None:
    """A suggestion is shown where it is likely enough."""
    keys = typed("fox", always("fox", p=p), ["fox"])
    assert sum(dial.shown > 0 for dial in keys.dials) == shown
    assert all(dial.right == dial.shown for dial in keys.dials)
    assert {dial.saved for dial in keys.dials if dial.shown} == {2}


@given(texts)
def test_oracle(text: str) -> None:
    """Suggestions that are always right reach the upper bound, on any text."""
    words = {m.start(): m[0] for m in completable(text)}

    def suggest(before: str, *_: object) -> list[Completion]:
        return [Completion(words[len(before)], 1.0)] if len(before) in words else []

    keys = typed(text, suggest)
    assert keys.chars == len(text)
    assert {*saved(keys.typists), *saved(keys.repeated)} == {keys.oracle}
    assert keys.typists[1].foreseen == keys.words == len(words)
    values = keys.to_json()
    assert values["ksr"]["1"] == values["ceilings"]["foresight"] >= values["ksr_without_space"]["1"]
