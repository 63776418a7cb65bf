"""Run folders: the names of their files, how to find, recognise and claim one."""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from charrnn.errors import CharrnnError, ModelFileError, RunError, UsageError
from charrnn.files import check_regular, is_missing, lock, quoted, tidy

RUNS = Path("runs")  # folder of all runs
MODELS = Path(__file__).parent / "models"  # folder of the models that come with charrnn
MODEL_VARIABLE = "CHARRNN_MODEL"  # environment variable that names the model to use by default
MODEL_NAME = "model.safetensors"  # the best model so far
RESUME_NAME = "resume.safetensors"  # everything that training needs to continue exactly
RESUME_KEY = "charrnn-resume"  # key of the JSON in the metadata of RESUME_NAME
LOG_NAME = "log.jsonl"  # one event per line
LOG_BEGINS = b'{"event": "start"'  # start of every log
SAMPLES_NAME = "samples.txt"  # texts generated during training
PLOT_NAME = "plot.html"  # page with the learning curve
NEURONS_NAME = "neurons.html"  # page with the activations of its units
# Prefixes of the names of all files that charrnn writes to a run folder; the last is TensorBoard's.
OWN = (
    MODEL_NAME, RESUME_NAME, LOG_NAME, SAMPLES_NAME, PLOT_NAME, NEURONS_NAME,
    "events.out.tfevents.",
)  # fmt: skip

MAX_RUNS = 5  # maximum runs that an error lists (not tuned)

Chosen = Callable[[Path, int], None]  # called with a run folder and the number of runs


def find(named: str | None = None, name: str = MODEL_NAME, chosen: Chosen | None = None) -> Path:
    """Find a file of the run that the user means; by default the model of the newest run.

    Args:
        named: name of a run under runs/, a run folder, or a file; None or "" stands for
            $CHARRNN_MODEL, else the newest run.
        name: the file to find in a run folder, MODEL_NAME or LOG_NAME.
        chosen: called with the newest run's folder and the number of runs if there are several.

    Raises:
        UsageError: nothing was named and no run under runs/ has such a file.
        ModelFileError: the model named does not exist; the error lists runs that have one.
        RunError: the log named does not exist; the error lists runs that have one.
        OSError: runs/ cannot be read.
    """
    meant = named or os.environ.get(MODEL_VARIABLE)
    if not meant:
        if path := _newest(name, chosen=chosen):
            return path
        if name == MODEL_NAME and (resumable := _newest(RESUME_NAME)):
            raise _lacking(resumable.with_name(MODEL_NAME))
        raise UsageError(
            f"no {'trained model' if name == MODEL_NAME else 'run'} found under {RUNS}/",
            "train one with charrnn train TEXT, or take the one that comes with charrnn: -m english"
            if name == MODEL_NAME
            else "train one with charrnn train TEXT, or name one",
        )
    path = _located(meant)
    if os.path.isdir(path):
        path /= name
    elif name != MODEL_NAME and path.suffix == ".safetensors" and os.path.isdir(path.parent):
        path = path.with_name(name)  # a run may be named by its model
    elif path.name != name or not os.path.isdir(path.parent):
        if is_missing(path):
            kind = ModelFileError if name == MODEL_NAME else RunError
            origin = "" if named else f", which ${MODEL_VARIABLE} names,"
            raise kind(f"{path}{origin} does not exist", _instead(path, name))
        return path
    if is_missing(path):
        raise _lacking(path)
    return path


def _newest(name: str, text: str | None = None, chosen: Chosen | None = None) -> Path | None:
    """Return the file called `name` of the newest run that has one, or None.

    Args:
        name: name of the file.
        text: name of the text that the run was trained on; None for any.
        chosen: called with the run's folder and the number of runs if there are several.
    """
    wanted = re.compile(rf"{re.escape(text)}(-\d+)?" if text else ".*", re.DOTALL)
    found = [path for path in _of_all_runs(name) if wanted.fullmatch(path.parent.name)]
    if chosen and len(found) > 1:
        chosen(found[-1].parent, len(found))
    return found[-1] if found else None


def all_runs() -> list[Path]:
    """Return the folders of all runs under runs/, the newest one first.

    Raises:
        OSError: runs/ cannot be read.
    """
    found = {path.parent for name in (MODEL_NAME, LOG_NAME) for path in _of_all_runs(name)}
    return sorted(found, key=lambda run: (run / LOG_NAME).stat().st_mtime, reverse=True)


def names() -> list[str]:
    """Return the names of all runs under runs/ that can be read, then of charrnn's own models."""
    shipped = sorted(path.stem for path in MODELS.glob("*.safetensors"))
    try:
        return [*(run.name for run in all_runs()), *shipped]
    except OSError:
        return shipped


def run_folder(named: str) -> Path:
    """Return the folder of a run that the user names.

    Raises:
        RunError: not a run.
    """
    path = _located(named)
    if not os.path.isdir(path) or not holds_a_run(path):
        raise RunError(f"{path} is not a run", _instead(path, LOG_NAME))
    return path


def remove(folder: Path) -> int:
    """Remove what charrnn wrote into a run folder, and the folder if nothing else is in it.

    Returns:
        How many other files stay there.

    Raises:
        RunError: the run is still being trained, or cannot be removed.
    """
    claim = Claim.of(folder)
    if not claim:
        raise RunError(f"{folder} is still being trained", "wait until it ends, or stop it first")
    try:
        with claim:
            for name in filter(is_own, os.listdir(folder)):
                if name != LOG_NAME:
                    (folder / name).unlink()
        (folder / LOG_NAME).unlink(missing_ok=True)
        kept = len(os.listdir(folder))
    except OSError as error:
        raise RunError(
            f"cannot remove {folder}: {error.strerror}", "check its permissions"
        ) from None
    _remove([folder])
    return kept


def _of_all_runs(name: str) -> list[Path]:
    """Return the file called `name` of each run that has one, the newest last."""
    folders = RUNS.iterdir() if RUNS.is_dir() else ()
    found = [path for folder in folders if os.path.exists(path := folder / name)]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _located(named: str) -> Path:
    """Return the path that a name stands for.

    A run under runs/ takes precedence over a text or folder of that name (maybe its training text),
    but not over a run folder or model at that path. Both take precedence over a model that comes
    with charrnn.
    """
    path = Path(named)
    if os.path.exists(path) and (_is_ours(path) or not holds_a_run(RUNS / path)):
        return path
    if os.path.isdir(RUNS / path):
        return RUNS / path
    ours = MODELS / f"{named}.safetensors"
    return ours if path.name == named and not is_missing(ours) else path


def _is_ours(path: Path) -> bool:
    """Return whether a path is a run folder, or a file that may be a model or a log.

    A file that cannot be read may be one.
    """
    if os.path.isdir(path):
        return holds_a_run(path)
    try:
        check_regular(path)
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError:
        return True
    return b"{" in (start[:1], start[8:])  # start of a log, and of a model after an 8-byte size


def _instead(path: Path, name: str) -> str:
    """Return a hint for a run that was not found: similar names, else the newest runs.

    Args:
        path: path that was looked for.
        name: name of the file that a run must have.
    """
    from difflib import get_close_matches

    names = [found.parent.name for found in reversed(_of_all_runs(name))]
    wanted = path.parent.name if is_own(path.name) else path.name
    near = [found for found in get_close_matches(wanted, names) if found != wanted]
    if near:
        return f"did you mean {' or '.join(map(quoted, near))}?"
    if names:
        more = f" and {len(names) - MAX_RUNS} more" if len(names) > MAX_RUNS else ""
        return f"{RUNS}/ holds {', '.join(map(quoted, names[:MAX_RUNS]))}{more}"
    return "train one with charrnn train TEXT"


def _lacking(path: Path) -> CharrnnError:
    """Return the error for a file that is missing from a run folder."""
    run = path.parent
    if path.name != MODEL_NAME:
        return RunError(f"{run} holds no {path.name}", _instead(run, path.name))
    if os.path.exists(run / RESUME_NAME):
        return ModelFileError(
            f"{run} has no model yet: its training has not reached the first validation",
            f"continue it with charrnn train --resume -m {quoted(run)}",
        )
    return ModelFileError(f"{run} holds no {MODEL_NAME}", _instead(run, MODEL_NAME))


def is_run(folder: str | Path) -> bool:
    """Return whether a folder is a run: it has a file to resume from, or a log of charrnn."""
    if os.path.exists(os.path.join(folder, RESUME_NAME)):
        return True
    path = os.path.join(folder, LOG_NAME)
    try:
        check_regular(path)
        with open(path, "rb") as log:
            return log.read(len(LOG_BEGINS)) == LOG_BEGINS
    except OSError:
        return False


def is_own(name: str) -> bool:
    """Return whether charrnn writes files of that name to a run folder."""
    return name.startswith(OWN)


def is_model(named: str) -> bool:
    """Return whether a name stands for a run or a model file, not for a text."""
    path = _located(named)
    if os.path.isdir(path):
        return holds_a_run(path)
    return path.suffix == ".safetensors" and os.path.isfile(path)


def is_resumable(named: str) -> bool:
    """Return whether a name stands for a run that `resumed` can claim.

    If a text has the same name as a run under runs/, the name stands for the text.
    """
    path = _located(named)
    return os.path.exists(path / RESUME_NAME) and (path == Path(named) or is_missing(named))


def refuse(path: str, meant: str, instead: str) -> None:
    """Refuse a model file or a run folder where another kind of file is expected.

    A run folder that also contains files of the user is accepted.

    Args:
        path: path that the user gave.
        meant: the expected kind of file, for example "a text".
        instead: what to do instead; {} stands for the run folder, or a model file outside of one.

    Raises:
        UsageError: the path is a model file or a run folder.
    """
    if path.endswith(".safetensors") and os.path.isfile(path):
        kind, folder = "model file", os.path.dirname(path) or "."
    elif is_run(path) and all(map(is_own, os.listdir(path))):
        kind, folder = "run folder", path
    else:
        return
    named = quoted(folder if is_run(folder) else path)
    raise UsageError(f"{path} is a {kind}, not {meant}", instead.format(named))


@dataclass(frozen=True, slots=True)
class Claim:
    """A run folder that belongs to this process until it is released or the process dies.

    The operating system's lock is on the log, the one file that exists from start to end and is
    never replaced. As a context manager, a claim is released at the end of the block.

    Attributes:
        path: the folder.
        log: its log, open for appending and locked.
        made: folders that were created for it, innermost first.
    """

    path: Path
    log: BinaryIO
    made: list[Path]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Claim a folder, creating it if necessary; return None if another process has claimed it.

        Unfinished files that a killed process left in it are removed.

        Raises:
            RunError: the folder cannot be created or written.
        """
        made = [folder for folder in (path, *path.parents) if not os.path.exists(folder)]
        try:
            path.mkdir(parents=True, exist_ok=True)
            if os.path.exists(path / LOG_NAME):
                check_regular(path / LOG_NAME)
            log = open(path / LOG_NAME, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            _remove(made)
            raise RunError(
                f"cannot use {path} as a run folder: {error.strerror or error}",
                "choose another folder with -o",
            ) from None
        # An unlinked log was removed by a process that just released its claim.
        if not lock(log) or not os.fstat(log.fileno()).st_nlink:
            log.close()
            return None
        for name in (MODEL_NAME, RESUME_NAME):
            tidy(path / name)
        return cls(path, log, made)

    def release(self) -> None:
        """Release the folder; if nothing was logged, remove the log and the folders created."""
        unused = not os.fstat(self.log.fileno()).st_size
        if os.name == "nt":  # Windows cannot remove an open file
            self.log.close()
        if unused:
            with suppress(OSError):
                (self.path / LOG_NAME).unlink()
            _remove(self.made)
        self.log.close()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.release()


def new(named: str | None, text: str) -> Claim:
    """Claim the folder of a new run.

    Args:
        named: path of the folder; None stands for one under runs/ named after the text, with a
            number appended if that name is taken.
        text: name of the text.

    Raises:
        RunError: the folder contains a run, is claimed by another process or cannot be created.
    """
    if named:
        path = Path(named)
        claim = Claim.of(path)
        if not claim:
            raise RunError(
                f"another process is training in {path}", "choose another folder with -o"
            )
        if holds_a_run(path):
            claim.release()
            resumable = os.path.exists(path / RESUME_NAME)
            first = "continue it with --resume" if resumable else "delete it"
            raise RunError(
                f"{path} already holds a run", f"{first}, or choose another folder with -o"
            )
        return claim
    for path in numbered(text):
        claim = None if holds_a_run(path) else Claim.of(path)
        if claim and not holds_a_run(path):  # another process may have trained it meanwhile
            return claim
        if claim:
            claim.release()
    raise AssertionError("there is always a next number")


def numbered(text: str) -> Iterator[Path]:
    """Yield the folders that runs on a text are named by default, without end."""
    yield RUNS / text
    for count in itertools.count(2):
        yield RUNS / f"{text}-{count}"


def resumed(named: str | None, text: str | None) -> Claim:
    """Claim the folder of a run to continue.

    Args:
        named: path of the folder, or name of a run under runs/; None stands for the newest run.
        text: name of the text that the newest run must be trained on; None for any.

    Raises:
        RunError: there is no such run, or another process is training it.
    """
    if named:
        path = _located(named)
    else:
        newest = _newest(RESUME_NAME, text)
        if not newest:
            raise RunError(f"nothing to resume under {RUNS}/", "name the run with -m")
        path = newest.parent
    if is_missing(path / RESUME_NAME):
        lacking = path if is_missing(path) else path / RESUME_NAME
        raise RunError(f"nothing to resume: {lacking} does not exist", _instead(path, RESUME_NAME))
    claim = Claim.of(path)
    if not claim:
        raise RunError(f"{path} is still being trained", "wait until it ends, or stop it first")
    return claim


def holds_a_run(folder: Path) -> bool:
    """Return whether training has written to a folder; an empty log is only a claim."""
    with suppress(OSError):
        if os.path.getsize(folder / LOG_NAME):
            return True
    return any(os.path.exists(folder / name) for name in (MODEL_NAME, RESUME_NAME))


def _remove(folders: list[Path]) -> None:
    """Remove folders, given innermost first; those that are not empty stay."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
