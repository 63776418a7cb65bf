"""A tokenizer of each level."""

import pytest

from charrnn.tokenizer import (
    TOKENIZERS,
    Tokenizer,
)
from tests.tokenizer.texts import LEVELS, SEEN


@pytest.fixture(scope="module", params=LEVELS)
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param].train(SEEN)
