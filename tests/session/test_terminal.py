"""Terminals that can do less, and colours that are not wanted."""

import re
from pathlib import Path

from tests.session.screen import CTRL_D, ENTER, ESCAPE, opened


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
        assert 2 in codes  # dim


def test_early_keys(model: Path) -> None:
    """What is typed before the prompt stands is shown once, after it."""
    with opened(model, early="The c") as session:
        session.wait(lambda screen: screen.text(screen.row).startswith("> The c"))
        assert sum("The c" in line for line in session.screen.lines) == 1


def test_dumb_terminal(model: Path) -> None:
    """A terminal that understands no sequences still takes lines, up to Ctrl-D."""
    with opened(model, TERM="dumb") as session:
        session.type("The cat")
        session.wait(lambda screen: "The cat" in screen.text(screen.row))
        session.type(ENTER)
        session.wait(lambda screen: screen.text(screen.row) == ">")
        session.type_until_the_end(CTRL_D)
        assert session.exit_code() == 0
        assert "cannot show suggestions" in session.output
        assert "Traceback" not in session.output
