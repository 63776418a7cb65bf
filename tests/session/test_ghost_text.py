"""What is shown in grey after the cursor."""

from collections.abc import Sequence

import pytest
from prompt_toolkit.document import Document

from charrnn.model import PHRASE_LONGEST, Model
from charrnn.session.ghost_text import Answer, Suggester
from charrnn.suggestions.completer import Completion
from charrnn.tokenizer import CharTokenizer
from tests.models import CORPUS, random_model

Table = dict[str, list[tuple[str, float]]]


class Known(Model):
    """A model whose completions are in a table, by what is typed."""

    def __init__(self, table: Table) -> None:
        super().__init__(random_model(CharTokenizer.train(CORPUS)).file)
        self._table = table

    def complete(
        self, typed: str, k: int = 3, dismissals: object = None, after: str = ""
    ) -> list[Completion]:
        del dismissals, after  # the table depends on neither
        return [Completion(text, p) for text, p in self._table.get(typed, [])][:k]


@pytest.mark.parametrize(
    ("typed", "table", "phrase"),
    [
        ("moth", {"moth": [("er", 0.6)], "mother": [("'s", 0.4), (" is", 0.3)]}, "er is"),
        ("wit", {"wit": [("h", 0.8)], "with": [("out", 0.6)]}, "h"),
        ("the", {"the": [(" quick", 0.5)], "the quick": [("er", 0.9)]}, " quick"),
        ("吾", {"吾": [("輩", 0.9)], "吾輩": [("は猫", 0.8)]}, "輩は猫"),
        ("a", {"a" * n: [("a", 1.0)] for n in range(99)}, "a"),
        ("", {" a" * n: [(" a", 1.0)] for n in range(99)}, " a" * 9),
        ("", {" abcdefghi" * n: [(" abcdefghi", 1.0)] for n in range(99)}, " abcdefghi" * 8),
    ],
)
def test_phrases(typed: str, table: Table, phrase: str) -> None:
    """A phrase adds whole words after the first one, which it does not extend."""
    model = Known(table)
    found = model.phrase(typed, model.complete(typed)[0], 0.1)
    assert found == phrase
    assert len(found) <= PHRASE_LONGEST


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
        suggester = Suggester(Known(table), 3, 0.1, silent=lambda _: False)
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
