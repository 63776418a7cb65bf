"""The levels, and a text to learn them from."""

from charrnn.tokenizer import TOKENIZERS

LEVELS = [*TOKENIZERS]
SEEN = (
    "The fox's café is shut. The fox's café is\n\n    shut, isn’t it?\tIt isn’t, it is: ok -- ok.\n"
)
