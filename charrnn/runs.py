"""A run folder: its file names, finding one, telling one from other folders, claiming one.

The only owner of that knowledge.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from charrnn.errors import CharrnnError, ModelFileError, RunError, UsageError
from charrnn.files import check_regular, is_missing, lock, quoted, tidy

RUNS = Path("runs")
VARIABLE = "CHARRNN_MODEL"  # of the environment: the model that is meant where none is named
MODEL_NAME = "model.safetensors"  # the best model so far
RESUME_NAME = "resume.safetensors"  # all that training needs to go on exactly
RESUME_KEY = "charrnn-resume"  # key of that file's metadata that holds JSON
LOG_NAME = "log.jsonl"  # an event in each line
LOG_BEGINS = b'{"event": "start"'  # the first event of every run
SAMPLES_NAME = "samples.txt"
PLOT_NAME = "plot.html"
# Beginnings of all file names in a run folder; the last one is TensorBoard's.
OWN = (MODEL_NAME, RESUME_NAME, LOG_NAME, SAMPLES_NAME, PLOT_NAME, "events.out.tfevents.")

NAMED = 5  # runs that an error lists

Chosen = Callable[[Path, int], None]


def find(named: str | None = None, name: str = MODEL_NAME, chosen: Chosen | None = None) -> Path:
    """Return a file of the run that the user means; by default the model of the newest run.

    Args:
        named: the name of a run under runs/, a run folder, or a file; None or "" stands for
            $CHARRNN_MODEL, else the newest run.
        name: the file wanted of a run folder, MODEL_NAME or LOG_NAME.
        chosen: called with the newest run's folder and the number of runs, if it was taken from
            several.

    Raises:
        UsageError: nothing was named and no run under runs/ has such a file.
        ModelFileError, RunError: what is named does not exist, or is a folder without such a file;
            the error names runs that have one.
        OSError: runs/ cannot be read.
    """
    meant = named or os.environ.get(VARIABLE)
    if not meant:
        return _newest(name, chosen)
    path = _located(meant)
    if os.path.isdir(path):
        path /= name
    elif name != MODEL_NAME and path.suffix == ".safetensors" and os.path.isdir(path.parent):
        path = path.with_name(name)  # a run may be named by its model
    elif path.name != name or not os.path.isdir(path.parent):
        if is_missing(path):
            kind = ModelFileError if name == MODEL_NAME else RunError
            origin = "" if named else f", which ${VARIABLE} names,"
            raise kind(f"{path}{origin} does not exist", _instead(path, name))
        return path
    if is_missing(path):
        raise _lacking(path)
    return path


def _newest(name: str, chosen: Chosen | None) -> Path:
    found = _of_all_runs(name)
    if not found:
        resumable = _of_all_runs(RESUME_NAME) if name == MODEL_NAME else []
        if resumable:
            raise _lacking(resumable[-1].with_name(MODEL_NAME))
        raise UsageError(
            f"no {'trained model' if name == MODEL_NAME else 'run'} found under {RUNS}/",
            "train one with charrnn train TEXT, or name one",
        )
    if chosen and len(found) > 1:
        chosen(found[-1].parent, len(found))
    return found[-1]


def all_runs() -> list[Path]:
    """Return the folders of all runs under runs/, the newest one first.

    Raises:
        OSError: runs/ cannot be read.
    """
    found = {path.parent for name in (MODEL_NAME, LOG_NAME) for path in _of_all_runs(name)}
    return sorted(found, key=lambda run: (run / LOG_NAME).stat().st_mtime, reverse=True)


def names() -> list[str]:
    """Return the names of all runs under runs/; none where it cannot be read."""
    try:
        return [run.name for run in all_runs()]
    except OSError:
        return []


def run_folder(named: str) -> Path:
    """Return the folder of a run that the user names.

    Raises:
        RunError: it is none.
    """
    path = _located(named)
    if not os.path.isdir(path) or not _holds_a_run(path):
        raise RunError(f"{path} is no run", _instead(path, LOG_NAME))
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
        raise RunError(f"cannot remove {folder}: {error.strerror}", "check its rights") from None
    _remove([folder])
    return kept


def _of_all_runs(name: str) -> list[Path]:
    """Return the files of that name in all runs, the newest one last."""
    folders = RUNS.iterdir() if RUNS.is_dir() else ()
    found = [path for folder in folders if os.path.exists(path := folder / name)]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _located(named: str) -> Path:
    """Return the path meant: a run under runs/, unless what has the name here is one of ours.

    A folder of texts, or a text, may be called as the run that was trained on it.
    """
    path = Path(named)
    if os.path.exists(path) and (_is_ours(path) or not _holds_a_run(RUNS / path)):
        return path
    return RUNS / path if os.path.isdir(RUNS / path) else path


def _is_ours(path: Path) -> bool:
    """Return whether a path is a run folder, or a file that may be a model or a log.

    What cannot be read may be one.
    """
    if os.path.isdir(path):
        return _holds_a_run(path)
    try:
        check_regular(path)
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError:
        return True
    return b"{" in (start[:1], start[8:])  # a log; a model, after eight bytes with a size


def _instead(path: Path, name: str) -> str:
    """Return what to do where a run is not found: runs of a like name, else the newest ones.

    Args:
        path: what was looked for.
        name: the file that a run must have.
    """
    from difflib import get_close_matches

    names = [found.parent.name for found in reversed(_of_all_runs(name))]
    wanted = path.parent.name if is_own(path.name) else path.name
    near = [found for found in get_close_matches(wanted, names) if found != wanted]
    if near:
        return f"did you mean {' or '.join(map(quoted, near))}?"
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"{RUNS}/ holds {', '.join(map(quoted, names[:NAMED]))}{more}"
    return "train one with charrnn train TEXT"


def _lacking(path: Path) -> CharrnnError:
    """Return the error that a run folder has no such file."""
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
    """Return whether a folder is a run: it can be resumed, or has a log that begins as ours do."""
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
    """Return whether a file in a run folder is one that charrnn wrote, by its name."""
    return name.startswith(OWN)


def is_resumable(named: str) -> bool:
    """Return whether that is a run folder, or the name of a run, that `resumed` can claim.

    A text that is called as a run is the text.
    """
    path = _located(named)
    return os.path.exists(path / RESUME_NAME) and (path == Path(named) or is_missing(named))


def refuse(path: str, meant: str, instead: str) -> None:
    """Raise an error if a path that is meant as a text is a model file or a run folder.

    A run folder that also holds files of the user's is no error.

    Args:
        meant: what it is meant as, for example "a text".
        instead: what to type instead; {} stands for the run folder, or a model file outside of one.

    Raises:
        UsageError: it is one.
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
    """A run folder that no other process can claim before this one releases it or dies.

    The lock is one of the operating system's, on the log: a file that exists as long as the run is
    written, and is never replaced. As a context manager, a claim is released at the end.

    Attributes:
        path: the folder.
        log: its open log, which is locked.
        made: the folders that did not exist before, the innermost first.
    """

    path: Path
    log: BinaryIO
    made: list[Path]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Claim a folder and make it if it does not exist; None if another process has it.

        What a killed process left half written in it is removed.

        Raises:
            RunError: it cannot be made or written.
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
        # A log without a name was removed by whoever had just claimed it.
        if not lock(log) or not os.fstat(log.fileno()).st_nlink:
            log.close()
            return None
        for name in (MODEL_NAME, RESUME_NAME):
            tidy(path / name)
        return cls(path, log, made)

    def release(self) -> None:
        """Let others have the folder; if nothing was logged, remove the log and what was made."""
        unused = not os.fstat(self.log.fileno()).st_size
        if os.name == "nt":  # which removes no open file
            self.log.close()
        if unused:
            with suppress(OSError):
                (self.path / LOG_NAME).unlink()
            _remove(self.made)
        self.log.close()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def new(named: str | None, text: str) -> Claim:
    """Claim the folder of a new run.

    Args:
        named: the folder; None stands for one under runs/ that is named after the text, with a
            number added if there is one already.
        text: the name of the text.

    Raises:
        RunError: the folder named holds a run, is claimed by another process or cannot be made.
    """
    if named:
        path = Path(named)
        claim = Claim.of(path)
        if not claim:
            raise RunError(
                f"another process is training in {path}", "choose another folder with -o"
            )
        if _holds_a_run(path):
            claim.release()
            resumable = os.path.exists(path / RESUME_NAME)
            first = "continue it with --resume" if resumable else "delete it"
            raise RunError(
                f"{path} holds a run already", f"{first}, or choose another folder with -o"
            )
        return claim
    count = 1
    while True:
        path = RUNS / (text if count == 1 else f"{text}-{count}")
        claim = None if _holds_a_run(path) else Claim.of(path)
        if claim and not _holds_a_run(path):  # it may have been trained meanwhile
            return claim
        if claim:
            claim.release()
        count += 1


def resumed(named: str | None, text: str | None) -> Claim:
    """Claim the folder of a run to go on with.

    Args:
        named: the folder, or the name of a run under runs/; None stands for the newest run.
        text: the name of the text that the newest run shall be of; None stands for any.

    Raises:
        RunError: there is no such run, or another process is training it.
    """
    if named:
        path = _located(named)
    else:
        wanted = re.compile(rf"{re.escape(text)}(-\d+)?" if text else ".*", re.DOTALL)
        found = [p.parent for p in _of_all_runs(RESUME_NAME) if wanted.fullmatch(p.parent.name)]
        if not found:
            raise RunError(f"nothing to resume under {RUNS}/", "name the run with -m")
        path = found[-1]
    if is_missing(path / RESUME_NAME):
        lacking = path if is_missing(path) else path / RESUME_NAME
        raise RunError(f"nothing to resume: {lacking} does not exist", _instead(path, RESUME_NAME))
    claim = Claim.of(path)
    if not claim:
        raise RunError(f"{path} is still being trained", "wait until it ends, or stop it first")
    return claim


def _holds_a_run(folder: Path) -> bool:
    """Return whether a training has written into the folder; an empty log is only a claim."""
    with suppress(OSError):
        if os.path.getsize(folder / LOG_NAME):
            return True
    return any(os.path.exists(folder / name) for name in (MODEL_NAME, RESUME_NAME))


def _remove(folders: list[Path]) -> None:
    """Remove folders, the innermost first; those that hold something stay."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
