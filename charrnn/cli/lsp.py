"""charrnn lsp: suggestions in an editor."""

from typing import Annotated

from typer import Option

from charrnn.cli.options import Debug, Dial, ModelOption, Quiet, say_which
from charrnn.errors import UsageError
from charrnn.ui import Ui


def lsp(
    model: ModelOption = None,
    count: Annotated[int, Option("-k", "--count", min=1, help="Completions to offer.")] = 5,
    dial: Dial = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Complete words in an editor: a language server on standard input and output.

    Needs the extra charrnn[lsp].
    """
    import logging

    import charrnn
    from charrnn import config, runs

    if quiet:
        logging.disable(logging.WARNING)  # of the server's library, to standard error
    try:
        from charrnn.lsp import serve
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed", "pip install pygls") from None
    path = runs.find(model, chosen=say_which(Ui(quiet)))
    serve(charrnn.load(path), count, config.dial(dial or "normal"))
