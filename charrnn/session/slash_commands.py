"""Commands typed in the session, which begin with a slash."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from charrnn import runs
from charrnn.config import dial
from charrnn.errors import UsageError
from charrnn.files import write_new
from charrnn.model import Model, load
from charrnn.session.ghost_text import Hand, Suggester
from charrnn.session.transcript import Transcript
from charrnn.suggestions.explanation import Evidence
from charrnn.suggestions.typing_history import Learned

COMMAND = re.compile(r"/[A-Za-z]*(?= |\Z)")
KEYS = {
    "→ End Ctrl-E": "take all of the grey text",
    "Tab Ctrl-→ Alt-F": "take a word of it (with --tab cycle, Tab shows the next suggestion)",
    "Shift-Tab Alt-]": "show the next suggestion; Alt-[ the one before",
    "Alt-1 Alt-2 ...": "take one of the words below",
    "Esc": "show none until the next word",
    "Ctrl-Space": "suggest something here",
    "F2": "suggestions off and on",
    "F1": "say why this one is shown",
    "Ctrl-_ Alt-/": "undo, at one stroke what was taken; redo",
    "Enter": "enter the text",
    "Alt-Enter": "start a new line in it",
    "Ctrl-O": "edit it in $EDITOR",
    "↑ ↓ Ctrl-R": "what was entered before; look for it",
    "Ctrl-C": "clear what is typed (↑ brings it back); where there is nothing, leave",
    "Ctrl-D": "leave",
    "Ctrl-Z": "suspend",
    "//": "begin a text with a slash",
}


class Session(Protocol):
    """What commands act on."""

    name: str
    suggester: Suggester
    transcript: Transcript
    hand: Hand
    evidence: Evidence
    learned: Learned | None

    def use(self, model: Model, name: str) -> None:
        """Suggest with this model from now on."""

    def saved(self, chars: int) -> float:
        """Return the share of keystrokes saved, of a text of so many characters."""


def is_command(text: str) -> bool:
    """Whether a text is a command, or the beginning of one."""
    return COMMAND.match(text) is not None


def plain(text: str) -> str:
    """A text as it is meant: of two slashes at its beginning the first does not count."""
    return text.removeprefix("/") if text.startswith("//") else text


def call(session: Session, text: str) -> str:
    """Carry out a command; the answer.

    Raises:
        CharrnnError: there is no such command, or it cannot be carried out.
        EOFError: it ends the session.
    """
    name, _, argument = text.strip().partition(" ")
    command = COMMANDS.get(name.lower())
    if not command:
        raise UsageError(f"there is no command {name}", "/help lists them; // begins a text")
    return command.call(session, argument.strip())


def in_words(least: float) -> str:
    """What a setting of the dial means."""
    return f"right at least {least:.0%} of the time" if least else "whatever is likeliest"


def complete(text: str) -> tuple[str, list[str]]:
    """What goes on with a command that is being typed, and what it may be if that is not clear."""
    begun, space, last = text.rpartition(" ")
    choices = ARGUMENTS.get(begun, []) if space else [*COMMANDS]
    if begun == "/save":
        choices = [str(path) for path in Path(last).parent.glob("*") if str(path).startswith(last)]
    if begun == "/model":
        choices = [folder.name for folder in runs.RUNS.glob("*") if folder.is_dir()]
    found = sorted(choice for choice in choices if choice.lower().startswith(last.lower()))
    common = os.path.commonprefix(found)  # noqa: RUF071 (of letters, not of folders)
    more = common[len(last) :] + (" " if len(found) == 1 else "")
    return more, found if len(found) > 1 else []


def _help(session: Session, argument: str) -> str:
    lines = KEYS | {f"{name} {some.usage}": some.help for name, some in COMMANDS.items()}
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
        raise UsageError(f"/set {argument} sets nothing", "try /set dial quiet or /set count 5")
    return f"dial {suggester.least:g}: {in_words(suggester.least)}; count {suggester.count}"


def _model(session: Session, argument: str) -> str:
    if argument:
        path = runs.find(argument)
        session.use(load(path), argument)
        session.evidence = Evidence.find(path)
    training = session.suggester.model.file.training
    return f"trained on {', '.join(training.get('texts', [])) or 'an unknown text'}"


def _save(session: Session, argument: str) -> str:
    if not argument:
        raise UsageError("/save needs a file", "name one: /save notes.txt")
    write_new(Path(argument).expanduser(), session.transcript.text)
    return f"{len(session.transcript.text):,} characters in {argument}"


def _stats(session: Session, argument: str) -> str:
    hand, chars = session.hand, len(session.transcript.text)
    times = "suggestion" if hand.taken == 1 else "suggestions"
    return (
        f"{chars:,} characters entered with {hand.keys:,} keys: {session.saved(chars):.0%} saved; "
        f"{hand.taken:,} {times} taken, {session.suggester.shown:,} shown"
    )


def _learn(session: Session, argument: str) -> str:
    learned = session.learned
    if not learned:
        return "nothing is learned; start with charrnn complete --learn"
    name, _, word = argument.partition(" ")
    if name == "forget" and word:
        times = learned.forget(word.strip())
        session.use(session.suggester.model, session.name)
        return (
            f"{word.strip()}: forgotten, was there {'once' if times == 1 else f'{times:,} times'}"
        )
    if name in ("on", "off"):
        learned.paused = name == "off"
    elif argument:
        raise UsageError(f"/learn {argument} does nothing", "try on, off or forget WORD")
    state = "nothing is learned for now" if learned.paused else "learning"
    return f"{state}; {len(learned.words()):,} words in {learned.path}"


def _quit(session: Session, argument: str) -> str:
    raise EOFError


class Command(NamedTuple):
    """What a command does.

    Attributes:
        usage: what follows its name.
        help: a line.
        call: from the session and what follows to an answer.
    """

    usage: str
    help: str
    call: Callable[[Session, str], str]


COMMANDS = {
    "/help": Command("", "these lines", _help),
    "/set": Command("dial|count [X]", "quiet, normal, eager or a probability; how many", _set),
    "/model": Command("[RUN]", "which model suggests, or another one", _model),
    "/learn": Command("[on|off]", "what was learned; /learn forget WORD", _learn),
    "/save": Command("FILE", "write the text that was entered to a new file", _save),
    "/stats": Command("", "keys typed and saved", _stats),
    "/quit": Command("", "leave, as Ctrl-D does", _quit),
}

ARGUMENTS = {
    "/set": ["dial", "count"],
    "/set dial": ["quiet", "normal", "eager"],
    "/learn": ["on", "off", "forget"],
}
