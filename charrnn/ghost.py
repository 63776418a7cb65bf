"""What would come next, shown in grey after the cursor, and the hand that takes it."""

from collections.abc import Callable

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput

from charrnn.attention import Attention
from charrnn.complete import SHOWN_FROM, Completion
from charrnn.model import Model
from charrnn.ngram import half_word
from charrnn.words import is_unspaced


class Suggester(AutoSuggest):
    """Asks the model for what may follow; called in another thread, so that typing never waits.

    Args:
        model: completes.
        count: suggestions to choose from.
        least: probability under which nothing is suggested.
        silent: whether a text gets no suggestions.

    Attributes:
        before: the text that was entered before the one being typed.
        shown: how often something was.
    """

    def __init__(
        self, model: Model, count: int, least: float, silent: Callable[[str], bool]
    ) -> None:
        self.model = model
        self.count = count
        self.least = least
        self.before = ""
        self.shown = 0
        self._silent = silent
        self._attention = Attention()
        self._hushed: int | None = None  # where the word starts that gets no suggestions
        self._typed = ""  # what the rest is about
        self._phrase = ""
        self._completions: list[Completion] = []
        self._chosen = 0

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        if self._silent(document.text):
            self._completions = []  # a command may change what follows
            return None
        if not document.is_cursor_at_the_end_of_line:
            return None
        typed = self.before + document.text_before_cursor
        phrase, completions = "", []
        if _word_start(typed) != self._hushed:
            found = self.model.complete(typed, self.count, self._attention)
            completions = [completion for completion in found if completion.p >= SHOWN_FROM]
        if completions and completions[0].p >= self.least:
            phrase = self.model.phrase(typed, completions[0], self.least)
            self.shown += 1
        else:
            completions = []
        self._attention.show(typed, [completion.text for completion in completions])
        # The screen is drawn meanwhile: it finds what belongs together, or nothing.
        self._completions = []
        self._typed, self._phrase, self._chosen = typed, phrase, 0
        self._completions = completions
        return self.suggestion(document.text_before_cursor)

    def completions(self, text: str) -> list[Completion]:
        """Those for the text before the cursor; none if they are about another one."""
        return self._completions if self.before + text == self._typed else []

    def chosen(self, text: str) -> Completion | None:
        """The one that is shown."""
        completions = self.completions(text)
        return completions[self._chosen] if completions else None

    def suggestion(self, text: str) -> Suggestion | None:
        """What is shown after it."""
        completion = self.chosen(text)
        if not completion:
            return None
        return Suggestion(completion.text if self._chosen else self._phrase)

    @property
    def rank(self) -> int:
        """Which one is shown, from 0."""
        return self._chosen

    def next(self, text: str) -> Suggestion | None:
        """Choose the following suggestion, the first again after the last."""
        completions = self.completions(text)
        if completions:
            self._chosen = (self._chosen + 1) % len(completions)
        return self.suggestion(text)

    def hush(self, text: str) -> None:
        """Suggest nothing until the next word begins."""
        self._hushed = _word_start(self.before + text)
        self._completions = []


def _word_start(text: str) -> int:
    return len(text) - len(half_word(text))


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
    """Takes suggestions, and counts the keys that this saves.

    Attributes:
        saved: keys.
        taken: suggestions.
    """

    def __init__(self) -> None:
        self.saved = 0
        self.taken = 0
        self._loose: Document | None = None  # while its last space is one that nobody typed

    def take(self, buffer: Buffer, text: str) -> None:
        """Insert a suggestion and the space after it, if its script has spaces."""
        space = "" if is_unspaced(text[-1]) else " "
        buffer.insert_text(text + space)
        self.saved += len(text + space) - 1
        self.taken += 1
        self._loose = buffer.document if space else None

    def is_loose(self, buffer: Buffer) -> bool:
        """Whether the space before the cursor came with a suggestion."""
        return buffer.document == self._loose

    def drop_space(self, buffer: Buffer) -> None:
        """Take back the space that came with a suggestion."""
        buffer.delete_before_cursor()
        self.saved -= 1
        self._loose = None
