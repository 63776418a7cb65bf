"""Wrapping the lines of a session between words."""

from itertools import accumulate

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth

PROMPT = 2  # columns of the prompt before each line


def spaces_before(text: str, width: int) -> list[int]:
    """Return the number of spaces to insert before each character, so that words do not break.

    Args:
        text: one line, wider than the screen.
        width: columns available; a character may take two.

    Returns:
        The number of spaces before each character and at the end, [len(text) + 1].
    """
    spaces = [0] * (len(text) + 1)
    column = word = at_word = 0  # index of the word's start, and its column
    for i, character in enumerate(text):
        if i and text[i - 1] == " ":
            word, at_word = i, column
        columns = get_cwidth(character)
        if column + columns > width and character != " ":
            if at_word > 0:
                spaces[word] = width - at_word
                column -= at_word
            if column + columns > width:  # the word alone is too long
                column = 0
            at_word = 0
        column = column % width + columns if column == width else column + columns
    return spaces


class WordWrap(Processor):
    """Pads screen lines with spaces, so that each begins with a word."""

    def apply_transformation(self, ti: TransformationInput) -> Transformation:
        """Return the line with spaces before words that would break."""
        fragments = explode_text_fragments(ti.fragments)
        width = ti.width - PROMPT
        text = fragment_list_to_text(fragments)
        if width < 2 * PROMPT or get_cwidth(text) <= width or "\n" in text:
            return Transformation(ti.fragments)
        spaces = spaces_before(text, width)
        wrapped: StyleAndTextTuples = []
        for count, fragment in zip(spaces, fragments, strict=False):
            wrapped += [("", " ")] * count + [fragment]
        shown = [i + more for i, more in enumerate(accumulate(spaces))]
        source = [i for i, count in enumerate(spaces) for _ in range(count + 1)]
        return Transformation(
            wrapped,
            source_to_display=lambda i: shown[min(i, len(shown) - 1)],
            display_to_source=lambda i: source[min(i, len(source) - 1)],
        )
