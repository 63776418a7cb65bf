"""A pseudo-terminal with a session in it, and the screen that it shows."""

import codecs
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.shell import COMMAND, ENVIRONMENT

if sys.platform == "win32":
    raise ImportError("needs a pseudo-terminal of POSIX")

import fcntl
import pty
import struct
import termios

LINES = ["The cat sat on the mat.", "The dog ran to the house."]
ROWS, COLUMNS = 24, 80
LINGER = 0.5  # seconds; a suggestion takes some hundredths of that
PATIENCE = 30.0  # seconds after which what is awaited counts as not coming
RIGHT, TAB, ESCAPE, ENTER = "\x1b[C", "\t", "\x1b", "\r"
SHIFT_TAB, CTRL_SPACE, CTRL_Z, F2, ALT_1, ALT_SLASH = (
    "\x1b[Z",
    "\x00",
    "\x1a",
    "\x1bOQ",
    "\x1b1",
    "\x1b/",
)
ALT_F, CTRL_C, CTRL_D, CTRL_E, CTRL_RIGHT = "\x1bf", "\x03", "\x04", "\x05", "\x1b[1;5C"
END, LEFT, BACKSPACE = "\x1b[F", "\x1b[D", "\x7f"
SEQUENCE = re.compile(r"\x1b\[(?P<private>[?>]?)(?P<numbers>[\d;]*)(?P<final>[A-Za-z])|\x1b[^\[]")
GREY = "90"


class Screen:
    """What a terminal shows: as much of one as a line of input and a toolbar need."""

    def __init__(self) -> None:
        self.cells = [[(" ", False)] * COLUMNS for _ in range(ROWS)]  # character, whether grey
        self.row = self.column = 0
        self._grey = False
        self._unread = ""

    def feed(self, text: str) -> str:
        """Show what a program has written; return the terminal's answer."""
        answer = ""
        self._unread += text
        while self._unread:
            if self._unread[0] != "\x1b":
                self._show(self._unread[0])
                self._unread = self._unread[1:]
                continue
            sequence = SEQUENCE.match(self._unread)
            if not sequence:  # the rest has yet to arrive
                break
            self._unread = self._unread[sequence.end() :]
            if sequence["final"] == "n":
                answer += f"\x1b[{self.row + 1};{self.column + 1}R"
            elif sequence["final"] and not sequence["private"]:
                self._control(sequence["final"], sequence["numbers"])
        return answer

    def _show(self, character: str) -> None:
        match character:
            case "\r":
                self.column = 0
            case "\n":
                self.row += 1
                if self.row == ROWS:
                    self.cells = [*self.cells[1:], [(" ", False)] * COLUMNS]
                    self.row -= 1
            case "\b":
                self.column -= 1
            case _ if self.column < COLUMNS:
                self.cells[self.row][self.column] = (character, self._grey)
                self.column += 1

    def _control(self, final: str, numbers: str) -> None:
        count = int(numbers.partition(";")[0] or "0")
        match final:
            case "A":
                self.row -= max(1, count)
            case "B":
                self.row = min(ROWS - 1, self.row + max(1, count))
            case "C":
                self.column = min(COLUMNS - 1, self.column + max(1, count))
            case "D":
                self.column = max(0, self.column - max(1, count))
            case "K" | "J":
                for column in range(self.column, COLUMNS):
                    self.cells[self.row][column] = (" ", False)
                for row in range(self.row + 1, ROWS) if final == "J" else ():
                    self.cells[row] = [(" ", False)] * COLUMNS
            case "m":
                self._grey = GREY in numbers.split(";")

    def text(self, row: int) -> str:
        return "".join(character for character, _ in self.cells[row]).rstrip()

    @property
    def lines(self) -> list[str]:
        return [self.text(row) for row in range(ROWS) if self.text(row)]

    @property
    def ghost(self) -> str:
        """The grey text after the cursor, if that is on a line of input."""
        if not self.text(self.row).startswith(">"):  # half drawn: the toolbar is being written
            return ""
        after = self.cells[self.row][self.column :]
        return "".join(character if grey else "\n" for character, grey in after).partition("\n")[0]

    @property
    def typed(self) -> str:
        """Return the text after the prompt that is not grey."""
        cells = self.cells[self.row]
        return "".join(c for c, grey in cells if not grey).rstrip(" ").removeprefix("> ")


class Session:
    """`charrnn complete` on a pseudo-terminal, and somebody who types and looks."""

    def __init__(self, controller: int, process: subprocess.Popen[bytes]) -> None:
        self.screen = Screen()
        self.output = ""
        self._controller = controller
        self._process = process
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def type(self, keys: str) -> None:
        os.write(self._controller, keys.encode())

    def type_bytes(self, keys: bytes) -> None:
        os.write(self._controller, keys)

    def end(self, ending: signal.Signals) -> None:
        self._process.send_signal(ending)

    def hang_up(self) -> None:
        """Close the terminal, and look until the session has ended."""
        os.close(self._controller)
        self._controller = os.open(os.devnull, os.O_RDWR)
        self._process.send_signal(signal.SIGHUP)  # as the kernel does to a window's processes
        self._process.wait(PATIENCE)

    def paste(self, text: str) -> None:
        """As a terminal does it, reading what is shown meanwhile."""
        keys = f"\x1b[200~{text}\x1b[201~"
        for start in range(0, len(keys), 1024):
            self.type(keys[start : start + 1024])
            self.read(0)

    def linger(self) -> None:
        """Look for a while, in which a suggestion would come."""
        deadline = time.monotonic() + LINGER
        while (left := deadline - time.monotonic()) > 0:
            self.read(left)

    def said(self, pattern: str) -> bool:
        """Whether it was shown at some time."""
        return re.search(pattern, self.output) is not None

    def read(self, seconds: float) -> bool:
        """Read output for some seconds; return whether more may come."""
        if not select.select([self._controller], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._controller, 1 << 16)
        except OSError:  # Linux's way to say that the other end is closed
            data = b""
        text = self._decoder.decode(data)
        self.output += text
        self.type(self.screen.feed(text))
        return bool(data)

    def wait(self, seen: Callable[[Screen], bool]) -> None:
        """Look until the screen shows something."""
        deadline = time.monotonic() + PATIENCE
        while not seen(self.screen):
            left = deadline - time.monotonic()
            if left < 0 or not self.read(left):
                pytest.fail(f"not seen; the screen shows {self.screen.lines}")

    def wait_for(self, typed: str, ghost: str) -> None:
        """Look until the line shows this before the cursor and this in grey after it."""
        deadline = time.monotonic() + PATIENCE
        while (self.screen.typed, self.screen.ghost) != (typed, ghost):
            left = deadline - time.monotonic()
            if left < 0 or not self.read(left):
                shown = (self.screen.typed, self.screen.ghost)
                pytest.fail(f"expected {(typed, ghost)}, the line shows {shown}")

    def type_until_the_end(self, keys: str) -> None:
        """Type again and again: a dumb terminal shows its prompt before it listens to keys."""
        deadline = time.monotonic() + PATIENCE
        self.type(keys)
        while self.read(0.5):
            assert time.monotonic() < deadline, self.screen.lines
            self.type(keys)

    def exit_code(self) -> int:
        """Look until the session has ended."""
        deadline = time.monotonic() + PATIENCE
        while self.read(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, self.screen.lines
        return self._process.wait(PATIENCE)


@contextmanager
def opened(
    model: Path, *options: str, columns: int = COLUMNS, early: str = "", **environment: str
) -> Iterator[Session]:
    """A session that shows its prompt; `early` is typed before it does."""
    state = tempfile.mkdtemp()  # where no other session leaves what was typed in it
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", ROWS, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, "complete", "-m", str(model), *options],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env=ENVIRONMENT | {"TERM": "xterm", "XDG_STATE_HOME": state} | environment,
    )
    os.close(terminal)
    session = Session(controller, process)
    try:
        session.type(early)
        session.wait(lambda screen: any(line.startswith(">") for line in screen.lines))
        yield session
    finally:
        process.kill()
        process.wait()
        os.close(session._controller)
        shutil.rmtree(state, ignore_errors=True)
