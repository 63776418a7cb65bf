"""A trained model: the interface for commands and Python programs."""

import dataclasses
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from charrnn import runs
from charrnn.arrays import Array, Floats
from charrnn.config import BEAM, LENGTH, SamplingConfig, StopConfig, require
from charrnn.errors import ModelFileError, UsageError
from charrnn.generation.batch import generate
from charrnn.generation.matching import chosen
from charrnn.generation.sample import Part, Sample
from charrnn.network import model_file
from charrnn.network.engine import Engine
from charrnn.network.model_file import ModelFile
from charrnn.scoring import Score, Tell, score, surprisals, untold
from charrnn.text.blocks import KINDS, UNMARKED
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.normalisation import normalised

if TYPE_CHECKING:
    from charrnn.generation.prediction import Choices, Prediction
    from charrnn.generation.template import Piece
    from charrnn.suggestions.completer import Completer, Completion, Reasons
    from charrnn.suggestions.missing_words import Filling, MissingWords
    from charrnn.suggestions.passed_over import Dismissals
    from charrnn.suggestions.trigrams import Trigrams

T = TypeVar("T")

# Sampling by the kind of token, where nothing else is asked for: it trades invented words against
# repetition (tests/benchmarks/kinds.py). Letters are many choices a word, and words one.
SAMPLING: dict[str, dict[str, Any]] = {
    "characters": {"temperature": 0.8, "min_p": 0.05},
    "subwords": {"temperature": 0.9, "min_p": 0.02},
    "words": {"temperature": 1.0, "min_p": 0.01},
}
LIMITS = {"top_k", "top_p", "typical_p", "mirostat"}  # controls that replace the default min_p


class Model:
    """Generates, completes and scores text; needs no torch.

    Attributes:
        file: content of the model file: configuration, tokenizer, weights and training record.
        engine: the network.
    """

    def __init__(self, file: ModelFile) -> None:
        self.file = file
        self.engine = Engine(file.config, file.weights, file.ngrams)
        # A text starts like a paragraph of the corpus, after the separator of paragraphs.
        opening = file.tokenizer.encode(file.trained.opening)
        self._start = self.engine.read(file.tokenizer.known(opening), self.engine.zero_state())
        self._completer: Completer | None = None

    @property
    def kind(self) -> str:
        """Kind of corpus the model was trained on, a key of blocks.KINDS."""
        return self.file.trained.kind

    @property
    def normalised(self) -> bool:
        """Whether the corpus, and so every seed, is normalised (see charrnn.text.normalisation)."""
        return self.file.trained.normalised

    def as_read(self, text: str) -> str:
        """Return a text normalised as the corpus was."""
        return normalised(text) if self.normalised else text

    def sampling(self, **fields: Any) -> SamplingConfig:
        """Return how to sample: fields of SamplingConfig, else the defaults for this model.

        Raises:
            UsageError: a value is out of range.
        """
        for name in fields.keys() - {field.name for field in dataclasses.fields(SamplingConfig)}:
            raise UsageError(f"no sampling option {name!r}", "see charrnn.config.SamplingConfig")
        defaults = SAMPLING[self.file.tokenizer.units]
        if fields.keys() & LIMITS:
            defaults = defaults | {"min_p": None}
        return SamplingConfig(**(defaults | fields))

    def generate(
        self,
        seed: str = "",
        length: int = LENGTH,
        *,
        source: str | None = None,
        stop: Sequence[str] = (),
        match: str | None = None,
        random_seed: int | None = None,
        **sampling: Any,
    ) -> Iterator[str]:
        """Continue a seed, yielding text as it is sampled, without the seed.

        Args:
            seed: text to continue; characters outside the vocabulary are allowed.
            length: characters to generate; a word model finishes its last word.
            source: source of a record, for a model of records: its target is written, which begins
                with `seed`.
            stop: strings to stop before.
            match: regular expression that the whole text matches; `length` is then its maximum.
            random_seed: seed of the random choices, 0 or more; None picks a new one each time.
            sampling: fields of SamplingConfig, for example `temperature=0.7`; see `sampling`.

        Raises:
            UsageError: a value is out of range, or the model cannot write text that matches.
            TextError: the seed is not valid Unicode.
        """
        require(length >= 0, "length must be 0 or more", "length")
        samples = [Sample(seed, self.sampling(**sampling), source=source)]
        parts = self.write(samples, StopConfig(chars=length, stop=stop, match=match), random_seed)
        return (part.text for part in parts)

    def write(
        self,
        samples: Iterable[Sample],
        stop: StopConfig,
        random_seed: int | None = None,
        scored: bool = False,
        avoid_copying: bool = False,
        best_of: int = 1,
    ) -> Iterator[Part]:
        """Generate several texts in parallel; see charrnn.generation.batch.generate.

        With a model of lines, documents or records, a text ends no later than its item.

        Args:
            samples: the texts to generate; their seeds, sources and biases are normalised in place.
            stop: where each text ends.
            random_seed: seed of the random choices, 0 or more; None picks a new one.
            scored: whether to compute the surprisal of each character.
            avoid_copying: whether to avoid runs of words that are in the training text.
            best_of: candidates for each text that has to match a pattern; see
                charrnn.generation.matching.chosen.

        Raises:
            UsageError: `random_seed` is negative, `avoid_copying` is combined with a pattern, or a
                sample has no source but the model is one of records, or the other way round.
            ModelFileError: `avoid_copying` is set, but the model file has no index of its text.
        """
        if random_seed is None:
            random_seed = new_random_seed()
        require(random_seed >= 0, "random_seed must be 0 or more", "random_seed")
        clash = "match cannot be combined with avoid_copying"
        require(stop.match is None or not avoid_copying, clash, "match", "avoid_copying")
        avoid = self.word_runs if avoid_copying else None
        match = None if stop.match is None else self.as_read(stop.match)
        texts = [*map(self.as_read, stop.stop)]
        stop = replace(stop, item=KINDS[self.kind], stop=texts, match=match)
        samples = map(self._read, samples)
        write = partial(
            generate,
            self.engine,
            self.file.tokenizer,
            self._start,
            stop=stop,
            random_seed=random_seed,
            scored=scored,
            avoid=avoid,
        )
        return write(samples) if match is None else chosen(samples, write, best_of, random_seed)

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
            pieces: pieces of the template.
            samples: one sample for each text, with an empty seed.
            tries: candidates sampled for each gap; the best fit is kept.
            random_seed: seed of the random choices, together with a sample's key.
            scored: whether to compute the surprisal of each character.
            avoid_copying: as in `write`.
        """
        from charrnn.generation.template import Writer, fill

        def write(samples: Sequence[Sample], stop: StopConfig) -> Iterator[Part]:
            return self.write(samples, stop, random_seed, avoid_copying=avoid_copying)

        def count(text: str) -> int:
            return len(self.file.tokenizer.encode(text))

        return fill(pieces, samples, tries, Writer(write, self.surprisal, count), scored)

    def _read(self, sample: Sample) -> Sample:
        """Normalise a sample's seed, source and biases in place."""
        self.require_source(sample.source is not None)
        if sample.source is not None:
            sample.source = self.as_source(sample.source)
        sample.seed = self.as_read(sample.seed)
        bias = sample.sampling.bias or {}
        if any(text != self.as_read(text) for text in bias):
            bias = {self.as_read(text): nats for text, nats in bias.items()}
            sample.sampling = replace(sample.sampling, bias=bias)
        return sample

    def as_source(self, text: str) -> str:
        """Return a text as the source of a record is read."""
        return self.as_read(text).translate(UNMARKED).strip()

    def predict(self, source: str, k: int = 1, beam: int = BEAM) -> "list[Prediction]":
        """Return the `k` likeliest targets of a record's source, likeliest first.

        See `predictions`.
        """
        return self.predictions([source], k, beam)[0]

    def predictions(
        self, sources: Sequence[str], k: int = 1, beam: int = BEAM
    ) -> "list[list[Prediction]]":
        """Return the `k` likeliest targets of each source, likeliest first.

        If the model knows a list of targets (`file.trained.targets`), all are from it, and their
        probabilities sum to 1 over the list. An empty source has no target.

        Args:
            sources: sources of records, read in parallel; memory grows with their number.
            k: maximum targets for each source.
            beam: hypotheses kept in the search, for a model without such a list.

        Raises:
            UsageError: the model is not of records, or a value is out of range.
            TextError: a source is not valid Unicode.
        """
        from charrnn.generation.prediction import predict

        self.require_records()
        require(k >= 1, "k must be 1 or more", "k")
        require(beam >= 1, "beam must be 1 or more", "beam")
        read = [*map(self.as_source, sources)]
        network = self.engine, self.file.tokenizer, self._start
        return predict(*network, read, self._choices, k, beam, self.file.classifier)

    def target_logp(self, sources: Sequence[str]) -> Floats:
        """Return the network's log-probabilities of the listed targets, [B, K], for sources [B].

        The linear classifier is left out; see prediction.target_logp.
        """
        from charrnn.generation.prediction import target_logp

        assert self._choices
        network = self.engine, self.file.tokenizer, self._start
        return target_logp(*network, [*map(self.as_source, sources)], self._choices)

    def require_records(self) -> None:
        """Raise a UsageError if the model is not one of records."""
        if self.kind != "records":
            raise UsageError(
                "the model was not trained on records, so it has no targets to predict",
                "train one with train --source NAME --target NAME, or choose another with -m",
            )

    @cached_property
    def _choices(self) -> "Choices | None":
        """The targets to choose from; None if the model has no list of them."""
        from charrnn.generation.prediction import Choices

        targets = self.file.trained.targets
        return Choices(targets, self.file.tokenizer) if targets else None

    @property
    def word_runs(self) -> WordRuns:
        """Index of the runs of words in the training text.

        Raises:
            ModelFileError: the model file has no such index.
        """
        return _known(self.file.word_runs)

    @property
    def items(self) -> Items:
        """Index of the lines of the training text, for a model of lines.

        Raises:
            ModelFileError: the model file has no such index.
        """
        return _known(self.file.items)

    def complete(
        self, typed: str, k: int = 3, dismissals: "Dismissals | None" = None, after: str = ""
    ) -> "list[Completion]":
        """Return the `k` likeliest completions of the word being typed, or next words, best first.

        The state of the previous call is kept, so a text that grew costs only what was added.

        Args:
            typed: text before the cursor.
            k: maximum completions.
            dismissals: suggestions that the user dismissed, to make less likely; None for none.
            after: beginning of the text after the cursor.
        """
        return self._typing.complete(self.as_read(typed), k, dismissals, self.as_read(after))

    def extend(self, typed: str, k: int = 3, after: str = "") -> "list[Completion]":
        """Return completions as `complete` does, but only those without a leading space."""
        return self._typing.complete(self.as_read(typed), k, None, self.as_read(after), False)

    def read_ahead(self, typed: str) -> Iterator[None]:
        """Read a text before `complete` is called, one part per item yielded.

        After any other call the iterator must not be used further.
        """
        return self._typing.read_ahead(self.as_read(typed))

    def anew(self) -> "Model":
        """Return this model with a new completer, for another text being typed."""
        other = copy(self)
        other._completer = None
        return other

    def reasons(self, typed: str, text: str) -> "Reasons | None":
        """Explain why `text`, which starts without a space, is suggested; None if it is not."""
        return self._typing.reasons(self.as_read(typed), text)

    def knows(self, word: str) -> bool:
        """Return whether a word occurs in the training text or was typed before."""
        return self._typing.knows(word)

    @property
    def _typing(self) -> "Completer":
        if self._completer is None:
            self._completer = self.completer()
        return self._completer

    def remember(self, words: Sequence[str]) -> None:
        """Treat words typed earlier, oldest first, as recently typed."""
        self._completer = self.completer(earlier=[*map(self.as_read, words)])

    def require_source(self, given: bool) -> None:
        """Raise a UsageError if a source is given but not needed, or needed but not given."""
        records = self.kind == "records"
        if given and not records:
            raise UsageError("the model was not trained on records", "leave out the source")
        if records and not given:
            raise UsageError("the model writes targets for sources", "give one with --source TEXT")

    def require_text(self) -> None:
        """Raise a UsageError if the model is one of records, which cannot predict other texts."""
        if self.kind == "records":
            raise UsageError(
                "the model predicts targets from sources; it cannot be used on other text",
                "use charrnn predict or generate --source",
            )

    def completer(self, adapts: bool = True, earlier: Sequence[str] = ()) -> "Completer":
        """Return a new completer.

        Args:
            adapts: whether to adapt to the text being typed.
            earlier: words that were typed before that text.

        Raises:
            UsageError: the model is one of records.
            ModelFileError: the trigrams in the model file are damaged.
        """
        self.require_text()
        from charrnn.suggestions.completer import Completer
        from charrnn.suggestions.mixture import from_names

        weights = from_names(self.file.mixture or {})
        return Completer(
            self.engine, self.file.tokenizer, self._start, self.ngram, weights, adapts, earlier
        )

    @cached_property
    def ngram(self) -> "Trigrams":
        """Trigram model of the training text; empty if the model file has none.

        Raises:
            ModelFileError: the trigrams in the model file are damaged.
        """
        from charrnn.suggestions.trigrams import Trigrams

        if not self.file.ngram:
            return Trigrams.build("")
        try:
            return Trigrams.from_tensors(self.file.ngram)
        except ValueError as error:
            raise ModelFileError(
                f"the trigrams in the model's file are damaged: {error}",
                "copy it again or train it again",
            ) from None

    def phrase(self, typed: str, first: "Completion", least: float) -> str:
        """Extend a completion to a phrase, word by word, while it stays likely enough.

        Args:
            typed: text before the cursor.
            first: completion that the phrase starts with.
            least: least probability of the whole phrase.
        """
        return self._typing.phrase(self.as_read(typed), first, least)

    def missing(
        self, text: str, k: int = 5, length: int = 1, gap: str | None = None, tell: Tell = untold
    ) -> "list[Filling]":
        """Return the `k` likeliest fillings of the gaps in a text, best first.

        What follows a gap counts as much as what precedes it.

        Args:
            text: the text; in a model of lines, one line.
            k: maximum number of fillings.
            length: maximum words in a gap.
            gap: what marks a gap; None for three or more underscores.
            tell: called with the number of gaps filled since the last call.

        Raises:
            UsageError: the text has no gap, or a value is out of range.
            TextError: the text is not valid Unicode.
        """
        from charrnn.suggestions.missing_words import parts

        self.require_text()
        require(k > 0, "k must be 1 or more", "k")
        require(length > 0, "length must be 1 or more", "length")
        found = parts(self.as_read(text), None if gap is None else self.as_read(gap))
        if self.kind == "lines" and not found[-1].endswith("\n"):
            found[-1] += "\n"
        return self.missing_words.fill(found, k, length, tell)

    @cached_property
    def missing_words(self) -> "MissingWords":
        """What fills gaps.

        Raises:
            ModelFileError: the trigrams in the model file are damaged.
        """
        from charrnn.suggestions.missing_words import MissingWords

        return MissingWords(self.engine, self.file.tokenizer, self._start, self.ngram)

    def score(self, text: str | Iterable[str], tell: Tell = untold) -> Score:
        """Return how well the model predicts a text.

        Args:
            text: the text, whole or in blocks; it is not normalised (see `as_read`).
            tell: called regularly with the number of characters scored since the last call.

        Raises:
            TextError: the text is not valid Unicode.
        """
        blocks = [text] if isinstance(text, str) else text
        return score(self.engine, self.file.tokenizer, self._start, blocks, tell)

    def surprisal(self, texts: Sequence[str], tell: Tell = untold) -> list[Array]:
        """Return the surprisals (nats) of the characters of each text, float32 [len(text)].

        Args:
            texts: the texts, read in parallel; they are not normalised (see `as_read`).
            tell: called regularly with the number of characters scored since the last call.

        Raises:
            TextError: a text is not valid Unicode.
        """
        return surprisals(self.engine, self.file.tokenizer, self._start, texts, tell)


def _known(index: T | None) -> T:
    if index is None:
        raise ModelFileError(
            "the model file has no index of its training text", "train it again with this version"
        )
    return index


def new_random_seed() -> int:
    """Return a seed of 32 bits from the operating system's entropy."""
    return secrets.randbits(32)


def load(path: str | os.PathLike[str] | None = None) -> Model:
    """Load a model.

    Args:
        path: name of a run, run folder or model file; None stands for $CHARRNN_MODEL, else the
            newest run.

    Raises:
        ModelFileError: the model is missing or damaged.
        UsageError: no path was given and there is no run.
    """
    return Model(model_file.load(runs.find(None if path is None else str(Path(path)))))
