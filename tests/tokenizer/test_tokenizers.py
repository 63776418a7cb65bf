"""Every level gives back every text exactly, seen in training or not."""

import json
import random
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.config import LevelName
from charrnn.errors import TextError, UsageError
from charrnn.text import blocks
from charrnn.text.blocks import code_points
from charrnn.tokenizer import (
    TOKENIZERS,
    UNKNOWN,
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    base,
    from_json,
    pretokenizer,
)
from tests.models import WITH_UNSEEN
from tests.strategies import LONE_SURROGATES, NASTY, texts

LEVELS = [*TOKENIZERS]
SEEN = (
    "The fox's café is shut. The fox's café is\n\n    shut, isn’t it?\tIt isn’t, it is: ok -- ok.\n"
)


@pytest.fixture(scope="module", params=LEVELS)
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param].train(SEEN)


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


class TestChar:
    @given(seen=texts)
    def test_vocabulary(self, seen: str) -> None:
        """The vocabulary is the text's characters, each a token, in order of code point."""
        own = CharTokenizer.train(seen)
        assert own.tokens[:-1] == sorted(set(seen))
        assert own.vocab_size == len(set(seen)) + 1

    @given(s=texts)
    def test_one_id_a_character(self, s: str) -> None:
        """A text has as many ids as characters."""
        assert len(CharTokenizer.train(SEEN).encode(s)) == len(s)


class TestWord:
    def pieces(self, s: str) -> list[str]:
        """Tokens of a text in a vocabulary made of that text alone, repeated."""
        own = WordTokenizer.train(s * 2)
        return [own.tokens[i] for i in own.encode(s)]

    @pytest.mark.parametrize(
        ("s", "pieces"),
        [
            ("the cat sat\n", ["the", " cat", " sat", "\n"]),
            ("don't don’t well-known\n", ["don't", " don’t", " well-known", "\n"]),
            (
                'Stop! "No," I said...\n',
                ["Stop", "!", ' "', "No", ',"', " I", " said", "...", "\n"],
            ),
            ("if x:\n    y\n", ["if", " x", ":", "\n", "   ", " y", "\n"]),
            ("a\n\nb\n", ["a", "\n\n", "b", "\n"]),
        ],
    )
    def test_pieces(self, s: str, pieces: list[str]) -> None:
        """A word takes the space before it; punctuation, line breaks, indentation stand alone."""
        assert self.pieces(s) == pieces

    def test_rare_words_are_spelled(self) -> None:
        """A word seen once is spelled from the longest tokens that fit."""
        own = WordTokenizer.train("cat cat cat cats")
        assert [own.tokens[i] for i in own.encode(" cats")] == [" cat", "s"]
        assert [own.tokens[i] for i in own.encode("tac")] == ["t", "a", "c"]

    @pytest.mark.parametrize(
        ("s", "pieces"),
        [
            ("हिन्दी भाषा है", ["हिन्दी", " भाषा", " है"]),
            ("مَرْحَبًا بِكُمْ", ["مَرْحَبًا", " بِكُمْ"]),
            ("نمی\u200cخواهم برو", ["نمی\u200cخواهم", " برو"]),  # noqa: RUF001
            ("Cafe\u0301 au lait", ["Cafe\u0301", " au", " lait"]),
            ("학교에 갔다", ["학교에", " 갔다"]),
            ("猫。iPhoneを", ["猫", "。", "iPhone", "を"]),
        ],
        ids=["Hindi", "Arabic", "Persian", "combining", "Korean", "Japanese"],
    )
    def test_scripts(self, s: str, pieces: list[str]) -> None:
        """A word keeps its marks and joiners, and ends where another kind of script begins."""
        assert self.pieces(f"{s}\n") == [*pieces, "\n"]

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (["我", "喜欢", "苹果", "你们", "香蕉", "老师"], "老师喜欢香蕉"),
            (["ฉัน", "ชอบ", "แมว", "หมา", "โรงเรียน"], "หมาชอบโรงเรียน"),
        ],
        ids=["Chinese", "Thai"],
    )
    def test_scripts_without_spaces(self, words: list[str], line: str) -> None:
        """Words that nothing parts are found by what recurs."""
        choose = random.Random(0)
        own = WordTokenizer.train("".join(
            "".join(choose.choices(words, k=6)) + "。\n" for _ in range(400)
        ), vocab_size=120)  # fmt: skip
        tokens = [own.tokens[i] for i in own.encode(line)]
        assert "".join(tokens) == line
        assert len(tokens) <= 3
        assert {*words} <= {*own.tokens}

    def test_commonest_words(self) -> None:
        """Where not all have room, the commonest words are kept beside the characters."""
        own = WordTokenizer.train(" aa" * 5 + " bb" * 4 + " cc" * 3, vocab_size=7)
        assert own.tokens[:-1] == [" ", " aa", " bb", "a", "b", "c"]


class TestBpe:
    def test_frequent_pairs_are_joined(self) -> None:
        """The characters come first, then what is joined, the most frequent pair first."""
        own = BpeTokenizer.train("abab abab ababc" * 2, vocab_size=8)
        assert own.tokens[:-1] == [" ", "a", "b", "c", "ab", "abab", " abab"]
        assert [own.tokens[i] for i in own.encode("abab ababc ab")] == [
            "abab", " abab", "c", " ", "ab"
        ]  # fmt: skip

    def test_words_stay_apart(self) -> None:
        """No token reaches from a word into the next, or from a word into punctuation."""
        own = BpeTokenizer.train("of the king, of the king, of the king,\n" * 50)
        assert {"of", " the", " king", ",", "\n"} == {own.tokens[i] for i in own.encode(
            "of the king,\nof the king")}  # fmt: skip

    @pytest.mark.parametrize("length", [100, 10_000, 1_000_000])
    def test_size(self, length: int) -> None:
        """Left to itself the vocabulary grows with the square root of the text."""
        words = "".join(f"{n * n} " for n in range(length // 4))[:length]
        assert 0.5 * length**0.5 < BpeTokenizer.train(words).vocab_size <= 12 + length**0.5

    @pytest.mark.parametrize(
        "merges",
        [None, {}, "ab", ["ab"], [["a"]], [["a", 1]], [["a", "c"]], [["b", "a"]], [["", "ab"]]],
        ids=repr,
    )
    def test_bad_merges(self, merges: object) -> None:
        """Merges that are no pairs of tokens that make a token describe no tokenizer."""
        with pytest.raises(ValueError, match="merge"):
            from_json({"level": "bpe", "tokens": ["a", "b", "ab"], "merges": merges})


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def begins_character(data: bytes) -> bool:
    """Whether a character in UTF-8 is or starts with these bytes."""
    return any(is_text(data + last * n) for last in (b"\x80", b"\xbf") for n in range(4))


class TestByte:
    @given(s=texts)
    def test_tokens_are_the_bytes(self, s: str) -> None:
        """Ids are UTF-8's bytes, and their tokens joined are the text as it is spelled."""
        own = ByteTokenizer.train(s)
        ids = own.encode(s).tolist()
        assert bytes(ids) == s.encode()
        assert "".join(own.tokens[i] for i in ids) == own.spelled(s)
        assert own.read(own.spelled(s)) == s

    @given(s=texts)
    def test_no_half_character(self, s: str) -> None:
        """A character comes with its last byte and not before."""
        own = ByteTokenizer.train("")
        decode = own.decoder()
        shown = [decode(i) for i in own.encode(s).tolist()]
        assert "".join(shown) == s
        assert [c for c in shown if c] == [*s]

    @given(st.one_of(texts.map(str.encode), st.binary(max_size=6)), st.binary(max_size=2))
    def test_transitions(self, start: bytes, end: bytes) -> None:
        """The bytes that may follow one another are those of UTF-8, and no others."""
        transitions, state = ByteTokenizer.train("").transitions, 0
        assert transitions is not None
        character = b""
        for byte in start + end:
            character += bytes([byte])
            state = int(transitions[state, byte])
            assert (state >= 0) == begins_character(character)
            assert (state == 0) == is_text(character)
            if state < 0:
                break
            if state == 0:
                character = b""

    def test_surrogates(self) -> None:
        """ED A0 begins what would be half a character; Python's own decoder waits for its end."""
        transitions = ByteTokenizer.train("").transitions
        assert transitions is not None
        assert transitions[transitions[0, 0xED], 0xA0] < 0 < transitions[transitions[0, 0xED], 0x9F]

    def test_no_character(self) -> None:
        """Bytes that are no character are shown as the replacement character."""
        assert ByteTokenizer.train("").decode([0x61, 0xE2, 0x62, 0xFF]) == "a\ufffdb\ufffd"


class TestPieces:
    """Words, punctuation and white space, which words and byte pair encoding start from."""

    @given(s=texts)
    def test_unfinished_is_the_end(self, trained: Tokenizer, s: str) -> None:
        """What may still change is the end of the text."""
        assert s.endswith(trained.unfinished(s))

    @given(s=texts, more=texts)
    def test_what_is_finished_stays(self, trained: Tokenizer, s: str, more: str) -> None:
        """Before the unfinished end, no token changes as more is typed."""
        finished = trained.encode(s.removesuffix(trained.unfinished(s)))
        assert np.array_equal(trained.encode(s + more)[: len(finished)], finished)

    @pytest.mark.parametrize("level", ["word", "bpe"])
    @pytest.mark.parametrize(
        ("s", "end"), [("the ca", " ca"), ("the ", " "), ("the", "the"), ("x!", "!"), ("", "")]
    )
    def test_unfinished(self, level: str, s: str, end: str) -> None:
        """A word being typed is unfinished, with its space."""
        assert TOKENIZERS[level].train(SEEN).unfinished(s) == end


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
    assert {*TOKENIZERS} == {*get_args(LevelName)}
