"""Texts that break things, and Hypothesis strategies for texts and for the numbers of a network."""

import numpy as np
from hypothesis import strategies as st

from charrnn.arrays import Array

NASTY = {
    "empty": "",
    "space": " ",
    "combining marks": "e\u0301 a\u0308\u0323 Z\u0351\u036b\u0343\u034balgo q\u0307\u0323",
    "mark first": "\u0301a \u0301",
    "joined emoji": "a \U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family, "
    "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fd",
    "right to left": "\u202bשל\u05d5ם ע\u05d5לם\u202c مرحبا، بالعالم! \u200fabc",
    "NUL": "a\x00b \x00\x00unknown",
    "like the unknown token": "\x00unknown",
    "NUL at the end": "a\x00",
    "controls": "\x01\x1b[31m\x7f\x85\x1c \x0b\x0c",
    "line ends": "one\r\ntwo\rthree\n\r\nfour\u2028five\u2029",
    "no space": "abcdefghij" * 130,
    "punctuation": "!?.,;:--'''\"" * 100,
    "hyphens": "a-b-c-d-e-f" * 100,
    "many spaces": "a" + " " * 300 + "b" + " " * 65,
    "many line breaks": "\n" * 40 + "a" + "\n" * 17,
    "indentation": "def f():\n\tif x:\n\t\treturn 1\n    else:\n        \t pass  \n",
    "apostrophes": "don’t don't ’tis rock’n’roll o’’clock '",
    "underscores": "_snake_case__ _ ‿x‿",
    "CJK": "吾輩は猫である。名前はまだ無い。\u3000한국어 漢字",
    "astral": "\U0001d54f\U00020000\U0010ffff\ufffe\uffff",
    "byte order mark": "a\ufeffb",
    "vowel signs": "हिन्दी में शब्द। العَرَبِيَّة می‌خواهم שָׁלוֹם",
    "no spaces": "ภาษาไทย เด็กกินข้าว။ မြန်မာ ខ្មែរ ຂ້ອຍ abc漢字def カタカナ",
    "digits": "3.14159 1,000,000 ٣٤٥ ²³ ½",
}
LONE_SURROGATES = ["\ud800", "abc\udfff", "\udc80 \ud83d", "\ude00\ud83d"]

_alphabets = st.sampled_from(
    [
        "ab",
        "ab ",
        "a \n",
        "aé’'- \n",
        " \t\n",
        "ab\r\n",
        "猫e\u0301 _.\n",
        "猫ก\u0e34e\u0301'\u200c ",
    ]
)
texts = st.one_of(
    st.text(max_size=60),
    _alphabets.flatmap(lambda alphabet: st.text(alphabet, max_size=80)),
    st.lists(st.sampled_from([*NASTY.values()]) | st.text(max_size=8), max_size=4).map("".join),
)
"""Any text of valid characters."""


_wide = st.floats(-21, 20, width=32).map(lambda x: x if x >= -20 else -np.inf)
_tied = st.sampled_from([-np.inf, -2.0, 0.0, 0.5, 3.0])


@st.composite
def logits(draw: st.DrawFn) -> Array:
    """Logits [B, V] with ties and -inf, at least one of each row finite."""
    batch, size = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    numbers = draw(st.sampled_from([_wide, _tied]))
    values = draw(st.lists(numbers, min_size=batch * size, max_size=batch * size))
    rows = np.array(values, np.float32).reshape(batch, size)
    rows[np.isneginf(rows.max(axis=1)), 0] = 0
    return rows


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """The text in blocks of any size, empty ones too."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


_atoms = st.sampled_from(
    [
        *("a", "e", "x", "fox", "The", " ", "café", ",", r"\n", ".", "[a-m]", "[^a-m]", "[^,]", ""),
        *(r"\w", r"\W", r"\d", r"\s", r"\S", "(?i:tHE)", "(?i:[a-f])", "(?s:.)", r"(?a:\w)", "猫"),
    ]
)
_repeats = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "*?", "{0}"])


def _repeated(parts: tuple[str, str]) -> str:
    """A repeat; not of one without end, for which `re` may take for ever."""
    inner, repeat = parts
    return f"(?:{inner}){repeat if not {*'*+{'} & {*inner} else '?'}"


patterns = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, _repeats).map(_repeated),
    ),
    max_leaves=8,
)
"""Regular expressions whose repeats are not nested."""
