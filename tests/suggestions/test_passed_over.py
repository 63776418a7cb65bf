"""The effect of dismissed suggestions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from charrnn.model import Model
from charrnn.session.ghost_text import Suggester
from charrnn.suggestions.passed_over import Dismissals


def test_dismissed() -> None:
    """A word that was shown and not accepted is less likely while the same word is typed."""
    dismissals = Dismissals()
    dismissals.show("the f", ["ox", "rog"])
    ox, rog, og = dismissals.factors("the fo", ["x", "rg", "g"])
    assert ox < 1
    assert (rog, og) == (1, 1)  # words that were not shown
    dismissals.show("the fo", ["x"])
    assert dismissals.factors("the fox", ["es"]) == 1
    assert dismissals.factors("the fox ", ["fox"]) == 1


def test_next_word() -> None:
    """A suggestion that begins with a space is dismissed when only the space is typed."""
    dismissals = Dismissals()
    dismissals.show("the", [" fox"])
    assert dismissals.factors("the ", ["fox"]) < 1


def test_deleting() -> None:
    """Deleting a letter forgets the dismissals."""
    dismissals = Dismissals()
    dismissals.show("the f", ["ox"])
    assert dismissals.factors("the fo", ["x"]) < 1
    assert dismissals.factors("the f", ["ox"]) == 1


def test_asked_again() -> None:
    """Nothing is dismissed while nothing is typed."""
    dismissals = Dismissals()
    dismissals.show("the f", ["ox"])
    dismissals.show("the f", ["ox"])
    assert dismissals.factors("the f", ["ox"]) == 1


@pytest.mark.parametrize("followed", [" ", ", ", " and more "])
def test_learned(followed: str) -> None:
    """Dismissals count for users who accept suggestions, and hardly for those who type on."""
    accepts, types = Dismissals(), Dismissals()
    before = ""
    for _ in range(20):
        for place in range(4):
            types.show(before + "fox"[:place], ["fox"[place:]][: 3 - place])
        accepts.show(before, ["fox"])
        accepts.accept(before, "fox")
        before += "fox" + followed
    accepts.show(before, ["fox"])
    types.show(before, ["fox"])
    assert accepts.overlooked < 0.05
    assert types.overlooked > 0.95
    assert accepts.factors(before + "f", ["ox"]) < 0.05
    assert types.factors(before + "f", ["ox"]) > 0.95


def test_session(model: Model) -> None:
    """In a session, a suggestion is less likely after a letter was typed instead."""
    suggester = Suggester(model, 5, 0.0, silent=lambda _: False)
    suggester.ask(Document("The "))
    for shown in suggester.completions("The "):
        typed = "The " + shown.text[0]
        suggester.ask(Document("The "))
        suggester.ask(Document(typed))
        now = {word.text: word.p for word in suggester.completions(typed)}
        alone = {word.text: word.p for word in model.complete(typed, 5)}
        assert now.get(shown.text[1:], 0.0) < alone.get(shown.text[1:], 1.0)


@given(st.lists(st.tuples(st.text("ab -'é\n", max_size=8), st.lists(st.text("ab ", min_size=1)))))
def test_any(events: list[tuple[str, list[str]]]) -> None:
    """Whatever is typed and shown, a factor is a probability."""
    dismissals = Dismissals()
    typed = ""
    for added, shown in events:
        typed = typed[: -len(added)] if added.startswith("b") else typed + added
        dismissals.show(typed, shown)
        assert ((factors := dismissals.factors(typed + "a", shown)) > 0).all()
        assert (factors <= 1).all()
        assert 0 < dismissals.overlooked < 1
