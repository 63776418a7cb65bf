"""Words as tokens."""

import random

import pytest

from charrnn.tokenizer import (
    WordTokenizer,
)


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
