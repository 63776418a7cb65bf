"""Trains variations of a network on the same text, one after another, each as an ordinary run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from charrnn import runs
from charrnn.display.comparison import Outcome
from charrnn.display.plot.log import Log, read_log
from charrnn.errors import RunError, UsageError
from charrnn.runs import LOG_NAME, RESUME_NAME, Claim
from charrnn.text.encodings import Note
from charrnn.text.source import Source
from charrnn.training import prepare
from charrnn.training.prepare import Setup
from charrnn.training.recipe import LIMITS, SHAPE
from charrnn.training.variations import Variation, solved

Equal = Literal["time", "parameters", "steps"]
# What the optimizer decides, so that it is not taken over from a variation with another one.
BY_OPTIMIZER = ("lr", "weight_decay")


@dataclass(frozen=True)
class Planned:
    """One training of a comparison.

    Attributes:
        variation: what is trained.
        seed: its random seed.
        repeat: 1 for the first seed, 2 for the second, ...
        folder: its run folder.
    """

    variation: Variation
    seed: int
    repeat: int
    folder: Path

    @property
    def name(self) -> str:
        """The variation, and which repeat of it."""
        return self.variation.name + (f", seed {self.repeat}" if self.repeat > 1 else "")

    def log(self) -> Log | None:
        """Return the log of its run; None if there is none yet."""
        try:
            return replace(read_log(self.folder / LOG_NAME), name=self.name)
        except RunError:
            return None


class Comparison:
    """The trainings of a comparison, and what they have in common.

    What the first variation leaves to the recipe is chosen for it, and holds for all others: they
    differ only in what they set themselves, and in what follows from their optimizer and cell.

    Args:
        source: the text.
        variations: what to compare; the first is what the others are compared with.
        equal: what they share: time, steps, or parameters (and time).
        seeds: how often each is trained, with a seed of its own.
        options: fields of ModelConfig and TrainingConfig that all share.
        level: a key of TOKENIZERS.
        vocab_size: maximum number of tokens; None to choose by the level and the text.
        device: auto, cpu or cuda.
        prefix: start of the run folders' paths; None for runs/TEXT-compare, with a number if there
            are such runs already.
        resume: whether to continue the comparison that was begun under that prefix.

    Attributes:
        by_steps: whether they have the same number of steps, not the same time.
        planned: the trainings, in order: all variations with the first seed, then with the second.

    Raises:
        UsageError: an option cannot be compared, a finished run has other options.
        RunError: there are such runs already, or none to resume.
    """

    def __init__(
        self,
        source: Source,
        variations: Sequence[Variation],
        equal: Equal,
        seeds: int,
        options: Mapping[str, Any],
        level: str,
        vocab_size: int | None,
        device: str,
        prefix: str | None,
        resume: bool,
    ) -> None:
        self._source = source
        self._variations = variations
        self._equal = equal
        self._options = options
        self.by_steps = equal == "steps" or "seconds" not in options
        self._begin = level, vocab_size, device
        for one in variations[1:] if equal == "parameters" else ():
            if "hidden" in one.options:
                raise UsageError(
                    f"{one.name!r} sets hidden, which --equal parameters solves for",
                    "leave it out, or compare with --equal time",
                )
        self.planned = self._plans(prefix, seeds, resume)
        for each in self.planned:
            log = each.log()
            if log and resume:
                self._check(each, log)

    def _plans(self, prefix: str | None, seeds: int, resume: bool) -> list[Planned]:
        """Return the trainings with their folders."""
        first = self._options.get("seed", 0)

        def under(start: str) -> list[Planned]:
            return [
                Planned(
                    one,
                    one.options.get("seed", first) + i,
                    i + 1,
                    Path(f"{start}-{one.slug}" + (f"-seed-{i + 1}" if i else "")),
                )
                for i in range(seeds)
                for one in self._variations
            ]

        def taken(plans: list[Planned]) -> bool:
            return any(runs.holds_a_run(one.folder) for one in plans)

        if prefix is not None:
            plans = under(prefix)
        else:
            names = runs.numbered(f"{self._source.name}-compare")
            plans = under(str(next(names)))
            for name in names:
                after = under(str(name))
                if not taken(plans) or (resume and not taken(after)):
                    break
                plans = after
        if taken(plans) and not resume:
            raise RunError(
                f"there are runs under {prefix}-... already",
                "continue them with --resume, or choose another name with -o",
            )
        if resume and not taken(plans):
            raise RunError(
                f"nothing to resume: there is no {plans[0].folder}", "leave out --resume"
            )
        return plans

    def _check(self, one: Planned, log: Log) -> None:
        """Raise UsageError if a run to resume was trained with other options than are given."""
        start = log.last("start")
        known = {**(start.get("training") or {}), **(start.get("model") or {})}
        wanted = {**self._options, **one.variation.options, "seed": one.seed}
        known["level"], wanted["level"] = start.get("level"), self._begin[0]
        changed = {"steps": {"seconds"}, "parameters": {"hidden"}}.get(self._equal, set[str]())
        for name, value in wanted.items():
            if name in known.keys() - changed and known[name] != value:
                raise UsageError(
                    f"{one.folder} was trained with {name} {known[name]}, not {value}",
                    "give the options that the comparison began with, or leave out --resume",
                    fields=(name,),
                )

    def claim(self, one: Planned) -> Claim:
        """Claim the folder of a training."""
        if runs.holds_a_run(one.folder):
            if (one.folder / RESUME_NAME).exists():
                return runs.resumed(str(one.folder), None)
            runs.remove(one.folder)  # it ended before it was saved once
        return runs.new(str(one.folder), self._source.name)

    def begin(self, one: Planned, note: Note) -> Setup | None:
        """Prepare a training, in a folder claimed by `claim`.

        Returns:
            The training, new or resumed; None if it has made all its steps.

        Raises:
            CharrnnError: see prepare.begin and prepare.resume.
        """
        level, vocab_size, device = self._begin
        if (one.folder / RESUME_NAME).exists():
            try:
                return prepare.resume([], one.folder, device, {}, note)
            except prepare.Finished:
                return None
        options = self.options(one)
        return prepare.begin(
            self._source, one.folder, device, level, options, "none", vocab_size, note
        )

    def options(self, one: Planned) -> dict[str, Any]:
        """Return the fields of ModelConfig and TrainingConfig of a training."""
        own = {**self._options, **one.variation.options}
        first = self.planned[0]
        started = first.log()
        if one == first or not started:
            return own | {"seed": one.seed}
        start = started.last("start")
        chosen = {**start["model"], **start["training"]}
        size = chosen.pop("vocab_size")
        optimizer = own.get("optimizer", "muon")
        for name in BY_OPTIMIZER if optimizer != chosen["optimizer"] else ():
            del chosen[name]
        for name in first.variation.options.keys() - self._options.keys():
            chosen.pop(name, None)  # what the first alone sets
        if self._equal == "steps" and not own.keys() & LIMITS - {"seconds"}:
            own.pop("seconds", None)
            chosen |= dict.fromkeys(LIMITS) | {"steps": round(started.total("steps"))}
        values = {name: value for name, value in (chosen | own).items() if value is not None}
        if self._equal == "parameters" and one.variation != first.variation:
            shape = {name: values[name] for name in SHAPE if name in values}
            free = "embedding" not in own
            values |= solved(size, shape, start["parameters"], one.variation.name, free)
        elif values.get("tied") and "embedding" not in own and "hidden" in values:
            values["embedding"] = values["hidden"]
        return values | {"seed": one.seed}

    def outcomes(self) -> list[Outcome]:
        """Return what the variations came to that have been trained so far."""
        found = []
        for variation in self._variations:
            logs = [one.log() for one in self.planned if one.variation == variation]
            if known := [log for log in logs if log]:
                found.append(Outcome(variation.name, known))
        return found
