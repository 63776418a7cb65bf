"""How the gates and units of a network behave on a text, and the gain of its recurrent weights."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats, Ids
from charrnn.network.engine import Engine
from charrnn.scoring import Tell, untold

OPEN, CLOSED = 0.9, 0.1  # activations beyond which a gate counts as open or closed
SATURATED = 0.9  # size of a tanh unit's output beyond which it hardly responds (not tuned)
BINS = 20  # bins of a gate's distribution
STREAMS, STEPS = 64, 128  # streams that read the text, and steps of each (not tuned)
WARM_UP = 32  # steps before gates and units are counted (not tuned)
SQUARINGS = 20  # squarings of a matrix, after which its norm tells the spectral radius


class Gate(NamedTuple):
    """One gate of a layer; a block of the weights without a logistic activation has no shares.

    Attributes:
        layer: number of the layer, from 1.
        name: the gate's name, see Cell.gate_names.
        radius: spectral radius of its recurrent matrix.
        mean: mean activation; None without a logistic activation, as the following.
        open: share of activations above OPEN.
        closed: share of activations below CLOSED.
        shares: share of activations in each of BINS equal bins from 0 to 1.
    """

    layer: int
    name: str
    radius: float
    mean: float | None = None
    open: float | None = None
    closed: float | None = None
    shares: list[float] | None = None


class Units(NamedTuple):
    """The outputs of a layer.

    Attributes:
        layer: number of the layer, from 1.
        saturated: share of outputs beyond SATURATED in size; None for ReLU units.
        dead: share of units that never were active; None for other units.
    """

    layer: int
    saturated: float | None
    dead: float | None


def gates(
    engine: Engine, weights: Mapping[str, Array], ids: Ids, tell: Tell = untold
) -> tuple[list[Gate], list[Units]]:
    """Count how open each gate is, and which units are dead or saturated.

    Args:
        engine: the network.
        weights: its weights by name, see cells.tensor_shapes.
        ids: token ids below V of a text, at least 2.
        tell: called regularly with the share of the work that was done since the last call.
    """
    engine = engine.without_ngrams()
    layers, cell = range(engine.config.layers), engine.cell
    size = engine.config.hidden
    relu = "relu" in cell.torch_options.values()
    steps = min(STEPS, len(ids))
    starts = np.linspace(0, len(ids) - steps, min(STREAMS, len(ids) - steps + 1)).astype(int)
    counted = range(min(WARM_UP, steps // 2), steps)
    totals = [dict.fromkeys(cell.logistic, np.zeros(BINS + 3)) for _ in layers]
    saturated = np.zeros(len(layers))
    active = np.zeros((len(layers), size), bool)
    state = engine.zero_state(len(starts))
    with engine.threads(len(starts)):
        for t in range(steps):
            seen: list[Array] = []
            state = engine.step(ids[starts + t], state, gates_seen=seen)
            for i, activations in enumerate(seen if t in counted else ()):
                for gate in cell.logistic:
                    values = activations[:, gate * size : (gate + 1) * size]
                    totals[i][gate] = totals[i][gate] + _counts(values) / len(counted)
                output = state.hidden[i, 0]
                saturated[i] += (np.abs(output) > SATURATED).mean() / len(counted)
                active[i] |= (output > 0).any(axis=0)
            tell(1 / steps)
    found = []
    for i in layers:
        matrices = np.split(weights[f"layers.{i}.recurrent"], cell.gates)
        for gate, (name, matrix) in enumerate(zip(cell.gate_names, matrices, strict=True)):
            told: list[Any] = totals[i][gate].tolist() if gate in cell.logistic else []
            shares = [*told[:3], told[3:]] if told else []
            found.append(Gate(i + 1, name, spectral_radius(matrix), *shares))
    units = [
        Units(i + 1, None, float((~active[i]).mean()))
        if relu
        else Units(i + 1, float(saturated[i]), None)
        for i in layers
    ]
    return found, units


def _counts(values: Array) -> Floats:
    """Return a gate's mean, the shares that are open and closed, and those in BINS bins."""
    bins = np.minimum((values * BINS).astype(int), BINS - 1)
    shares = np.bincount(bins.ravel(), minlength=BINS) / values.size
    counts: Floats = np.r_[values.mean(), (values > OPEN).mean(), (values < CLOSED).mean(), shares]
    return counts


def spectral_radius(matrix: NDArray[Any]) -> float:
    """Return the largest size of an eigenvalue of a square matrix.

    By Gelfand's formula, the limit of the norm of the matrix to the power n, to the power 1 / n: a
    matrix is squared faster than its eigenvalues are found.
    """
    power, log = matrix.astype(np.float64), 0.0  # the matrix to the power 2^i, over exp(log)
    for i in range(SQUARINGS + 1):
        norm = float(np.linalg.norm(power))
        if not norm or not np.isfinite(norm):
            return norm
        log += np.log(norm)
        power /= norm
        if i < SQUARINGS:
            power, log = power @ power, 2 * log
    return float(np.exp(log / 2**SQUARINGS))
