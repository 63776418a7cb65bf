"""Generation: repeatable, as long as asked, from every seed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.cells import CELLS
from charrnn.errors import TextError, UsageError
from charrnn.model import Model
from charrnn.tokenizer import TOKENIZERS, CharTokenizer, WordTokenizer
from tests.models import CORPUS, random_model
from tests.strategies import LONE_SURROGATES, NASTY, texts


def written(model: Model, seed: str = "", length: int = 60, **options: float | None) -> str:
    return "".join(model.generate(seed, length, **({"random_seed": 0} | options)))  # type: ignore[arg-type]


class TestRepeatable:
    @settings(max_examples=20)
    @given(random_seed=st.integers(0, 2**63))
    def test_random_seed(self, model: Model, random_seed: int) -> None:
        """The same random seed gives the same text."""
        texts = {written(model, "The fox", random_seed=random_seed) for _ in range(2)}
        assert len(texts) == 1

    def test_other_random_seed(self, model: Model) -> None:
        """Another random seed, or none, gives another text."""
        assert len({written(model, "The fox", random_seed=i) for i in range(5)}) == 5
        assert len({written(model, "The fox", random_seed=None) for _ in range(5)}) == 5

    def test_greedy(self, model: Model) -> None:
        """At temperature 0 the text does not depend on the random seed."""
        texts = {written(model, "The fox", random_seed=i, temperature=0) for i in [*range(5), None]}
        assert len(texts) == 1

    def test_greedy_is_the_likeliest(self, char_model: Model) -> None:
        """At temperature 0 every character is the one that costs least after those before."""
        text = "The"
        for c in written(char_model, text, 8, temperature=0):
            cost = {
                t: char_model.score(text + t).nats for t in char_model.file.tokenizer.tokens[:-1]
            }
            assert cost[c] == pytest.approx(min(cost.values()), abs=1e-4)
            text += c

    def test_earlier_texts_do_not_matter(self, model: Model) -> None:
        """A text does not depend on what the same model wrote before or writes meanwhile."""
        alone = written(model, "The fox")
        one, other = (model.generate("The fox", 60, random_seed=0) for _ in range(2))
        pairs = list(zip(one, other, strict=True))
        assert "".join(a for a, _ in pairs) == "".join(b for _, b in pairs) == alone

    def test_streams(self, model: Model) -> None:
        """Text comes token by token, so that the start of a long one is there at once."""
        start = itertools.islice(model.generate("The", 10**12, random_seed=0), 20)
        assert written(model, "The", 200).startswith("".join(start))

    def test_seed_matters(self, model: Model) -> None:
        """What is written depends on the seed."""
        assert len({written(model, s) for s in ("The fox", "The crow", "It's", "")}) == 4


class TestLength:
    @settings(max_examples=40)
    @given(s=texts, length=st.integers(0, 50))
    def test_char(self, char_model: Model, s: str, length: int) -> None:
        """A character model writes exactly as many characters as asked, from any seed."""
        assert len(written(char_model, s, length)) == length

    @settings(max_examples=80)
    @given(s=texts, length=st.integers(0, 50))
    def test_word(self, word_model: Model, s: str, length: int) -> None:
        """A word model ends with the token that reaches the length asked, from any seed."""
        tokens = list(word_model.generate(s, length, random_seed=0))
        assert (len("".join(tokens)) >= length) and (
            len("".join(tokens[:-1])) < length or not tokens
        )

    @pytest.mark.parametrize("length", [0, -1])
    def test_nothing(self, model: Model, length: int) -> None:
        """A length of 0 writes nothing."""
        assert written(model, "The fox", length) == ""


class TestSeeds:
    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("level", TOKENIZERS)
    def test_empty(self, level: str, cell: str) -> None:
        """Without a seed every cell writes on from the opening."""
        tokenizer = TOKENIZERS[level].train(CORPUS)
        assert len(written(random_model(tokenizer, cell))) >= 60
        the = written(random_model(tokenizer, cell, opening="The"))
        assert the == written(random_model(tokenizer, cell, opening=""), "The")

    @pytest.mark.parametrize("s", NASTY.values(), ids=NASTY)
    def test_nasty(self, model: Model, s: str) -> None:
        """Every seed is continued, whatever characters it holds."""
        assert len(written(model, s, 20)) >= 20

    @pytest.mark.parametrize(
        "end",
        [
            " ",
            "  ",
            "   ",
            "\n",
            "\n\n\n",
            "\t",
            " \t",
            "\n  ",
            "\u3000",
            "\r\n",
            "\u2028",
            " " * 99,
        ],
        ids=ascii,
    )
    def test_white_space_at_the_end(self, model: Model, end: str) -> None:
        """A seed is continued whatever white space it ends in, seen in training or not."""
        assert len(written(model, "The fox" + end, 20)) >= 20

    def test_no_token_starts_with_a_space(self) -> None:
        """A seed that ends in a space is continued by a vocabulary without one."""
        model = random_model(WordTokenizer.train("吾輩は猫。吾輩は猫。"))
        assert len(written(model, "猫 ", 20)) >= 20

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogate(self, model: Model, s: str) -> None:
        """A seed that is no valid Unicode is refused."""
        with pytest.raises(TextError, match="surrogate"):
            written(model, s)

    def test_unseen_is_the_unknown_token(self, model: Model) -> None:
        """The model reads every unseen character alike."""
        assert written(model, "The 猫 ") == written(model, "The ☃ ")


class TestTokens:
    @pytest.mark.parametrize("level", TOKENIZERS)
    @pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"temperature": 2}, {"top_k": 1}])
    @pytest.mark.parametrize("s", ["", "The ", "猫"])
    def test_never_unknown(self, level: str, options: dict[str, float], s: str) -> None:
        """The unknown token is never written, even if the model finds nothing likelier."""
        tokenizer = TOKENIZERS[level].train(CORPUS)
        model = random_model(tokenizer, favourite=tokenizer.unknown_id)
        text = written(model, s, 200, **options)
        assert "\x00" not in text
        assert tokenizer.unseen(text) == []

    def test_space_at_the_end_of_a_seed(self) -> None:
        """A word model goes on after a seed's space with the word alone, after none with both."""
        model = random_model(WordTokenizer.train(CORPUS), favourite=" fox")
        assert written(model, "The ", 11) == "fox fox fox"
        assert written(model, "The", 12) == " fox fox fox"

    def test_word_after_a_space(self, word_model: Model) -> None:
        """After a seed's space a word is drawn as often as that word with its space."""
        tokenizer = word_model.file.tokenizer
        with_space = [t for t in tokenizer.tokens[:-1] if t.startswith(" ")]
        cost = {t: word_model.score("The" + t).nats for t in with_space}
        least = min(cost.values())
        total = sum(np.exp(least - c) for c in cost.values())
        firsts = [
            next(word_model.generate("The ", 1, temperature=1, random_seed=i)) for i in range(1500)
        ]
        assert set(firsts) <= {t[1:] for t in with_space}
        for token in with_space:
            p = float(np.exp(least - cost[token]) / total)
            expected = 1500 * p
            assert abs(firsts.count(token[1:]) - expected) <= 5 * np.sqrt(expected) + 1

    def test_half_a_word(self) -> None:
        """A seed that ends within a word is continued as it stands."""
        tokenizer = WordTokenizer.train(CORPUS)
        assert written(random_model(tokenizer, favourite="x"), "The fo", 1) == "x"

    def test_top_k_of_one(self, model: Model) -> None:
        """Drawing from the single likeliest token is greedy."""
        assert written(model, "The", top_k=1) == written(model, "The", temperature=0)

    def test_filters_narrow(self) -> None:
        """Filters leave out what is unlikely and let through what is not."""
        model = random_model(CharTokenizer.train(CORPUS))
        wide = {next(model.generate("The", 1, temperature=1, random_seed=i)) for i in range(200)}
        for options in ({"top_k": 3}, {"top_p": 0.2}, {"min_p": 0.6}):
            narrow = {
                next(model.generate("The", 1, temperature=1, random_seed=i, **options))
                for i in range(200)
            }
            assert narrow < wide


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"min_p": 2.0}, {"random_seed": -1}],
    ids=str,
)
def test_out_of_range(model: Model, options: dict[str, float]) -> None:
    """A value out of its range is a usage error before anything is written."""
    with pytest.raises(UsageError):
        model.generate("The", **options)  # type: ignore[arg-type]
