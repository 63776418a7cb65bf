"""The language server as a process, asked by a client of another maker."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled
from pygls.lsp.client import LanguageClient

from charrnn.servers.jsonrpc import message
from tests.cli.conftest import Call
from tests.cli.shell import COMMAND, ENVIRONMENT, PATIENCE, Training, charrnn_command

pytestmark = pytest.mark.slow

URI = "file:///notes.txt"
Talk = Callable[[LanguageClient], Awaitable[None]]


def talk(model: Path, conversation: Talk, *options: str) -> None:
    """Start a server, say hello, talk, and end it."""

    async def run() -> None:
        client = LanguageClient("editor", "1")
        await client.start_io(sys.executable, "-m", "charrnn", "lsp", "-m", str(model), *options)
        hello = await client.initialize_async(
            types.InitializeParams(capabilities=types.ClientCapabilities())
        )
        assert hello.capabilities.completion_provider is not None
        assert hello.capabilities.inline_completion_provider is not None
        client.initialized(types.InitializedParams())
        await conversation(client)
        await client.shutdown_async(None)
        client.exit(None)
        assert client._server
        assert await client._server.wait() == 0
        await client.stop()  # type: ignore[no-untyped-call]

    asyncio.run(asyncio.wait_for(run(), 60))


def open_text(client: LanguageClient, text: str) -> None:
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "plaintext", 1, text))
    )


async def complete(client: LanguageClient, line: int, character: int) -> list[types.CompletionItem]:
    found = await client.text_document_completion_async(
        types.CompletionParams(types.TextDocumentIdentifier(URI), types.Position(line, character))
    )
    assert isinstance(found, types.CompletionList)
    assert found.is_incomplete  # so that the editor asks again after the next key
    return [*found.items]


def edit(item: types.CompletionItem) -> tuple[str, int, int]:
    """The text that an item brings, and between which columns."""
    assert isinstance(item.text_edit, types.TextEdit)
    place = item.text_edit.range
    return item.text_edit.new_text, place.start.character, place.end.character


def test_completion(word_trained: Training) -> None:
    """The half word before the cursor is replaced by whole ones, the likeliest first."""

    async def conversation(client: LanguageClient) -> None:
        open_text(client, "The fox slept.\nMy neigh and more")
        items = await complete(client, 1, 8)
        assert edit(items[0]) == ("neighbour", 3, 8)
        assert [item.sort_text for item in items] == sorted(item.sort_text or "" for item in items)
        assert all(item.label.startswith("neigh") for item in items)

    talk(word_trained.run, conversation)


def test_edits(word_trained: Training) -> None:
    """Suggestions follow what is typed, behind characters of two units too."""

    async def conversation(client: LanguageClient) -> None:
        open_text(client, "\U0001d54f The ")
        insert = types.Range(types.Position(0, 7), types.Position(0, 7))
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(2, URI),
                [types.TextDocumentContentChangePartial(insert, "old mil")],
            )
        )
        items = await complete(client, 0, 14)
        assert edit(items[0]) == ("miller", 11, 14)

    talk(word_trained.run, conversation)


def test_inline(word_trained: Training) -> None:
    """At the cursor stands what goes on from there; nothing that is not likely enough."""
    request = types.InlineCompletionParams(
        types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
        types.TextDocumentIdentifier(URI),
        types.Position(0, 8),
    )

    async def conversation(client: LanguageClient) -> None:
        open_text(client, "My neigh")
        found = await client.text_document_inline_completion_async(request)
        assert isinstance(found, types.InlineCompletionList)
        first = found.items[0]
        assert str(first.insert_text).startswith("bour")
        assert first.range == types.Range(request.position, request.position)

    async def silence(client: LanguageClient) -> None:
        open_text(client, "My neigh")
        found = await client.text_document_inline_completion_async(request)
        assert isinstance(found, types.InlineCompletionList)
        assert not found.items

    talk(word_trained.run, conversation)
    talk(word_trained.run, silence, "--dial", "1")


@pytest.mark.parametrize("text", ["", "\n", " ", "?!"])
def test_nothing_typed(trained: Training, text: str) -> None:
    """With no word to go on from words are suggested all the same."""

    async def conversation(client: LanguageClient) -> None:
        open_text(client, text)
        lines = text.count("\n")
        assert len(await complete(client, lines, len(text.rpartition("\n")[2]))) == 5

    talk(trained.run, conversation, "--dial", "eager")


def test_long_text(trained: Training) -> None:
    """Of a long text the last part counts."""

    async def conversation(client: LanguageClient) -> None:
        open_text(client, "The fox slept by the river. " * 4000 + "The fo")
        assert edit((await complete(client, 0, 112_006))[0])[1:] == (112_004, 112_006)

    talk(trained.run, conversation)


@pytest.mark.parametrize(
    ("following", "word"), [(" a song", "sang"), (" for rain", "waited"), (" the st", "counted")]
)
def test_following_text(word_trained: Training, following: str, word: str) -> None:
    """What is likeliest depends on what stands behind the cursor."""

    async def conversation(client: LanguageClient) -> None:
        open_text(client, f"The fox {following}")
        assert (await complete(client, 0, 8))[0].label == word

    talk(word_trained.run, conversation)


def test_cancel(trained: Training) -> None:
    """A question that is cancelled while an earlier one is answered is dropped; others are not."""

    async def conversation(client: LanguageClient) -> None:
        open_text(client, "The fox slept by the river. " * 1400 + "The fo")
        document = types.TextDocumentIdentifier(URI)
        first, second, third = (
            client.protocol.send_request_async(
                types.TEXT_DOCUMENT_COMPLETION,
                types.CompletionParams(document, types.Position(0, 39_206)),
                msg_id=name,
            )
            for name in ("first", "second", "third")
        )
        client.cancel_request(types.CancelParams("second"))
        with pytest.raises(JsonRpcRequestCancelled):
            await second
        assert (await first).items == (await third).items != []

    talk(trained.run, conversation)


def test_no_model(call: Call) -> None:
    """Without a model it says so and ends, before it speaks the protocol."""
    result = call("lsp")
    assert (result.code, result.out) == (2, "")
    assert "charrnn train" in result.error


@pytest.mark.parametrize("argument", ["--stdio", "--clientProcessId=7"])
def test_as_editors_start_it(trained: Training, argument: str) -> None:
    """Arguments of editors are accepted; it ends without an error and says nothing besides."""
    capabilities: dict[str, object] = {}
    conversation = [
        message(id=1, method="initialize", params={"capabilities": capabilities}),
        message(method="initialized", params={}),
        message(id=2, method="shutdown"),
        message(method="exit"),
    ]
    result = charrnn_command(
        "lsp", argument, "-m", trained.run, cwd=trained.folder, stdin=b"".join(conversation)
    )
    assert (result.code, result.err) == (0, "")
    assert [line[:15] for line in result.out.split("\r\n")][::2][:1] == ["Content-Length:"]


def test_needs_little(trained: Training) -> None:
    """Nothing is imported that takes longer than all the rest."""
    goodbye = message(method="exit").decode()
    program = ["import sys", "from charrnn.cli import main", "main()", "print(*sys.modules)"]
    result = charrnn_command(
        "lsp",
        "-m",
        trained.run,
        cwd=trained.folder,
        stdin=goodbye,
        program=[sys.executable, "-c", "\n".join(program)],
    )
    assert not {"torch", "rich", "asyncio", "pygls", "prompt_toolkit"} & {*result.out.split()}


def test_on_a_terminal(trained: Training) -> None:
    """Who starts it by hand is told that it waits."""
    import pty

    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "lsp", "-m", trained.model],
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    )
    os.close(terminal)
    assert process.stderr
    assert "an editor starts this command" in process.stderr.readline()
    os.close(controller)
    assert process.wait(PATIENCE) == 1
    process.stderr.close()
