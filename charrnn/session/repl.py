"""The interactive session: typing with suggestions, and commands that begin with a slash."""

import asyncio
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding.key_processor import KeyProcessor
from prompt_toolkit.styles import Style

from charrnn.display.console import Ui, write_raw
from charrnn.display.format import in_one_line
from charrnn.errors import CharrnnError, RunError
from charrnn.model import Model
from charrnn.runs import MODEL_NAME, MODELS
from charrnn.session import slash_commands
from charrnn.session.ghost_text import InnerGhost, Keystrokes, Suggester
from charrnn.session.keys import is_suggested, key_bindings
from charrnn.session.terminal import ENDINGS
from charrnn.session.transcript import Transcript, Unsent, clean
from charrnn.session.wrapping import WordWrap
from charrnn.suggestions.explanation import Evidence, why
from charrnn.suggestions.typing_history import Learned
from charrnn.text.words import partial_word

ESCAPE_SECONDS = 0.1  # silence after which Esc is a key, not the start of a sequence (not tuned)
NO_SUGGESTION = "no suggestion here"
EDITORS = ("editor", "nano", "vi")  # tried if neither $VISUAL nor $EDITOR names one


class Session:
    """A session in which a text is typed.

    Args:
        model: the model that suggests.
        name: displayed name of the model.
        evidence: the training text, if available, to explain suggestions with.
        count: number of suggestions to choose from.
        least: minimum probability of a suggestion.
        output: path of a file to append the text to; None for no file.
        learned: words learned from typing; None to learn nothing.
        cycle: whether Tab shows the next suggestion instead of accepting a word.
        vi: whether to use vi's keys.

    Attributes:
        offered: completions of a command, shown by Tab.

    Raises:
        OSError: the output cannot be written.
        RunError: the learned words cannot be read.
        UsageError: the output is not a file.
    """

    def __init__(
        self,
        model: Model,
        name: str,
        evidence: Evidence,
        count: int,
        least: float,
        output: str | None = None,
        learned: Learned | None = None,
        cycle: bool = False,
        vi: bool = False,
    ) -> None:
        self.transcript = Transcript(output)
        self.suggester = Suggester(model, count, least, silent=slash_commands.is_command)
        self.suggester.before = self.transcript.earlier
        self.evidence = evidence
        self.learned = learned
        self.use(model, name)
        self.keystrokes = Keystrokes()
        self._unsent = Unsent(output)
        self._pressed = 0  # keystrokes before the current entry
        self._asking = False
        self.offered: list[str] = []
        self._cycle = cycle
        self._ui = Ui()
        self._prompt: PromptSession[str] = PromptSession(
            message="> ",
            multiline=True,
            prompt_continuation="  ",
            key_bindings=key_bindings(self, cycle),
            bottom_toolbar=self._toolbar,
            style=style(),
            input_processors=[InnerGhost(), WordWrap()],
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            enable_suspend=True,
        )
        buffer = self._prompt.default_buffer
        buffer.on_text_changed += self._clean
        buffer.on_text_insert += self.ask
        buffer.on_cursor_position_changed += self._follow
        self._prompt.app.key_processor.before_key_press += self._count
        self._prompt.app.ttimeoutlen = self._prompt.app.timeoutlen = ESCAPE_SECONDS

    def run(self) -> None:
        """Prompt until Ctrl-D; each entry is context for the next.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed on an empty entry, or a signal ended the session.
            TextError: not all of the text could be written; see Transcript.
        """
        if os.environ.get("TERM") == "dumb":
            self._ui.note("this terminal (TERM=dumb) cannot show suggestions; lines are still read")
        else:
            write_raw("\r\x1b[K")  # erases what was typed too early; the prompt shows it again
        unsent = self._unsent.take()
        if unsent:
            self._ui.note("restored the unsent text of the last session; Ctrl-C clears it")
        try:
            while True:
                entry = self._read(unsent)
                unsent = ""
                self._enter(entry)
        except EOFError:
            pass
        finally:
            self.transcript.close()

    def _read(self, begun: str) -> str:
        """Return the next entry; keep the unsent text if the session is ended from outside."""
        self._pressed = self.keystrokes.pressed
        self.keystrokes.pressed += len(begun)
        try:
            return self._prompt.prompt(default=begun, pre_run=self._watch)
        except (EOFError, KeyboardInterrupt, OSError) as end:
            kept = self._unsent.keep(self._prompt.default_buffer.text)
            if kept:
                self._ui.note(f"the unsent text is kept in {kept}; the next session restores it")
            if isinstance(end, OSError):  # a closed terminal
                raise EOFError from None
            raise

    def _watch(self) -> None:
        """Let signals end the prompt."""
        for ending in ENDINGS:
            asyncio.get_running_loop().add_signal_handler(ending, self._end)

    def _end(self) -> None:
        self._unsent.keep(self._prompt.default_buffer.text)  # first, as the rest needs a terminal
        if self._prompt.app.is_running:
            self._prompt.app.exit(exception=KeyboardInterrupt)

    def _enter(self, entry: str) -> None:
        entry = clean(entry)
        if slash_commands.is_command(entry):
            self.keystrokes.pressed = self._pressed
            try:
                reply = slash_commands.call(self, entry)
            except CharrnnError as error:
                reply = in_one_line(str(error))
            self._ui.note(reply)
        else:
            entry = slash_commands.plain(entry)
            self.transcript.add(entry)
            self.suggester.before = self.transcript.earlier + self.transcript.text
            if self.learned:
                try:
                    self.learned.learn(entry)
                except RunError as error:
                    self._ui.warn(str(error))

    def use(self, model: Model, name: str) -> None:
        """Switch to a model; it learns the words learned so far."""
        if self.learned:
            model.remember(self.learned.words())
        self.suggester.model = model
        self.name = name

    @property
    def chars(self) -> int:
        """Return the number of characters entered or being typed."""
        return len(self.transcript.text + self._prompt.default_buffer.text)

    def saved(self, chars: int) -> float:
        """Return the share of keystrokes saved, for a text of so many characters."""
        return max(0.0, 1 - self.keystrokes.pressed / chars) if chars else 0.0

    def _count(self, _: KeyProcessor) -> None:
        self.keystrokes.pressed += 1

    def _clean(self, buffer: Buffer) -> None:
        """Remove control characters that were typed or edited into the text."""
        text, before = buffer.text, buffer.document.text_before_cursor
        if clean(text) != text:
            buffer.document = Document(clean(text), len(clean(before)))

    def ask(self, buffer: Buffer) -> None:
        """Start looking for suggestions; meanwhile, those that still fit are shown."""
        self.offered = []
        if not self._asking:
            self._asking = True
            get_app().create_background_task(self._answer(buffer))

    async def _answer(self, buffer: Buffer) -> None:
        loop = asyncio.get_running_loop()
        try:
            document: Document | None = None
            while buffer.document != document:  # the text changed meanwhile
                document = buffer.document
                await loop.run_in_executor(None, self.suggester.ask, document)
            self._follow(buffer)
            get_app().invalidate()
        finally:
            self._asking = False

    def _follow(self, buffer: Buffer) -> None:
        """Show the suggestion at the cursor's position, if there is one."""
        document = buffer.document
        text = document.text_before_cursor
        at_end = document.is_cursor_at_the_end_of_line
        buffer.suggestion = self.suggester.suggestion(text) if at_end else None

    def explain(self) -> None:
        """Print why the suggestion is shown."""
        text, reply = get_app().current_buffer.document.text_before_cursor, NO_SUGGESTION
        if is_suggested() and (completion := self.suggester.chosen(text)):
            typed = self.suggester.before + text
            reply = why(self.suggester.reasons, self.evidence, typed, completion)
        run_in_terminal(lambda: self._ui.note(reply))

    def _toolbar(self) -> StyleAndTextTuples:
        """Return the suggestions with their probabilities, the keystrokes saved, and the keys."""
        shown: StyleAndTextTuples = [("", f"{word}  ") for word in self.offered]
        text = get_app().current_buffer.document.text_before_cursor
        partial = partial_word(text)
        for i, completion in enumerate(self.suggester.completions(text)):
            style = "class:chosen" if i == self.suggester.rank else ""
            word = completion.text.split()[0]
            whole = word if completion.text[0].isspace() else partial + word
            shown += [(style, whole), ("", f" {completion.p:.0%}   ".ljust(7))]
        if self.transcript.problem:
            shown.append(("class:chosen", f"not saved: {self.transcript.problem}   "))
        elif saved := self.saved(self.chars):
            shown.append(("", f"{saved:.0%} of keystrokes saved   "))
        if self.suggester.off:
            shown.append(("class:chosen", "off (F2)   "))
        tab = "Tab next  Alt-F word" if self._cycle else "Tab word  Alt-] next"
        keys = f"→ all  {tab}  F1 why  Esc  /help   {self.name}"
        return [*shown, ("class:keys", keys)]

    async def edit(self, buffer: Buffer) -> None:
        """Open an editor on the text; if it exits with code 0, its text replaces this one."""
        named = [shlex.split(os.environ.get(name, "")) for name in ("VISUAL", "EDITOR")]
        editors = [editor for editor in [*named, *([e] for e in EDITORS)] if editor]
        found = next((editor for editor in editors if shutil.which(editor[0])), None)
        if not found:
            await run_in_terminal(lambda: self._ui.warn("no editor found; set $EDITOR"))
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.txt"
            path.write_text(buffer.text, encoding="utf-8", newline="\n")
            code = await run_in_terminal(
                lambda: subprocess.call([*found, str(path)]), in_executor=True
            )
            if code == 0 and path.exists():
                text = clean(path.read_bytes().decode(errors="replace")).removesuffix("\n")
                buffer.document = Document(text, len(text))


def style() -> Style:
    """Return the session's style: suggestions in grey, or dim if colours are not wanted."""
    grey = "dim" if os.environ.get("NO_COLOR") else "ansibrightblack"
    return Style.from_dict(
        {
            "auto-suggestion": f"{grey} italic",
            "bottom-toolbar": "noreverse",
            "chosen": "bold underline",
            "keys": grey,
        }
    )


def model_name(path: Path) -> str:
    """Return the displayed name of a model: its run, its file, or that of charrnn's own."""
    if path.parent == MODELS:
        return path.stem
    return path.parent.name if path.name == MODEL_NAME else path.name
