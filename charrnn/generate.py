"""From a seed to a stream of text."""

from collections.abc import Iterator

import numpy as np

from charrnn.cells import Array
from charrnn.config import SamplingConfig
from charrnn.engine import Engine
from charrnn.sampling import sample
from charrnn.tokenizer import Tokenizer


def generate(
    engine: Engine,
    tokenizer: Tokenizer,
    state: Array,
    seed: str,
    length: int,
    sampling: SamplingConfig,
    rng: np.random.Generator,
) -> Iterator[str]:
    """Continue a seed, token by token.

    Args:
        state: what the engine remembers before the seed, [L, S, 1, H].
        seed: may be empty, and may hold characters that the model has never seen.
        length: stop when this many characters have come; the last word is finished.
        sampling: how tokens are drawn.
        rng: draws them.

    Yields:
        The text of each token, without the seed.
    """
    # White space at the end of a seed may be the start of a word's token: let it grow into one.
    open_end = tokenizer.unfinished(seed)
    if not open_end.isspace() or not any(t.startswith(open_end) for t in tokenizer.tokens):
        open_end = ""
    ids = tokenizer.encode(seed.removesuffix(open_end))
    state = engine.read(tokenizer.known(ids), state)
    never = np.arange(tokenizer.vocab_size) == tokenizer.unknown_id
    banned = never | [not token.startswith(open_end) for token in tokenizer.tokens]
    while length > 0:
        logits = engine.logits(state)[0]
        logits[banned] = -np.inf
        token = sample(logits, sampling, rng)
        text = tokenizer.tokens[token].removeprefix(open_end)
        length -= len(text)
        yield text
        open_end, banned = "", never
        state = engine.step(np.array([token]), state)
