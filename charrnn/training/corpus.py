"""The corpus: a tokenized text, split into a training part and a held-out part."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from torch import Tensor

from charrnn.arrays import bits
from charrnn.errors import TextError
from charrnn.text.blocks import END, KINDS
from charrnn.text.cache import cached, in_memory
from charrnn.text.encodings import Note, unnoted
from charrnn.text.split import Parts
from charrnn.tokenizer import ESCAPE_NATS, CharTokenizer, Tokenizer
from charrnn.training import indexing, token_file
from charrnn.training.batching import Documents
from charrnn.training.indexing import Indexed
from charrnn.training.token_file import Tokens

SHORTEST = 64  # minimum length of the training part, in tokens; not tuned
IN_MEMORY = 1 << 26  # maximum characters of a text whose tokens stay in memory; not tuned
LAYOUT = 5  # version of the token file; part of its key, so that older files are never read


@dataclass(frozen=True, slots=True)
class Corpus:
    """The text that a network is trained and validated on.

    Attributes:
        tokenizer: the tokenizer, built from the training part alone.
        train: token ids of the training part, uint8, int16 or int32 [N].
        val: token ids of the held-out part, of the same type [M]; M may be 0.
        train_chars: number of characters in the training part.
        val_chars: number of characters of the held-out part to score; of records, their targets.
        val_bytes: number of bytes in them, as UTF-8.
        escape_nats: total cost of spelling those outside the vocabulary, nats.
        fingerprint: hash of the whole text.
        indexed: what was noted about the text.
        kind: the corpus kind, a key of KINDS.
        train_documents: where the training documents are; None unless the corpus consists of
            documents or records.
        val_documents: the same for the held-out documents.
        old: corpus of the parent run, with only the end of its training part.
    """

    tokenizer: Tokenizer
    train: Tensor
    val: Tensor
    train_chars: int
    val_chars: int
    val_bytes: int
    escape_nats: float
    fingerprint: str
    indexed: Indexed
    kind: str = "text"
    train_documents: Documents | None = None
    val_documents: Documents | None = None
    old: "Corpus | None" = None

    @classmethod
    def prepare(
        cls,
        parts: Parts,
        tokenize: Callable[[str], Tokenizer] = CharTokenizer.train,
        note: Note = unnoted,
    ) -> Self:
        """Tokenize a text; the tokens of a large one are kept in a file, see `kept`.

        Args:
            parts: the text, split.
            tokenize: makes the tokenizer from a sample of the training part.
            note: called with the progress of reading a long text.

        Raises:
            TextError: the text is too short to train on, or changed while it was read.
            TextError: there is no room for the tokens.
        """
        if parts.characters < 2:
            raise TextError(
                "the text is a single character" if parts.characters else "the text is empty",
                "give a text of a few thousand characters",
            )
        tokenizer = tokenize(parts.train.sample)

        def build(file: BinaryIO) -> dict[str, Any]:
            readers = indexing.readers(parts)
            values, found = token_file.write(file, parts, tokenizer, note, *readers)
            file.write(Indexed(*found).to_bytes())
            return values

        key = [*parts.key, tokenizer.to_json(), LAYOUT]
        made = cached(build, *key, note=note) if parts.characters > IN_MEMORY else in_memory(build)
        train, val, rest = token_file.read(made, tokenizer)
        if len(train.ids) < SHORTEST:
            raise TextError(
                f"the text is too short: {len(train.ids)} {tokenizer.level} tokens to train on, "
                f"at least {SHORTEST} are needed",
                "give a longer text",
            )
        return cls(
            tokenizer=tokenizer,
            train=train.ids,
            val=val.ids,
            train_chars=len(parts.train),
            val_chars=val.chars,
            val_bytes=val.bytes,
            escape_nats=val.escapes * ESCAPE_NATS,
            fingerprint=parts.fingerprint,
            indexed=Indexed.from_bytes(rest),
            kind=parts.kind,
            train_documents=_documents(parts.kind, train),
            val_documents=_documents(parts.kind, val),
        )

    @property
    def tokens_per_char(self) -> float:
        """Tokens per character of the training part."""
        return len(self.train) / self.train_chars

    @property
    def val_tokens(self) -> int:
        """Held-out tokens to score: all, but of a record only those of its target."""
        records = self.val_documents and self.val_documents.target_tokens
        return len(self.val) if records is None else records

    def nats_per_char(self, nats_per_token: float) -> float:
        """Convert a mean loss per token of the held-out part into one per character, nats."""
        return (nats_per_token * self.val_tokens + self.escape_nats) / self.val_chars

    def bits_per_byte(self, nats_per_char: float) -> float:
        """Convert a loss in nats per character of the held-out part into bits per byte."""
        return bits(nats_per_char * self.val_chars / self.val_bytes)


def _documents(kind: str, tokens: Tokens) -> Documents | None:
    """Return where the documents of a part are; None unless it consists of documents or records."""
    if KINDS[kind] != END:
        return None
    return Documents(tokens.ends, tokens.targets if kind == "records" else None)
