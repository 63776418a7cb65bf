"""charrnn complete: next words as you type."""

import json
import sys
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from charrnn.cli.options import Debug, Dial, Json, ModelOption, Quiet, say_which
from charrnn.display.console import Ui, write_json, write_text
from charrnn.errors import CharrnnError, UsageError
from charrnn.session.terminal import prefers_vi, unechoed

if TYPE_CHECKING:
    from charrnn.suggestions.completer import Completion

JSON_KEYS = ("id", "typed", "k")  # keys of an object read with --json-in
MAX_COMPLETIONS = 1000  # maximum number of completions it can ask for


def complete(
    model: ModelOption = None,
    count: Annotated[int, Option("-k", "--count", min=1, help="Completions to offer.")] = 3,
    dial: Dial = None,
    output: Annotated[
        str | None,
        Option("-o", "--output", metavar="FILE", help="Append the typed lines to a file."),
    ] = None,
    learn: Annotated[
        bool,
        Option("--learn", help="Learn from what is typed; see charrnn learned."),
    ] = False,
    tab: Annotated[
        Literal["accept", "cycle"],
        Option(help="What Tab does: accept a word, or cycle through the suggestions."),
    ] = "accept",
    vi: Annotated[
        bool, Option("--vi", help="Use vi keys.", show_default="as ~/.inputrc says")
    ] = False,
    json_in: Annotated[
        bool,
        Option(
            "--json-in",
            help='Read one JSON object a line, {"id": ..., "typed": ..., "k": ...}, and print one '
            "for each; id and k are optional; typed may hold several lines.",
        ),
    ] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Suggest words as you type, or complete the lines of a pipe.

    On a terminal, the right arrow accepts the grey text and Tab a word of it;
    Shift-Tab shows the next suggestion, Esc hides it, Ctrl-D ends the session.
    /help lists all keys. Accepting a suggestion also inserts a space; typing
    punctuation removes it.

    From a pipe, each line is answered with one line of tab-separated
    completions and their probabilities. A completion is the text to insert
    after the line.
    """
    import charrnn
    from charrnn import config, runs

    on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not (json_lines or json_in)
    # On a terminal, wrong suggestions distract.
    least = config.dial(dial or ("normal" if on_terminal else "eager"))
    ui = Ui(quiet)
    if on_terminal:
        with unechoed():
            path = runs.find(model, chosen=say_which(ui))
            loaded = charrnn.load(path)
            loaded.require_text()

            from charrnn.session.repl import Session, model_name
            from charrnn.suggestions.explanation import Evidence
            from charrnn.suggestions.typing_history import Learned

            learned = Learned.of_user() if learn else None
            Session(
                loaded, model_name(path), Evidence.find(path), count, least, output, learned,
                cycle=tab == "cycle", vi=vi or prefers_vi(),
            ).run()  # fmt: skip
        return
    if output is not None:
        raise UsageError("-o needs a session on a terminal", "redirect standard output instead")
    if learn:
        raise UsageError("--learn needs a session on a terminal", "leave it out")
    loaded = charrnn.load(runs.find(model, chosen=say_which(ui)))
    loaded.require_text()
    from charrnn.text.source import waiting

    with waiting("standard input", ui.note, sys.stdin):
        first = [*islice(sys.stdin, 1)]
    lines = chain(first, sys.stdin)

    def likely(typed: str, k: int) -> list["Completion"]:
        return [c for c in loaded.complete(typed, k) if c.p >= least]

    if json_in:
        _answer(lines, likely, count)
        return
    for line in lines:
        typed = line.rstrip("\r\n")
        completions = likely(typed, count)
        if json_lines:
            write_json(_record(typed, completions))
        else:
            write_text("\t".join(f"{c.text}\t{c.p:.3f}" for c in completions))


def _answer(
    lines: Iterable[str], likely: "Callable[[str, int], list[Completion]]", count: int
) -> None:
    """Answer each line, a JSON object with JSON_KEYS, by an object: completions or an error.

    Raises:
        CharrnnError: some lines were answered with an error.
    """
    from charrnn.text.blocks import whole

    asked = failed = 0
    for line in lines:
        asked += 1
        answer: dict[str, Any] = {}
        try:
            question = _question(line)
            answer |= {key: question[key] for key in ("id",) if key in question}
            typed, k = question.get("typed"), question.get("k", count)
            if unknown := question.keys() - JSON_KEYS:
                raise UsageError(f"unknown key {min(unknown)!r}", f"use {', '.join(JSON_KEYS)}")
            if not isinstance(typed, str):
                raise UsageError('"typed" must be a string')
            if type(k) is not int or not 1 <= k <= MAX_COMPLETIONS:
                raise UsageError(f'"k" must be a whole number from 1 to {MAX_COMPLETIONS:,}')
            answer |= _record(typed, likely(whole(typed), k))
        except CharrnnError as error:
            failed += 1
            answer["error"] = str(error)
        write_json(answer)
    if failed:
        raise CharrnnError(
            f"{failed:,} of {asked:,} lines were answered with an error", "see the answers"
        )


def _question(line: str) -> dict[str, Any]:
    """Return the object in a line.

    Raises:
        UsageError: it holds none.
    """
    try:
        question = json.loads(line)
        json.dumps(question, allow_nan=False)  # its id is passed through as it is
    except (ValueError, RecursionError):
        question = None
    if not isinstance(question, dict):
        raise UsageError("the line is not a JSON object", 'for example {"typed": "The fo"}')
    return question


def _record(typed: str, completions: "list[Completion]") -> dict[str, Any]:
    found = [{"text": c.text, "p": c.p} for c in completions]
    return {"typed": typed, "completions": found}
