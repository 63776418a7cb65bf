"""A log for several test files."""

from pathlib import Path

import pytest

from charrnn.display.plot.log import Log
from tests.display.plot.logs import done, read, start, trained


@pytest.fixture
def book(tmp_path: Path) -> Log:
    """A run that came to its end."""
    return read(tmp_path, start(), *trained(0, 1000), done(1000))
