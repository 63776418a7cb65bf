"""Sampling the next tokens from logits [B, V], one row per stream."""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import LN2, Array, Ids, Mask
from charrnn.config import SamplingConfig
from charrnn.errors import UsageError
from charrnn.generation.filters import FILTERS, Context
from charrnn.generation.spelling import Spelling
from charrnn.network.engine import log_softmax
from charrnn.tokenizer import Joints

SPARE = 512  # tokens kept beyond the window, so that some can be taken back (not tuned)
AHEAD = 64  # random numbers generated at once for each stream (not tuned)
RUN = 16  # equal tokens in a row that make `filters.runs_end` apply (not tuned)


class Sampler:
    """Samples the tokens of B streams under one configuration.

    Args:
        config: how tokens are sampled.
        rngs: random number generators, one per stream.
        pasts: token ids that each stream begins with, [N] each.
        joints: where tokens form words; None unless it is a word model.

    Raises:
        UsageError: `config` asks for known words, but tokens are not words.
    """

    def __init__(
        self,
        config: SamplingConfig,
        rngs: Sequence[np.random.Generator],
        pasts: Sequence[NDArray[np.integer]],
        joints: Joints | None = None,
    ) -> None:
        values = {name: getattr(config, name) for name in FILTERS}
        if config.known_words and not joints:
            raise UsageError(
                "known_words needs a word model", "train with --level word", ["known_words"]
            )
        values["known_words"] = joints if config.known_words else None
        rows = {name: FILTERS[name] for name, value in values.items() if value is not None}
        self._filters = [(row.apply, values[name]) for name, row in rows.items()]
        self._config = config
        self._rngs = list(rngs)
        self._uniform = np.empty((len(rngs), AHEAD))
        self._used = AHEAD
        histories = [row.history for row in rows.values()]
        self._depth = max(n if isinstance(n, int) else getattr(config, n) for n in histories)
        # New ids are appended; when the array is full, its second half moves to the front.
        self._kept = self._depth + SPARE if self._depth else 0
        self._ids = np.full((len(rngs), 2 * self._kept), -1, np.int32)
        self._end = self._kept
        self._context = Context(
            bias=np.zeros(0, np.float32),
            past=self._ids[:, :0],
            window=config.penalty_window,
            limit=np.full(len(rngs), 2 * (config.mirostat or 0.0), np.float32),
        )
        limited = any(row.drops for row in rows.values())
        if joints and not config.known_words and (config.temperature < 1 or limited):
            last = [int(past[-1]) if len(past) else -1 for past in pasts]
            self._context.spelling = Spelling(joints, config.temperature, limited, last)
        # The newest token of each stream, and how often it occurred in a row. (For one stream
        # lists are faster than arrays.)
        self._last = [-1] * len(rngs)
        self._repeated = [0] * len(rngs)
        for row, past in enumerate(pasts):
            self._read(row, past)

    def _read(self, row: int, past: NDArray[np.integer]) -> None:
        """Begin a stream, whose ids are -1, with some tokens."""
        for token in past[-RUN:].tolist():
            self._repeated[row] = self._repeated[row] + 1 if token == self._last[row] else 1
            self._last[row] = token
        known = past[max(0, len(past) - self._kept) :]
        self._ids[row, self._end - len(known) : self._end] = known

    def restart(self, row: int, rng: np.random.Generator, past: NDArray[np.integer]) -> None:
        """Begin another stream in a row; only where `held` is None.

        Args:
            row: index of the stream that it replaces.
            rng: its random number generator.
            past: token ids that it begins with, [N].
        """
        self._rngs[row] = rng
        ahead = self._uniform[row, self._used :]
        np.subtract(1, rng.random(len(ahead)), out=ahead)
        self._ids[row] = self._last[row] = -1
        self._repeated[row] = 0
        self._context.limit[row] = 2 * (self._config.mirostat or 0.0)
        self._read(row, past)

    def sample(self, logits: Array, bias: Array) -> NDArray[np.intp]:
        """Sample the next token of each stream.

        Args:
            logits: unnormalised log-probabilities (nats), float [B, V]; -inf allowed.
            bias: nats added by the filter `bias`, float [V] or [B, V]; -inf allowed.

        Returns:
            Token ids, [B].

        Raises:
            ModelFileError: the logits are not finite, as with damaged weights.
        """
        context = self._context
        context.bias = bias
        context.last = self._last
        context.run = self._runs() if max(self._repeated) >= RUN else None
        if self._depth:
            context.past = self._ids[:, self._end - self._depth : self._end]
        unlimited = logits
        for apply, value in self._filters:
            unlimited, logits = logits, apply(logits, value, context)
        # After `temperature` no logit is above 0.
        reached = np.add.accumulate(np.exp(logits), axis=-1, dtype=np.float64)
        target = self._next_uniform() * reached[:, -1]
        ids: NDArray[np.intp]
        if len(reached) == 1:  # the same, but faster
            ids = reached[0].searchsorted(target)
        else:
            ids = (reached >= target[:, None]).argmax(axis=-1)
        if self._config.mirostat is not None:
            self._move_limit(unlimited, ids, self._config.mirostat)
        newest = ids.tolist()
        self._repeated = [
            count + 1 if token == last else 1
            for count, token, last in zip(self._repeated, newest, self._last, strict=True)
        ]
        self._last = newest
        if self._depth:
            self._remember(ids)
        if spelling := self._context.spelling:
            spelling.judge(ids, logits, reached, self._next_uniform())
        return ids

    @property
    def held(self) -> list[int] | None:
        """Return Spelling.held; None if no token is ever taken back here."""
        return self._context.spelling.held if self._context.spelling else None

    def keep(self, rows: Mask) -> None:
        """Keep only the streams for which `rows` is true, [B]."""
        self._rngs = [*compress(self._rngs, rows.tolist())]
        self._uniform = self._uniform[rows]
        self._ids = self._ids[rows]
        self._last = [*compress(self._last, rows.tolist())]
        self._repeated = [*compress(self._repeated, rows.tolist())]
        self._context.limit = self._context.limit[rows]
        if self._context.spelling:
            self._context.spelling.keep(rows)

    def take_back(self, row: int, count: int, last: int, spelled: bool = False) -> None:
        """Forget the newest tokens of a stream; the random numbers they used are not used again.

        Args:
            row: index of the stream.
            count: number of tokens to forget.
            last: the token before them; -1 if there is none.
            spelled: whether `Spelling` itself rejected them (see `held`).
        """
        # The length of a run that ended before these tokens is no longer known.
        self._repeated[row] = max(self._repeated[row] - count, int(last >= 0))
        self._last[row] = last
        if self._context.spelling and not spelled:
            self._context.spelling.take_back(row, last)
        if self._depth and count:
            known = self._ids[row, : self._end]
            known[count:] = known[:-count].copy()
            known[:count] = -1

    def _runs(self) -> Ids:
        pairs = zip(self._last, self._repeated, strict=True)
        return np.array([token if count >= RUN else -1 for token, count in pairs], np.int32)

    def _next_uniform(self) -> NDArray[np.float64]:
        if self._used == AHEAD:
            for row, rng in zip(self._uniform, self._rngs, strict=True):
                rng.random(out=row)
            # Above 0, so that a token of probability 0 is never sampled, and at most 1.
            np.subtract(1, self._uniform, out=self._uniform)
            self._used = 0
        self._used += 1
        return self._uniform[:, self._used - 1]

    def _move_limit(self, logits: Array, ids: NDArray[np.intp], target: float) -> None:
        logp = np.take_along_axis(log_softmax(logits), ids[:, None], -1)[:, 0]
        rate = np.float32(self._config.mirostat_rate)
        self._context.limit += rate * (np.float32(target) + logp / LN2)

    def _remember(self, ids: NDArray[np.intp]) -> None:
        if self._end == self._ids.shape[1]:
            self._ids[:, : self._kept] = self._ids[:, self._kept :]
            self._end = self._kept
        self._ids[:, self._end] = ids
        self._end += 1
