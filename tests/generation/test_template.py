"""Templates: fixed text stays, gaps get the right form, and the best fit is kept."""

import re
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import SamplingConfig, StopConfig
from charrnn.errors import UsageError
from charrnn.generation.sample import Part, Sample
from charrnn.generation.stopping import is_abbreviated
from charrnn.generation.template import MAX_GAP, Piece, parse
from charrnn.model import Model
from charrnn.text.words import WORD
from tests.strategies import texts


def filled(
    model: Model, template: str, random_seed: int = 0, tries: int = 2, temperature: float = 1
) -> str:
    sample = Sample("", SamplingConfig(temperature))
    (part,) = model.fill(parse(template), [sample], tries, random_seed)
    assert part.last
    return part.text


def gap_of(model: Model, before: str, gap: str, after: str, random_seed: int) -> str:
    """What is written into the only gap."""
    text = filled(model, before + gap + after, random_seed)
    assert text.startswith(before)
    assert text.endswith(after)
    return text[len(before) : len(text) - len(after)]


class TestParse:
    @pytest.mark.parametrize(
        ("template", "pieces"),
        [
            ("", []),
            ("no gap", [Piece("no gap", None)]),
            ("{word}", [Piece("", StopConfig(MAX_GAP, words=1))]),
            ("a {words:3}b", [Piece("a ", StopConfig(MAX_GAP, words=3)), Piece("b", None)]),
            ("{sentence}", [Piece("", StopConfig(MAX_GAP, sentences=1))]),
            ("{sentences:2}", [Piece("", StopConfig(MAX_GAP, sentences=2))]),
            ("{line}", [Piece("", StopConfig(MAX_GAP, lines=1))]),
            ("{lines:12}", [Piece("", StopConfig(MAX_GAP, lines=12))]),
            ("{char}", [Piece("", StopConfig(1))]),
            ("{chars:2000}", [Piece("", StopConfig(2000))]),
            ("{word}{word}", [Piece("", StopConfig(MAX_GAP, words=1))] * 2),
        ],
    )
    def test_pieces(self, template: str, pieces: list[Piece]) -> None:
        """Fixed texts and gaps, each with its count; a gap has at most MAX_GAP characters."""
        assert parse(template) == pieces

    @given(s=texts)
    def test_braces(self, s: str) -> None:
        """Any text is fixed once its braces are doubled."""
        pieces = parse(s.replace("{", "{{").replace("}", "}}"))
        assert "".join(piece.fixed for piece in pieces) == s
        assert not any(piece.gap for piece in pieces)

    @pytest.mark.parametrize(
        "template",
        [
            "{", "}", "a {word", "word}", "{}", "{0}", "{fox}", "{wordss}", "{Word}", "{ word}",
            "{word:0}", "{word:-1}", "{word:x}", "{word: 2}", "{word:10000}", "{word:1.5}",
            "{word:٣}", "{word.x}", "{word[0]}", "{word:{word}}", "{s}",
            "{word!r}",
        ],
    )  # fmt: skip
    def test_no_gap(self, template: str) -> None:
        """An invalid gap is a usage error in one line."""
        with pytest.raises(UsageError, match=r"^--template") as caught:
            parse(template)
        assert "\n" not in str(caught.value)

    @given(s=st.text("{}:!.[]words3 ", max_size=12))
    def test_never_another_error(self, s: str) -> None:
        """Any template has pieces or is wrong usage."""
        with suppress(UsageError):
            parse(s)


class TestGaps:
    @pytest.mark.parametrize("random_seed", range(6))
    @pytest.mark.parametrize(("gap", "count"), [("{word}", 1), ("{words:3}", 3)])
    def test_words(self, model: Model, gap: str, count: int, random_seed: int) -> None:
        """A gap of words has as many and ends with the last."""
        words = [*WORD.finditer(text := gap_of(model, "The ", gap, " of it", random_seed))]
        assert len(words) == count
        assert words[-1].end() == len(text)

    @pytest.mark.parametrize("random_seed", range(4))
    def test_sentences(self, model: Model, random_seed: int) -> None:
        """A gap of a sentence ends with its mark and quotes."""
        text = gap_of(model, "Once. ", "{sentence}", " Then", random_seed)
        assert re.search(r"[.!?]+[\"'’)]*$", text) or len(text) >= MAX_GAP
        ends = [end.start() for end in re.finditer(r"[.!?][\"'’)]*\s", text)]
        assert all(text[end] == "." and is_abbreviated(text[:end]) for end in ends)

    @pytest.mark.parametrize("random_seed", range(3))
    def test_lines(self, model: Model, random_seed: int) -> None:
        """A gap of a line holds no line break; of two, one that parts them."""
        assert "\n" not in gap_of(model, "Once ", "{line}", "\nThen", random_seed)
        text = gap_of(model, "Once ", "{lines:2}", "\nThen", random_seed)
        assert len(text) >= MAX_GAP or [bool(line.strip()) for line in text.split("\n")][-1]
        assert len([line for line in text.split("\n")[1:] if line.strip()]) <= 1

    @pytest.mark.parametrize("count", [1, 7, 1200])
    def test_chars(self, char_model: Model, count: int) -> None:
        """A gap of characters has as many, more than MAX_GAP too."""
        assert len(gap_of(char_model, "Once ", f"{{chars:{count}}}", " Then", 0)) == count

    @pytest.mark.slow
    @pytest.mark.parametrize("after", [*".!?…,;:"])
    @pytest.mark.parametrize("gap", ["{sentence}", "{sentences:2}"])
    def test_mark_after(self, char_model: Model, gap: str, after: str) -> None:
        """If the template has a mark after a sentence, the gap ends without one."""
        for random_seed in range(3):
            text = gap_of(char_model, "He ", gap, after, random_seed)
            assert not text.endswith(tuple(".!?…,;:"))

    def test_mark_at_the_end(self, char_model: Model) -> None:
        """A sentence at the end of a template keeps its mark."""
        text = gap_of(char_model, "He ", "{sentence}", "", 0)
        assert re.search(r"[.!?]+[\"'’)]*$", text)


_fixed = texts.filter(lambda s: not s.startswith(tuple(".!?…,;:")))


class TestFixed:
    @settings(max_examples=20)
    @given(fixed=st.lists(_fixed, min_size=2, max_size=4))
    def test_stays(self, char_model: Model, fixed: list[str]) -> None:
        """Fixed text stays exactly as it is, whatever characters it holds."""
        escaped = [s.replace("{", "{{").replace("}", "}}") for s in fixed]
        text = filled(char_model, "{chars:2}".join(escaped))
        assert len(text) == len("??".join(fixed))
        for s in fixed:
            assert text.startswith(s)
            text = text[len(s) + 2 :]

    def test_no_gap(self, model: Model) -> None:
        """A template without a gap is its own text."""
        assert filled(model, "The {{fox}}") == "The {fox}"

    def test_nothing(self, model: Model) -> None:
        """An empty template gives an empty text or is wrong usage."""
        with suppress(UsageError):
            assert filled(model, "") == ""


class TestRepeatable:
    def test_random_seed(self, model: Model) -> None:
        """The same random seed gives the same text, another one another."""
        template = "The {words:3} sat. {sentence} End"
        first, again, *others = (filled(model, template, i) for i in (0, 0, 1, 2))
        assert first == again
        assert len({first, *others}) == 3

    def test_alone(self, model: Model) -> None:
        """A sample's text does not depend on the other samples."""
        many = [Sample("", SamplingConfig(1), (0, i)) for i in range(3)]
        together = [p.text for p in model.fill(parse("The {words:3} sat"), many, 2, 0)]
        assert len({*together}) == 3
        for i, text in enumerate(together):
            alone = Sample("", SamplingConfig(1), (0, i))
            assert [p.text for p in model.fill(parse("The {words:3} sat"), [alone], 2, 0)] == [text]


class TestBest:
    def cost(self, model: Model, text: str, after: str) -> tuple[bool, float]:
        gap = text.removeprefix("The").removesuffix(after)
        bad = not gap or gap[0].isspace()
        return bad, float(model.surprisal([text])[0][-len(after) :].sum())

    @pytest.mark.parametrize("random_seed", range(4))
    def test_more_tries_fit_better(self, model: Model, random_seed: int) -> None:
        """The more tries, the likelier the text after the gap."""
        after = " sat on a branch"
        costs = [
            self.cost(model, filled(model, f"The{{chars:4}}{after}", random_seed, tries), after)
            for tries in (1, 2, 5, 20)
        ]
        assert costs == sorted(costs, reverse=True)
        assert costs[0] > costs[-1]

    def test_one_try(self, model: Model) -> None:
        """Of one try, or at temperature 0, there is nothing to choose."""
        greedy = [filled(model, "The {word} sat", i, tries, 0) for i in (0, 1) for tries in (1, 4)]
        assert len({*greedy}) == 1


def parts(model: Model, scored: bool, template: str) -> tuple[Sequence[Sample], list[Part]]:
    samples = [Sample("", SamplingConfig(), (0, i)) for i in range(2)]
    return samples, [*model.fill(parse(template), samples, 1, 0, scored)]


class TestNoted:
    def test_sample(self, model: Model) -> None:
        """Each sample holds the tokens and log-probability of the whole text, and why it ended."""
        samples, written = parts(model, True, "The {word} sat")
        assert [part.sample for part in written] == samples
        for part in written:
            score = model.score(part.text)
            assert part.sample.why == "template"
            assert part.sample.tokens == score.tokens
            assert part.sample.logp == pytest.approx(-score.nats, rel=1e-4)
            assert part.nats is not None
            assert len(part.nats) == len(part.text)
            assert part.nats.sum() == pytest.approx(score.nats, rel=1e-4)

    def test_not_scored(self, model: Model) -> None:
        """Surprises are given only if asked for."""
        assert [part.nats for part in parts(model, False, "The {word} sat")[1]] == [None, None]
