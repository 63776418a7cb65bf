"""From what was typed to ranked next words: the network's, the training text's and recent ones."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array, Floats
from charrnn.network.engine import Engine
from charrnn.suggestions.mixture import BEGIN, FEATURES, Weights, probabilities
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.recency_cache import RecencyCache
from charrnn.suggestions.trigrams import Trigrams
from charrnn.suggestions.word_search import WordSearch
from charrnn.text.words import LONGEST_WORD, is_unspaced, partial_word
from charrnn.tokenizer import Tokenizer

BEAM = 8  # texts that the network pursues at once
FIRST, LATER = 12, 8  # candidates of the trigrams before a word's first letter, and after it
COMMON = 4  # candidates that are merely common, after it
RECENT = 8
LONGEST_OFFERED = 40  # maximum length of a suggested word in characters (not tuned)
LEARNING_RATE = 0.01  # of the network's output layer
LEAST_SPACE = 0.05  # probability of a space from which the word after it is looked for
RUN_ON = 6  # characters at the most that a suggestion has in a script without spaces,
WORTH = 2  # minimum keystrokes that ghost text must save; fewer distract (not tuned)
MADE_UP = 0.7  # minimum probability of a word in no known text; with 0.5 the same (not tuned)
AFTER_ABBREVIATION = re.compile(r"[^\W\d_]\.\Z")  # a full stop with no space after it
LIKELY = 0.5  # each after the first of at least this probability
RECENT_SHARE = 0.07  # of the words are merely repeated
NEW_WORD, NEW_LETTER = 1e-3, 0.05  # of them are new, and how likely a letter of theirs is
UNSEEN = 1e-4, 1e-3  # shares of recent words, and of followers, that count like none
CONTEXT = 20_000  # characters before the cursor that count, at least; then up to twice as many,
LONGEST = 200_000  # and more while the text is typed on,
NEAR = 500  # or changed no further back; after a jump back half as many may do
OTHER = {"'": "’", "’": "'"}  # of the two apostrophes
SMALLEST = 1e-30
SHOWN_FROM = 0.005  # a smaller probability is no suggestion: it would be shown as 0 %
WEIGHED = 16  # of the likeliest are weighed by what follows the cursor
TINY = 1e-5  # the probability that a source gives to what it does not know


@dataclass(frozen=True, slots=True)
class Completion:
    """A suggestion.

    Attributes:
        text: what would be inserted after the typed text, with a leading space where one is due.
        p: probability that the text goes on exactly so, to the end of that word; in a script
            without spaces whatever comes after it.
    """

    text: str
    p: float


class Reasons(NamedTuple):
    """What speaks for a word.

    Attributes:
        network: its probability under the network, given the partial word.
        trigrams: its probability under the trigram model, given the partial word.
        trained: number of its occurrences in the training text.
        recent: number of its occurrences in the text being typed,
        earlier: and among the words that were typed before it.
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
        """Of each text, [N]: log-linear in the features, and linear in the recent words.

        So a name that was typed before and is in no other source is offered at its first letters:
        nothing else begins so.
        """
        p = probabilities(self.features, self.typed, weights)
        return np.asarray(p * (1 - self.recent.sum(dtype=np.float64)) + self.recent)


class Completer:
    """Ranks the words that may come next.

    Args:
        engine: the network,
        tokenizer: its tokens,
        start: and its state before any text, [L, S, 1, H].
        ngram: the trigrams of the training text.
        weights: of the sources; by default those that suit most.
        recent: whether words of the text being typed count more.
        earlier: words that were typed before it, the oldest first.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        start: Array,
        ngram: Trigrams,
        weights: Weights | None = None,
        recent: bool = True,
        earlier: Iterable[str] = (),
    ) -> None:
        self._weights = BEGIN if weights is None else weights
        self._network = WordSearch(engine, tokenizer, start, BEAM, LEARNING_RATE if recent else 0)
        self._ngram = ngram
        self._counts = ngram.word_counts
        self._before: str | None = None
        self._trigrams = ngram.unigram
        self._recent = RecencyCache(earlier) if recent else None
        self._asked: tuple[str, int, str] | None = None
        curly = sum(OTHER["'"] in token for token in ngram.tokens)
        self._apostrophe = "'" if 2 * curly <= sum("'" in t for t in ngram.tokens) + curly else "’"
        self._typed, self._begin = "", 0

    def complete(
        self,
        typed: str,
        k: int = 3,
        dismissals: Dismissals | None = None,
        after: str = "",
        spaces: bool = True,
    ) -> list[Completion]:
        """The `k` likeliest ways to end the word being typed, or the next one, the best first.

        Args:
            typed: all the text so far; its last word may be half typed.
            k: completions at the most.
            dismissals: of who types, if what was passed over shall be less likely.
            after: some of the text that already stands behind what is typed.
            spaces: whether a completion may begin with a space.
        """
        found = self._ranked(typed, k, dismissals)
        if spaces and typed and not typed[-1].isspace():
            rest = 1 - sum(word.p for word in found)
            space = min(self._network.space(self._window(typed)), rest)
            if space >= LEAST_SPACE:
                next_words = self._ranked(typed, k, dismissals, " ")
                found += [Completion(word.text, space * word.p) for word in next_words]
        found = sorted(found, key=_unlikely)
        if after and found:
            found = self._weighed(typed, found[:WEIGHED], after)
        found = [self._run_on(typed, completion) for completion in found[:k]]
        return sorted(found, key=_unlikely)

    def _weighed(self, typed: str, found: list[Completion], after: str) -> list[Completion]:
        """Some completions weighed by how well `after` follows; their sum stays the same."""
        texts = [word.text for word in found]
        logp = self._network.followed(self._window(typed), texts, after)
        p = np.array([word.p for word in found])
        weighed = p * np.exp(logp - logp.max())
        weighed *= p.sum() / weighed.sum()
        found = [Completion(*each) for each in zip(texts, weighed.tolist(), strict=True)]
        return sorted(found, key=_unlikely)

    def _run_on(self, typed: str, completion: Completion) -> Completion:
        """In a script without spaces, as many characters as are likely to come together."""
        text, p = completion.text, completion.p
        while is_unspaced(text) and len(text) < RUN_ON:
            following = self._ranked(typed + text, 1, None)[:1]
            if not following or following[0].p < LIKELY or not is_unspaced(following[0].text):
                break
            text += following[0].text
            p *= following[0].p
        return Completion(text, p)

    def extend(self, typed: str, k: int, dismissals: Dismissals | None = None) -> list[Completion]:
        """As `complete`, but no space comes first, and in no script is more than a word found."""
        return self._ranked(typed, k, dismissals)[:k]

    def knows(self, word: str) -> bool:
        """Whether a word stands in the training text, or was typed before."""
        word = self._apostrophes(word)
        recent = self._recent is not None and self._recent.share(word) > 0
        return recent or self._ngram.id(word) is not None

    def read_ahead(self, typed: str) -> Iterator[None]:
        """Read a text before anything is asked about it, some of it for each item.

        Whoever asks about it meanwhile does not go on with this.
        """
        return self._network.read_ahead(self._window(typed))

    def reasons(self, typed: str, text: str) -> Reasons | None:
        """What speaks for `text`, which goes on without a space; None if nothing suggests it."""
        options = self.options(typed, 1)
        if text not in options.texts:
            return None
        word = self._apostrophes(partial_word(typed) + text)
        network, trigrams = np.exp(options.features[options.texts.index(text), :2]).tolist()
        known = self._ngram.id(word)
        return Reasons(
            network,
            trigrams,
            0 if known is None else int(self._ngram.counts[known]),
            self._recent.count(word) if self._recent else 0,
            self._recent.count(word, earlier=True) if self._recent else 0,
        )

    def _ranked(
        self, typed: str, k: int, dismissals: Dismissals | None, space: str = ""
    ) -> list[Completion]:
        """All candidates, after a space that is to be inserted before them."""
        if self._asked != (typed, k, space):  # several users may ask about the same text
            options = self.options(typed + space, k)
            texts = [space + text if text else None for text in options.texts]
            self._asked = typed, k, space
            self._answer = texts, options.probabilities(self._weights)
        return ranked(typed, *self._answer, dismissals)

    def options(self, typed: str, k: int) -> Options:
        """The candidates and what each source says of them; the network's are `k` at least."""
        curly = typed.rfind(OTHER[self._apostrophe]) > typed.rfind(self._apostrophe)
        options = self._options(self._window(typed), k)
        if not curly:
            return options
        # Suggest the writer's apostrophe, whichever one the training text uses.
        texts = [text and self._apostrophes(text, back=True) for text in options.texts]
        return options._replace(texts=texts)

    def _options(self, typed: str, k: int) -> Options:
        half = partial_word(typed)
        if len(half) == LONGEST_WORD:  # no word is longer
            others = self._features(half, [], {}, 1.0)
            return Options([None], others, np.zeros(1, np.float32), len(half))
        before = typed[: len(typed) - len(half)]
        if before != self._before:
            self._before, self._trigrams = before, self._ngram.after(before)
        if self._recent:
            self._recent.read(before)
        suggested = self._suggested(half)
        lower = half.lower()
        if not suggested and lower != half and len(lower) == len(half) and self._suggested(lower):
            options = self._options(before + lower, k)
            if half.isupper() and len(half) > 1:
                capitals = [text and text.upper() for text in options.texts]
                return options._replace(texts=capitals)
            return options
        network = self._network.search(typed, half, suggested, k)
        room = LONGEST_OFFERED - len(half)
        texts = [t for t in dict.fromkeys([*suggested, *network]) if 0 < len(t) <= room]
        if half:
            texts.append("")
        whole = self._ngram.id(half)
        mass = float(self._trigrams[self._ngram.starting_with(half)].sum())
        mass += 0 if whole is None else float(self._trigrams[whole])
        features = self._features(half, texts, network, max(SMALLEST, mass))
        return Options([*texts, None], features, self._repeated(half, texts, mass), len(half))

    def _window(self, text: str) -> str:
        """The end of a text, from a place that seldom moves, so that little is read again."""
        text = self._apostrophes(text)
        new = len(text) - len(self._typed)
        same = text.startswith(self._typed[:-NEAR]) or self._typed.startswith(text)
        counts = len(text) - self._begin
        if not (same and new < CONTEXT and CONTEXT // 2 <= counts <= LONGEST):
            self._begin = max(0, len(text) // CONTEXT - 1) * CONTEXT
        self._typed = text
        return text[self._begin :]

    def _apostrophes(self, text: str, back: bool = False) -> str:
        """Replace apostrophes by the training text's kind, or back by the other kind."""
        trained, other = self._apostrophe, OTHER[self._apostrophe]
        return text.replace(trained, other) if back else text.replace(other, trained)

    def _suggested(self, half: str) -> list[str]:
        """Return completions of the partial word from the training text and recent words."""
        some = self._ngram.starting_with(half)
        ids = [*best(self._trigrams[some], LATER if half else FIRST)]
        ids += [*best(self._counts[some], COMMON)] if half else []
        words = [self._ngram.tokens[some.start + i] for i in ids]
        words += self._recent.starting_with(half, RECENT) if self._recent else []
        return [word[len(half) :] for word in dict.fromkeys(words)]

    def _features(
        self, half: str, texts: list[str], network: dict[str, float], mass: float
    ) -> Array:
        """Of each text and of all others, [len(texts) + 1, len(FEATURES)]."""
        said = np.zeros((len(texts) + 1, len(FEATURES)), np.float32)
        for row, text in zip(said, texts, strict=False):
            word = half + text
            row[0] = network.get(text, 0.0)
            i = self._ngram.id(word)
            if i is not None:
                row[1:3] = self._trigrams[i] / mass, self._ngram.counts[i]
            if self._recent:
                row[3:5] = self._recent.share(word), self._recent.share_after_last(word)
        said[-1, :2] = 1 - said[:-1, :2].sum(axis=0)
        said[:, :2] = np.log(np.maximum(said[:, :2], TINY))
        said[:-1, 2] = np.log(said[:-1, 2] + 0.5)
        said[:, 3:5] = np.log1p(said[:, 3:5] / UNSEEN)
        said[-1, 5] = 1
        return said

    def _repeated(self, half: str, texts: list[str], mass: float) -> Array:
        """The probability that each text is typed because it is a recent word, [len(texts) + 1].

        That the word is repeated becomes likely with letters that few other words begin with.
        """
        p = np.zeros(len(texts) + 1, np.float32)
        recent = self._recent.mass(half) if self._recent else 0.0
        if self._recent and recent:
            others = mass + NEW_WORD * NEW_LETTER ** len(half)
            share = RECENT_SHARE / (RECENT_SHARE * recent + (1 - RECENT_SHARE) * others)
            p[:-1] = [share * self._recent.share(half + text) for text in texts]
        return p


def ranked(
    typed: str, texts: Sequence[str | None], p: Floats, dismissals: Dismissals | None
) -> list[Completion]:
    """Completions, the likeliest first.

    Args:
        texts: that would be inserted after what was typed; what is none stands for all others.
        p: their probabilities, [len(texts)]; a text without any is left out.
        dismissals: of who types, if what was passed over shall be less likely.
    """
    if dismissals:
        p = p * dismissals.factors(typed, texts)
        p /= p.sum()
    order = np.argsort(-p, kind="stable").tolist()
    return [Completion(text, float(p[i])) for i in order if (text := texts[i]) and p[i]]


def _unlikely(completion: Completion) -> float:
    return -completion.p


def best(p: Array, k: int) -> NDArray[np.intp]:
    """Where the `k` largest numbers above 0 stand, the largest first."""
    some = np.sort(np.argpartition(-p, k)[:k]) if len(p) > k else np.arange(len(p))
    some = some[np.argsort(-p[some], kind="stable")]
    return some[p[some] > 0]


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
        least: Minimum probability; at 0 only numbers and abbreviations suppress it.
        knows: Tells whether a word occurs in the training text or was typed before.
        phrase: The ghost text, if it runs on beyond the word.
    """
    half, text = partial_word(typed), completion.text
    within = not text[0].isspace()
    if completion.p < least or any(c.isdigit() for c in half):
        return False
    if within and not half and AFTER_ABBREVIATION.search(typed[-LONGEST_OFFERED:]):
        return False
    if not least:
        return True
    space = not is_unspaced(text[-1])
    if len(phrase or text) + space - 1 < WORTH:
        return False
    word = half + text if within else text.strip()
    return completion.p >= MADE_UP or is_unspaced(word) or knows(word) or knows(word.lower())
