"""The interactive session: what would come next stands in grey after what is typed."""

import re

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion, ThreadedAutoSuggest
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from charrnn.complete import Completion
from charrnn.model import Model

ESCAPE_SECONDS = 0.1  # a lone Esc is told from the start of an arrow key by this silence
STYLE = Style.from_dict(
    {
        "auto-suggestion": "ansibrightblack italic",
        "bottom-toolbar": "noreverse",
        "chosen": "bold underline",
        "keys": "ansibrightblack",
    }
)


class Suggester(AutoSuggest):
    """Asks the model for what may follow; called in another thread, so that typing never waits.

    Args:
        model: completes.
        count: suggestions to choose from.
    """

    def __init__(self, model: Model, count: int) -> None:
        self._model = model
        self._count = count
        self.before = ""  # the lines that were entered
        self._text = ""  # what the rest is about
        self._phrase = ""
        self._completions: list[Completion] = []
        self._chosen = 0

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        if not document.is_cursor_at_the_end:
            return None
        typed = self.before + document.text
        completions = self._model.complete(typed, self._count)
        phrase = self._model.phrase(typed, completions[0]) if completions else ""
        self._text, self._completions, self._phrase, self._chosen = (
            document.text, completions, phrase, 0,
        )  # fmt: skip
        return Suggestion(phrase) if phrase else None

    def completions(self, text: str) -> list[Completion]:
        """Those for this text; none if they are about an earlier one."""
        return self._completions if text == self._text else []

    def next(self, text: str) -> Suggestion | None:
        """Choose the following suggestion, the first again after the last."""
        completions = self.completions(text)
        if not completions:
            return None
        self._chosen = (self._chosen + 1) % len(completions)
        return Suggestion(completions[self._chosen].text if self._chosen else self._phrase)

    def toolbar(self) -> StyleAndTextTuples:
        """The suggestions with their probabilities, the chosen one marked; then the keys."""
        buffer = get_app().current_buffer
        shown: StyleAndTextTuples = []
        if buffer.suggestion:
            for i, completion in enumerate(self.completions(buffer.text)):
                style = "class:chosen" if i == self._chosen else ""
                shown += [(style, completion.text.strip()), ("", f" {completion.p:.0%}   ")]
        return [*shown, ("class:keys", "→ all  Alt-F word  Tab next  Esc hide  Ctrl-D end")]


def key_bindings(suggester: Suggester) -> KeyBindings:
    keys = KeyBindings()

    @Condition
    def suggested() -> bool:
        buffer = get_app().current_buffer
        return bool(buffer.suggestion) and buffer.document.is_cursor_at_the_end

    @keys.add("right", filter=suggested)
    @keys.add("end", filter=suggested)
    @keys.add("c-e", filter=suggested)
    def take_all(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.suggestion:
            buffer.insert_text(buffer.suggestion.text)

    @keys.add("c-right", filter=suggested)
    @keys.add("escape", "f", filter=suggested)
    def take_word(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        word = re.match(r"\s*\S+", buffer.suggestion.text) if buffer.suggestion else None
        if word:
            buffer.insert_text(word[0])

    @keys.add("tab")
    def show_next(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        suggestion = suggester.next(buffer.text)
        if suggestion and buffer.document.is_cursor_at_the_end:
            buffer.suggestion = suggestion
            event.app.invalidate()

    @keys.add("escape", filter=suggested)
    def hide(event: KeyPressEvent) -> None:
        event.current_buffer.suggestion = None

    return keys


def run(model: Model, count: int) -> None:
    """Prompt for lines until Ctrl-D; each one is context for the next.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    suggester = Suggester(model, count)
    session: PromptSession[str] = PromptSession(
        message="> ",
        auto_suggest=ThreadedAutoSuggest(suggester),
        key_bindings=key_bindings(suggester),
        bottom_toolbar=suggester.toolbar,
        style=STYLE,
    )
    session.app.ttimeoutlen = session.app.timeoutlen = ESCAPE_SECONDS
    while True:
        try:
            line = session.prompt()
        except EOFError:
            return
        suggester.before += line + "\n"
