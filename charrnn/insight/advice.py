"""One sentence of advice on a network, from what was measured."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from charrnn.arrays import Floats
from charrnn.insight.gates import Gate, Units

# Limits from which something is worth a sentence; none is tuned.
GROWS = 10.0  # gradient, as a multiple of that at k = 0
SHORT, SHORT_PLAIN = 5.0, 20.0  # tokens within which the gradient falls under 1 %; without gates
DEAD = 0.3  # share of ReLU units that never are active
SATURATED = 0.8  # share of outputs at their limits
STUCK = 0.95  # share of a gate's activations on one side
FINE = "nothing stands out"


class Findings(NamedTuple):
    """What the rules judge.

    Attributes:
        norms: gradient norms of each state, relative to k = 0, each [K].
        memory: tokens after which the largest of them has fallen under 1 %; None for further away.
        gated: whether the cell has gates.
        gates: the gates and recurrent matrices.
        units: the outputs of each layer.
    """

    norms: Sequence[Floats]
    memory: float | None
    gated: bool
    gates: Sequence[Gate]
    units: Sequence[Units]


def _grows(found: Findings) -> str:
    most = max(float(norms.max()) for norms in found.norms)
    radius = max(gate.radius for gate in found.gates)
    if not most > GROWS:
        return ""
    return (
        f"the gradient grows up to {most:.0f} times on its way back (spectral radius of the "
        f"recurrent weights: {radius:.1f}): lower --clip or --lr, or train a gru or lstm"
    )


def _dead(found: Findings) -> str:
    worst = max(found.units, key=lambda units: units.dead or 0)
    if (worst.dead or 0) <= DEAD:
        return ""
    return (
        f"{worst.dead:.0%} of the ReLU units of layer {worst.layer} are never active: "
        "lower --lr, or train with --cell rnn, gru or lstm"
    )


def _saturated(found: Findings) -> str:
    worst = max(found.units, key=lambda units: units.saturated or 0)
    if (worst.saturated or 0) <= SATURATED:
        return ""
    return (
        f"{worst.saturated:.0%} of the outputs of layer {worst.layer} are saturated, which stops "
        "the gradient: lower --lr or raise --weight-decay"
    )


def _short(found: Findings) -> str:
    limit = SHORT if found.gated else SHORT_PLAIN
    if found.memory is None or found.memory >= limit:
        return ""
    remedy = (
        "train longer or with a larger --bptt" if found.gated else "a gru or lstm remembers longer"
    )
    return f"the gradient falls under 1 % within {found.memory:.0f} tokens: {remedy}"


def _stuck(found: Findings) -> str:
    for gate in found.gates:
        for share, side in ((gate.open, "open"), (gate.closed, "closed")):
            if share is not None and share > STUCK:
                return (
                    f"the {gate.name} gates of layer {gate.layer} are nearly always {side} "
                    f"({share:.0%}), so they hardly choose: train longer or lower --lr"
                )
    return ""


RULES: tuple[Callable[[Findings], str], ...] = (_grows, _dead, _saturated, _short, _stuck)


def advice(found: Findings) -> str:
    """Return the sentence of the first rule that applies, or FINE."""
    return next(filter(None, (rule(found) for rule in RULES)), FINE)
