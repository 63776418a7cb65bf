"""Reading a seed."""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Array, Ids, Mask
from charrnn.generation.text_bias import TextBias
from charrnn.network.engine import Engine
from charrnn.tokenizer import Tokenizer

SEED_TOKENS = 1 << 13  # that are read at the end of a seed: what stands before them is forgotten


class Seed(NamedTuple):
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


def read(
    seed: str,
    engine: Engine,
    tokenizer: Tokenizer,
    start: Array,
    in_word: bool,
    bias: TextBias,
    item: str,
) -> Seed:
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
    return Seed(ids, end, cannot_follow, engine.read(ids[-SEED_TOKENS:], start))


def _is_blank(token: str, item: str) -> bool:
    """Whether an item that begins with a token would be blank; a line begins with no space."""
    return token.startswith(item) or (item == "\n" and token.isspace())
