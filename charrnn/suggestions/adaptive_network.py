"""A network that adapts to the text being typed: dynamic evaluation of its output layer.

Krause et al. 2018, arXiv:1709.07432, restricted to the output layer: each token that is read pulls
its row of the matrix towards the network's output before it, and pushes away the rows of the tokens
expected instead. Deleting a token undoes its update, so predictions depend on the current text
alone. A long text is mostly read as parallel streams, and a jump back starts from a checkpoint.
"""

from collections import deque
from collections.abc import Iterator
from copy import copy
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Ids
from charrnn.network.engine import Engine, State, Streams, log_softmax

KEEP = 512  # minimum number of recent states kept, for deletions (not tuned)
CACHED_PREDICTIONS = 4  # predictions kept: at a word's start, at its end, after a space
LESSON_TOKENS = 32  # tokens per update of the output layer (not tuned)
STREAMS = 16  # parallel streams in which a long text is read (not tuned)
STREAM_TOKENS = 128  # tokens that each stream reads in a round (not tuned)
WARM_UP_TOKENS = 64  # tokens that a stream reads before its own, to build up its state (not tuned)
ROUND = STREAMS * STREAM_TOKENS  # tokens between checkpoints
MAX_CHECKPOINTS = 16  # maximum number of checkpoints kept (not tuned)
CHECKPOINT_BYTES = 1 << 26  # maximum memory of the checkpoints' output layers (not tuned)
MIN_ERROR = 1e-3  # smaller prediction errors (probability) are ignored (not tuned)


class Lesson(NamedTuple):
    """An update of the output layer, as Engine.correct takes it, to be undone later.

    Attributes:
        tokens: Ids of the tokens whose rows changed, [N].
        shares: Learning rate times prediction error, float32 [T, N].
        outputs: The network's outputs before each token read, float32 [T, H].
    """

    tokens: NDArray[np.intp]
    shares: Array
    outputs: Array


class Checkpoint(NamedTuple):
    """A text that was read, to go back to.

    Attributes:
        ids: Its token ids.
        state: The state after it.
        engine: The network as adapted to it.
    """

    ids: Ids
    state: State
    engine: Engine


class AdaptiveNetwork:
    """Keeps the state after each of the last tokens of a text, so that a keystroke costs one step.

    Args:
        engine: The network; is not changed.
        start: State before any text.
        unknown_id: Id of the token that is never predicted.
        rate: Learning rate of the output layer; 0 to not adapt.
        keep: Minimum number of recent states to keep; LESSON_TOKENS or more.

    Attributes:
        engine: The network with its output layer adapted to the last text read.
        updates: Number of times that the output layer was updated, or an update undone.
    """

    def __init__(
        self, engine: Engine, start: State, unknown_id: int, rate: float = 0.0, keep: int = KEEP
    ) -> None:
        self._original = engine
        self._unknown_id = unknown_id
        self._rate = rate
        self._keep = keep
        self.updates = 0
        self._start = Checkpoint(np.zeros(0, np.int32), start, engine)
        fitting = CHECKPOINT_BYTES // (4 * engine.config.vocab_size * engine.config.hidden)
        self._checkpoints: deque[Checkpoint] = deque(maxlen=max(1, min(MAX_CHECKPOINTS, fitting)))
        self._go_back(self._start.ids)

    def fork(self) -> Self:
        """Return a network that reads on from the last text without adapting to what it reads.

        It shares the output layer, so use it only until the next call of this one's methods.
        """
        other = copy(self)
        other._rate = 0
        other._states, other._lessons = [*self._states], []
        other._checkpoints = deque(maxlen=0)
        other._predicted = self._predicted.copy()
        return other

    def _go_back(self, ids: Ids) -> None:
        """Go back to the checkpoint of the longest prefix of a text."""
        usable = [checkpoint for checkpoint in self._checkpoints if _begins(ids, checkpoint.ids)]
        last = max(usable, key=lambda checkpoint: len(checkpoint.ids), default=self._start)
        self.engine = last.engine.with_own_output() if self._rate else last.engine
        self.updates += 1
        self._ids = last.ids
        self._states = [last.state]  # the states after the last tokens, the oldest first
        self._lessons: list[Lesson] = []
        # The states last asked about, and the predictions after them.
        self._predicted: deque[tuple[State, Array]] = deque(maxlen=CACHED_PREDICTIONS)

    def _remember(self, ids: Ids) -> None:
        """Keep a checkpoint after a text that was just read."""
        engine = self.engine.with_own_output() if self._rate else self.engine
        self._checkpoints.append(Checkpoint(ids, self._states[-1], engine))

    def _shared(self, ids: Ids) -> int:
        """Return the number of tokens that a text and the last text share at the start."""
        shorter = min(len(ids), len(self._ids))
        differ = np.flatnonzero(ids[:shorter] != self._ids[:shorter])
        return int(differ[0]) if len(differ) else shorter

    @property
    def _oldest(self) -> int:
        """Number of tokens before the oldest state kept."""
        return len(self._ids) + 1 - len(self._states)

    def read_ahead(self, ids: Ids) -> Iterator[None]:
        """Read a text before its state is asked for, one block for each item yielded.

        Do not resume this after asking for the state of another text.
        """
        yield from self._rounds(ids)
        for end in range(len(self._ids) + LESSON_TOKENS, len(ids), LESSON_TOKENS):
            self.state(ids[:end])
            yield

    def _rounds(self, ids: Ids) -> Iterator[None]:
        """Read most of a text that goes far beyond the states kept, yielding after each round."""
        same = self._shared(ids)
        undone_from = same // LESSON_TOKENS * LESSON_TOKENS
        if undone_from < self._oldest or len(ids) - same > self._keep + ROUND:
            self._go_back(ids)
            while len(ids) - len(self._ids) >= self._keep + ROUND:
                self._read_round(ids[: len(self._ids) + ROUND])
                yield

    def state(self, ids: Ids) -> State:
        """Read a text, adapt to it, and return the state after it."""
        for _ in self._rounds(ids):
            pass
        same = self._shared(ids)
        del self._states[same - self._oldest + 1 :]
        for _ in range(same // LESSON_TOKENS, len(self._ids) // LESSON_TOKENS if self._rate else 0):
            tokens, shares, outputs = self._lessons.pop()
            self.engine.correct(tokens, -shares, outputs)
            self.updates += 1
        for end in range(same + 1, len(ids) + 1):
            self._states.append(self.engine.step(ids[end - 1 : end], self._states[-1]))
            if self._rate and end % LESSON_TOKENS == 0:
                before = State.join(self._states[-LESSON_TOKENS - 1 : -1])
                self._learn(ids[end - LESSON_TOKENS : end], before)
            if end % ROUND == 0:
                self._remember(ids[:end])
            del self._states[: -2 * self._keep]
        del self._lessons[: -(2 * self._keep // LESSON_TOKENS + 1)]
        self._ids = ids
        return self._states[-1]

    def _read_round(self, ids: Ids) -> None:
        """Read the last ROUND tokens of a text as streams; the rest has been read.

        This is many times faster than token by token. All streams but the first remember nothing
        from before their WARM_UP_TOKENS.
        """
        starts = len(ids) - np.arange(STREAMS, 0, -1) * STREAM_TOKENS
        streams = Streams(self._original, self._start.state.repeat(STREAMS))
        for back in range(WARM_UP_TOKENS, 0, -1):
            streams.step(ids[np.maximum(0, starts - back)])
        streams.put([0], self._states[-1])
        before = []
        for i in range(STREAM_TOKENS):
            before.append(streams.state.visible())
            streams.step(ids[starts + i])
        self._states = [streams.state.take(slice(-1, None))]
        if self._rate:
            in_order = State.join(before).take(
                np.arange(ROUND).reshape(STREAM_TOKENS, STREAMS).T.ravel()
            )
            for i in range(0, ROUND, LESSON_TOKENS):
                lesson = slice(i, i + LESSON_TOKENS)
                self._learn(ids[starts[0] :][lesson], in_order.take(lesson))
            self._lessons = []
        self._ids = ids
        self._remember(ids)

    def _learn(self, ids: Ids, before: State) -> None:
        """Train the output layer on tokens, [T], and the states before them, of T streams."""
        errors = -np.exp(self.logp(before))
        errors[np.arange(len(ids)), ids] += 1
        errors[ids == self._unknown_id] = 0
        tokens = np.flatnonzero((np.abs(errors) > MIN_ERROR).any(axis=0))
        shares = np.float32(self._rate) * errors[:, tokens]
        self._lessons.append(Lesson(tokens, shares, before.output))
        self.engine.correct(*self._lessons[-1])
        self.updates += 1

    def next(self, state: State) -> Array:
        """Return the log-probabilities of the token after a state that `state` returned, [1, V].

        They are cached: while a word is typed the same state is asked about again, and a large
        vocabulary makes them slow to compute.
        """
        for known, logp in self._predicted:
            if known is state:
                return logp
        logp = self.logp(state)
        self._predicted.append((state, logp))
        return logp

    def logp(self, state: State) -> Array:
        """Return the log-probabilities of the next token after some states, float32 [B, V].

        Args:
            state: States of continuations of the last text.
        """
        logits = self.engine.logits(state)
        logits[:, self._unknown_id] = -np.inf
        return log_softmax(logits)


def _begins(text: Ids, beginning: Ids) -> bool:
    """Return whether a text begins with another one."""
    return np.array_equal(text[: len(beginning)], beginning)
