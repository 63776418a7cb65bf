"""How text is cut into words and what is between them, before those are cut into tokens."""

import threading
from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.arrays import Ids
from charrnn.text.blocks import END, chunks, code_points
from charrnn.tokenizer.base import Tokenizer

if TYPE_CHECKING:
    import tokenizers

RARE = 2  # words and merges that occur fewer times are no tokens
# Patterns of the tokenizers library: scripts that put no space between words; and what other
# words are made of, letters, digits, marks and what joins letters without a width.
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
LETTER = rf"(?:(?!_|{UNSPACED})[\w\x{{200C}}\x{{200D}}])"
CHUNKS = 64  # encoded at once, so that all cores have some
INTERRUPTED_WITHIN = 0.1  # seconds


def tokens_by_id(library: "tokenizers.Tokenizer") -> list[str]:
    """The library's tokens, by their ids."""
    ids = library.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def learn(learner: "tokenizers.Tokenizer", text: str, trainer: Any) -> None:
    """Train the library's tokenizer on a text; KeyboardInterrupt may be raised meanwhile.

    The library works in a thread of its own, since it returns to Python only when it is done, and
    Python answers signals in the main thread alone.
    """
    failed: list[BaseException] = []

    def work() -> None:
        try:
            learner.train_from_iterator(chunks([text]), trainer)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(INTERRUPTED_WITHIN)
    if failed:
        raise failed[0]


class PieceTokenizer(Tokenizer):
    """Cuts text into pieces and each piece into tokens, by the tokenizers library.

    A piece is a word with the space before it, a run of punctuation, white space, or END.

    Attributes:
        encoder: that library's tokenizer, with ids as here, but no escapes.
    """

    # Bounded repeats, because fitting the longest token is quadratic in a piece's length.
    PIECE = (
        rf" ?{UNSPACED}{{1,40}}"
        rf"| ?{LETTER}{{1,40}}(?:['’-]{LETTER}{{1,40}}){{0,3}}"
        rf"| ?(?:[^\w\s{END}]|_){{1,16}}"
        rf"|{END}"
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
