"""What would come next, shown in grey after the cursor, and the hand that takes it."""

from collections.abc import Callable
from typing import NamedTuple

from prompt_toolkit.auto_suggest import Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput

from charrnn.model import Model
from charrnn.suggestions.completer import SHOWN_FROM, Completion, worth_showing
from charrnn.suggestions.passed_over import Dismissals
from charrnn.text.words import is_unspaced, partial_word


class Answer(NamedTuple):
    """What may follow a text.

    Attributes:
        typed: the text.
        completions: the likeliest first.
        phrase: the first one, run on to more words.
    """

    typed: str
    completions: list[Completion]
    phrase: str

    def after(self, more: str) -> list[Completion]:
        """What is left of each completion, once that has been typed of it.

        Where the first one has been typed to its end, the rest of the phrase takes its place.
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


NOTHING = Answer("", [], "")


class Suggester:
    """Asks the model for what may follow; in another thread, so that typing never waits.

    Args:
        model: completes.
        count: suggestions to choose from.
        least: probability under which nothing is suggested.
        silent: whether a text gets no suggestions.

    Attributes:
        before: the text that was entered before the one being typed.
        shown: how often something was.
        off: whether nothing is suggested for now.
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
        self._hushed: int | None = None  # where the word starts that gets no suggestions
        self._answer = NOTHING
        self._chosen = 0

    def ask(self, document: Document) -> None:
        """Find what may follow the text before the cursor."""
        text = document.text_before_cursor
        if self.off or self._silent(document.text) or not document.is_cursor_at_the_end_of_line:
            self._answer = NOTHING  # (a command may change what follows)
            return
        typed = self.before + text
        phrase, completions = "", []
        if _word_start(typed) != self._hushed:
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
        # The screen is drawn meanwhile: it finds what belongs together.
        self._answer, self._chosen = Answer(typed, completions, phrase), 0

    def completions(self, text: str) -> list[Completion]:
        """Those for the text before the cursor; of what was typed since, those that still fit."""
        answer, typed = self._answer, self.before + text
        return answer.after(typed[len(answer.typed) :]) if typed.startswith(answer.typed) else []

    def chosen(self, text: str) -> Completion | None:
        """The one that is shown."""
        completions = self.completions(text)
        return completions[min(self._chosen, len(completions) - 1)] if completions else None

    def suggestion(self, text: str) -> Suggestion | None:
        """What is shown after it."""
        answer, completion = self._answer, self.chosen(text)
        if not completion:
            return None
        phrase = answer.phrase[len(self.before + text) - len(answer.typed) :]
        whole = self._chosen == 0 and phrase.startswith(completion.text)
        return Suggestion(phrase if whole else completion.text)

    @property
    def rank(self) -> int:
        """Which one is shown, from 0."""
        return self._chosen

    def choose(self, text: str, rank: int) -> Suggestion | None:
        """Choose a suggestion; after the last comes the first, and before it the last."""
        completions = self.completions(text)
        if completions:
            self._chosen = rank % len(completions)
        return self.suggestion(text)

    def took(self, text: str, taken: str) -> None:
        """Learn that a suggestion after a text was taken."""
        self._dismissals.accept(self.before + text, taken)

    def hush(self, text: str) -> None:
        """Suggest nothing until the next word begins."""
        self._hushed = _word_start(self.before + text)
        self._answer = NOTHING

    def wake(self) -> None:
        """Suggest again where it was asked not to."""
        self._hushed = None
        self.off = False


def _word_start(text: str) -> int:
    return len(text) - len(partial_word(text))


class InnerGhost(Processor):
    """Shows a suggestion at the end of a line; of the last line prompt_toolkit does."""

    def apply_transformation(self, ti: TransformationInput) -> Transformation:
        document, suggestion = ti.document, ti.buffer_control.buffer.suggestion
        last = document.on_last_line
        here = ti.lineno == document.cursor_position_row and document.is_cursor_at_the_end_of_line
        if last or not here or not suggestion:
            return Transformation(ti.fragments)
        return Transformation([*ti.fragments, ("class:auto-suggestion", suggestion.text)])


class Hand:
    """Takes suggestions, and counts the keys.

    Attributes:
        keys: pressed for text; what is pasted counts as if it were typed.
        taken: suggestions.
    """

    def __init__(self) -> None:
        self.keys = 0
        self.taken = 0
        self._loose: Document | None = None  # while its last space is one that nobody typed

    def take(self, buffer: Buffer, text: str) -> None:
        """Insert a suggestion and the space after it, if its script has spaces."""
        space = "" if is_unspaced(text[-1]) else " "
        buffer.insert_text(text + space)
        self.taken += 1
        self._loose = buffer.document if space else None

    def is_loose(self, buffer: Buffer) -> bool:
        """Whether the space before the cursor came with a suggestion."""
        return buffer.document == self._loose

    def drop_space(self, buffer: Buffer) -> None:
        """Take back the space that came with a suggestion."""
        buffer.delete_before_cursor()
        self._loose = None
