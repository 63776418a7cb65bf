"""Ranks the words that may come next: the network's, the training text's and recent ones."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from charrnn.arrays import Array, Floats
from charrnn.network.engine import Engine, State
from charrnn.suggestions.mixture import (
    BEGIN,
    FEATURES,
    OTHER,
    SOURCES,
    Weights,
    probabilities,
)
from charrnn.suggestions.network_source import NetworkSource
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.recency_source import RecencySource
from charrnn.suggestions.source import Given, Typed
from charrnn.suggestions.trigram_source import TrigramSource
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.words import LONGEST_WORD, is_unspaced, partial_word
from charrnn.tokenizer import Tokenizer

LONGEST_OFFERED = 40  # maximum length of a suggested word in characters (not tuned)
MIN_SPACE = 0.05  # minimum probability of a space to suggest the word after it (not tuned)
RUN_ON = 6  # maximum length of a suggestion in a script without spaces, in characters (not tuned)
MIN_RUN_ON = 0.5  # minimum probability of each further character in such a suggestion (not tuned)
WORTH = 2  # minimum keystrokes that ghost text must save; fewer distract (not tuned)
MADE_UP = 0.7  # minimum probability of an unknown word; 0.5 gave the same results
AFTER_ABBREVIATION = re.compile(r"[^\W\d_]\.\Z")  # matches a full stop with no space after it
# The window is the end of the text that suggestions depend on. It starts at a multiple of WINDOW.
WINDOW = 20_000  # characters; after a jump the window has one to two times as many (not tuned)
MAX_WINDOW = 200_000  # maximum length of the window while typing on, in characters (not tuned)
NEAR = 500  # a change this close to the end, in characters, keeps the window's start (not tuned)
OTHER_APOSTROPHE = {"'": "’", "’": "'"}  # maps each apostrophe to the other one
PHRASE_FLOOR = 0.05  # minimum probability of a phrase, whatever the caller accepts (not tuned)
PHRASE_WORDS = 7  # maximum words of a phrase after the first (not tuned)
PHRASE_CHOICES = 3  # candidates from the network for the next word of a phrase (not tuned)
PHRASE_LONGEST = 80  # maximum length of a phrase in characters (not tuned)
SHOWN_FROM = 0.005  # minimum probability of a suggestion: below, it would be shown as 0 %
RERANKED = 16  # candidates reranked by the text after the cursor (not tuned)
KEPT_ANSWERS = 32  # number of questions whose answers are kept (not tuned)


T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Completion:
    """A suggestion.

    Attributes:
        text: The insertion after the typed text, with a leading space where one is due.
        p: Probability that the text continues with exactly this word; in a script without spaces,
            with these characters.
    """

    text: str
    p: float


class Reasons(NamedTuple):
    """What each source says of a word.

    Attributes:
        network: Its probability under the network, given the partial word.
        trigrams: Its probability under the trigram model, given the partial word.
        trained: Number of its occurrences in the training text.
        recent: Number of its occurrences in the text being typed.
        earlier: Number of its occurrences among the words typed before that text.
    """

    network: float
    trigrams: float
    trained: int
    recent: int
    earlier: int


class Options(NamedTuple):
    """Candidates for the rest of the partial word, or for the next word.

    Attributes:
        texts: Candidate insertions; then "" if the partial word may already be complete; last, None
            for every other continuation.
        features: Features of each candidate, [N, len(FEATURES)].
        recent: Each candidate's probability as a repetition of a recent word, [N].
        typed: Length of the partial word in characters.
    """

    texts: list[str | None]
    features: Array
    recent: Array
    typed: int

    def probabilities(self, weights: Weights) -> Floats:
        """Return the probability of each candidate, [N].

        The features are mixed log-linearly, the recent words linearly: a name that was typed before
        and is in no other source is offered at its first letters.
        """
        p = probabilities(self.features, self.typed, weights)
        return np.asarray(p * (1 - self.recent.sum(dtype=np.float64)) + self.recent)


class Completer:
    """Ranks the words that may come next.

    Args:
        engine: The network.
        tokenizer: Its tokenizer.
        start: Its state before any text.
        trigrams: Trigrams of the training text.
        weights: Weights of the sources, [TYPED, len(FEATURES)]; by default BEGIN. An attribute too.
        adapts: Whether to adapt to the text being typed.
        earlier: Words typed before that text, the oldest first.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        start: State,
        trigrams: Trigrams,
        weights: Weights | None = None,
        adapts: bool = True,
        earlier: Iterable[str] = (),
    ) -> None:
        self.weights = BEGIN if weights is None else weights
        given = Given(engine, tokenizer, start, trigrams, adapts, earlier)
        self._network = NetworkSource(given)
        self._sources = [source(given) for source in SOURCES]
        self._answers: dict[Hashable, Any] = {}  # answers by question, the oldest first
        self._updates = 0
        curly = sum(OTHER_APOSTROPHE["'"] in token for token in trigrams.tokens)
        straight = sum("'" in token for token in trigrams.tokens)
        self._apostrophe = "'" if curly <= straight else "’"
        self._typed, self._window_start = "", 0

    def complete(
        self,
        typed: str,
        k: int = 3,
        dismissals: Dismissals | None = None,
        after: str = "",
        spaces: bool = True,
    ) -> list[Completion]:
        """Return the `k` most likely completions of the partial word, or next words, best first.

        Args:
            typed: All the text so far; it may end in a partial word.
            k: Maximum number of completions.
            dismissals: The user's, to demote suggestions that were dismissed.
            after: Text after the cursor, to prefer what fits it.
            spaces: Whether a completion may begin with a space.
        """
        self._read(typed)
        found, ahead = self._ranked(typed, k, dismissals), self._ahead()
        if spaces and typed and not typed[-1].isspace():
            rest = 1 - sum(word.p for word in found)
            space = min(ahead._space(typed), rest)
            if space >= MIN_SPACE:
                next_words = ahead._ranked(typed, k, dismissals, " ")
                found += [Completion(word.text, space * word.p) for word in next_words]
        found = sorted(found, key=_unlikely)
        if after and found:
            found = self._reranked(typed, found[:RERANKED], after)
        found = [ahead._run_on(typed, completion) for completion in found[:k]]
        return sorted(found, key=_unlikely)

    def _reranked(self, typed: str, found: list[Completion], after: str) -> list[Completion]:
        """Rerank completions by the probability of `after`; their probabilities keep their sum."""
        texts = [word.text for word in found]
        logp = self._network.followed(self._window(typed), texts, after)
        p = np.array([word.p for word in found])
        reranked = p * np.exp(logp - logp.max())
        reranked *= p.sum() / reranked.sum()
        found = [Completion(*each) for each in zip(texts, reranked.tolist(), strict=True)]
        return sorted(found, key=_unlikely)

    def _run_on(self, typed: str, completion: Completion) -> Completion:
        """In a script without spaces, extend a completion by the characters likely to follow."""
        text, p = completion.text, completion.p
        while is_unspaced(text) and len(text) < RUN_ON:
            following = self._ranked(typed + text, 1, None)[:1]
            if not following or following[0].p < MIN_RUN_ON or not is_unspaced(following[0].text):
                break
            text += following[0].text
            p *= following[0].p
        return Completion(text, p)

    def phrase(self, typed: str, first: Completion, least: float) -> str:
        """Extend a completion word by word while the whole stays likely enough.

        Args:
            typed: All the text so far.
            first: The completion that the phrase begins with.
            least: Minimum probability of the whole phrase; at least PHRASE_FLOOR.
        """
        self._read(typed)
        ahead, phrase, p, least = self._ahead(), first.text, first.p, max(least, PHRASE_FLOOR)
        for _ in range(PHRASE_WORDS):
            following = ahead._following(typed + phrase, least / p)
            if not following or len(phrase + following.text) > PHRASE_LONGEST:
                break
            phrase += following.text
            p *= following.p
        return phrase

    def _following(self, typed: str, least: float) -> Completion | None:
        """Return what most likely follows a text whose last word is complete, if likely enough."""
        found, space = [], self._space(typed)
        if space >= max(least, MIN_SPACE):
            words = self._ranked(typed, PHRASE_CHOICES, None, " ")[:1]
            found = [Completion(word.text, space * word.p) for word in words]
        if not partial_word(typed):
            unspaced = [w for w in self._ranked(typed, PHRASE_CHOICES, None) if is_unspaced(w.text)]
            found += [self._run_on(typed, word) for word in unspaced[:1]]
        return min((each for each in found if each.p >= least), key=_unlikely, default=None)

    def _ahead(self) -> Self:
        """Return a completer for texts beyond the last one; it does not adapt to them."""
        other = copy(self)
        other._network = self._network.fork()
        return other

    def _read(self, typed: str) -> None:
        """Read a text; if the network adapted to it, forget the answers that are no longer true."""
        updates = self._network.read(self._window(typed))
        if updates != self._updates:
            self._answers.clear()
            self._updates = updates

    def _once(self, question: Hashable, find: Callable[[], T]) -> T:
        """Return the answer to a question; those to the last KEPT_ANSWERS questions are cached.

        Typing out a suggestion repeats questions that were asked when looking ahead.
        """
        answer = self._answers.pop(question, None) or find()
        self._answers[question] = answer
        if len(self._answers) > KEPT_ANSWERS:
            del self._answers[next(iter(self._answers))]
        return answer

    def _space(self, typed: str) -> float:
        """Return the probability that a space comes next."""
        window = self._window(typed)
        return self._once(window, lambda: self._network.space(window))

    def extend(self, typed: str, k: int, dismissals: Dismissals | None = None) -> list[Completion]:
        """Return completions as `complete` does, but with no leading space and no run-on."""
        self._read(typed)
        return self._ranked(typed, k, dismissals)[:k]

    def knows(self, word: str) -> bool:
        """Return whether a word occurs in the training text, or was typed before."""
        word = self._apostrophes(word)
        return any(source.knows(word) for source in self._sources)

    def read_ahead(self, typed: str) -> Iterator[None]:
        """Read a text before anything is asked about it, one block for each item yielded.

        Do not resume this after asking about another text.
        """
        return self._network.read_ahead(self._window(typed))

    def reasons(self, typed: str, text: str) -> Reasons | None:
        """Return what each source says of an insertion without a space, or None if none has it."""
        options = self.options(typed, 1)
        if text not in options.texts:
            return None
        word = self._apostrophes(partial_word(typed) + text)
        row = options.features[options.texts.index(text)]
        trigrams, recent = self._source(TrigramSource), self._source(RecencySource)
        return Reasons(
            network=float(np.exp(row[FEATURES.index("network")])),
            trigrams=float(np.exp(row[FEATURES.index("trigrams")])),
            trained=trigrams.count(word),
            recent=recent.count(word),
            earlier=recent.count(word, earlier=True),
        )

    def _ranked(
        self, typed: str, k: int, dismissals: Dismissals | None, space: str = ""
    ) -> list[Completion]:
        """Return all candidates, with `space` inserted before them."""
        options = self._known_options(typed + space, k)
        texts = [space + text if text else None for text in options.texts]
        return ranked(typed, texts, options.probabilities(self.weights), dismissals)

    def options(self, typed: str, k: int) -> Options:
        """Return the candidates and their features; at least `k` come from the network."""
        self._read(typed)
        return self._known_options(typed, k)

    def _known_options(self, typed: str, k: int) -> Options:
        window = self._window(typed)
        options = self._once((window, k), lambda: self._options(window, k))
        curly = typed.rfind(OTHER_APOSTROPHE[self._apostrophe]) > typed.rfind(self._apostrophe)
        if not curly:
            return options
        # Suggest the writer's apostrophe, whichever one the training text uses.
        texts = [text and self._apostrophes(text, back=True) for text in options.texts]
        return options._replace(texts=texts)

    def _options(self, typed: str, k: int) -> Options:
        asked = Typed(typed, partial_word(typed))
        partial = asked.partial
        if len(partial) == LONGEST_WORD:  # words are no longer than this
            others = np.array([[name in OTHER for name in FEATURES]], np.float32)
            return Options([None], others, np.zeros(1, np.float32), len(partial))
        texts = self._seen(asked)
        lower = partial.lower()
        other_case = lower != partial and len(lower) == len(partial)
        if other_case and not texts and self._seen(Typed(asked.before + lower, lower)):
            options = self._options(asked.before + lower, k)
            if partial.isupper() and len(partial) > 1:
                capitals = [text and text.upper() for text in options.texts]
                return options._replace(texts=capitals)
            return options
        texts += self._network.candidates(asked, texts, k)
        room = LONGEST_OFFERED - len(partial)
        texts = [text for text in dict.fromkeys(texts) if 0 < len(text) <= room]
        if partial:
            texts.append("")
        columns = [self._network.features(asked, texts)]
        columns += [source.features(asked, texts) for source in self._sources]
        other = np.zeros((len(texts) + 1, len(OTHER)), np.float32)
        other[-1] = 1
        recent, mass = self._source(RecencySource), self._source(TrigramSource).mass(partial)
        repeated = recent.repeated(asked, texts, mass)
        return Options([*texts, None], np.hstack([*columns, other]), repeated, len(partial))

    def _seen(self, asked: Typed) -> list[str]:
        """Return the candidates of all sources but the network."""
        return [text for source in self._sources for text in source.candidates(asked)]

    def _source(self, kind: type[S]) -> S:
        return next(source for source in self._sources if isinstance(source, kind))

    def _window(self, text: str) -> str:
        """Return the end of a text, from a start that seldom moves, so that little is reread."""
        text = self._apostrophes(text)
        new = len(text) - len(self._typed)
        same = text.startswith(self._typed[:-NEAR]) or self._typed.startswith(text)
        counts = len(text) - self._window_start
        if not (same and new < WINDOW and WINDOW // 2 <= counts <= MAX_WINDOW):
            self._window_start = max(0, len(text) // WINDOW - 1) * WINDOW
        self._typed = text
        return text[self._window_start :]

    def _apostrophes(self, text: str, back: bool = False) -> str:
        """Convert apostrophes to the training text's kind, or back."""
        trained, other = self._apostrophe, OTHER_APOSTROPHE[self._apostrophe]
        return text.replace(trained, other) if back else text.replace(other, trained)


def ranked(
    typed: str, texts: Sequence[str | None], p: Floats, dismissals: Dismissals | None
) -> list[Completion]:
    """Return completions, the most likely first.

    Args:
        typed: All the text so far.
        texts: Candidate insertions; None or "" stands for other continuations.
        p: Their probabilities, [len(texts)]; a candidate with probability 0 is left out.
        dismissals: The user's, to demote suggestions that were dismissed.
    """
    if dismissals:
        p = p * dismissals.factors(typed, texts)
        p /= p.sum()
    order = np.argsort(-p, kind="stable").tolist()
    return [Completion(text, float(p[i])) for i in order if (text := texts[i]) and p[i]]


def _unlikely(completion: Completion) -> float:
    return -completion.p


def worth_showing(
    typed: str,
    completion: Completion,
    least: float,
    knows: Callable[[str], bool],
    phrase: str = "",
) -> bool:
    """Return whether to show a suggestion as ghost text.

    Args:
        typed: The text before the cursor.
        completion: The most likely suggestion.
        least: Minimum probability; 0 shows all, except after numbers and abbreviations.
        knows: Tells whether a word occurs in the training text or was typed before.
        phrase: The ghost text, if it runs on beyond the word.
    """
    partial, text = partial_word(typed), completion.text
    within = not text[0].isspace()
    if completion.p < least or any(c.isdigit() for c in partial):
        return False
    if within and not partial and AFTER_ABBREVIATION.search(typed[-LONGEST_OFFERED:]):
        return False
    if not least:
        return True
    space = not is_unspaced(text[-1])
    if len(phrase or text) + space - 1 < WORTH:
        return False
    word = partial + text if within else text.strip()
    return completion.p >= MADE_UP or is_unspaced(word) or knows(word) or knows(word.lower())
