"""The interactive session: what would come next stands in grey after what is typed."""

import re
import sys
from pathlib import Path

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
from charrnn.errors import TextError
from charrnn.files import append
from charrnn.model import Model

ESCAPE_SECONDS = 0.1  # a lone Esc is told from the start of an arrow key by this silence
CLOSING = ",.;:!?)]}…\"'”’»"  # stand next to the word before them
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
        least: probability under which nothing is suggested.
    """

    def __init__(self, model: Model, count: int, least: float) -> None:
        self._model = model
        self._count = count
        self._least = least
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
        if completions and completions[0].p < self._least:
            completions = []
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

    def shown(self, buffer: Buffer) -> StyleAndTextTuples:
        """The suggestions with their probabilities, the chosen one marked."""
        shown: StyleAndTextTuples = []
        if buffer.suggestion:
            for i, completion in enumerate(self.completions(buffer.text)):
                style = "class:chosen" if i == self._chosen else ""
                shown += [(style, completion.text.strip()), ("", f" {completion.p:.0%}   ")]
        return shown


class Hand:
    """Takes suggestions, and counts the keys that this saves.

    Attributes:
        saved: keys.
    """

    def __init__(self) -> None:
        self.saved = 0
        self._loose = ""  # the text, while it ends in a space that nobody typed

    def take(self, buffer: Buffer, text: str) -> None:
        """Insert a suggestion and the space after it."""
        buffer.insert_text(text + " ")
        self.saved += len(text)
        self._loose = buffer.text

    def is_loose(self, buffer: Buffer) -> bool:
        """Whether the space before the cursor came with a suggestion."""
        at_end = buffer.document.is_cursor_at_the_end
        return bool(self._loose) and buffer.text == self._loose and at_end

    def drop_space(self, buffer: Buffer) -> None:
        """Take back the space that came with a suggestion."""
        buffer.delete_before_cursor()
        self.saved -= 1
        self._loose = ""


class Transcript:
    """The lines that were entered, at the end of a file; what cannot be written now waits.

    Args:
        path: of the file, or None for none.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._waiting = ""
        self.problem = ""
        if self._path:
            open(self._path, "ab").close()

    def add(self, line: str) -> None:
        if not self._path:
            return
        self._waiting += line + "\n"
        try:
            append(self._path, self._waiting)
        except OSError as error:
            self.problem = error.strerror or str(error)
        else:
            self._waiting = self.problem = ""

    def close(self) -> None:
        """Call at the end.

        Raises:
            TextError: some lines could not be written; they go to standard output instead.
        """
        if self._waiting:
            sys.stdout.write(self._waiting)
            raise TextError(
                f"cannot write {self._path}: {self.problem}", "the lines it lacks stand above"
            )


def key_bindings(suggester: Suggester, hand: Hand) -> KeyBindings:
    keys = KeyBindings()

    @Condition
    def suggested() -> bool:
        buffer = get_app().current_buffer
        return bool(buffer.suggestion) and buffer.document.is_cursor_at_the_end

    @Condition
    def loose() -> bool:
        return hand.is_loose(get_app().current_buffer)

    @keys.add("right", filter=suggested)
    @keys.add("end", filter=suggested)
    @keys.add("c-e", filter=suggested)
    def take_all(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.suggestion:
            hand.take(buffer, buffer.suggestion.text)

    @keys.add("c-right", filter=suggested)
    @keys.add("escape", "f", filter=suggested)
    def take_word(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        word = re.match(r"\s*\S+", buffer.suggestion.text) if buffer.suggestion else None
        if word:
            hand.take(buffer, word[0])

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

    def close_up(event: KeyPressEvent) -> None:
        hand.drop_space(event.current_buffer)
        event.current_buffer.insert_text(event.data)

    for mark in [*CLOSING, " "]:  # a space of one's own takes the place of the one that came
        keys.add(mark, filter=loose)(close_up)

    @keys.add("enter", filter=loose)
    def end_line(event: KeyPressEvent) -> None:
        hand.drop_space(event.current_buffer)
        event.current_buffer.validate_and_handle()

    return keys


def run(model: Model, count: int, least: float, output: str | None) -> None:
    """Prompt for lines until Ctrl-D; each one is context for the next.

    Args:
        count: suggestions to choose from.
        least: probability under which nothing is suggested.
        output: a file at whose end the lines are written.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        TextError: not all lines could be written; see Transcript.
        OSError: the file cannot be written to begin with.
    """
    suggester, hand, transcript = Suggester(model, count, least), Hand(), Transcript(output)

    def toolbar() -> StyleAndTextTuples:
        buffer = get_app().current_buffer
        shown = suggester.shown(buffer)
        if transcript.problem:
            shown.append(("class:chosen", f"not written: {transcript.problem}   "))
        elif hand.saved > 0:
            chars = max(1, len(suggester.before + buffer.text))
            shown.append(("", f"{hand.saved / chars:.0%} of keys saved   "))
        return [*shown, ("class:keys", "→ all  Alt-F word  Tab next  Esc hide  Ctrl-D end")]

    session: PromptSession[str] = PromptSession(
        message="> ",
        auto_suggest=ThreadedAutoSuggest(suggester),
        key_bindings=key_bindings(suggester, hand),
        bottom_toolbar=toolbar,
        style=STYLE,
    )
    session.app.ttimeoutlen = session.app.timeoutlen = ESCAPE_SECONDS
    try:
        while True:
            line = session.prompt()
            suggester.before += line + "\n"
            transcript.add(line)
    except EOFError:
        pass
    finally:
        transcript.close()
