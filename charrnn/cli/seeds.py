"""The seeds and sources of charrnn generate: arguments, files or a pipe."""

import os
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from charrnn.display.console import Ui
from charrnn.errors import TextError, UsageError

if TYPE_CHECKING:
    from charrnn.model import Model


def read_seeds(
    seed: str | None,
    file: str | None,
    encoding: str | None,
    meant: Callable[[str], str],
    ui: Ui,
) -> list[str]:
    """Return the seed from the argument or a pipe, or the lines of a file."""
    from charrnn import runs

    if file:
        runs.refuse(file, "a file of seeds", "name the model with -m {}")
    # A word is a seed even if it is also the name of a folder.
    if seed and (os.path.dirname(seed) or seed.endswith(".safetensors")):
        runs.refuse(seed, "a seed", "name the model with -m {}")
    if seed is not None and file is not None:
        raise UsageError("both a SEED and --file are given", "give one of them")
    if seed and os.path.isfile(seed):
        ui.note(f"hint: {seed} is a file, but its name is the seed; -f reads a seed on each line")
    piped = seed == "-"
    if seed is None and file is None and _is_piped(sys.stdin):
        piped = not _is_shared(sys.stdin)
        if not piped:
            ui.note(
                "standard input is not read, because another program reads it too; "
                "give - to use it as the seed"
            )
    if file is None and not piped:
        return [meant(seed or "")]
    from charrnn.text.source import Source

    if file is None:
        return [Source(["-"], encoding).read(ui.note).removesuffix("\n")]
    seeds = [meant(line) for _, line in Source([file], encoding).lines(ui.note) if line]
    if not seeds:
        raise TextError(f"{file} contains no seed", "write one seed a line")
    return seeds


def read_sources(
    source: str, encoding: str | None, meant: Callable[[str], str], ui: Ui
) -> list[str]:
    """Return a source, or those on the lines of a file (@FILE) or of standard input (-)."""
    from charrnn import runs
    from charrnn.text.source import Source

    if source != "-" and not source.startswith("@"):
        sources = [meant(source)] if source.strip() else []
    else:
        path = source.removeprefix("@")
        runs.refuse(path, "a file of sources", "name the model with -m {}")
        found = Source([path], encoding).lines(ui.note)
        sources = [meant(line) for _, line in found if line.strip()]
    if not sources:
        raise TextError(f"--source {source!r} has no source", "write one source a line")
    return sources


def as_known(text: str, model: "Model", unknown: str, ui: Ui) -> str:
    """Return the text as the model reads it, and deal with characters outside the vocabulary."""
    text = model.as_read(text)
    unseen = model.file.tokenizer.unseen(text)
    named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in unseen)
    match unknown:
        case "warn":
            if unseen:
                one = len(unseen) == 1
                verbs = ("is", "it is") if one else ("are", "they are")
                ui.warn(
                    f"{named} {verbs[0]} not in the model's vocabulary; {verbs[1]} treated as "
                    "unknown"
                )
        case "error":
            if unseen:
                raise TextError(f"the model's vocabulary lacks {named}", "remove it from the seed")
        case "skip":
            return "".join(c for c in text if c not in unseen)
    return text


def _is_piped(stream: TextIO | None) -> bool:
    """Return whether a stream holds the seed: it is a file, or another program writes it."""
    try:
        mode = os.fstat(stream.fileno()).st_mode if stream else 0
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _is_shared(stream: TextIO) -> bool:
    """Return whether a pipe or file has other readers, such as a shell loop that calls us.

    A shared file has been partly read; a shared pipe is also our parent's standard input, which can
    be known on Linux only.
    """
    number = stream.fileno()
    try:
        theirs = os.stat(f"/proc/{os.getppid()}/fd/0")
    except OSError:
        pass
    else:
        if os.path.samestat(theirs, os.fstat(number)):
            return True
    return stat.S_ISREG(os.fstat(number).st_mode) and os.lseek(number, 0, os.SEEK_CUR) > 0
