"""charrnn complete: next words, as one types."""

import json
import sys
from typing import Annotated

from typer import Option

from charrnn.cli.options import Debug, Json, ModelOption, Quiet


def complete(
    model: ModelOption = None,
    count: Annotated[int, Option("-k", "--count", min=1, help="Completions to offer.")] = 3,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Complete words as you type; from a pipe, one line in, its completions out.

    On a terminal: the right arrow takes the grey text, Ctrl-right or Alt-F a word of it, Tab
    shows the next suggestion, Esc hides it, Enter never takes it, Ctrl-D ends. From a pipe, a
    line comes out for each one: completion, probability, completion, probability, ... parted by
    tabs; a completion is what would be inserted after the typed text.
    """
    import charrnn

    loaded = charrnn.load(model)
    if sys.stdin.isatty() and sys.stdout.isatty() and not json_lines:
        from charrnn.repl import run

        run(loaded, count)
        return
    for line in sys.stdin:
        typed = line.rstrip("\r\n")
        completions = loaded.complete(typed, count)
        if json_lines:
            found = [{"text": c.text, "p": c.p} for c in completions]
            print(
                json.dumps({"typed": typed, "completions": found}, ensure_ascii=False), flush=True
            )
        else:
            print("\t".join(f"{c.text}\t{c.p:.3f}" for c in completions), flush=True)
