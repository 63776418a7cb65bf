"""Writes a run folder: the model, the state to resume from, the log and the samples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from charrnn import __version__, events
from charrnn.config import StopConfig
from charrnn.errors import RunError
from charrnn.events import Event
from charrnn.files import append, spelled
from charrnn.generation.sample import Sample
from charrnn.model import Model
from charrnn.network import blas, model_file
from charrnn.network.model_file import ModelFile
from charrnn.runs import LOG_NAME, MODEL_NAME, RESUME_NAME, SAMPLES_NAME
from charrnn.suggestions.mixture import by_name
from charrnn.suggestions.tuning import Tuned, tune
from charrnn.text.source import Source
from charrnn.training import checkpoint
from charrnn.training.clock import Clock
from charrnn.training.fine_tuning import Origin
from charrnn.training.trainer import Trainer

MODEL_SECONDS = 60.0  # of training, after which a model is saved that was not validated yet
TUNING_WORDS = 1000  # at the most, and
SAMPLE_ITEMS = 8  # in a sample of a model of lines
NOVELTY_ITEMS = 128  # drawn to tell how many are new
LONGEST_ITEM = 200  # characters of one
TUNING_TOKENS = 8000  # one for so many tokens trained: some hundredths of the training's time


class Run:
    """Where a training writes.

    Args:
        path: the folder, which exists.
        source: the text trained on, kept to resume without naming it again.
        origin: the run that is fine-tuned, if there is one.

    Attributes:
        speed, command: see events.Start.
    """

    def __init__(
        self,
        path: Path,
        source: Source,
        origin: Origin | None = None,
    ) -> None:
        self.path = path
        self.source = source.absolute()
        self.origin = origin
        self.speed: float | None = None
        self.command: str | None = None
        self._mixture: Mapping[str, Sequence[float]] | None = None
        self._waiting: dict[str, str] = {}  # what a full disk has kept from each file

    @property
    def name(self) -> str:
        """The folder as events name it."""
        return spelled(self.path)

    @property
    def has_model(self) -> bool:
        return (self.path / MODEL_NAME).exists()

    @property
    def has_state(self) -> bool:
        """Whether there is a state to resume from."""
        return (self.path / RESUME_NAME).exists()

    def log(self, event: Event) -> None:
        """Append an event to log.jsonl, a sample to samples.txt too.

        What cannot be written now waits for the next event; see `close`.
        """
        self._append(LOG_NAME, json.dumps(event.to_json(), ensure_ascii=False) + "\n")
        if isinstance(event, events.Sample):
            self._append(SAMPLES_NAME, f"--- step {event.step}\n{event.text}\n\n")

    def _append(self, name: str, text: str) -> None:
        text = self._waiting.pop(name, "") + text
        try:
            append(self.path / name, text)
        except OSError as error:
            self._waiting[name] = text
            self._reason = error.strerror or str(error)

    def close(self) -> None:
        """Call after the last event.

        Raises:
            RunError: not all of the log could be written.
        """
        if self._waiting:
            raise RunError(
                f"cannot write {self.path / next(iter(self._waiting))}: {self._reason}",
                "the model is saved, the log is not whole; free some space",
            )

    def save(self, trainer: Trainer, val_nats: float | None = None) -> None:
        """Write the best model, then resume.safetensors; each whole or not at all.

        In this order, a run that counts as finished has its final model. A model that was never
        validated is not written in the first MODEL_SECONDS: after a few steps it knows nothing, and
        would take the place of a good one as the newest.

        Args:
            val_nats: the model's final score; before the end, the best validation's stands.

        Raises:
            RunError: a file cannot be written; the last one written is whole.
        """
        tensors, values = trainer.state()
        about = {
            "source": self.source.to_json(),
            "fingerprint": trainer.corpus.fingerprint,
            "tokenizer": trainer.corpus.tokenizer.to_json(),
            "model": asdict(trainer.network.config),
            "origin": self.origin and self.origin.to_json(),
        }
        if trainer.best or trainer.seconds >= MODEL_SECONDS:
            model_file.save(self.path / MODEL_NAME, self.model_file(trainer, val_nats))
        checkpoint.save(self.path / RESUME_NAME, tensors, about | values)

    def model_file(
        self, trainer: Trainer, val_nats: float | None = None, best: bool = True
    ) -> ModelFile:
        """The model as it stands, with how it was trained."""
        score = trainer.best_nats if val_nats is None else val_nats
        return ModelFile(
            config=trainer.network.config,
            tokenizer=trainer.corpus.tokenizer,
            weights=trainer.weights(best),
            training={
                "version": __version__,
                "texts": [spelled(Path(path).name) for path in self.source.paths],
                "from": self.origin and spelled(self.origin.model),
                "shape": trainer.corpus.kind,
                "normalised": self.source.normalise,
                "opening": trainer.corpus.opening,
                "train_chars": trainer.corpus.train_chars,
                "val_chars": trainer.corpus.val_chars,
                "val_nats": score,
                "val_bpb": None if score is None else trainer.corpus.bits_per_byte(score),
                "step": trainer.step,
                "tokens": trainer.tokens,
                "epoch": trainer.epoch,
                "seconds_spent": trainer.seconds,
            }
            | asdict(trainer.config),
            word_runs=trainer.corpus.word_runs,
            ngram=trainer.corpus.ngram,
            mixture=self._mixture,
            items=trainer.corpus.items,
        )

    def tune(self, trainer: Trainer, seconds: float, clock: Clock) -> Tuned:
        """Weigh the sources of the best model's suggestions, for the files saved from now on.

        Args:
            seconds: to take at the most, by the clock.
        """
        completer = Model(self.model_file(trainer)).completer()
        words = min(TUNING_WORDS, trainer.tokens // TUNING_TOKENS)
        with blas.threads(1, 0):
            tuned = tune(completer, trainer.corpus.held_out, words, clock() + seconds, clock)
        self._mixture = by_name(tuned.weights)
        return tuned

    def sample(self, trainer: Trainer, length: int, best: bool = False) -> str:
        """Text from the present weights, or the best ones; the same for the same weights."""
        model = Model(self.model_file(trainer, best=best))
        if model.kind == "lines":
            return "\n".join(self._draw(model, SAMPLE_ITEMS, trainer.config.seed).values())
        return "".join(model.generate(length=length, random_seed=trainer.config.seed))

    def new_items(self, trainer: Trainer) -> float | None:
        """Share of lines drawn from the best weights that are not in the training text.

        None of a text of another kind, or if none comes to its end.
        """
        model = Model(self.model_file(trainer))
        if model.kind != "lines":
            return None
        drawn = self._draw(model, NOVELTY_ITEMS, trainer.config.seed)
        return model.items.novelty([text for one, text in drawn.items() if one.why == "item"])

    @staticmethod
    def _draw(model: Model, count: int, random_seed: int) -> dict[Sample, str]:
        samples = [Sample("", key=(0, i)) for i in range(count)]
        drawn = dict.fromkeys(samples, "")
        for part in model.write(samples, StopConfig(chars=LONGEST_ITEM), random_seed):
            drawn[part.sample] += part.text
        return drawn
