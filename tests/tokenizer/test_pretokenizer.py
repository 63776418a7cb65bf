"""Pieces that no token crosses."""

import numpy as np
import pytest
from hypothesis import given

from charrnn.tokenizer import (
    TOKENIZERS,
    Tokenizer,
)
from tests.strategies import texts
from tests.tokenizer.texts import SEEN


class TestPieces:
    """Words, punctuation and white space, which words and byte pair encoding start from."""

    @given(s=texts)
    def test_unfinished_is_the_end(self, trained: Tokenizer, s: str) -> None:
        """What may still change is the end of the text."""
        assert s.endswith(trained.unfinished(s))

    @given(s=texts, more=texts)
    def test_what_is_finished_stays(self, trained: Tokenizer, s: str, more: str) -> None:
        """Before the unfinished end, no token changes as more is typed."""
        finished = trained.encode(s.removesuffix(trained.unfinished(s)))
        assert np.array_equal(trained.encode(s + more)[: len(finished)], finished)

    @pytest.mark.parametrize("level", ["word", "bpe"])
    @pytest.mark.parametrize(
        ("s", "end"), [("the ca", " ca"), ("the ", " "), ("the", "the"), ("x!", "!"), ("", "")]
    )
    def test_unfinished(self, level: str, s: str, end: str) -> None:
        """A word being typed is unfinished, with its space."""
        assert TOKENIZERS[level].train(SEEN).unfinished(s) == end
