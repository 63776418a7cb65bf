"""One way to write the same text: Unicode's NFC, LF as the only line end, no byte order marks."""

import unicodedata
from collections.abc import Iterable, Iterator

MARK = "\ufeff"  # of byte order, in mid-text where files were joined
LINE_ENDS = "\x85\u2028\u2029"  # NEL, and Unicode's line and paragraph separators
REACH = 1 << 16  # characters back from a block's end in which a place to cut is looked for


def normalised(text: str) -> str:
    """Return a text without byte order marks, with LF for other line ends, in NFC.

    NFC writes a letter and its accents as one character where there is one, and accents always in
    the same order (Unicode Standard Annex 15).
    """
    if text.isascii():
        return text
    text = text.replace(MARK, "")
    for end in LINE_ENDS:
        text = text.replace(end, "\n")
    return unicodedata.normalize("NFC", text)


def normalised_blocks(blocks: Iterable[str]) -> Iterator[str]:
    """Yield the same as `normalised`, of a text in blocks.

    A block is cut where nothing that follows can change what stands before. (In a text that has no
    such place in REACH characters, it is cut anyway.)
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
    """Whether that character never joins the one before it; of some it is not worth to tell."""
    return character < "\u0300" or "\u3400" <= character <= "\u9fff"
