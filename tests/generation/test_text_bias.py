"""Bans and biases of texts, whatever the tokens are."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import SamplingConfig, StopConfig
from charrnn.errors import UsageError
from charrnn.generation.sample import Sample
from charrnn.generation.text_bias import TextBias
from charrnn.model import Model
from charrnn.tokenizer import TOKENIZERS
from tests.models import CORPUS, random_model

LEVELS = {level: tokenizer.train(CORPUS) for level, tokenizer in TOKENIZERS.items()}


def written(model: Model, seed: str, bias: Mapping[str, float], random_seed: int = 0) -> str:
    return "".join(model.generate(seed, 30, temperature=1, bias=bias, random_seed=random_seed))


class TestBan:
    @settings(max_examples=25)
    @given(
        seed=st.sampled_from(["", "The fox", "The ", "The crow sat\n", "It's c", "a  ", "猫 "]),
        start=st.integers(-6, 6),
        length=st.integers(1, 12),
        others=st.lists(st.sampled_from(["o", "the", "x and", "\n", " c", "猫"]), max_size=2),
        random_seed=st.integers(0, 3),
    )
    @pytest.mark.slow
    def test_never(
        self, model: Model, seed: str, start: int, length: int, others: list[str], random_seed: int
    ) -> None:
        """What would be written is not, once it is banned, over tokens and from the seed on."""
        start = max(0, len(seed) + start)
        end = max(start + length, len(seed) + 1)
        banned = [*others, (seed + written(model, seed, {}, random_seed))[start:end]]
        text = written(model, seed, dict.fromkeys(banned, -math.inf), random_seed)
        for ban in banned:
            assert ban not in (seed + text)[max(0, len(seed) - len(ban) + 1) :]

    def test_after_a_space(self) -> None:
        """A ban holds over a space at the seed's end, which is part of a word model's token."""
        model = random_model(LEVELS["word"], favourite=" fox")
        assert "The fox" in "The " + written(model, "The ", {})
        assert not written(model, "The ", {"The fox": -math.inf}).startswith("fox")

    @pytest.mark.parametrize("seed", ["The ", "The crow. ", "The\n", "  "])
    @pytest.mark.parametrize("level", LEVELS)
    def test_what_the_seed_ends_with(self, level: str, seed: str) -> None:
        """A ban holds even if every token that continues the seed's space is banned."""
        model = random_model(LEVELS[level])
        for random_seed in range(3):
            text = written(model, seed, dict.fromkeys(" \no", -math.inf), random_seed)
            assert text
            assert not set(" \no") & set(text)

    def test_another_is_free(self) -> None:
        """A ban excludes only the whole text, not texts that begin or continue like it."""
        model = random_model(LEVELS["char"], favourite="o")
        assert written(model, "", {"fox": -math.inf}) == "o" * 30
        assert written(model, "f", {"fo": -math.inf})[1:] == "o" * 29

    @pytest.mark.parametrize("options", [{"temperature": 0}, {"top_k": 1}, {"no_repeat_ngram": 1}])
    def test_other_controls(self, options: dict[str, Any]) -> None:
        """A ban holds whatever other controls say."""
        model = random_model(LEVELS["char"], favourite="o")
        text = "".join(model.generate("", 30, bias={"oo": -math.inf}, random_seed=0, **options))
        assert "oo" not in text
        assert "o" in text

    def test_everything(self, model: Model) -> None:
        """To ban every token is wrong usage."""
        every = dict.fromkeys(model.file.tokenizer.tokens[:-1], -math.inf)
        with pytest.raises(UsageError, match="bias bans every token"):
            written(model, "The", every)

    def test_all_but_one(self, char_model: Model) -> None:
        """What is not banned is written."""
        every = dict.fromkeys(char_model.file.tokenizer.tokens[:-1], -math.inf)
        del every["x"]
        assert written(char_model, "The", every) == "x" * 30


class TestBias:
    @pytest.mark.parametrize(
        ("level", "word", "steps"),
        [
            ("char", "fox", (0.0, 8.0, 14.0, 30.0)),
            ("char", "an", (-9.0, 4.0, 8.0, 16.0)),
            ("word", "fox", (-9.0, 0.0, 2.0, 4.0)),
            ("word", "crow sat", (-9.0, 4.0, 8.0, 20.0)),
        ],
    )
    def test_frequency(self, level: str, word: str, steps: tuple[float, ...]) -> None:
        """The more nats, the more often a text is written."""
        model = random_model(LEVELS[level])
        counts = []
        for nats in steps:
            sampling = SamplingConfig(1, bias={word: nats})
            samples = [Sample("", sampling, (i,)) for i in range(30)]
            texts = dict.fromkeys(samples, "")
            for part in model.write(samples, StopConfig(chars=30), 0):
                texts[part.sample] += part.text
            counts.append(sum(text.count(word) for text in texts.values()))
        assert counts == sorted(set(counts))

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("text", ["fox", "don't", "crow and the fox", "The end, the", "x."])
    @pytest.mark.parametrize("nats", [3.0, -3.0])
    def test_whole(self, level: str, text: str, nats: float) -> None:
        """From its start on, the tokens of a text are given its nats in all."""
        tokenizer = LEVELS[level]
        bias = TextBias(tokenizer, {text: nats})
        given, before = 0.0, "\n"
        for token in tokenizer.encode(text).tolist():
            given += bias.after(before)[token]
            before += tokenizer.tokens[token]
        assert given == pytest.approx(nats)

    def test_not_within_a_word(self) -> None:
        """The first letter is led to where a word may begin, not within another."""
        tokenizer = LEVELS["char"]
        bias = TextBias(tokenizer, {"fox": 3.0})
        f, o = tokenizer.encode("fo").tolist()
        assert [bool(bias.after(s)[f]) for s in ("", "the ", '"', "the", "o")] == [1, 1, 1, 0, 0]
        assert bias.after("of")[o] == 1
        assert not bias.after("e\u0301")[f]

    def test_script_without_spaces(self) -> None:
        """Where a script has no spaces a text may begin after any character."""
        tokenizer = TOKENIZERS["char"].train("猫と犬が")
        bias = TextBias(tokenizer, {"猫が": 3.0})
        assert bias.after("犬と")[tokenizer.encode("猫")[0]]

    def test_marks(self) -> None:
        """A text that begins with a mark or a space is led to after a word."""
        tokenizer = LEVELS["char"]
        for text in (", and", " fox"):
            assert TextBias(tokenizer, {text: 5.0}).after("the")[tokenizer.encode(text)[0]]

    def test_unknown(self) -> None:
        """The token of unseen characters is left alone, and so is all that is not asked for."""
        tokens = LEVELS["word"].tokens
        bias = TextBias(LEVELS["word"], {"fox": 3.0, "unknown": 3.0, "\x00": 3.0, "th": 1.0})
        for before in ("", "the", "the f"):
            assert bias.after(before)[-1] == 0
            assert not bias.after(before)[tokens.index(" sat")]

    def test_constant(self) -> None:
        """The bias of single tokens is the same after every text, and known to be."""
        bias = TextBias(LEVELS["char"], {"a": 1.0, "b": -math.inf})
        assert bias.constant
        assert np.array_equal(bias.after(""), bias.after("xa"))
        assert not TextBias(LEVELS["char"], {"ab": 1.0}).constant
        assert TextBias(LEVELS["char"], {}).constant
