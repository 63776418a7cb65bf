"""One stream of a batch: a sample, its tokens, and what the next one depends on."""

import numpy as np

from charrnn.arrays import Array
from charrnn.config import StopConfig
from charrnn.generation.backtracking import Draft, Sampled
from charrnn.generation.matching import MatchEnding
from charrnn.generation.sample import Part, Sample
from charrnn.generation.seed import Seed
from charrnn.generation.stopping import Ending
from charrnn.tokenizer import UNKNOWN, Tokenizer
from charrnn.tokenizer.base import spread


class Stream:
    """Turns one sample's tokens into text and finds where it ends.

    Args:
        sample: the sample to write; its progress is noted in it.
        seed: the sample's seed, read.
        tokenizer: the model's tokenizer.
        stop: where the text ends.
        draft: holds back tokens that may become a copy; None if copies are allowed.

    Attributes:
        begun: whether a token has been settled.
        last: the newest settled token, of the seed at first; -1 if there is none.
        held: newest tokens, whose word may still be rejected as a whole.
    """

    def __init__(
        self,
        sample: Sample,
        seed: Seed,
        tokenizer: Tokenizer,
        stop: StopConfig,
        draft: Draft | None,
    ) -> None:
        self._vocabulary = tokenizer.tokens
        self._decode = tokenizer.decoder()
        self.sample = sample
        self.seed = seed
        self.draft = draft
        self.ending: Ending | MatchEnding = (
            Ending(stop, sample.seed) if stop.match is None else MatchEnding(sample)
        )
        self.begun = False
        self.last = int(seed.ids[-1]) if len(seed.ids) else -1
        self.held: list[Sampled] = []
        self._open_end = seed.open_end
        self._depth, self._tail = 0, ""
        if sample.sampling.bias:
            spelled = tokenizer.spelled
            self._depth = max(map(len, map(spelled, sample.sampling.bias)))
            self._tail = spelled(sample.seed.removesuffix(seed.open_end))[-self._depth :]
        self._nats = np.zeros(0, np.float32)  # surprisal of the characters that `ending` holds back
        self._partial = np.zeros(0, np.float32)  # surprisal of tokens of an incomplete character

    def mask(self, logits: Array) -> None:
        """Ban the tokens that cannot come next, in place; `logits` are [V]."""
        if not (self.begun or self.unsettled):
            logits[self.seed.cannot_follow] = -np.inf
        if self.draft and not self.held:
            logits[self.draft.banned] = -np.inf

    @property
    def tail(self) -> str:
        """Return the end of the spelled text that the next token's bias depends on."""
        return self._tail + self._spelled(self.unsettled)

    @property
    def unsettled(self) -> list[int]:
        """Return the tokens that may still be taken back."""
        return [
            *(self.draft.tokens if self.draft else []),
            *(sampled.token for sampled in self.held),
        ]

    def settle(self, newest: Sampled, held: int) -> tuple[list[Sampled], list[Sampled]]:
        """Add a token, and find which ones are settled.

        Args:
            newest: the token.
            held: number of newest tokens whose word is undecided; -1 if it was rejected.

        Returns:
            The tokens that are settled now, and the tokens that are taken back.
        """
        self.held.append(newest)
        if held < 0:
            undone, self.held = self.held, []
            return [], undone
        end = len(self.held) - held
        settled, self.held = self.held[:end], self.held[end:]
        undone = []
        if self.draft:
            added, settled = settled, []
            for i, sampled in enumerate(added, 1):
                more, undone = self.draft.add(sampled)
                settled += more
                if undone:
                    undone += [*added[i:], *self.held]
                    self.held = []
                    break
        if settled:
            self.begun, self.last = True, settled[-1].token
        return settled, undone

    def _spelled(self, ids: list[int]) -> str:
        return "".join([self._vocabulary[i] for i in ids])

    def feed(self, ids: list[int], nats: Array | None) -> Part:
        """Return the text that settled tokens bring, up to the end of the sample.

        Args:
            ids: settled tokens, [N].
            nats: their surprisal, [N]; None unless scored.
        """
        if self._depth:
            self._tail = (self._tail + self._spelled(ids))[-self._depth :]
        unknown = len(self._vocabulary) - 1  # sampled only as the end of a text that matches
        tokens = [UNKNOWN if i == unknown else self._decode(i) for i in ids]
        if self._open_end and tokens:
            first = tokens[0].removeprefix(self._open_end)
            if first or self._open_end.isspace():
                tokens = [first, *tokens[1:]]
            else:  # the token is the seed's last word, not a sampled one
                tokens, nats = tokens[1:], None if nats is None else nats[1:]
            self._open_end = ""
        shown, used = self.ending.feed(tokens)
        self.sample.tokens += used
        self.sample.why = self.ending.why
        ended = self.ending.why is not None
        if nats is None:
            return Part(self.sample, shown, None, ended)
        self.sample.logp -= float(nats[:used].sum(dtype=np.float64))
        lengths = [0] * len(self._partial) + [len(token) for token in tokens[:used]]
        unspread = _joined(self._partial, nats[:used])
        self._partial = unspread[max((i for i, n in enumerate(lengths, 1) if n), default=0) :]
        known = _joined(self._nats, spread(unspread, lengths))
        self._nats = known[len(shown) :]
        return Part(self.sample, shown, known[: len(shown)], ended)

    def interrupt(self, scored: bool) -> Part:
        """End the sample because its time is up; return the text held back until now."""
        self.sample.why = "time"
        return Part(self.sample, self.ending.held, self._nats if scored else None, True)


def _joined(first: Array, second: Array) -> Array:
    """Return two arrays as one; faster than NumPy where the first is empty, as is usual."""
    return np.concatenate([first, second]) if len(first) else second
