"""Writing samples in batches: each step samples the next token of every stream.

When a sample ends, the next one takes its row of the batch, so that many short texts are written
as fast as a few long ones. When this happens depends on the samples alone, never on the clock: the
number of rows may change the last bit of a matrix product.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial, reduce
from itertools import compress, groupby, islice

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.config import SamplingConfig, StopConfig
from charrnn.generation.backtracking import MOST_BANS, Draft, Sampled
from charrnn.generation.matching import Matching, Pattern
from charrnn.generation.sample import Part, Sample
from charrnn.generation.sampling import Sampler
from charrnn.generation.seed import Seed, read
from charrnn.generation.stream import Stream
from charrnn.generation.text_bias import TextBias
from charrnn.network.engine import Engine, State, Streams, log_softmax
from charrnn.text.blocks import TARGET
from charrnn.text.copy_index import WordRuns
from charrnn.tokenizer import Joints, Tokenizer

BATCH_SIZE = 64  # maximum streams in a batch (not tuned)
BIASES = 8  # bias tables cached, as building one visits the whole vocabulary (not tuned)
BLOCK_TOKENS = 32  # maximum tokens sampled before their text is shown (not tuned)
# Maximum multiplications in a block, so that a slow model's text flows: 0.05 s at 5 per ns (not
# tuned).
BLOCK_PRODUCTS = 250_000_000
ENDED = 8  # a block ends early once one in so many streams may have ended (not tuned)


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
        samples: samples to write, at most BATCH_SIZE at once; their progress is noted in them.
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
    waiting = _Waiting(samples)
    while some := waiting.take(BATCH_SIZE):
        batch = _Batch(engine, tokenizer, start, some, stop, random_seed, avoid)
        yield from batch.write(deadline, scored, waiting)


class _Waiting:
    """Samples that have not begun, in order."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._rest = iter(samples)
        self._next: list[Sample] = []  # at most one

    def take(self, count: int, like: SamplingConfig | None = None) -> list[Sample]:
        """Return the next samples, at most `count`, up to the first not sampled `like` this."""
        taken: list[Sample] = []
        while len(taken) < count:
            self._next = self._next or [*islice(self._rest, 1)]
            if not self._next or (like is not None and self._next[0].sampling != like):
                break
            taken.append(self._next.pop())
        return taken


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
        self.sampling = sampling
        self._random_seed = random_seed
        rngs = [self._rng(stream) for stream in streams]
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

    def _rng(self, stream: Stream) -> np.random.Generator:
        key = stream.sample.key
        seed = np.random.SeedSequence(self._random_seed, spawn_key=key)
        return np.random.Generator(np.random.PCG64(seed))

    def put(self, i: int, stream: Stream) -> None:
        """Replace a stream by one that begins, where none is ever taken back."""
        self.streams[i] = stream
        self.sampler.restart(i, self._rng(stream), stream.seed.ids)

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


@lru_cache(BIASES)
def _holding(tokenizer: Tokenizer, characters: str) -> frozenset[int]:
    """Return the tokens that hold one of some characters, and that which ends a match."""
    found = (i for i, t in enumerate(tokenizer.tokens) if not set(characters).isdisjoint(t))
    return frozenset(found) | {tokenizer.unknown_id}


@lru_cache(1)
def _pattern(tokenizer: Tokenizer, match: str, item: str) -> Pattern:
    """Return a pattern; all batches share its table."""
    return Pattern(match, tokenizer, item)


@dataclass(slots=True)
class _Unfed:
    """Sampled tokens of a stream that `Stream.feed` has not got yet.

    Attributes:
        room: how many tokens, at most, the stream may still get.
        ids: the tokens, without those that may still be taken back.
        nats: their surprisal.
        may_end: whether one of them, or of those, may end the text.
    """

    room: float
    ids: list[int] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)
    may_end: bool = False


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
        self._start = start
        self._stop = stop
        self._avoid = avoid
        self._pattern = None if stop.match is None else _pattern(tokenizer, stop.match, stop.item)
        self._seeds: dict[tuple[str, tuple[tuple[str, float], ...]], Seed] = {}
        # Tokens that are never written.
        self._never = [tokenizer.unknown_id]
        if any(sample.source is not None for sample in samples):
            self._never += [i for i, token in enumerate(tokenizer.tokens) if token == TARGET]
        ends = {stop.item, "\n" if stop.lines else "", *(text[-1:] for text in stop.stop)}
        self._may_end = _holding(tokenizer, "".join(sorted(ends)))
        streams = self._begin(samples)
        self._states = Streams(engine, State.join([stream.seed.state for stream in streams]))
        self._unfed = [_Unfed(stream.ending.room) for stream in streams]
        self._beginning = [*range(len(streams))]  # rows whose first token has not been sampled
        open_ends = [stream.seed.open_end for stream in streams]
        self._matching = (
            Matching(self._pattern, samples, open_ends, stop.chars, random_seed)
            if self._pattern
            else None
        )
        transitions = tokenizer.transitions
        self._impossible = None if transitions is None else transitions < 0
        self._spelling = np.zeros(len(streams), np.int8)  # states of tokenizer.transitions, [B]
        self._groups = [
            _Group(
                list(group),
                sampling,
                _bias(tokenizer, _key(sampling)),
                random_seed,
                self._tokenizer.joints,
            )
            for sampling, group in groupby(streams, key=lambda stream: stream.sample.sampling)
        ]
        self._takes_back = any(group.takes_back for group in self._groups)

    def _begin(self, samples: Sequence[Sample]) -> list[Stream]:
        """Return a stream for each sample; the seeds of the previous call are not read again."""
        tokenizer, stop, pattern = self._tokenizer, self._stop, self._pattern
        wanted = [(sample.read, _key(sample.sampling)) for sample in samples]
        # The seed's partial word is read now if its tokens may be banned or taken back.
        self._seeds = {
            (seed, key): self._seeds.get((seed, key))
            or read(
                seed,
                self._engine,
                tokenizer,
                self._start,
                in_word=self._avoid is None and not key and not pattern,
                bias=_bias(tokenizer, key),
                item=stop.item,
                possible=partial(pattern.possible, length=stop.chars) if pattern else None,
            )
            for seed, key in dict.fromkeys(wanted)
        }
        bans = min(MOST_BANS, tokenizer.vocab_size - 2)
        return [
            Stream(
                sample,
                self._seeds[seed_and_key],
                tokenizer,
                stop,
                Draft(self._avoid, tokenizer, sample.seed, bans) if self._avoid else None,
            )
            for sample, seed_and_key in zip(samples, wanted, strict=True)
        ]

    def write(self, deadline: float, scored: bool, waiting: _Waiting) -> Iterator[Part]:
        """Yield the parts of all streams until they end or time.monotonic() passes `deadline`.

        Args:
            deadline: when to end all streams.
            scored: whether to compute surprisal.
            waiting: samples that may take the place of those that end.
        """
        for stream in self._streams():
            if stream.ending.why:  # a length of 0
                yield stream.feed([], np.zeros(0, np.float32) if scored else None)
        self._drop_ended()
        block = 1
        while streams := self._streams():
            with self._engine.threads(len(streams)):
                steps = min(block, self._room())
                self._advance(steps, scored)
            late = time.monotonic() > deadline
            for row, unfed in enumerate(self._unfed):
                count = len(unfed.ids)
                if not (late or count >= steps or count >= unfed.room or unfed.may_end):
                    continue
                nats = np.array(unfed.nats, np.float32) if scored else None
                part = streams[row].feed(unfed.ids, nats)
                self._unfed[row] = _Unfed(streams[row].ending.room)
                if part.text or part.last:
                    yield part
            if not late:
                self._replace_ended(waiting)
            self._drop_ended()
            if late:
                yield from (stream.interrupt(scored) for stream in self._streams())
                return
            products = self._engine.weights * len(streams)
            block = max(1, min(BLOCK_TOKENS, 2 * block, BLOCK_PRODUCTS // products))

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
        return int(max(1, min(BLOCK_TOKENS, max(x.room - len(x.ids) for x in self._unfed))))

    def _advance(self, steps: int, scored: bool) -> None:
        """Take some steps, fewer if many streams may have ended; adds to the tokens not yet fed."""
        engine, states, transitions = self._engine, self._states, self._tokenizer.transitions
        may_end = 0
        no_costs = np.zeros(len(self._unfed))
        for _ in range(steps):
            logits = engine.logits(states.state)
            logp = log_softmax(logits) if scored else None
            self._mask(logits)
            ids = self._sample(logits)
            if transitions is not None:
                self._spelling = transitions[self._spelling, ids]
            if self._matching:
                self._matching.add(ids)
            costs: NDArray[np.floating] = no_costs
            if logp is not None:
                costs = -np.take_along_axis(logp, ids[:, None], 1)[:, 0]
            before = states.state.copy() if self._takes_back else None
            states.step(ids)
            newest = ids.tolist()
            if before is not None:
                for unfed, settled in zip(
                    self._unfed, self._settle(ids, costs, before), strict=True
                ):
                    unfed.ids.extend(sampled.token for sampled in settled)
                    unfed.nats.extend(sampled.nats for sampled in settled)
            else:
                for unfed, token, nats in zip(self._unfed, newest, costs.tolist(), strict=True):
                    unfed.ids.append(token)
                    unfed.nats.append(nats)
            for unfed, token in zip(self._unfed, newest, strict=True):
                if token in self._may_end:
                    unfed.may_end = True
                    may_end += 1
            if may_end * ENDED >= len(newest):
                break

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
                    self._states.put([row], undone[0].before)
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
            streams = self._streams()
            for row in range(len(streams)) if self._takes_back else self._beginning:
                streams[row].mask(logits[row])
        self._beginning = []
        if self._matching:
            self._matching.mask(logits)

    def _sample(self, logits: Array) -> NDArray[np.intp]:
        if len(self._groups) == 1:
            return self._groups[0].sample(logits)
        ends = np.cumsum([len(group.streams) for group in self._groups])
        parts = zip(self._groups, np.split(logits, ends[:-1]), strict=True)
        return np.concatenate([group.sample(rows) for group, rows in parts])

    def _replace_ended(self, waiting: _Waiting) -> None:
        """Let samples begin in the rows of streams that have ended, if they are sampled alike."""
        if len(self._groups) != 1 or self._takes_back or self._matching:
            return
        (group,) = self._groups
        ended = [i for i, stream in enumerate(group.streams) if stream.ending.why is not None]
        if not ended:
            return
        streams = self._begin(waiting.take(len(ended), group.sampling))
        if not streams:
            return
        rows = ended[: len(streams)]
        for seed in {id(stream.seed): stream.seed for stream in streams}.values():
            alike = [row for row, stream in zip(rows, streams, strict=True) if stream.seed is seed]
            self._states.put(alike, seed.state)
        self._spelling[rows] = 0
        for row, stream in zip(rows, streams, strict=True):
            group.put(row, stream)
            self._unfed[row] = _Unfed(stream.ending.room)
        self._beginning += rows

    def _drop_ended(self) -> None:
        going = [stream.ending.why is None for stream in self._streams()]
        if not all(going):
            self._states = Streams(self._engine, self._states.state.take(going))
            self._spelling = self._spelling[going]
            self._unfed = [*compress(self._unfed, going)]
            rows = np.cumsum(going) - 1
            self._beginning = [int(rows[row]) for row in self._beginning if going[row]]
            if self._matching:
                self._matching.keep(going)
            for group in self._groups:
                group.drop_ended()
            self._groups = [group for group in self._groups if group.streams]
