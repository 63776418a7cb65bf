"""From seeds to streams of text."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.config import SamplingConfig, StopConfig
from charrnn.generation.backtracking import MOST_BANS, Draft, Drawn
from charrnn.generation.sample import Part, Sample
from charrnn.generation.sampling import Sampler
from charrnn.generation.seed import read
from charrnn.generation.stream import Stream
from charrnn.generation.text_bias import TextBias
from charrnn.network.engine import Engine, Streams, log_softmax
from charrnn.text.copy_index import WordRuns
from charrnn.tokenizer import Joints, Tokenizer

BATCH = 64  # texts written side by side
BIASES = 8  # tables of biases that are kept: making one goes through the whole vocabulary
BLOCK = 32  # tokens drawn before their text is looked at,
BLOCK_SECONDS = 0.05  # or fewer, so that a slow model's text flows


def generate(
    engine: Engine,
    tokenizer: Tokenizer,
    start: Array,
    samples: Iterable[Sample],
    stop: StopConfig,
    random_seed: int,
    scored: bool = False,
    avoid: WordRuns | None = None,
) -> Iterator[Part]:
    """Write samples, up to BATCH of them at a time; what one says does not depend on the others.

    Args:
        start: what the engine remembers before a seed, [L, S, 1, H].
        samples: what to write, taken BATCH at a time; their progress is noted in them.
        stop: where each one ends; the time is that of all together.
        random_seed: with a sample's key, decides what is drawn.
        scored: whether to find the surprise of what is drawn.
        avoid: of a text whose runs of words are not to be copied.

    Yields:
        Parts, those of one sample in order.
    """
    deadline = math.inf if stop.seconds is None else time.monotonic() + stop.seconds
    rest = iter(samples)
    while some := [*islice(rest, BATCH)]:
        batch = _Batch(engine, tokenizer, start, some, stop, random_seed, avoid)
        yield from batch.write(deadline, scored)


class _Group:
    """Neighbours in a batch that are drawn under one configuration."""

    def __init__(
        self,
        texts: list[Stream],
        sampling: SamplingConfig,
        bias: TextBias,
        random_seed: int,
        joints: Joints | None,
    ) -> None:
        self.texts = texts
        seeds = (np.random.SeedSequence(random_seed, spawn_key=t.sample.key) for t in texts)
        rngs = [np.random.default_rng(seed) for seed in seeds]
        self.sampler = Sampler(sampling, rngs, [text.seed.ids for text in texts], joints)
        self._bias = bias
        self.takes_back = self.sampler.held is not None or any(text.draft for text in texts)
        self.looks_back = not self._bias.constant

    @property
    def held(self) -> list[int]:
        """How many tokens at the end of each text may be taken back; see Sampler."""
        return self.sampler.held or [0] * len(self.texts)

    def draw(self, logits: Array) -> NDArray[np.intp]:
        for row, text in enumerate(self.texts):
            if text.draft and not text.held:
                logits[row, text.draft.banned] = -np.inf
        if self._bias.constant:
            return self.sampler.draw(logits, self._bias.anywhere)
        bias = np.stack([self._bias.after(text.tail) for text in self.texts])
        return self.sampler.draw(logits, bias)

    def drop_ended(self) -> None:
        going = [text.ending.why is None for text in self.texts]
        if not all(going):
            self.sampler.keep(np.array(going, bool))
            self.texts = [text for text, goes in zip(self.texts, going, strict=True) if goes]


def _key(sampling: SamplingConfig) -> tuple[tuple[str, float], ...]:
    """The biases of texts, hashable."""
    return tuple((sampling.bias or {}).items())


@lru_cache(BIASES)
def _bias(tokenizer: Tokenizer, key: tuple[tuple[str, float], ...]) -> TextBias:
    """The table of biases: one for all texts, batches and gaps of a template that share them."""
    return TextBias(tokenizer, dict(key))


class _Batch:
    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        start: Array,
        samples: Sequence[Sample],
        stop: StopConfig,
        random_seed: int,
        avoid: WordRuns | None,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        wanted = [(sample.seed, _key(sample.sampling)) for sample in samples]
        biases = {key: _bias(tokenizer, key) for _, key in wanted}
        # Tokens that may be undone or banned are not tied to the seed's partial word.
        seeds = {
            (seed, key): read(
                seed,
                engine,
                tokenizer,
                start,
                in_word=avoid is None and not key,
                bias=biases[key],
                item=stop.item,
            )
            for seed, key in dict.fromkeys(wanted)
        }
        bans = min(MOST_BANS, tokenizer.vocab_size - 2)
        texts = [
            Stream(
                sample,
                seeds[seed_and_key],
                tokenizer,
                stop,
                Draft(avoid, tokenizer, sample.seed, bans) if avoid else None,
            )
            for sample, seed_and_key in zip(samples, wanted, strict=True)
        ]
        state = np.concatenate([text.seed.state for text in texts], axis=2)
        self._streams = Streams(engine, state)
        self._beginning = any(text.seed.cannot_follow.any() for text in texts)
        self._spelling = np.zeros(len(texts), np.int8)  # states of tokenizer.transitions
        self._groups = [
            _Group(
                list(group), sampling, biases[_key(sampling)], random_seed, self._tokenizer.joints
            )
            for sampling, group in groupby(texts, key=lambda text: text.sample.sampling)
        ]

        self._takes_back = any(group.takes_back for group in self._groups)

    def write(self, deadline: float, scored: bool) -> Iterator[Part]:
        for text in self._texts():
            if text.ending.why:  # a length of 0
                yield text.feed([], np.zeros(0, np.float32) if scored else None)
        self._drop_ended()
        steps = 1
        while texts := self._texts():
            began = time.monotonic()
            with self._engine.threads(len(texts)):
                steps = min(steps, self._room())
                drawn = self._draw(steps, scored)
            for text, (ids, nats) in zip(texts, drawn, strict=True):
                part = text.feed(ids, nats)
                if part.text or part.last:
                    yield part
            self._drop_ended()
            if time.monotonic() > deadline:
                yield from (text.interrupt(scored) for text in self._texts())
                return
            faster = min(2.0, BLOCK_SECONDS / max(1e-6, time.monotonic() - began))
            steps = max(1, min(BLOCK, int(steps * faster)))

    def _spelled(self, ids: list[int]) -> int:
        """The state of tokenizer.transitions after these tokens, from a whole character on."""
        transitions = self._tokenizer.transitions
        if transitions is None:
            return 0
        return reduce(lambda state, i: int(transitions[state, i]), ids, 0)

    def _texts(self) -> list[Stream]:
        return [text for group in self._groups for text in group.texts]

    def _room(self) -> int:
        """Steps after which every text has ended, or has to be looked at."""
        if any(group.looks_back for group in self._groups):
            return 1
        return int(min(BLOCK, max(text.ending.room for text in self._texts())))

    def _draw(self, steps: int, scored: bool) -> list[tuple[list[int], Array | None]]:
        """The next tokens that stand in each text, and their surprise (nats) if asked for."""
        engine, streams, unknown = self._engine, self._streams, self._tokenizer.unknown_id
        transitions = self._tokenizer.transitions
        impossible = None if transitions is None else transitions < 0
        texts = self._texts()
        stands: list[list[Drawn]] = [[] for _ in texts]
        ids_tb, costs_tb = [], []
        for _ in range(steps):
            logits = engine.logits(streams.state)
            logp = log_softmax(logits) if scored else None
            logits[:, unknown] = -np.inf
            self._begin(logits)
            if impossible is not None:
                logits[impossible[self._spelling]] = -np.inf
            ids = self._draw_from(logits)
            if transitions is not None:
                self._spelling = transitions[self._spelling, ids]
            ids_tb.append(ids)
            if logp is not None:
                costs_tb.append(-np.take_along_axis(logp, ids[:, None], 1)[:, 0])
            before = streams.state.copy() if self._takes_back else None
            streams.step(ids)
            if before is not None:
                costs = costs_tb[-1] if scored else np.zeros(len(ids))
                for row, settled in enumerate(self._settle(ids, costs, before)):
                    stands[row] += settled
        if not self._takes_back:
            rows = np.stack(ids_tb, axis=1).tolist()
            nats = [*np.stack(costs_tb, axis=1)] if scored else [None] * len(rows)
        else:
            rows = [[drawn.token for drawn in some] for some in stands]
            nats = [
                np.array([drawn.nats for drawn in some], np.float32) if scored else None
                for some in stands
            ]
        return [*zip(rows, nats, strict=True)]

    def _settle(
        self, ids: NDArray[np.intp], costs: NDArray[np.floating], before: Array
    ) -> Iterator[list[Drawn]]:
        """Tokens of each text that stand from now on; others are taken back.

        Args:
            ids: the newest tokens, [B], that have been read.
            costs: their surprise, [B].
            before: the state before them, [L, S, B, H].
        """
        row = 0
        for group in self._groups:
            held = group.held
            for i, text in enumerate(group.texts):
                newest = Drawn(int(ids[row]), float(costs[row]), before[:, :, row])
                stands, undone = text.settle(newest, held[i])
                if undone:
                    self._streams.put(row, undone[0].before)
                    self._spelling[row] = self._spelled(text.unsettled)
                    last = [text.last, *text.unsettled][-1]
                    group.sampler.take_back(i, len(undone), last, spelled=held[i] < 0)
                yield stands
                row += 1

    def _begin(self, logits: Array) -> None:
        """Leave out what does not follow a seed, until that stands which does."""
        if not self._beginning:
            return
        self._beginning = False
        for row, text in enumerate(self._texts()):
            if not (text.begun or text.unsettled):
                logits[row, text.seed.cannot_follow] = -np.inf
                self._beginning = self._takes_back

    def _draw_from(self, logits: Array) -> NDArray[np.intp]:
        if len(self._groups) == 1:
            return self._groups[0].draw(logits)
        ends = np.cumsum([len(group.texts) for group in self._groups])
        parts = zip(self._groups, np.split(logits, ends[:-1]), strict=True)
        return np.concatenate([group.draw(rows) for group, rows in parts])

    def _drop_ended(self) -> None:
        going = [text.ending.why is None for text in self._texts()]
        if not all(going):
            self._streams = Streams(self._engine, self._streams.state[:, :, going])
            self._spelling = self._spelling[going]
            for group in self._groups:
                group.drop_ended()
            self._groups = [group for group in self._groups if group.texts]
