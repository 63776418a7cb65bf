"""Sessions of a small model."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn.cli import main
from tests.cli.shell import one_thread

if sys.platform == "win32":  # there is no pseudo-terminal
    collect_ignore = ["test_keys.py", "test_repl.py", "test_slash_commands.py", "test_terminal.py"]
else:
    from tests.session.screen import LINES, Session, opened


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained on two alternating lines."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "text.txt").write_text("".join(f"{line}\n" for line in LINES) * 300)
    run = folder / "run"
    network = ["--level", "char", "--hidden", "48", "--dropout", "0", "--weight-decay", "0"]
    options = [*network, "--lr", "0.03", "--steps", "150", "--val", "0", "-q"]
    with one_thread():
        assert main(["train", str(folder / "text.txt"), "-o", str(run), *options]) == 0
    return run


@pytest.fixture
def session(model: Path) -> "Iterator[Session]":
    with opened(model) as session:
        yield session
