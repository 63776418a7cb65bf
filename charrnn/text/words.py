"""The definition of a word, for every script.

Compiling the patterns takes milliseconds; commands that rarely need them import this on demand.
"""

import re
import unicodedata

LONGEST_WORD = 100  # maximum characters of a word (not tuned)
LAST_CODE_POINT = "\U0010ffff"  # sorts after every other continuation of a prefix
# Characters allowed inside a word, not at its end: apostrophes, zero-width joiners, hyphen.
JOINERS = "'’\u200c\u200d-"
# Punctuation that follows a word without a space.
CLOSING = ",.;:!?)]}…\"'”’»，。、；：！？）」』】》"
# Character class of the scripts without spaces (Thai, Lao, Burmese, Khmer, Chinese, Japanese), in
# which each character counts as a word.
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e80-\u0eff\u1000-\u1049\u1050-\u109d"
    "\u1780-\u17d3\u17d7\u17dc\u17dd\u17e0-\u17e9\u3005-\u3007\u3041-\u309a\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U000323af"
)
# Ranges of code points that contain all combining marks; searching all of Unicode for them would
# take a tenth of a second.
MARKED = (
    (0x300, 0xE00), (0xF00, 0x1000), (0x1200, 0x1780), (0x1800, 0x3040), (0xA66F, 0xAC00),
    (0xFB1E, 0xFE30), (0x101FD, 0x11F60), (0x16AF0, 0x17000), (0x1E000, 0x1E94B),
)  # fmt: skip
# All combining marks, such as accents and vowel signs, for which `re` has no class.
MARKS = "".join(
    character
    for first, end in MARKED
    for character in map(chr, range(first, end))
    if unicodedata.category(character)[0] == "M"
)
LETTER = rf"[^\W_{UNSPACED}]"  # a letter or digit of a script with spaces
# A word. The lookahead skips the slow search for marks at the common characters up to U+02FF.
WORD = re.compile(rf"{LETTER}++(?:[{JOINERS}]?{LETTER}++|(?![\0-\u02ff])[{MARKS}])*+|[{UNSPACED}]")


def is_unspaced(text: str) -> bool:
    """Return whether a text starts with a character of a script without spaces."""
    return text > "\u0e00" and bool(re.match(f"[{UNSPACED}]", text))


def partial_word(text: str) -> str:
    """Return the word being typed at the end of a text, or "" if there is none.

    A longer word is cut to its last LONGEST_WORD characters.
    """
    end = text[-2 * LONGEST_WORD :].rpartition(" ")[2]
    for word in WORD.finditer(end):
        if word.end() >= len(end) - (end[-1] in JOINERS):
            return "" if is_unspaced(word[0]) else end[word.start() :][-LONGEST_WORD:]
    return ""
