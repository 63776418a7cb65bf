"""Where a text ends, against rules read off the whole text, however it is cut."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple
from unittest.mock import Mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.config import StopConfig
from charrnn.generation.stopping import Ending
from charrnn.text import words
from charrnn.text.words import is_unspaced

Calls = Sequence[Sequence[str]]  # the tokens of each call of feed


class Outcome(NamedTuple):
    """What came of a text.

    Attributes:
        text: all that was shown.
        why: the rule that ended it.
        taken: tokens that it took.
    """

    text: str
    why: str | None
    taken: int


def fed(rules: StopConfig, seed: str, calls: Calls) -> Outcome:
    """Return what is shown of tokens: never the possible start of a stop text."""
    ending = Ending(rules, seed)
    shown, drawn, taken = "", "", 0
    for tokens in calls:
        if ending.why:
            break
        more, count = ending.feed(tokens)
        shown += more
        taken += count
        drawn += "".join(tokens)
        if ending.why is None:
            assert shown + ending.held == drawn
            assert count == len(tokens)
            assert not any(
                stop.startswith(drawn[i:]) for stop in rules.stop for i in range(len(shown))
            )
    # What is held is shown at last, if time is up.
    return Outcome(shown + (ending.held if ending.why is None else ""), ending.why, taken)


def singly(text: str) -> Calls:
    return [[c] for c in text]


class Met(NamedTuple):
    """How much of a text it takes to know that it ends, and where, and why."""

    known: int
    cut: int
    why: str


def stop_met(text: str, stops: Sequence[str]) -> Met | None:
    for known in range(len(text) + 1):
        ending = [stop for stop in stops if text[:known].endswith(stop)]
        if ending:
            return Met(known, known - max(map(len, ending)), "stop")
    return None


def words_met(text: str, count: int) -> Met | None:
    """A word ends after a letter or digit that neither another nor a joiner and one follow.

    In a script without spaces each is a word.
    """
    for end in range(1, len(text)):
        joined = text[end] in "'’-"
        after = text[end + joined : end + joined + 1]
        goes_on = after.isalnum() and not is_unspaced(text[end - 1]) and not is_unspaced(after)
        if text[end - 1].isalnum() and after and not goes_on:
            count -= 1
            if not count:
                return Met(end + joined + 1, end, "words")
    return None


def lines_met(text: str, count: int, seed: str) -> Met | None:
    line = seed.split("\n")[-1]
    for i, c in enumerate(text):
        if c != "\n":
            line += c
            continue
        count -= not (line == "" or line.isspace())
        line = ""
        if not count:
            return Met(i + 1, i, "lines")
    return None


def is_initial(text: str) -> bool:
    """A single letter with a full stop; the letters here are no words such as I."""
    return text[-1:] == "." and text[-2:-1].isalpha() and not text[-3:-2].isalpha()


def sentences_met(text: str, count: int, seed: str) -> Met | None:
    """After a mark and closing quotes, at white space; after a CJK mark, at anything else."""
    for end, after in enumerate(text):
        before = text[:end]
        if is_initial(seed + before):
            continue
        western = before.rstrip("\"'”’»)]")[-1:] in (*".!?…",) and after.isspace()
        cjk = before.rstrip("」』”’）")[-1:] in (*"。！？",) and after not in "。！？」』”’）"
        if western or cjk:
            count -= 1
            if not count:
                return Met(end + 1, end, "sentences")
    return None


def item_met(text: str, boundary: str) -> Met | None:
    end = text.find(boundary)
    return Met(end + 1, end, "item") if end >= 0 else None


def expected(rules: StopConfig, seed: str, tokens: Sequence[str]) -> Outcome:
    """What must come of tokens, read off the whole text.

    Of rules that are met by the same character, the one that shows least wins.
    """
    lengths = [*accumulate(map(len, tokens), initial=0)]
    taken, why = len(tokens), None
    for n, length in enumerate(lengths):
        if rules.chars is not None and length >= rules.chars:
            taken, why = n, "length"
            break
        if rules.tokens is not None and n >= rules.tokens:
            taken, why = n, "tokens"
            break
    text = "".join(tokens[:taken])
    met = [
        stop_met(text, rules.stop),
        rules.words and words_met(text, rules.words),
        rules.lines and lines_met(text, rules.lines, seed),
        rules.sentences and sentences_met(text, rules.sentences, seed),
        item_met(text, rules.item) if rules.item else None,
    ]
    first = min((m for m in met if m), default=None)
    if not first:
        return Outcome(text, why, taken)
    taken = next(n for n, length in enumerate(lengths) if length >= first.known)
    return Outcome(text[: first.cut], first.why, taken)


seeds = st.sampled_from(["", "The fo", "The fox\n", "The fox\n \t", "He said.", '"Sing!', "don'"])
_alphabets = st.sampled_from(
    ["a '’-", "a, \n", 'ab.?" ', "a \n\t", "猫。」”. \n", "猫a-", "aEND", "a'_3. \n"]
)
calls = _alphabets.flatmap(
    lambda alphabet: st.lists(st.lists(st.text(alphabet, max_size=4), max_size=3), max_size=8)
)
"""Tokens, empty ones too, in calls, empty ones too."""
_counts = st.integers(1, 3)
stops = st.just(()) | st.lists(
    st.sampled_from(["END", "EN", "ND", "a", "ab", "aa", "aab", "\n\n", "a, ", ", ", " ", ". "]),
    min_size=1,
    max_size=3,
)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[StopConfig]:
    """One or two of the fields."""
    names = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2, unique=True)
    return names.flatmap(lambda chosen: st.builds(StopConfig, **{n: fields[n] for n in chosen}))


_texts = {
    "lines": _counts,
    "sentences": _counts,
    "stop": stops,
    "item": st.sampled_from(["\n", "a"]),
}
_lengths = {"chars": st.integers(0, 12), "tokens": st.integers(0, 8)}


def tokens_of(calls: Calls) -> list[str]:
    return [token for tokens in calls for token in tokens]


class TestCuts:
    @settings(max_examples=50)
    @given(rules=_some(words=_counts, **_texts, **_lengths), seed=seeds, calls=calls)
    def test_calls(self, rules: StopConfig, seed: str, calls: Calls) -> None:
        """However tokens are cut into calls, text, reason and number are those of the whole."""
        tokens = tokens_of(calls)
        if rules.chars == 0 or rules.tokens == 0:
            assert Ending(rules, seed).why
        assert fed(rules, seed, calls) == expected(rules, seed, tokens)
        assert fed(rules, seed, [tokens]) == expected(rules, seed, tokens)

    @settings(max_examples=50)
    @given(rules=_some(words=_counts, **_texts), seed=seeds, calls=calls)
    def test_tokens(self, rules: StopConfig, seed: str, calls: Calls) -> None:
        """The text shown and the reason do not depend on the tokens."""
        text = "".join(tokens_of(calls))
        whole, parts, characters = (
            fed(rules, seed, c)[:2] for c in ([[text]], calls, singly(text))
        )
        assert whole == parts == characters

    @settings(max_examples=50)
    @given(rules=_some(**_texts, **_lengths), seed=seeds, calls=calls)
    def test_without_words(self, rules: StopConfig, seed: str, calls: Calls) -> None:
        """So it is where no words are counted."""
        tokens = tokens_of(calls)
        for cut in (calls, [tokens], [[token] for token in tokens]):
            assert fed(rules, seed, cut) == expected(rules, seed, tokens)

    @pytest.mark.parametrize(
        ("rules", "calls"),
        [
            (StopConfig(words=1), [["fox"], ["'"], [" "]]),
            (StopConfig(words=1), [["fox-"], [" and the crow"]]),
            (StopConfig(words=1), [["fox", ",", " "]]),
            (StopConfig(words=1, stop=["fox, "]), [["fox, "]]),
            (StopConfig(words=2), [["dogs’- and cats and dogs"]]),
            (StopConfig(sentences=1), [["." + '"' * 8], [" and"]]),
        ],
    )
    def test_cut(self, rules: StopConfig, calls: Calls) -> None:
        """The text shown, the reason and the number of tokens are those of the whole text."""
        assert fed(rules, "", calls) == expected(rules, "", tokens_of(calls))

    def test_after_the_end(self) -> None:
        """What is fed after the end shows nothing and takes no token."""
        ending = Ending(StopConfig(stop=["END"], lines=1), "")
        assert [ending.feed([c]) for c in "aEN\n"][-1] == ("EN", 1)
        assert ending.feed(["b"]) == ("", 0)


class TestLength:
    @pytest.mark.parametrize(
        ("rules", "why"),
        [
            (StopConfig(chars=0), "length"),
            (StopConfig(tokens=0), "tokens"),
            (StopConfig(chars=0, tokens=0, words=1), "length"),
        ],
    )
    def test_nothing(self, rules: StopConfig, why: str) -> None:
        """A length of 0 is met before anything is sampled."""
        ending = Ending(rules, "The fox")
        assert (ending.why, ending.room) == (why, 0)
        assert ending.feed(["a"]) == ("", 0)

    def test_whole_tokens(self) -> None:
        """The token that reaches the length is shown to its end, those after it not at all."""
        assert fed(StopConfig(chars=4), "", [[" the", " fox"]]) == (" the", "length", 1)
        assert fed(StopConfig(chars=5), "", [[" the", " fox", "."]]) == (" the fox", "length", 2)
        assert fed(StopConfig(tokens=2), "", [[" the"], [" fox", "."]]) == (" the fox", "tokens", 2)

    def test_room(self) -> None:
        """As many tokens may come as there are characters or tokens left; else without limit."""
        ending = Ending(StopConfig(chars=10, tokens=6), "")
        assert ending.room == 6
        ending.feed(["abcd", "ef"])
        assert ending.room == 4
        ending.feed(["ghi"])
        assert ending.room == 1
        assert Ending(StopConfig(words=1), "").room == float("inf")

    def test_half_a_stop_text(self) -> None:
        """What might have become a stop text is shown when the length ends the text."""
        assert fed(StopConfig(chars=4, stop=["END"]), "", singly("abENDcd")) == (
            "abEN",
            "length",
            4,
        )


class TestStop:
    @pytest.mark.parametrize(
        ("stop", "text", "shown"),
        [
            (["END"], "the END of it", "the "),
            (["END"], "EENEND", "EEN"),
            (["aab"], "aaaab", "aa"),
            (["abab", "ba"], "xabab", "xa"),  # the one that is whole first
            (["abc", "b"], "xabc", "xa"),
            (["abc", "bc"], "xabc", "x"),  # of two whole at once, the longer one
            (["a", "ab"], "xab", "x"),
            (["\n\n"], "\na\n \n\nb", "\na\n "),
            (["The"], "The end", ""),
            (["END"], "EN D", "EN D"),
        ],
    )
    def test_before(self, stop: list[str], text: str, shown: str) -> None:
        """The text ends before the stop text that is whole first."""
        why = "stop" if shown != text else None
        for cut in ([[text]], singly(text)):
            assert fed(StopConfig(stop=stop), "", cut)[:2] == (shown, why)

    def test_not_over_the_seed(self) -> None:
        """A stop text that begins in the seed does not count."""
        assert fed(StopConfig(stop=["END"]), "E", singly("ND.")) == ("ND.", None, 3)

    def test_held(self) -> None:
        """No more is held than may be the start of a stop text."""
        ending = Ending(StopConfig(stop=["END", "NO"]), "")
        assert [ending.feed([c])[0] for c in "tEN"] == ["t", "", ""]
        assert ending.held == "EN"
        assert ending.feed(["x"]) == ("ENx", 1)
        assert ending.held == ""


class TestLines:
    @pytest.mark.parametrize(
        ("seed", "count", "text", "shown"),
        [
            ("", 1, "one\ntwo\n", "one"),
            ("", 2, "one\ntwo\n", "one\ntwo"),
            ("", 2, "one\n\n \t\ntwo\n", "one\n\n \t\ntwo"),  # blank ones do not count
            ("", 1, "\n\none\ntwo", "\n\none"),
            ("The", 1, " fox\nand", " fox"),  # the seed's last line goes on
            ("The", 1, "\nand", ""),
            ("The\n", 1, "\nand\n", "\nand"),
            ("The\n  ", 1, "\nand\n", "\nand"),
            ("The\n  ", 1, "and\nso", "and"),
            ("", 1, "one\rtwo\u2028three\n", "one\rtwo\u2028three"),
        ],
    )
    def test_count(self, seed: str, count: int, text: str, shown: str) -> None:
        """It ends before the line break of the line that makes the number full."""
        for cut in ([[text]], singly(text)):
            assert fed(StopConfig(lines=count), seed, cut)[:2] == (shown, "lines")


class TestSentences:
    @pytest.mark.parametrize(
        ("count", "text", "shown"),
        [
            (1, "One. Two.", "One."),
            (2, "One! Two? Three", "One! Two?"),
            (1, "It is 3.14 and more. So", "It is 3.14 and more."),
            (1, 'He said "No." Then', 'He said "No."'),
            (1, "(Why?!) Then", "(Why?!)"),
            (1, "«Non…» Puis", "«Non…»"),
            (1, "Well... So", "Well..."),
            (1, "abc.def.ghi.\nd", "abc.def.ghi."),
            (1, "吾輩は猫である。名前は", "吾輩は猫である。"),
            (1, "「何だ！？」と", "「何だ！？」"),
            (2, "猫。犬。鳥", "猫。犬。"),
            (1, ". A", "."),
        ],
    )
    def test_count(self, count: int, text: str, shown: str) -> None:
        """It ends after the mark and its closing quotes, once it is known that none follows."""
        for cut in ([[text]], singly(text)):
            assert fed(StopConfig(sentences=count), "", cut)[:2] == (shown, "sentences")

    @pytest.mark.parametrize(
        "text",
        ["Dr. Who came.", "Here is Mr.\nDarcy.", "It is so, e.g. here.", "Das ist z.B. hier.",
         "z. B. so.", "J. R. R. Tolkien wrote.", "She has a Ph.D. in it.", "M. X et Mme. Y y vont.",
         "El Sr. Pérez viene.", "Так, т.д. вот."],
    )  # fmt: skip
    def test_abbreviations(self, text: str) -> None:
        """The stop of an abbreviation or an initial ends no sentence."""
        for cut in ([[text + " Then"]], singly(text + " Then")):
            assert fed(StopConfig(sentences=1), "", cut)[:2] == (text, "sentences")

    @pytest.mark.parametrize(
        "text", ["So do I.", "He said no.", "We met Drs.", "That is all, etc."]
    )
    def test_no_abbreviations(self, text: str) -> None:
        """The stop of a word that looks alike, or often ends a sentence, ends one."""
        assert fed(StopConfig(sentences=1), "", singly(text + " Then")).text == text

    @pytest.mark.parametrize(("seed", "text"), [("I met Dr", ". Who."), ("I met D", "r. Who.")])
    def test_abbreviation_of_the_seed(self, seed: str, text: str) -> None:
        """An abbreviation may begin in the seed."""
        for cut in ([[text + " So"]], singly(text + " So")):
            assert fed(StopConfig(sentences=1), seed, cut).text == text

    @pytest.mark.parametrize("text", ["One.", "One.)", "3.14", "猫。", "猫。」", "and so on"])
    def test_not_known(self, text: str) -> None:
        """Without the character after the mark it is not known that the sentence ends."""
        assert fed(StopConfig(sentences=1), "", singly(text)) == (text, None, len(text))

    @pytest.mark.parametrize("seed", ["One.", 'He said "No.', "猫。"])
    def test_seed(self, seed: str) -> None:
        """A sentence that has ended in the seed does not count, one begun there does."""
        assert fed(StopConfig(sentences=1), seed, [[" Two. Three"]]).text == " Two."
        assert fed(StopConfig(sentences=1), "The fo", [["x. Two. "]]).text == "x."


class TestWords:
    @pytest.mark.parametrize(
        ("count", "text", "shown"),
        [
            (1, "one two", "one"),
            (2, " one, two. ", " one, two"),
            (2, "I don't know", "I don't"),
            (2, "a rock’n’roll band", "a rock’n’roll"),
            (1, "mother-in-law, ", "mother-in-law"),
            (1, "snake_case", "snake"),
            (2, "'tis it' ", "'tis it"),
            (2, "3.14 is", "3.14"),
            (1, "\n\nCafé.", "\n\nCafé"),
            (2, "one -- two -- three", "one -- two"),
            (1, "dogs' tails", "dogs"),
            (2, "猫である。", "猫で"),
        ],
    )
    def test_count(self, count: int, text: str, shown: str) -> None:
        """It ends after the word that makes the number full; joiners within are part of it."""
        assert fed(StopConfig(words=count), "", [[text]])[:2] == (shown, "words")

    @pytest.mark.parametrize("text", ["one", "one'", "don't", "e-mail-", "", ".., "])
    def test_not_known(self, text: str) -> None:
        """A word that may go on has not ended."""
        assert fed(StopConfig(words=1), "", singly(text)) == (text, None, len(text))

    def test_seed(self) -> None:
        """The rest of a word that the seed begins counts as one."""
        assert fed(StopConfig(words=1), "The fo", [["x sat "]]).text == "x"


@example(text="猫。」」", seed="")
@given(text=st.text("ab.'\n。」 -", max_size=30), seed=seeds)
def test_no_rule(text: str, seed: str) -> None:
    """Without a rule a text continues, and is shown as it arrives."""
    assert fed(StopConfig(), seed, singly(text)) == (text, None, len(text))
    assert Ending(StopConfig(), seed).feed([text]) == (text, 1)


def test_run_without_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that does not end is not looked at again with each of its characters."""
    pattern = Mock(wraps=words.WORD)
    monkeypatch.setattr(words, "WORD", pattern)
    for part in ("a", "a-", "e\u0301"):
        run = part * 1000
        assert fed(StopConfig(words=1), "", singly(run)) == (run, None, len(run))
        looked_at = sum(len(call.args[0]) for call in pattern.finditer.call_args_list)
        assert looked_at < 4 * len(run)
        pattern.reset_mock()


def test_long_stop_text() -> None:
    """Of a long stop text no more is compared than there is text."""

    class Stop(str):
        compared = 0

        def __getitem__(self, key: Any) -> str:
            text = super().__getitem__(key)
            Stop.compared += len(text)
            return text

    rules = StopConfig(stop=[Stop("ab" * 5000)])
    assert fed(rules, "", singly("abcabd" * 10)) == ("abcabd" * 10, None, 60)
    assert Stop.compared < 600


class TestItem:
    @pytest.mark.parametrize(
        ("text", "shown"), [("fox\ncrow\n", "fox"), ("\nfox", ""), ("a\n\n", "a")]
    )
    def test_before(self, text: str, shown: str) -> None:
        """It ends before the first character that ends an item."""
        for cut in ([[text]], singly(text)):
            assert fed(StopConfig(item="\n"), "", cut)[:2] == (shown, "item")

    def test_not_over_the_seed(self) -> None:
        """An item that has ended in the seed does not count."""
        assert fed(StopConfig(item="\n"), "fox\n", [["crow\n"]])[:2] == ("crow", "item")
