"""Suggestions as an editor asks for them."""

import threading
from contextlib import ExitStack, closing
from typing import Any
from unittest.mock import patch

import pytest

from charrnn.model import Model
from charrnn.network.engine import Engine
from charrnn.servers.language_server import KEPT, Server
from charrnn.suggestions.completer import Completer, Completion
from charrnn.tokenizer import TOKENIZERS
from tests.models import random_model
from tests.servers.editor import URI, Editor, Json


def suggesting(*texts: str, p: float = 0.2) -> Any:
    """A patch: these completions are found, whatever is typed."""
    found = [Completion(text, p) for text in texts]
    return patch.object(Completer, "complete", lambda *_, **__: found)


def test_what_it_can_do(editor: Editor) -> None:
    """Editors are told when to ask: a server without trigger characters is none to some."""
    capabilities = editor.hello["result"]["capabilities"]
    assert " " in capabilities["completionProvider"]["triggerCharacters"]
    assert capabilities["inlineCompletionProvider"]
    assert capabilities["textDocumentSync"] == {"openClose": True, "change": 2}
    assert capabilities["positionEncoding"] == "utf-16"


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["utf-8", "utf-16"], "utf-8"), (["utf-7"], "utf-16"), ([], "utf-16")]
)
def test_encoding(model: Model, offered: list[str], chosen: str) -> None:
    """The first encoding of positions that both sides know is used."""
    with closing(Editor(model, general={"positionEncodings": offered})) as editor:
        assert editor.hello["result"]["capabilities"]["positionEncoding"] == chosen
        editor.open("\U0001d54f c")
        column = 6 if chosen == "utf-8" else 4
        with suggesting("at"):
            (item,) = editor.at("completion", 0, column)
        assert item["textEdit"]["range"]["start"]["character"] == column - 1


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_line_ends_are_read_as_one(editor: Editor, end: str) -> None:
    """The model reads LF for any line end, as in training."""
    typed: list[str] = []

    def complete(_: Completer, text: str, *__: Any, **___: Any) -> list[Completion]:
        typed.append(text)
        return []

    editor.open(f"The cat{end}{end}sat\ud83d{end}on")
    with patch.object(Completer, "complete", complete):
        editor.at("completion", 3, 2)
        editor.at("inlineCompletion", 3, 2)
    assert typed == ["The cat\n\nsat\ufffd\non"] * 2


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("The c", "", True),
        ("The c", "at", False),
        ("The ", "cat", False),
        ("The c", "’t", False),
        ("The c", " sat", True),
        ("The c", "\u3000sat", True),
        ("(The c", "), or", True),
        ("“The c", ".”", True),
        ("The c", "(or", False),
        ("The c", "/or", False),
        ("The c", "猫", False),
        ("猫在", "。", True),
    ],
)
def test_where_grey_text_stands(editor: Editor, before: str, after: str, shown: bool) -> None:
    """Ghost text needs white space or closing marks after the cursor."""
    editor.open(before + after)
    with suggesting("at"):
        items = editor.at("inlineCompletion", 0, len(before))
    assert bool(items) == shown


@pytest.mark.parametrize(
    ("before", "after", "columns"),
    [
        ("The c", "", (4, 5, 5)),
        ("The c", "oat sat", (4, 5, 8)),
        ("The ", "coat sat", (4, 4, 8)),
        ("don", "’t", (0, 3, 5)),
        ("don’", "t", (0, 4, 5)),
        ("The c", " sat", (4, 5, 5)),
        ("The c", "猫", (4, 5, 5)),
        ("猫", "在", (1, 1, 1)),
    ],
)
def test_the_whole_word_is_replaced(
    model: Model, before: str, after: str, columns: tuple[int, int, int]
) -> None:
    """A completion replaces the whole word at the cursor, if the user chooses so."""
    start, here, end = ({"line": 0, "character": column} for column in columns)
    choice: Json = {"completion": {"completionItem": {"insertReplaceSupport": True}}}
    for capabilities in (Json(), Json(textDocument=choice)):
        with closing(Editor(model, **capabilities)) as editor, suggesting("xyz"):
            editor.open(before + after)
            (item,) = editor.at("completion", 0, len(before))
        word = before[columns[0] :] + "xyz"
        assert (item["label"], item["filterText"]) == (word, word)
        edit = item["textEdit"]
        assert edit.pop("newText") == word
        if capabilities and columns[0] < columns[1] < columns[2]:
            assert edit == {
                "insert": {"start": start, "end": here},
                "replace": {"start": start, "end": end},
            }
        else:
            assert edit == {"range": {"start": start, "end": end}}


def test_what_stands_there_is_no_suggestion(editor: Editor) -> None:
    """A word is not offered for itself, and no text occurs twice."""
    editor.open("The coat")
    with suggesting("at", "oat", "ow"):
        assert [item["label"] for item in editor.at("completion", 0, 5)] == ["cat", "cow"]
    editor.open("The c")
    with suggesting("at", "at", "ow"):
        texts = [item["insertText"] for item in editor.at("inlineCompletion", 0, 5)]
    assert len(texts) == len({*texts})


def test_words_of_chinese() -> None:
    """In a script without spaces, the list offers as many characters as the session would."""
    model = random_model(TOKENIZERS["char"].train("今天天气很好。" * 9), favourite="天")
    with closing(Editor(model)) as editor:
        editor.open("今天天气很好。\n今")
        labels = [item["label"] for item in editor.at("completion", 1, 1)]
    assert labels == [found.text for found in model.complete("今天天气很好。\n今", 5)]
    assert max(map(len, labels)) > 1


def test_dial(model: Model) -> None:
    """The list shows more than grey text does, but nothing unlikely."""
    found = [Completion("at", 0.5), Completion("ow", 0.1), Completion("an", 0.004)]
    for least, labels in [(0.0, ["cat", "cow"]), (0.4, ["cat", "cow"]), (0.8, ["cat"])]:
        with (
            closing(Editor(model, least)) as editor,
            patch.object(Completer, "complete", lambda *_, **__: found),
        ):
            editor.open("The c")
            assert [item["label"] for item in editor.at("completion", 0, 5)] == labels


@pytest.mark.parametrize(
    ("line", "weighed"),
    [
        ("The | on the mat.", " on the mat."),
        ("The c|oat on the mat.", " on the mat."),
        ("The |  ", ""),
        ("The | that sits on the mat all day", " that sits on the"),
        ("The | aaaaaaaaaaaaaaaaaaaaaaaaa", " aaaaaaaaaaaaaaaaaaa"),
    ],
)
def test_what_follows_counts(editor: Editor, line: str, weighed: str) -> None:
    """Suggestions must fit some whole words after the cursor."""
    seen: list[str] = []

    def complete(*args: Any) -> list[Completion]:
        seen.append(args[4])  # after self, typed, k and dismissals
        return []

    editor.open(line.replace("|", ""))
    with patch.object(Completer, "complete", complete):
        editor.at("completion", 0, line.index("|"))
    assert seen == [weighed]


def steps(editor: Editor, *places: tuple[str, int]) -> int:
    """How many steps the network takes to suggest at the ends of some documents of one line."""
    with patch.object(Engine, "step", autospec=True, side_effect=Engine.step) as step:
        for uri, column in places:
            editor.at("completion", 0, column, uri)
        return int(step.call_count)


def test_documents_in_turn(editor: Editor) -> None:
    """Each document is read once, however often one goes from one to the other."""
    text = "The cat sat on the mat. " * 40
    uris = [f"file:///{i}.txt" for i in range(KEPT + 1)]
    for uri in uris[:KEPT]:
        editor.open(text, uri)
    turns = [(uri, len(text)) for uri in uris[:KEPT]]
    steps(editor, *turns)
    again = steps(editor, *turns, *turns)
    assert again < len(text)
    editor.open(text, uris[-1])
    steps(editor, (uris[-1], len(text)))
    assert steps(editor, turns[0]) > len(text) > steps(editor, turns[-1])


def test_a_document_is_read_when_it_is_opened(model: Model) -> None:
    """Nobody has asked yet: what is left to do then is little."""
    text = "The cat sat on the mat. " * 40
    read = threading.Event()

    def read_on(self: Server) -> None:
        original(self)
        if not self._readings:
            read.set()

    original = Server._read_on
    with ExitStack() as stack:
        stack.enter_context(patch.object(Server, "_read_on", read_on))
        editor = stack.enter_context(closing(Editor(model)))
        editor.open(text)
        assert read.wait(60)
        assert steps(editor, (URI, len(text))) < len(text) // 2
