"""charrnn complete: next words, as one types."""

import sys
from itertools import chain, islice
from typing import Annotated

from typer import Option

from charrnn.cli.options import Debug, Dial, Json, ModelOption, Quiet, say_which
from charrnn.errors import UsageError
from charrnn.ui import Ui, waiting, write_json, write_text


def complete(
    model: ModelOption = None,
    count: Annotated[int, Option("-k", "--count", min=1, help="Completions to offer.")] = 3,
    dial: Dial = None,
    output: Annotated[
        str | None,
        Option("-o", "--output", metavar="FILE", help="Add the lines typed to a file's end."),
    ] = None,
    learn: Annotated[
        bool,
        Option("--learn", help="Learn from what is typed; see charrnn learned."),
    ] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Complete words as you type; from a pipe, one line in, its completions out.

    On a terminal: the right arrow takes the grey text, Ctrl-right or Alt-F a word of it, Tab
    shows the next suggestion, Esc hides it, Enter never takes it, Ctrl-D ends. The space that
    comes with a word gives way to a comma or a full stop. From a pipe, a line comes out for each
    one: completion, probability, completion, probability, ... parted by tabs; a completion is what
    would be inserted after the typed text.
    """
    import charrnn
    from charrnn import config, runs

    on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not json_lines
    # On a terminal a wrong suggestion disturbs.
    least = config.dial(dial or ("normal" if on_terminal else "eager"))
    ui = Ui(quiet)
    path = runs.find(model, chosen=say_which(ui))
    loaded = charrnn.load(path)
    if on_terminal:
        from charrnn.learned import Learned
        from charrnn.repl import Session
        from charrnn.why import Evidence

        learned = Learned.of_user() if learn else None
        Session(loaded, Evidence.find(path), count, least, output, learned).run()
        return
    if output is not None:
        raise UsageError("-o is for a session on a terminal", "redirect standard output instead")
    if learn:
        raise UsageError("--learn is for a session on a terminal", "leave it out")
    with waiting("standard input", ui.note, sys.stdin):
        first = [*islice(sys.stdin, 1)]
    for line in chain(first, sys.stdin):
        typed = line.rstrip("\r\n")
        completions = [c for c in loaded.complete(typed, count) if c.p >= least]
        if json_lines:
            found = [{"text": c.text, "p": c.p} for c in completions]
            write_json({"typed": typed, "completions": found})
        else:
            write_text("\t".join(f"{c.text}\t{c.p:.3f}" for c in completions))
