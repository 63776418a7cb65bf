"""The pretokenizer, which splits text into words and what is between them."""

import threading
from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.arrays import Ids
from charrnn.text.blocks import END, TARGET, chunks, code_points
from charrnn.tokenizer.base import Tokenizer

if TYPE_CHECKING:
    import tokenizers

RARE = 2  # minimum occurrences of a word or merge to become a token (not tuned)
# Pattern of the tokenizers library for a character of a script without spaces.
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
# Pattern for a letter, digit, combining mark or zero-width joiner of other scripts.
LETTER = rf"(?:(?!_|{UNSPACED})[\w\x{{200C}}\x{{200D}}])"
CHUNKS = 64  # chunks of text encoded in a batch, enough to occupy all cores (not tuned)
INTERRUPTED_WITHIN = 0.1  # seconds between checks for Ctrl-C (not tuned)


def tokens_by_id(library: "tokenizers.Tokenizer") -> list[str]:
    """Return the tokens of the library's tokenizer in the order of their ids."""
    ids = library.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def learn(learner: "tokenizers.Tokenizer", text: str, trainer: Any) -> None:
    """Train the library's tokenizer on a text.

    The library blocks until it is done, while Python handles signals in the main thread only, so it
    works in a thread of its own.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C.
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
    """Splits text into pieces and each piece into tokens, with the tokenizers library.

    A piece is a word with the space before it, a run of punctuation, white space, END or TARGET.

    Attributes:
        encoder: the library's tokenizer, with the same ids but without escapes.
    """

    # Repeats are bounded: finding the longest token is quadratic in the length of a piece.
    PIECE = (
        rf" ?{UNSPACED}{{1,40}}"
        rf"| ?{LETTER}{{1,40}}(?:['’-]{LETTER}{{1,40}}){{0,3}}"
        rf"| ?(?:[^\w\s{END}{TARGET}]|_){{1,16}}"
        rf"|{END}|{TARGET}"
        r"|\n{1,16}"
        r"|[^\S\n]{1,64}(?!\S)"  # indentation, except the last space, which belongs to the word
        r"|[^\S\n]"
    )

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        self.encoder = self._cutting(self._model({token: i for i, token in enumerate(self.tokens)}))

    @classmethod
    def _cutting(cls, model: Any) -> "tokenizers.Tokenizer":
        """Return a tokenizer of the library that cuts by PIECE."""
        # Imported here: a character model starts faster without this library.
        from tokenizers import Regex, Tokenizer, pre_tokenizers

        library = Tokenizer(model)
        library.pre_tokenizer = pre_tokenizers.Split(Regex(cls.PIECE), "isolated")
        return library

    @abstractmethod
    def _model(self, ids: dict[str, int]) -> Any:
        """Return the library's model, which splits pieces into tokens."""

    @abstractmethod
    def _escape(self, ids: Ids, text: str) -> Ids:
        """Return the ids of a text with escapes in place of the library's unknown tokens."""

    def encode(self, text: str) -> Ids:
        """Return token ids and escapes; see Tokenizer.encode."""
        code_points(text)  # refuses lone surrogates, on which the library fails
        parts = [np.zeros(0, np.int32)]
        rest = chunks([text])
        while batch := [*islice(rest, CHUNKS)]:
            # A batch starts all cores, too much for a word as it is typed.
            alone = len(batch) == 1
            encoder = self.encoder
            encodings = [encoder.encode(batch[0])] if alone else encoder.encode_batch_fast(batch)
            for encoding, chunk in zip(encodings, batch, strict=True):
                ids = np.fromiter(encoding.ids, np.int32, len(encoding))
                known = self.unknown_id not in ids
                parts.append(ids if known else self._escape(ids, chunk))
        return np.concatenate(parts)

    def unfinished(self, text: str) -> str:
        """Return the last piece, which may change when more is typed."""
        code_points(text[-256:])  # as in encode
        pieces = self.encoder.pre_tokenizer.pre_tokenize_str(text[-256:])
        return str(pieces[-1][0]) if pieces else ""
