"""The interactive session: text typed with suggestions, and commands that begin with a slash."""

import asyncio
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, is_searching, vi_mode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyProcessor
from prompt_toolkit.keys import Keys
from prompt_toolkit.styles import Style

from charrnn.display.console import Ui, write_raw
from charrnn.display.format import in_one_line
from charrnn.errors import CharrnnError, RunError
from charrnn.model import Model
from charrnn.runs import MODEL_NAME
from charrnn.session import slash_commands
from charrnn.session.ghost_text import Hand, InnerGhost, Suggester
from charrnn.session.transcript import Transcript, Unsent, clean
from charrnn.session.wrapping import WordWrap
from charrnn.suggestions.explanation import Evidence, why
from charrnn.suggestions.typing_history import Learned
from charrnn.text.words import CLOSING, partial_word

ESCAPE_SECONDS = 0.1  # a lone Esc is told from the start of an arrow key by this silence
NOTHING = "nothing is suggested here"
# Windows has no signals that a loop can wait for.
ENDINGS = (signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else ()
EDITORS = ("editor", "nano", "vi")  # where neither $VISUAL nor $EDITOR names one


class Session:
    """A text being typed.

    Args:
        model: suggests.
        name: of the model, as it is shown.
        evidence: of what the model learned, if that is at hand.
        count: suggestions to choose from.
        least: probability under which nothing is suggested.
        output: a file at whose end the text is written.
        learned: what was learned from typing, and where more of it goes.
        cycle: whether Tab shows the next suggestion instead of taking a word.
        vi: whether keys are those of vi.

    Raises:
        OSError: that file cannot be written.
        RunError: what was learned cannot be read.
        UsageError: the output is no file.
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
        self.hand = Hand()
        self._unsent = Unsent(output)
        self._keys = 0  # that had been pressed when the entry was begun
        self._asking = False
        self._offered: list[str] = []  # by Tab after a slash
        self._cycle = cycle
        self._ui = Ui()
        self._prompt: PromptSession[str] = PromptSession(
            message="> ",
            multiline=True,
            prompt_continuation="  ",
            key_bindings=self._key_bindings(),
            bottom_toolbar=self._toolbar,
            style=style(),
            input_processors=[InnerGhost(), WordWrap()],
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            enable_suspend=True,
        )
        buffer = self._prompt.default_buffer
        buffer.on_text_changed += self._clean
        buffer.on_text_insert += self._ask
        buffer.on_cursor_position_changed += self._follow
        self._prompt.app.key_processor.before_key_press += self._count
        self._prompt.app.ttimeoutlen = self._prompt.app.timeoutlen = ESCAPE_SECONDS

    def run(self) -> None:
        """Prompt until Ctrl-D; each entry is context for the next.

        Raises:
            KeyboardInterrupt: Ctrl-C where nothing is typed, or a request to end.
            TextError: not all of the text could be written; see Transcript.
        """
        if os.environ.get("TERM") == "dumb":
            self._ui.note("this terminal (TERM=dumb) cannot show suggestions; it takes lines alone")
        else:
            write_raw("\r\x1b[K")  # over what was typed too early: it comes again
        unsent = self._unsent.take()
        if unsent:
            self._ui.note("what was being typed when the last session was ended; Ctrl-C clears it")
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
        """The next entry; what is typed when the session is ended from outside is kept."""
        self._keys = self.hand.keys
        self.hand.keys += len(begun)
        try:
            return self._prompt.prompt(default=begun, pre_run=self._watch)
        except (EOFError, KeyboardInterrupt, OSError) as end:
            kept = self._unsent.keep(self._prompt.default_buffer.text)
            if kept:
                self._ui.note(f"what you were typing is kept in {kept}; the next session offers it")
            if isinstance(end, OSError):  # a closed terminal
                raise EOFError from None
            raise

    def _watch(self) -> None:
        """Let a request to end, or a closed terminal, end the prompt."""
        for ending in ENDINGS:
            asyncio.get_running_loop().add_signal_handler(ending, self._end)

    def _end(self) -> None:
        self._unsent.keep(self._prompt.default_buffer.text)  # first: what follows needs a terminal
        if self._prompt.app.is_running:
            self._prompt.app.exit(exception=KeyboardInterrupt)

    def _enter(self, entry: str) -> None:
        entry = clean(entry)
        if slash_commands.is_command(entry):
            self.hand.keys = self._keys
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
        """Let a model suggest from now on."""
        if self.learned:
            model.remember(self.learned.words())
        self.suggester.model = model
        self.name = name

    @property
    def chars(self) -> int:
        """Characters that stand on the screen, and were typed or taken."""
        return len(self.transcript.text + self._prompt.default_buffer.text)

    def saved(self, chars: int) -> float:
        """What share of the keys for so many characters was saved."""
        return max(0.0, 1 - self.hand.keys / chars) if chars else 0.0

    def _count(self, _: KeyProcessor) -> None:
        self.hand.keys += 1

    def _clean(self, buffer: Buffer) -> None:
        """Leave out of what is typed, pasted or edited what a text does not hold."""
        text, before = buffer.text, buffer.document.text_before_cursor
        if clean(text) != text:
            buffer.document = Document(clean(text), len(clean(before)))

    def _ask(self, buffer: Buffer) -> None:
        """Ask what may follow; what still fits of the last answer is shown until then."""
        self._offered = []
        if not self._asking:
            self._asking = True
            get_app().create_background_task(self._answer(buffer))

    async def _answer(self, buffer: Buffer) -> None:
        loop = asyncio.get_running_loop()
        try:
            document: Document | None = None
            while buffer.document != document:  # more was typed meanwhile
                document = buffer.document
                await loop.run_in_executor(None, self.suggester.ask, document)
            self._follow(buffer)
            get_app().invalidate()
        finally:
            self._asking = False

    def _follow(self, buffer: Buffer) -> None:
        """Show what is suggested where the cursor is now, and nothing that was elsewhere."""
        document = buffer.document
        text = document.text_before_cursor
        at_end = document.is_cursor_at_the_end_of_line
        buffer.suggestion = self.suggester.suggestion(text) if at_end else None

    def _explain(self, text: str) -> str:
        """Why what is shown after a text is suggested."""
        completion = self.suggester.chosen(text)
        if not completion:
            return NOTHING
        typed = self.suggester.before + text
        return why(self.suggester.model.reasons, self.evidence, typed, completion)

    def _toolbar(self) -> StyleAndTextTuples:
        """What may be taken and how likely it is, the keys saved, and the keys to press."""
        shown: StyleAndTextTuples = [("", f"{word}  ") for word in self._offered]
        text = get_app().current_buffer.document.text_before_cursor
        half = partial_word(text)
        for i, completion in enumerate(self.suggester.completions(text)):
            style = "class:chosen" if i == self.suggester.rank else ""
            word = completion.text.split()[0]
            whole = word if completion.text[0].isspace() else half + word
            shown += [(style, whole), ("", f" {completion.p:.0%}   ".ljust(7))]
        if self.transcript.problem:
            shown.append(("class:chosen", f"not written: {self.transcript.problem}   "))
        elif saved := self.saved(self.chars):
            shown.append(("", f"{saved:.0%} of keys saved   "))
        if self.suggester.off:
            shown.append(("class:chosen", "off (F2)   "))
        tab = "Tab next  Alt-F word" if self._cycle else "Tab word  Alt-] next"
        keys = f"→ all  {tab}  F1 why  Esc  /help   {self.name}"
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

        @Condition
        def command() -> bool:
            return slash_commands.is_command(
                get_app().current_buffer.text.split("\n")[0].split(" ")[0]
            )

        typing = ~is_searching
        alt = typing & ~vi_mode  # in vi's keys Esc is one of its own

        def take(buffer: Buffer, text: str) -> None:
            suggester.took(buffer.document.text_before_cursor, text)
            hand.take(buffer, text)

        @keys.add("right", filter=suggested & typing)
        @keys.add("end", filter=suggested & typing)
        @keys.add("c-e", filter=suggested & typing)
        def take_all(event: KeyPressEvent) -> None:
            if event.current_buffer.suggestion:
                take(event.current_buffer, event.current_buffer.suggestion.text)

        def take_word(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            word = re.match(r"\s*\S+", buffer.suggestion.text) if buffer.suggestion else None
            if word:
                take(buffer, word[0])

        keys.add("c-right", filter=suggested & typing)(take_word)

        @keys.add("escape", "f", filter=suggested & alt)
        def alt_f(event: KeyPressEvent) -> None:
            hand.keys -= 1  # two are one
            take_word(event)

        def choose(event: KeyPressEvent, rank: int) -> None:
            buffer = event.current_buffer
            buffer.suggestion = suggester.choose(buffer.document.text_before_cursor, rank)
            event.app.invalidate()

        def show_next(event: KeyPressEvent) -> None:
            choose(event, suggester.rank + 1)

        keys.add("tab", filter=typing)(show_next if self._cycle else take_word)
        keys.add("s-tab", filter=typing)(show_next)
        keys.add("escape", "]", filter=alt)(show_next)

        @keys.add("escape", "[", filter=alt)
        def show_previous(event: KeyPressEvent) -> None:
            choose(event, suggester.rank - 1)

        def pick(event: KeyPressEvent) -> None:
            hand.keys -= 1
            buffer = event.current_buffer
            completions = suggester.completions(buffer.document.text_before_cursor)
            number = int(event.key_sequence[-1].key) - 1
            if number < len(completions):
                take(buffer, completions[number].text)

        for number in "123456789":
            keys.add("escape", number, filter=alt)(pick)

        @keys.add("tab", filter=command & typing)
        def complete_command(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            more, self._offered = slash_commands.complete(buffer.document.text_before_cursor)
            buffer.insert_text(more, fire_event=False)

        @keys.add("c-@", filter=typing)  # Ctrl-Space
        def ask(event: KeyPressEvent) -> None:
            suggester.wake()
            self._ask(event.current_buffer)

        @keys.add("f2")
        def switch(event: KeyPressEvent) -> None:
            suggester.off = not suggester.off
            self._ask(event.current_buffer)

        @keys.add("escape", filter=alt)
        def hide(event: KeyPressEvent) -> None:
            suggester.hush(event.current_buffer.document.text_before_cursor)
            event.current_buffer.suggestion = None

        @keys.add("f1")
        def explain(event: KeyPressEvent) -> None:
            text = event.current_buffer.document.text_before_cursor
            reply = self._explain(text) if suggested() else NOTHING
            run_in_terminal(lambda: self._ui.note(reply))

        def close_up(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if event.data != '"' or buffer.document.current_line_before_cursor.count('"') % 2:
                hand.drop_space(buffer)
            buffer.insert_text(event.data)

        for mark in [
            *CLOSING,
            "-",
            " ",
        ]:  # a space of one's own takes the place of the one that came
            keys.add(mark, filter=loose)(close_up)

        @keys.add("enter", filter=typing)
        def enter(event: KeyPressEvent) -> None:
            if loose():
                hand.drop_space(event.current_buffer)
            event.current_buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=typing)
        def new_line(event: KeyPressEvent) -> None:
            if loose():
                hand.drop_space(event.current_buffer)
            event.current_buffer.newline(copy_margin=False)

        @keys.add("c-c")
        def clear(event: KeyPressEvent) -> None:
            if not event.current_buffer.text:
                event.app.exit(exception=KeyboardInterrupt)
            event.current_buffer.reset(append_to_history=True)

        @keys.add("escape", "/", filter=alt, save_before=lambda _: False)  # else nothing is undone
        def redo(event: KeyPressEvent) -> None:
            event.current_buffer.redo()

        @keys.add(Keys.BracketedPaste)
        def paste(event: KeyPressEvent) -> None:
            text = clean(event.data)
            hand.keys += max(0, len(text) - 1)
            event.current_buffer.insert_text(text)

        @keys.add("c-o")
        def edit(event: KeyPressEvent) -> None:
            event.app.create_background_task(self._edit(event.current_buffer))

        return keys

    async def _edit(self, buffer: Buffer) -> None:
        """Open an editor on the text; what it saves is taken over, if it ends well."""
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
    """Grey where there are colours, dim where they are not wanted."""
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
    """What a model is called: its run, or its file."""
    return path.parent.name if path.name == MODEL_NAME else path.name
