"""The interactive session, typed into through a real pseudo-terminal."""

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

from charrnn.cli import main
from charrnn.suggestions.typing_history import Learned
from tests.cli.shell import COMMAND, ENVIRONMENT, one_thread

if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal of POSIX", allow_module_level=True)

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
UP, DOWN, F1, ALT_ENTER, CTRL_O = "\x1b[A", "\x1b[B", "\x1bOP", "\x1b\r", "\x0f"

SEQUENCE = re.compile(r"\x1b\[(?P<private>[?>]?)(?P<numbers>[\d;]*)(?P<final>[A-Za-z])|\x1b[^\[]")
GREY = "90"


def slow(key: str) -> object:
    """A key that is only tested with the slow tests."""
    return pytest.param(key, marks=pytest.mark.slow)


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
    model: Path, *options: str, columns: int = COLUMNS, **environment: str
) -> Iterator[Session]:
    """A session that shows its prompt."""
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
        session.wait(lambda screen: any(line.startswith(">") for line in screen.lines))
        yield session
    finally:
        process.kill()
        process.wait()
        os.close(session._controller)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained on two alternating lines."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "text.txt").write_text("".join(f"{line}\n" for line in LINES) * 300)
    run = folder / "run"
    options = ["--hidden", "48", "--lr", "0.03", "--steps", "150", "--val", "0", "-q"]
    with one_thread():
        assert main(["train", str(folder / "text.txt"), "-o", str(run), *options]) == 0
    return run


@pytest.fixture
def session(model: Path) -> Iterator[Session]:
    with opened(model) as session:
        yield session


def test_ghost_text(session: Session) -> None:
    """Ghost text follows the typed text."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(BACKSPACE + "d")
    session.wait_for("The d", "og ran to the house")
    session.type("og r")
    session.wait_for("The dog r", "an to the house")


@pytest.mark.parametrize("key", [RIGHT, slow(END), slow(CTRL_E)], ids=["right", "end", "Ctrl-E"])
def test_take_all(session: Session, key: str) -> None:
    """The right arrow accepts the whole suggestion, and so do the keys for the line's end."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(key)
    session.wait(lambda screen: screen.typed == "The cat sat on the mat")


@pytest.mark.parametrize(
    "key", [TAB, slow(ALT_F), slow(CTRL_RIGHT)], ids=["Tab", "Alt-F", "Ctrl-right"]
)
def test_take_a_word(session: Session, key: str) -> None:
    """Tab accepts the next word of the suggestion, and so do Alt-F and Ctrl-right."""
    session.type("The d")
    session.wait_for("The d", "og ran to the house")
    session.type(key)
    session.wait_for("The dog", "ran to the house")
    session.type(key)
    session.wait_for("The dog ran", "to the house")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (".", "The cat sat on the mat."),
        ("x", "The cat sat on the mat x"),
        (" x", "The cat sat on the mat x"),
        (BACKSPACE + ".", "The cat sat on the mat."),
        (LEFT + ".", "The cat sat on the mat."),
        ("", "The cat sat on the mat"),
    ],
)
@pytest.mark.slow
def test_space(model: Path, tmp_path: Path, keys: str, line: str) -> None:
    """Punctuation replaces the space after a suggestion; at the end of the line it is dropped."""
    with opened(model, "-o", str(tmp_path / "notes.txt")) as session:
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")
        session.type(RIGHT)
        session.wait(lambda screen: screen.typed == "The cat sat on the mat")
        session.type(keys)
        session.wait(lambda screen: screen.typed.rstrip() == line)
        session.type(ENTER)
        session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
        written = (tmp_path / "notes.txt").read_text()
        assert written == line + (" \n" if keys.startswith(LEFT) else "\n")


def test_undo(session: Session) -> None:
    """One undo removes an accepted suggestion."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(RIGHT)
    session.wait(lambda screen: screen.typed == "The cat sat on the mat")
    session.type("\x1f")  # Ctrl-_
    session.wait(lambda screen: screen.typed == "The c")


def test_meter(session: Session) -> None:
    """The toolbar shows the share of keystrokes saved."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    assert "saved" not in session.screen.lines[-1]
    session.type(RIGHT)
    # 5 letters and a key make 23 characters.
    session.wait(lambda screen: "74% of keystrokes saved" in screen.lines[-1])


def test_dial(model: Path) -> None:
    """--dial hides suggestions that are not likely enough."""
    with opened(model, "--dial", "1") as session:
        session.type("The ")
        session.wait(lambda screen: screen.typed == "The")
        session.type("c" + ENTER)
        session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
    assert "cat" not in session.output


class TestOutput:
    def test_added(self, model: Path, tmp_path: Path) -> None:
        """Lines are written as they are entered, after what the file held."""
        notes = tmp_path / "notes.txt"
        notes.write_text("before\n")
        with opened(model, "-o", str(notes)) as session:
            session.type("Café 漢字" + ENTER)
            session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
            assert notes.read_text(encoding="utf-8") == "before\nCafé 漢字\n"
            session.type(CTRL_D)
            assert session.exit_code() == 0

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
    def test_full_disk(self, model: Path) -> None:
        """What cannot be written is said below, and printed at the end."""
        with opened(model, "-o", "/dev/full") as session:
            session.type("A line." + ENTER)
            session.wait(lambda screen: "not saved: No space" in screen.lines[-1])
            session.type(CTRL_D)
            assert session.exit_code() == 1
        assert session.output.count("A line.") > 1
        assert "/dev/full" in session.output
        assert "Traceback" not in session.output


def test_next_suggestion(session: Session) -> None:
    """Shift-Tab shows the other suggestions in turn, the first again after the last."""
    session.type("The ")
    phrases = {"c": "at sat on the mat", "d": "og ran to the house"}
    session.wait(lambda screen: screen.ghost[1:] in phrases.values())
    first = session.screen.ghost
    second = {"c": "dog", "d": "cat"}[first[0]]
    session.type(SHIFT_TAB)
    session.wait(lambda screen: screen.ghost == second)
    session.type(SHIFT_TAB)
    session.wait(lambda screen: screen.ghost not in (first, second))
    session.type(SHIFT_TAB)
    session.wait(lambda screen: screen.ghost == first)
    assert session.screen.typed == "The"


def test_tab_cycles(model: Path) -> None:
    """With --tab cycle it is Tab that shows the next one, and the right arrow takes it."""
    with opened(model, "--tab", "cycle") as session:
        session.type("The ")
        session.wait(lambda screen: len(screen.ghost) > 10)
        second = {"c": "dog", "d": "cat"}[session.screen.ghost[0]]
        session.type(TAB)
        session.wait(lambda screen: screen.ghost == second)
        session.type(RIGHT)
        session.wait(lambda screen: screen.typed == f"The {second}")


def test_pick(session: Session) -> None:
    """Alt and a number take a word of those below."""
    session.type("The ")
    session.wait(lambda screen: len(screen.ghost) > 10)
    first = {"c": "cat", "d": "dog"}[session.screen.ghost[0]]
    session.type(ALT_1)
    session.wait(lambda screen: screen.typed == f"The {first}")


def test_along_the_ghost(session: Session) -> None:
    """A suggestion being typed stays, and can be accepted at any moment."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type("at s" + RIGHT)  # before the model has answered
    session.wait(lambda screen: screen.typed == "The cat sat on the mat")


@pytest.mark.slow
def test_off_and_on(session: Session) -> None:
    """F2 switches suggestions off and on; Ctrl-Space asks for one."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(F2)
    session.wait_for("The c", "")
    session.wait(lambda screen: "off (F2)" in screen.lines[-1])
    session.type("a")
    session.wait(lambda screen: screen.typed == "The ca")
    session.linger()
    assert not session.screen.ghost
    session.type(CTRL_SPACE)
    session.wait_for("The ca", "t sat on the mat")
    session.type(BACKSPACE)
    session.wait_for("The c", "")
    session.type(CTRL_SPACE)
    session.wait_for("The c", "at sat on the mat")


@pytest.mark.slow
def test_redo(session: Session) -> None:
    """Alt-/ redoes what was undone."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(RIGHT + "\x1f")
    session.wait(lambda screen: screen.typed == "The c")
    session.type(ALT_SLASH)
    session.wait(lambda screen: screen.typed == "The cat sat on the mat")


@pytest.mark.parametrize(
    ("keys", "line"),
    [('"x', 'The cat sat on the mat "x'), ('"', 'say "The cat sat on the mat"'), ("-", "mat-")],
)
@pytest.mark.slow
def test_quotes(session: Session, keys: str, line: str) -> None:
    """An opening quote keeps the space that came with a word; a closing one and a hyphen do not."""
    session.type('say "' if line.startswith("say") else "")
    session.type("The c")
    session.wait(lambda screen: screen.ghost == "at sat on the mat")
    session.type(RIGHT)
    session.wait(lambda screen: screen.typed.endswith("on the mat"))
    session.type(keys)
    session.wait(lambda screen: screen.typed.endswith(line[-4:]))
    assert session.screen.typed.endswith(line)


@pytest.mark.slow
def test_search(session: Session) -> None:
    """Ctrl-R finds an earlier entry, and Enter accepts it."""
    session.type("A zebra." + ENTER + "A line." + ENTER)
    session.wait(lambda screen: screen.row == 2 and screen.text(2) == ">")
    session.type("\x12zeb")
    session.wait(lambda screen: any("A zebra" in line for line in screen.lines[2:]))
    session.type(ENTER)
    session.wait(lambda screen: screen.row == 2 and screen.typed == "A zebra.")


@pytest.mark.slow
def test_vi(model: Path, tmp_path: Path) -> None:
    """Keys are those of vi if that is asked for, by the option or the user's settings."""
    (tmp_path / "inputrc").write_text("set editing-mode vi\n")
    for options, settings in ((["--vi"], "/dev/null"), ([], str(tmp_path / "inputrc"))):
        with opened(model, *options, INPUTRC=settings) as session:
            session.type("one two")
            session.wait(lambda screen: screen.typed == "one two")
            session.type(ESCAPE)
            time.sleep(2 * LINGER)
            session.type("0x")
            session.wait(lambda screen: screen.typed == "ne two")


class TestClean:
    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("a\x07b\x1b]0;t\x1b\\c\u202ed", "ab]0;t\\cd"),
            ("one\r\ntwo\u2028three\x85four", "one\ntwo\nthree\nfour"),
            ("tab\tbed", "tab\tbed"),
        ],
    )
    def test_pasted(self, model: Path, tmp_path: Path, typed: str, kept: str) -> None:
        """Pasted control characters reach neither the file nor the terminal."""
        with opened(model, "-o", str(tmp_path / "notes.txt")) as session:
            session.paste(typed)
            session.type("." + ENTER)
            session.wait(lambda screen: screen.row > 0 and screen.text(screen.row) == ">")
            assert (tmp_path / "notes.txt").read_text() == kept + ".\n"
            assert not session.said("\x07")

    def test_no_utf_8(self, model: Path, tmp_path: Path) -> None:
        """A byte that is no UTF-8 becomes a replacement character, typed or pasted."""
        with opened(model, "-o", str(tmp_path / "notes.txt")) as session:
            session.type_bytes(b"caf\xe9 ")
            session.type_bytes(b"\x1b[200~na\xefve\x1b[201~")
            session.type(ENTER)
            session.wait(lambda screen: screen.row > 0 and screen.text(screen.row) == ">")
            assert (tmp_path / "notes.txt").read_text() == "caf\ufffd na\ufffdve\n"

    @pytest.mark.slow
    def test_editor(self, model: Path) -> None:
        """A text that an editor saves in another encoding than UTF-8 is still read."""
        with opened(model, VISUAL="", EDITOR=r"sed -i 's/A/\xe9/'") as session:
            session.type("A line.")
            session.wait(lambda screen: screen.typed == "A line.")
            session.type(CTRL_O)
            session.wait(lambda screen: screen.typed == "\ufffd line.")


class TestEnded:
    @pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
    @pytest.mark.slow
    def test_kept(self, model: Path, tmp_path: Path, ending: signal.Signals) -> None:
        """The unsent text of a session that was ended is restored by the next one, once."""
        notes = str(tmp_path / "notes.txt")
        with opened(model, "-o", notes) as session:
            session.type("A line that" + ALT_ENTER + "goes on")
            session.wait(lambda screen: screen.typed.strip() == "goes on")
            session.end(ending)
            assert session.exit_code() == 130
        unsent = tmp_path / "notes.txt.unsent"
        assert unsent.stat().st_mode & 0o077 == 0
        with opened(model, "-o", notes) as session:
            session.wait(lambda screen: screen.typed.strip() == "goes on")
            assert not unsent.exists()
            session.type(ENTER)
            session.wait(lambda screen: screen.text(screen.row) == ">")
            assert Path(notes).read_text() == "A line that\ngoes on\n"
            session.end(ending)
            assert session.exit_code() == 130
        assert not unsent.exists()

    def test_closed_terminal(self, model: Path, tmp_path: Path) -> None:
        """So it is when the terminal is closed, and without -o in the user's own folder."""
        with opened(model, XDG_STATE_HOME=str(tmp_path), HOME=str(tmp_path)) as session:
            session.type("A line")
            session.wait(lambda screen: screen.typed == "A line")
            session.hang_up()
        (kept,) = tmp_path.rglob("*.unsent")
        assert kept.read_text() == "A line"

    def test_suspended(self, session: Session) -> None:
        """Ctrl-Z writes nothing into the text."""
        session.type("The c" + CTRL_Z + "x")
        session.wait(lambda screen: screen.typed == "The cx")


class TestInterrupt:
    def test_clears(self, session: Session) -> None:
        """Ctrl-C clears the text, which the up arrow brings back; a second one leaves."""
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")
        session.type(CTRL_C)
        session.wait(lambda screen: screen.text(screen.row) == ">")
        session.type(UP)
        session.wait(lambda screen: screen.typed == "The c")
        session.type(CTRL_C)
        session.wait(lambda screen: screen.text(screen.row) == ">")
        session.type(CTRL_C)
        assert session.exit_code() == 130
        assert "Traceback" not in session.output
        assert "error" not in session.output


def test_hide(session: Session) -> None:
    """Esc dismisses suggestions until the next word; the typed text stays."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(ESCAPE)
    session.wait_for("The c", "")
    session.type("a")
    session.wait(lambda screen: screen.typed == "The ca")
    session.linger()
    assert not session.screen.ghost
    session.type("t ")
    session.wait_for("The cat", "sat on the mat")


def test_enter_never_takes(session: Session) -> None:
    """Enter never accepts a suggestion."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(ENTER)
    session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
    assert session.screen.text(0) == "> The c"


@pytest.mark.parametrize(("before", "after"), [(0, "dog"), (1, "cat")])
def test_context(session: Session, before: int, after: str) -> None:
    """The lines that were entered are context for the next one."""
    session.type(LINES[before] + ENTER)
    session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
    session.type("The ")
    session.wait(lambda screen: screen.ghost.startswith(after))


def test_no_ghost_inside_the_line(session: Session) -> None:
    """Inside the line nothing is suggested, and the right arrow moves on by a character."""
    session.type("The cx" + LEFT + BACKSPACE)
    session.wait(lambda screen: screen.typed == "The x")
    session.type(RIGHT + "y")
    session.wait(lambda screen: screen.typed == "The xy")


def test_toolbar(session: Session) -> None:
    """The toolbar shows the suggestions with their probabilities, and the keys."""
    session.type("The ")
    session.wait(lambda screen: "cat" in screen.lines[-1] and "dog" in screen.lines[-1])
    assert re.search(r"(cat|dog) \d+% +(cat|dog) \d+%", session.screen.lines[-1])
    for key in ("→", "Alt-]", "Tab", "F1", "Esc", "/help"):
        assert key in session.screen.lines[-1]


def test_count(model: Path) -> None:
    """-k sets how many suggestions there are to choose from."""
    with opened(model, "-k", "1") as session:
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")
        session.wait(lambda screen: len(re.findall(r"\d+%", screen.lines[-1])) == 1)


class TestMultipleLines:
    def test_new_line(self, model: Path, tmp_path: Path) -> None:
        """Alt-Enter starts a new line; Enter enters all of them."""
        with opened(model, "-o", str(tmp_path / "notes.txt")) as session:
            session.type("One" + ALT_ENTER + "two" + ENTER)
            session.wait(lambda screen: screen.row == 2 and screen.text(2) == ">")
            assert (tmp_path / "notes.txt").read_text() == "One\ntwo\n"

    def test_ghost_in_an_earlier_line(self, model: Path, tmp_path: Path) -> None:
        """The end of any line gets suggestions, and only its own."""
        with opened(model, "-o", str(tmp_path / "notes.txt")) as session:
            session.type("The c" + ALT_ENTER + "xy" + UP + END)
            session.wait(lambda screen: screen.row == 0)
            session.type("a")
            session.wait_for("The ca", "t sat on the mat")
            session.type(DOWN)
            session.wait(lambda screen: screen.row == 1 and not screen.ghost)
            session.linger()
            assert not session.screen.ghost
            session.type(UP)
            session.wait_for("The ca", "t sat on the mat")
            session.type(RIGHT)
            session.wait(lambda screen: screen.typed == "The cat sat on the mat")
            session.type(ENTER)
            session.wait(lambda screen: screen.row == 2 and screen.text(2) == ">")
            assert (tmp_path / "notes.txt").read_text() == "The cat sat on the mat\nxy\n"

    def test_paste(self, model: Path, tmp_path: Path) -> None:
        """A hundred kilobytes may be pasted; their line breaks do not enter anything."""
        text = "".join(f"{line}\n" for line in LINES) * 2000
        with opened(model, "-o", str(tmp_path / "notes.txt")) as session:
            session.paste(text + "The c")
            session.wait(lambda screen: screen.text(screen.row).startswith("  The c"))
            session.type(ENTER)
            session.wait(lambda screen: screen.text(screen.row) == ">")
            assert (tmp_path / "notes.txt").read_text() == text + "The c\n"

    def test_history(self, session: Session) -> None:
        """The up arrow recalls an entry."""
        session.type("A line." + ENTER)
        session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
        session.type(UP)
        session.wait(lambda screen: screen.row == 1 and screen.typed == "A line.")

    def test_history_has_no_old_ghost(self, session: Session) -> None:
        """A recalled entry does not show its old suggestion, whose context has changed."""
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")
        session.type(ENTER)
        session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
        session.type(UP)
        session.wait(lambda screen: screen.row == 1 and screen.typed == "The c")
        session.linger()
        assert not session.screen.ghost

    def test_editor(self, model: Path) -> None:
        """Ctrl-O opens an editor on the text."""
        with opened(model, VISUAL="", EDITOR="sed -i s/A/An/") as session:
            session.type("A line.")
            session.wait(lambda screen: screen.typed == "A line.")
            session.type(CTRL_O)
            session.wait(lambda screen: screen.typed == "An line.")


class TestWhy:
    def test_lines(self, session: Session) -> None:
        """F1 explains a suggestion: its sources, and lines of the training text."""
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")
        session.type(F1)
        session.wait(lambda screen: "  | The cat sat on the mat." in screen.lines)
        assert session.said("cat: 9[0-9.]+%")
        assert session.said("300 times in the training text, 0 in this one")
        assert session.said("it has 'The cat' 300 times")
        session.wait_for("The c", "at sat on the mat")

    def test_nothing(self, session: Session) -> None:
        """F1 says if there is no suggestion."""
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")
        session.type(LEFT + F1)
        session.wait(lambda screen: "no suggestion here" in screen.lines)

    def test_text_is_gone(self, model: Path, tmp_path: Path) -> None:
        """Without the training text only the sources are shown."""
        shutil.copy(model / "model.safetensors", tmp_path)
        with opened(tmp_path) as session:
            session.type("The c")
            session.wait_for("The c", "at sat on the mat")
            session.type(F1)
            session.wait(
                lambda screen: "  (the training text is gone or has changed)" in screen.lines
            )


class TestCommands:
    def test_help(self, session: Session) -> None:
        """/help lists keys and commands."""
        session.type("/help" + ENTER)
        session.wait(lambda screen: "leave, like Ctrl-D" in " ".join(screen.lines))
        for said in ("Alt-Enter", "/set dial", "/model", "/save FILE", "/stats", "/quit"):
            assert session.said(re.escape(said)), said

    def test_set(self, session: Session) -> None:
        """/set says how eager suggestions are, and changes it."""
        session.type("/set" + ENTER)
        session.wait(lambda screen: "dial 0.4: right at least 40% of the time; count 3" in
                     screen.lines)  # fmt: skip
        session.type("/set dial quiet" + ENTER)
        session.wait(lambda screen: "dial 0.7: right at least 70% of the time; count 3" in
                     screen.lines)  # fmt: skip
        session.type("/set count 1" + ENTER + "/set dial 1" + ENTER)
        session.wait(lambda screen: "dial 1: right at least 100% of the time; count 1" in
                     screen.lines)  # fmt: skip
        session.type("The c")
        session.wait(lambda screen: screen.typed == "The c")
        session.linger()
        assert not session.screen.ghost

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("/foo", "there is no command /foo; see /help; // begins a text"),
            ("/set dial loud", "no dial 'loud'; use quiet, normal, eager or a number from 0 to 1"),
            ("/set dial nan", "no dial 'nan'; use quiet, normal, eager or a number from 0 to 1"),
            ("/set count 0", "there is no setting count 0; try /set dial quiet or /set count 5"),
            ("/model nowhere", "nowhere does not exist; "),
            ("/save", "/save needs a file; name one: /save notes.txt"),
            ("/save /", "/ exists already; name another file"),
        ],
    )
    def test_mistakes(self, session: Session, command: str, answer: str) -> None:
        """A mistake is answered in one line, and the session continues."""
        session.type(command + ENTER)
        session.wait(lambda screen: any(line.startswith(answer) for line in screen.lines))
        session.wait(lambda screen: screen.text(screen.row) == ">")

    def test_save(self, session: Session, tmp_path: Path) -> None:
        """/save writes the text without commands; two slashes begin a text."""
        session.type("A line." + ENTER + "//usr" + ENTER + "/etc/fstab" + ENTER)
        session.type(f"/save {tmp_path / 'notes.txt'}" + ENTER)
        session.wait(lambda screen: any("24 characters saved to" in line for line in screen.lines))
        assert (tmp_path / "notes.txt").read_text() == "A line.\n/usr\n/etc/fstab\n"

    def test_stats(self, session: Session) -> None:
        """/stats prints keystrokes typed and saved."""
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")
        session.type(RIGHT + ENTER + "/stats" + ENTER)
        session.wait(lambda screen: any("1 suggestion accepted" in line for line in screen.lines))
        assert session.said("23 characters entered with 7 keystrokes: 70% saved")

    def test_model(self, session: Session, model: Path) -> None:
        """/model prints the training text, and loads another model."""
        session.type(f"/model {model}" + ENTER)
        session.wait(lambda screen: "trained on text.txt" in screen.lines)
        session.wait(lambda screen: screen.text(screen.row) == ">")
        session.type("The c")
        session.wait_for("The c", "at sat on the mat")

    def test_quit(self, session: Session) -> None:
        """/quit ends the session like Ctrl-D."""
        session.type("/quit" + ENTER)
        assert session.exit_code() == 0


class TestLearn:
    @pytest.fixture
    def store(self, tmp_path: Path) -> str:
        return str(tmp_path / "learned.sqlite")

    @pytest.mark.slow
    def test_next_session(self, model: Path, store: str) -> None:
        """With --learn a word that was entered is offered in the next session."""
        for learn in (["--learn"], []):
            with opened(model, *learn, CHARRNN_LEARNED=store) as session:
                session.type("Quagga zebras eat. Quagga zebras run." + ENTER)
                session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
                session.type(CTRL_D)
                assert session.exit_code() == 0
            assert Learned(Path(store)).counts()[0] == ("Quagga", 2)
        with opened(model, "--learn", CHARRNN_LEARNED=store) as session:
            session.type("Qua")
            session.wait(lambda screen: screen.ghost.startswith("gga"))

    def test_off(self, model: Path, store: str) -> None:
        """/learn prints what is kept, pauses learning and forgets a word."""
        with opened(model, "--learn", CHARRNN_LEARNED=store) as session:
            session.type("A quagga." + ENTER + "/learn off" + ENTER + "A zebra." + ENTER)
            session.wait(lambda _: session.said("learning is paused; 2 words"))
            session.type("/learn on" + ENTER + "/learn forget quagga" + ENTER)
            session.wait(lambda _: session.said("forgot quagga, learned once"))
        assert Learned(Path(store)).words() == ["A"]

    def test_without(self, session: Session) -> None:
        """Without --learn nothing is learned, and /learn says so."""
        session.type("/learn" + ENTER)
        session.wait(lambda _: session.said("not learning; start"))


def test_narrow(model: Path) -> None:
    """Twenty columns are enough, for wide characters too."""
    with opened(model, columns=20) as session:
        session.type("漢字 The c")
        session.wait(lambda screen: any("at sat" in line for line in screen.lines))
        session.type(ENTER + CTRL_D)
        assert session.exit_code() == 0
    assert "Traceback" not in session.output


def test_end(session: Session) -> None:
    """Ctrl-D on an empty line ends the session with exit code 0."""
    session.type("The cat" + ENTER)
    session.wait(lambda screen: screen.row == 1 and screen.text(1) == ">")
    session.type(CTRL_D)
    assert session.exit_code() == 0
    assert "Traceback" not in session.output


def test_no_color(model: Path) -> None:
    """With NO_COLOR nothing is coloured, and suggestions are still shown."""
    with opened(model, NO_COLOR="1") as session:
        session.type("The c")
        session.wait(lambda screen: "The cat sat on the mat" in screen.text(screen.row))
        session.type(ESCAPE)
        session.wait(lambda screen: screen.text(screen.row) == "> The c")
        styles = re.findall(r"\x1b\[([\d;]*)m", session.output)
        codes = {int(code) for style in styles for code in style.split(";") if code}
        assert not codes & {*range(30, 50), *range(90, 108)}


def test_dumb_terminal(model: Path) -> None:
    """A terminal that understands no sequences still takes lines, up to Ctrl-D."""
    with opened(model, TERM="dumb") as session:
        session.type("The cat")
        session.wait(lambda screen: "The cat" in screen.text(screen.row))
        session.type(ENTER)
        session.wait(lambda screen: screen.text(screen.row) == ">")
        session.type_until_the_end(CTRL_D)
        assert session.exit_code() == 0
        assert "Traceback" not in session.output


def test_long_line(session: Session) -> None:
    """A line too long for the terminal does not end the session."""
    session.type("The cat sat on the mat. " * 6 + ENTER)
    session.wait(lambda screen: screen.lines[-2:-1] == [">"] or screen.text(screen.row) == ">")
    session.type(CTRL_D)
    assert session.exit_code() == 0
