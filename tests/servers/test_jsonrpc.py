"""Messages, their errors, and the order of a server's life."""

import threading
from contextlib import closing
from typing import Any
from unittest.mock import patch

import pytest

from charrnn.model import Model
from charrnn.servers import jsonrpc
from charrnn.suggestions.completer import Completer, Completion
from tests.servers.editor import URI, Editor, Json


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
