"""The units of a network while it reads a text, and what changes when one is switched off.

Text coloured by a unit's activation, and units that follow something readable: Karpathy, Johnson &
Fei-Fei 2015, arXiv:1506.02078. They show the cell state of an LSTM, tanh(c); here it is beside the
output.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Ids, Nodes
from charrnn.model import Model
from charrnn.network import blas
from charrnn.network.cells import parameter_count
from charrnn.network.engine import Engine, State, log_softmax
from charrnn.scoring import Tell, untold
from charrnn.tokenizer import ESCAPE_NATS

MOST_CHARS = 100_000  # maximum characters of a text that are read (not tuned)
MOST_VALUES = 1 << 26  # maximum activations kept; a quarter of a gigabyte (not tuned)
# Tokens that a stream reads before those that count. A unit that remembers for longer may be wrong
# at the start of each stream; 128 were too few for units that count brackets or follow quotations.
WARM_UP = 1000
READING_STREAMS = 32  # streams that read the text (not tuned)
SCORING_STREAMS = 8  # streams that read it for each unit that is switched off (not tuned)
# Limits of the tokens that are scored for each unit: whatever the network, they suffice for a
# difference of bits, and take some ten seconds on one core (not tuned).
LEAST_SCORED, MOST_SCORED = 2000, 20_000
SCORING_WORK = 2e11  # multiplications of all units together, if the limits allow (not tuned)
MOST_LOGITS = 1 << 24  # maximum logits in memory (not tuned)
OUTPUT, CELL = "output", "cell state"  # what is read of a unit


class Unit(NamedTuple):
    """A unit of a network, and what is read of it.

    Attributes:
        layer: number of its layer, from 1.
        unit: its index in the layer, from 0.
        value: OUTPUT, or CELL for tanh of an LSTM's cell state.
    """

    layer: int
    unit: int
    value: str = OUTPUT


@dataclass(frozen=True, slots=True)
class Activations:
    """The activations of all units over a text.

    Attributes:
        text: the text that was read.
        units: the units, [U]; those of an LSTM are there twice, as output and as cell state.
        values: activation of each unit after each token, float32 [N, U].
        ids: the tokens, with escapes, int32 [N].
        scales: largest absolute activation of each unit, float32 [U].
        lengths: characters that each token completes, whose activation is that after the token;
            int [N]. They add up to len(text).
    """

    text: str
    units: list[Unit]
    values: Array
    scales: Array
    ids: Ids
    lengths: NDArray[np.intp]

    def of(self, unit: Unit) -> tuple[Array, float]:
        """Return a unit's activation at each character, float32 [len(text)], and its scale."""
        column = self.units.index(unit)
        return np.repeat(self.values[:, column], self.lengths), float(self.scales[column])


class Effect(NamedTuple):
    """What switching units off changes; surprisals are of the tokens `scored`.

    Attributes:
        scored: indices of the tokens, [M], all from the second half of the text.
        model: surprisals (nats) of the model's prediction, n-grams included, float32 [1 + K, M]:
            unchanged, then without each unit.
        network: those of the network's own prediction, float32 [1 + K, M].
    """

    scored: NDArray[np.intp]
    model: Array
    network: Array


def room(model: Model) -> int:
    """Return the maximum number of characters that `activations` keeps."""
    config = model.file.config
    columns = config.layers * config.hidden * model.engine.cell.states
    return max(1, min(MOST_CHARS, MOST_VALUES // columns))


def units_of(model: Model) -> list[Unit]:
    """Return the units of a network, those of an LSTM as output and as cell state."""
    config = model.file.config
    return [
        Unit(layer, index, value)
        for layer in range(1, config.layers + 1)
        for value in (OUTPUT, CELL)[: model.engine.cell.states]
        for index in range(config.hidden)
    ]


def activations(model: Model, text: str, tell: Tell = untold) -> Activations:
    """Read a text, and return the activations of all units.

    The text is cut into streams that are read in parallel, each after the tokens that precede it;
    one stream would take several times as long.

    Args:
        model: a model that is not of records.
        text: the text, at most `room` characters; it is not normalised (see Model.as_read).
        tell: called regularly with the share of the work done since the last call.

    Raises:
        TextError: the text is not valid Unicode.
    """
    tokenizer, config = model.file.tokenizer, model.file.config
    opening = tokenizer.encode(model.file.trained.opening)
    ids = np.concatenate([opening, tokenizer.encode(text)])
    lengths = np.array([*map(len, map(tokenizer.decoder(), ids.tolist()))], np.intp)
    lengths[: len(opening)] = 0
    units = units_of(model)
    values = np.zeros((len(ids), len(units)), np.float32)
    streams = max(1, min(READING_STREAMS, len(ids) // WARM_UP))
    count = -(-len(ids) // streams)
    for step in _walk(model, ids, np.arange(0, len(ids), count), count, tell=tell):
        places = step.places[step.places < len(ids)]  # the last part may be shorter
        rows = step.after.hidden[:, :, : len(places)].transpose(2, 0, 1, 3)
        values[places] = rows.reshape(len(rows), -1)
    by_value = values.reshape(len(ids), config.layers, -1, config.hidden)
    np.tanh(by_value[:, :, 1:], out=by_value[:, :, 1:])
    scales = np.maximum(values.max(axis=0), -values.min(axis=0))
    return Activations(text, units, values, scales, ids, lengths)


def scored_tokens(model: Model, tokens: int, units: int) -> tuple[int, int]:
    """Return how many streams `switched_off` reads, and how many tokens of each it scores.

    Args:
        model: the model.
        tokens: tokens of the second half of the text.
        units: how many units are switched off.
    """
    config = model.file.config
    streams = max(1, min(SCORING_STREAMS, tokens // WARM_UP))
    work = (1 + units) * (parameter_count(config) - config.vocab_size * config.embedding)
    most = min(MOST_SCORED, max(LEAST_SCORED, int(SCORING_WORK / work)))
    return streams, min(tokens, most) // streams


def switched_off(
    model: Model, read: Activations, units: Sequence[Unit], tell: Tell = untold
) -> Effect:
    """Return how well the model predicts the second half of a text without single units.

    A unit that is switched off has the output 0 after each token, for the recurrent product, the
    layer above and the logits alike. Parts of the text are scored, evenly spaced.

    Args:
        model: the model.
        read: the text that it has read.
        units: the units to switch off, each alone, [K].
        tell: called regularly with the share of the work done since the last call.
    """
    config, ids, ngrams = model.file.config, read.ids, model.engine.ngrams
    keep = np.ones((config.layers, 1 + len(units), config.hidden), np.float32)
    for row, unit in enumerate(units, 1):
        keep[unit.layer - 1, row, unit.unit] = 0
    begin = len(ids) // 2
    streams, count = scored_tokens(model, len(ids) - begin, len(units))
    starts = np.linspace(begin, len(ids) - count, streams).astype(np.intp)
    nats = np.empty((2, 1 + len(units), streams, count), np.float32)
    some = max(1, MOST_LOGITS // (streams * config.vocab_size))
    for first in range(0, 1 + len(units), some):
        rows = slice(first, first + some)
        part = keep[:, rows].shape[1] / (1 + len(units))
        walk = _walk(model, ids, starts, count, keep[:, rows], partial(_tell_part, tell, part))
        for t, step in enumerate(walk):
            wanted = model.file.tokenizer.known(ids[step.places])
            logits = step.logits().reshape(-1, streams, config.vocab_size)
            nats[:, rows, :, t] = _surprisal(logits, wanted)
            if ngrams:
                share, added = ngrams.weighted(step.contexts)
                logits *= share
                logits += added
                nats[0, rows, :, t] = _surprisal(logits, wanted)
    scored = (starts[:, None] + np.arange(count)).ravel()
    escaped = np.where(ids[scored] >= config.vocab_size, np.float32(ESCAPE_NATS), np.float32(0))
    return Effect(scored, *(nats.reshape(2, 1 + len(units), -1) + escaped))


@dataclass(frozen=True, slots=True)
class _Step:
    """One token of B streams, each read by C copies of a network.

    Attributes:
        network: the network, without n-grams, which would be the same in each copy.
        places: index of each stream's token in the text, [B].
        contexts: n-gram context of each stream before the token, [B, order].
        before: state before the token, of the streams of each copy in turn, C * B streams.
        after: state after the token.
    """

    network: Engine
    places: NDArray[np.intp]
    contexts: Nodes
    before: State
    after: State

    def logits(self) -> Array:
        """Return the network's logits of the token, float32 [C * B, V]."""
        return self.network.logits(self.before)


def _walk(
    model: Model,
    ids: Ids,
    starts: NDArray[np.intp],
    count: int,
    keep: Array | None = None,
    tell: Tell = untold,
) -> Iterator[_Step]:
    """Read parts of a text in parallel, each after the WARM_UP that precede it.

    Args:
        model: the model.
        ids: the tokens of the text, with escapes, int32 [N].
        starts: index of the first token of each part, [B]; from 0.
        count: tokens of each part. Beyond the end of the text, its last token is read again.
        keep: factor of each unit's output in each copy of the network, float32 [L, C, H]; None for
            one copy, unchanged.
        tell: called with the share of the work done since the last call.
    """
    network = Engine(model.file.config, model.file.weights)
    streams = len(starts)
    kept = None if keep is None else np.repeat(keep, streams, axis=1)
    state = network.zero_state(streams if kept is None else kept.shape[1])
    copies = len(state.output) // streams
    contexts = model.engine.zero_state(streams).contexts
    known = model.file.tokenizer.known(ids)
    warm_up = min(WARM_UP, int(starts.max()))
    with blas.threads(1, 0):  # two threads gain little here, and lose much on a busy machine
        for t in range(-warm_up, count):
            places = starts + t
            if begins := np.flatnonzero(places == 0).tolist():  # forget what was read before it
                new = network.zero_state(copies)
                state.replace([begins[0] + streams * copy for copy in range(copies)], new)
                contexts[begins] = model.engine.zero_state(1).contexts
            tokens = known[places.clip(0, len(ids) - 1)]
            after = network.step(np.tile(tokens, copies), state, kept)
            if t >= 0:
                yield _Step(network, places, contexts, state, after)
            state, contexts = after, model.engine.contexts(tokens, contexts)
            tell(1 / (warm_up + count))


def _surprisal(logits: Array, tokens: Ids) -> Array:
    """Return the surprisals (nats) of tokens [B] by logits [C, B, V], float32 [C, B]."""
    found: Array = -np.take_along_axis(log_softmax(logits), tokens[None, :, None], axis=2)
    return found[:, :, 0]


def _tell_part(tell: Tell, part: float, share: float) -> None:
    """Tell a share of a part of the work as a share of all."""
    tell(part * share)
