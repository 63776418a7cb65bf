"""What every tokenizer does, and how a character outside the vocabulary is written.

A vocabulary of V tokens has the ids 0 to V-1; the last stands for any character
that is not in it (bytes have it, but never need it). `encode` writes such a character
as an id of V or more, V plus its code point, so that `decode` gives it back; the network
is shown `known(ids)`, where they are all V-1. A score charges ESCAPE_NATS for saying
which one it was. (To spell it by bytes instead would cost more: the network, which never
saw one in training, finds each of two to four unlikely.)
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Ids
from charrnn.text.blocks import chunks, code_points

CODE_POINTS = 0x110000
ESCAPE_NATS = math.log(CODE_POINTS)  # any code point, all alike
MAX_CHARACTERS = 8192  # the commonest are tokens; what a larger script has beyond is escaped
LONGEST_TOKEN = 1000  # characters; the longest pieces that tokens are made of have fewer
UNKNOWN = "\x00unknown"  # no level joins NUL with letters, so no text contains this token


def common_characters(text: str, vocab_size: int | None = None) -> list[str]:
    """The commonest characters of a text that a vocabulary has room for, by code point."""
    room = MAX_CHARACTERS if vocab_size is None else min(MAX_CHARACTERS, vocab_size - 1)
    counts: Counter[int] = Counter()
    for chunk in chunks([text], 1 << 20):
        codes, times = np.unique(code_points(chunk), return_counts=True)
        counts.update(dict(zip(codes.tolist(), times.tolist(), strict=True)))
    return sorted(chr(code) for code, _ in counts.most_common(room))


def is_half(character: str) -> bool:
    """Whether it is no character but a byte of a longer one."""
    return "\udc80" <= character <= "\udcff"


class Joints(NamedTuple):
    """Where tokens join to one word.

    Attributes:
        open: tokens after which a word may go on, bool [V];
        goes_on: tokens with which it then does, bool [V];
        parts: tokens that are no words of the vocabulary, but parts of other words, bool [V].
    """

    open: NDArray[np.bool_]
    goes_on: NDArray[np.bool_]
    parts: NDArray[np.bool_]


class Tokenizer(ABC):
    """Text to ids and back, so that decode(encode(text)) == text for every text.

    Args:
        tokens: what each id stands for, without the one for unseen characters. A token that is
            a byte of a longer character is written as Python writes it, a lone surrogate from
            U+DC80 to U+DCFF (PEP 383).
    """

    level: ClassVar[str]
    whole_words: ClassVar[bool] = False  # whether a word of the vocabulary is always one token
    # Where not every token may follow any other: the state after a token in each state, the first
    # one being 0, and -1 if it may not come there, [S, V].
    transitions: NDArray[np.int8] | None = None
    joints: Joints | None = None  # of words, where tokens are whole ones but for rare words

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = [*tokens, UNKNOWN]
        self.vocab_size = len(self.tokens)
        self.unknown_id = self.vocab_size - 1
        single = [(ord(token), i) for i, token in enumerate(tokens) if len(token) == 1]
        # Indexed by code point: the character's id, or its escape.
        self._character_ids = np.arange(
            self.vocab_size, self.vocab_size + CODE_POINTS, dtype=np.int32
        )
        if single:
            codes, ids = np.array(single).T
            self._character_ids[codes] = ids

    @classmethod
    @abstractmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        """Build the vocabulary of a text, which must be the training part alone.

        Args:
            vocab_size: V at the most, the commonest first; by default what suits the level.

        Raises:
            TextError: the text is not valid Unicode.
        """

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """Token ids, int32 [N]; escapes are `vocab_size` plus the code point.

        Raises:
            TextError: the text is not valid Unicode.
        """

    def unfinished(self, text: str) -> str:
        """The end of the text whose tokens may still change as more is typed."""
        return ""

    def extended(self, text: str) -> Self:
        """This vocabulary, its ids unchanged, and after it what `train` finds in a text."""
        known = set(self.tokens)
        added = [token for token in self.train(text).tokens if token not in known]
        return type(self)([*self.tokens[:-1], *added])

    def spell(self, text: str) -> Ids:
        """One id for each character, int32 [len(text)], escapes included."""
        return self._character_ids.take(code_points(text))

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(map(self.decoder(), ids))

    def decoder(self) -> Callable[[int], str]:
        """Gives the text that each id completes, one after the other; half a character is none."""
        return lambda i: self.tokens[i] if i < self.vocab_size else chr(i - self.vocab_size)

    def spelled(self, text: str) -> str:
        """The text as `tokens` are written, so that it is some of them joined."""
        return text

    def read(self, spelled: str) -> str:
        """The text that was spelled; what is half a character stays as it is."""
        return spelled

    def known(self, ids: Ids) -> Ids:
        """The ids as the network knows them: every escape is the last id of the vocabulary."""
        known: Ids = np.minimum(ids, self.unknown_id)
        return known

    def unseen(self, text: str) -> list[str]:
        """The characters of a text that the vocabulary lacks, each once, in order."""
        escapes = dict.fromkeys(i for i in self.spell(text).tolist() if i >= self.vocab_size)
        return [chr(i - self.vocab_size) for i in escapes]

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "tokens": self.tokens[:-1]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            ValueError: it is no vocabulary of this level.
        """
        return cls(checked_tokens(data))


def checked_tokens(data: dict[str, Any]) -> list[str]:
    """The tokens in JSON, checked."""
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
