"""Text to token ids and back, exactly. To add a level: a class and a row in TOKENIZERS.

A vocabulary of V tokens has the ids 0 to V-1; the last stands for any character
that is not in it (bytes have it, but never need it). `encode` writes such a character
as an id of V or more, V plus its code point, so that `decode` gives it back; the network
is shown `known(ids)`, where they are all V-1. A score charges ESCAPE_NATS for saying
which one it was. (To spell it by bytes instead would cost more: the network, which never
saw one in training, finds each of two to four unlikely.)
"""

import codecs
import json
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.config import require
from charrnn.errors import TextError
from charrnn.text import chunks

if TYPE_CHECKING:
    import tokenizers

Ids = NDArray[np.int32]

CODE_POINTS = 0x110000
ESCAPE_NATS = math.log(CODE_POINTS)  # any code point, all alike
MAX_CHARACTERS = 8192  # the commonest are tokens; what a larger script has beyond is escaped
MAX_WORDS = 20_000  # with the characters
MAX_BPE = 16_384  # with the characters; the square root of the text's length is less as a rule
MAX_UNSPACED = 12  # characters in a word of a script without spaces
RARE = 2  # words and merges that occur fewer times are no tokens
# Patterns of the tokenizers library: scripts that put no space between words; and what other
# words are made of, letters, digits, marks and what joins letters without a width.
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
LETTER = rf"(?:(?!_|{UNSPACED})[\w\x{{200C}}\x{{200D}}])"
CHUNKS = 64  # encoded at once, so that all cores have some
UNKNOWN = "\x00unknown"  # no level joins NUL with letters, so no text contains this token


def code_points(text: str) -> Ids:
    """The code points of a text, int32 [len(text)].

    Raises:
        TextError: the text holds half of a surrogate pair, which is no character.
    """
    return np.frombuffer(_encoded(text, "utf-32-le"), dtype="<i4")


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise TextError(
            f"not valid Unicode: a lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start}",
            "give the text as UTF-8",
        ) from None


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


class Tokenizer(ABC):
    """Text to ids and back, so that decode(encode(text)) == text for every text.

    Args:
        tokens: what each id stands for, without the one for unseen characters. A token that is
            a byte of a longer character is written as Python writes it, a lone surrogate from
            U+DC80 to U+DCFF (PEP 383).
    """

    level: ClassVar[str]

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
        return cls(_tokens(data))


class CharTokenizer(Tokenizer):
    """A token is a Unicode code point."""

    level = "char"

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        return cls(common_characters(text, vocab_size))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        tokens = _tokens(data)
        if any(len(token) != 1 for token in tokens):
            raise ValueError("a token is more than a character")
        return cls(tokens)

    def encode(self, text: str) -> Ids:
        return self.spell(text)


class ByteTokenizer(Tokenizer):
    """A token is a byte of UTF-8, so that no character is unseen."""

    level = "byte"

    def __init__(self) -> None:
        super().__init__([bytes([i]).decode("ascii", "surrogateescape") for i in range(256)])

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        require(vocab_size is None, "--vocab-size is of no account with bytes, which are 256")
        code_points(text)
        return cls()

    def encode(self, text: str) -> Ids:
        return np.frombuffer(_encoded(text, "utf-8"), np.uint8).astype(np.int32)

    def spell(self, text: str) -> Ids:
        return self.encode(text)

    def extended(self, text: str) -> Self:
        return self

    def decoder(self) -> Callable[[int], str]:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        return lambda i: decode(bytes([i]))

    def spelled(self, text: str) -> str:
        return text.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")

    def read(self, spelled: str) -> str:
        return spelled.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls()


def _by_id(library: "tokenizers.Tokenizer") -> list[str]:
    """The library's tokens, by their ids."""
    ids = library.get_vocab()
    return sorted(ids, key=ids.__getitem__)


class PieceTokenizer(Tokenizer):
    """Cuts text into pieces and each piece into tokens, by the tokenizers library.

    A piece is a word with the space before it, a run of punctuation, or white space.

    Attributes:
        encoder: that library's tokenizer, with ids as here, but no escapes.
    """

    # Bounded repeats, because fitting the longest token is quadratic in a piece's length.
    PIECE = (
        rf" ?{UNSPACED}{{1,40}}"
        rf"| ?{LETTER}{{1,40}}(?:['’-]{LETTER}{{1,40}}){{0,3}}"
        r"| ?(?:[^\w\s]|_){1,16}"
        r"|\n{1,16}"
        r"|[^\S\n]{1,64}(?!\S)"  # indentation, but for the last space, which joins the word
        r"|[^\S\n]"
    )

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        self.encoder = self._cutting(self._model({token: i for i, token in enumerate(self.tokens)}))

    @classmethod
    def _cutting(cls, model: Any) -> "tokenizers.Tokenizer":
        """The library's tokenizer of such pieces."""
        # Here, not above: a character model starts faster without this library.
        from tokenizers import Regex, Tokenizer, pre_tokenizers

        library = Tokenizer(model)
        library.pre_tokenizer = pre_tokenizers.Split(Regex(cls.PIECE), "isolated")
        return library

    @abstractmethod
    def _model(self, ids: dict[str, int]) -> Any:
        """The library's model that cuts pieces into tokens."""

    @abstractmethod
    def _escape(self, ids: Ids, text: str) -> Ids:
        """The ids of a text in which the library wrote the unknown token for what it lacks."""

    def encode(self, text: str) -> Ids:
        code_points(text)  # refuses lone surrogates, which the library would trip over
        parts = [np.zeros(0, np.int32)]
        rest = chunks([text])
        while batch := [*islice(rest, CHUNKS)]:
            # (A batch wakes all cores, which a word as it is typed is not worth.)
            alone = len(batch) == 1
            encoder = self.encoder
            encodings = [encoder.encode(batch[0])] if alone else encoder.encode_batch_fast(batch)
            for encoding, chunk in zip(encodings, batch, strict=True):
                ids = np.fromiter(encoding.ids, np.int32, len(encoding))
                known = self.unknown_id not in ids
                parts.append(ids if known else self._escape(ids, chunk))
        return np.concatenate(parts)

    def unfinished(self, text: str) -> str:
        code_points(text[-256:])  # as in encode
        pieces = self.encoder.pre_tokenizer.pre_tokenize_str(text[-256:])
        return str(pieces[-1][0]) if pieces else ""


class WordTokenizer(PieceTokenizer):
    """A token is a piece: a word with the space before it, punctuation, or white space.

    A word outside the vocabulary is spelled from the longest tokens that fit, in
    the end from single characters. So is a line of a script that puts no space between
    words; what counts as its words is what byte pair encoding joins.
    """

    level = "word"

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        from tokenizers import models, trainers

        characters = common_characters(text, vocab_size)
        counter = cls._cutting(models.WordLevel(unk_token=UNKNOWN))
        room = (vocab_size or MAX_WORDS) - 1
        counter.train_from_iterator(
            chunks([text]),
            trainers.WordLevelTrainer(vocab_size=room, min_frequency=RARE, show_progress=False),
        )
        by_rank = zip_longest(_by_id(counter), _by_id(cls._unspaced(text, room)))
        words = dict.fromkeys(word for both in by_rank for word in both if word and len(word) > 1)
        return cls(sorted([*characters, *islice(words, max(0, room - len(characters)))]))

    @staticmethod
    def _unspaced(text: str, size: int) -> "tokenizers.Tokenizer":
        """What byte pair encoding finds in the scripts without spaces, and in them alone."""
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

        learner = Tokenizer(models.BPE())
        run = Regex(rf"{UNSPACED}{{1,40}}")
        learner.pre_tokenizer = pre_tokenizers.Split(run, "removed", invert=True)
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=RARE,
            limit_alphabet=MAX_CHARACTERS,
            max_token_length=MAX_UNSPACED,
            show_progress=False,
        )
        learner.train_from_iterator(chunks([text]), trainer)
        return learner

    def _model(self, ids: dict[str, int]) -> Any:
        from tokenizers import models

        return models.WordPiece(
            ids,
            unk_token=UNKNOWN,
            continuing_subword_prefix="",
            max_input_chars_per_word=1000,
        )

    def _escape(self, ids: Ids, text: str) -> Ids:
        """The library gives up on a whole piece for one unseen character; spell it instead."""
        offsets = self.encoder.encode(text).offsets
        parts, done = [], 0
        for i in np.flatnonzero(ids == self.unknown_id).tolist():
            start, end = offsets[i]
            parts += [ids[done:i], self.spell(text[start:end])]
            done = i + 1
        return np.concatenate([*parts, ids[done:]])


class BpeTokenizer(PieceTokenizer):
    """A token is a frequent part of a piece: byte pair encoding, over characters.

    Sennrich et al. 2016, arXiv:1508.07909. A piece starts as single characters; then the pairs
    in `merges` are joined, the earliest first.

    Args:
        merges: pairs of tokens that make a token, in the order in which they were found.
    """

    level = "bpe"

    def __init__(self, tokens: Sequence[str], merges: Sequence[tuple[str, str]] = ()) -> None:
        self._merges = [*merges]
        super().__init__(tokens)

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> Self:
        from tokenizers import models, trainers

        characters = common_characters(text, vocab_size)
        suitable = min(MAX_BPE, 1 + len(characters) + math.isqrt(len(text)))
        learner = cls._cutting(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=(vocab_size or suitable) - 1,
            min_frequency=RARE,
            initial_alphabet=characters,
            limit_alphabet=len(characters),
            show_progress=False,
        )
        learner.train_from_iterator(chunks([text]), trainer)
        merges = json.loads(learner.to_str())["model"]["merges"]
        return cls(_by_id(learner), [(left, right) for left, right in merges])

    def extended(self, text: str) -> Self:
        """This vocabulary and, after it, a text's new characters: the merges stay as they are."""
        known = set(self.tokens)
        added = [character for character in common_characters(text) if character not in known]
        return type(self)([*self.tokens[:-1], *added], self._merges)

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"merges": self._merges}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        tokens, merges = _tokens(data), data.get("merges")
        if not isinstance(merges, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(t, str) for t in pair)
            for pair in merges
        ):
            raise ValueError("its merges are not pairs of tokens")
        if not {*tokens}.issuperset(
            t for left, right in merges for t in (left, right, left + right)
        ):
            raise ValueError("a merge is not of its tokens")
        return cls(tokens, [(left, right) for left, right in merges])

    def _model(self, ids: dict[str, int]) -> Any:
        from tokenizers import models

        return models.BPE(ids, self._merges, unk_token=UNKNOWN)

    def _escape(self, ids: Ids, text: str) -> Ids:
        """The library writes one unknown token for each unseen character."""
        spelled = self.spell(text)
        ids[ids == self.unknown_id] = spelled[spelled >= self.vocab_size]
        return ids


TOKENIZERS: dict[str, type[Tokenizer]] = {
    tokenizer.level: tokenizer
    for tokenizer in (CharTokenizer, WordTokenizer, BpeTokenizer, ByteTokenizer)
}


def _tokens(data: dict[str, Any]) -> list[str]:
    """The tokens in JSON, checked."""
    tokens = data.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(t, str) and t for t in tokens):
        raise ValueError("its tokens are not strings")
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError:
        raise ValueError("a token is not valid Unicode") from None
    if len(set(tokens)) != len(tokens) or UNKNOWN in tokens:
        raise ValueError("it has a token twice")
    return tokens


def from_json(data: Any) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` describes.

    Raises:
        ValueError: `data` describes no tokenizer.
    """
    if not isinstance(data, dict) or data.get("level") not in [*TOKENIZERS]:
        raise ValueError("it has no known level")
    return TOKENIZERS[data["level"]].from_json(data)
