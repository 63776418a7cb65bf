"""Words spelled with several tokens are sampled as wholes."""

import re
import string
from typing import Any

import numpy as np
import pytest

from charrnn.config import SamplingConfig, StopConfig
from charrnn.errors import UsageError
from charrnn.generation.sample import Sample
from charrnn.generation.sampling import Sampler
from charrnn.generation.spelling import MAX_REJECTIONS, MAX_WORD_TOKENS
from charrnn.model import Model
from charrnn.network.engine import Streams
from charrnn.tokenizer import TOKENIZERS, Joints, WordTokenizer
from tests.models import CORPUS, random_model, texts_of

TOKENS = [" ", " ab", " c", "x", "y", "."]
JOINTS = Joints(
    open=np.array([True, True, True, True, True, False]),
    goes_on=np.array([False, False, False, True, True, False]),
    parts=np.array([True, False, False, True, True, False]),
)
LETTERS = re.compile(r"[^\W_]+(?:'t)?")
Chances = dict[str, float]


def after(text: str, spelled: Chances) -> Chances:
    """What comes after a text: words of its own, and letters after a space alone."""
    if not text or text[-1] == ".":
        return spelled
    if text.endswith(" "):
        return {"x": 0.7, "y": 0.3}
    if text.endswith((" x", " y")):
        return {"x": 0.1, "y": 0.2, ".": 0.1, " c": 0.6}
    return {".": 0.3, " ": 0.4, " c": 0.3}


def words(spelled: Chances) -> Chances:
    """Return the probability of each word, as sampled at temperature 1."""
    found = {word: p for word, p in spelled.items() if word != " "}
    letters = {"x": 0.7, "y": 0.3}
    for first, p in letters.items():
        found[f" {first}"] = spelled[" "] * p * 0.7
        for second, q in {"x": 0.1, "y": 0.2}.items():
            found[f" {first}{second}"] = spelled[" "] * p * q
    return found


def first_words(spelled: Chances, count: int, **config: Any) -> Chances:
    """The share of each first word among texts, as a sampler draws them."""
    rngs = [np.random.default_rng((1, i)) for i in range(count)]
    sampler = Sampler(SamplingConfig(**config), rngs, [np.zeros(0, int)] * count, JOINTS)
    texts: list[list[int]] = [[] for _ in range(count)]
    found: list[str] = [""] * count
    while not all(found):
        logits = np.full((count, len(TOKENS)), -np.inf, np.float32)
        for row, ids in enumerate(texts):
            for token, p in after("".join(TOKENS[i] for i in ids), spelled).items():
                logits[row, TOKENS.index(token)] = np.log(p)
        drawn = sampler.sample(logits, np.zeros(len(TOKENS), np.float32)).tolist()
        assert sampler.held
        for row, (token, held) in enumerate(zip(drawn, sampler.held, strict=True)):
            ids = texts[row]
            ids.append(token)
            if held < 0:
                sampler.take_back(row, len(ids), last=-1, spelled=True)
                ids.clear()
            elif held < len(ids) and not found[row]:
                found[row] = "".join(TOKENS[i] for i in ids[:-1] or ids)
    return {word: found.count(word) / count for word in set(found)}


def next_token(chances: Chances, t: float, seed: int = 0) -> str:
    """Return what is sampled after a word that may go on."""
    past = [np.array([TOKENS.index(" ab")])]
    sampler = Sampler(SamplingConfig(t), [np.random.default_rng(seed)], past, JOINTS)
    logits = np.full((1, len(TOKENS)), -np.inf, np.float32)
    with np.errstate(divide="ignore"):
        for token, p in chances.items():
            logits[0, TOKENS.index(token)] = np.log(p)
    return TOKENS[sampler.sample(logits, np.zeros(len(TOKENS), np.float32)).item()]


def total_variation(one: Chances, other: Chances) -> float:
    return sum(abs(one.get(word, 0) - other.get(word, 0)) for word in {*one, *other}) / 2


def sharpened(chances: Chances, t: float) -> Chances:
    powers = {word: p ** (1 / t) for word, p in chances.items()}
    return {word: power / sum(powers.values()) for word, power in powers.items()}


MANY = 4000
NOISE = 0.03  # total variation of so many draws
SPELLED = {" ": 0.6, " ab": 0.25, " c": 0.1, ".": 0.05}


class TestTemperature:
    @pytest.mark.parametrize("t", [0.999, 0.8, 0.5, 0.3])
    def test_as_whole_words(self, t: float) -> None:
        """Words are sampled as often as if each were a single token."""
        shares = first_words(SPELLED, MANY, temperature=t)
        assert total_variation(shares, sharpened(words(SPELLED), t)) < NOISE

    @pytest.mark.parametrize("t", [0, 1e-3, 0.02])
    def test_low(self, t: float) -> None:
        """Near 0 it is the likeliest word, though a rare word's first token is likelier."""
        assert first_words(SPELLED, 20, temperature=t) == {" x": 1}
        assert first_words(SPELLED | {" ab": 0.5, " ": 0.35}, 20, temperature=t) == {" ab": 1}

    @pytest.mark.parametrize(
        ("going_on", "likeliest"), [(0.4, " c"), (0.6, "x")], ids=["ends", "goes on"]
    )
    def test_an_end_is_one(self, going_on: float, likeliest: str) -> None:
        """All that may follow a word counts together as its end."""
        left = 1 - going_on
        chances = {"x": going_on, " ": 0.3 * left, " c": 0.4 * left, ".": 0.3 * left}
        assert next_token(chances, 0) == likeliest

    @pytest.mark.parametrize("t", [0.5, 0.01])
    @pytest.mark.parametrize("ends", [0.0, 1e-30, 1e-4, 0.4, 1.0])
    def test_how_often_it_ends(self, t: float, ends: float) -> None:
        """It ends as often as if that were a single token, also where it hardly ever does."""
        chances = {"x": 1 - ends, " ": 0.2 * ends, " c": 0.8 * ends}
        expected = sharpened({"x": 1 - ends, "end": ends}, t)["x"]
        drawn = [next_token(chances, t, seed) for seed in range(400)]
        assert abs(drawn.count("x") / 400 - expected) < 0.1
        assert ends or set(drawn) == {"x"}


class TestLimits:
    @pytest.mark.parametrize("limit", [{"top_k": 2}, {"min_p": 0.4}, {"top_p": 0.8}])
    def test_words_as_likely_as_what_is_left_out(self, limit: dict[str, Any]) -> None:
        """A word is spelled only if it is as likely as the likeliest token that was dropped."""
        found = first_words(SPELLED, 500, temperature=1, **limit)
        assert {" x", " y", " ab"} <= set(found) <= {" x", " y", " ab", " c"}

    def test_the_likeliest(self) -> None:
        """The likeliest token is the word that is likelier than any other token."""
        assert first_words(SPELLED, 20, top_k=1) == {" x": 1}
        assert first_words(SPELLED | {" ab": 0.5, " ": 0.35}, 20, top_k=1) == {" ab": 1}

    def test_a_hopeless_place(self) -> None:
        """If only unlikely words are possible, one of them is written."""
        shares = first_words({" ": 1.0}, 200, temperature=0.01)
        assert shares == {" x": 1}


@pytest.fixture(scope="module")
def spelling() -> Model:
    """A model that spells many words."""
    return random_model(WordTokenizer.train(CORPUS), favourite=" ", by=1.5)


class TestTexts:
    def test_held_back(self, spelling: Model) -> None:
        """A text is the same whole and in parts, alone and beside others."""
        samples = [Sample("The", SamplingConfig(0.7), (i,)) for i in range(5)]
        stop = StopConfig(chars=200)
        together = texts_of(spelling, samples, stop)
        assert len({*together}) == 5
        for i, text in enumerate(together):
            assert texts_of(spelling, [Sample("The", SamplingConfig(0.7), (i,))], stop) == [text]

    def test_surprise(self, spelling: Model) -> None:
        """Tokens that were taken back do not count."""
        sample = Sample("The fox", SamplingConfig(0.6))
        parts = [*spelling.write([sample], StopConfig(tokens=60), 0, scored=True)]
        text = "".join(part.text for part in parts)
        nats = np.concatenate([part.nats for part in parts])
        assert sample.tokens == 60
        assert len(nats) == len(text)
        assert -sample.logp == pytest.approx(nats.sum(), rel=1e-5)

    def test_a_word_without_end(self) -> None:
        """A word that is longer than any is written as it comes."""
        model = random_model(WordTokenizer.train(CORPUS), favourite="x")
        (text,) = texts_of(model, [Sample("The,")], StopConfig(chars=3 * MAX_WORD_TOKENS))
        assert text == "x" * (3 * MAX_WORD_TOKENS)

    def test_few_steps_are_lost(self, spelling: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        """At one position few words are rejected, however low the temperature."""
        steps = 0
        step = Streams.step

        def counted(streams: Streams, ids: Any) -> None:
            nonlocal steps
            steps += 1
            step(streams, ids)

        monkeypatch.setattr(Streams, "step", counted)
        sample = Sample("The", SamplingConfig(0.05))
        texts_of(spelling, [sample], StopConfig(tokens=100))
        assert steps < 100 * 3 * MAX_REJECTIONS


class TestKnownWords:
    @pytest.mark.parametrize("t", [0.0, 0.5, 1.0, 3.0])
    def test_none_is_made_up(self, t: float) -> None:
        """Every word of a text is one of the vocabulary."""
        tokenizer = WordTokenizer.train(CORPUS)
        known = {word for token in tokenizer.tokens for word in LETTERS.findall(token)}
        known -= {*string.ascii_letters}
        model = random_model(tokenizer, favourite=" ", by=3)
        sampling = SamplingConfig(t, known_words=True)
        for text in texts_of(
            model, [Sample("", sampling, (i,)) for i in range(4)], StopConfig(300)
        ):
            assert {*LETTERS.findall(text)} <= known

    def test_seeds(self) -> None:
        """A seed's partial word is completed to one of the vocabulary, or ends."""
        model = random_model(WordTokenizer.train(CORPUS), favourite="x")
        sampling = SamplingConfig(known_words=True)
        assert texts_of(model, [Sample("The fo", sampling)], StopConfig(tokens=1)) == ["x"]

    @pytest.mark.parametrize("level", ["char", "bpe", "byte"])
    def test_other_levels(self, level: str) -> None:
        """Where tokens are no words it is refused."""
        model = random_model(TOKENIZERS[level].train(CORPUS))
        with pytest.raises(
            UsageError, match="known_words needs a word model; train with --level word"
        ):
            [*model.generate("The", known_words=True)]
