"""Characters and bytes as tokens."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn.tokenizer import (
    ByteTokenizer,
    CharTokenizer,
)
from tests.strategies import texts
from tests.tokenizer.texts import SEEN


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
