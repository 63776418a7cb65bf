"""Making a text likelier, or banning it, whatever tokens spell it."""

import math
from collections.abc import Mapping

import numpy as np

from charrnn.arrays import Array
from charrnn.errors import UsageError
from charrnn.tokenizer import Tokenizer, is_half


class TextBias:
    """Turns biases of texts into biases of the tokens that may come next.

    A ban keeps out the token that would complete the text. Any other bias is spread over the
    characters of the text, so that a character model is led into the word from its first letter.

    Args:
        tokenizer: the model's tokenizer; the token for unknown characters gets no bias.
        biases: nats for each text; -inf bans it.

    Attributes:
        anywhere: bias of each token in any position, nats, float32 [V].

    Raises:
        UsageError: the biases ban every token.
    """

    def __init__(self, tokenizer: Tokenizer, biases: Mapping[str, float]) -> None:
        tokens = tokenizer.tokens
        self._read = tokenizer.read
        self.anywhere = np.zeros(len(tokens), np.float32)
        # For each prefix of a biased text: the prefix; whether the text is a word, which cannot
        # begin inside another one; and the bias of tokens that continue the text, [V].
        self._begun: list[tuple[str, bool, Array]] = []
        for bias, nats in biases.items():
            text = tokenizer.spelled(bias)
            starts_word = _starts_word(bias)
            for begun in range(len(text)):
                added = np.zeros(len(tokens), np.float32)
                rest = text[begun:]
                for i, token in enumerate(tokens[:-1]):
                    if begun == 0 and text in token:
                        self.anywhere[i] += nats
                    elif token.startswith(rest):
                        added[i] = nats if math.isinf(nats) else nats * len(rest) / len(text)
                    elif rest.startswith(token) and not math.isinf(nats):
                        added[i] = nats * len(token) / len(text)
                if added.any():
                    self._begun.append((text[:begun], starts_word, added))
        if np.isneginf(self.anywhere[:-1]).all():
            raise UsageError("bias bans every token", "ban less", ["bias"])

    @property
    def constant(self) -> bool:
        """Return whether the bias is the same after every text."""
        return not self._begun

    def after(self, text: str) -> Array:
        """Return the bias of each token after a text, nats, float32 [V].

        Args:
            text: as the tokenizer spells it; only its last characters matter, as many as the
                longest biased text has.
        """
        added = self.anywhere
        last = self._read(text)[-1:] or " "
        for begun, starts_word, more in self._begun:
            within = is_half(last) or (starts_word and _within_word(last))
            if text.endswith(begun) if begun else not within:
                added = added + more
        return added


def _starts_word(text: str) -> bool:
    from charrnn.text.words import is_unspaced

    return text[0].isalnum() and not is_unspaced(text)


def _within_word(character: str) -> bool:
    from charrnn.text.words import MARKS

    return character.isalnum() or character in MARKS
