"""charrnn eval: how well a model predicts a text."""

import json
from typing import Annotated

import typer

from charrnn.cli.options import Debug, Encoding, Json, ModelOption, Quiet
from charrnn.errors import TextError


def evaluate(
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="Text files; - is standard input.")
    ],
    model: ModelOption = None,
    encoding: Encoding = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score a text: bits per character, perplexity, accuracy."""
    import charrnn
    from charrnn import text

    score = charrnn.load(model).score(text.stream(texts, encoding)).to_json()
    if not score["chars"]:
        raise TextError("the text is empty", "give a text to score")
    if json_lines:
        print(json.dumps(score))
        return
    for name, value in score.items():
        shown = "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        print(f"{name.replace('_', ' '):<16} {shown}")
