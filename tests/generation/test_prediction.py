"""Predicted targets against reading each of them plainly."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import TextError, UsageError
from charrnn.generation import prediction
from charrnn.model import Model
from charrnn.text.blocks import END, TARGET
from charrnn.tokenizer import TOKENIZERS, CharTokenizer
from tests.models import CORPUS, WITH_UNSEEN, random_model, with_ngrams
from tests.strategies import LONE_SURROGATES, NASTY, texts

NATIONS = ["crow", "fox", "the fox", "fo", "café", "the crow"]
RECORDS = "".join(f"{line}{TARGET}fox{END}" for line in CORPUS.splitlines() for _ in range(3))
some_targets = st.lists(
    st.text("aecfoxth ☃", min_size=1, max_size=5), min_size=1, max_size=8, unique=True
)


def with_targets(model: Model, targets: Sequence[str]) -> Model:
    """The same model with a list of targets."""
    return Model(replace(model.file, trained=replace(model.file.trained, targets=targets)))


def logp(model: Model, source: str, target: str) -> float:
    """The log-probability of a target with END, read plainly."""
    (nats,) = model.surprisal([source + TARGET + target + END])
    return -float(nats[len(source) + 1 :].sum(dtype=float))


@pytest.fixture(scope="module", params=TOKENIZERS)
def any_model(request: pytest.FixtureRequest) -> Model:
    """A model of records of each level."""
    tokenizer = TOKENIZERS[request.param].train(RECORDS)
    return random_model(tokenizer, opening=END, kind="records")


@pytest.fixture(scope="module")
def tiny_model() -> Model:
    """A model of two characters, whose targets are short."""
    tokenizer = CharTokenizer(["a", "b", TARGET, END])
    return random_model(tokenizer, opening=END, kind="records", favourite=END, by=2)


class TestList:
    @given(source=texts, targets=some_targets)
    def test_equals_plain(self, any_model: Model, source: str, targets: list[str]) -> None:
        """Every target has the probability that reading it gives, relative to the others."""
        source = any_model.as_source(source) or "x"
        found = with_targets(any_model, targets).predict(source, k=100)
        p = np.exp([logp(any_model, source, target) for target in targets])
        expected = dict(zip(targets, p / p.sum(), strict=True))
        assert dict(found) == pytest.approx(expected, rel=1e-3, abs=1e-6)

    @given(sources=st.lists(texts, max_size=5), targets=some_targets)
    def test_adds_to_one(self, any_model: Model, sources: list[str], targets: list[str]) -> None:
        """The probabilities of all targets add up to 1, and the best target comes first."""
        model = with_targets(any_model, targets)
        for source, found in zip(sources, model.predictions(sources, k=len(targets)), strict=True):
            if not model.as_source(source):
                continue
            assert sorted(text for text, _ in found) == sorted(targets)
            assert sum(p for _, p in found) == pytest.approx(1)
            assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)

    def test_ngrams(self) -> None:
        """So it is for a network that is mixed with n-grams."""
        model = with_ngrams(random_model(CharTokenizer.train(RECORDS), opening=END, kind="records"))
        self.test_equals_plain.hypothesis.inner_test(self, model, "The fox", NATIONS)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("rows", [1, 3, 7])
    def test_memory(self, any_model: Model, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Predictions do not depend on how much is computed at a time."""
        model = with_targets(any_model, NATIONS)
        expected = model.predictions(["The fox", "A crow", "x"], k=6)
        monkeypatch.setattr(prediction, "ROWS", rows)
        monkeypatch.setattr(prediction, "NUMBERS", 3 * rows)
        assert_alike(model.predictions(["The fox", "A crow", "x"], k=6), expected)

    def test_best(self, any_model: Model) -> None:
        """One target is predicted unless more are wanted; there are no more than in the list."""
        model = with_targets(any_model, NATIONS)
        found = model.predict("The fox", k=100)
        assert len(found) == len(NATIONS)
        assert [text for text, _ in model.predict("The fox")] == [found[0].text]


class TestSearch:
    @settings(max_examples=8)
    @given(source=st.text("ab", min_size=1, max_size=6), k=st.integers(1, 4))
    def test_finds_the_best(self, tiny_model: Model, source: str, k: int) -> None:
        """A beam that is wide enough finds the likeliest of all texts, with their probabilities."""
        every = ["".join(s) for n in range(1, 8) for s in itertools.product("ab", repeat=n)]
        nats = tiny_model.surprisal([source + TARGET + text + END for text in every])
        p = [math.exp(-each[len(source) + 1 :].sum(dtype=float)) for each in nats]
        best = sorted(zip(p, every, strict=True), reverse=True)[:k]
        found = tiny_model.predict(source, k, beam=256)
        assert [text for text, _ in found] == [text for _, text in best]
        assert [p for _, p in found] == pytest.approx([p for p, _ in best], rel=1e-3)

    @pytest.mark.parametrize("beam", [1, 4])
    def test_probability(self, any_model: Model, beam: int) -> None:
        """A text's probability is not below that which reading it gives, and is at most 1."""
        for source in ("The fox", "A crow sat"):
            for text, p in any_model.predict(source, 3, beam):
                assert math.exp(logp(any_model, source, text)) <= p * 1.001
                assert p <= 1

    @pytest.mark.parametrize("favourite", [TARGET, "\x00unknown", END])
    def test_never(self, favourite: str) -> None:
        """Neither marks nor the unknown token are written, and no target is empty."""
        tokenizer = CharTokenizer.train(RECORDS)
        model = random_model(tokenizer, opening=END, kind="records", favourite=favourite, by=9)
        for text, _ in model.predict("The fox", 4, beam=4):
            assert text
            assert not {TARGET, END, "\x00"} & {*text}

    def test_no_text_twice(self) -> None:
        """A text that is found in different tokens is predicted once."""
        tokenizer = TOKENIZERS["bpe"].train(RECORDS)
        model = random_model(tokenizer, opening=END, kind="records", favourite=END, by=3)
        texts = [text for text, _ in model.predict("The fox", 30)]
        assert len(texts) == len({*texts}) == 30

    def test_whole_characters(self) -> None:
        """Bytes form whole characters."""
        tokenizer = TOKENIZERS["byte"].train("")
        model = random_model(tokenizer, opening=END, kind="records", favourite=0xE7, by=40)
        for text, _ in model.predict("The fox", 4):
            assert text
            assert "\ufffd" not in text
            text.encode()

    def test_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A model that never ends a target is stopped."""
        tokenizer = CharTokenizer.train(RECORDS)
        model = random_model(tokenizer, opening=END, kind="records", favourite="o", by=90)
        monkeypatch.setattr(prediction, "LONGEST", 10)
        ((text, _),) = model.predict("The fox")
        assert 0 < len(text) <= 10 + prediction.LONGER * 8


class TestSources:
    @given(sources=st.lists(texts, max_size=6))
    @pytest.mark.parametrize("targets", [(), NATIONS], ids=["search", "list"])
    def test_order(self, any_model: Model, targets: Sequence[str], sources: list[str]) -> None:
        """Sources are answered in their order, each as it is alone."""
        model = with_targets(any_model, targets)
        alone = [model.predict(source, 2) for source in sources]
        assert_alike(model.predictions(sources, 2), alone)

    def test_many(self, any_model: Model) -> None:
        """So it is for more sources than a batch."""
        model = with_targets(any_model, NATIONS)
        sources = [CORPUS[i : i + 1 + i % 7] for i in range(150)]
        alone = [model.predict(source) for source in sources]
        assert_alike(model.predictions(sources), alone)

    @pytest.mark.parametrize("source", ["", " \n", TARGET])
    def test_empty(self, any_model: Model, source: str) -> None:
        """A source without text has no target; others beside it have theirs."""
        model = with_targets(any_model, NATIONS)
        nothing, something = model.predictions([source, "fox"])
        assert nothing == []
        assert_alike([something], [model.predict("fox")])

    @pytest.mark.parametrize("s", NASTY.values(), ids=NASTY)
    def test_nasty(self, any_model: Model, s: str) -> None:
        """Nasty texts have finite probabilities."""
        for model in (any_model, with_targets(any_model, NATIONS)):
            assert all(0 <= p <= 1 for _, p in model.predict(s))

    def test_cleaned(self, any_model: Model) -> None:
        """A source is read as in training: without marks, and without white space around it."""
        model = with_targets(any_model, NATIONS)
        assert model.predict(f" the{TARGET} fox{END}\n") == model.predict("the fox")

    def test_long(self, any_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a long source only the end is read."""
        monkeypatch.setattr(prediction, "SEED_TOKENS", 8)
        model = with_targets(any_model, NATIONS)
        end = " the fox sat under the branch, the crow on it"
        assert model.predict("The crow" + end) == model.predict("A" + end)

    @pytest.mark.parametrize("model", WITH_UNSEEN, indirect=True)
    def test_other_kinds(self, model: Model) -> None:
        """A model that is not trained on records cannot predict."""
        with pytest.raises(UsageError, match="not trained on records"):
            model.predict("The fox")

    def test_other_uses(self, any_model: Model) -> None:
        """A model of records cannot fill gaps."""
        with pytest.raises(UsageError, match="cannot be used on other text"):
            with_targets(any_model, NATIONS).missing("The ___ sat.")

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogate(self, any_model: Model, s: str) -> None:
        """What is no valid Unicode is refused."""
        with pytest.raises(TextError, match="surrogate"):
            any_model.predict(s)

    @pytest.mark.parametrize("options", [{"k": 0}, {"beam": 0}])
    def test_numbers(self, any_model: Model, options: dict[str, int]) -> None:
        """Numbers below 1 are refused."""
        with pytest.raises(UsageError, match="must be 1 or more"):
            any_model.predict("The fox", **options)


def assert_alike(
    found: list[list[prediction.Prediction]], others: list[list[prediction.Prediction]]
) -> None:
    """Assert that predictions have the same texts, and about the same probabilities."""
    for these, those in zip(found, others, strict=True):
        assert [text for text, _ in these] == [text for text, _ in those]
        assert [p for _, p in these] == pytest.approx([p for _, p in those], rel=1e-3, abs=1e-9)
