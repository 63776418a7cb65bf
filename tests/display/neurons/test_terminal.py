"""Units on a terminal."""

import re

import numpy as np

from charrnn.display.neurons.terminal import COLOURS, coloured, levels, table
from tests.display.neurons.test_page import FOUND


def test_levels() -> None:
    """Colours go from the lowest to the highest activation; near 0 there is none."""
    values = np.array([-3, -2, 0, 2, 3], np.float32)
    found = levels(values, 3.0)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, len(COLOURS) - 1)
    assert COLOURS[found[2]] is None
    assert levels(np.zeros(2, np.float32), 0.0) == [4, 4]


def test_coloured() -> None:
    """Without its colours it is the text, whose control characters are dots."""
    shown = coloured("a\x1bb\n", np.array([1, 1, 0, -1], np.float32), 1.0)
    assert re.sub(r"\x1b\[(?:0|30;48;5;\d+)m", "", shown) == "a·b\n"
    assert shown.startswith("\x1b[30;48;5;203ma·\x1b[0m")


def test_table() -> None:
    """It has a line for each finding; those that are not confirmed come after a heading."""
    shown = table([FOUND, {**FOUND, "confirmed": False, "p": 1.0, "bpc_on_feature": 1.5}])
    lines = shown.splitlines()
    assert " ".join(lines[2].split()) == "inside < > 1:7 cell state -0.50 -0.60 <.01 +0.500 -"
    assert lines[3] == "not confirmed:"
    assert max(map(len, lines)) <= 80
