"""The keys of the session, and what they do."""

import re
from collections.abc import Callable
from typing import Any

from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, is_searching, vi_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from charrnn.session import slash_commands
from charrnn.session.transcript import clean
from charrnn.text.words import CLOSING

NEXT_WORD = re.compile(r"\s*\S+")  # with the white space before it


def is_suggested() -> bool:
    """Return whether a suggestion is shown at the cursor."""
    buffer = get_app().current_buffer
    return bool(buffer.suggestion) and buffer.document.is_cursor_at_the_end_of_line


def is_command() -> bool:
    """Return whether the text is a command."""
    first_line = get_app().current_buffer.text.split("\n")[0]
    return slash_commands.is_command(first_line.split(" ")[0])


class _Actions:
    """What each key does; every method handles a key press."""

    def __init__(self, session: slash_commands.Session) -> None:
        self._session = session
        self._suggester, self._keystrokes = session.suggester, session.keystrokes

    def _accept(self, buffer: Buffer, text: str) -> None:
        self._suggester.accepted(buffer.document.text_before_cursor, text)
        self._keystrokes.accept(buffer, text)

    def accept_all(self, event: KeyPressEvent) -> None:
        if event.current_buffer.suggestion:
            self._accept(event.current_buffer, event.current_buffer.suggestion.text)

    def accept_word(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        word = NEXT_WORD.match(buffer.suggestion.text) if buffer.suggestion else None
        if word:
            self._accept(buffer, word[0])

    def alt_f(self, event: KeyPressEvent) -> None:
        """Accept the next word; Alt-F arrives as two keys and counts as one."""
        self._keystrokes.pressed -= 1
        self.accept_word(event)

    def pick(self, event: KeyPressEvent) -> None:
        """Accept a suggestion by its number; the two keys count as one."""
        self._keystrokes.pressed -= 1
        buffer = event.current_buffer
        completions = self._suggester.completions(buffer.document.text_before_cursor)
        number = int(event.key_sequence[-1].key) - 1
        if number < len(completions):
            self._accept(buffer, completions[number].text)

    def _choose(self, event: KeyPressEvent, rank: int) -> None:
        buffer = event.current_buffer
        buffer.suggestion = self._suggester.choose(buffer.document.text_before_cursor, rank)
        event.app.invalidate()

    def show_next(self, event: KeyPressEvent) -> None:
        self._choose(event, self._suggester.rank + 1)

    def show_previous(self, event: KeyPressEvent) -> None:
        self._choose(event, self._suggester.rank - 1)

    def complete_command(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        more, self._session.offered = slash_commands.complete(buffer.document.text_before_cursor)
        buffer.insert_text(more, fire_event=False)

    def suggest(self, event: KeyPressEvent) -> None:
        self._suggester.resume()
        self._session.ask(event.current_buffer)

    def switch(self, event: KeyPressEvent) -> None:
        self._suggester.off = not self._suggester.off
        self._session.ask(event.current_buffer)

    def dismiss(self, event: KeyPressEvent) -> None:
        self._suggester.dismiss(event.current_buffer.document.text_before_cursor)
        event.current_buffer.suggestion = None

    def explain(self, _event: KeyPressEvent) -> None:
        self._session.explain()

    def close_up(self, event: KeyPressEvent) -> None:
        """Type punctuation in place of the added space, unless it opens a quotation."""
        buffer = event.current_buffer
        if event.data != '"' or buffer.document.current_line_before_cursor.count('"') % 2:
            self._keystrokes.drop_space(buffer)
        buffer.insert_text(event.data)

    def _drop_space(self, buffer: Buffer) -> None:
        if self._keystrokes.has_added_space(buffer):
            self._keystrokes.drop_space(buffer)

    def enter(self, event: KeyPressEvent) -> None:
        self._drop_space(event.current_buffer)
        event.current_buffer.validate_and_handle()

    def new_line(self, event: KeyPressEvent) -> None:
        self._drop_space(event.current_buffer)
        event.current_buffer.newline(copy_margin=False)

    def clear(self, event: KeyPressEvent) -> None:
        """Clear the text; end the session if there is none."""
        if not event.current_buffer.text:
            event.app.exit(exception=KeyboardInterrupt)
        event.current_buffer.reset(append_to_history=True)

    def leave(self, event: KeyPressEvent) -> None:
        """End the session; within the text, delete the next character, as shells do."""
        buffer = event.current_buffer
        if buffer.document.is_cursor_at_the_end:
            event.app.exit(exception=EOFError)
        else:
            buffer.delete()

    def redo(self, event: KeyPressEvent) -> None:
        event.current_buffer.redo()

    def paste(self, event: KeyPressEvent) -> None:
        """Insert a pasted text; each of its characters counts as a keystroke."""
        text = clean(event.data)
        self._keystrokes.pressed += max(0, len(text) - 1)
        event.current_buffer.insert_text(text)

    def edit(self, event: KeyPressEvent) -> None:
        event.app.create_background_task(self._session.edit(event.current_buffer))


def key_bindings(session: slash_commands.Session, cycle: bool) -> KeyBindings:
    """Return the key bindings of a session.

    Args:
        session: what the keys act on.
        cycle: whether Tab shows the next suggestion instead of accepting a word.
    """
    do = _Actions(session)
    typing = ~is_searching
    alt = typing & ~vi_mode  # in vi mode Esc is a key of its own
    suggested = Condition(is_suggested) & typing
    added_space = Condition(lambda: session.keystrokes.has_added_space(get_app().current_buffer))
    command = Condition(is_command) & typing
    # Where two bindings match, the later one applies.
    bindings: list[tuple[tuple[str, ...], Any, Callable[[KeyPressEvent], None]]] = [
        (("right",), suggested, do.accept_all),
        (("end",), suggested, do.accept_all),
        (("c-e",), suggested, do.accept_all),
        (("c-right",), suggested, do.accept_word),
        (("escape", "f"), suggested & alt, do.alt_f),
        (("tab",), typing, do.show_next if cycle else do.accept_word),
        (("s-tab",), typing, do.show_next),
        (("escape", "]"), alt, do.show_next),
        (("escape", "["), alt, do.show_previous),
        *((("escape", number), alt, do.pick) for number in "123456789"),
        (("tab",), command, do.complete_command),
        (("c-@",), typing, do.suggest),  # Ctrl-Space
        (("f2",), True, do.switch),
        (("escape",), alt, do.dismiss),
        (("f1",), True, do.explain),
        *(((mark,), added_space, do.close_up) for mark in [*CLOSING, "-", " "]),
        (("enter",), typing, do.enter),
        (("escape", "enter"), typing, do.new_line),
        (("c-c",), True, do.clear),
        (("c-d",), typing, do.leave),
        ((Keys.BracketedPaste,), True, do.paste),
        (("c-o",), True, do.edit),
    ]
    keys = KeyBindings()
    for sequence, condition, action in bindings:
        keys.add(*sequence, filter=condition)(action)
    # Saves no undo state: saving one would leave nothing to redo.
    keys.add("escape", "/", filter=alt, save_before=lambda _: False)(do.redo)
    return keys
