"""Texts made ready for training."""

import math

import pytest

from charrnn.errors import TextError
from charrnn.text.split import Parts
from charrnn.training.corpus import Corpus
from tests.training.small import TEXT


def test_unseen_characters_are_charged() -> None:
    """A held-out character out of vocabulary adds its escape cost to the loss."""
    plain = Corpus.prepare(Parts.of([TEXT], 0.1))
    strange = Corpus.prepare(Parts.of([TEXT[:-1] + "§"], 0.1))
    assert plain.escape_nats == 0
    assert strange.nats_per_char(1.0) == pytest.approx(1 + math.log(0x110000) / strange.val_chars)
    assert "§" not in strange.tokenizer.tokens


@pytest.mark.parametrize("text", ["", "x", "too short a text"])
def test_too_little_text(text: str) -> None:
    """A text that is too short to train on is refused."""
    with pytest.raises(TextError):
        Corpus.prepare(Parts.of([text], 0.1))
