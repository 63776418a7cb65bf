"""Readable features of a text, which a unit of a network may follow: FEATURES.

The state that a network has after a character is compared with the feature of that character, so
that a feature may depend on what has been read. Features named "... next" are of the character
that follows, which the network has to foresee.
"""

import re
from collections.abc import Callable

import numpy as np

from charrnn.arrays import Array
from charrnn.generation.stopping import SENTENCE_END
from charrnn.text.blocks import code_points

Feature = Callable[[str], Array]  # from a text to a value for each character, float32 [len(text)]

# What may be quoted: up to the end of a paragraph, so that a missing quotation mark does no harm.
_WITHIN = r"(?:[^{marks}\n]|\n(?![ \t]*\n))*+"
# Opening marks, and the marks that close them.
_DOUBLE = {'"': '"', "“": "”", "„": "“”", "«": "»", "「": "」"}
DOUBLE_QUOTED = re.compile(
    "|".join(
        f"{opening}{_WITHIN.format(marks=closing)}[{closing}\n]?"
        for opening, closing in _DOUBLE.items()
    )
)
# An apostrophe within a word neither opens nor closes; one that is not closed does not open.
SINGLE_QUOTED = re.compile(
    r"(?<!\w)['‘](?=\S)(?:[^'’\n]|(?<=\w)['’](?=\w)|\n(?![ \t]*\n))*+['’](?!\w)"
)
COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*\n?|<!--.*?-->", re.DOTALL)
LINE = re.compile(r"([ \t]*+)[^\n]*+\n?")
WORD = re.compile(r"\w+(?:['’]\w+)*")
VOWELS = frozenset("aeiouyäöüáéíóúàèìòùâêîôûæœøåаеёиоуыэюяαεηιουω")  # noqa: RUF001


def _spans(pattern: re.Pattern[str]) -> Feature:
    """Return the feature of being inside a match: from its first character to before its last."""

    def inside(text: str) -> Array:
        changes = np.zeros(len(text) + 1, np.float32)
        for found in pattern.finditer(text):
            changes[found.start()] += 1
            changes[found.end() - 1] -= 1
        return np.cumsum(changes[:-1], dtype=np.float32)

    return inside


def _depth(opening: str, closing: str) -> Feature:
    """Return the feature of how many brackets are open; those that have no pair do not count."""
    brackets = re.compile(f"[{re.escape(opening + closing)}]")

    def depth(text: str) -> Array:
        changes = np.zeros(len(text), np.float32)
        unclosed: list[int] = []
        for found in brackets.finditer(text):
            if found[0] == opening:
                unclosed.append(found.start())
            elif unclosed:
                changes[unclosed.pop()] += 1
                changes[found.start()] -= 1
        return np.cumsum(changes, dtype=np.float32)

    return depth


def _is(test: Callable[[str], bool]) -> Feature:
    """Return the feature of being a character that passes a test."""

    def kind(text: str) -> Array:
        codes, which = np.unique(code_points(text), return_inverse=True)
        passed: Array = np.array([test(chr(code)) for code in codes.tolist()], np.float32)
        return passed.take(which.reshape(-1))

    return kind


def _next(feature: Feature) -> Feature:
    """Return the feature of the next character; the last one has none, which counts as 0."""
    return lambda text: np.append(feature(text), np.float32(0))[1:]


def _ends(pattern: re.Pattern[str]) -> Feature:
    """Return the feature of being the last character of a match."""

    def last(text: str) -> Array:
        marked = np.zeros(len(text), np.float32)
        marked[[found.end() - 1 for found in pattern.finditer(text)]] = 1
        return marked

    return last


def position_in_line(text: str) -> Array:
    """Return the characters of the line so far, 0 after a line end."""
    ends = _line_end(text) > 0
    places = np.arange(1, len(text) + 1)
    last_end = np.maximum.accumulate(np.where(ends, places, 0))
    return (places - last_end).astype(np.float32)


def position_in_word(text: str) -> Array:
    """Return the characters of the word so far, 0 outside of words."""
    position = np.zeros(len(text), np.float32)
    for word in WORD.finditer(text):
        position[word.start() : word.end()] = np.arange(1, len(word[0]) + 1)
    return position


def indentation(text: str) -> Array:
    """Return the blanks at the start of the line, as many as were read."""
    widths = [(len(line[1]), len(line[0])) for line in LINE.finditer(text) if line[0]]
    blanks, lengths = np.array(widths, int).reshape(-1, 2).T
    whole: Array = np.repeat(blanks, lengths).astype(np.float32)
    return np.minimum(whole, position_in_line(text))


_of_word = _is(lambda c: c.isalnum() or c == "_")
_line_end = _is("\n".__eq__)
# The features by name, in the order in which a text is examined. Each is of the character that was
# read last, or, if its name says so, of the next one.
FEATURES: dict[str, Feature] = {
    "inside double quotes": _spans(DOUBLE_QUOTED),
    "inside single quotes": _spans(SINGLE_QUOTED),
    "inside a comment": _spans(COMMENT),
    "depth in ( )": _depth("(", ")"),
    "depth in [ ]": _depth("[", "]"),
    "depth in { }": _depth("{", "}"),
    "inside < >": _spans(re.compile(r"<[^<>\n]*+>")),
    "position in the line": position_in_line,
    "position in the word": position_in_word,
    "indentation": indentation,
    "upper case": _is(str.isupper),
    "digit": _is(str.isdigit),
    "vowel": _is(lambda c: c.lower() in VOWELS),
    "punctuation": _is(lambda c: c.isprintable() and not c.isalnum() and not c.isspace()),
    "space": _is(" ".__eq__),
    "line end": _line_end,
    "line end next": _next(_line_end),
    "empty line": _ends(re.compile(r"\n(?:[ \t]*\n)++")),
    "sentence end": _ends(SENTENCE_END),
    "sentence end next": _next(_ends(SENTENCE_END)),
    "word end next": lambda text: _of_word(text) * (1 - _next(_of_word)(text)),
    "upper case next": _next(_is(str.isupper)),
    "digit next": _next(_is(str.isdigit)),
}
