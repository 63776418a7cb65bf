"""Text that matches a regular expression: always, whole, and as likely as the model finds it."""

import math
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import StopConfig
from charrnn.errors import ModelFileError, UsageError
from charrnn.generation import matching
from charrnn.generation.sample import Sample
from charrnn.model import Model
from charrnn.text.blocks import END
from charrnn.tokenizer import TOKENIZERS, CharTokenizer, WordTokenizer
from tests.models import CORPUS, random_model, texts_of
from tests.strategies import patterns

SENTENCE = r"[A-Z][a-z]+( [a-z]+){1,3}\."


@pytest.fixture
def _improbable_too() -> Iterator[None]:
    """Patterns that a network of random weights finds improbable are written all the same."""
    with patch.object(matching, "LOG_LEAST", -1000):
        yield


def written(model: Model, pattern: str, seed: str = "", length: int = 60, **options: Any) -> str:
    options = {"random_seed": 0} | options
    return "".join(model.generate(seed, length, match=pattern, **options))


def some(
    model: Model, pattern: str, count: int = 30, best_of: int = 1, chars: int = 60
) -> list[str]:
    samples = [Sample("", key=(0, i)) for i in range(count)]
    stop = StopConfig(chars=chars, match=pattern)
    texts = {part.sample: part.text for part in model.write(samples, stop, 0, best_of=best_of)}
    return [texts[sample] for sample in samples]


class TestMatches:
    @settings(max_examples=60)
    @given(
        pattern=patterns,
        seed=st.sampled_from(["", "The fox", "The ", "It’s a\n", " ", "x  "]),
        length=st.integers(0, 40),
        random_seed=st.integers(0, 99),
        options=st.sampled_from(
            [{}, {"temperature": 0}, {"temperature": 0.3}, {"top_k": 1}, {"min_p": 0.5}]
        ),
    )
    def test_whole(
        self,
        model: Model,
        pattern: str,
        seed: str,
        length: int,
        random_seed: int,
        options: dict[str, Any],
    ) -> None:
        """The text matches the whole pattern and the length, at every level and after any seed."""
        told = ""
        try:
            text = written(model, pattern, seed, length, random_seed=random_seed, **options)
        except UsageError as error:
            told = str(error)
        if told:
            assert re.search("no text|at least|probability", told)
        else:
            assert re.fullmatch(pattern, text)
            assert len(text) <= length

    @pytest.mark.parametrize(
        "options",
        [
            {"temperature": 0},
            {"temperature": 0.2},
            {"temperature": 5},
            {"top_k": 1},
            {"top_p": 0.1},
            {"typical_p": 0.1},
            {"min_p": 0.9},
            {"mirostat": 1},
            {"repetition_penalty": 3},
            {"frequency_penalty": 50},
            {"no_repeat_ngram": 1},
            {"no_repeat_ngram": 2},
            {"bias": {"fox": 5}},
            {"bias": {"e": -math.inf, ".": -math.inf, "The": -math.inf}},
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("_improbable_too")
    def test_controls(self, model: Model, options: dict[str, Any]) -> None:
        """No control of sampling keeps a text from matching; what it bans is then written."""
        for i in range(5):
            text = written(model, r"The [a-z ]{5,20}e\.", "The fox", random_seed=i, **options)
            assert re.fullmatch(r"The [a-z ]{5,20}e\.", text)

    def test_known_words(self, word_model: Model) -> None:
        """A word model writes words outside its vocabulary where the pattern needs them."""
        for temperature in (0, 0.5, 1):
            text = written(word_model, " foxes?|crown", known_words=True, temperature=temperature)
            assert re.fullmatch(" foxes?|crown", text)

    def test_spelled(self) -> None:
        """A word model spells what is no token, and begins with the space that ends the seed."""
        model = random_model(WordTokenizer.train(CORPUS * 3))
        assert {written(model, "nox|xon", random_seed=i) for i in range(20)} == {"nox", "xon"}
        assert written(model, "fox", "The ") == "fox"
        assert written(model, "nox", "The ") == "nox"
        assert written(model, " fox", "The ") == " fox"

    @pytest.mark.usefixtures("_improbable_too")
    def test_bytes(self) -> None:
        """A byte model writes whole characters, of which it may know no other way."""
        model = random_model(TOKENIZERS["byte"].train(CORPUS))
        for pattern in ("[é猫\U0001f98a]{3}", "[^\x00-\u07ff]{2}", r"[\ud7fb\U0010ffff]"):
            for i in range(10):
                text = written(model, pattern, random_seed=i, min_p=0, temperature=9)
                assert re.fullmatch(pattern, text)

    def test_normalised(self, char_model: Model) -> None:
        """A pattern is normalised as the text is."""
        assert written(char_model, "cafe\u0301|naïve") in ("café", "naïve")

    def test_not_the_seed(self, model: Model) -> None:
        """What matches is the text without the seed."""
        assert written(model, "fox", "The ") == "fox"


class TestEnd:
    @pytest.mark.usefixtures("_improbable_too")
    def test_no_choice(self, model: Model) -> None:
        """A text ends where nothing may follow."""
        assert written(model, "The fox") == "The fox"
        assert written(model, "") == ""

    def test_length(self, model: Model) -> None:
        """A text has at most as many characters as allowed, and still matches."""
        for length in (6, 7, 20):
            texts = some(model, "(?s).*(fox|crow)s?", chars=length)
            assert all(re.fullmatch("(?s).*(fox|crow)s?", text) for text in texts)
            assert max(map(len, texts)) <= length
            assert len({*texts}) > 5

    def test_no_length(self, char_model: Model) -> None:
        """Without a length, a text that need not end ends all the same."""
        sample = Sample("")
        (part,) = char_model.write([sample], StopConfig(match="(?s).*"), 0)
        assert (len(part.text), sample.why, part.last) == (500, "match", True)

    def test_line(self) -> None:
        """Running text ends where the model would write what the pattern does not allow."""
        ending = random_model(CharTokenizer.train(CORPUS), favourite="\n", by=8)
        assert np.mean([*map(len, some(ending, "[^\n]{3,}"))]) < 3.5
        never = random_model(CharTokenizer.train(CORPUS), favourite="a")
        assert {*some(never, "[^\n]{3,}")} == {"a" * 60}

    @pytest.mark.parametrize("kind", ["lines", "documents"])
    def test_item(self, kind: str) -> None:
        """An item ends where the model ends it, and holds no end of an item."""
        tokenizer = CharTokenizer.train(CORPUS + END)
        end = {"lines": "\n", "documents": END}[kind]
        model = random_model(tokenizer, kind=kind, favourite=end, by=4)
        texts = some(model, r"[^x]{2,}", 60, chars=1000)
        assert all(len(text) > 1 and end not in text for text in texts)
        assert min(map(len, texts)) == 2 < max(map(len, texts))
        with pytest.raises(UsageError, match="no text"):
            written(model, f"a{end}b")

    def test_cut_item(self) -> None:
        """An item that the model would not end is cut at the length."""
        model = random_model(CharTokenizer.train(CORPUS + END), kind="documents", favourite="a")
        assert written(model, "a*", length=50) == "a" * 50


class TestRepeatable:
    def test_random_seed(self, model: Model) -> None:
        """The same random seed gives the same text, another one another; so for several texts."""
        texts = [written(model, SENTENCE, random_seed=i) for i in (1, 1, 2)]
        assert texts[0] == texts[1] != texts[2]
        assert some(model, SENTENCE) == some(model, SENTENCE)
        assert len({*some(model, SENTENCE)}) > 20

    def test_others_do_not_matter(self, model: Model) -> None:
        """A text does not depend on how many others are written."""
        assert some(model, SENTENCE, 20)[:3] == some(model, SENTENCE, 3)

    def test_small_cache(self, model: Model) -> None:
        """Nor on what is remembered of the pattern."""
        before = some(model, SENTENCE)
        with patch.object(matching, "CACHED", 0):
            assert some(model, SENTENCE) == before


class TestNoted:
    def test_why(self, model: Model) -> None:
        """The text comes whole, with its tokens and their log-probability."""
        sample = Sample("", model.sampling())
        stop = StopConfig(match=SENTENCE)
        (part,) = model.write([sample], stop, 0, scored=True)
        assert part.nats is not None
        assert (part.sample, part.last, sample.why) == (sample, True, "match")
        assert len(part.nats) == len(part.text)
        assert sample.tokens == len(model.file.tokenizer.encode(part.text)) or sample.tokens > 3
        assert sample.logp == pytest.approx(-part.nats.sum(), rel=1e-4)


class TestProbability:
    def test_estimate(self) -> None:
        """The mean of the weights is the probability of the pattern."""
        tokenizer = CharTokenizer("abc\n")
        model = random_model(tokenizer, favourite=tokenizer.unknown_id, by=-1000)
        expected = 0.0
        for text in ("a", "ab", "bb", "abb"):
            own = -float(model.surprisal([text])[0].sum())
            on = {"a": "b", "ab": "b"}.get(text)  # what goes on matching
            going_on = math.exp(-float(model.surprisal([text + on])[0][-1])) if on else 0
            expected += math.exp(own) * (1 - going_on)
        samples = [Sample("", model.sampling(temperature=1, min_p=0), (0, i)) for i in range(4000)]
        for _ in model.write(samples, StopConfig(match="ab{0,2}|bb"), 0):
            pass
        estimate = np.mean([math.exp(sample.weight) for sample in samples])
        assert estimate == pytest.approx(expected, rel=0.05)

    def test_best_of(self, char_model: Model) -> None:
        """Of several candidates, one that the model finds likelier is chosen."""
        model = random_model(CharTokenizer.train(CORPUS), favourite="f", by=3)

        def nats(best_of: int) -> float:
            return sum(model.score(text).nats for text in some(model, "[a-z]{4}ox", 40, best_of))

        assert nats(16) < nats(1)

    def test_improbable(self) -> None:
        """A pattern that the model finds next to impossible is refused."""
        model = random_model(CharTokenizer.train(CORPUS), favourite="a", by=30)
        with pytest.raises(UsageError, match="probability below 1e-12"):
            written(model, ".*b{2,}")
        assert written(model, "a*b?") != ""

    def test_long(self) -> None:
        """A long text may be as improbable as its length makes it."""
        model = random_model(CharTokenizer.train(CORPUS))
        sample = Sample("")
        (text,) = texts_of(model, [sample], StopConfig(chars=400, match="[^a-e]{300,}x"))
        assert re.fullmatch("[^a-e]{300,}x", text)
        assert sample.weight < math.log(matching.LEAST)

    def test_hindsight(self) -> None:
        """A text that went on into what is improbable ends where it could have ended before."""
        model = random_model(CharTokenizer("abc"), favourite="b", by=-8)
        texts = some(model, "[ac]*ab?|[ac]{10,}bbb", 60, chars=13)
        assert sum(text.endswith("bbb") for text in texts) == 0
        assert some(model, "[ac]{10,}bbb", chars=13)

    def test_always_hindsight(self) -> None:
        """Where going on costs nothing, the end is as likely as the model finds it."""
        model = random_model(CharTokenizer.train(CORPUS), favourite="\n", by=1)
        lengths = [len(text) for text in some(model, "[^\n]*", 400, chars=500)]
        plain = [
            len(text)
            for text in texts_of(
                model, [Sample("", key=(0, i)) for i in range(400)], StopConfig(chars=500)
            )
            for text in [text.partition("\n")[0]]
        ]
        assert np.mean(lengths) == pytest.approx(np.mean(plain), rel=0.2)

    def test_another_attempt(self) -> None:
        """What one attempt does not reach, another one may."""
        model = random_model(CharTokenizer("ab"), favourite="a", by=0)
        with (
            patch.object(matching, "LOG_LEAST", math.log(0.4)),
            patch.object(matching, "ATTEMPTS", 200),
        ):
            assert some(model, "[ab]{2}", 20, chars=2)


class TestRefused:
    @pytest.mark.parametrize("pattern", ["☃", "The (fox☃|☃)", "猫+", "[^\\s\\S]"])
    @pytest.mark.parametrize("level", ["char", "word", "bpe"])
    def test_out_of_vocabulary(self, level: str, pattern: str) -> None:
        """A pattern that needs characters outside the vocabulary cannot be written."""
        with pytest.raises(UsageError, match="no text of the model's characters"):
            written(random_model(TOKENIZERS[level].train(CORPUS)), pattern)

    def test_too_long(self, model: Model) -> None:
        """A pattern whose every text is too long cannot be written."""
        with pytest.raises(UsageError, match="at least 11 characters"):
            written(model, "[a-z]{11,}", length=10)

    @pytest.mark.parametrize(
        "field",
        ["words", "lines", "sentences", "tokens", "seconds", "stop"],
    )
    def test_other_ends(self, field: str) -> None:
        """Only the pattern and the length end a text that has to match."""
        values: dict[str, Any] = {field: ["a"] if field == "stop" else 1}
        with pytest.raises(UsageError, match=f"match cannot be combined with {field}"):
            StopConfig(match="a", **values)

    def test_copying(self, char_model: Model) -> None:
        """What avoids copies cannot match as well."""
        with pytest.raises(UsageError, match="match cannot be combined with avoid_copying"):
            char_model.write([Sample("")], StopConfig(match="a"), 0, avoid_copying=True)

    def test_damaged(self) -> None:
        """Logits that are no numbers are told as such."""
        model = random_model(CharTokenizer.train(CORPUS), favourite="a", by=math.nan)
        with pytest.raises(ModelFileError, match="not finite"):
            written(model, "a+")


@pytest.mark.usefixtures("_improbable_too")
def test_texts_together(model: Model) -> None:
    """Texts of different seeds and temperatures are written together."""
    samples = [
        Sample(seed, model.sampling(temperature=t), (i, j))
        for i, seed in enumerate(["", "The ", "crow"])
        for j, t in enumerate([0, 0.5, 1])
    ]
    texts = texts_of(model, samples, StopConfig(match=SENTENCE))
    assert all(re.fullmatch(SENTENCE, text) for text in texts)
