"""charrnn learned: what was learned from typing, and forgetting it."""

from typing import Annotated

from typer import Option

from charrnn.cli.options import Debug, Json, Quiet
from charrnn.display.console import Ui, write_json, write_text
from charrnn.errors import UsageError


def learned(
    forget: Annotated[
        list[str] | None, Option(metavar="WORD", help="Forget a word; may be given several times.")
    ] = None,
    clear: Annotated[bool, Option("--clear", help="Forget everything.")] = False,
    off: Annotated[bool, Option("--off", help="Learn nothing until --on.")] = False,
    on: Annotated[bool, Option("--on", help="Learn again.")] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the words that `complete --learn` has learned, or forget them.

    Each line holds a word and how often it was typed, separated by a tab; the
    most frequent comes first. The words are kept in one SQLite file: $CHARRNN_LEARNED, else one in
    the user's data folder.
    """
    if sum((bool(forget), clear, off, on)) > 1:
        raise UsageError("--forget, --clear, --off and --on cannot be combined", "give one of them")
    # Not above: it would slow every command's start.
    from charrnn.suggestions.typing_history import Learned

    ui = Ui(quiet)
    store = Learned.of_user()
    if forget:
        for word in forget:
            times = store.forget(word)
            typed = "once" if times == 1 else f"{times:,} times"
            ui.note(f"{word}: " + (f"forgotten (typed {typed})" if times else "not learned"))
    elif clear:
        store.clear()
        ui.note(f"all words are forgotten; {store.path} is empty")
    elif off or on:
        store.paused = off
        ui.note("nothing is learned until charrnn learned --on" if off else "learning again")
    else:
        words = [*store.counts()]
        if store.paused:
            ui.note("nothing is learned until charrnn learned --on")
        elif not words:
            ui.note("no words are learned yet; charrnn complete --learn learns them")
        for word, times in words:
            if json_lines:
                write_json({"word": word, "times": times})
            else:
                write_text(f"{word}\t{times}")
