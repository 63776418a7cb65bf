"""Fixtures of the server tests."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from charrnn.model import Model
from charrnn.tokenizer import TOKENIZERS
from tests.models import random_model
from tests.servers.editor import Editor


@pytest.fixture
def model() -> Model:
    return random_model(TOKENIZERS["char"].train("The cat sat on the mat. " * 9))


@pytest.fixture
def editor(model: Model) -> Iterator[Editor]:
    with closing(Editor(model)) as editor:
        yield editor
