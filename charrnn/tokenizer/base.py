"""The tokenizer interface, and how characters outside the vocabulary are handled.

A vocabulary of V tokens has the ids 0 to V-1; the last is the unknown token (unused by bytes). A
character outside the vocabulary is encoded as an escape, the id V plus its code point, so that
`decode` restores it. The network sees `known(ids)`, where every escape is V-1; scores add
ESCAPE_NATS for the choice of the character. Spelling it in two to four bytes would cost more: the
network never saw them in training and finds each unlikely.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Ids, Mask
from charrnn.text.blocks import chunks, code_points

CODE_POINTS = 0x110000  # number of code points in Unicode
ESCAPE_NATS = math.log(CODE_POINTS)  # cost of an escape: a uniform choice of a code point
MAX_CHARACTERS = 8192  # maximum characters in a vocabulary; rarer ones are escaped (not tuned)
LONGEST_TOKEN = 1000  # maximum characters of a token read from a file; pieces are shorter
UNKNOWN = "\x00unknown"  # unknown token; no level joins NUL with letters, so none yields it


def common_characters(text: str, vocab_size: int | None = None) -> list[str]:
    """Return the most frequent characters that fit a vocabulary, sorted by code point."""
    room = MAX_CHARACTERS if vocab_size is None else min(MAX_CHARACTERS, vocab_size - 1)
    counts: Counter[int] = Counter()
    for chunk in chunks([text], 1 << 20):
        codes, times = np.unique(code_points(chunk), return_counts=True)
        counts.update(dict(zip(codes.tolist(), times.tolist(), strict=True)))
    return sorted(chr(code) for code, _ in counts.most_common(room))


def is_half(character: str) -> bool:
    """Return whether this is one byte of a longer character (PEP 383)."""
    return "\udc80" <= character <= "\udcff"


class Joints(NamedTuple):
    """Where tokens form one word.

    Attributes:
        open: whether a word may continue after a token, bool [V].
        goes_on: whether a token may continue a word, bool [V].
        parts: whether a token is not a word but a part of words, bool [V].
    """

    open: Mask
    goes_on: Mask
    parts: Mask


class Tokenizer(ABC):
    """A tokenizer, such that decode(encode(text)) == text for every text.

    Args:
        tokens: the text of each id, without the unknown token. One byte of a longer character is
            a lone surrogate from U+DC80 to U+DCFF (PEP 383).

    Attributes:
        level: name of the level, a key of TOKENIZERS.
        whole_words: whether a word of the vocabulary is always one token.
        units: kind of its tokens, on which the automatic choices of training depend.
        transitions: an automaton of the valid token sequences, int8 [S, V]: the state after each
            token in each state, -1 if the token is invalid there. It starts in state 0. None if
            every sequence is valid.
        joints: where tokens form one word; None unless most tokens are whole words.
        tokens: the text of each id, the unknown token last.
        vocab_size: number of tokens, V.
        unknown_id: id of the unknown token, V-1.
    """

    level: ClassVar[str]
    whole_words: ClassVar[bool] = False
    units: ClassVar[Literal["characters", "subwords", "words"]] = "characters"
    transitions: NDArray[np.int8] | None = None
    joints: Joints | None = None

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = [*tokens, UNKNOWN]
        self.vocab_size = len(self.tokens)
        self.unknown_id = self.vocab_size - 1
        single = [(ord(token), i) for i, token in enumerate(tokens) if len(token) == 1]
        # Id or escape of each code point.
        self._character_ids = np.arange(
            self.vocab_size, self.vocab_size + CODE_POINTS, dtype=np.int32
        )
        if single:
            codes, ids = np.array(single).T
            self._character_ids[codes] = ids

    @classmethod
    @abstractmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        """Build the vocabulary of a text.

        Args:
            text: the training part.
            vocab_size: maximum V; the most frequent tokens are kept. None chooses by level.

        Raises:
            TextError: the text is not valid Unicode.
        """

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """Return token ids and escapes, int32 [N].

        Raises:
            TextError: the text is not valid Unicode.
        """

    def unfinished(self, text: str) -> str:
        """Return the end of a text whose tokens may change when more is typed."""
        del text  # a character never changes
        return ""

    def extended(self, text: str) -> Self:
        """Return this vocabulary, ids unchanged, followed by the new tokens of another text."""
        known = set(self.tokens)
        added = [token for token in self.train(text).tokens if token not in known]
        return type(self)([*self.tokens[:-1], *added])

    def spell(self, text: str) -> Ids:
        """Return one id or escape for each character, int32 [len(text)]."""
        return self._character_ids.take(code_points(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids and escapes."""
        return "".join(map(self.decoder(), ids))

    def decoder(self) -> Callable[[int], str]:
        """Return a function that maps ids, in order, to the text each completes; "" if none."""
        return lambda i: self.tokens[i] if i < self.vocab_size else chr(i - self.vocab_size)

    def spelled(self, text: str) -> str:
        """Return a text as a concatenation of some of `tokens`."""
        return text

    def read(self, spelled: str) -> str:
        """Return the text of a spelling; incomplete characters stay as they are."""
        return spelled

    def known(self, ids: Ids) -> Ids:
        """Return ids as the network sees them, with the unknown token for each escape."""
        known: Ids = np.minimum(ids, self.unknown_id)
        return known

    def unseen(self, text: str) -> list[str]:
        """Return the distinct characters of a text outside the vocabulary, in order."""
        escapes = dict.fromkeys(i for i in self.spell(text).tolist() if i >= self.vocab_size)
        return [chr(i - self.vocab_size) for i in escapes]

    def to_json(self) -> dict[str, Any]:
        """Return the tokenizer as JSON values."""
        return {"level": self.level, "tokens": self.tokens[:-1]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the tokenizer that `to_json` describes.

        Raises:
            ValueError: `data` is not a vocabulary of this level.
        """
        return cls(checked_tokens(data))


def checked_tokens(data: dict[str, Any]) -> list[str]:
    """Return the tokens in JSON values.

    Raises:
        ValueError: they are invalid.
    """
    tokens = data.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(t, str) and t for t in tokens):
        raise ValueError("its tokens are not strings")
    if max(map(len, tokens), default=0) > LONGEST_TOKEN:
        raise ValueError("a token is longer than any word")
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError:
        raise ValueError("a token is not valid Unicode") from None
    if len(set(tokens)) != len(tokens) or UNKNOWN in tokens:
        raise ValueError("it has a token twice")
    return tokens


def spread(nats: Array, lengths: Sequence[int]) -> Array:
    """Spread the surprisal of each token evenly over its characters.

    Args:
        nats: surprisal of each token (nats), float32 [N].
        lengths: characters that each token completes. The surprisal of a token that completes
            none is added to the next.

    Returns:
        The surprisal of each character (nats), float32 [sum(lengths)].
    """
    if set(lengths) == {1}:  # the same, but faster
        return nats
    complete = np.flatnonzero(lengths)
    if not len(complete):
        return np.zeros(0, np.float32)
    first = np.append(0, complete[:-1] + 1)
    sums = np.add.reduceat(nats[: complete[-1] + 1], first)
    counts = np.array(lengths)[complete]
    return np.repeat(sums / counts.astype(np.float32), counts)
