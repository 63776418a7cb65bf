"""Type into real editors on a pseudo-terminal, configured as charrnn/servers/README.md says.

An editor that is not installed is skipped, with the reason.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.shell import ENVIRONMENT, Training

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "charrnn" / "servers" / "README.md"
ALE = Path("/usr/share/vim-ale")  # where Debian's package vim-ale has it
EGLOT = "(or (require 'eglot nil t) (kill-emacs 1))"
PATIENCE = 60  # seconds after which an editor counts as hanging
COLUMNS, ROWS = 100, 30
AGAIN = "\x7fh"  # takes back the last letter of "neigh" and types it
ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()].|[=>78])")


def configuration(language: str, run: Path, number: int = 0) -> str:
    """Return the configuration that charrnn/servers/README.md gives, for a run."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)
    return str(blocks[number]).replace("/path/to/run", str(run))


def version(*command: str) -> tuple[int, ...]:
    """An editor's version; () if it is not installed."""
    if not shutil.which(command[0]):
        return ()
    said = subprocess.run(command, capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


class Screen:
    """An editor on a pseudo-terminal."""

    def __init__(self, controller: int) -> None:
        self._controller = controller
        self._shown = b""

    def type(self, keys: str) -> None:
        os.write(self._controller, keys.encode())

    def rest(self) -> None:
        """Wait until the editor has drawn what it will: a while without output."""
        while select.select([self._controller], [], [], 1)[0]:
            self._shown += os.read(self._controller, 1 << 16)

    def wait_for(self, text: str, keys: str = "") -> None:
        """Wait until a text was shown after what was waited for last.

        Args:
            keys: typed when nothing happens for a while, as a person would: the server may have
                been starting.
        """
        began = time.monotonic()
        while True:
            plain = ESCAPE.sub(b"", self._shown).decode(errors="replace")
            if text in plain:
                self._shown = b""
                return
            assert time.monotonic() - began < PATIENCE, plain[-2000:]
            if select.select([self._controller], [], [], 2)[0]:
                self._shown += os.read(self._controller, 1 << 16)
            else:
                self.type(keys)


@contextmanager
def editing(
    folder: Path, *command: str, environment: Mapping[str, str] = ENVIRONMENT
) -> Iterator[Screen]:
    """Start an editor whose home is `folder`; at the end it must have ended by itself."""
    import pty

    programs = folder / "bin"
    programs.mkdir()
    (programs / "charrnn").write_text(f'#!/bin/sh\nexec {sys.executable} -m charrnn "$@"\n')
    (programs / "charrnn").chmod(0o755)
    process, controller = pty.fork()
    if not process:
        os.chdir(folder)
        os.environ.update(
            environment,
            HOME=str(folder),
            XDG_CONFIG_HOME=str(folder / "config"),
            XDG_STATE_HOME=str(folder / "state"),
            PATH=f"{programs}:{os.environ['PATH']}",
            TERM="xterm",
            COLUMNS=str(COLUMNS),
            LINES=str(ROWS),
        )
        os.execvp(command[0], command)
    screen = Screen(controller)
    try:
        yield screen
        began = time.monotonic()
        while os.waitpid(process, os.WNOHANG) == (0, 0):
            assert time.monotonic() - began < PATIENCE
            if select.select([controller], [], [], 0.1)[0]:
                with suppress(OSError):  # the other end is closed
                    os.read(controller, 1 << 16)
        process = 0
    finally:
        if process:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        os.close(controller)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("The fox slept.\n\f\n", encoding="utf-8")
    return path


WRITTEN = "The fox slept.\n\f\nMy neighbour\n"


def write_neighbour(screen: Screen, suggested: str, accept: str) -> None:
    """In an editor with vi's keys, begin a word below the text and accept its suggestion.

    Args:
        suggested: What the screen shows once there are suggestions.
        accept: Keys that accept the first one, save the text and leave.
    """
    screen.wait_for("slept")
    screen.type("Go")
    screen.type("My neigh")
    screen.wait_for(suggested, AGAIN)
    screen.type(accept)


@pytest.mark.skipif(version("nvim", "--version") < (0, 11), reason="there is no Neovim 0.11")
def test_neovim(notes: Path, word_trained: Training) -> None:
    """A list comes while one types; a form feed above does not matter."""
    config = notes.parent / "config" / "nvim"
    config.mkdir(parents=True)
    (config / "init.lua").write_text(configuration("lua", word_trained.run))
    with editing(notes.parent, "nvim", notes.name) as screen:
        write_neighbour(screen, "neighbour", "\x0e\x19\x1b:wq\r")
    assert notes.read_text("utf-8") == WRITTEN


@pytest.mark.skipif(version("nvim", "--version") < (0, 12), reason="there is no Neovim 0.12")
def test_neovim_grey_text(notes: Path, word_trained: Training) -> None:
    """Tab accepts the text shown in grey."""
    config = notes.parent / "config" / "nvim"
    config.mkdir(parents=True)
    # The server's start comes from the first block, without the list.
    server = "".join(configuration("lua", word_trained.run).splitlines(True)[:2])
    (config / "init.lua").write_text(server + configuration("lua", word_trained.run, 1))
    with editing(notes.parent, "nvim", notes.name) as screen:
        write_neighbour(screen, "bour", "\t")
        screen.rest()
        screen.type("\x1b:wq\r")
    assert notes.read_text("utf-8").startswith(WRITTEN.rstrip())


@pytest.mark.skipif(not version("vim", "--version"), reason="there is no Vim")
@pytest.mark.skipif(not ALE.is_dir(), reason="there is no ALE")
def test_vim(notes: Path, word_trained: Training) -> None:
    """A list comes while one types."""
    (notes.parent / ".vimrc").write_text(
        f"set nocompatible runtimepath+={ALE}\nfiletype on\n"
        + configuration("vim", word_trained.run)
    )
    with editing(notes.parent, "vim", notes.name) as screen:
        write_neighbour(screen, "neighbour", "\x0e\x1b:wq\r")
    assert notes.read_text("utf-8") == WRITTEN


@pytest.mark.skipif(not version("emacs", "--version"), reason="there is no Emacs")
def test_emacs(notes: Path, word_trained: Training) -> None:
    """The word before the cursor is completed."""
    found = subprocess.run(["emacs", "--batch", "--eval", EGLOT], capture_output=True)
    if found.returncode:
        pytest.skip("Emacs has no eglot")
    folder = notes.parent / ".emacs.d"
    folder.mkdir()
    (folder / "init.el").write_text(
        "(setq make-backup-files nil)\n" + configuration("elisp", word_trained.run)
    )
    with editing(notes.parent, "emacs", "-nw", notes.name) as screen:
        screen.wait_for("Connected!")
        screen.type("\x1b>My neigh")
        screen.wait_for("neigh")
        screen.type("\x1b\t")
        screen.wait_for("bour")
        screen.type("\r\x18\x13\x18\x03")
    assert notes.read_text("utf-8") == WRITTEN


@pytest.mark.skipif(not shutil.which("hx"), reason="there is no Helix")
def test_helix(notes: Path, word_trained: Training) -> None:
    """A list comes while one types."""
    config = notes.parent / "config" / "helix"
    config.mkdir(parents=True)
    (config / "languages.toml").write_text(configuration("toml", word_trained.run))
    notes = notes.rename(notes.with_suffix(".md"))
    with editing(notes.parent, "hx", notes.name) as screen:
        screen.wait_for("slept")
        for keys in ("geo", "My neigh"):
            screen.type(keys)
            screen.rest()
        screen.wait_for("neighbour", AGAIN)
        for keys in ("\t", "\x1b", ":wq\r"):  # an Escape that others follow at once is Alt
            screen.rest()
            screen.type(keys)
    assert notes.read_text("utf-8") == WRITTEN
