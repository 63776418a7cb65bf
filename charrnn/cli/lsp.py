"""charrnn lsp: suggestions in an editor."""

import sys
from typing import Annotated

from typer import Exit, Option

from charrnn.cli.options import Debug, Dial, ModelOption, Quiet, say_which
from charrnn.display.console import Ui


def lsp(
    model: ModelOption = None,
    count: Annotated[int, Option("-k", "--count", min=1, help="Completions to offer.")] = 5,
    dial: Dial = None,
    stdio: Annotated[
        bool, Option("--stdio", help="Accepted because editors pass it; has no effect.")
    ] = False,
    client: Annotated[
        int | None,
        Option("--clientProcessId", hidden=True, help="Accepted, as some editors give it."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Serve completions to an editor: a language server on standard input and output."""
    import charrnn
    from charrnn import config, runs
    from charrnn.servers.language_server import serve

    ui = Ui(quiet)
    path = runs.find(model, chosen=say_which(ui))
    loaded = charrnn.load(path)
    loaded.require_text()
    least = config.dial(dial or "normal")
    if sys.stdin.isatty():
        ui.note("an editor starts this command; it waits for messages on standard input")
    raise Exit(serve(loaded, count, least))
