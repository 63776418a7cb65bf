"""charrnn generate: continue a seed."""

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Annotated, TextIO

import typer
from typer import Option

from charrnn.cli.options import Debug, Encoding, Json, ModelOption, Quiet, given
from charrnn.errors import UsageError
from charrnn.ui import Ui, printable


def generate(
    seed: Annotated[
        str | None,
        typer.Argument(metavar="[SEED]", help="Text to continue; - reads it from a pipe."),
    ] = None,
    model: ModelOption = None,
    length: Annotated[int, Option("-n", "--length", min=0, help="Characters to write.")] = 500,
    temperature: Annotated[
        float | None,
        Option(
            "-t",
            "--temperature",
            help="Above 1 bolder, under 1 safer, 0 always the likeliest.  [default: 0.8]",
        ),
    ] = None,
    top_k: Annotated[int | None, Option(help="Draw from this many likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, Option(help="Draw from the likeliest tokens that reach this probability.")
    ] = None,
    min_p: Annotated[
        float | None,
        Option(help="Drop tokens under this share of the likeliest one's probability."),
    ] = None,
    random_seed: Annotated[int | None, Option(help="The same seed, the same text.")] = None,
    file: Annotated[
        str | None, Option("-f", "--file", metavar="FILE", help="Read the seed from a file.")
    ] = None,
    output: Annotated[str, Option("-o", "--output", metavar="FILE", help="Write to a file.")] = "-",
    encoding: Encoding = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Continue a seed text, as it is drawn; without a seed, start as the corpus does."""
    import charrnn
    from charrnn import text

    if seed is not None and file is not None:
        raise UsageError("both a SEED and --file are given", "give one of them")
    if seed == "-" or (seed is None and file is None and _is_piped(sys.stdin)):
        file = "-"
    if file is not None:
        seed = text.read([file], encoding).removesuffix("\n")
    seed = seed or ""
    loaded = charrnn.load(model)
    options = given(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    tokens = loaded.generate(seed, length, random_seed=random_seed, **options)
    for character in loaded.file.tokenizer.unseen(seed):
        Ui(quiet).warn(
            f"the model has never seen {character!r} (U+{ord(character):04X}); it guesses on"
        )
    with _opened(output) as out:
        if json_lines:
            record = {"seed": seed, "text": "".join(tokens)}
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            return
        # Text to a terminal holds no control characters: a stranger's model might steer it.
        shown = printable if out.isatty() else str
        for part in chain([seed], tokens, ["\n"]):
            out.write(shown(part))
            out.flush()


def _is_piped(stream: TextIO | None) -> bool:
    """Whether someone writes into the stream or it is a file: then it holds the seed."""
    try:
        mode = os.fstat(stream.fileno()).st_mode if stream else 0
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


@contextmanager
def _opened(output: str) -> Iterator[TextIO]:
    if output == "-":
        yield sys.stdout
    else:
        with open(output, "w", encoding="utf-8") as file:
            yield file
