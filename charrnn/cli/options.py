"""Options that several commands share, and what they mean."""

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import typer

from charrnn.config import OUTPUT, PANELS, READING
from charrnn.display.console import Ui
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.runs import Chosen


def _remember_debug(context: typer.Context, debug: bool) -> None:
    context.meta["debug"] = debug


def _refuse_runs(texts: list[str]) -> list[str]:
    from charrnn import runs  # not above: it would slow every command's start

    for path in texts:
        runs.refuse(path, "a text", "name the model with -m {} and give a text")
    return texts


def _unescaped(text: str | None) -> str | None:
    from charrnn.text.blocks import unescape

    return None if text is None else unescape(text)


_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
# Times as they are written: 1h30m, 5 min; 90 (seconds); 1:30 and 1:30:00. What "1h30" means is not
# guessed.
WITH_UNITS = re.compile(
    rf"(?:{_NUMBER}\s*d(?:ays?)?)?\s*(?:{_NUMBER}\s*h(?:(?:ou)?rs?)?)?\s*"
    rf"(?:{_NUMBER}\s*m(?:in(?:ute)?s?)?)?\s*(?:{_NUMBER}\s*s(?:ec(?:ond)?s?)?)?"
)
PLAIN = re.compile(_NUMBER)
CLOCK = re.compile(r"(?:([0-9]+):(?=[0-5]?[0-9]:))?([0-9]+):([0-5]?[0-9](?:\.[0-9]+)?)")


def run_names(incomplete: str) -> list[str]:
    """Return the runs whose names begin with a text, for shell completion."""
    from charrnn import runs  # not above: it would slow every command's start

    return [name for name in runs.names() if name.startswith(incomplete)]


ModelOption = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="RUN",
        help="Run, run folder or model file.",
        show_default="$CHARRNN_MODEL, else the newest run",
        autocompletion=run_names,
    ),
]
Texts = Annotated[
    list[str],
    typer.Argument(
        metavar="TEXT...", help="Files or folders; - is standard input.", callback=_refuse_runs
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Encoding of the text.",
        show_default="UTF-8, else detected",
        rich_help_panel=READING,
    ),
]
Errors = Annotated[
    Literal["strict", "replace", "skip"] | None,
    typer.Option(
        help="What to do about invalid bytes; strict also stops at a broken record.",
        show_default="bytes: strict; broken records: skip",
        rich_help_panel=READING,
    ),
]
Glob = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        help="Which files of a folder to read.",
        show_default="*.txt and *.md",
        rich_help_panel=READING,
    ),
]
Field = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Read this field of each record of JSON, JSON Lines, CSV or TSV files; user.name is a "
        "field of the object user.",
        rich_help_panel=READING,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help=r"Character between the cells of a table, such as ; or \t.",
        show_default="a comma; a tab in .tsv files",
        callback=_unescaped,
        rich_help_panel=READING,
    ),
]
Header = Annotated[
    bool,
    typer.Option(
        "--header/--no-header",
        help="The first row of a table names its columns; with --no-header, --field is a number.",
        rich_help_panel=READING,
    ),
]
Lines = Annotated[
    bool,
    typer.Option(
        "--lines",
        help="Treat each line as a text of its own, such as a name.",
        rich_help_panel=READING,
    ),
]
SplitOn = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Split each file into documents: each matching line starts one; a line that matches "
        r"as a whole is left out. For example '^From ', '^%$' or, for blank lines, '^\s*$'.",
        show_default=False,
        rich_help_panel=READING,
    ),
]
Dial = Annotated[
    str | None,
    typer.Option(
        metavar="quiet|normal|eager|P",
        help="When to show a suggestion: quiet, if right four times in five; normal, three in "
        "five; eager, always; or a minimum probability.",
        show_default=False,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON Lines.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print errors only.", rich_help_panel=OUTPUT)
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show a traceback with an error.",
        callback=_remember_debug,
        rich_help_panel=OUTPUT,
    ),
]


# How a text is read: the fields of text.source.Source that most commands have an option for.
READ: dict[str, Any] = {
    "encoding": Encoding,
    "errors": Errors,
    "glob": Glob,
    "field": Field,
    "delimiter": Delimiter,
    "header": Header,
    "split_on": SplitOn,
}
# Options whose names differ from those of their fields.
OPTIONS = {
    "bias": "--bias or --ban",
    "chars": "--length",
    "embedding": "--embed",
    "seconds": "--time",
    "seed": "--random-seed",
}
CHOSEN = {"tied", "variational"}  # true or false, and chosen automatically if not given


Command = TypeVar("Command", bound=Callable[..., None])


def with_options(*configs: type) -> Callable[[Command], Command]:
    """Return a decorator that gives a command an option for each field that has help.

    The command receives their values as keyword arguments, None where one is not given. Its
    options are shown in the order of config.PANELS.

    Args:
        configs: dataclasses of charrnn.config.
    """
    added = [
        _option(field, hints[field.name])
        for config in configs
        for hints in [get_type_hints(config)]
        for field in dataclasses.fields(config)
        if field.metadata.get("help")
    ]

    return lambda command: _extended(command, added)


def with_reading(*names: str) -> Callable[[Command], Command]:
    """Return a decorator that gives a command options for how its text is read.

    The command receives their values as keyword arguments, which Source takes.

    Args:
        names: keys of READ.
    """
    added = [
        Parameter(
            name,
            Parameter.POSITIONAL_OR_KEYWORD,
            default=True if name == "header" else None,
            annotation=READ[name],
        )
        for name in names
    ]
    return lambda command: _extended(command, added)


def _extended(command: Command, added: Sequence[Parameter]) -> Command:
    """Add options to a command; they are shown in the order of their panels."""
    own = [p for p in signature(command).parameters.values() if p.kind != p.VAR_KEYWORD]
    parameters = sorted([*own, *added], key=_panel)
    command.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _option(field: "dataclasses.Field[Any]", kind: Any) -> Parameter:
    """Return the option of a field of a configuration, whose type is `kind`."""
    told = field.metadata
    kind = told["values"] or kind
    name = OPTIONS.get(field.name, "--" + field.name.replace("_", "-"))
    if field.name in CHOSEN:
        name += f"/--no-{field.name}"
    info = typer.Option(
        name,
        help=told["help"],
        show_default=told["shown"] or False,
        metavar=told["metavar"],
        rich_help_panel=told["panel"],
    )
    return Parameter(
        field.name,
        Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[kind | None, info],
    )


def _panel(parameter: Parameter) -> int:
    """Return the position of an option's panel in the help; what has no panel comes first."""
    panel = getattr(get_args(parameter.annotation)[-1], "rich_help_panel", None)
    return PANELS.index(panel) + 1 if panel in PANELS else 0


def named(error: UsageError) -> str:
    """Return an error's message with option names in place of field names."""
    message = str(error)
    for field in error.fields:
        option = OPTIONS.get(field, "--" + field.replace("_", "-"))
        message = re.sub(rf"(?<![\w-]){field}\b", option, message, count=1)
    return message


def given(**options: Any) -> dict[str, Any]:
    """Return the options that the user has set."""
    return {name: value for name, value in options.items() if value is not None}


def say_which(ui: Ui) -> "Chosen":
    """Return a callback for runs.find that names the chosen run on a terminal."""

    def say(run: Path, count: int) -> None:
        if sys.stderr.isatty():
            ui.note(f"using {run} (newest of {count} runs; choose with -m)")

    return say


def seconds(text: str) -> float:
    """Return the seconds that a time such as 90, 5min, 1h30m or 1:30 (minutes:seconds) means.

    Raises:
        UsageError: it is not a time.
    """
    plain = text.strip().lower()
    if clock := CLOCK.fullmatch(plain):
        hours, minutes, rest = clock.groups()
        return 3600 * float(hours or 0) + 60 * float(minutes) + float(rest)
    units = WITH_UNITS.fullmatch(f"{plain}s" if PLAIN.fullmatch(plain) else plain)
    if not units or not plain:
        raise UsageError(f"--time {text!r} is not a time", "for example 60s, 5m or 1h30m")
    found = zip(units.groups(), (86400, 3600, 60, 1), strict=True)
    return sum(float(number) * unit for number, unit in found if number)
