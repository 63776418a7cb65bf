"""Writes a run folder: the model, the resume file, the log and the samples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charrnn import __version__, events
from charrnn.errors import RunError
from charrnn.events import Event
from charrnn.files import append, spelled
from charrnn.network import model_file
from charrnn.network.model_file import ModelFile, Trained
from charrnn.runs import LOG_NAME, MODEL_NAME, RESUME_NAME, SAMPLES_NAME
from charrnn.text.source import Source
from charrnn.training import checkpoint
from charrnn.training.extras import ModelExtras
from charrnn.training.fine_tuning import Origin
from charrnn.training.trainer import Trainer

MODEL_SECONDS = 60.0  # seconds of training before a model without a validation is saved; not tuned


class Run:
    """A run folder that is written to.

    Args:
        path: the folder, which exists.
        source: the training text, saved so that a resume need not name it.
        extras: parts of its model files that are computed once.
        origin: the run that is fine-tuned, if any.

    Attributes:
        speed: relative speed of the machine, see events.Start.
        command: command line that makes the same choices, see events.Start.
        mixture: weights of the suggestion sources by name, for model files; until they are tuned,
            those of the model that is fine-tuned, or None.
    """

    def __init__(
        self, path: Path, source: Source, extras: ModelExtras, origin: Origin | None = None
    ) -> None:
        self.path = path
        self.source = source.absolute()
        self.extras = extras
        self.origin = origin
        self.speed: float | None = None
        self.command: str | None = None
        self.mixture: Mapping[str, Sequence[float]] | None = None
        self._waiting: dict[str, str] = {}  # text that a full disk kept out of each file

    @property
    def name(self) -> str:
        """The folder's path as events spell it."""
        return spelled(self.path)

    @property
    def has_model(self) -> bool:
        """Whether a model has been saved."""
        return (self.path / MODEL_NAME).exists()

    @property
    def has_state(self) -> bool:
        """Whether a resume file has been saved."""
        return (self.path / RESUME_NAME).exists()

    def log(self, event: Event) -> None:
        """Append an event to log.jsonl, and a sample to samples.txt too.

        Text that cannot be written waits for the next event; see `close`.
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
        """Check after the last event that the log is complete.

        Raises:
            RunError: some of the log could not be written.
        """
        if self._waiting:
            raise RunError(
                f"cannot write {self.path / next(iter(self._waiting))}: {self._reason}",
                "the model is saved, but the log is incomplete; free some space",
            )

    def save(self, trainer: Trainer, val_nats: float | None = None) -> None:
        """Write the best model, then the resume file, each atomically.

        So a run that counts as finished has its final model. A model that was never
        validated is not written in the first MODEL_SECONDS: after a few steps it knows nothing, but
        would be taken as the newest model.

        Args:
            trainer: the training to save.
            val_nats: final validation loss, nats per character; by default that of the best
                validation.

        Raises:
            RunError: a file cannot be written; the last one written is complete.
        """
        tensors, values = trainer.state()
        about = {
            "source": self.source.to_json(),
            "fingerprint": trainer.corpus.fingerprint,
            "tokenizer": trainer.corpus.tokenizer.to_json(),
            "model": asdict(trainer.network.config),
            "origin": self.origin and self.origin.to_json(),
        }
        if trainer.best or trainer.progress.seconds >= MODEL_SECONDS:
            model_file.save(self.path / MODEL_NAME, self.model_file(trainer, val_nats))
        checkpoint.save(self.path / RESUME_NAME, tensors, about | values)

    def model_file(
        self, trainer: Trainer, val_nats: float | None = None, best: bool = True
    ) -> ModelFile:
        """Return a model of the trainer's weights with the record of how it was trained.

        Args:
            trainer: the training to take it from; its weights are not copied.
            val_nats: final validation loss, nats per character; by default that of the best
                validation.
            best: whether to take the best weights or the present ones.
        """
        score = trainer.best_nats if val_nats is None else val_nats
        records = trainer.corpus.kind == "records"
        return ModelFile(
            config=trainer.network.config,
            tokenizer=trainer.corpus.tokenizer,
            weights=trainer.weights(best),
            trained=Trained(
                kind=trainer.corpus.kind,
                opening=self.extras.opening,
                normalised=self.source.normalise,
                targets=self.extras.targets,
                source_field=self.source.field if records else None,
                target_field=self.source.target,
                facts=self._facts(trainer, score),
            ),
            word_runs=self.extras.word_runs,
            ngram=self.extras.ngram,
            mixture=self.mixture,
            items=self.extras.items,
            ngrams=trainer.ngrams,
            classifier=self.extras.classifier,
        )

    def _facts(self, trainer: Trainer, score: float | None) -> dict[str, Any]:
        """Return how the model was trained; `score` is its loss, nats per character."""
        return {
            "version": __version__,
            "texts": [spelled(Path(path).name) for path in self.source.paths],
            "from": self.origin and spelled(self.origin.model),
            "train_chars": trainer.corpus.train_chars,
            "val_chars": trainer.corpus.val_chars,
            "val_nats": score,
            "val_bpb": None if score is None else trainer.corpus.bits_per_byte(score),
            "step": trainer.step,
            "tokens": trainer.tokens,
            "epoch": trainer.epoch,
            "seconds_spent": trainer.progress.seconds,
        } | asdict(trainer.config)
