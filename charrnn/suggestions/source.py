"""What a source of suggestions offers: candidates, and features of all sources' candidates."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol

from charrnn.arrays import Array
from charrnn.network.engine import Engine, State
from charrnn.suggestions.trigrams import Trigrams
from charrnn.tokenizer import Tokenizer

TINY = 1e-5  # probability that a source gives to a word that it does not know (not tuned)


class Typed(NamedTuple):
    """What was typed.

    Attributes:
        text: All the text so far.
        partial: The partial word at its end; if empty, a word begins.
    """

    text: str
    partial: str

    @property
    def before(self) -> str:
        """The text before the partial word."""
        return self.text[: len(self.text) - len(self.partial)]


class Given(NamedTuple):
    """What sources are made from.

    Attributes:
        engine: The network.
        tokenizer: Its tokenizer.
        start: Its state before any text.
        trigrams: Trigrams of the training text.
        adapts: Whether to adapt to the text being typed.
        earlier: Words typed before that text, the oldest first.
    """

    engine: Engine
    tokenizer: Tokenizer
    start: State
    trigrams: Trigrams
    adapts: bool = True
    earlier: Iterable[str] = ()


class SuggestionSource(Protocol):
    """A source of words that were seen; a class in mixture.SOURCES, constructed from a Given.

    Attributes:
        FEATURES: Default weights by feature name, as in model files: one for each number of letters
            typed, [mixture.TYPED].
    """

    FEATURES: ClassVar[Mapping[str, Sequence[float]]]

    def __init__(self, given: Given) -> None: ...

    def candidates(self, typed: Typed) -> list[str]:
        """Return insertions that complete the partial word, or possible next words."""
        ...

    def features(self, typed: Typed, texts: Sequence[str]) -> Array:
        """Return the features of each text, then those of all other continuations.

        Args:
            typed: What was typed, as in the last call of `candidates`.
            texts: Candidates of all sources; "" is the partial word as it stands.

        Returns:
            Features in the order of FEATURES, float32 [len(texts) + 1, len(FEATURES)].
        """
        ...

    def knows(self, word: str) -> bool:
        """Return whether the source has seen a word."""
        ...
