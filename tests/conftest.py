"""What several test files share."""

import os
import signal

# Before torch starts its threads: tiny networks only lose time by sharing their work.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

from charrnn.model import Model
from charrnn.tokenizer import TOKENIZERS
from tests.models import CORPUS, random_model

# What a shell starts in the background ignores Ctrl-C, and so would the commands tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines are shared: the time that an example takes says nothing.
settings.register_profile("charrnn", deadline=None, max_examples=15)
settings.load_profile("charrnn")


@pytest.fixture(scope="session")
def char_model() -> Model:
    return random_model(TOKENIZERS["char"].train(CORPUS))


@pytest.fixture(scope="session")
def word_model() -> Model:
    return random_model(TOKENIZERS["word"].train(CORPUS))


@pytest.fixture(scope="session", params=TOKENIZERS)
def model(request: pytest.FixtureRequest) -> Model:
    """A small model of each level."""
    return random_model(TOKENIZERS[request.param].train(CORPUS))
