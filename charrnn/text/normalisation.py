"""Normalisation of text: Unicode NFC, LF as the only line end, no byte order marks."""

import unicodedata
from collections.abc import Iterable, Iterator

MARK = "\ufeff"  # byte order mark, inside a text where files were joined
LINE_ENDS = "\x85\u2028\u2029"  # NEL, and Unicode's line and paragraph separators
REACH = 1 << 16  # characters before a block's end that are searched for a place to cut (not tuned)


def normalised(text: str) -> str:
    """Return a text without byte order marks, with LF for other line ends, in NFC.

    NFC composes a letter and its combining marks to one character where that exists, and puts
    other combining marks into a fixed order (Unicode Standard Annex 15).
    """
    if text.isascii():
        return text
    text = text.replace(MARK, "")
    for end in LINE_ENDS:
        text = text.replace(end, "\n")
    return unicodedata.normalize("NFC", text)


def normalised_blocks(blocks: Iterable[str]) -> Iterator[str]:
    """Normalise a text in blocks.

    A block is cut where no later character can change an earlier one. A text without such a place
    within REACH characters is cut anyway.
    """
    kept = ""
    for block in blocks:
        text = kept + block
        places = range(len(text) - 1, max(-1, len(text) - 1 - REACH), -1)
        cut = next((i for i in places if _begins_anew(text[i])), 0 if len(text) < REACH else None)
        kept = "" if cut is None else text[cut:]
        if ready := normalised(text[:cut]):
            yield ready
    if last := normalised(kept):
        yield last


def _begins_anew(character: str) -> bool:
    """Return whether a character surely never combines with the one before it."""
    return character < "\u0300" or "\u3400" <= character <= "\u9fff"
