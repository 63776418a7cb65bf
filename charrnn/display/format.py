"""How numbers and text are shown."""

import json
import re
from typing import Any

MAX_MESSAGE = 1000  # maximum characters of an error or warning (not tuned)
ENDS = 600, 300  # characters shown from the start and the end of a longer one (not tuned)
# Characters that control a terminal or reverse text: separators of lines and paragraphs, changes of
# direction, surrogates, noncharacters, control characters but tab and line feed.
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

ENCODER = json.JSONEncoder(ensure_ascii=False)  # json.dumps would create one for each value


def duration(seconds: float) -> str:
    """Return seconds in readable form: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str) -> str:
    """Return a text of the same length with each control character replaced by a dot."""
    return CONTROL.sub("·", text)


def in_one_line(message: str) -> str:
    """Return a message without line breaks; the middle of a very long one is cut out."""
    line = " ".join(message.split())
    first, last = ENDS
    return line if len(line) <= MAX_MESSAGE else f"{line[:first]} ... {line[-last:]}"


def to_json(value: Any) -> str:
    """Return a value as JSON in one line, with every control character escaped."""
    line = ENCODER.encode(value)
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
