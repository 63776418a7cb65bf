"""The models of the command line's tests."""

from tests.cli.conftest import corpus, word_trained

__all__ = ["corpus", "word_trained"]
