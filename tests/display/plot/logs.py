"""Small logs, as a run of 100 steps a second would write them."""

import json
import math
from pathlib import Path
from typing import Any

from charrnn.display.plot.log import Log, read_log

Row = dict[str, Any]


def start(step: int = 0, **fields: Any) -> Row:
    return {
        "event": "start",
        "run": "runs/book",
        "step": step,
        "device": "cpu",
        "level": "char",
        "train_chars": 100_000,
        "val_chars": 11_000,
        "train_tokens": 100_000,
        "parameters": 350_914,
        "model": {"vocab_size": 66, "cell": "gru", "layers": 2, "hidden": 96, "embedding": 64},
        "training": {"bptt": 64, "batch": 16, "lr": 0.03, "dropout": 0.25},
    } | fields


def trained(first: int, last: int, tell: int = 20, validate: int = 100) -> list[Row]:
    """Return the events of a run with 1,024 tokens a step, between two steps."""
    rows: list[Row] = []
    for step in range(first + tell, last + 1, tell):
        at = {"step": step, "epoch": step * 1024 / 100_000, "seconds": step / 100}
        loss = 1.0 + 3.0 * math.exp(-step / 300)
        told = {"loss": loss, "norm": 0.3 + 2 / step, "clipped": 0.1, "lr": 0.03 / (1 + step / 500)}
        rows.append({"event": "step", "steps": None, "tokens_per_second": 1e5} | at | told)
        if step % validate == 0:
            rows.append({"event": "validation", "val_nats": loss + 0.2, "best": True} | at)
            rows.append({"event": "sample", "step": step, "text": f"The fox of step {step}."})
            rows.append({"event": "save", "step": step})
    return rows


def done(steps: int, **fields: Any) -> Row:
    return {
        "event": "done",
        "val_nats": 1.25,
        "val_bpc": 1.25 / math.log(2),
        "val_part": 1.0,
        "steps": steps,
        "tokens": steps * 1024,
        "seconds": steps / 100,
        "run": "runs/book",
    } | fields


def write(path: Path, *rows: Row) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(folder: Path, *rows: Row, name: str = "book") -> Log:
    return read_log(write(folder / name / "log.jsonl", *rows))
