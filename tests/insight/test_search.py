"""The search for units that follow a feature, on cases whose answer is known."""

import numpy as np
import pytest

from charrnn.arrays import Array
from charrnn.insight.search import (
    Finding,
    bits_without,
    correlations,
    excerpt,
    features_of,
    search,
    shift_test,
)
from charrnn.insight.units import Activations, Unit, activations, switched_off
from tests.insight.networks import COUNTER, bracket_counter, bracketed


def slow_noise(rng: np.random.Generator, chars: int, units: int) -> Array:
    """Noise that changes slowly, as a unit's activation does: alike over some 50 characters."""
    values = np.zeros((chars, units), np.float32)
    for t in range(1, chars):
        values[t] = 0.98 * values[t - 1] + rng.normal(size=units)
    return values


def as_activations(text: str, values: Array) -> Activations:
    count, units = values.shape
    return Activations(
        text,
        [Unit(1, i) for i in range(units)],
        values,
        abs(values).max(axis=0),
        np.zeros(count, np.int32),
        np.ones(count, np.intp),
    )


@pytest.fixture(scope="module")
def counted() -> tuple[Activations, list[Finding]]:
    model, text = bracket_counter(), bracketed(8000)
    read = activations(model, text)
    return read, [*search(read, features_of(text))]


def test_bracket_counter(counted: tuple[Activations, list[Finding]]) -> None:
    """The unit that counts brackets is found, and confirmed."""
    (found,) = (each for each in counted[1] if each.feature == "depth in ( )")
    assert found.unit == Unit(1, COUNTER)
    assert found.r == pytest.approx(1, abs=1e-4)
    assert found.r_first == pytest.approx(1, abs=1e-4)
    assert found.p < 0.01
    assert found.confirmed


def test_what_it_is_for(counted: tuple[Activations, list[Finding]]) -> None:
    """Without it the network is as good where no bracket is open, and worse where one is."""
    read, findings = counted
    (found,) = (each for each in findings if each.feature == "depth in ( )")
    told = bits_without(found, 1, switched_off(bracket_counter(), read, [found.unit]), read)
    assert told["bpc_off_on_feature"] > told["bpc_on_feature"] + 0.01
    counts = told["chars"], told["chars_on_feature"]
    assert 0 < counts[1] < counts[0]
    outside = [
        (told[name] * counts[0] - told[f"{name}_on_feature"] * counts[1])
        for name in ("bpc", "bpc_off")
    ]
    assert outside[0] == pytest.approx(outside[1], rel=1e-4)
    assert told["network"] == {name: told[name] for name in told["network"]}  # no n-grams


def test_noise_has_no_findings() -> None:
    """Noise that has nothing to do with a text confirms nothing, slow as both of them are."""
    rng = np.random.default_rng(1)
    text = bracketed(4000)
    features = features_of(text)
    found = 0
    for _ in range(20):
        noise = as_activations(text, slow_noise(rng, len(text), 30))
        found += any(finding.confirmed for finding in search(noise, features))
    assert found <= 2  # of 20 searches, where one in 20 is allowed


def test_slow_series_need_the_shifts() -> None:
    """Taken for independent characters, such noise would often seem significant."""
    rng = np.random.default_rng(2)
    noise = slow_noise(rng, 3000, 200).T
    usual = 1.96 / np.sqrt(noise.shape[1])  # of r, at a level of 5 %
    tested = [shift_test(a, b) for a, b in zip(noise[::2], noise[1::2], strict=True)]
    assert sum(abs(r) > usual for r, _ in tested) > 50
    assert 1 <= sum(p < 0.05 for _, p in tested) <= 12  # of 100


def test_chosen_in_the_first_half() -> None:
    """A unit that follows a feature in the first half only is found, and not confirmed."""
    text = bracketed(6000)
    depth = features_of(text)["depth in ( )"]
    rng = np.random.default_rng(0)
    values = slow_noise(rng, len(text), 3)
    values[: len(text) // 2, 1] = depth[: len(text) // 2]
    (found,) = search(as_activations(text, values), {"depth": depth})
    assert found.unit == Unit(1, 1)
    assert found.r_first == pytest.approx(1)
    assert not found.confirmed


def test_only_some_units() -> None:
    """The search can be restricted to units; the best of these is found."""
    text = bracketed(3000)
    features = features_of(text)
    values = np.stack([features["depth in ( )"], 0.5 * features["space"]], axis=1)
    read = as_activations(text, values)
    for unit in (Unit(1, 0), Unit(1, 1)):
        assert all(found.unit == unit for found in search(read, features, [unit]))


def test_correlations() -> None:
    """They are Pearson's, over the characters of tokens of any length; a constant has none."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 4, 5000)
    values = rng.normal(5, 0.1, (5000, 3)).astype(np.float32)
    values[:, 2] = 7
    features = rng.normal(size=(2, lengths.sum())).astype(np.float32)
    features[0] += np.repeat(values[:, 1], lengths)
    features[1] = 1
    found = correlations(values, lengths, features)
    spread = np.repeat(values, lengths, axis=0)
    for unit in (0, 1):
        expected = np.corrcoef(spread[:, unit], features[0])[0, 1]
        assert found[0, unit] == pytest.approx(expected, abs=1e-6)
    assert (found[1] == 0).all()
    assert (found[:, 2] == 0).all()


def test_shift_test() -> None:
    """A series follows itself, or its opposite, more than by any shift; a constant follows none."""
    rng = np.random.default_rng(0)
    series = rng.normal(size=1001).astype(np.float32)
    r, p = shift_test(series, -2 * series)
    assert r == pytest.approx(-1)
    assert p == pytest.approx(1 / 1001)
    assert shift_test(series, np.ones_like(series)) == (0, 1)


def test_features_that_hold() -> None:
    """What holds hardly anywhere in one half is not searched for."""
    text = "ab c\n" * 500
    assert {"vowel", "space", "line end"} <= features_of(text).keys()
    assert "digit" not in features_of(text + "1" * 300)
    assert "digit" in features_of("1" * 60 + text + "1" * 300)
    assert features_of("a" * 3000) == {}


def test_excerpt() -> None:
    """It shows where features change, from the start of a line."""
    text = "a line\n" * 200
    holds = np.zeros(len(text), bool)
    holds[800:830] = True
    start = excerpt(text, [holds], 100)
    assert start <= 800 < start + 100
    assert text[start - 1] == "\n"
    assert excerpt("short", [np.ones(5, bool)], 100) == 0
