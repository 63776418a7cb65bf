"""Subwords as tokens."""

import pytest

from charrnn.tokenizer import (
    BpeTokenizer,
    from_json,
)


class TestBpe:
    def test_frequent_pairs_are_joined(self) -> None:
        """The characters come first, then what is joined, the most frequent pair first."""
        own = BpeTokenizer.train("abab abab ababc" * 2, vocab_size=8)
        assert own.tokens[:-1] == [" ", "a", "b", "c", "ab", "abab", " abab"]
        assert [own.tokens[i] for i in own.encode("abab ababc ab")] == [
            "abab", " abab", "c", " ", "ab"
        ]  # fmt: skip

    def test_words_stay_apart(self) -> None:
        """No token reaches from a word into the next, or from a word into punctuation."""
        own = BpeTokenizer.train("of the king, of the king, of the king,\n" * 50)
        assert {"of", " the", " king", ",", "\n"} == {own.tokens[i] for i in own.encode(
            "of the king,\nof the king")}  # fmt: skip

    @pytest.mark.parametrize("length", [100, 10_000, 1_000_000])
    def test_size(self, length: int) -> None:
        """Left to itself the vocabulary grows with the square root of the text."""
        words = "".join(f"{n * n} " for n in range(length // 4))[:length]
        assert 0.5 * length**0.5 < BpeTokenizer.train(words).vocab_size <= 12 + length**0.5

    @pytest.mark.parametrize(
        "merges",
        [None, {}, "ab", ["ab"], [["a"]], [["a", 1]], [["a", "c"]], [["b", "a"]], [["", "ab"]]],
        ids=repr,
    )
    def test_bad_merges(self, merges: object) -> None:
        """Merges that are no pairs of tokens that make a token describe no tokenizer."""
        with pytest.raises(ValueError, match="merge"):
            from_json({"level": "bpe", "tokens": ["a", "b", "ab"], "merges": merges})
