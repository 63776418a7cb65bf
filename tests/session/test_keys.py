"""The keys of the session."""

import time
from pathlib import Path

import pytest

from tests.session.screen import (
    ALT_1,
    ALT_F,
    ALT_SLASH,
    BACKSPACE,
    CTRL_E,
    CTRL_RIGHT,
    CTRL_SPACE,
    END,
    ENTER,
    ESCAPE,
    F2,
    LEFT,
    LINGER,
    RIGHT,
    SHIFT_TAB,
    TAB,
    Session,
    opened,
)


def slow(key: str) -> object:
    """A key that is only tested with the slow tests."""
    return pytest.param(key, marks=pytest.mark.slow)


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
