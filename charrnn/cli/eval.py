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
        print(f"{name.replace('_', ' '):<16} {_shown(value)}")


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if value < 1e6 else f"{value:.3e}"
