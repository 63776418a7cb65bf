"""What is shown in grey after the cursor."""

from collections.abc import Sequence
from threading import Event, Thread
from unittest.mock import patch

import pytest
from prompt_toolkit.document import Document

from charrnn.session.ghost_text import Answer, Suggester
from charrnn.suggestions.completer import Completion
from charrnn.tokenizer import CharTokenizer
from tests.models import CORPUS, KnownCompleter, random_model


class TestAlong:
    ANSWER = Answer("The c", [Completion("at", 0.7), Completion("ar", 0.2)], "at sat down")

    @pytest.mark.parametrize(
        ("more", "left"),
        [
            ("", ["at", "ar"]),
            ("a", ["t", "r"]),
            ("ar", []),
            ("at", [" sat down"]),
            ("at s", ["at down"]),
            ("at sat down", []),
            ("x", []),
        ],
    )
    def test_what_is_left(self, more: str, left: Sequence[str]) -> None:
        """Suggestions that continue the text typed since are kept."""
        assert [completion.text for completion in self.ANSWER.after(more)] == left

    def test_shown(self) -> None:
        """The rest of the grey text is there before the model is asked again."""
        table = {"The c": [("at", 0.7), ("ar", 0.2)], "The cat": [(" sat", 0.9)]}
        model = random_model(CharTokenizer.train(CORPUS))
        model._completer = KnownCompleter(table)
        suggester = Suggester(model, 3, 0.1, silent=lambda _: False)
        suggester.ask(Document("The c"))
        shown = [suggester.suggestion(text) for text in ("The c", "The ca", "The cat", "The cat s")]
        assert [one.text if one else None for one in shown] == ["at sat", "t sat", " sat", "at"]
        assert suggester.suggestion("The cr") is None
        second = suggester.choose("The c", 1)
        assert second
        assert second.text == "ar"
        assert suggester.suggestion("The x") is None


def test_no_long_words() -> None:
    """Words longer than 40 letters are not suggested, however often they were typed."""
    model = random_model(CharTokenizer.train(CORPUS))
    typed = f"{'a' * 41} {'b' * 300} " * 9
    for half in ("a", "aa", "b"):
        assert all(len(half + c.text) <= 40 for c in model.complete(typed + half, 9))


def test_one_question_at_a_time() -> None:
    """A suggestion is explained when none is being looked for, as both change the model."""
    model = random_model(CharTokenizer.train(CORPUS))
    suggester = Suggester(model, 3, 0.0, silent=lambda _: False)
    looking, explained = Event(), Event()
    order = []

    def complete(*_: object, **__: object) -> list[Completion]:
        looking.set()
        explained.wait(0.2)
        order.append("found")
        return []

    def reasons(*_: object) -> None:
        order.append("explained")
        explained.set()

    with patch.object(model, "complete", complete), patch.object(model, "reasons", reasons):
        asking = Thread(target=suggester.ask, args=[Document("The c")])
        asking.start()
        looking.wait()
        suggester.reasons("The c", "at")
        asking.join()
    assert order == ["found", "explained"]
