"""Reads what is typed: the network's state after it, and an output layer that learns it.

Dynamic evaluation (Krause et al. 2018, arXiv:1709.07432) of the output layer alone: each token that
is read pulls its row of the matrix towards the network's output before it, and pushes those of the
tokens that were expected instead away. Of a token that is taken back this is undone, so that what
comes next follows from the text as it stands. Of a long text that is opened most is read at several
points at once, and after a jump in it no more than what follows the nearest place that was kept.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Ids
from charrnn.network.engine import Engine, Streams, log_softmax

KEEP = 512  # states, at least; whoever goes back further has the text read again from a place
KNOWN = 4  # states whose next tokens are kept: of the word, after it, and after a space
AT_ONCE = 32  # tokens that are learned together, as soon as all of them are read
HEADS, SPAN = 16, 128  # a long text is read at so many points at once, so many tokens at each,
WARM_UP = 64  # after so many that stand before: further back little is remembered
ROUND = HEADS * SPAN  # tokens, after which a place is kept that a jump can go back to
PLACES, PLACES_BYTES = 16, 1 << 26  # at the most
LEAST = 1e-3  # by which a token's probability was wrong at most, if that is not worth correcting


class Lesson(NamedTuple):
    """What was learned of AT_ONCE tokens; see Engine.correct."""

    tokens: NDArray[np.intp]
    shares: Array
    outputs: Array


class Place(NamedTuple):
    """A text that was read, the state after it, and the network that had learned it."""

    ids: Ids
    state: Array
    engine: Engine


class AdaptiveNetwork:
    """The state after a text, kept for its last tokens, so that a key costs a step.

    Args:
        engine: reads; it stays as it is.
        start: the state before any text, [L, S, 1, H].
        unknown_id: of the token that is never predicted.
        rate: at which the output layer learns; 0 for not at all.
        keep: states that are kept, at least; AT_ONCE or more.

    Attributes:
        engine: the same network, with an output layer that has learned the text read last.
    """

    def __init__(
        self, engine: Engine, start: Array, unknown_id: int, rate: float = 0.0, keep: int = KEEP
    ) -> None:
        self._untaught = engine
        self._unknown_id = unknown_id
        self._rate = rate
        self._keep = keep
        self._start = Place(np.zeros(0, np.int32), start, engine)
        places = PLACES_BYTES // (4 * engine.config.vocab_size * engine.config.hidden)
        self._places: deque[Place] = deque(maxlen=max(1, min(PLACES, places)))
        self._go_back(self._start.ids)

    def _go_back(self, ids: Ids) -> None:
        """Go back to the last place on the way to a text."""
        places = [place for place in self._places if _begins(ids, place.ids)]
        place = max(places, key=lambda place: len(place.ids), default=self._start)
        self.engine = place.engine.with_own_output() if self._rate else place.engine
        self._ids = place.ids
        self._states = [place.state]  # after the first N - len + 1 ... N of the N ids
        self._lessons: list[Lesson] = []
        # The last states that were asked about, and what may come next.
        self._known: deque[tuple[Array, Array]] = deque(maxlen=KNOWN)

    def _remember(self, ids: Ids) -> None:
        """Keep the place behind a text that was just read."""
        engine = self.engine.with_own_output() if self._rate else self.engine
        self._places.append(Place(ids, self._states[-1], engine))

    def _same(self, ids: Ids) -> int:
        """How many tokens a text and the last one have in common at the start."""
        shorter = min(len(ids), len(self._ids))
        differ = np.flatnonzero(ids[:shorter] != self._ids[:shorter])
        return int(differ[0]) if len(differ) else shorter

    @property
    def _oldest(self) -> int:
        """Tokens before the first state."""
        return len(self._ids) + 1 - len(self._states)

    def read_ahead(self, ids: Ids) -> Iterator[None]:
        """Read a text before its state is asked for, some of it for each item.

        Whoever asks for the state of another one meanwhile does not go on with this.
        """
        yield from self._rounds(ids)
        for end in range(len(self._ids) + AT_ONCE, len(ids), AT_ONCE):
            self.state(ids[:end])
            yield

    def _rounds(self, ids: Ids) -> Iterator[None]:
        """If a text goes on far from what is known, read most of it; one round for each item."""
        same = self._same(ids)
        if same // AT_ONCE * AT_ONCE < self._oldest or len(ids) - same > self._keep + ROUND:
            self._go_back(ids)
            while len(ids) - len(self._ids) >= self._keep + ROUND:
                self._read_round(ids[: len(self._ids) + ROUND])
                yield

    def state(self, ids: Ids) -> Array:
        """The state after a text, [L, S, 1, H]; what follows is predicted as after that text."""
        for _ in self._rounds(ids):
            pass
        same = self._same(ids)
        del self._states[same - self._oldest + 1 :]
        for _ in range(same // AT_ONCE, len(self._ids) // AT_ONCE if self._rate else 0):
            tokens, shares, outputs = self._lessons.pop()
            self.engine.correct(tokens, -shares, outputs)
        for end in range(same + 1, len(ids) + 1):
            self._states.append(self.engine.step(ids[end - 1 : end], self._states[-1]))
            if self._rate and end % AT_ONCE == 0:
                before = [state[-1, 0] for state in self._states[-AT_ONCE - 1 : -1]]
                self._learn(ids[end - AT_ONCE : end], np.concatenate(before))
            if end % ROUND == 0:
                self._remember(ids[:end])
            del self._states[: -2 * self._keep]
        del self._lessons[: -(2 * self._keep // AT_ONCE + 1)]
        self._ids = ids
        return self._states[-1]

    def _read_round(self, ids: Ids) -> None:
        """Read the last ROUND tokens of a text, of which all before have been read.

        Many times faster than one after the other. All but the first head begin with no memory
        of what stands further back than WARM_UP.
        """
        starts = len(ids) - np.arange(HEADS, 0, -1) * SPAN
        streams = Streams(self._untaught, np.repeat(self._start.state, HEADS, axis=2))
        for back in range(WARM_UP, 0, -1):
            streams.step(ids[np.maximum(0, starts - back)])
        streams.put(0, self._states[-1][:, :, 0])
        outputs = np.empty((SPAN, HEADS, self._untaught.config.hidden), np.float32)
        for place, output in enumerate(outputs):
            output[:] = streams.state[-1, 0]
            streams.step(ids[starts + place])
        self._states = [streams.state[:, :, -1:]]
        if self._rate:
            in_order = outputs.swapaxes(0, 1).reshape(ROUND, -1)
            for i in range(0, ROUND, AT_ONCE):
                self._learn(ids[starts[0] + i :][:AT_ONCE], in_order[i : i + AT_ONCE])
            self._lessons = []
        self._ids = ids
        self._remember(ids)

    def _learn(self, ids: Ids, outputs: Array) -> None:
        """Correct the output layer by tokens and the network's outputs before them, [T, H]."""
        errors = -np.exp(self.logp(outputs[None, None]))
        errors[np.arange(len(ids)), ids] += 1
        errors[ids == self._unknown_id] = 0
        tokens = np.flatnonzero((np.abs(errors) > LEAST).any(axis=0))
        shares = np.float32(self._rate) * errors[:, tokens]
        self._lessons.append(Lesson(tokens, shares, outputs))
        self.engine.correct(*self._lessons[-1])

    def next(self, state: Array) -> Array:
        """Log-probabilities of the token after the last text or one before it, [1, V].

        While a word is typed they stay the same, and of many words they take long to find.
        """
        for known, logp in self._known:
            if known is state:
                return logp
        logp = self.logp(state)
        self._known.append((state, logp))
        return logp

    def logp(self, state: Array) -> Array:
        """Log-probabilities of the next token in states that go on from the last text.

        Args:
            state: [L, S, B, H].

        Returns:
            float32 [B, V].
        """
        logits = self.engine.logits(state)
        logits[:, self._unknown_id] = -np.inf
        return log_softmax(logits)


def _begins(text: Ids, beginning: Ids) -> bool:
    return np.array_equal(text[: len(beginning)], beginning)
