"""The interactive session, typed into through a real pseudo-terminal."""

import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.session.screen import (
    BACKSPACE,
    CTRL_C,
    CTRL_D,
    CTRL_Z,
    END,
    ENTER,
    LEFT,
    LINES,
    RIGHT,
    Session,
    opened,
)

UP, DOWN, F1, ALT_ENTER, CTRL_O = "\x1b[A", "\x1b[B", "\x1bOP", "\x1b\r", "\x0f"


def test_ghost_text(session: Session) -> None:
    """Ghost text follows the typed text."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type(BACKSPACE + "d")
    session.wait_for("The d", "og ran to the house")
    session.type("og r")
    session.wait_for("The dog r", "an to the house")


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


def test_along_the_ghost(session: Session) -> None:
    """A suggestion being typed stays, and can be accepted at any moment."""
    session.type("The c")
    session.wait_for("The c", "at sat on the mat")
    session.type("at s" + RIGHT)  # before the model has answered
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
        assert session.said("the training text has 'The cat' 300 times")
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


def test_end_with_text(session: Session) -> None:
    """At the end of a text Ctrl-D ends the session and keeps the text; within, it deletes."""
    session.type("The cat" + LEFT + CTRL_D)
    session.wait(lambda screen: screen.typed == "The ca")
    session.type(CTRL_D)
    assert session.exit_code() == 0
    assert "the unsent text is kept in" in session.output


def test_long_line(session: Session) -> None:
    """A line too long for the terminal does not end the session."""
    session.type("The cat sat on the mat. " * 6 + ENTER)
    session.wait(lambda screen: screen.lines[-2:-1] == [">"] or screen.text(screen.row) == ">")
    session.type(CTRL_D)
    assert session.exit_code() == 0
