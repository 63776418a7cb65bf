"""Reading a seed: its tokens, the state after them, and what may follow."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Ids, Mask
from charrnn.generation.text_bias import TextBias
from charrnn.network.engine import Engine, State
from charrnn.tokenizer import Tokenizer

SEED_TOKENS = (
    1 << 13
)  # maximum tokens read, at the seed's end; earlier ones are ignored (not tuned)


class Seed(NamedTuple):
    """A seed that was read.

    Attributes:
        ids: token ids of the seed without `open_end`, [N].
        open_end: text at the seed's end that may be the start of a longer token.
        cannot_follow: tokens that cannot come next, [V]: those that do not start with `open_end`,
            and those that would end an item before it has begun.
        state: the network's state after the ids.
    """

    ids: Ids
    open_end: str
    cannot_follow: Mask
    state: State


def read(
    seed: str,
    engine: Engine,
    tokenizer: Tokenizer,
    start: State,
    in_word: bool,
    bias: TextBias,
    item: str,
    possible: Callable[[str], Mask] | None = None,
) -> Seed:
    """Read a seed, except an end that may start a longer token.

    Args:
        seed: text to continue.
        engine: the network.
        tokenizer: the model's tokenizer.
        start: the network's state before the seed.
        in_word: whether the end left unread may be a partial word, not only white space.
        bias: the bias of the next token; the end is read if all tokens that extend it are banned.
        item: the character that ends an item of the corpus; "" if there are no items.
        possible: returns the tokens that may follow a seed with that end unread, bool [V]; the end
            is read if there are none. None if all may.
    """
    end = tokenizer.unfinished(seed)
    if not (in_word or end.isspace()):
        end = ""
    ids = tokenizer.encode(seed.removesuffix(end))
    cannot_follow = np.zeros(tokenizer.vocab_size, bool)
    for token in tokenizer.encode(end).tolist():
        cannot_follow[:] = [not other.startswith(end) for other in tokenizer.tokens]
        cannot_follow[tokenizer.unknown_id] = True  # never sampled
        banned = np.isneginf(bias.after(tokenizer.spelled(seed.removesuffix(end))))
        if possible:
            banned |= ~possible(end)
        left = np.flatnonzero(~(cannot_follow | banned)).tolist()
        if any(tokenizer.tokens[i] != end for i in left):
            break
        ids = np.append(ids, np.int32(token))
        end = end.removeprefix(tokenizer.decode([token]))
        cannot_follow[:] = False
    ids = tokenizer.known(ids)
    if item and not seed.rpartition(item)[2].strip():
        blank = np.array([_is_blank(token, item) for token in tokenizer.tokens])
        blank[tokenizer.unknown_id] = True
        others = cannot_follow | blank
        if not (others if possible is None else others | ~possible(end)).all():
            cannot_follow |= blank
    return Seed(ids, end, cannot_follow, engine.read(ids[-SEED_TOKENS:], start))


def _is_blank(token: str, item: str) -> bool:
    """Return whether a token makes an item blank; white space at the start of a line does."""
    return token.startswith(item) or (item == "\n" and token.isspace())
