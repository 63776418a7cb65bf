"""A trained model: what the commands and Python programs use."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from charrnn import model_file
from charrnn.complete import Completer, Completion
from charrnn.config import SamplingConfig, require
from charrnn.engine import Engine
from charrnn.generate import generate
from charrnn.model_file import ModelFile
from charrnn.score import Score, score

PHRASE_FLOOR = 0.2  # probability under which a phrase does not run on
PHRASE_WORDS = 8  # at the most, after the first


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

    def generate(
        self,
        seed: str = "",
        length: int = 500,
        *,
        temperature: float = SamplingConfig.temperature,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        random_seed: int | None = None,
    ) -> Iterator[str]:
        """Continue a seed; yields the text of each token as it is drawn, without the seed.

        Args:
            seed: text to continue; characters that the model has never seen are allowed.
            length: characters to draw; the last word of a word model is finished.
            temperature, top_k, top_p, min_p: see SamplingConfig.
            random_seed: the same one gives the same text; None draws another each time.

        Raises:
            UsageError: a value is out of its range.
            TextError: the seed is not valid Unicode.
        """
        sampling = SamplingConfig(temperature, top_k, top_p, min_p)
        require(random_seed is None or random_seed >= 0, "--random-seed must be 0 or more")
        rng = np.random.default_rng(random_seed)
        tokenizer = self.file.tokenizer
        return generate(self.engine, tokenizer, self._start, seed, length, sampling, rng)

    def complete(self, typed: str, k: int = 3) -> list[Completion]:
        """The `k` likeliest ways to end the word being typed, or the next one, the best first.

        What was typed before is remembered, so that a longer text costs only what is new.
        """
        if self._completer is None:
            self._completer = Completer(self.engine, self.file.tokenizer, self._start)
        return self._completer.complete(typed, k)

    def phrase(self, typed: str, first: Completion) -> str:
        """What `first` begins, run on word by word while all of it stays likely enough."""
        phrase, p = first.text, first.p
        for _ in range(PHRASE_WORDS):
            following = self.complete(typed + phrase, 1)
            if not following or p * following[0].p < PHRASE_FLOOR:
                break
            phrase += following[0].text
            p *= following[0].p
        return phrase

    def score(self, text: str | Iterable[str]) -> Score:
        """How well the model predicts a text, given whole or in blocks."""
        blocks = [text] if isinstance(text, str) else text
        return score(self.engine, self.file.tokenizer, self._start, blocks)


def load(path: str | os.PathLike[str] | None = None) -> Model:
    """Load a model from a run folder or a model file; by default the newest run's.

    Raises:
        ModelFileError: there is no whole model.
        UsageError: no path was given and there is no run.
    """
    return Model(model_file.load(model_file.find(None if path is None else str(Path(path)))))
