"""Commands that begin with a slash."""

import re
from pathlib import Path

import pytest

from charrnn.suggestions.typing_history import Learned
from tests.session.screen import CTRL_D, ENTER, RIGHT, Session, opened


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
            ("/foo", "there is no command /foo; see /help; // types a /"),
            ("/set dial loud", "no dial 'loud'; use quiet, normal, eager or a number from 0 to 1"),
            ("/set dial nan", "no dial 'nan'; use quiet, normal, eager or a number from 0 to 1"),
            ("/set count 0", "there is no setting count 0; try /set dial quiet or /set count 5"),
            ("/model nowhere", "nowhere does not exist; "),
            ("/save", "/save needs a file; name one: /save notes.txt"),
            (
                "/save no/where",
                "cannot write no/where: No such file or directory; name another file: ",
            ),
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
            session.wait(lambda _: session.said("forgot quagga, typed once"))
        assert Learned(Path(store)).words() == ["A"]

    def test_without(self, session: Session) -> None:
        """Without --learn nothing is learned, and /learn says so."""
        session.type("/learn" + ENTER)
        session.wait(lambda _: session.said("not learning; start"))
