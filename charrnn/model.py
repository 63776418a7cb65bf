"""A trained model: what the commands and Python programs use."""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from charrnn import runs
from charrnn.arrays import Array
from charrnn.config import SamplingConfig, StopConfig, require
from charrnn.errors import ModelFileError
from charrnn.generation.batch import generate
from charrnn.generation.sample import Part, Sample
from charrnn.network import model_file
from charrnn.network.engine import Engine
from charrnn.network.model_file import ModelFile
from charrnn.scoring import Score, Tell, score, surprisals, untold
from charrnn.text.blocks import KINDS
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.normalisation import normalised

if TYPE_CHECKING:
    from charrnn.generation.template import Piece
    from charrnn.suggestions.completer import Completer, Completion, Reasons
    from charrnn.suggestions.passed_over import Dismissals
    from charrnn.suggestions.trigrams import Trigrams

PHRASE_FLOOR = 0.05  # probability under which no phrase runs on, however eager
PHRASE_WORDS = 8  # at the most, after the first
PHRASE_CHOICES = 3  # of which one may go on after the word
PHRASE_LONGEST = 80  # characters

T = TypeVar("T")


class Model:
    """Generates, completes and scores text; needs no torch.

    Attributes:
        file: the configuration, tokenizer, weights and training record.
        engine: the network.
    """

    def __init__(self, file: ModelFile) -> None:
        self.file = file
        self.engine = Engine(file.config, file.weights)
        # A text starts as a paragraph of the corpus does: after what parts them there.
        opening = file.tokenizer.encode(file.training.get("opening", ""))
        self._start = self.engine.read(file.tokenizer.known(opening), self.engine.zero_state())
        self._completer: Completer | None = None

    @property
    def kind(self) -> str:
        """Kind of the corpus, a key of blocks.KINDS."""
        return str(self.file.training.get("shape", "text"))

    @property
    def normalised(self) -> bool:
        """Whether the corpus was normalised (charrnn.text.normalisation); then so are seeds."""
        return self.file.training.get("normalised") is True

    def as_read(self, text: str) -> str:
        """Return a text in the form in which the corpus was read."""
        return normalised(text) if self.normalised else text

    def generate(
        self,
        seed: str = "",
        length: int = 500,
        *,
        stop: Sequence[str] = (),
        random_seed: int | None = None,
        **sampling: Any,
    ) -> Iterator[str]:
        """Continue a seed; yields text as it is drawn, without the seed.

        Args:
            seed: text to continue; characters outside the vocabulary are allowed.
            length: characters to draw; the last word of a word model is finished.
            stop: texts before any of which it ends.
            random_seed: the same one gives the same text; None draws another each time.
            sampling: fields of SamplingConfig, for example `temperature=0.7`.

        Raises:
            UsageError: a value is out of its range.
            TextError: the seed is not valid Unicode.
        """
        require(length >= 0, "length must be 0 or more", "length")
        samples = [Sample(seed, SamplingConfig(**sampling))]
        parts = self.write(samples, StopConfig(chars=length, stop=stop), random_seed)
        return (part.text for part in parts)

    def write(
        self,
        samples: Iterable[Sample],
        stop: StopConfig,
        random_seed: int | None = None,
        scored: bool = False,
        avoid_copying: bool = False,
    ) -> Iterator[Part]:
        """Write several texts side by side; see charrnn.generation.batch.generate.

        A model of lines or documents ends each text where its item ends, at the latest.

        Args:
            samples: their seeds and biases are changed to what `as_read` makes of them.
            avoid_copying: whether to keep away from runs of words in the training text.

        Raises:
            ModelFileError: that is asked for, but the model's file does not know its text.
        """
        if random_seed is None:
            random_seed = new_random_seed()
        require(random_seed >= 0, "random_seed must be 0 or more", "random_seed")
        avoid = self.word_runs if avoid_copying else None
        stop = replace(stop, item=KINDS[self.kind], stop=[*map(self.as_read, stop.stop)])
        if self.normalised:
            samples = map(self._read, samples)
        return generate(
            self.engine, self.file.tokenizer, self._start, samples, stop, random_seed, scored, avoid
        )

    def fill(
        self,
        pieces: "Sequence[Piece]",
        samples: Iterable[Sample],
        tries: int,
        random_seed: int,
        scored: bool = False,
        avoid_copying: bool = False,
    ) -> Iterator[Part]:
        """Fill the gaps of a template; see charrnn.generation.template.fill.

        Args:
            pieces: of the template.
            samples: with empty seeds, one for each text.
            tries: candidates sampled for each gap; the best fit is kept.
            random_seed: with a sample's key, decides what is drawn.
            scored: whether to find the surprisal of each character.
            avoid_copying: as in `write`.
        """
        from charrnn.generation.template import Writer, fill

        def write(samples: Sequence[Sample], stop: StopConfig) -> Iterator[Part]:
            return self.write(samples, stop, random_seed, avoid_copying=avoid_copying)

        def count(text: str) -> int:
            return len(self.file.tokenizer.encode(text))

        return fill(pieces, samples, tries, Writer(write, self.surprisal, count), scored)

    def _read(self, sample: Sample) -> Sample:
        """Change a sample's seed and biases to what `as_read` makes of them."""
        sample.seed = self.as_read(sample.seed)
        bias = sample.sampling.bias or {}
        if any(text != self.as_read(text) for text in bias):
            bias = {self.as_read(text): nats for text, nats in bias.items()}
            sample.sampling = replace(sample.sampling, bias=bias)
        return sample

    @property
    def word_runs(self) -> WordRuns:
        """Index of the runs of words in the training text.

        Raises:
            ModelFileError: the file has none.
        """
        return _known(self.file.word_runs)

    @property
    def items(self) -> Items:
        """Index of the lines of the training text, for a model of lines.

        Raises:
            ModelFileError: the file has none.
        """
        return _known(self.file.items)

    def complete(
        self, typed: str, k: int = 3, dismissals: "Dismissals | None" = None, after: str = ""
    ) -> "list[Completion]":
        """The `k` likeliest ways to end the word being typed, or the next one, the best first.

        What was typed before is remembered, so that a longer text costs only what is new.

        Args:
            dismissals: of who types, if what was passed over shall be less likely.
            after: some of the text that already stands behind what is typed.
        """
        return self._typing.complete(self.as_read(typed), k, dismissals, self.as_read(after))

    def extend(self, typed: str, k: int = 3, after: str = "") -> "list[Completion]":
        """As `complete`, but only ways to go on without a space."""
        return self._typing.complete(self.as_read(typed), k, None, self.as_read(after), False)

    def read_ahead(self, typed: str) -> Iterator[None]:
        """Read a text before anything is asked about it, some of it for each item.

        Whoever asks about it meanwhile does not go on with this.
        """
        return self._typing.read_ahead(self.as_read(typed))

    def anew(self) -> "Model":
        """Return the same model for another text being typed, of which it has read nothing."""
        other = copy(self)
        other._completer = None
        return other

    def reasons(self, typed: str, text: str) -> "Reasons | None":
        """What speaks for `text`, which goes on without a space; None if nothing suggests it."""
        return self._typing.reasons(self.as_read(typed), text)

    def knows(self, word: str) -> bool:
        """Whether a word stands in the training text, or was typed before."""
        return self._typing.knows(word)

    @property
    def _typing(self) -> "Completer":
        if self._completer is None:
            self._completer = self.completer()
        return self._completer

    def remember(self, words: Sequence[str]) -> None:
        """Count words that were typed earlier, the oldest first, as recent ones."""
        self._completer = self.completer(earlier=[*map(self.as_read, words)])

    def completer(self, recent: bool = True, earlier: Sequence[str] = ()) -> "Completer":
        """What `complete` asks, anew.

        Args:
            recent: whether words of the text being typed count more.
            earlier: words that were typed before it.
        """
        from charrnn.suggestions.completer import Completer
        from charrnn.suggestions.mixture import from_names

        weights = from_names(self.file.mixture or {})
        return Completer(
            self.engine, self.file.tokenizer, self._start, self.ngram, weights, recent, earlier
        )

    @cached_property
    def ngram(self) -> "Trigrams":
        """The trigrams of the training text; empty if the file has none.

        Raises:
            ModelFileError: they are damaged.
        """
        from charrnn.suggestions.trigrams import Trigrams

        if not self.file.ngram:
            return Trigrams.build("")
        try:
            return Trigrams.from_tensors(self.file.ngram)
        except ValueError as error:
            raise ModelFileError(
                f"the trigrams in the model's file are damaged: {error}",
                "copy it again or train anew",
            ) from None

    def phrase(self, typed: str, first: "Completion", least: float) -> str:
        """What `first` begins, run on word by word while all of it stays likely enough.

        Args:
            least: the probability that all of it has at least.
        """
        from charrnn.text.words import is_unspaced

        phrase, p = first.text, first.p
        for _ in range(PHRASE_WORDS):
            # What goes on inside the word would contradict that it ends there.
            following = [
                completion
                for completion in self.complete(typed + phrase, PHRASE_CHOICES)
                if completion.text.startswith(" ") or is_unspaced(completion.text)
            ]
            if not following or p * following[0].p < max(least, PHRASE_FLOOR):
                break
            if len(phrase + following[0].text) > PHRASE_LONGEST:
                break
            phrase += following[0].text
            p *= following[0].p
        return phrase

    def score(self, text: str | Iterable[str], tell: Tell = untold) -> Score:
        """Return how well the model predicts a text, given whole or in blocks.

        Args:
            text: the text, scored as it stands; see `as_read`.
            tell: called now and then with the characters scored since the last call.
        """
        blocks = [text] if isinstance(text, str) else text
        return score(self.engine, self.file.tokenizer, self._start, blocks, tell)

    def surprisal(self, texts: Sequence[str], tell: Tell = untold) -> list[Array]:
        """Return the surprisal (nats) of each character of some texts, [len(text)] each.

        Args:
            texts: the texts, which are read side by side, as they stand; see `as_read`.
            tell: called now and then with the characters scored since the last call.
        """
        return surprisals(self.engine, self.file.tokenizer, self._start, texts, tell)


def _known(index: T | None) -> T:
    if index is None:
        raise ModelFileError(
            "the model's file does not know its training text", "train it with this charrnn"
        )
    return index


def new_random_seed() -> int:
    return secrets.randbits(32)


def load(path: str | os.PathLike[str] | None = None) -> Model:
    """Load a model from a run folder or a model file; by default the newest run's.

    Raises:
        ModelFileError: there is no whole model.
        UsageError: no path was given and there is no run.
    """
    return Model(model_file.load(runs.find(None if path is None else str(Path(path)))))
