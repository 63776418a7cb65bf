"""What holds for every tokenizer."""

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings

from charrnn.config import LevelName
from charrnn.errors import TextError, UsageError
from charrnn.text import blocks
from charrnn.text.blocks import code_points
from charrnn.tokenizer import (
    TOKENIZERS,
    UNKNOWN,
    ByteTokenizer,
    Tokenizer,
    base,
    from_json,
    pretokenizer,
)
from tests.models import WITH_UNSEEN
from tests.strategies import LONE_SURROGATES, NASTY, texts
from tests.tokenizer.texts import LEVELS, SEEN


def check_exact(level: Tokenizer, s: str) -> None:
    """The law of every level: exact, and within the network's vocabulary."""
    ids = level.encode(s)
    assert level.decode(ids) == s
    assert ids.dtype == np.int32
    known = level.known(ids)
    assert known.shape == ids.shape
    assert np.array_equal(known, np.where(ids < level.vocab_size, ids, level.unknown_id))


class TestExact:
    @pytest.mark.parametrize("s", NASTY.values(), ids=NASTY)
    def test_nasty_unseen(self, trained: Tokenizer, s: str) -> None:
        """Nasty texts come back exactly from a vocabulary that never saw them."""
        check_exact(trained, s)

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("s", NASTY.values(), ids=NASTY)
    def test_nasty_seen(self, level: str, s: str) -> None:
        """A vocabulary of a nasty text gives it back exactly and has no escapes in it."""
        own = TOKENIZERS[level].train(s)
        check_exact(own, s)
        assert (own.encode(s) < own.unknown_id).all()

    @given(s=texts)
    def test_any_text(self, trained: Tokenizer, s: str) -> None:
        """Any text comes back exactly."""
        check_exact(trained, s)

    @settings(max_examples=25)
    @given(seen=texts, s=texts)
    @pytest.mark.parametrize("level", LEVELS)
    def test_any_vocabulary(self, level: str, seen: str, s: str) -> None:
        """Any text comes back exactly from the vocabulary of any other."""
        check_exact(TOKENIZERS[level].train(seen), s)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "s",
        [
            "a" * 200_000,
            " " * 200_000,
            "-" * 200_000,
            "a-" * 70_000,
            "猫é" * 70_000,
            "\n" * 140_000,
        ],
        ids=["letter", "space", "hyphen", "joined", "unseen", "line break"],
    )
    def test_long_runs(self, trained: Tokenizer, s: str) -> None:
        """A run of a hundred thousand characters without a break comes back exactly."""
        check_exact(trained, s)

    def test_long_text(self, trained: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A text of many chunks is encoded as its parts are."""
        real = blocks.chunks
        monkeypatch.setattr(pretokenizer, "chunks", lambda blocks: real(blocks, 100))
        ids = trained.encode(SEEN * 500)
        assert np.array_equal(ids, np.tile(trained.encode(SEEN), 500))

    @pytest.mark.parametrize("s", LONE_SURROGATES)
    def test_lone_surrogate(self, trained: Tokenizer, s: str) -> None:
        """Half a surrogate pair is refused in one line that says which and where."""
        where = next(i for i, c in enumerate(s) if "\ud800" <= c <= "\udfff")
        for refuses in (trained.encode, trained.spell, trained.unseen, type(trained).train):
            with pytest.raises(TextError, match=rf"U\+{ord(s[where]):04X} at character {where}"):
                refuses(s)


class TestUnknown:
    @pytest.mark.parametrize("trained", WITH_UNSEEN, indirect=True)
    @given(s=texts)
    @example(s="xQxQ x")
    def test_unseen(self, trained: Tokenizer, s: str) -> None:
        """`unseen` lists the characters that training never saw, each once, in order."""
        expected: list[str] = []
        for c in s:
            if c not in SEEN and c not in expected:
                expected.append(c)
        assert trained.unseen(s) == expected

    @pytest.mark.parametrize("trained", WITH_UNSEEN, indirect=True)
    @given(s=texts)
    def test_escapes(self, trained: Tokenizer, s: str) -> None:
        """There is one escape for each unseen character, and none for another."""
        ids = trained.encode(s)
        escapes = [chr(i - trained.vocab_size) for i in ids.tolist() if i >= trained.vocab_size]
        assert escapes == [c for c in s if c not in SEEN]
        assert trained.unknown_id not in ids

    @pytest.mark.parametrize("trained", WITH_UNSEEN, indirect=True)
    @given(s=texts)
    def test_spell(self, trained: Tokenizer, s: str) -> None:
        """Spelling gives one id for each character and reads back exactly."""
        ids = trained.spell(s)
        assert len(ids) == len(s)
        assert trained.decode(ids) == s

    @pytest.mark.parametrize("level", WITH_UNSEEN)
    def test_more_characters_than_kept(self, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a large script the commonest characters are kept, the rest comes back by escapes."""
        monkeypatch.setattr(base, "MAX_CHARACTERS", 3)
        own = TOKENIZERS[level].train("aaaa bbb cc d \n")
        assert own.unseen("abcd \n") == ["c", "d", "\n"]
        check_exact(own, "dcba abcd\n")


@pytest.mark.parametrize("level", LEVELS)
def test_the_end_of_a_document(level: str) -> None:
    """It is a token of its own, whatever stands around it."""
    s = "One!\x03 !\x03\x03two.\x03  \x03\n\x03" * 20
    trained = TOKENIZERS[level].train(s)
    (end,) = trained.encode(blocks.END).tolist()
    assert trained.encode(s).tolist().count(end) == s.count(blocks.END)
    assert end < trained.vocab_size


class TestSize:
    @pytest.mark.parametrize("level", WITH_UNSEEN)
    @pytest.mark.parametrize("size", [2, 5, 20, 40])
    def test_is_kept_to(self, level: str, size: int) -> None:
        """A vocabulary is no larger than asked, and exact; the commonest characters stay."""
        own = TOKENIZERS[level].train(SEEN, vocab_size=size)
        assert own.vocab_size <= size
        check_exact(own, SEEN)
        assert not own.unseen(" ")

    def test_of_bytes(self) -> None:
        """The number of bytes is not to be chosen."""
        with pytest.raises(UsageError, match="256"):
            ByteTokenizer.train(SEEN, vocab_size=100)


class TestJson:
    @settings(max_examples=25)
    @given(seen=texts, s=texts)
    @pytest.mark.parametrize("level", LEVELS)
    def test_round_trip(self, level: str, seen: str, s: str) -> None:
        """A tokenizer that went through JSON encodes every text as before."""
        before = TOKENIZERS[level].train(seen)
        after = from_json(json.loads(json.dumps(before.to_json())))
        assert after.level == level
        assert after.tokens == before.tokens
        assert np.array_equal(after.encode(s), before.encode(s))

    @pytest.mark.parametrize("level", WITH_UNSEEN)
    @pytest.mark.parametrize(
        "tokens",
        [
            None,
            "abc",
            {"a": 1},
            [1],
            [None],
            [""],
            ["a", "b", "a"],
            ["a", ["b"]],
            ["a", UNKNOWN],
            ["a", "\ud800"],
        ],
        ids=repr,
    )
    def test_bad_tokens(self, level: str, tokens: object) -> None:
        """Tokens that are no list of different valid texts describe no tokenizer."""
        with pytest.raises(ValueError, match=r"token|Unicode"):
            from_json({"level": level, "tokens": tokens})

    @pytest.mark.parametrize("level", [None, "", "syllable", 1, [], {}, ["char"], True], ids=repr)
    def test_bad_level(self, level: object) -> None:
        """A level that is not in TOKENIZERS, of whatever type, describes no tokenizer."""
        with pytest.raises(ValueError, match="level"):
            from_json({"level": level, "tokens": ["a"]})

    @pytest.mark.parametrize("data", [None, [], "char", 3, {}], ids=repr)
    def test_not_a_tokenizer(self, data: object) -> None:
        """JSON that is no object describes no tokenizer."""
        with pytest.raises(ValueError, match="level"):
            from_json(data)

    def test_long_char_token(self) -> None:
        """A character level whose tokens are longer than a character is refused."""
        with pytest.raises(ValueError, match="character"):
            from_json({"level": "char", "tokens": ["a", "bc"]})


@given(texts)
def test_code_points(s: str) -> None:
    """Code points are those of `ord`."""
    assert code_points(s).tolist() == [ord(c) for c in s]


class TestExtended:
    @given(s=texts)
    @settings(max_examples=30, deadline=None)
    @pytest.mark.parametrize("level", LEVELS)
    def test_old_ids_stay(self, level: str, s: str) -> None:
        """A vocabulary extended by a text keeps every id and then knows that text's tokens too."""
        old = TOKENIZERS[level].train(SEEN)
        new = old.extended(s)
        assert new.tokens[: old.unknown_id] == old.tokens[:-1]
        added = {*s} if level == "bpe" else {*TOKENIZERS[level].train(s).tokens}
        assert set(new.tokens) == {*old.tokens, *added}
        assert len(new.tokens) == len(set(new.tokens))
        assert not new.unseen(s)
        check_exact(new, s)

    def test_nothing_new(self, trained: Tokenizer) -> None:
        """The text that a vocabulary was made from adds nothing to it."""
        assert trained.extended(SEEN).tokens == trained.tokens


def test_table() -> None:
    """The levels of the command line are those of the table."""
    assert {"auto", *TOKENIZERS} == {*get_args(LevelName)}
