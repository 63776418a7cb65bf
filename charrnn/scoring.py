"""How well a model predicts a text, in constant memory."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np

from charrnn.arrays import Array, Ids, bits
from charrnn.network.engine import Engine, State, log_softmax
from charrnn.text.blocks import chunks
from charrnn.tokenizer import ESCAPE_NATS, Tokenizer
from charrnn.tokenizer.base import spread

MAX_STREAMS = 32  # maximum streams into which a long text is cut, read in parallel (not tuned)
# Tokens read before each stream to warm up its state; with 512 the score of tinyshakespeare was
# the same to 1e-7.
WARM_UP_TOKENS = 128
BLOCK_CHARS = 1 << 20  # characters of a text in memory at a time (not tuned)

Tell = Callable[[float], None]  # called with the number of characters scored since the last call


def untold(chars: float) -> None:
    """Report no progress: the default Tell."""


@dataclass(slots=True)
class Score:
    """Totals over a text, from which the usual metrics follow.

    Attributes:
        chars: characters of the text.
        words: words, separated by white space.
        tokens: tokens of the model.
        correct: tokens that were the model's likeliest prediction.
        nats: negative log-probability of the text.
        bytes: bytes of the text in UTF-8.
    """

    chars: int = 0
    words: int = 0
    tokens: int = 0
    correct: int = 0
    nats: float = 0.0
    bytes: int = 0

    def __add__(self, other: "Score") -> "Score":
        """Return the totals over two texts that were scored separately."""
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Return counts and metrics; a perplexity is None where `_perplexity` gives none."""
        nats_per_char = self.nats / max(1, self.chars)
        return {
            "chars": self.chars,
            "tokens": self.tokens,
            "words": self.words,
            "bpc": bits(nats_per_char),
            "bpb": bits(self.nats / max(1, self.bytes)),
            "nats_per_char": nats_per_char,
            "perplexity": _perplexity(self.nats, self.tokens),
            "word_perplexity": _perplexity(self.nats, self.words),
            "accuracy_top1": self.correct / max(1, self.tokens),
        }


def _perplexity(nats: float, count: int) -> float | None:
    """Return exp(nats / count); None if the count is 0 or the result overflows a float."""
    return math.exp(nats / count) if count and nats / count < 700 else None


def score(
    engine: Engine, tokenizer: Tokenizer, state: State, text: Iterable[str], tell: Tell = untold
) -> Score:
    """Score a text given in blocks.

    Args:
        engine: the network.
        tokenizer: the network's tokenizer.
        state: state of the engine before the text.
        text: the text in blocks of any size.
        tell: called regularly with the number of characters scored since the last call.

    Raises:
        TextError: the text is not valid Unicode.
    """
    total = Score()
    inside_word = False
    for block in chunks(text, BLOCK_CHARS):
        ids = tokenizer.encode(block)
        (nats,), correct, states = _read(engine, [tokenizer.known(ids)], state, len(block), tell)
        state = states.take(slice(-1, None))
        total.nats += float(nats.sum(dtype=float))
        total.nats += ESCAPE_NATS * int((ids >= tokenizer.vocab_size).sum())
        total.correct += correct
        total.tokens += len(ids)
        total.chars += len(block)
        total.bytes += len(block.encode())
        total.words += len(block.split()) - (inside_word and not block[0].isspace())
        inside_word = not block[-1].isspace()
    return total


def surprisals(
    engine: Engine, tokenizer: Tokenizer, start: State, texts: Sequence[str], tell: Tell = untold
) -> list[Array]:
    """Return the surprisal of each character of some texts, which do not depend on each other.

    Args:
        engine: the network.
        tokenizer: the network's tokenizer.
        start: state of the engine before a text.
        texts: the texts, which are read in parallel; memory grows with their number.
        tell: called regularly with the number of characters scored since the last call.

    Returns:
        For each text the surprisals (nats), float32 [len(text)]; that of a token is spread evenly
        over its characters.

    Raises:
        TextError: a text is not valid Unicode.
    """
    ids = [tokenizer.encode(text) for text in texts]
    known = [*map(tokenizer.known, ids)]
    nats, _, _ = _read(engine, known, start, sum(map(len, texts)), tell)
    return [_of_characters(tokenizer, *pair) for pair in zip(ids, nats, strict=True)]


def _of_characters(tokenizer: Tokenizer, ids: Ids, nats: Array) -> Array:
    """Turn the surprisals of tokens, [N], into those of the characters that they stand for."""
    escaped = ids >= tokenizer.vocab_size
    nats = nats + np.where(escaped, np.float32(ESCAPE_NATS), np.float32(0))
    return spread(nats, [*map(len, map(tokenizer.decoder(), ids.tolist()))])


class _Span(NamedTuple):
    """A part of a text that one stream reads.

    Attributes:
        text: index of the text.
        start: index of the span's first token in the text.
        stop: index after the span's last token.
    """

    text: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def _spans(lengths: Iterable[int]) -> list[_Span]:
    """Cut texts of given lengths (tokens) into spans, longest first; a short one is one span."""
    spans = []
    for text, length in enumerate(lengths):
        streams = max(1, min(MAX_STREAMS, length // (4 * WARM_UP_TOKENS)))
        starts = range(0, length, max(1, -(-length // streams)))
        spans += [_Span(text, start, min(start + starts.step, length)) for start in starts]
    return sorted(spans, key=lambda span: span.length, reverse=True)


def _read(
    engine: Engine, texts: Sequence[Ids], start: State, chars: int, tell: Tell
) -> tuple[list[Array], int, State]:
    """Read some texts in parallel, long ones in several streams each.

    Args:
        engine: the network.
        texts: token ids of each text, int32 [N].
        start: state of the engine before each text.
        chars: characters of all texts together.
        tell: called regularly with the number of characters scored since the last call.

    Returns:
        Three values: for each text the negative log-probabilities (nats) of its tokens, float32
        [N]; the number of tokens predicted correctly; the states at the ends of the spans, longest
        span first. For a single text, the last is its final state.
    """
    spans = _spans(map(len, texts))
    lengths = np.array([span.length for span in spans], int)
    chars_per_token = chars / max(1, lengths.sum())
    ids_tb = np.zeros((lengths.max(initial=0), len(spans)), np.int32)
    for row, span in enumerate(spans):
        ids_tb[: span.length, row] = texts[span.text][span.start : span.stop]
    nats_tb = np.zeros(ids_tb.shape, np.float32)
    correct = 0
    with engine.threads(len(spans)):
        states = _before(engine, texts, spans, start)
        for t, ids in enumerate(ids_tb):
            going = int((lengths > t).sum())  # shorter spans have ended
            ids = ids[:going]
            logits = engine.logits(states.take(slice(going)))
            correct += int((logits.argmax(axis=1) == ids).sum())
            nats_tb[t, :going] = -np.take_along_axis(log_softmax(logits), ids[:, None], 1)[:, 0]
            states.replace(slice(going), engine.step(ids, states.take(slice(going))))
            tell(going * chars_per_token)
    nats = [np.zeros(len(ids), np.float32) for ids in texts]
    for row, span in enumerate(spans):
        nats[span.text][span.start : span.stop] = nats_tb[: span.length, row]
    return nats, correct, states


def _before(engine: Engine, texts: Sequence[Ids], spans: Sequence[_Span], start: State) -> State:
    """Return the states before some spans.

    At the start of a text the state is `start`; within a text, WARM_UP_TOKENS tokens warm it up.
    """
    states = start.repeat(len(spans))
    if later := [row for row, span in enumerate(spans) if span.start]:
        contexts = [texts[spans[row].text][: spans[row].start][-WARM_UP_TOKENS:] for row in later]
        within = engine.zero_state(len(later))
        for ids in np.stack(contexts, axis=1):
            within = engine.step(ids, within)
        states.replace(later, within)
    return states
