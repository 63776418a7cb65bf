"""A text made ready for training: its tokens, in the two parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.errors import TextError
from charrnn.novelty import Items, WordRuns
from charrnn.text import END, SHAPES, chunks, fingerprint, split
from charrnn.tokenizer import ESCAPE_NATS, CharTokenizer, Tokenizer

SHORTEST = 64  # tokens to train on
OPENINGS = ("\n\n", "\n", " ")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a network trains on and is validated with.

    Attributes:
        tokenizer: built from the training part alone.
        train: token ids, the smallest unsigned or signed type that holds them, [N].
        val: token ids of the held-out part, [M]; M may be 0.
        train_chars, val_chars: characters of each part.
        escape_nats: what naming the held-out part's unseen characters costs in all.
        opening: text after which a paragraph or item starts; generation without a seed begins
            there.
        fingerprint: of the whole text.
        shape: a key of SHAPES.
        train_ends, val_ends: where each document ends, behind its last token, [D]; None of a text
            of another shape.
        word_runs: index of the runs of words in the training part, for the model's file.
        ngram: its trigram model, as `NGram.tensors` has it, for the same.
        items: index of its lines, of a text of that shape, for the same.
        held_out: the beginning of the held-out part, to tune suggestions on.
        old: the text of the run that is fine-tuned, of whose training part only the end is kept.
    """

    tokenizer: Tokenizer
    train: Tensor
    val: Tensor
    train_chars: int
    val_chars: int
    escape_nats: float
    opening: str
    fingerprint: str
    shape: str = "text"
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
        text: str,
        val: float,
        tokenize: Callable[[str], Tokenizer] = CharTokenizer.train,
        shape: str = "text",
        seed: int = 0,
    ) -> Self:
        """Split and tokenize a text.

        Args:
            val: share of the text to hold out.
            tokenize: makes the tokenizer, of the training part alone.
            shape: of the text, a key of SHAPES.
            seed: of the choice of what is held out; see `text.split`.

        Raises:
            TextError: the text is too short to train on.
        """
        documents = shape == "documents"
        if len(text) < 2:
            raise TextError(
                "the text is empty" if not text else "the text is a single character",
                "give a text of some thousand characters",
            )
        train_text, val_text = split(text, val, shape, seed)
        # A line break on either side keeps END a token of its own.
        tokenizer = tokenize(train_text.replace(END, f"\n{END}\n") if documents else train_text)
        train, _, train_ends = _encode(tokenizer, train_text, documents)
        if len(train) < SHORTEST:
            raise TextError(
                f"the text is too short: {len(train)} {tokenizer.level} tokens to train on, "
                f"at least {SHORTEST} are needed",
                "give a longer text",
            )
        validation, escapes, val_ends = _encode(tokenizer, val_text, documents)
        return cls(
            tokenizer=tokenizer,
            train=train,
            val=validation,
            train_chars=len(train_text),
            val_chars=len(val_text),
            escape_nats=escapes * ESCAPE_NATS,
            opening=SHAPES[shape] or next((o for o in OPENINGS if o in train_text), ""),
            fingerprint=fingerprint(text),
            shape=shape,
            train_ends=train_ends if documents else None,
            val_ends=val_ends if documents else None,
        )

    @property
    def tokens_per_char(self) -> float:
        return len(self.train) / self.train_chars

    def nats_per_char(self, nats_per_token: float) -> float:
        """From a mean loss over tokens of the held-out part to one over its characters."""
        return (nats_per_token * len(self.val) + self.escape_nats) / self.val_chars


def _encode(tokenizer: Tokenizer, text: str, documents: bool) -> tuple[Tensor, int, Tensor]:
    """Ids as the network knows them, how many characters were escaped, and where documents end.

    END is a token of its own, so that none goes over the end of a document.
    """
    size = tokenizer.vocab_size
    small = np.uint8 if size <= 1 << 8 else np.int16 if size <= 1 << 15 else np.int32
    parts = [np.zeros(0, small)]
    escapes = count = 0
    ends = []
    end = tokenizer.known(tokenizer.encode(END)).astype(small)
    for document in text.split(END)[:-1] if documents else [text]:
        for chunk in chunks([document], 1 << 20):
            ids = tokenizer.encode(chunk)
            escapes += int((ids >= size).sum())
            count += len(ids)
            parts.append(tokenizer.known(ids).astype(small))
        if documents:
            parts.append(end)
            count += len(end)
            ends.append(count)
    return torch.from_numpy(np.concatenate(parts)), escapes, torch.tensor(ends)
