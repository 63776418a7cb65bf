"""From seeds to streams of text."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Ids, Mask
from charrnn.config import SamplingConfig, StopConfig
from charrnn.generation.backtracking import MOST_BANS, Draft, Drawn
from charrnn.generation.sampling import Sampler
from charrnn.generation.stopping import Ending
from charrnn.generation.text_bias import TextBias
from charrnn.network.engine import Engine, Streams, log_softmax
from charrnn.text.copy_index import WordRuns
from charrnn.tokenizer import Joints, Tokenizer
from charrnn.tokenizer.base import spread

BATCH = 64  # texts written side by side
SEED_TOKENS = 1 << 13  # that are read at the end of a seed: what stands before them is forgotten
BIASES = 8  # tables of biases that are kept: making one goes through the whole vocabulary
BLOCK = 32  # tokens drawn before their text is looked at,
BLOCK_SECONDS = 0.05  # or fewer, so that a slow model's text flows


@dataclass(slots=True, eq=False)
class Sample:
    """A text to write, and how far it has come.

    Attributes:
        seed: what it continues; may be empty, and may hold characters outside the vocabulary.
        sampling: how its tokens are drawn.
        key: with the random seed, decides its random numbers.
        tokens: drawn so far.
        logp: their log-probability (nats) under the model as it is, if that is asked for.
        why: the rule that ended it; None while it goes on.
    """

    seed: str
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    key: tuple[int, ...] = (0, 0)
    tokens: int = 0
    logp: float = 0.0
    why: str | None = None


class Part(NamedTuple):
    """The next piece of a sample.

    Attributes:
        sample: which one.
        text: without the seed.
        nats: the surprise of each character, float32 [len(text)], if that is asked for: a
            token's, spread evenly over the characters that it completes.
        last: whether the sample ends here.
    """

    sample: Sample
    text: str
    nats: Array | None
    last: bool


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


def in_order(parts: Iterable[Part], samples: Iterable[Sample]) -> Iterator[Part]:
    """The parts of the first sample as they come, then those of the second, and so on.

    Of all samples only those are held that have begun before their turn.
    """
    turns = iter(samples)
    current = next(turns, None)
    waiting: dict[Sample, list[Part]] = {}
    for part in parts:
        if part.sample is not current:
            waiting.setdefault(part.sample, []).append(part)
            continue
        yield part
        ended = part.last
        while ended and (current := next(turns, None)):
            ready = waiting.pop(current, [])
            yield from ready
            ended = bool(ready) and ready[-1].last


class _Seed(NamedTuple):
    """A seed that was read.

    Attributes:
        ids: of its tokens but for `open_end`.
        open_end: text at its end that may be the start of a longer token.
        cannot_follow: tokens that do not start with it, and those that would end an item before
            it has begun, [V].
        state: after the ids, [L, S, 1, H].
    """

    ids: Ids
    open_end: str
    cannot_follow: Mask
    state: Array


def _read(
    seed: str,
    engine: Engine,
    tokenizer: Tokenizer,
    start: Array,
    in_word: bool,
    bias: TextBias,
    item: str,
) -> _Seed:
    """Read a seed, but for an end with which a longer token may start.

    Args:
        item: what ends an item of the corpus; "" if there are none.
        in_word: whether that may be more than white space.
        bias: of what comes next; a token that it bans is none to start.
    """
    end = tokenizer.unfinished(seed)
    if not (in_word or end.isspace()):
        end = ""
    ids = tokenizer.encode(seed.removesuffix(end))
    cannot_follow = np.zeros(tokenizer.vocab_size, bool)
    for token in tokenizer.encode(end).tolist():
        cannot_follow[:] = [not other.startswith(end) for other in tokenizer.tokens]
        cannot_follow[tokenizer.unknown_id] = True  # which is never drawn
        banned = np.isneginf(bias.after(tokenizer.spelled(seed.removesuffix(end))))
        possible = np.flatnonzero(~(cannot_follow | banned)).tolist()
        if any(tokenizer.tokens[i] != end for i in possible):
            break
        ids = np.append(ids, np.int32(token))
        end = end.removeprefix(tokenizer.decode([token]))
        cannot_follow[:] = False
    ids = tokenizer.known(ids)
    if item and not seed.rpartition(item)[2].strip():
        blank = np.array([_is_blank(token, item) for token in tokenizer.tokens])
        blank[tokenizer.unknown_id] = True
        if not (cannot_follow | blank).all():
            cannot_follow |= blank
    return _Seed(ids, end, cannot_follow, engine.read(ids[-SEED_TOKENS:], start))


def _is_blank(token: str, item: str) -> bool:
    """Whether an item that begins with a token would be blank; a line begins with no space."""
    return token.startswith(item) or (item == "\n" and token.isspace())


class _Text:
    """One text of a batch: where it ends, and what the next token depends on."""

    def __init__(
        self,
        sample: Sample,
        seed: _Seed,
        tokenizer: Tokenizer,
        stop: StopConfig,
        draft: Draft | None,
    ) -> None:
        self._vocabulary = tokenizer.tokens
        self._decode = tokenizer.decoder()
        self.sample = sample
        self.seed = seed
        self.draft = draft
        self.ending = Ending(stop, sample.seed)
        self.begun = False  # whether a token stands
        self.last = int(seed.ids[-1]) if len(seed.ids) else -1  # token that stands
        self.held: list[Drawn] = []  # of a word that may be taken back
        self._open_end = seed.open_end
        spelled = tokenizer.spelled
        self._looked_at = max(map(len, map(spelled, sample.sampling.bias or {})), default=0)
        before = spelled(sample.seed.removesuffix(seed.open_end))
        self._tail = before[-self._looked_at :] if self._looked_at else ""
        self._nats = np.zeros(0, np.float32)  # of the characters that `ending` holds back,
        self._half = np.zeros(0, np.float32)  # of the tokens of half a character

    @property
    def tail(self) -> str:
        """As much of the text as the next token's bias depends on, spelled."""
        return self._tail + self._spelled(self.unsettled)

    @property
    def unsettled(self) -> list[int]:
        """Tokens that may be taken back."""
        return [*(self.draft.tokens if self.draft else []), *(drawn.token for drawn in self.held)]

    def settle(self, newest: Drawn, held: int) -> tuple[list[Drawn], list[Drawn]]:
        """Go on with a token.

        Args:
            held: tokens of its word that may be taken back; -1 where they are taken back.

        Returns:
            Tokens that stand from now on, and tokens that are taken back.
        """
        self.held.append(newest)
        if held < 0:
            undone, self.held = self.held, []
            return [], undone
        end = len(self.held) - held
        stands, self.held = self.held[:end], self.held[end:]
        undone = []
        if self.draft:
            whole, stands = stands, []
            for i, drawn in enumerate(whole, 1):
                more, undone = self.draft.add(drawn)
                stands += more
                if undone:
                    undone += [*whole[i:], *self.held]
                    self.held = []
                    break
        if stands:
            self.begun, self.last = True, stands[-1].token
        return stands, undone

    def _spelled(self, ids: list[int]) -> str:
        return "".join([self._vocabulary[i] for i in ids])

    def feed(self, ids: list[int], nats: Array | None) -> Part:
        """Go on with these tokens, up to the end of the text."""
        if self._looked_at:
            self._tail = (self._tail + self._spelled(ids))[-self._looked_at :]
        tokens = [self._decode(i) for i in ids]
        if self._open_end and tokens:
            first = tokens[0].removeprefix(self._open_end)
            if first or self._open_end.isspace():
                tokens = [first, *tokens[1:]]
            else:  # it is the seed's last word, and none of those drawn
                tokens, nats = tokens[1:], None if nats is None else nats[1:]
            self._open_end = ""
        shown, taken = self.ending.feed(tokens)
        self.sample.tokens += taken
        self.sample.why = self.ending.why
        ended = self.ending.why is not None
        if nats is None:
            return Part(self.sample, shown, None, ended)
        self.sample.logp -= float(nats[:taken].sum(dtype=np.float64))
        lengths = [0] * len(self._half) + [len(token) for token in tokens[:taken]]
        unspread = np.concatenate([self._half, nats[:taken]])
        self._half = unspread[max((i for i, n in enumerate(lengths, 1) if n), default=0) :]
        known = np.concatenate([self._nats, spread(unspread, lengths)])
        self._nats = known[len(shown) :]
        return Part(self.sample, shown, known[: len(shown)], ended)

    def interrupt(self, scored: bool) -> Part:
        """End for lack of time."""
        self.sample.why = "time"
        return Part(self.sample, self.ending.held, self._nats if scored else None, True)


class _Group:
    """Neighbours in a batch that are drawn under one configuration."""

    def __init__(
        self,
        texts: list[_Text],
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
            (seed, key): _read(
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
            _Text(
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

    def _texts(self) -> list[_Text]:
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
