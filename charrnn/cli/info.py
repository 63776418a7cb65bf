"""charrnn info: facts about a model."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from charrnn.cli.options import Debug, Json, ModelOption, Quiet, say_which
from charrnn.display.console import Ui, write_json, write_text
from charrnn.display.format import duration
from charrnn.errors import UsageError


def info(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="The same as -m."),
    ] = None,
    model: ModelOption = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Describe a model: its network, its training, its score."""
    from charrnn import runs
    from charrnn.files import spelled
    from charrnn.network import model_file
    from charrnn.network.cells import parameter_count

    if run and model:
        raise UsageError("both RUN and -m are given", "give one of them")
    path = runs.find(run or model, chosen=say_which(Ui(quiet)))
    found = model_file.load(path)
    facts: dict[str, Any] = {
        "path": spelled(path),
        "bytes": path.stat().st_size,
        "level": found.tokenizer.level,
        **asdict(found.config),
        "parameters": parameter_count(found.config),
    }
    # A file may lie about its training, but not about its network.
    facts |= {name: value for name, value in found.trained.to_json().items() if name not in facts}
    if json_lines:
        write_json(facts)
        return
    for name, value in facts.items():
        write_text(f"{name.replace('_', ' '):<16} {_shown(name, value)}")


def _shown(name: str, value: Any) -> str:
    from charrnn.arrays import bits

    match name, value:
        case _, None:
            return "-"
        case _, bool():
            return "yes" if value else "no"
        case "bytes", int():
            return f"{value:,} ({value / 1e6:.1f} MB)"
        case "val_nats", float():
            return f"{value:.4f} per character = {bits(value):.3f} bits per character"
        case (("seconds" | "seconds_spent"), int() | float()):
            return duration(value)
        case _, int():
            return f"{value:,}"
        case _, float():
            return f"{value:.4g}"
        case _, list():
            return ", ".join(map(str, value))
    return repr(value) if name == "opening" else str(value)
