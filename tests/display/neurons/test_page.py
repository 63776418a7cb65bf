"""The page: it stands alone, and holds no more than it should of a text from a stranger."""

import json
import re
from base64 import b64decode
from typing import Any

import numpy as np

from charrnn.display.neurons.page import html

HOSTILE = '</script><script>alert("1")</script>\x1b[31m'
SCORES = {"bpc": 2.0, "bpc_off": 2.5, "bpc_on_feature": None, "bpc_off_on_feature": None}
FOUND = {
    "feature": "inside < >",
    "layer": 1,
    "unit": 7,
    "value": "cell state",
    "r": -0.5,
    "r_first_half": -0.6,
    "p": 0.0004,
    "confirmed": True,
    **SCORES,
    "network": SCORES,
}
UNITS = [
    {"layer": 1, "unit": 7, "value": "cell state"},
    {"layer": 0, "unit": 2, "value": "output"},
]


def page(**changes: Any) -> str:
    values = np.array([[-1.0, 0], [0.5, 0]], np.float32)
    given: dict[str, Any] = {
        "title": "Units of <run>",
        "note": "",
        "findings": [FOUND],
        "tokens": [HOSTILE, "b\n"],
        "units": UNITS,
        "values": values,
        "scales": np.array([1, 0], np.float32),
        "ngrams": True,
    }
    return html(**(given | changes))


def data(of: str) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', of, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_activations() -> None:
    """The activations of each unit are shares of its largest, a signed byte for each token."""
    shares = np.frombuffer(b64decode(data(page())["values"]), np.int8).reshape(2, 2)
    assert shares.tolist() == [[-127, 64], [0, 0]]


def test_units_and_table() -> None:
    """A unit says what it follows; a row of the table leads to it and gives its values."""
    shown = page()
    titles = [title for title, _ in data(shown)["units"]]
    assert titles == [
        "layer 1, unit 7, cell state; follows: inside < > (r -0.50)",
        "layer 0, unit 2, output",
    ]
    row = re.search(r'<tr data-unit="0">.*</tr>', shown)
    assert row
    cells = re.findall(r"<td>(?:<button[^>]*>)?(.*?)(?:</button>)?</td>", row[0])
    assert cells[:6] == ["inside &lt; &gt;", "1:7 cell state", "-0.50", "-0.60", "0.0004", "yes"]
    assert cells[6:] == ["+0.5000", "-", "+0.5000", "-"]


def test_hostile_text() -> None:
    """A text can neither end the script that holds it nor hold control characters."""
    shown = page(title=HOSTILE, note=HOSTILE)
    assert "\x1b" not in shown
    assert "\\u001b" not in shown
    assert shown.count("<script") == 2
    assert data(shown)["tokens"] == [HOSTILE.replace("\x1b", "·"), "b\n"]


def test_stands_alone() -> None:
    """It loads nothing, and a policy forbids it."""
    shown = page()
    assert "default-src 'none'" in shown
    assert not re.search(r"https?://|src=|href=|@import|url\(", shown)
