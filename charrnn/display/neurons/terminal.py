"""Units on a terminal: the table of findings, and text coloured by a unit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.arrays import Array
from charrnn.display.highlight import painted

Record = Mapping[str, Any]  # a finding, as `charrnn neurons --json` prints it

# Limits between the background colours, as shares of the unit's largest absolute activation, and
# the colours (xterm's), from blue for the lowest to red for the highest (not tuned).
LIMITS = np.array([-0.85, -0.6, -0.35, -0.1, 0.1, 0.35, 0.6, 0.85], np.float32)
COLOURS = (39, 75, 117, 153, None, 223, 216, 209, 203)


def levels(values: Array, scale: float) -> list[int]:
    """Return the index in COLOURS of each activation, [N].

    Args:
        values: the activations, float32 [N].
        scale: the unit's largest absolute activation.
    """
    found: list[int] = np.searchsorted(LIMITS, values / (scale or 1.0)).tolist()
    return found


def coloured(text: str, values: Array, scale: float) -> str:
    """Return a text with escape sequences that colour it by a unit's activations, [len(text)]."""
    return painted(text, levels(values, scale), COLOURS)


def named(unit: Record) -> str:
    """Return a unit in words, by its `layer`, `unit` and `value`."""
    return f"layer {unit['layer']}, unit {unit['unit']}, {unit['value']}"


def described(finding: Record) -> str:
    """Return what a unit follows, in words."""
    end = "" if finding["confirmed"] else ", not confirmed"
    return f"follows: {finding['feature']} (r {finding['r']:+.2f}{end})"


def table(findings: Sequence[Record]) -> str:
    """Return the findings as a table of 80 columns."""
    lines = [
        f"{'':<59}bits/char when off",
        f"{'feature':<21}{'unit':<21}r  1st half     p  overall  on feature",
    ]
    confirmed = True
    for found in findings:
        if confirmed and not found["confirmed"]:
            lines.append("not confirmed:")
        confirmed = found["confirmed"]
        unit = f"{found['layer']}:{found['unit']} {found['value']}"
        p = f"{found['p']:.2f}" if found["p"] >= 0.01 else "<.01"
        changes = "".join(
            f"{'-' if change is None else f'{change:+.3f}':>{width}}"
            for change, width in ((added(found), 9), (added(found, "_on_feature"), 12))
        )
        row = f"{found['feature']:<21}{unit:<17}{found['r']:+5.2f}{found['r_first_half']:+10.2f}"
        lines.append(f"{row}{p:>6}{changes}")
    return "\n".join(lines)


def added(finding: Record, where: str = "") -> float | None:
    """Return the bits per character that switching a unit off adds; None if there are none.

    Args:
        finding: the finding, or its `network`.
        where: "", or "_on_feature" for the characters after those where its feature holds.
    """
    before, after = finding[f"bpc{where}"], finding[f"bpc_off{where}"]
    return None if before is None or after is None else after - before
