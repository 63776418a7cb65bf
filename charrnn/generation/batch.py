"""Writing samples in batches: each step samples the next token of every stream."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial, reduce
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.config import SamplingConfig, StopConfig
from charrnn.generation.backtracking import MOST_BANS, Draft, Sampled
from charrnn.generation.matching import Matching, Pattern
from charrnn.generation.sample import Part, Sample
from charrnn.generation.sampling import Sampler
from charrnn.generation.seed import read
from charrnn.generation.stream import Stream
from charrnn.generation.text_bias import TextBias
from charrnn.network.engine import Engine, State, Streams, log_softmax
from charrnn.text.blocks import TARGET
from charrnn.text.copy_index import WordRuns
from charrnn.tokenizer import Joints, Tokenizer

BATCH_SIZE = 64  # maximum streams in a batch (not tuned)
BIASES = 8  # bias tables cached, as building one visits the whole vocabulary (not tuned)
BLOCK_TOKENS = 32  # maximum tokens sampled before their text is shown (not tuned)
BLOCK_SECONDS = 0.05  # target time of a block, so that a slow model's text flows (not tuned)


def generate(
    engine: Engine,
    tokenizer: Tokenizer,
    start: State,
    samples: Iterable[Sample],
    stop: StopConfig,
    random_seed: int,
    scored: bool = False,
    avoid: WordRuns | None = None,
) -> Iterator[Part]:
    """Write samples in batches of BATCH_SIZE; a sample's text does not depend on the others.

    Args:
        engine: the network.
        tokenizer: the model's tokenizer.
        start: the network's state before a seed.
        samples: samples to write, consumed BATCH_SIZE at a time; their progress is noted in them.
        stop: where each sample ends; its time limit holds for all samples together.
        random_seed: with a sample's key, selects its random numbers.
        scored: whether to compute surprisal.
        avoid: runs of words that must not be copied; None if copies are allowed.

    Yields:
        Parts, those of one sample in order.

    Raises:
        UsageError: a bias bans every token, a control needs a model of words, or no text can match.
        ModelFileError: the network's logits are not finite.
    """
    deadline = math.inf if stop.seconds is None else time.monotonic() + stop.seconds
    rest = iter(samples)
    while some := [*islice(rest, BATCH_SIZE)]:
        batch = _Batch(engine, tokenizer, start, some, stop, random_seed, avoid)
        yield from batch.write(deadline, scored)


class _Group:
    """Neighbouring streams of a batch that share one SamplingConfig."""

    def __init__(
        self,
        streams: list[Stream],
        sampling: SamplingConfig,
        bias: TextBias,
        random_seed: int,
        joints: Joints | None,
    ) -> None:
        self.streams = streams
        seeds = (np.random.SeedSequence(random_seed, spawn_key=s.sample.key) for s in streams)
        rngs = [np.random.default_rng(seed) for seed in seeds]
        self.sampler = Sampler(sampling, rngs, [stream.seed.ids for stream in streams], joints)
        self._bias = bias
        self.takes_back = self.sampler.held is not None or any(s.draft for s in streams)
        self.looks_back = not self._bias.constant

    @property
    def held(self) -> list[int]:
        """Return the number of undecided tokens at the end of each stream; see Sampler."""
        return self.sampler.held or [0] * len(self.streams)

    def sample(self, logits: Array) -> NDArray[np.intp]:
        """Return the next token of each stream, [B], from logits [B, V]."""
        if self._bias.constant:
            return self.sampler.sample(logits, self._bias.anywhere)
        bias = np.stack([self._bias.after(stream.tail) for stream in self.streams])
        return self.sampler.sample(logits, bias)

    def drop_ended(self) -> None:
        """Keep only the streams that go on."""
        going = [stream.ending.why is None for stream in self.streams]
        if not all(going):
            self.sampler.keep(np.array(going, bool))
            self.streams = [s for s, goes in zip(self.streams, going, strict=True) if goes]


def _key(sampling: SamplingConfig) -> tuple[tuple[str, float], ...]:
    """Return the biases of texts in a hashable form."""
    return tuple((sampling.bias or {}).items())


@lru_cache(BIASES)
def _bias(tokenizer: Tokenizer, key: tuple[tuple[str, float], ...]) -> TextBias:
    """Return a bias table; streams, batches and gaps of a template with equal biases share it."""
    return TextBias(tokenizer, dict(key))


@lru_cache(1)
def _pattern(tokenizer: Tokenizer, match: str, item: str) -> Pattern:
    """Return a pattern; all batches share its table."""
    return Pattern(match, tokenizer, item)


class _Batch:
    """Streams that step together, ordered by group; see `generate` for the arguments."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        start: State,
        samples: Sequence[Sample],
        stop: StopConfig,
        random_seed: int,
        avoid: WordRuns | None,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        wanted = [(sample.read, _key(sample.sampling)) for sample in samples]
        biases = {key: _bias(tokenizer, key) for _, key in wanted}
        pattern = None if stop.match is None else _pattern(tokenizer, stop.match, stop.item)
        # The seed's partial word is read now if its tokens may be banned or taken back.
        seeds = {
            (seed, key): read(
                seed,
                engine,
                tokenizer,
                start,
                in_word=avoid is None and not key and not pattern,
                bias=biases[key],
                item=stop.item,
                possible=partial(pattern.possible, length=stop.chars) if pattern else None,
            )
            for seed, key in dict.fromkeys(wanted)
        }
        # Tokens that are never written.
        self._never = [tokenizer.unknown_id]
        if any(sample.source is not None for sample in samples):
            self._never += [i for i, token in enumerate(tokenizer.tokens) if token == TARGET]
        bans = min(MOST_BANS, tokenizer.vocab_size - 2)
        streams = [
            Stream(
                sample,
                seeds[seed_and_key],
                tokenizer,
                stop,
                Draft(avoid, tokenizer, sample.seed, bans) if avoid else None,
            )
            for sample, seed_and_key in zip(samples, wanted, strict=True)
        ]
        state = State.join([stream.seed.state for stream in streams])
        self._states = Streams(engine, state)
        self._beginning = True
        ends = [stream.seed.open_end for stream in streams]
        self._matching = (
            Matching(pattern, samples, ends, stop.chars, random_seed) if pattern else None
        )
        transitions = tokenizer.transitions
        self._impossible = None if transitions is None else transitions < 0
        self._spelling = np.zeros(len(streams), np.int8)  # states of tokenizer.transitions, [B]
        self._groups = [
            _Group(
                list(group), sampling, biases[_key(sampling)], random_seed, self._tokenizer.joints
            )
            for sampling, group in groupby(streams, key=lambda stream: stream.sample.sampling)
        ]
        self._takes_back = any(group.takes_back for group in self._groups)

    def write(self, deadline: float, scored: bool) -> Iterator[Part]:
        """Yield the parts of all streams until they end or time.monotonic() passes `deadline`."""
        for stream in self._streams():
            if stream.ending.why:  # a length of 0
                yield stream.feed([], np.zeros(0, np.float32) if scored else None)
        self._drop_ended()
        steps = 1
        while streams := self._streams():
            began = time.monotonic()
            with self._engine.threads(len(streams)):
                steps = min(steps, self._room())
                settled = self._advance(steps, scored)
            for stream, (ids, nats) in zip(streams, settled, strict=True):
                part = stream.feed(ids, nats)
                if part.text or part.last:
                    yield part
            self._drop_ended()
            if time.monotonic() > deadline:
                yield from (stream.interrupt(scored) for stream in self._streams())
                return
            faster = min(2.0, BLOCK_SECONDS / max(1e-6, time.monotonic() - began))
            steps = max(1, min(BLOCK_TOKENS, int(steps * faster)))

    def _spelled(self, ids: list[int]) -> int:
        """Return the state of tokenizer.transitions after tokens that begin a character."""
        transitions = self._tokenizer.transitions
        if transitions is None:
            return 0
        return reduce(lambda state, i: int(transitions[state, i]), ids, 0)

    def _streams(self) -> list[Stream]:
        return [stream for group in self._groups for stream in group.streams]

    def _room(self) -> int:
        """Return the maximum number of steps until the streams' text has to be looked at."""
        if any(group.looks_back for group in self._groups):
            return 1
        return int(min(BLOCK_TOKENS, max(stream.ending.room for stream in self._streams())))

    def _advance(self, steps: int, scored: bool) -> list[tuple[list[int], Array | None]]:
        """Take some steps; return the tokens settled in each stream and their surprisal (nats)."""
        engine, states, transitions = self._engine, self._states, self._tokenizer.transitions
        settled: list[list[Sampled]] = [[] for _ in self._streams()]
        ids_tb, costs_tb = [], []
        for _ in range(steps):
            logits = engine.logits(states.state)
            logp = log_softmax(logits) if scored else None
            self._mask(logits)
            ids = self._sample(logits)
            if transitions is not None:
                self._spelling = transitions[self._spelling, ids]
            if self._matching:
                self._matching.add(ids)
            ids_tb.append(ids)
            if logp is not None:
                costs_tb.append(-np.take_along_axis(logp, ids[:, None], 1)[:, 0])
            before = states.state.copy() if self._takes_back else None
            states.step(ids)
            if before is not None:
                costs = costs_tb[-1] if scored else np.zeros(len(ids))
                for row, newly in enumerate(self._settle(ids, costs, before)):
                    settled[row] += newly
        if not self._takes_back:
            rows = np.stack(ids_tb, axis=1).tolist()
            nats = [*np.stack(costs_tb, axis=1)] if scored else [None] * len(rows)
        else:
            rows = [[sampled.token for sampled in row] for row in settled]
            nats = [
                np.array([sampled.nats for sampled in row], np.float32) if scored else None
                for row in settled
            ]
        return [*zip(rows, nats, strict=True)]

    def _settle(
        self, ids: NDArray[np.intp], costs: NDArray[np.floating], before: State
    ) -> Iterator[list[Sampled]]:
        """Yield the tokens of each stream that are settled now; take back those that are rejected.

        Args:
            ids: the newest tokens, which the network has read, [B].
            costs: their surprisal, [B].
            before: the network's states before them.
        """
        row = 0
        for group in self._groups:
            held = group.held
            for i, stream in enumerate(group.streams):
                newest = Sampled(int(ids[row]), float(costs[row]), before.take([row]))
                settled, undone = stream.settle(newest, held[i])
                if undone:
                    self._states.put(row, undone[0].before)
                    self._spelling[row] = self._spelled(stream.unsettled)
                    if self._matching:
                        self._matching.take_back(row, len(undone))
                    last = [stream.last, *stream.unsettled][-1]
                    group.sampler.take_back(i, len(undone), last, spelled=held[i] < 0)
                yield settled
                row += 1

    def _mask(self, logits: Array) -> None:
        """Ban what cannot come next in each stream, in place."""
        logits[:, self._never] = -np.inf
        if self._impossible is not None:
            logits[self._impossible[self._spelling]] = -np.inf
        if self._beginning or self._takes_back:
            for stream, row in zip(self._streams(), logits, strict=True):
                stream.mask(row)
        self._beginning = False
        if self._matching:
            self._matching.mask(logits)

    def _sample(self, logits: Array) -> NDArray[np.intp]:
        if len(self._groups) == 1:
            return self._groups[0].sample(logits)
        ends = np.cumsum([len(group.streams) for group in self._groups])
        parts = zip(self._groups, np.split(logits, ends[:-1]), strict=True)
        return np.concatenate([group.sample(rows) for group, rows in parts])

    def _drop_ended(self) -> None:
        going = [stream.ending.why is None for stream in self._streams()]
        if not all(going):
            self._states = Streams(self._engine, self._states.state.take(going))
            self._spelling = self._spelling[going]
            if self._matching:
                self._matching.keep(going)
            for group in self._groups:
                group.drop_ended()
            self._groups = [group for group in self._groups if group.streams]
