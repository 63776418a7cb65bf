"""charrnn lsp: suggestions in an editor."""

from typing import Annotated

from typer import Option

from charrnn.cli.options import Debug, Dial, ModelOption, Quiet
from charrnn.errors import UsageError


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
    import charrnn
    from charrnn import config

    try:
        from charrnn.lsp import serve
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed", "pip install pygls") from None
    serve(charrnn.load(model), count, config.dial(dial or "normal"))
