"""How numbers and text are shown."""

import json
import re
from typing import Any

LONGEST = 1000  # characters of an error or warning; of a longer one both ends are shown,
ENDS = 600, 300  # so many characters of each
# What steers a terminal, or turns the text around: all control characters but tab and line feed,
# the separators of lines and paragraphs, and changes of direction. The others are no characters.
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str) -> str:
    """Return the text with each control character shown as a dot; it stays as long as it was."""
    return CONTROL.sub("·", text)


def in_one_line(message: str) -> str:
    """Return a message without line breaks, its middle cut out if it is very long."""
    line = " ".join(message.split())
    first, last = ENDS
    return line if len(line) <= LONGEST else f"{line[:first]} ... {line[-last:]}"


def to_json(value: Any) -> str:
    """Return a value as JSON in one line, each control character in it escaped."""
    line = json.dumps(value, ensure_ascii=False)
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
