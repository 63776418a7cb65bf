"""A text made ready for training: its tokens, in the two parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

from numpy.typing import NDArray
from torch import Tensor

from charrnn.arrays import bits
from charrnn.errors import TextError
from charrnn.text.blocks import KINDS
from charrnn.text.cache import Build, Made, cached, in_memory
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.encodings import Note, unnoted
from charrnn.text.split import Parts
from charrnn.tokenizer import ESCAPE_NATS, CharTokenizer, Tokenizer
from charrnn.training import token_file

SHORTEST = 64  # tokens to train on
IN_MEMORY = 1 << 26  # characters of a text; the tokens of a longer one are in a file
SAMPLE = 1 << 24  # characters that a vocabulary and trigrams are learned from
LAYOUT = 3  # of what is kept of a text; files of an earlier one are not looked for
OPENINGS = ("\n\n", "\n", " ")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a network trains on and is validated with.

    Attributes:
        tokenizer: built from the training part alone.
        train: token ids, the smallest unsigned or signed type that holds them, [N].
        val: token ids of the held-out part, [M]; M may be 0.
        train_chars, val_chars: characters of each part,
        val_bytes: and bytes of the held-out one, as UTF-8.
        escape_nats: what naming the held-out part's unseen characters costs in all.
        opening: text after which a paragraph or item starts; generation without a seed begins
            there.
        fingerprint: of the whole text.
        kind: a key of KINDS.
        train_ends, val_ends: where each document ends, behind its last token, [D]; None of a text
            of another kind.
        word_runs: index of the runs of words in the training part, for the model's file.
        ngram: its trigram model, as `Trigrams.tensors` has it, for the same.
        items: index of its lines, of a text of that kind, for the same.
        held_out: the beginning of the held-out part, to tune suggestions on.
        old: the text of the run that is fine-tuned, of whose training part only the end is kept.
    """

    tokenizer: Tokenizer
    train: Tensor
    val: Tensor
    train_chars: int
    val_chars: int
    val_bytes: int
    escape_nats: float
    opening: str
    fingerprint: str
    kind: str = "text"
    train_ends: Tensor | None = None
    val_ends: Tensor | None = None
    word_runs: WordRuns | None = None
    ngram: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    items: Items | None = None
    held_out: str = ""
    old: "Corpus | None" = None

    @classmethod
    def prepare(
        cls,
        parts: Parts,
        tokenize: Callable[[str], Tokenizer] = CharTokenizer.train,
        note: Note = unnoted,
        sample: str | None = None,
    ) -> Self:
        """Tokenize a text; the tokens of a large one are kept in a file, see `kept`.

        Args:
            parts: of the text.
            tokenize: makes the tokenizer, of the training part alone, of which it sees a sample.
            note: told how far a long text is read.
            sample: that one, if it is at hand.

        Raises:
            TextError: the text is too short to train on, or has changed meanwhile.
            RunError: there is no room for the file.
        """
        documents = parts.kind == "documents"
        if parts.characters < 2:
            raise TextError(
                "the text is a single character" if parts.characters else "the text is empty",
                "give a text of some thousand characters",
            )
        if sample is None:
            sample = parts.train.sample(SAMPLE)
        tokenizer = tokenize(sample)

        def build(file: BinaryIO) -> dict[str, Any]:
            return token_file.write(file, parts, tokenizer, note)

        train, val = token_file.read(kept(parts, build, tokenizer.to_json(), LAYOUT), tokenizer)
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
            val_chars=len(parts.val),
            val_bytes=val.bytes,
            escape_nats=val.escapes * ESCAPE_NATS,
            opening=KINDS[parts.kind] or next((o for o in OPENINGS if o in sample), ""),
            fingerprint=parts.fingerprint,
            kind=parts.kind,
            train_ends=train.ends if documents else None,
            val_ends=val.ends if documents else None,
        )

    @property
    def tokens_per_char(self) -> float:
        return len(self.train) / self.train_chars

    def nats_per_char(self, nats_per_token: float) -> float:
        """From a mean loss over tokens of the held-out part to one over its characters."""
        return (nats_per_token * len(self.val) + self.escape_nats) / self.val_chars

    def bits_per_byte(self, nats_per_char: float) -> float:
        """From a loss over characters of the held-out part to one over its bytes."""
        return bits(nats_per_char * self.val_chars / self.val_bytes)


def kept(parts: Parts, build: Build, *key: Any) -> Made:
    """What `build` makes of a text and `key`: of a large one in a file that is made only once."""
    if parts.characters > IN_MEMORY:
        return cached(build, *parts.key, *key)
    return in_memory(build)
