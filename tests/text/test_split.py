"""A text's two parts: what is held out, reading them again, samples, the fingerprint."""

import hashlib
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.blocks import END, KINDS, TARGET, UNMARKED
from charrnn.text.split import HEAD, Parts
from tests.strategies import LONE_SURROGATES, NASTY, cut, texts


def both(parts: Parts) -> tuple[str, str]:
    return "".join(parts.train), "".join(parts.val)


class TestText:
    @given(st.data(), texts, st.floats(0, 1, exclude_max=True))
    def test_adds_up(self, data: st.DataObject, s: str, val: float) -> None:
        """Both parts make the text, however it came, and the second is the share asked for."""
        parts = Parts.of(data.draw(cut(s)), val)
        training, held_out = both(parts)
        assert training + held_out == s
        assert abs(len(held_out) - val * len(s)) < 1 + 1e-9
        assert (len(parts.train), len(parts.val)) == (len(training), len(held_out))
        assert parts.characters == len(s)

    @given(st.data(), texts)
    def test_read_again(self, data: st.DataObject, s: str) -> None:
        """A part gives the same each time, and no empty blocks."""
        parts = Parts.of(data.draw(cut(s)), 0.3)
        assert both(parts) == both(parts)
        assert all([*parts.train, *parts.val])

    def test_nothing_held_out(self) -> None:
        """A share of 0 trains on the whole text."""
        assert both(Parts.of(["abc"], 0.0)) == ("abc", "")


class TestSample:
    @pytest.mark.parametrize("kind", KINDS)
    @given(st.data(), texts)
    def test_short(self, kind: str, data: st.DataObject, s: str) -> None:
        """All of each part if the text is short enough."""
        s = s.translate(UNMARKED) + KINDS[kind]
        parts = Parts.of(data.draw(cut(s)), 0.3, kind)
        assert (parts.train.sample, parts.val.sample) == both(parts)

    @pytest.mark.parametrize("kind", ["text", "lines", "documents"])
    def test_spread(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a long one at most as much as asked, of each part from everywhere, in order."""
        monkeypatch.setattr("charrnn.text.split.SAMPLE", 1 << 19)
        items = [f"{i:07}{KINDS[kind] or ' '}" for i in range(1 << 18)]
        parts = Parts.of(["".join(items)], 0.25, kind)
        found = [part.sample for part in (parts.train, parts.val)]
        assert 1 << 18 < len("".join(found)) <= 1 << 19
        for part, sample in zip((parts.train, parts.val), found, strict=True):
            within, sampled = ([*re.findall("[0-9]{7}", text)] for text in ("".join(part), sample))
            places = [within.index(item) for item in sampled[1:-1:500]]
            assert places == sorted(places)
            assert places[0] < len(within) / 8
            assert places[-1] > len(within) / 2

    def test_long_documents(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The passages of a document that is longer than one are in the sample of its part."""
        monkeypatch.setattr("charrnn.text.split.SAMPLE", 1 << 20)
        blocks = [letter * 300_000 + END for letter in "abcdefghij"]
        parts = Parts.of(blocks, 0.3, "documents")
        for part in (parts.train, parts.val):
            found = {*part.sample} - {END}
            assert len(found) > 1
            assert found <= {*"".join(part)}


items = st.lists(
    st.sampled_from(["a", "bb", "ccc", "猫", "a b", "x" * 30]) | st.text("ab", max_size=9)
)


class TestItems:
    @given(
        st.data(),
        items,
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["lines", "documents"]),
        st.sampled_from([12, HEAD]),
    )
    def test_parts(
        self, data: st.DataObject, found: list[str], val: float, kind: str, head: int
    ) -> None:
        """Both parts together hold every item as often as the text, and no item is in both.

        However the text came, and if items are told by their beginnings alone, too.
        """
        boundary = KINDS[kind]
        blocks = data.draw(cut("".join(item + boundary for item in found)))
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr("charrnn.text.split.HEAD", head)
            parts = Parts.of(blocks, val, kind)
            whole = both(parts)
        assert (len(parts.train), len(parts.val)) == (len(whole[0]), len(whole[1]))
        training, held_out = (part.split(boundary)[:-1] for part in whole)
        assert sorted(training + held_out) == sorted(found)
        assert [item for item in found if item in {*training}] == training
        assert not {*training} & {*held_out}
        assert bool(held_out) == (val > 0 and len({item[:head] for item in found}) > 1)
        assert training or not found

    def test_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No more than the beginning of a long document is at hand at once."""
        monkeypatch.setattr("charrnn.text.split.HEAD", 10)
        blocks = ["one", END, *["another "] * 100, END]
        parts = Parts.of(blocks, 0.1, "documents")
        assert both(parts) == ("another " * 100 + END, "one" + END)
        assert max(map(len, parts.train)) <= 16

    def test_share(self) -> None:
        """Of many items about the share asked for is held out, some from everywhere."""
        names = [f"name {i}" for i in range(1000)]
        _, held_out = both(Parts.of([f"{name}\n" for name in names], 0.2, "lines"))
        numbers = [names.index(name) for name in held_out.split("\n")[:-1]]
        assert len(numbers) == pytest.approx(200, abs=5)
        assert min(numbers) < 50
        assert max(numbers) > 950

    def test_seed(self) -> None:
        """The same seed draws the same items, another one others."""
        blocks = [f"name {i}\n" for i in range(100)]
        one, again, other = (both(Parts.of(blocks, 0.1, "lines", seed)) for seed in (1, 1, 2))
        assert one == again != other


class TestRecords:
    @given(
        st.data(),
        st.lists(st.tuples(st.sampled_from("abcdefgh") | texts, st.sampled_from("xyz"))),
        st.floats(0, 1, exclude_max=True),
    )
    def test_sources(self, data: st.DataObject, found: list[tuple[str, str]], val: float) -> None:
        """No source is in both parts, and together they hold every record."""
        found = [(source.translate(UNMARKED), target) for source, target in found]
        text = "".join(source + TARGET + target + END for source, target in found)
        training, held_out = (
            [tuple(record.split(TARGET)) for record in part.split(END)[:-1]]
            for part in both(Parts.of(data.draw(cut(text)), val, "records"))
        )
        assert sorted(training + held_out) == sorted(found)
        assert not {source for source, _ in training} & {source for source, _ in held_out}
        assert bool(held_out) == (val > 0 and len({source for source, _ in found}) > 1)

    def test_shares(self) -> None:
        """The same share of each target is held out, of rare ones too."""
        labels = ["rare"] * 20 + ["common"] * 980
        text = [f"{i}{TARGET}{label}{END}" for i, label in enumerate(labels)]
        for seed in range(5):
            _, held_out = both(Parts.of(text, 0.1, "records", seed))
            counts = Counter(re.findall("rare|common", held_out))
            assert counts["rare"] in (1, 2, 3)
            assert counts["common"] in (97, 98, 99)


class TestFingerprint:
    @given(st.data(), texts)
    def test_is_sha256(self, data: st.DataObject, s: str) -> None:
        """It is SHA-256 of the UTF-8 bytes, however the text came."""
        assert (
            Parts.of(data.draw(cut(s)), 0.1).fingerprint == hashlib.sha256(s.encode()).hexdigest()
        )

    @pytest.mark.parametrize("s", NASTY.values(), ids=NASTY)
    def test_of_any_shape(self, s: str) -> None:
        """The fingerprint of items is that of the text."""
        assert Parts.of([s], 0.1, "lines").fingerprint == Parts.of([s], 0.1).fingerprint

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogates(self, s: str) -> None:
        """Even what is no valid Unicode has a fingerprint of its own."""
        other = s.encode("utf-8", "replace").decode()
        assert Parts.of([s], 0.1).fingerprint != Parts.of([other], 0.1).fingerprint
