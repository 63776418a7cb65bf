"""Where a text ends, and how much of it may be shown before the end is known."""

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from charrnn.config import StopConfig

# Marks that end a sentence, and closing quotes; white space must follow Western marks, unlike in
# "3.14".
SENTENCE_END = re.compile(
    r"[.!?…]{1,7}[\"'”’»)\]]{0,8}(?=\s)"
    r"|[。！？]{1,7}[」』”’）]{0,8}(?=[^。！？」』”’）])"
)  # fmt: skip
SENTENCE_CONTEXT = 16  # characters before new text searched for sentence ends (not tuned)
# The word before a full stop, with the stops inside it, as in "z.B.", "e.g." and "Ph.D.".
LAST_WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*\Z")
NO_INITIALS = ("I", "я")  # single letters that are words, and so may end a sentence
_LISTED = (
    # English
    "Mr Mrs Ms Dr Prof Rev Hon St Mt Messrs Capt Col Gen Lt Maj Sgt Cpl Gov Sen Rep Pres Supt Esq "
    "Jr Sr vs viz approx cf Fig Figs Vol Vols pp "
    # German
    "Hr Fr Hrn Frl Nr bzw bspw ca evtl ggf inkl vgl sog Abb Bd Hrsg Dipl Str "
    # French, Spanish, Italian, Portuguese
    "MM Mme Mlle Mgr Ste Sra Srta Dra Ud Uds Vd Vds Sto Sta Sig Sigg Dott Avv Exmo Exma pág núm "
    # Dutch, Polish, Russian
    "dhr mevr bijv ul np tzn tzw prof ул стр см св проф"
)
# Abbreviations whose full stop seldom ends a sentence; "etc." and "No." often end one.
ABBREVIATIONS = frozenset(_LISTED.split())


class Ending:
    """Follows one text as it is sampled and cuts it where the first rule is met.

    Args:
        rules: where to end.
        seed: text that is continued; lines are counted from its last one.

    Attributes:
        why: the rule that ended the text; None while it goes on.
        held: text that cannot be shown yet, as a stop text may begin in it.
    """

    def __init__(self, rules: StopConfig, seed: str) -> None:
        self._rules = rules
        # The numbers of characters and of tokens that may still come.
        self._chars, self._tokens = (
            math.inf if limit is None else limit for limit in (rules.chars, rules.tokens)
        )
        self.held = ""
        self._words = self._lines = self._sentences = 0
        self._last_word = ""  # the newest word, while it may become longer
        self._joiner = 0  # 1 if the text goes on with a joiner after that word, else 0
        self._in_line = bool(seed.rpartition("\n")[2].strip())
        self._before = seed[-SENTENCE_CONTEXT:]  # newest characters, searched for sentence ends
        self._of_seed = len(self._before)  # how many of these are the seed's
        checks = (
            (self._stop, rules.stop),
            (self._word, rules.words),
            (self._line, rules.lines),
            (self._sentence, rules.sentences),
            (self._item, rules.item),
        )
        self._checks = [check for check, rule in checks if rule]
        self.why: str | None = None
        self._check_length()

    @property
    def room(self) -> float:
        """Return how many tokens, at most, the length limit allows; inf if there is none."""
        return min(self._chars, self._tokens)

    def feed(self, tokens: Sequence[str]) -> tuple[str, int]:
        """Add tokens, and cut the text where it ends.

        Args:
            tokens: texts of the new tokens; those after the end are ignored.

        Returns:
            The text that can be shown now, and the number of tokens used.
        """
        if self.why:
            return "", 0
        ends = [*accumulate(map(len, tokens))]
        used = int(min(len(tokens), self._tokens, bisect_left(ends, self._chars) + 1))
        self._chars -= ends[used - 1] if used else 0
        self._tokens -= used
        self._check_length()
        new = "".join(tokens[:used])
        if not self._checks:
            return new, used
        text = self.held + new
        met = min(filter(None, [check(new) for check in self._checks]), default=None)
        if met:
            known, cut, self.why = met
            return text[: len(self.held) + cut], bisect_left(ends, known) + 1
        unsure = 0 if self.why else max(self._maybe_stop(text), self._joiner)
        shown = text[: len(text) - unsure]
        self.held = text[len(shown) :]
        return shown, used

    def _check_length(self) -> None:
        if self.room <= 0:
            self.why = "length" if self._chars <= 0 else "tokens"

    # Each rule returns the number of new characters it needed, the position of the cut among
    # them, and its own name; None if it is not met.

    def _stop(self, new: str) -> tuple[int, int, str] | None:
        text = self.held + new
        found = [(i + len(stop), i) for stop in self._rules.stop if (i := text.find(stop)) >= 0]
        if not found:
            return None
        known, cut = min(found)
        return known - len(self.held), cut - len(self.held), "stop"

    def _word(self, new: str) -> tuple[int, int, str] | None:
        from charrnn.text.words import JOINERS, WORD

        text = self._last_word + new
        before = len(self._last_word)
        self._last_word, self._joiner = "", 0
        for match in WORD.finditer(text):
            rest = text[match.end() :]
            joins = rest[:1] in JOINERS  # true for an empty rest, too: a joiner may follow
            if joins and len(rest) < 2:
                # The first character suffices: how the word goes on depends on it alone.
                self._last_word, self._joiner = match[0][0] + rest, len(rest)
                break
            self._words += 1
            if self._words == self._rules.words:
                end = match.end() - before
                return end + 1 + joins, end, "words"
        return None

    def _line(self, new: str) -> tuple[int, int, str] | None:
        start = 0
        while (end := new.find("\n", start)) >= 0:
            self._lines += self._in_line or bool(new[start:end].strip())
            if self._lines == self._rules.lines:
                return end + 1, end, "lines"
            self._in_line, start = False, end + 1
        self._in_line = self._in_line or bool(new[start:].strip())
        return None

    def _sentence(self, new: str) -> tuple[int, int, str] | None:
        before = len(self._before)
        text = self._before + new
        for match in SENTENCE_END.finditer(text, self._of_seed):
            end = match.end() - before
            if end < 0 or (match[0] == "." and is_abbreviated(text[: match.start()])):
                continue  # already counted, or a full stop that ends no sentence
            self._sentences += 1
            if self._sentences == self._rules.sentences:
                return end + 1, end, "sentences"
        self._before = text[-SENTENCE_CONTEXT:]
        self._of_seed = max(0, self._of_seed - len(text) + len(self._before))
        return None

    def _item(self, new: str) -> tuple[int, int, str] | None:
        end = new.find(self._rules.item)
        return (end + 1, end, "item") if end >= 0 else None

    def _maybe_stop(self, text: str) -> int:
        """Return the length of the longest suffix of the text that begins a stop text."""
        return max(
            (
                n
                for stop in self._rules.stop
                for n in range(1, min(len(stop), len(text) + 1))
                if text.endswith(stop[:n])
            ),
            default=0,
        )


def is_abbreviated(text: str) -> bool:
    """Return whether a full stop after a text belongs to its last word, and ends no sentence."""
    found = LAST_WORD.search(text[-SENTENCE_CONTEXT:])
    if not found:
        return False
    word = found[0]
    parts = word.split(".")
    if len(parts) == 1:
        return word in ABBREVIATIONS or (len(word) == 1 and word not in NO_INITIALS)
    return max(map(len, parts)) <= 2
