"""How well a model predicts a text, in constant memory."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from charrnn.cells import Array
from charrnn.engine import Engine, log_softmax
from charrnn.text import chunks
from charrnn.tokenizer import ESCAPE_NATS, Ids, Tokenizer

STREAMS = 32  # a long text is read at this many places at once, which is many times faster,
CONTEXT = 512  # each after reading this many tokens before it, so that little is forgotten
BLOCK = 1 << 20  # characters held in memory


@dataclass(slots=True)
class Score:
    """Sums over a text, and what people compare.

    Attributes:
        chars: characters.
        words: runs of characters between white space.
        tokens: tokens of the model.
        correct: tokens that were the model's first guess.
        nats: negative log-probability of the whole text.
        bytes: of the text as UTF-8.
    """

    chars: int = 0
    words: int = 0
    tokens: int = 0
    correct: int = 0
    nats: float = 0.0
    bytes: int = 0

    def __add__(self, other: "Score") -> "Score":
        """That of two texts, each for itself."""
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def to_json(self) -> dict[str, Any]:
        nats_per_char = self.nats / max(1, self.chars)
        return {
            "chars": self.chars,
            "tokens": self.tokens,
            "words": self.words,
            "bpc": nats_per_char / math.log(2),
            "bpb": self.nats / max(1, self.bytes) / math.log(2),
            "nats_per_char": nats_per_char,
            "perplexity": _perplexity(self.nats, self.tokens),
            "word_perplexity": _perplexity(self.nats, self.words),
            "accuracy_top1": self.correct / max(1, self.tokens),
        }


def _perplexity(nats: float, count: int) -> float | None:
    """None where it has no meaning or is too large for a float."""
    return math.exp(nats / count) if count and nats / count < 700 else None


def score(engine: Engine, tokenizer: Tokenizer, state: Array, text: Iterable[str]) -> Score:
    """Score a text given in blocks.

    Args:
        state: what the engine remembers before the text, [L, S, 1, H].
        text: blocks of any size that add up to the text.
    """
    total = Score()
    inside_word = False
    for block in chunks(text, BLOCK):
        ids = tokenizer.encode(block)
        state, nats, correct = _score_ids(engine, tokenizer.known(ids), state)
        total.nats += nats + ESCAPE_NATS * int((ids >= tokenizer.vocab_size).sum())
        total.correct += correct
        total.tokens += len(ids)
        total.chars += len(block)
        total.bytes += len(block.encode())
        total.words += len(block.split()) - (inside_word and not block[0].isspace())
        inside_word = not block[-1].isspace()
    return total


def surprises(
    engine: Engine, tokenizer: Tokenizer, start: Array, texts: Sequence[str]
) -> list[Array]:
    """How surprising each character of some texts is, each text for itself.

    Args:
        start: what the engine remembers before a text, [L, S, 1, H].
        texts: read side by side, so not too many at once.

    Returns:
        For each text nats, float32 [len(text)]; a token's are spread evenly over its characters.
    """
    ids = [tokenizer.encode(text) for text in texts]
    lengths = np.array([len(tokens) for tokens in ids], int)
    order = np.argsort(-lengths, kind="stable")  # the longest first: the others end before it
    known_tb = np.zeros((lengths.max(initial=0), len(texts)), np.int32)
    for row, i in enumerate(order):
        known_tb[: lengths[i], row] = tokenizer.known(ids[i])
    nats_tb = np.zeros(known_tb.shape, np.float32)
    states = np.repeat(start, len(texts), axis=2)
    for t, known in enumerate(known_tb):
        going = int((lengths > t).sum())
        states, known = states[:, :, :going], known[:going]
        logp = log_softmax(engine.logits(states))
        nats_tb[t, :going] = -np.take_along_axis(logp, known[:, None], 1)[:, 0]
        states = engine.step(known, states)
    rows = np.argsort(order)
    return [
        _of_characters(tokenizer, tokens, nats_tb[: len(tokens), row])
        for tokens, row in zip(ids, rows, strict=True)
    ]


def _of_characters(tokenizer: Tokenizer, ids: Ids, nats: Array) -> Array:
    escaped = ids >= tokenizer.vocab_size
    nats = nats + np.where(escaped, np.float32(ESCAPE_NATS), np.float32(0))
    return spread(nats, [*map(len, map(tokenizer.decoder(), ids.tolist()))])


def spread(nats: Array, lengths: Sequence[int]) -> Array:
    """The surprise of each character, float32 [sum(lengths)], from that of tokens.

    Args:
        nats: of each token, float32 [N].
        lengths: characters that each token completes. Its surprise is spread evenly over them;
            that of one which completes none goes to the next.
    """
    complete = np.flatnonzero(lengths)
    if not len(complete):
        return np.zeros(0, np.float32)
    first = np.append(0, complete[:-1] + 1)
    sums = np.add.reduceat(nats[: complete[-1] + 1], first)
    counts = np.array(lengths)[complete]
    return np.repeat(sums / counts.astype(np.float32), counts)


def _score_ids(engine: Engine, ids: Ids, state: Array) -> tuple[Array, float, int]:
    """State after the ids, their negative log-probability, and how many were the first guess."""
    streams = max(1, min(STREAMS, len(ids) // (4 * CONTEXT)))
    length = -(-len(ids) // streams)
    starts = np.arange(streams) * length
    states = engine.zero_state(streams)
    for before in range(CONTEXT if streams > 1 else 0, 0, -1):
        states = engine.step(ids[np.maximum(starts - before, 0)], states)
    states[:, :, :1] = state
    nats, correct = 0.0, 0
    last = len(ids) - int(starts[-1])  # the last stream may be shorter
    for t in range(length):
        if t == last:
            state = states[:, :, -1:]
            states, starts = states[:, :, :-1], starts[:-1]
        logits = engine.logits(states)
        targets = ids[starts + t]
        nats -= float(np.take_along_axis(log_softmax(logits), targets[:, None], 1).sum())
        correct += int((logits.argmax(axis=1) == targets).sum())
        states = engine.step(targets, states)
    return (states[:, :, -1:] if last == length else state), nats, correct
