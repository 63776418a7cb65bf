"""The search for units that follow a feature of the text, and what each is for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats, Mask, bits
from charrnn.insight.features import FEATURES
from charrnn.insight.units import Activations, Effect, Unit

# Characters of each half at which a feature must hold, and at which it must not (not tuned).
LEAST_HOLDING = 50
LEAST_CHARS = 2000  # characters below which chance cannot be excluded; see `shift_test`
LEVEL = 0.05  # probability that chance alone confirms any finding of a search (convention)
ROWS = 4096  # activations correlated at a time (not tuned)
FLAT = 1e-5  # a unit or a feature that deviates less from its mean is constant (not tuned)


@dataclass(frozen=True, slots=True)
class Finding:
    """The unit that follows a feature best.

    Attributes:
        feature: name of the feature, a key of FEATURES.
        unit: the unit with the strongest correlation in the first half of the text.
        r_first: this correlation (Pearson's r).
        r: the correlation of the two in the second half.
        p: probability that chance alone gives one as strong in the second half for any feature
            that was searched for; see `shift_test`. It is corrected for their number (Bonferroni).
        holds: whether the feature holds at each character, that is, exceeds its mean; bool [T].
    """

    feature: str
    unit: Unit
    r_first: float
    r: float
    p: float
    holds: Mask

    @property
    def confirmed(self) -> bool:
        """Whether the second half confirms the first."""
        return self.p < LEVEL and self.r * self.r_first > 0


def features_of(text: str) -> dict[str, Array]:
    """Return the features that hold somewhere in each half of a text, but not everywhere."""
    found = {name: feature(text) for name, feature in FEATURES.items()}
    half = len(text) // 2

    def varies(values: Array) -> bool:
        counts = [int(part.sum()) for part in np.split(values > values.mean(), [half])]
        sizes = (half, len(text) - half)
        return all(
            LEAST_HOLDING <= count <= size - LEAST_HOLDING
            for count, size in zip(counts, sizes, strict=True)
        )

    return {name: values for name, values in found.items() if varies(values)}


def search(
    read: Activations, features: Mapping[str, Array], units: Sequence[Unit] | None = None
) -> Iterator[Finding]:
    """Yield the unit that follows each feature best.

    It is chosen in the first half of the text and tested in the second, which its choice cannot
    have fitted: there, one unit is tested for each feature.

    Args:
        read: the activations over a text.
        features: a value for each character of the text by the names of features.
        units: the units to choose from; None for all.
    """
    columns = [*range(len(read.units))] if units is None else [*map(read.units.index, units)]
    middle = len(read.ids) // 2
    half = int(read.lengths[:middle].sum())
    values = np.stack([*features.values()])
    first = correlations(read.values[:middle], read.lengths[:middle], values[:, :half])
    for name, row, feature in zip(features, first, values, strict=True):
        column = max(columns, key=lambda i: abs(row[i]))
        unit = read.units[column]
        r, p = shift_test(read.of(unit)[0][half:], feature[half:])
        holds = feature > feature.mean()
        yield Finding(name, unit, float(row[column]), r, min(1.0, p * len(features)), holds)


def correlations(values: Array, lengths: NDArray[np.intp], features: Array) -> Floats:
    """Return the correlations of units and features over the characters of a text.

    Args:
        values: activation of each unit after each token, float32 [N, U].
        lengths: characters of each token, [N].
        features: value of each feature at each character, float32 [F, T].

    Returns:
        Pearson's r, [F, U]; 0 where one of the two is constant.
    """
    ends = np.cumsum(lengths)
    centred = features - features.mean(axis=1, keepdims=True, dtype=float)
    sums = np.pad(np.cumsum(centred, axis=1), ((0, 0), (1, 0)))
    of_tokens = sums[:, ends] - sums[:, ends - lengths]
    chars = max(1, int(ends[-1]))
    share = lengths / chars
    parts = [slice(start, start + ROWS) for start in range(0, len(values), ROWS)]
    mean = sum(share[part] @ values[part] for part in parts)
    variance, covariance = np.zeros(values.shape[1]), np.zeros((len(features), values.shape[1]))
    for part in parts:
        deviations = values[part] - mean
        covariance += of_tokens[:, part] @ deviations / chars
        variance += share[part] @ np.square(deviations, out=deviations)
    deviation = np.sqrt(variance)
    scale = np.outer(centred.std(axis=1), deviation)
    constant = np.minimum.outer(centred.std(axis=1), deviation) < FLAT
    r: Floats = np.where(constant, 0, covariance / np.where(constant, 1, scale))
    return r


def shift_test(activation: Array, feature: Array) -> tuple[float, float]:
    """Return the correlation of two series, and how probable one as strong is by chance.

    Neighbouring characters are alike, so that a test that takes them for independent would confirm
    anything. Here the feature is shifted along the text, as a circle, by each distance: this
    keeps the regularity of both series, and removes what they have to do with each other. Harris
    2020, A shift test for independence in generic time series, arXiv:2012.06862. Of series that
    have nothing to do with each other, any shift is as likely to be the best one; short shifts
    count: without them, some in a hundred such pairs would seem certain. What recurs at exact
    intervals cannot be confirmed.

    Args:
        activation: a unit's activation at each character, float32 [T].
        feature: the feature's value at each character, float32 [T].

    Returns:
        Pearson's r, and the share of all T shifts, that by 0 included, whose r is as far from 0.
    """
    a, b = (series - series.mean(dtype=float) for series in (activation, feature))
    scale = len(a) * a.std() * b.std()
    if min(a.std(), b.std()) < FLAT:
        return 0.0, 1.0
    r = np.fft.irfft(np.fft.rfft(a) * np.fft.rfft(b).conj(), len(a)) / scale
    return float(np.clip(r[0], -1, 1)), float((abs(r) >= abs(r[0])).mean())


def bits_without(finding: Finding, row: int, effect: Effect, read: Activations) -> dict[str, Any]:
    """Return bits per character with and without a finding's unit, as `charrnn neurons` reports.

    Args:
        finding: the finding.
        row: row of its unit in `effect`.
        effect: what switching units off changes.
        read: the text that was read.

    Returns:
        chars: characters scored. chars_on_feature: those of them that follow one at which the
        feature holds. bpc, bpc_off: bits per character as the model is, and without the unit.
        bpc_on_feature, bpc_off_on_feature: the same for those characters; None if there are none.
        network: these four values for the network's own prediction, without n-grams.
    """
    lengths = read.lengths[effect.scored]
    last = np.cumsum(read.lengths)[effect.scored] - lengths - 1  # the character before each token
    on = finding.holds[last]

    def scores(nats: Array) -> dict[str, float | None]:
        def bpc(nats: Array, chosen: Mask) -> float | None:
            chars = int(lengths[chosen].sum())
            return bits(float(nats[chosen].sum(dtype=float)) / chars) if chars else None

        every = np.ones_like(on)
        return {
            "bpc": bpc(nats[0], every),
            "bpc_off": bpc(nats[row], every),
            "bpc_on_feature": bpc(nats[0], on),
            "bpc_off_on_feature": bpc(nats[row], on),
        }

    counts = {"chars": int(lengths.sum()), "chars_on_feature": int(lengths[on].sum())}
    return {**counts, **scores(effect.model), "network": scores(effect.network)}


def excerpt(text: str, holds: Sequence[Mask], size: int) -> int:
    """Return the start of the part of a text that shows most features, most evenly.

    It is the start of a line, if there is one near.

    Args:
        text: the text.
        holds: whether each feature holds at each character, bool [F] of [T].
        size: characters of the part.
    """
    starts = range(0, max(1, len(holds[0]) - size + 1), max(1, size // 4))
    shares = np.array([[part[start : start + size].mean() for start in starts] for part in holds])
    start = starts[int(np.sqrt(shares * (1 - shares)).sum(axis=0).argmax())]
    line = 1 + text.find("\n", start, start + size // 4)
    return line if start and line else start
