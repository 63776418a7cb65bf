"""The language server, message by message."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any
from unittest.mock import patch

import pytest

from charrnn.model import Model
from charrnn.network.engine import Engine
from charrnn.servers import jsonrpc
from charrnn.servers.language_server import KEPT, Server
from charrnn.suggestions.completer import Completer, Completion
from charrnn.tokenizer import TOKENIZERS
from tests.models import random_model

URI = "file:///notes.txt"
Json = dict[str, Any]


class Editor:
    """Speaks with a server over pipes.

    Args:
        least: probability under which the server suggests nothing.
        capabilities: what the editor says that it can do.
    """

    def __init__(self, model: Model, least: float = 0.0, **capabilities: Any) -> None:
        incoming, write = os.pipe()
        read, outgoing = os.pipe()
        self._write, self._read = os.fdopen(write, "wb"), os.fdopen(read, "rb")
        self._answers = map(json.loads, jsonrpc.bodies(self._read))
        self._ids = iter(range(1, 1000))
        self.code: int | None = None

        def run() -> None:
            with open(incoming, "rb") as source, open(outgoing, "wb") as output:
                self.code = Server(model, 5, least, output).run(source)

        self._thread = threading.Thread(target=run)
        self._thread.start()
        self.hello = self.greet(capabilities)

    def greet(self, capabilities: Json) -> Json:
        return self.ask("initialize", capabilities=capabilities)

    def write(self, data: bytes) -> None:
        self._write.write(data)
        self._write.flush()

    def tell(self, method: str, **params: Any) -> None:
        self.write(jsonrpc.message(method=method, params=params))

    def send(self, method: str, **params: Any) -> int:
        """Send a request and do not wait."""
        name = next(self._ids)
        self.write(jsonrpc.message(id=name, method=method, params=params))
        return name

    def answer(self) -> Json:
        answer: Json = next(self._answers)
        return answer

    def ask(self, method: str, **params: Any) -> Json:
        name = self.send(method, **params)
        answer = self.answer()
        assert answer["id"] == name
        return answer

    def open(self, text: str, uri: str = URI) -> None:
        self.tell("textDocument/didOpen", textDocument={"uri": uri, "text": text})

    def at(self, kind: str, line: int, character: int, uri: str = URI) -> list[Json]:
        """Return the suggestions at a position; `kind` is completion or inlineCompletion."""
        position = {"line": line, "character": character}
        answer = self.ask(f"textDocument/{kind}", textDocument={"uri": uri}, position=position)
        items: list[Json] = answer["result"]["items"]
        return items

    def close(self) -> None:
        self._write.close()
        self._thread.join()
        self._read.close()


@pytest.fixture
def model() -> Model:
    return random_model(TOKENIZERS["char"].train("The cat sat on the mat. " * 9))


@pytest.fixture
def editor(model: Model) -> Iterator[Editor]:
    with closing(Editor(model)) as editor:
        yield editor


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


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"{", jsonrpc.PARSE_ERROR),
        (b"\xff", jsonrpc.PARSE_ERROR),
        (b"[" * 100_000, jsonrpc.PARSE_ERROR),
        (b"[]", jsonrpc.INVALID_REQUEST),
        (b"7", jsonrpc.INVALID_REQUEST),
        (b'{"id": 7, "method": 7}', jsonrpc.INVALID_REQUEST),
        (b'{"id": [], "method": "shutdown"}', jsonrpc.INVALID_REQUEST),
    ],
)
def test_broken_messages(editor: Editor, sent: bytes, code: int) -> None:
    """An invalid request gets an error, and the server continues."""
    editor.write(b"Content-Type: x\r\ncontent-length: %d\r\n\r\n%b" % (len(sent), sent))
    answer = editor.answer()
    assert (answer["id"], answer["error"]["code"]) == (None, code)
    assert editor.ask("shutdown")["result"] is None


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"textDocument": {"uri": URI}},
        {"textDocument": {"uri": URI}, "position": {"line": "0", "character": 0}},
        {"textDocument": {"uri": URI}, "position": {"line": -1, "character": 0}},
        {"textDocument": URI, "position": {"line": 0, "character": 0}},
        {"textDocument": {"uri": "file:///other"}, "position": {"line": 0, "character": 0}},
    ],
)
@pytest.mark.parametrize("kind", ["completion", "inlineCompletion"])
def test_wrong_parameters(editor: Editor, kind: str, params: Json) -> None:
    """They are answered with an error that has the request's id."""
    editor.open("The cat")
    answer = editor.ask(f"textDocument/{kind}", **params)
    assert answer["error"]["code"] == jsonrpc.INVALID_PARAMS


def test_order_of_life(model: Model) -> None:
    """Requests before initialize, after shutdown, or unknown ones get an error."""
    with closing(Editor(model)) as editor:
        assert editor.ask("workspace/symbol")["error"]["code"] == jsonrpc.METHOD_NOT_FOUND
        assert editor.ask("initialize")["error"]["code"] == jsonrpc.INVALID_REQUEST
        for method in ("$/setTrace", "textDocument/didChange", "$/cancelRequest", "initialized"):
            editor.tell(method)  # a notification has no answer
        editor.ask("shutdown")
        assert editor.ask("textDocument/completion")["error"]["code"] == jsonrpc.INVALID_REQUEST
        editor.tell("exit")
    assert editor.code == 0
    with patch.object(Editor, "greet"), closing(Editor(model)) as editor:
        assert editor.ask("textDocument/completion")["error"]["code"] == jsonrpc.NOT_INITIALIZED
        assert editor.ask("initialize")["error"]["code"] == jsonrpc.INVALID_PARAMS


def test_end_without_shutdown(model: Model) -> None:
    """An editor that is suddenly gone is no success."""
    with closing(Editor(model)) as editor:
        editor.tell("exit")
    assert editor.code == 1
    with closing(Editor(model)) as editor:
        editor.write(b"Content-Length: 99\r\n\r\n{")
    assert editor.code == 1


def test_failure(editor: Editor) -> None:
    """An internal error is sent with the request's id, and the server continues."""
    editor.open("The c")
    with patch.object(Completer, "complete", side_effect=RuntimeError("broken")):
        here = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 5}}
        answer = editor.ask("textDocument/completion", **here)
    assert answer["error"]["code"] == jsonrpc.INTERNAL_ERROR
    assert "RuntimeError: broken" in answer["error"]["message"]
    assert editor.ask("shutdown")["result"] is None


def test_cancelled(editor: Editor, capfd: pytest.CaptureFixture[str]) -> None:
    """A request that waits is dropped when it is cancelled; of the others each is answered."""
    editor.open("The c")
    here = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 5}}
    busy, free = threading.Event(), threading.Event()

    def complete(*_: Any, **__: Any) -> list[Completion]:
        busy.set()
        free.wait(60)
        return [Completion("at", 0.5)]

    with patch.object(Completer, "complete", complete):
        first = editor.send("textDocument/completion", **here)
        busy.wait(60)
        second, third = (editor.send("textDocument/completion", **here) for _ in range(2))
        editor.tell("$/cancelRequest", id=second)
        editor.tell("$/cancelRequest", id=first)  # too late
        editor.tell("$/cancelRequest", id=99)
        dropped = editor.answer()
        free.set()
        done = [editor.answer() for _ in range(2)]
    assert (dropped["id"], dropped["error"]["code"]) == (second, jsonrpc.CANCELLED)
    assert [answer["id"] for answer in done if "result" in answer] == [first, third]
    assert capfd.readouterr() == ("", "")


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
