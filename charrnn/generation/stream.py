"""One text of a batch."""

import numpy as np

from charrnn.arrays import Array
from charrnn.config import StopConfig
from charrnn.generation.backtracking import Draft, Drawn
from charrnn.generation.sample import Part, Sample
from charrnn.generation.seed import Seed
from charrnn.generation.stopping import Ending
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer.base import spread


class Stream:
    """One text of a batch: where it ends, and what the next token depends on."""

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
