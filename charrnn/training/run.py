"""A run folder: the model, the state to resume from, the log and the samples."""

import json
import os
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Self

from charrnn import __version__, events, model_file
from charrnn.config import StopConfig
from charrnn.errors import RunError
from charrnn.events import Event
from charrnn.files import append
from charrnn.generate import Sample
from charrnn.mixture import Weights
from charrnn.model import Model
from charrnn.model_file import MODEL_NAME, RESUME_NAME, RUNS, ModelFile
from charrnn.source import Source, unpacked_name
from charrnn.training import checkpoint
from charrnn.training.trainer import Trainer
from charrnn.training.transfer import Origin
from charrnn.tuning import Tuned, tune

TUNING_WORDS = 1000  # at the most, and
SAMPLE_ITEMS = 8  # in a sample of a model of lines
NOVELTY_ITEMS = 128  # drawn to tell how many are new
LONGEST_ITEM = 200  # characters of one
TUNING_TOKENS = 8000  # one for so many tokens trained: some hundredths of the training's time


class Run:
    """Where a training writes.

    Args:
        path: the folder.
        source: the text trained on, kept to resume without naming it again.
        origin: the run that is fine-tuned, if there is one.
    """

    def __init__(
        self,
        path: Path,
        source: Source,
        origin: Origin | None = None,
    ) -> None:
        self.path = path
        self.source = source
        self.origin = origin
        self._mixture: Weights | None = None
        self._waiting: dict[str, str] = {}  # what a full disk has kept from each file

    @classmethod
    def create(cls, path: Path, source: Source, origin: Origin | None = None) -> Self:
        """Make the folder.

        Raises:
            RunError: it cannot be made or written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "log.jsonl").touch()
        except OSError as error:
            raise RunError(
                f"cannot make the run folder {path}: {error.strerror or error}",
                "choose another folder with -o",
            ) from None
        return cls(path, source, origin)

    @property
    def has_model(self) -> bool:
        return (self.path / MODEL_NAME).exists()

    def log(self, event: Event) -> None:
        """Append an event to log.jsonl, a sample to samples.txt too.

        What cannot be written now waits for the next event; see `close`.
        """
        self._append("log.jsonl", json.dumps(event.to_json(), ensure_ascii=False) + "\n")
        if isinstance(event, events.Sample):
            self._append("samples.txt", f"--- step {event.step}\n{event.text}\n\n")

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

        In this order, a run that counts as finished has its final model.

        Args:
            val_nats: the model's final score; before the end, the best validation's stands.

        Raises:
            RunError: a file cannot be written; the last one written is whole.
        """
        tensors, values = trainer.state()
        about = {
            "source": asdict(self.source),
            "fingerprint": trainer.corpus.fingerprint,
            "tokenizer": trainer.corpus.tokenizer.to_json(),
            "model": asdict(trainer.network.config),
            "origin": self.origin and asdict(self.origin),
        }
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
                "texts": [_spelled(Path(path).name) for path in self.source.paths],
                "from": self.origin and self.origin.model,
                "shape": trainer.corpus.shape,
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

    def tune(self, trainer: Trainer, seconds: float) -> Tuned:
        """Weigh the sources of the best model's suggestions, for the files saved from now on.

        Args:
            seconds: to take at the most.
        """
        completer = Model(self.model_file(trainer)).completer()
        words = min(TUNING_WORDS, trainer.tokens // TUNING_TOKENS)
        tuned = tune(completer, trainer.corpus.held_out, words, time.monotonic() + seconds)
        self._mixture = tuned.weights
        return tuned

    def sample(self, trainer: Trainer, length: int, best: bool = False) -> str:
        """Text from the present weights, or the best ones; the same for the same weights."""
        model = Model(self.model_file(trainer, best=best))
        if model.shape == "lines":
            return "\n".join(self._draw(model, SAMPLE_ITEMS, trainer.config.seed).values())
        return "".join(model.generate(length=length, random_seed=trainer.config.seed))

    def new_items(self, trainer: Trainer) -> float | None:
        """Share of lines drawn from the best weights that are not in the training text.

        None of a text of another shape, or if none comes to its end.
        """
        model = Model(self.model_file(trainer))
        if model.shape != "lines":
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


def new_path(named: str | None, text: str) -> Path:
    """The folder of a new run: the one named, or runs/ and the text's name, counted up if taken.

    Raises:
        RunError: the folder named holds a run already.
    """
    if named:
        path = Path(named)
        if _taken(path):
            raise RunError(
                f"{path} holds a run already", "go on with it by --resume, or choose another -o"
            )
        return path
    name = _name(text)
    count = 1
    while _taken(path := RUNS / (name if count == 1 else f"{name}-{count}")):
        count += 1
    return path


def _name(text: str) -> str:
    """What the run of a text is called."""
    name = _spelled(Path(unpacked_name(os.path.abspath(text))).stem)
    return "stdin" if text == "-" else name or "run"


def _spelled(name: str) -> str:
    """A file's name in characters, whatever its bytes."""
    return os.fsencode(name).decode(errors="replace")


def _taken(path: Path) -> bool:
    return any((path / name).exists() for name in (RESUME_NAME, MODEL_NAME, "log.jsonl"))


def resume_path(named: str | None, text: str | None) -> Path:
    """The folder to resume: the one named, else the newest run, of that text if one is given.

    Raises:
        RunError: there is none.
    """
    if named:
        return Path(named)
    wanted = re.compile(rf"{re.escape(_name(text))}(-\d+)?" if text else ".*", re.DOTALL)
    found = [path for path in RUNS.glob(f"*/{RESUME_NAME}") if wanted.fullmatch(path.parent.name)]
    if not found:
        raise RunError(f"nothing to resume under {RUNS}/", "name the run with -o")
    return max(found, key=lambda path: path.stat().st_mtime).parent
