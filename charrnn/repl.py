"""The interactive session: text typed with suggestions, and commands that begin with a slash."""

import re
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.auto_suggest import ThreadedAutoSuggest
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from charrnn import slash
from charrnn.errors import CharrnnError, RunError, TextError
from charrnn.files import append
from charrnn.ghost import Hand, InnerGhost, Suggester
from charrnn.learned import Learned
from charrnn.model import Model
from charrnn.ui import Ui, in_one_line, write_text
from charrnn.why import Evidence, why
from charrnn.words import CLOSING

ESCAPE_SECONDS = 0.1  # a lone Esc is told from the start of an arrow key by this silence
NOTHING = "nothing is suggested here"
STYLE = Style.from_dict(
    {
        "auto-suggestion": "ansibrightblack italic",
        "bottom-toolbar": "noreverse",
        "chosen": "bold underline",
        "keys": "ansibrightblack",
    }
)


class Transcript:
    """The text that was entered, at the end of a file too; what cannot be written now waits.

    Args:
        path: of the file, or None for none.

    Attributes:
        text: all that was entered.
        problem: why it is not all in the file.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._waiting = ""
        self.text = ""
        self.problem = ""
        if self._path:
            open(self._path, "ab").close()

    def add(self, entry: str) -> None:
        self.text += entry + "\n"
        if not self._path:
            return
        self._waiting += entry + "\n"
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
            write_text(self._waiting, end="")
            raise TextError(
                f"cannot write {self._path}: {self.problem}", "the lines it lacks stand above"
            )


class Session:
    """A text being typed.

    Args:
        model: suggests.
        evidence: of what the model learned, if that is at hand.
        count: suggestions to choose from.
        least: probability under which nothing is suggested.
        output: a file at whose end the text is written.
        learned: what was learned from typing, and where more of it goes.

    Raises:
        OSError: that file cannot be written.
        RunError: what was learned cannot be read.
    """

    def __init__(
        self,
        model: Model,
        evidence: Evidence,
        count: int,
        least: float,
        output: str | None = None,
        learned: Learned | None = None,
    ) -> None:
        self.transcript = Transcript(output)
        self.suggester = Suggester(model, count, least, silent=slash.is_command)
        self.evidence = evidence
        self.learned = learned
        self.use(model)
        self.hand = Hand()
        self._ui = Ui()

    def run(self) -> None:
        """Prompt until Ctrl-D; each entry is context for the next.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            TextError: not all of the text could be written; see Transcript.
        """
        prompt: PromptSession[str] = PromptSession(
            message="> ",
            multiline=True,
            prompt_continuation="  ",
            auto_suggest=ThreadedAutoSuggest(self.suggester),
            key_bindings=self._key_bindings(),
            bottom_toolbar=self._toolbar,
            style=STYLE,
            input_processors=[InnerGhost()],
            tempfile_suffix=".txt",
        )
        prompt.default_buffer.on_cursor_position_changed += self._follow
        prompt.app.ttimeoutlen = prompt.app.timeoutlen = ESCAPE_SECONDS
        try:
            while True:
                self._enter(prompt.prompt())
        except EOFError:
            pass
        finally:
            self.transcript.close()

    def _enter(self, entry: str) -> None:
        if slash.is_command(entry):
            try:
                reply = slash.call(self, entry)
            except CharrnnError as error:
                reply = in_one_line(str(error))
            self._ui.note(reply)
        else:
            entry = slash.plain(entry)
            self.transcript.add(entry)
            self.suggester.before = self.transcript.text
            if self.learned:
                try:
                    self.learned.learn(entry)
                except RunError as error:
                    self._ui.warn(str(error))

    def use(self, model: Model) -> None:
        """Let a model suggest from now on."""
        if self.learned:
            model.remember(self.learned.words())
        self.suggester.model = model

    @property
    def chars(self) -> int:
        """Characters that stand on the screen, and were typed or taken."""
        return len(self.transcript.text + get_app().current_buffer.text)

    def _follow(self, buffer: Buffer) -> None:
        """Show what is suggested where the cursor is now, and nothing that was elsewhere."""
        buffer.suggestion = self.suggester.suggestion(buffer.document.text_before_cursor)

    def _explain(self, text: str) -> str:
        """Why what is shown after a text is suggested."""
        completion = self.suggester.chosen(text)
        if not completion:
            return NOTHING
        typed = self.transcript.text + text
        return why(self.suggester.model, self.evidence, typed, completion)

    def _toolbar(self) -> StyleAndTextTuples:
        """What may be taken and how likely it is, the keys saved, and the keys to press."""
        buffer = get_app().current_buffer
        shown: StyleAndTextTuples = []
        text = buffer.document.text_before_cursor
        for i, completion in enumerate(self.suggester.completions(text)):
            style = "class:chosen" if i == self.suggester.rank else ""
            shown += [(style, completion.text.strip()), ("", f" {completion.p:.0%}   ")]
        if self.transcript.problem:
            shown.append(("class:chosen", f"not written: {self.transcript.problem}   "))
        elif self.hand.saved > 0:
            share = self.hand.saved / max(1, self.chars)
            shown.append(("", f"{share:.0%} of keys saved   "))
        keys = "→ all  Alt-F word  Tab next  F1 why  Esc  /help"
        return [*shown, ("class:keys", keys)]

    def _key_bindings(self) -> KeyBindings:
        keys = KeyBindings()
        suggester, hand = self.suggester, self.hand

        @Condition
        def suggested() -> bool:
            buffer = get_app().current_buffer
            return bool(buffer.suggestion) and buffer.document.is_cursor_at_the_end_of_line

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
            suggestion = suggester.next(buffer.document.text_before_cursor)
            if suggestion:
                buffer.suggestion = suggestion
                event.app.invalidate()

        @keys.add("escape")
        def hide(event: KeyPressEvent) -> None:
            suggester.hush(event.current_buffer.document.text_before_cursor)
            event.current_buffer.suggestion = None

        @keys.add("f1")
        def explain(event: KeyPressEvent) -> None:
            text = event.current_buffer.document.text_before_cursor
            reply = self._explain(text) if suggested() else NOTHING
            run_in_terminal(lambda: self._ui.note(reply))

        def close_up(event: KeyPressEvent) -> None:
            hand.drop_space(event.current_buffer)
            event.current_buffer.insert_text(event.data)

        for mark in [*CLOSING, " "]:  # a space of one's own takes the place of the one that came
            keys.add(mark, filter=loose)(close_up)

        @keys.add("enter")
        def enter(event: KeyPressEvent) -> None:
            if loose():
                hand.drop_space(event.current_buffer)
            event.current_buffer.validate_and_handle()

        @keys.add("escape", "enter")
        def new_line(event: KeyPressEvent) -> None:
            if loose():
                hand.drop_space(event.current_buffer)
            event.current_buffer.newline(copy_margin=False)

        @keys.add("c-o")
        def edit(event: KeyPressEvent) -> None:
            event.current_buffer.open_in_editor()

        return keys
