"""Commands typed in the session, which begin with a slash."""

import os
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from prompt_toolkit.buffer import Buffer

from charrnn import runs
from charrnn.config import dial
from charrnn.errors import RunError, UsageError
from charrnn.files import write_new
from charrnn.model import Model, load
from charrnn.session.ghost_text import Keystrokes, Suggester
from charrnn.session.transcript import Transcript
from charrnn.suggestions.explanation import Evidence
from charrnn.suggestions.typing_history import Learned

# A slash and letters, followed by a space or the end of the text.
COMMAND = re.compile(r"/[A-Za-z]*(?= |\Z)")
KEY_HELP = {  # the keys of the session, and their help
    "→ End Ctrl-E": "accept the whole suggestion",
    "Tab Ctrl-→ Alt-F": "accept its next word (with --tab cycle, Tab shows the next suggestion)",
    "Shift-Tab Alt-]": "show the next suggestion (Alt-[: the previous one)",
    "Alt-1 Alt-2 ...": "accept one of the suggestions below",
    "Esc": "dismiss suggestions until the next word",
    "Ctrl-Space": "suggest something here, even after Esc",
    "F2": "turn suggestions off or on",
    "F1": "explain the suggestion",
    "Ctrl-_ Alt-/": "undo, redo; an accepted suggestion is one step",
    "Enter": "enter the text",
    "Alt-Enter": "start a new line",
    "Ctrl-O": "edit the text in $EDITOR",
    "↑ ↓ Ctrl-R": "recall earlier entries; search them",
    "Ctrl-C": "clear the text (↑ brings it back); leave if there is none",
    "Ctrl-D": "leave",
    "Ctrl-Z": "suspend",
    "//": "start a text that begins with a slash",
}


class Session(Protocol):
    """What commands and keys act on; see charrnn.session.repl."""

    name: str
    suggester: Suggester
    transcript: Transcript
    keystrokes: Keystrokes
    evidence: Evidence
    learned: Learned | None
    offered: list[str]

    def use(self, model: Model, name: str) -> None:
        """Switch to a model."""

    def saved(self, chars: int) -> float:
        """Return the share of keystrokes saved, for a text of this length."""

    def ask(self, buffer: Buffer) -> None:
        """Start looking for suggestions."""

    def explain(self) -> None:
        """Print why the suggestion is shown."""

    def edit(self, buffer: Buffer) -> Coroutine[Any, Any, None]:
        """Open an editor on the text."""


def is_command(text: str) -> bool:
    """Return whether a text is a command, or the beginning of one."""
    return COMMAND.match(text) is not None


def plain(text: str) -> str:
    """Return a text without the first of two slashes at its beginning."""
    return text.removeprefix("/") if text.startswith("//") else text


def call(session: Session, text: str) -> str:
    """Run a command, and return its answer.

    Raises:
        CharrnnError: the command does not exist, or fails.
        EOFError: the command ends the session.
    """
    name, _, argument = text.strip().partition(" ")
    command = SLASH_COMMANDS.get(name.lower())
    if not command:
        raise UsageError(f"there is no command {name}", "see /help; // types a /")
    return command.call(session, argument.strip())


def in_words(least: float) -> str:
    """Return what a setting of the dial means."""
    return f"right at least {least:.0%} of the time" if least else "whatever is likeliest"


def complete(text: str) -> tuple[str, list[str]]:
    """Return the text that continues a command, and the choices if there are several."""
    begun, space, last = text.rpartition(" ")
    choices = ARGUMENTS.get(begun, []) if space else [*SLASH_COMMANDS]
    if begun == "/save":
        choices = [str(path) for path in Path(last).parent.glob("*") if str(path).startswith(last)]
    if begun == "/model":
        choices = runs.names()
    found = sorted(choice for choice in choices if choice.lower().startswith(last.lower()))
    common = os.path.commonprefix(found)  # noqa: RUF071 (letters, not folders)
    more = common[len(last) :] + (" " if len(found) == 1 else "")
    return more, found if len(found) > 1 else []


def _help(_session: Session, _argument: str) -> str:
    lines = KEY_HELP | {f"{name} {some.usage}": some.help for name, some in SLASH_COMMANDS.items()}
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:{width}}{help}" for name, help in lines.items())


def _set(session: Session, argument: str) -> str:
    name, _, value = argument.partition(" ")
    suggester = session.suggester
    if name == "dial" and value:
        suggester.least = dial(value.strip())
    elif name == "count" and value.strip().isdecimal() and int(value):
        suggester.count = int(value)
    elif argument:
        raise UsageError(f"there is no setting {argument}", "try /set dial quiet or /set count 5")
    return f"dial {suggester.least:g}: {in_words(suggester.least)}; count {suggester.count}"


def _model(session: Session, argument: str) -> str:
    if argument:
        path = runs.find(argument)
        model = load(path)
        model.require_text()
        session.use(model, argument)
        session.evidence = Evidence.find(path)
    texts = session.suggester.model.file.trained.facts.get("texts", [])
    return f"trained on {', '.join(texts) or 'an unknown text'}"


def _save(session: Session, argument: str) -> str:
    if not argument:
        raise UsageError("/save needs a file", "name one: /save notes.txt")
    try:
        write_new(Path(argument).expanduser(), session.transcript.text)
    except RunError as error:
        raise RunError(error.message, "name another file: /save FILE") from None
    return f"{len(session.transcript.text):,} characters saved to {argument}"


def _stats(session: Session, _argument: str) -> str:
    keystrokes, chars = session.keystrokes, len(session.transcript.text)
    noun = "suggestion" if keystrokes.accepted == 1 else "suggestions"
    return (
        f"{chars:,} characters entered with {keystrokes.pressed:,} keystrokes: "
        f"{session.saved(chars):.0%} saved; {keystrokes.accepted:,} {noun} accepted, "
        f"{session.suggester.shown:,} shown"
    )


def _learn(session: Session, argument: str) -> str:
    learned = session.learned
    if not learned:
        return "not learning; start charrnn complete with --learn"
    name, _, word = argument.partition(" ")
    if name == "forget" and word:
        times = learned.forget(word.strip())
        session.use(session.suggester.model, session.name)
        return f"forgot {word.strip()}, typed {'once' if times == 1 else f'{times:,} times'}"
    if name in ("on", "off"):
        learned.paused = name == "off"
    elif argument:
        raise UsageError(f"there is no /learn {argument}", "try on, off or forget WORD")
    state = "learning is paused" if learned.paused else "learning"
    return f"{state}; {len(learned.words()):,} words in {learned.path}"


def _quit(_session: Session, _argument: str) -> str:
    raise EOFError


class Command(NamedTuple):
    """A command.

    Attributes:
        usage: arguments after its name, for /help.
        help: one line for /help.
        call: runs the command on a session with the text after its name; returns the answer.
    """

    usage: str
    help: str
    call: Callable[[Session, str], str]


# The commands by name.
SLASH_COMMANDS = {
    "/help": Command("", "list keys and commands", _help),
    "/set": Command("dial|count [X]", "set how sure (quiet ... eager, 0 to 1) or how many", _set),
    "/model": Command("[RUN]", "show the training text, or switch to another model", _model),
    "/learn": Command("[on|off]", "resume or pause learning; /learn forget WORD", _learn),
    "/save": Command("FILE", "save the text to a new file", _save),
    "/stats": Command("", "show keystrokes typed and saved", _stats),
    "/quit": Command("", "leave, like Ctrl-D", _quit),
}

# Arguments that Tab completes, by the text before them.
ARGUMENTS = {
    "/set": ["dial", "count"],
    "/set dial": ["quiet", "normal", "eager"],
    "/learn": ["on", "off", "forget"],
}
