"""Scores against reading a text plainly, one token after the other."""

import itertools
import json
import math
import random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn import scoring as score_module
from charrnn.errors import TextError
from charrnn.model import Model
from charrnn.network.cells import CELLS
from charrnn.network.engine import SINGLE_ROWS, Engine
from charrnn.scoring import Score
from charrnn.tokenizer import TOKENIZERS, CharTokenizer
from tests.models import CORPUS, WITH_UNSEEN, random_model
from tests.strategies import LONE_SURROGATES, NASTY, cut, texts


def plain_score(model: Model, text: str) -> Score:
    """Token by token, in float64 where it can be."""
    engine, tokenizer = model.engine, model.file.tokenizer
    state = engine.zero_state()
    for token in tokenizer.encode(model.file.trained.opening).tolist():
        state = engine.step(np.array([token]), state)
    ids = tokenizer.encode(text).tolist()
    nats, correct = 0.0, 0
    for token in ids:
        if token >= tokenizer.vocab_size:
            nats += math.log(0x110000)  # which of all code points it is
            token = tokenizer.vocab_size - 1
        logits = engine.logits(state)[0].astype(np.float64)
        nats += float(np.log(np.exp(logits).sum()) - logits[token])
        correct += int(logits.argmax() == token)
        state = engine.step(np.array([token]), state)
    return Score(len(text), len(text.split()), len(ids), correct, nats, len(text.encode()))


def sentences(words: int) -> str:
    """A text of many words in no order that repeats."""
    choose = random.Random(0)
    return "".join(
        choose.choice(["", " ", " ", "\n"]) + w for w in choose.choices(CORPUS.split(), k=words)
    )


def counts(score: Score) -> tuple[int, int, int]:
    return score.chars, score.words, score.tokens


class TestShort:
    @settings(max_examples=20)
    @given(s=texts)
    @pytest.mark.slow
    def test_equals_plain(self, model: Model, s: str) -> None:
        """A short text costs what reading it token by token says, unseen characters too."""
        score, plain = model.score(s), plain_score(model, s)
        assert counts(score) == counts(plain)
        assert score.correct == plain.correct
        assert score.nats == pytest.approx(plain.nats, rel=1e-5, abs=1e-4)

    @pytest.mark.parametrize("cell", CELLS)
    def test_every_cell(self, cell: str) -> None:
        """It holds for every cell."""
        model = random_model(TOKENIZERS["word"].train(CORPUS), cell)
        score, plain = model.score(CORPUS), plain_score(model, CORPUS)
        assert counts(score) == counts(plain)
        assert score.nats == pytest.approx(plain.nats, rel=1e-5)

    @pytest.mark.parametrize("s", NASTY.values(), ids=NASTY)
    def test_nasty(self, model: Model, s: str) -> None:
        """Nasty texts have finite scores that count all their characters."""
        score = model.score(s)
        assert score.chars == len(s)
        assert math.isfinite(score.nats)

    @settings(max_examples=20)
    @given(data=st.data(), s=texts)
    @pytest.mark.slow
    def test_blocks(self, model: Model, data: st.DataObject, s: str) -> None:
        """The score is the same however the text is cut in blocks."""
        assert model.score(iter(data.draw(cut(s)))) == model.score(s)

    @pytest.mark.parametrize("block", [1, 2, 7, 30, 300])
    def test_blocks_in_memory(
        self, char_model: Model, block: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A character model's score does not depend on how much text is held in memory."""
        expected = char_model.score(CORPUS)
        monkeypatch.setattr(score_module, "BLOCK_CHARS", block)
        score = char_model.score(CORPUS)
        assert (counts(score), score.correct) == (counts(expected), expected.correct)
        assert score.nats == pytest.approx(expected.nats, rel=1e-6)

    def test_adds_to_one(self, char_model: Model) -> None:
        """Over all next characters, one unseen among them, the probabilities sum to 1."""
        before = char_model.score("The ").nats
        tokens = char_model.file.tokenizer.tokens[:-1]
        total = sum(math.exp(before - char_model.score("The " + c).nats) for c in tokens)
        escape = math.log(0x110000)
        total += math.exp(before + escape - char_model.score("The 猫").nats)
        assert total == pytest.approx(1, abs=1e-4)

    @pytest.mark.parametrize("model", WITH_UNSEEN, indirect=True)
    def test_unseen_characters_are_alike(self, model: Model) -> None:
        """Every unseen character costs the same: the unknown token and a code point."""
        assert model.score("The 猫").nats == model.score("The ☃").nats
        assert model.score("The 猫").nats > math.log(0x110000)

    def test_opening(self) -> None:
        """A text is scored as what follows the opening."""
        tokenizer = CharTokenizer.train(CORPUS)
        bare = random_model(tokenizer, opening="")
        opened = random_model(tokenizer, opening="The fox ")
        expected = bare.score("The fox sat").nats - bare.score("The fox ").nats
        assert opened.score("sat").nats == pytest.approx(expected, abs=1e-4)

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogate(self, model: Model, s: str) -> None:
        """What is no valid Unicode is refused."""
        with pytest.raises(TextError, match="surrogate"):
            model.score(s)

    def test_empty(self, model: Model) -> None:
        """An empty text, whole or in blocks, scores nothing."""
        assert model.score("") == model.score([]) == model.score(["", ""]) == Score()


class TestLong:
    @pytest.mark.parametrize(("words", "streams"), [(2500, 32), (2500, 3)])
    @pytest.mark.slow
    @pytest.mark.parametrize("model", ["char", "word"], indirect=True)
    def test_close_to_plain(
        self, model: Model, words: int, streams: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A long text, read at many places at once, costs within 1% of reading it plainly."""
        monkeypatch.setattr(score_module, "MAX_STREAMS", streams)
        text = sentences(words)
        score, plain = model.score(text), plain_score(model, text)
        assert counts(score) == counts(plain)
        assert score.nats == pytest.approx(plain.nats, rel=0.01)
        assert score.correct == pytest.approx(plain.correct, rel=0.02, abs=5)

    @pytest.mark.slow
    @pytest.mark.parametrize("model", ["char", "word"], indirect=True)
    def test_nothing_is_lost_between_places(self, model: Model) -> None:
        """A model that forgets within what each place reads before it scores as if read plainly."""
        text = sentences(2000)
        assert len(model.file.tokenizer.encode(text)) > 4 * 1024
        plain = plain_score(model, text)
        assert model.score(text).nats == pytest.approx(plain.nats, abs=0.05)

    def test_uneven_lengths(self, char_model: Model) -> None:
        """The length of a text that many places do not divide evenly is counted to the token."""
        text = sentences(3000)
        for length in range(len(text) - 3, len(text)):
            assert counts(char_model.score(text[:length])) == counts(
                Score(length, len(text[:length].split()), length)
            )

    @pytest.mark.parametrize("extra", [0, 700])
    def test_goes_on_from_the_end(
        self, char_model: Model, extra: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a block read at many places at once, the next goes on from its very end."""
        text = sentences(3000)[: 4096 + extra] + " "
        assert len(text) == 4097 + extra
        end = "The crow sat"
        monkeypatch.setattr(score_module, "BLOCK_CHARS", len(text) - 1)
        cost = char_model.score(text + end).nats - char_model.score(text).nats
        whole = plain_score(char_model, text + end).nats - plain_score(char_model, text).nats
        assert cost == pytest.approx(whole, abs=0.01)

    def test_words_over_blocks(self, char_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        """A word cut by a block is one word, wherever the cut falls."""
        text = "one  two\nthree\t four-and-five\u3000six \n"
        for block in range(1, len(text) + 1):
            monkeypatch.setattr(score_module, "BLOCK_CHARS", block)
            assert char_model.score(text).words == 5, f"blocks of {block}"


class TestSurprises:
    @settings(max_examples=15)
    @given(group=st.lists(texts, max_size=8))
    @pytest.mark.slow
    def test_sums(self, model: Model, group: list[str]) -> None:
        """A value for each character, which add up to each text's score for itself."""
        found = model.surprisal(group)
        assert [len(nats) for nats in found] == [len(s) for s in group]
        assert all(nats.dtype == np.float32 for nats in found)
        for nats, s in zip(found, group, strict=True):
            assert nats.sum(dtype=float) == pytest.approx(model.score(s).nats, rel=1e-5, abs=1e-4)

    @pytest.mark.parametrize("cell", CELLS)
    def test_every_cell(self, cell: str) -> None:
        """It holds for every cell."""
        model = random_model(TOKENIZERS["word"].train(CORPUS), cell)
        for nats, s in zip(model.surprisal(["The fox", CORPUS]), ["The fox", CORPUS], strict=True):
            assert nats.sum(dtype=float) == pytest.approx(model.score(s).nats, rel=1e-5)

    def test_each_character(self, char_model: Model) -> None:
        """A character of a character model costs what it adds to the score."""
        text = "The ☃ sat"
        costs = [char_model.score(text[:i]).nats for i in range(len(text) + 1)]
        (nats,) = char_model.surprisal([text])
        assert nats == pytest.approx(np.diff(costs), abs=1e-4)

    def test_spread_over_a_token(self, word_model: Model) -> None:
        """The characters of a word model's token cost the same."""
        (nats,) = word_model.surprisal(["The fox"])
        assert len({*nats[:3].tolist()}) == len({*nats[3:].tolist()}) == 1

    @pytest.mark.slow
    @settings(max_examples=10)
    @given(data=st.data())
    def test_batch(self, model: Model, data: st.DataObject) -> None:
        """What is read beside a text changes nothing, and a few texts not even the last bit."""
        group = data.draw(st.lists(texts | st.just(CORPUS), min_size=1, max_size=12))
        for nats, s in zip(model.surprisal(group), group, strict=True):
            (alone,) = model.surprisal([s])
            assert nats == pytest.approx(alone, rel=1e-4, abs=1e-5)
            assert len(group) > SINGLE_ROWS or nats.tobytes() == alone.tobytes()

    def test_very_different_lengths(self, model: Model) -> None:
        """Texts of very different lengths keep their places."""
        group = ["", "a", CORPUS * 5, "", "The fox", "猫" * 300, "b"] * 3
        for nats, s in zip(model.surprisal(group), group, strict=True):
            assert len(nats) == len(s)
            assert nats.sum(dtype=float) == pytest.approx(model.score(s).nats, rel=1e-4, abs=1e-3)

    def test_long_text(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long text is read at many places at once, as it is to be scored, beside short ones."""
        monkeypatch.setattr(score_module, "WARM_UP_TOKENS", 64)
        text = sentences(2500)
        with patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step:
            short, long, other = model.surprisal(["The fox", text, "猫 crow"])
        tokens = len(model.file.tokenizer.encode(text))
        assert step.call_count < tokens / 8 + 64
        assert long.sum(dtype=float) == pytest.approx(model.score(text).nats, rel=1e-6)
        assert [len(nats) for nats in (short, long, other)] == [7, len(text), 6]
        for nats, alone in zip(
            [short, other], model.surprisal(["The fox", "猫 crow"]), strict=True
        ):
            assert nats == pytest.approx(alone, rel=1e-4, abs=1e-5)

    def test_long_text_in_order(self, char_model: Model) -> None:
        """Each character of a long text keeps its own surprise, wherever it is read from."""
        text = sentences(2500)
        (nats,) = char_model.surprisal([text])
        for place in (0, 1, len(text) // 2, len(text) - 1):
            context = text[max(0, place - 3000) : place]
            (plain,) = char_model.surprisal([context + text[place]])
            assert nats[place] == pytest.approx(plain[-1], abs=1e-3)

    def test_nothing(self, model: Model) -> None:
        """No text has no surprise, and neither have empty ones."""
        assert model.surprisal([]) == []
        assert [nats.shape for nats in model.surprisal(["", ""])] == [(0,), (0,)]

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogate(self, model: Model, s: str) -> None:
        """What is no valid Unicode is refused."""
        with pytest.raises(TextError, match="surrogate"):
            model.surprisal(["The fox", s])


class TestTold:
    @pytest.mark.parametrize("text", ["", "The fox", "猫" * 300, sentences(1500)], ids=len)
    @pytest.mark.slow
    def test_sum(self, model: Model, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is told adds up to the characters of the text."""
        monkeypatch.setattr(score_module, "BLOCK_CHARS", 1000)
        told: list[float] = []
        model.score(text, told.append)
        assert sum(told) == pytest.approx(len(text))
        told.clear()
        model.surprisal([text, "The crow", ""], told.append)
        assert sum(told) == pytest.approx(len(text) + len("The crow"))


class TestNumbers:
    def test_what_people_compare(self) -> None:
        """Rates are by character and byte, perplexities by token and by word, accuracy by token."""
        record = Score(chars=40, words=8, tokens=20, correct=5, nats=50.0, bytes=50).to_json()
        assert record == {
            "chars": 40,
            "tokens": 20,
            "words": 8,
            "bpc": pytest.approx(50 / 40 / 0.6931471805599453),
            "bpb": pytest.approx(50 / 50 / 0.6931471805599453),
            "nats_per_char": 1.25,
            "perplexity": pytest.approx(12.182493960703473),
            "word_perplexity": pytest.approx(518.0128246683420),
            "accuracy_top1": 0.25,
        }

    @pytest.mark.parametrize("nats", [0.0, 1e4, 1e308])
    @pytest.mark.parametrize(("words", "tokens"), list(itertools.product([0, 1, 9], repeat=2)))
    def test_always_json(self, nats: float, words: int, tokens: int) -> None:
        """Where a perplexity has no meaning or no end it is null, and the rest stays a number."""
        record = Score(9, words, tokens, 0, nats).to_json()
        json.dumps(record, allow_nan=False)
        assert (record["perplexity"] is None) == (tokens == 0 or nats > 1)
        assert (record["word_perplexity"] is None) == (words == 0 or nats > 1)

    def test_nothing(self) -> None:
        """Without a character there are no perplexities, and no division by zero."""
        record = Score().to_json()
        assert record["perplexity"] is record["word_perplexity"] is None
        assert record["bpc"] == record["accuracy_top1"] == 0
