"""The task of `charrnn memory --task recall`: cells learn to recall letters after a gap."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charrnn.cli.memory_measures import Result
from charrnn.cli.options import seconds
from charrnn.display.console import Ui
from charrnn.display.working import Working
from charrnn.errors import UsageError

CELLS = "rnn,gru,lstm"  # cells that learn by default
TIME = "15s"  # time to train each of them by default
NOTE = (
    "Small networks of each cell learned to repeat the first letters of a random sequence after "
    "more letters of the same kind, the gap. Accuracy: share of new sequences whose whole answer "
    "is right."
)


def recall(
    seed: int,
    ui: Ui,
    cells: str = CELLS,
    gaps: str | None = None,
    recalled: int | None = None,
    time: str = TIME,
) -> Result:
    """Train a network of each cell on the task, and measure its accuracy.

    Args:
        seed: seed of the random choices.
        ui: shows the progress.
        cells: cells to train, separated by commas.
        gaps: lengths of gaps, separated by commas; None for those of the task.
        recalled: letters to recall; None for those of the task.
        time: time to train each cell, see options.seconds.

    Raises:
        UsageError: an option is invalid.
    """
    import numpy as np

    import charrnn
    from charrnn.display.plot.memory import recall_figure
    from charrnn.events import Done, Step, Stop
    from charrnn.insight.recall import GAPS, RECALLED, Task, accuracy
    from charrnn.network.cells import CELLS

    try:
        each = tuple(sorted({int(gap) for gap in gaps.split(",")})) if gaps is not None else GAPS
    except ValueError:
        raise UsageError(f"--gaps {gaps!r} are not numbers", "for example 1,4,16,64") from None
    task = Task(each, RECALLED if recalled is None else recalled)
    spent = seconds(time)
    chosen = [*dict.fromkeys(cell.strip() for cell in cells.split(","))]
    for cell in chosen:
        if cell not in CELLS:
            raise UsageError(f"no cell named {cell!r}", f"use some of {','.join(CELLS)}")
    from charrnn.training.recall import learn

    found: list[dict[str, Any]] = []
    table: list[dict[str, str]] = []
    for cell in chosen:
        steps = 0
        with (
            tempfile.TemporaryDirectory() as folder,
            Working(ui, f"training {cell}", round(spent)) as work,
        ):
            for event in learn(task, cell, spent, seed, Path(folder)):
                match event:
                    case Step():
                        work.advance(event.seconds - work.done)
                    case Stop():
                        raise KeyboardInterrupt  # it is the only reason to stop here
                    case Done():
                        steps = event.steps
            model = charrnn.load(folder)
            shares = accuracy(model, task, np.random.default_rng([seed, 1]))
        found.append(
            {"cell": cell, "gaps": list(task.gaps), "accuracy": shares, "chance": task.chance}
            | {"recalled": task.recalled, "steps": steps, "seconds": spent}
        )
        table.append({"cell": cell, "steps": f"{steps:,}"} | _by_gap(task.gaps, shares))
    guessing = _by_gap(task.gaps, [task.chance] * len(task.gaps))
    table.append({"cell": "guessing", "steps": "-"} | guessing)
    letters = "1 letter" if task.recalled == 1 else f"{task.recalled} letters"
    return Result(
        f"Recall of {letters} after a gap",
        found,
        table,
        NOTE,
        [recall_figure(found)],
    )


def _by_gap(gaps: Sequence[int], shares: Sequence[float]) -> dict[str, str]:
    """Return a column of a table for each gap."""
    return {f"gap {gap}": f"{share:.1%}" for gap, share in zip(gaps, shares, strict=True)}
