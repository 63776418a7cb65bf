"""charrnn info: what a model is."""

import json
import math
from dataclasses import asdict
from typing import Annotated, Any

import typer

from charrnn.cli.options import Debug, Json, Quiet
from charrnn.ui import duration


def info(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Run folder or model file.  [default: the newest]"),
    ] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell what a model is, how it was trained, on what and how well."""
    from charrnn import model_file

    path = model_file.find(run)
    model = model_file.load(path)
    facts: dict[str, Any] = {
        "path": str(path),
        "bytes": path.stat().st_size,
        "level": model.tokenizer.level,
        **asdict(model.config),
        "parameters": model.config.parameters,
        **model.training,
    }
    if json_lines:
        print(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<16} {_shown(name, value)}")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    match name:
        case "bytes":
            return f"{value:,} ({value / 1e6:.1f} MB)"
        case "val_nats":
            return f"{value:.4f} per character = {value / math.log(2):.3f} bits per character"
        case "seconds" | "seconds_spent":
            return duration(value)
        case "opening":
            return repr(value)
        case "texts":
            return ", ".join(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
