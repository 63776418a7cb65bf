"""The command line. To add a command: a file here and a row in COMMANDS."""

import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from inspect import cleandoc
from itertools import takewhile
from typing import Annotated, TextIO, cast

import typer

from charrnn import __version__
from charrnn.cli import runs, torchrun
from charrnn.cli.compare import compare
from charrnn.cli.complete import complete
from charrnn.cli.eval import evaluate
from charrnn.cli.fill import fill
from charrnn.cli.generate import generate
from charrnn.cli.info import info
from charrnn.cli.learned import learned
from charrnn.cli.lsp import lsp
from charrnn.cli.memory import memory
from charrnn.cli.neurons import neurons
from charrnn.cli.options import named
from charrnn.cli.plot import plot
from charrnn.cli.predict import predict
from charrnn.cli.score import score
from charrnn.cli.train import train
from charrnn.display.console import Ui, Unbroken, devnull, write_text
from charrnn.errors import PANIC, CharrnnError, UsageError, is_out_of_memory
from charrnn.network import blas

LESS_MEMORY = "close other programs; to train, lower --hidden, --batch, --bptt or --vocab-size"
COMPLETING = "_CHARRNN_COMPLETE"  # variable by which a shell asks for completions
# Commands whose argument is a text.
TAKE_TEXT = (
    "train", "compare", "generate", "predict", "fill", "eval", "score", "memory", "neurons",
)  # fmt: skip

app = typer.Typer(
    name="charrnn",
    help="Train a recurrent language model on your own text, generate from it and type with it.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",  # loaded only for the help
)
# Each command, and examples at the end of its help.
COMMANDS: dict[Callable[..., None], str] = {
    train: """
        charrnn train book.txt

        charrnn train notes/ --time 10m --level word

        charrnn train names.txt --lines

        charrnn train reviews.csv --source text --target stars
    """,
    compare: """
        charrnn compare book.txt --cells lstm,gru --seeds 3

        charrnn compare book.txt --vary "lstm; lstm layers=2; gru" --equal parameters

        An exploding gradient, with and without clipping; then with two kinds of initial weights:

        charrnn compare book.txt --steps 100 --hidden 128 --optimizer sgd --lr 10
        --vary "rnn clip=0.1; rnn clip=0"

        charrnn compare book.txt --steps 100 --hidden 128
        --vary "rnn-relu init=identity; rnn-relu init=normal init-scale=2"
    """,
    generate: """
        charrnn generate "It was a dark" -n 300

        charrnn generate -t 0.5,1.0 -N 3

        charrnn generate --template "The {word} of {words:2}."

        charrnn generate "The fox" --match ".{20,40}ight" --best-of 32
    """,
    complete: """
        charrnn complete

        charrnn complete -o notes.txt --learn

        echo "The old wom" | charrnn complete
    """,
    predict: """
        charrnn predict new.csv

        charrnn predict --top 3 < names.txt
    """,
    fill: """
        charrnn fill "The ___ looked at the grapes."

        charrnn fill "The ___ ran into the ___." --length 2 -k 3

        charrnn fill -f texts.txt --json
    """,
    evaluate: """
        charrnn eval other.txt

        charrnn eval other.txt --keystrokes --json

        charrnn eval other.txt --gaps
    """,
    score: """
        charrnn score lines.txt --rank
    """,
    info: """
        charrnn info book
    """,
    plot: """
        charrnn plot book other
    """,
    memory: """
        charrnn memory book.txt

        charrnn memory book other book.txt

        charrnn memory --task recall --cells rnn,gru,lstm
    """,
    neurons: """
        charrnn neurons book.txt

        charrnn neurons book other.txt --browse

        charrnn neurons book.txt --unit 17
    """,
    learned: """
        charrnn learned --forget WORD
    """,
    lsp: """
        charrnn lsp -m book
    """,
}
for command, examples in COMMANDS.items():
    name = "eval" if command is evaluate else None
    app.command(name, epilog=f"Examples:\n\n{cleandoc(examples)}")(command)
app.add_typer(runs.app, name="runs", epilog="Examples:\n\ncharrnn runs\n\ncharrnn runs rm book")


def _version(wanted: bool) -> None:
    if wanted:
        write_text(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("-V", "--version", help="Print the version.", callback=_version)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; every failure becomes one line on stderr and an exit code.

    Returns:
        0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C.
    """
    # A shell can start us with closed streams.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = cast(TextIO, Unbroken(stderr))
    for stream in (sys.stdin, sys.stdout):
        # Text is UTF-8 whatever the locale, and an invalid byte does not stop reading.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] not in (["train"], ["compare"]):  # torch may need BLAS's threads
        blas.start_with_one()
    meta: dict[str, object] = {}
    try:
        command = typer.main.get_command(app)  # slow: Ctrl-C may come meanwhile
        if COMPLETING in os.environ:  # a shell asks for completions
            command.main(arguments, "charrnn")
        with command.make_context("charrnn", arguments) as context:
            meta = context.meta
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has closed it, like `| head`; nothing is left to flush.
        devnull(sys.stdout)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:
            raise
        message, code = _explain(error)
        if arguments and arguments[0] in TAKE_TEXT:
            message += _dashed(message, arguments)
        if meta.get("debug"):
            Ui().note(traceback.format_exc().rstrip())
        else:
            Ui().error(torchrun.speaker() + message)
        return code
    finally:
        sys.stderr = stderr
    return 0


def _dashed(message: str, arguments: Sequence[str]) -> str:
    """Return a hint on texts that begin with a dash, if one may have been read as options.

    An unknown option may be such a text. So may an argument with a space: "-no way" is read as -n
    with a value.
    """
    from charrnn.files import quoted  # not above: it would slow every command's start

    unknown = re.fullmatch(r"No such option: (.*)\. Try -h\.", message, re.DOTALL)
    for argument in takewhile(lambda argument: argument != "--", arguments):
        spaced = " " in argument and argument[2:] in message
        if argument.startswith("-") and (spaced or (unknown and argument.startswith(unknown[1]))):
            end = "" if message.endswith(".") else "."
            return (
                f"{end} Text that begins with a dash goes after --: "
                f"charrnn {arguments[0]} -- {quoted(argument)}"
            )
    return ""


def _explain(error: BaseException) -> tuple[str, int]:
    """Return the message for an error, and its exit code."""
    match error:
        case UsageError():
            message, code = named(error), error.exit_code
        case CharrnnError():
            message, code = str(error), error.exit_code
        case typer.TyperException():
            message, code = error.format_message(), error.exit_code
            message += " Try -h." if message.endswith((".", "?")) else ". Try -h."
        case _ if is_out_of_memory(error):
            message, code = f"not enough memory; {LESS_MEMORY}", 1
        case OSError():
            message, code = f"{error.filename or 'output'}: {error.strerror or error}", 1
        case _:
            message, code = f"{type(error).__name__}: {error}; this is a bug, see --debug", 1
    return message, code
