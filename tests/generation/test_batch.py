"""Generation: repeatable, as long as asked, from every seed."""

import itertools
import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import SamplingConfig, StopConfig
from charrnn.errors import TextError, UsageError
from charrnn.generation import batch as generate_module
from charrnn.generation import seed as seed_module
from charrnn.generation.batch import BATCH_SIZE
from charrnn.generation.sample import Part, Sample, in_order
from charrnn.generation.text_bias import TextBias
from charrnn.model import Model
from charrnn.network.cells import CELLS
from charrnn.network.engine import SINGLE_ROWS, Engine
from charrnn.text.blocks import END
from charrnn.tokenizer import TOKENIZERS, ByteTokenizer, CharTokenizer, WordTokenizer
from tests.models import CORPUS, WITH_UNSEEN, random_model, texts_of
from tests.strategies import LONE_SURROGATES, NASTY, texts


def written(model: Model, seed: str = "", length: int = 60, **options: Any) -> str:
    return "".join(model.generate(seed, length, **({"random_seed": 0} | options)))


def one(model: Model, seed: str, stop: StopConfig, **sampling: Any) -> tuple[str, Sample]:
    """A text and what is noted of it."""
    sample = Sample(seed, model.sampling(**sampling))
    return texts_of(model, [sample], stop)[0], sample


class TestDefaults:
    @pytest.mark.parametrize(
        ("level", "temperature", "min_p"),
        [("char", 0.8, 0.05), ("byte", 0.8, 0.05), ("bpe", 0.9, 0.02), ("word", 1.0, 0.01)],
    )
    def test_by_level(self, level: str, temperature: float, min_p: float) -> None:
        """The longer the tokens, the fewer choices make a word, and the bolder each may be."""
        sampling = random_model(TOKENIZERS[level].train(CORPUS)).sampling()
        assert sampling == SamplingConfig(temperature=temperature, min_p=min_p)

    def test_given(self) -> None:
        """What is asked for replaces the defaults, and another limit replaces that of min_p."""
        model = random_model(CharTokenizer.train(CORPUS))
        assert model.sampling(temperature=1.5, min_p=0) == SamplingConfig(1.5, min_p=0)
        with pytest.raises(UsageError, match="no sampling option 'lenght'"):
            model.generate("x", lenght=3)
        assert model.sampling(top_k=3) == SamplingConfig(0.8, top_k=3)
        assert model.sampling(mirostat=3, min_p=0.1) == SamplingConfig(0.8, mirostat=3, min_p=0.1)


class TestItems:
    @pytest.mark.parametrize("level", ["char", "word", "bpe", "byte"])
    @pytest.mark.parametrize("seed", ["", "The fox\n", " "])
    def test_no_line_is_blank(self, level: str, seed: str) -> None:
        """A line does not end before it has begun, however likely its end is; nor as a space."""
        tokenizer = TOKENIZERS[level].train(CORPUS)
        (end,) = tokenizer.encode("\n").tolist()
        lines = random_model(tokenizer, kind="lines", favourite=end)
        written = texts_of(lines, [Sample(seed, key=(0, i)) for i in range(40)], StopConfig())
        assert all(text.strip() for text in written)
        assert texts_of(lines, [Sample("The fox")], StopConfig()) == [""]

    def test_nothing_but_ends(self) -> None:
        """A model that knows nothing but the end of a line writes a blank one."""
        model = random_model(CharTokenizer(["\n"]), kind="lines")
        assert texts_of(model, [Sample("")], StopConfig()) == [""]

    def test_no_document_is_empty(self) -> None:
        """A document does not end before it has begun, but may begin with a space."""
        tokenizer = CharTokenizer.train(CORPUS + END)
        (end,) = tokenizer.encode(END).tolist()
        model = random_model(tokenizer, kind="documents", favourite=end)
        samples = [Sample("", key=(0, i)) for i in range(300)]
        written = texts_of(model, samples, StopConfig())
        assert all(written)
        assert not all(text.strip() for text in written)


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
        """A text does not depend on other texts of the same model, earlier or concurrent."""
        alone = written(model, "The fox")
        one, other = (model.generate("The fox", 60, random_seed=0) for _ in range(2))
        pairs = list(itertools.zip_longest(one, other, fillvalue=""))
        assert "".join(a for a, _ in pairs) == "".join(b for _, b in pairs) == alone

    def test_streams(self, model: Model) -> None:
        """Text comes token by token, so that the start of a long one is there at once."""
        start = "".join(itertools.islice(model.generate("The", 10**12, random_seed=0), 5))
        assert written(model, "The", len(start)) == start

    def test_seed_matters(self, model: Model) -> None:
        """What is written depends on the seed."""
        texts = {
            "".join(written(model, s, random_seed=i) for i in range(5))
            for s in ("The fox", "The crow", "It's", "")
        }
        assert len(texts) == 4


class TestLength:
    @settings(max_examples=20)
    @given(s=texts, length=st.integers(0, 50))
    def test_char(self, char_model: Model, s: str, length: int) -> None:
        """A character model writes exactly as many characters as asked, from any seed."""
        assert len(written(char_model, s, length)) == length

    @settings(max_examples=25)
    @given(s=texts, length=st.integers(0, 50))
    def test_word(self, word_model: Model, s: str, length: int) -> None:
        """A word model ends with the token that reaches the length asked, from any seed."""
        text, sample = one(word_model, s, StopConfig(chars=length))
        assert len(text) >= length
        if sample.tokens:
            assert one(word_model, s, StopConfig(tokens=sample.tokens))[0] == text
            assert len(one(word_model, s, StopConfig(tokens=sample.tokens - 1))[0]) < length

    @pytest.mark.parametrize(("name", "value"), [("length", -1), ("random_seed", -1), ("top_k", 0)])
    def test_out_of_range(self, char_model: Model, name: str, value: int) -> None:
        """An error of the Python interface names its argument, not an option."""
        with pytest.raises(UsageError, match=f"^{name} must be"):
            char_model.generate(**{name: value})  # type: ignore[arg-type]

    def test_nothing(self, model: Model) -> None:
        """A length of 0 writes nothing."""
        assert written(model, "The fox", 0) == ""


class TestSeeds:
    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("level", TOKENIZERS)
    def test_empty(self, level: str, cell: str) -> None:
        """Without a seed every cell writes on from the opening."""
        tokenizer = TOKENIZERS[level].train(CORPUS)
        assert len(written(random_model(tokenizer, cell))) >= 60
        after = written(random_model(tokenizer, cell, opening="The,"))
        assert after == written(random_model(tokenizer, cell, opening=""), "The,")

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

    def test_long(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a very long seed only the end is read."""
        monkeypatch.setattr(seed_module, "SEED_TOKENS", 100)
        with patch.object(Engine, "read", autospec=True, side_effect=Engine.read) as read:
            texts = {written(model, beginning + CORPUS * 3) for beginning in ("", "x" * 3000)}
        assert len(texts) == 1
        assert all(len(call.args[1]) == 100 for call in read.call_args_list)

    @pytest.mark.parametrize("model", WITH_UNSEEN, indirect=True)
    def test_unseen_is_the_unknown_token(self, model: Model) -> None:
        """The model reads every unseen character alike."""
        assert written(model, "The 猫 ") == written(model, "The ☃ ")


class TestBytes:
    def test_whole_characters(self) -> None:
        """Characters of several bytes arrive whole, each with its surprisal."""
        model = random_model(ByteTokenizer.train(""))
        sample = Sample("猫", SamplingConfig(1, bias={"—": 500.0}))
        parts = list(model.write([sample], StopConfig(chars=9), 0, scored=True))
        assert "".join(part.text for part in parts) == 9 * "—"
        assert sample.tokens == 9 * 3
        nats = np.concatenate([part.nats for part in parts if part.nats is not None])
        assert [len(part.nats) for part in parts if part.nats is not None] == [
            len(part.text) for part in parts
        ]
        assert nats.sum() == pytest.approx(-sample.logp, rel=1e-5)
        text = model.surprisal(["猫" + 9 * "—"])[0][1:]
        assert nats == pytest.approx(text, rel=1e-4)

    def test_half_a_character(self) -> None:
        """What ends within a character, for lack of tokens, is not shown."""
        model = random_model(ByteTokenizer.train(""))
        sample = Sample("", SamplingConfig(1, bias={"—": 500.0}))
        parts = model.write([sample], StopConfig(tokens=5), 0)
        assert "".join(part.text for part in parts) == "—"

    def test_ban(self) -> None:
        """A character of several bytes is banned as any other."""
        model = random_model(ByteTokenizer.train(""))
        text = written(model, "", 60, bias={"é": 500.0, "éé": -math.inf, "x": -math.inf})
        assert "é" in text
        assert "éé" not in text
        assert "x" not in text

    @pytest.mark.parametrize("byte", [0x41, 0x80, 0xC1, 0xC3, 0xE0, 0xED, 0xF0, 0xF4, 0xFF])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"temperature": 0},
            {"no_repeat_ngram": 1},
            {"bias": {"é": -math.inf, "\U00010000": -math.inf, "ý": 9.0}},
            {"bias": {chr(c): -math.inf for c in range(0xC0, 0x100)}},
        ],
        ids=str,
    )
    def test_nothing_but_characters(self, byte: int, options: dict[str, Any]) -> None:
        """Only bytes that form characters are sampled, whatever the model or the options favour."""
        model = random_model(ByteTokenizer.train(""), favourite=byte)
        for seed in ("", "é"):
            text = written(model, seed, 40, **options)
            assert len(text.encode()) >= len(text) >= 40
            assert "\ufffd" not in text


class TestTokens:
    @pytest.mark.parametrize("level", TOKENIZERS)
    @pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"temperature": 2}, {"top_k": 1}])
    @pytest.mark.parametrize("s", ["", "The ", "猫"])
    def test_never_unknown(self, level: str, options: dict[str, float], s: str) -> None:
        """The unknown token is never written, even if the model finds nothing likelier."""
        tokenizer = TOKENIZERS[level].train(CORPUS)
        model = random_model(tokenizer, favourite=tokenizer.unknown_id)
        text = written(model, s, 60, **options)
        assert "\x00" not in text
        assert tokenizer.unseen(text) == []

    def test_space_at_the_end_of_a_seed(self) -> None:
        """After a seed's space comes a word; without one, a space and a word."""
        model = random_model(WordTokenizer.train(CORPUS), favourite=" fox")
        assert written(model, "The ", 11) == "fox fox fox"
        assert written(model, "The", 12) == " fox fox fox"

    def test_word_after_a_space(self, word_model: Model) -> None:
        """After a seed's space a word is sampled as often as that word with its space."""
        tokenizer = word_model.file.tokenizer
        with_space = [t for t in tokenizer.tokens[:-1] if t.startswith(" ")]
        cost = {t: word_model.score("The" + t).nats for t in with_space}
        least = min(cost.values())
        total = sum(np.exp(least - c) for c in cost.values())
        samples = [Sample("The ", SamplingConfig(temperature=1), (i,)) for i in range(1500)]
        firsts = list(texts_of(word_model, samples, StopConfig(tokens=1)))
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
        greedy = written(model, "The", temperature=0)
        assert written(model, "The", top_k=1, temperature=0.8) == greedy

    def test_filters_narrow(self) -> None:
        """Filters drop unlikely tokens and keep the others."""
        model = random_model(CharTokenizer.train(CORPUS))
        wide = {next(model.generate("The", 1, temperature=1, random_seed=i)) for i in range(200)}
        for options in ({"top_k": 3}, {"top_p": 0.2}, {"min_p": 0.6}):
            narrow = {
                next(model.generate("The", 1, temperature=1, random_seed=i, **options))
                for i in range(200)
            }
            assert narrow < wide


CONTROLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "greedy": {"temperature": 0},
    "bold": {"temperature": 2},
    "top_k": {"top_k": 5},
    "typical_p": {"typical_p": 0.5},
    "mirostat": {"mirostat": 2.0},
    "penalties": {"repetition_penalty": 1.5, "frequency_penalty": 0.5, "penalty_window": 8},
    "no_repeat_ngram": {"no_repeat_ngram": 2},
    "ban": {"bias": {"e": -np.inf, "th": -np.inf}},
    "bias": {"bias": {"fox": 9.0}},
}


class TestBias:
    def test_one_table(self, char_model: Model) -> None:
        """Texts of several batches and temperatures share the table of their biases."""
        biases: list[dict[str, float]] = [{"f": 1.0}, {"f": 1.0}, {"x": -math.inf}]
        samples = [
            Sample("", SamplingConfig(temperature=1 + i % 2, bias=biases[i % 3]), (i, 0))
            for i in range(2 * BATCH_SIZE)
        ]
        with patch.object(generate_module, "TextBias", wraps=TextBias) as made:
            generate_module._bias.cache_clear()
            for _ in char_model.write(samples, StopConfig(chars=1), 0):
                pass
        assert made.call_count == 2


class TestSideBySide:
    seeds = ("", "The fox", "The ", "猫", "The fox")

    def samples(self, count: int) -> list[Sample]:
        """Samples of several seeds under several controls, neighbours often under the same."""
        controls = [SamplingConfig(**options) for options in CONTROLS.values()]
        return [
            Sample(self.seeds[i % 5], controls[i // 2 % len(controls)], (i % 3, i))
            for i in range(count)
        ]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "stop",
        [
            StopConfig(chars=50),
            StopConfig(tokens=70),
            StopConfig(chars=150, stop=["e", "in"]),
            StopConfig(chars=150, lines=1),
            StopConfig(tokens=40, words=5, sentences=2),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("count", [2, 12])
    def test_alone(self, model: Model, stop: StopConfig, count: int) -> None:
        """A sample's text does not depend on the others, wherever each of them ends."""
        samples = self.samples(count)
        together = texts_of(model, samples, stop)
        for alone, sample, text in zip(self.samples(count), samples, together, strict=True):
            assert texts_of(model, [alone], stop) == [text]
            assert (alone.tokens, alone.why) == (sample.tokens, sample.why)

    def test_bit_for_bit(self, model: Model) -> None:
        """A few samples have the same surprisal as alone, to the last bit."""
        stop = StopConfig(chars=200, stop=["e"])

        def surprises(samples: list[Sample]) -> list[bytes]:
            nats = dict.fromkeys(samples, b"")
            for part in model.write(samples, stop, 0, scored=True):
                assert part.nats is not None
                nats[part.sample] += part.nats.tobytes()
            return [*nats.values()]

        together = surprises(self.samples(SINGLE_ROWS))
        assert together == [surprises([sample])[0] for sample in self.samples(SINGLE_ROWS)]

    @pytest.mark.slow
    def test_more_than_a_batch(self, model: Model) -> None:
        """Samples of several batches have the same text as alone."""
        samples = self.samples(BATCH_SIZE + 6)
        together = texts_of(model, samples, StopConfig(chars=40))
        assert [sample.why for sample in samples] == ["length"] * len(samples)
        for i in (0, 1, BATCH_SIZE - 1, BATCH_SIZE, BATCH_SIZE + 5):
            assert texts_of(model, [self.samples(i + 1)[i]], StopConfig(chars=40)) == [together[i]]
        backwards = self.samples(BATCH_SIZE + 6)[::-1]
        assert texts_of(model, backwards, StopConfig(chars=40)) == together[::-1]

    @pytest.mark.parametrize("level", ["char", "byte"])
    def test_rows_are_used_again(self, level: str) -> None:
        """Samples that begin where others have ended have the same text as alone."""
        model = random_model(TOKENIZERS[level].train(CORPUS), kind="lines", favourite="\n", by=4)
        stop = StopConfig(chars=200)
        controls = SamplingConfig(1, min_p=0.001, frequency_penalty=0.5, bias={"fox": 2.0})

        def samples() -> list[Sample]:
            return [Sample(["", "The "][i % 2], controls, (0, i)) for i in range(3 * BATCH_SIZE)]

        together = texts_of(model, samples(), stop)
        assert len(set(map(len, together))) > 3
        for i in range(0, len(together), 17):
            assert texts_of(model, [samples()[i]], stop) == [together[i]]

    def test_keys(self, model: Model) -> None:
        """Samples of different keys differ, those of one key are alike."""
        samples = [Sample("The", SamplingConfig(1), (i // 2,)) for i in range(8)]
        texts = texts_of(model, samples, StopConfig(chars=40))
        assert texts[::2] == texts[1::2]
        assert len({*texts}) == 4

    def test_no_sample(self, model: Model) -> None:
        """Nothing is written for nobody."""
        assert list(model.write([], StopConfig(chars=5), 0)) == []


class TestInOrder:
    @given(owners=st.lists(st.integers(0, 4), max_size=20))
    def test_order(self, owners: list[int]) -> None:
        """All parts come: the first sample's at once, then those of the second, and so on."""
        owners = [*owners, 0, 1, 2, 3, 4]
        samples = [Sample("") for _ in range(5)]
        parts = [
            Part(samples[owner], str(i), None, owner not in owners[i + 1 :])
            for i, owner in enumerate(owners)
        ]
        read = itertools.count(1)
        fed = 0

        def source() -> Any:
            nonlocal fed
            for part in parts:
                fed = next(read)
                yield part

        came = []
        for part in in_order(source(), samples):
            came.append(part)
            assert part.sample is not samples[0] or parts[fed - 1] is part
        assert came == sorted(parts, key=lambda part: samples.index(part.sample))

    def test_streams(self, model: Model) -> None:
        """The first sample arrives as it is sampled, while the others wait."""
        samples = [Sample("The", key=(i,)) for i in range(3)]
        parts = in_order(model.write(samples, StopConfig(chars=10**12), 0), samples)
        assert {part.sample for part in itertools.islice(parts, 20)} == {samples[0]}

    def test_as_many_as_are_wanted(self, model: Model) -> None:
        """At most a batch is being written: the number of samples costs neither time nor memory."""
        taken = itertools.count()
        samples = (Sample("The", key=(next(taken),)) for _ in itertools.count())
        wanted, turns = itertools.tee(samples)
        parts = in_order(model.write(wanted, StopConfig(chars=3), 0), turns)
        ended = (part.sample for part in parts if part.last)
        assert [sample.key for sample in itertools.islice(ended, BATCH_SIZE + 2)] == [
            (i,) for i in range(BATCH_SIZE + 2)
        ]
        assert next(taken) <= 3 * BATCH_SIZE


class TestNoted:
    @pytest.mark.parametrize("options", CONTROLS.values(), ids=CONTROLS)
    @pytest.mark.parametrize("seed", ["", "The 猫 "])
    def test_logp(self, char_model: Model, options: dict[str, Any], seed: str) -> None:
        """The log-probability is the model's own, whatever the controls."""
        sample = Sample(seed, SamplingConfig(**options))
        parts = list(char_model.write([sample], StopConfig(chars=80), 0, scored=True))
        text = "".join(part.text for part in parts)
        expected = char_model.score(seed).nats - char_model.score(seed + text).nats
        assert sample.logp == pytest.approx(expected, rel=1e-4)
        assert sample.tokens == 80
        nats = np.concatenate([part.nats for part in parts if part.nats is not None])
        assert -nats.sum() == pytest.approx(expected, rel=1e-4)
        assert all(part.nats is not None and len(part.nats) == len(part.text) for part in parts)

    def test_logp_of_a_stop_text(self, char_model: Model) -> None:
        """Tokens sampled to find the end of a text are counted, though not shown."""
        sample = Sample("The", SamplingConfig(1))
        stop = StopConfig(chars=10**4, stop=["in", "e "])
        parts = list(char_model.write([sample], stop, 0, scored=True))
        text = "".join(part.text for part in parts)
        assert sample.why == "stop"
        drawn = next(text + end for end in stop.stop
                     if sample.logp == pytest.approx(char_model.score("The").nats
                     - char_model.score("The" + text + end).nats, rel=1e-4))  # fmt: skip
        assert sample.tokens == len(drawn)

    def test_half_a_word(self, word_model: Model) -> None:
        """A word model's surprisals cover the text, without a space at the seed's end."""
        sample = Sample("The ", SamplingConfig(1))
        parts = list(word_model.write([sample], StopConfig(tokens=20), 0, scored=True))
        assert all(part.nats is not None and len(part.nats) == len(part.text) for part in parts)
        text = "".join(part.text for part in parts)
        assert sample.tokens == 20
        expected = word_model.score("The").nats - word_model.score("The " + text).nats
        if word_model.file.tokenizer.encode(" " + text).size == 20:
            assert sample.logp == pytest.approx(expected, rel=1e-4)

    def test_not_scored(self, model: Model) -> None:
        """Surprises are found only if asked for."""
        sample = Sample("The")
        parts = list(model.write([sample], StopConfig(chars=20), 0))
        assert (sample.logp, {part.nats for part in parts}) == (0, {None})

    @pytest.mark.parametrize("scored", [False, True])
    def test_nothing(self, model: Model, scored: bool) -> None:
        """A length of 0 gives one empty part a sample."""
        samples = [Sample("The"), Sample("")]
        for stop, why in ((StopConfig(chars=0), "length"), (StopConfig(tokens=0), "tokens")):
            parts = list(model.write(samples, stop, 0, scored))
            assert [(p.sample, p.text, p.last) for p in parts] == [(s, "", True) for s in samples]
            assert [(s.why, s.tokens, s.logp) for s in samples] == [(why, 0, 0)] * 2


class TestTime:
    @pytest.mark.parametrize("scored", [False, True])
    @pytest.mark.parametrize("count", [1, 3, BATCH_SIZE + 3])
    def test_over(self, char_model: Model, count: int, scored: bool) -> None:
        """When time is up, every sample ends with what was sampled."""
        samples = [Sample("The", SamplingConfig(1), (i,)) for i in range(count)]
        stop = StopConfig(chars=10**12, seconds=0.01, stop=["E" * 9])
        texts = dict.fromkeys(samples, "")
        last = []
        for part in char_model.write(samples, stop, 0, scored):
            texts[part.sample] += part.text
            assert (part.nats is not None) == scored
            assert part.nats is None or len(part.nats) == len(part.text)
            last += [part.sample] * part.last
        assert last == samples
        assert {sample.why for sample in samples} == {"time"}
        for sample, text in texts.items():
            assert len(text) == sample.tokens >= 1

    def test_held(self) -> None:
        """What was held back when time is up is shown."""
        model = random_model(CharTokenizer.train(CORPUS), favourite="e")
        text, sample = one(model, "", StopConfig(seconds=1e-9, stop=["e" * 99]))
        assert sample.why == "time"
        assert text == "e" * sample.tokens != ""

    def test_enough(self, model: Model) -> None:
        """A text that ends in time does not end for lack of it."""
        text, sample = one(model, "The", StopConfig(chars=20, seconds=100))
        assert (sample.why, text) == ("length", written(model, "The", 20))


class TestStop:
    def test_stop(self, model: Model) -> None:
        """A text ends before the first stop text, and is otherwise unchanged."""
        whole = written(model, "The fox", 200)
        for start, length in ((0, 1), (3, 2), (17, 3), (40, 7)):
            stop = whole[start : start + length]
            found = whole[: whole.index(stop)]
            assert written(model, "The fox", 200, stop=["\0", stop]) == found

    def test_favourite(self) -> None:
        """A stop text over several tokens is never shown in part."""
        model = random_model(WordTokenizer.train(CORPUS), favourite=" fox")
        stop = StopConfig(chars=100, stop=["fox fox fox f"])
        parts = list(model.write([Sample("The")], stop, 0))
        assert "".join(part.text for part in parts) == " "


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1.0},
        {"top_k": 0},
        {"top_p": 0.0},
        {"min_p": 2.0},
        {"random_seed": -1},
        {"length": -1},
        {"stop": [""]},
        {"bias": {"": 1.0}},
    ],
    ids=str,
)
def test_out_of_range(model: Model, options: dict[str, float]) -> None:
    """A value out of its range is a usage error before anything is written."""
    with pytest.raises(UsageError):
        model.generate("The", **options)  # type: ignore[arg-type]


# What each level wrote before the modules were sorted into folders (commit e38320d).
STORED = {
    "char": [
        '.xb".vw.wnd"f!bD;T;thDhwï. "cdw.;"ïïDIgI',
        'gïvwwdn.ftït..;v"gv.Dwn"tg\thfwt\t ;b.vbnd',
        "Dfï;Iwïvcdw ;wwxw vm\tIDïTvo.fbv wï\ndtwnv",
        "\txïfvg;gvnv.wtw;www;;t......;;;;w......;",
    ],
    "word": [
        'row said:T"T end  crowï fox,, endu branch',
        "rowwïuoé: endu!bïéD':owubu  fox\t\"eéTvo branch",
        ",u  fox! fox::'\"b end fox!b fox fox!ï end",
        "rowïu!ïuu:::::::::::::::::::::::::::::::",
    ],
    "bpe": [
        " fi!IndowI crowïn't!iiciI ttcuow'tI 'nnow",
        " theïï ftn!towoww'Itn! the f'iowvIwi\tic f",
        "ct'tcg f't smn f I fow fow oww\tgg'ti cï'",
        " fThenïncn thetïiowïowtttIt'''tIttItttt!",
    ],
    "byte": [
        ",vI,.nv.vdI,a'IIDI;icIcox,',Iat,D,xvIIcI",
        "Ivcivaa,Invc,.Dc,ao.IxiIni'dctg\n'.;.gIda",
        'Dav;Dvxnaav!.vtvt"oc\nIDxIog,aIt"vv Iivgo',
        "\tvxaiaDIcIc,icvvvcvvc,ccIv,cII,I,cI,,I,,",
    ],
}


@pytest.mark.parametrize("level", STORED)
def test_the_same_text_as_ever(level: str) -> None:
    """A seed gives the text that it gave in earlier versions."""
    settings: list[dict[str, Any]] = [
        {"temperature": 0.7},
        {"temperature": 1.1, "top_k": 8, "frequency_penalty": 0.3},
        {"temperature": 1.0, "top_p": 0.9, "no_repeat_ngram": 3, "bias": {"fox": 2.0}},
        {"temperature": 0.9, "mirostat": 3.0},
    ]
    samples = [Sample("The c", SamplingConfig(**each), (i,)) for i, each in enumerate(settings)]
    model = random_model(TOKENIZERS[level].train(CORPUS))
    assert texts_of(model, samples, StopConfig(chars=40), 7) == STORED[level]
