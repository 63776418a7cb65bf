"""How far the gradient of the loss reaches back, by torch's automatic differentiation."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.arrays import Array, Floats, Ids
from charrnn.network.model_file import ModelFile
from charrnn.scoring import Tell, untold
from charrnn.training.network import Network

REACH = 300  # maximum distance, in tokens
POSITIONS = 200  # positions at which the loss is taken
WARM_UP = 64  # tokens read before those whose gradient is taken (not tuned)
# Positions at a time: they hold what the backward pass needs, 0.1 GB for a layer of 512 units.
STREAMS = 32


class Reach(NamedTuple):
    """The gradient of the loss with respect to one state of a layer.

    Attributes:
        layer: number of the layer, from 1.
        state: "hidden", or "cell" for the LSTM's second state.
        norms: mean norm of d loss(t) / d state(t - k) for each k from 0, over that for k = 0, [K].
        positions: number of positions that the mean is taken over.
    """

    layer: int
    state: str
    norms: Floats
    positions: int


def gradient_reach(model: ModelFile, ids: Ids, tell: Tell = untold) -> list[Reach]:
    """Measure how the loss at a position depends on earlier states.

    The state at t is the one that the prediction of the next token is made from.

    Args:
        model: the model, of which the network is measured, without n-grams.
        ids: token ids below V of a text, at least 300; a short one limits the distance.
        tell: called regularly with the share of the work that was done since the last call.
    """
    network = Network(model.config, torch.Generator())
    network.load({name: torch.from_numpy(_float32(w)) for name, w in model.weights.items()})
    network.eval()
    reach = min(REACH, len(ids) // 2)
    before = min(reach + 1 + WARM_UP, len(ids) - POSITIONS // 2)
    at = np.unique(np.linspace(before, len(ids) - 1, POSITIONS).astype(int))
    sums: dict[tuple[int, str], Floats] = {}
    threads = torch.get_num_threads()
    # The products are small: a second thread gains little, and on a busy machine it costs 80 times.
    torch.set_num_threads(1)
    try:
        for chunk in np.split(at, range(STREAMS, len(at), STREAMS)):
            tokens = torch.from_numpy(ids[chunk + np.arange(-before, 1)[:, None]]).long()
            for key, norms in _norms(network, tokens, reach).items():
                sums[key] = sums.get(key, np.zeros(reach + 1)) + norms
            tell(len(chunk) / len(at))
    finally:
        torch.set_num_threads(threads)
    return [
        Reach(layer, state, norms / norms[0] if norms[0] else norms, len(at))
        for (layer, state), norms in sums.items()
    ]


def _norms(network: Network, ids_tb: Tensor, reach: int) -> dict[tuple[int, str], Floats]:
    """Return the norms of the gradient by layer and state, summed over the streams, [reach + 1].

    Args:
        network: the network.
        ids_tb: tokens to read, then the one to predict, int64 [T + 1, B].
        reach: maximum distance, under T.
    """
    streams = ids_tb.shape[1]
    start = len(ids_tb) - 2 - reach  # tokens that are read before
    with torch.no_grad():
        _, states = network.read(ids_tb[:start], network.zero_state(streams))
    seen: dict[tuple[int, str], list[Tensor]] = {}
    for ids in ids_tb[start:-1]:
        x = network.embedding(ids[None])
        for i, layer in enumerate(network.layers):
            # The output, not torch's copy of it, is the state that goes on: its gradient then
            # counts both the next token and the layer above.
            if isinstance(layer, nn.LSTM):
                x, cell = _lstm(layer, x, states[i][:1], states[i][1:])
                states[i] = torch.cat((x, cell))
                seen.setdefault((i + 1, "cell"), []).append(cell)
            else:
                x, _ = layer(x, states[i])
                states[i] = x
            seen.setdefault((i + 1, "hidden"), []).append(x)
    loss = nn.functional.cross_entropy(network.output(x[0]), ids_tb[-1], reduction="sum")
    gradients = iter(torch.autograd.grad(loss, [x for kept in seen.values() for x in kept]))
    norms = {
        # In float64, as the square of a vanishing gradient is 0 in float32.
        key: np.array([float(next(gradients).double().norm(dim=-1).sum()) for _ in kept])[::-1]
        for key, kept in seen.items()
    }
    return dict(sorted(norms.items()))


def _lstm(layer: nn.LSTM, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the output and the cell state of a step; in torch's own, neither depends on the other.

    Args:
        layer: the layer.
        x: its input, [1, B, K].
        hidden: its output before, [1, B, H].
        cell: its cell state before, [1, B, H].
    """
    weights = dict(layer.named_parameters())
    gates = nn.functional.linear(x, weights["weight_ih_l0"], weights["bias_ih_l0"])
    gates = gates + nn.functional.linear(hidden, weights["weight_hh_l0"], weights["bias_hh_l0"])
    entering, forgetting, candidate, leaving = gates.chunk(4, dim=-1)
    cell = forgetting.sigmoid() * cell + entering.sigmoid() * candidate.tanh()
    return leaving.sigmoid() * cell.tanh(), cell


def _float32(weights: Array) -> Array:
    """Return weights that torch may keep and NumPy need not be able to write."""
    return np.array(weights, np.float32)
