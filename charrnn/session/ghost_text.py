"""Ghost text: suggestions shown in grey after the cursor, and accepting them."""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from prompt_toolkit.auto_suggest import Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput

from charrnn.model import Model
from charrnn.suggestions.completer import SHOWN_FROM, Completion, Reasons, worth_showing
from charrnn.suggestions.passed_over import Dismissals
from charrnn.text.words import is_unspaced, partial_word


class Answer(NamedTuple):
    """The suggestions for a text.

    Attributes:
        typed: the text.
        completions: the suggestions, the likeliest first.
        phrase: the first suggestion, extended by more words; "" if there is none.
    """

    typed: str
    completions: list[Completion]
    phrase: str

    def after(self, more: str) -> list[Completion]:
        """Return the rest of each suggestion that still fits after more text was typed.

        If all of the first suggestion was typed, the rest of the phrase replaces it.
        """
        first = self.completions[0] if self.completions else None
        if first and len(more) >= len(first.text) and self.phrase.startswith(more):
            rest = self.phrase[len(more) :]
            return [Completion(rest, first.p)] if rest else []
        return [
            Completion(completion.text[len(more) :], completion.p)
            for completion in self.completions
            if completion.text.startswith(more) and completion.text != more
        ]


NOTHING = Answer("", [], "")  # no suggestions


class Suggester:
    """Finds suggestions; `ask` runs in another thread, so that typing never waits.

    Args:
        model: the model that suggests.
        count: number of suggestions to choose from.
        least: minimum probability of a suggestion.
        silent: returns whether a text gets no suggestions.

    Attributes:
        before: text entered before the text that is being typed.
        shown: number of times that suggestions were shown.
        off: whether suggestions are turned off.
    """

    def __init__(
        self, model: Model, count: int, least: float, silent: Callable[[str], bool]
    ) -> None:
        self.model = model
        self.count = count
        self.least = least
        self.before = ""
        self.shown = 0
        self.off = False
        self._silent = silent
        self._dismissals = Dismissals()
        self._dismissed: int | None = None  # start of the word that gets no suggestions
        self._answer = NOTHING
        self._chosen = 0
        self._lock = Lock()  # a model answers one question at a time

    def reasons(self, typed: str, text: str) -> Reasons | None:
        """Return why a suggestion is made, see Model.reasons, once `ask` is idle."""
        with self._lock:
            return self.model.reasons(typed, text)

    def ask(self, document: Document) -> None:
        """Find suggestions for the text before the cursor."""
        with self._lock:
            self._ask(document)

    def _ask(self, document: Document) -> None:
        text = document.text_before_cursor
        if self.off or self._silent(document.text) or not document.is_cursor_at_the_end_of_line:
            self._answer = NOTHING  # /model would make the old one stale
            return
        typed = self.before + text
        phrase, completions = "", []
        if _word_start(typed) != self._dismissed:
            found = self.model.complete(typed, self.count, self._dismissals)
            completions = [completion for completion in found if completion.p >= SHOWN_FROM]
        if completions and completions[0].p >= self.least:
            phrase = self.model.phrase(typed, completions[0], self.least)
        knows = self.model.knows
        if phrase and worth_showing(typed, completions[0], self.least, knows, phrase):
            self.shown += 1
        else:
            phrase, completions = "", []
        self._dismissals.show(typed, [completion.text for completion in completions])
        # Set together, as another thread draws the screen meanwhile.
        self._answer, self._chosen = Answer(typed, completions, phrase), 0

    def completions(self, text: str) -> list[Completion]:
        """Return the suggestions that fit the text before the cursor."""
        answer, typed = self._answer, self.before + text
        return answer.after(typed[len(answer.typed) :]) if typed.startswith(answer.typed) else []

    def chosen(self, text: str) -> Completion | None:
        """Return the suggestion that is shown."""
        completions = self.completions(text)
        return completions[min(self._chosen, len(completions) - 1)] if completions else None

    def suggestion(self, text: str) -> Suggestion | None:
        """Return what is shown after the text: the phrase, or another suggestion."""
        answer, completion = self._answer, self.chosen(text)
        if not completion:
            return None
        phrase = answer.phrase[len(self.before + text) - len(answer.typed) :]
        whole = self._chosen == 0 and phrase.startswith(completion.text)
        return Suggestion(phrase if whole else completion.text)

    @property
    def rank(self) -> int:
        """Return the index of the suggestion that is shown."""
        return self._chosen

    def choose(self, text: str, rank: int) -> Suggestion | None:
        """Choose a suggestion by index, which wraps around; return what is shown."""
        completions = self.completions(text)
        if completions:
            self._chosen = rank % len(completions)
        return self.suggestion(text)

    def accepted(self, text: str, suggestion: str) -> None:
        """Record that a suggestion for a text was accepted."""
        self._dismissals.accept(self.before + text, suggestion)

    def dismiss(self, text: str) -> None:
        """Suggest nothing until the next word begins."""
        self._dismissed = _word_start(self.before + text)
        self._answer = NOTHING

    def resume(self) -> None:
        """Suggest again after `dismiss` or after being turned off."""
        self._dismissed = None
        self.off = False


def _word_start(text: str) -> int:
    return len(text) - len(partial_word(text))


class InnerGhost(Processor):
    """Shows a suggestion at the end of a line; on the last one, prompt_toolkit shows it."""

    def apply_transformation(self, ti: TransformationInput) -> Transformation:
        """Return the line with the suggestion, if the cursor is at its end."""
        document, suggestion = ti.document, ti.buffer_control.buffer.suggestion
        last = document.on_last_line
        here = ti.lineno == document.cursor_position_row and document.is_cursor_at_the_end_of_line
        if last or not here or not suggestion:
            return Transformation(ti.fragments)
        return Transformation([*ti.fragments, ("class:auto-suggestion", suggestion.text)])


class Keystrokes:
    """Inserts accepted suggestions and counts keystrokes.

    Attributes:
        pressed: number of keystrokes; a pasted text counts as if typed.
        accepted: number of accepted suggestions.
    """

    def __init__(self) -> None:
        self.pressed = 0
        self.accepted = 0
        self._spaced: Document | None = None  # the text as it was after a space was added

    def accept(self, buffer: Buffer, text: str) -> None:
        """Insert a suggestion, and a space after it if its script has spaces."""
        space = "" if is_unspaced(text[-1]) else " "
        buffer.insert_text(text + space)
        self.accepted += 1
        self._spaced = buffer.document if space else None

    def has_added_space(self, buffer: Buffer) -> bool:
        """Return whether the space before the cursor came with a suggestion."""
        return buffer.document == self._spaced

    def drop_space(self, buffer: Buffer) -> None:
        """Remove the space that came with a suggestion."""
        buffer.delete_before_cursor()
        self._spaced = None
