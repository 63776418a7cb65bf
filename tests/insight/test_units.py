"""Activations of units, and what switching one off changes."""

from dataclasses import replace

import numpy as np
import pytest

from charrnn.insight.units import CELL, OUTPUT, Unit, activations, room, switched_off, units_of
from charrnn.model import Model
from charrnn.network.cells import CELLS
from charrnn.tokenizer import CharTokenizer
from tests.insight.networks import COUNTER, UNREAD, bracket_counter, bracketed
from tests.models import CORPUS, random_model, with_ngrams

TEXT = CORPUS * 15


@pytest.fixture(autouse=True)
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random networks soon forget."""
    monkeypatch.setattr("charrnn.insight.units.WARM_UP", 200)


class TestActivations:
    def test_every_state(self, model: Model) -> None:
        """They are the engine's states after each token, a token's for all of its characters."""
        read = activations(model, TEXT)
        tokenizer = model.file.tokenizer
        ids = tokenizer.known(tokenizer.encode(TEXT))
        state = model.engine.read(tokenizer.encode("\n"), model.engine.zero_state())
        for i, token in enumerate(ids[:300], len(read.ids) - len(ids)):
            state = model.engine.step(np.array([token]), state)
            hidden, cell = state.hidden[:, 0, 0], np.tanh(state.hidden[:, 1, 0])
            expected = np.stack([hidden, cell], axis=1).ravel()
            np.testing.assert_allclose(read.values[i], expected, atol=1e-3)
        assert read.lengths.sum() == len(TEXT)
        last = Unit(2, 11, CELL)
        assert read.units == units_of(model)
        assert read.units[-1] == last
        values, scale = read.of(last)
        assert len(values) == len(TEXT)
        assert values[-1] == read.values[-1, -1]
        assert scale == pytest.approx(abs(read.values[:, -1]).max())

    def test_streams(self, char_model: Model) -> None:
        """A long text is read in parallel, as if it were read in one stream."""
        read = activations(char_model, TEXT)
        ids = char_model.file.tokenizer.encode("\n" + TEXT)
        state = char_model.engine.read(ids, char_model.engine.zero_state())
        np.testing.assert_allclose(read.values[-1, -24:-12], state.hidden[1, 0, 0], atol=1e-4)

    def test_counter(self) -> None:
        """The unit that counts brackets holds their number."""
        text = bracketed(3000)
        values, scale = activations(bracket_counter(), text).of(Unit(1, COUNTER))
        depth = np.cumsum([(c == "(") - (c == ")") for c in text])
        np.testing.assert_array_equal(values, depth)
        assert scale == 3

    def test_progress(self, char_model: Model) -> None:
        """The shares told add up to all of the work."""
        shares: list[float] = []
        read = activations(char_model, TEXT, shares.append)
        assert sum(shares) == pytest.approx(1)
        shares.clear()
        switched_off(char_model, read, [Unit(1, 1)], shares.append)
        assert sum(shares) == pytest.approx(1)

    def test_room(self, char_model: Model) -> None:
        """Of a wide network less text is read, as its activations take memory."""
        assert room(char_model) == 100_000
        config = replace(char_model.file.config, hidden=2**15, layers=2)
        char_model = random_model(CharTokenizer.train(CORPUS))
        object.__setattr__(char_model.file, "config", config)
        assert room(char_model) == 2**26 // 2**17


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer", [0, 1])
def test_as_without_its_weights(cell: str, layer: int) -> None:
    """Switching a unit off is the same as setting all weights to 0 that multiply its output."""
    model = with_ngrams(random_model(CharTokenizer.train(CORPUS), cell))
    unit = Unit(layer + 1, 4)
    weights = {name: matrix.copy() for name, matrix in model.file.weights.items()}
    for name in (f"layers.{layer}.recurrent", "layers.1.input" if layer == 0 else "output"):
        weights[name][:, unit.unit] = 0
    without = Model(replace(model.file, weights=weights))
    effect = switched_off(model, activations(model, TEXT), [unit])
    expected = switched_off(without, activations(without, TEXT), [])
    np.testing.assert_allclose(effect.model[1], expected.model[0], atol=1e-4)
    np.testing.assert_allclose(effect.network[1], expected.network[0], atol=1e-4)
    assert abs(effect.model[1] - effect.model[0]).max() > 1e-3


def test_unchanged(model: Model) -> None:
    """With no unit off the surprisals are those of `score`, the network's those without n-grams."""
    mixed = with_ngrams(model)
    read = activations(mixed, TEXT + "é" * 3)
    effect = switched_off(mixed, read, [])
    for nats, scored in ((effect.model, mixed), (effect.network, model)):
        expected = scored.surprisal([read.text])[0]
        ends = np.cumsum(read.lengths)
        sums = np.append(0, np.cumsum(expected, dtype=float))
        whole = read.lengths[effect.scored] > 0
        of_tokens = (sums[ends] - sums[ends - read.lengths])[effect.scored]
        if model.file.tokenizer.level != "byte":  # a byte of a longer character completes none
            np.testing.assert_allclose(nats[0][whole], of_tokens[whole], atol=1e-2)
    assert (effect.scored >= len(read.ids) // 2).all()


def test_unread_unit() -> None:
    """A unit with zero outgoing weights changes nothing when it is switched off."""
    model = bracket_counter()
    effect = switched_off(model, activations(model, bracketed(4000)), [Unit(1, UNREAD)])
    np.testing.assert_array_equal(effect.network[1], effect.network[0])


def test_many_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a large vocabulary the units are switched off in groups; the result is the same."""
    model = with_ngrams(random_model(CharTokenizer.train(CORPUS)))
    read = activations(model, TEXT)
    units = [Unit(layer, i, OUTPUT) for layer in (1, 2) for i in range(5)]
    whole = switched_off(model, read, units)
    monkeypatch.setattr("charrnn.insight.units.MOST_LOGITS", 4000)
    groups = switched_off(model, read, units)
    np.testing.assert_allclose(groups.model, whole.model, atol=1e-5)
