"""Lines of a session are broken between words."""

from itertools import accumulate

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth

PROMPT = 2  # columns before the text of each line


def spaces_before(text: str, width: int) -> list[int]:
    """How many spaces before each character, and the end, carry its word to the next line.

    Args:
        text: one line, longer than the screen is wide.
        width: columns of the screen that it may use; a character may take two.
    """
    spaces = [0] * (len(text) + 1)
    column = word = at_word = 0  # where the word begins in the text, and on the screen
    for i, character in enumerate(text):
        if i and text[i - 1] == " ":
            word, at_word = i, column
        taken = get_cwidth(character)
        if column + taken > width and character != " ":
            if at_word > 0:
                spaces[word] = width - at_word
                column -= at_word
            if column + taken > width:  # the word alone is too long
                column = 0
            at_word = 0
        column = column % width + taken if column == width else column + taken
    return spaces


class WordWrap(Processor):
    """Fills up screen lines with spaces, so that the next one begins with a word."""

    def apply_transformation(self, ti: TransformationInput) -> Transformation:
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
