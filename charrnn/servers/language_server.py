"""A language server: the model's suggestions in any editor that supports the protocol.

The few messages needed are read and written here: importing a library for the whole protocol would
take longer than the rest of the start.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, BinaryIO

from charrnn import __version__
from charrnn.display.console import devnull
from charrnn.model import Model
from charrnn.servers import jsonrpc
from charrnn.servers.document import ENCODINGS, Document, Position
from charrnn.suggestions.completer import SHOWN_FROM, worth_showing
from charrnn.text.blocks import whole
from charrnn.text.words import CLOSING, WORD, is_unspaced, partial_word

LISTED_SHARE = 0.25  # lists distract less than ghost text: `least` times this (not tuned)
KEPT = 4  # maximum documents whose states are kept, tens of megabytes each (not tuned)
FOLLOWING = 20  # maximum characters after the cursor that suggestions must fit (not tuned)
# Characters after which a word may begin; for letters, editors request suggestions by themselves.
TRIGGERS = [*" \"'([{“‘«„¿¡—-"]
PLAIN_TEXT = 1  # CompletionItemKind.Text in the protocol
INCREMENTAL = 2  # TextDocumentSyncKind.Incremental in the protocol

Json = dict[str, Any]
Answer = Callable[[], Any]


class Refusal(Exception):
    """A request that cannot be answered.

    Args:
        code: error code; see charrnn.servers.jsonrpc.
        reason: message for the user.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor position for which an editor requests suggestions.

    Attributes:
        uri: the document's URI.
        before: the end of the text before the cursor.
        partial: the part of the word at the cursor that is before the cursor.
        rest: the part of that word that is after the cursor.
        after: the rest of the line after that word.
        start: start of the word, in the protocol's coordinates.
        here: position of the cursor, likewise.
        end: end of the word, likewise.
    """

    uri: str
    before: str
    partial: str
    rest: str
    after: str
    start: Json
    here: Json
    end: Json

    @property
    def following(self) -> str:
        """Return the text that suggestions must fit, at most FOLLOWING characters."""
        after = self.after.rstrip()
        if len(after) > FOLLOWING:
            after = after[:FOLLOWING].rpartition(" ")[0].rstrip() or after[:FOLLOWING]
        return after

    @property
    def is_between_words(self) -> bool:
        """Return whether no word continues or begins right after the cursor."""
        first = self.after[:1]
        return not self.rest and (not first or first.isspace() or first in CLOSING)


class Server:
    """Follows an editor's documents and answers its requests.

    One thread listens, so that changes and cancellations are noticed while another one computes
    answers. If no request waits, the second thread reads newly opened documents ahead.

    Args:
        model: the model that suggests.
        count: number of suggestions to choose from.
        least: minimum probability of a suggestion.
        output: binary stream for the answers.
    """

    def __init__(self, model: Model, count: int, least: float, output: BinaryIO) -> None:
        self._model = model
        self._count = count
        self._least = least
        self._output = output
        self._writing = Lock()
        self._requests: dict[str, Callable[[Any], Answer]] = {
            "initialize": self._initialize,
            "shutdown": self._shut_down,
            "textDocument/completion": self._completion,
            "textDocument/inlineCompletion": self._inline_completion,
        }
        self._notifications: dict[str, Callable[[Any], None]] = {
            "textDocument/didOpen": self._open,
            "textDocument/didChange": self._change,
            "textDocument/didClose": self._close,
            "$/cancelRequest": self._cancel,
        }
        self._initialized = self._ended = False
        self._encoding = "utf-16"
        self._replaces = False  # whether the editor's user can choose to insert or replace
        self._documents: dict[str, Document] = {}
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: set[int | str] = set()  # requests that may still be cancelled
        # Used by the computing thread only: a model that has read each document, and iterators that
        # read documents ahead.
        self._models: dict[str, Model] = {}
        self._readings: dict[str, Iterator[None]] = {}

    def run(self, source: BinaryIO) -> int:
        """Listen until the editor ends the session or closes the stream.

        Returns:
            The exit code: 0 after a shutdown request, else 1, as the protocol says.
        """
        computing = Thread(target=self._compute)
        computing.start()
        try:
            for body in jsonrpc.bodies(source):
                if not self._hear(body):
                    break
        finally:
            self._waiting.clear()
            self._jobs.put(None)
            computing.join()
        return 0 if self._ended else 1

    def _hear(self, body: bytes) -> bool:
        """Handle a message; return False if it was the last one."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = None
            self._refuse(None, jsonrpc.PARSE_ERROR, "the message is not JSON")
        match message:
            case None:
                pass
            case {"method": str(method), "id": int() | str() as name}:
                try:
                    answer = self._request(method, message.get("params"))
                except Refusal as refusal:
                    self._refuse(name, refusal.code, str(refusal))
                else:
                    self._waiting.add(name)
                    self._jobs.put(partial(self._answer, name, answer))
            case {"method": "exit"}:
                return False
            case {"method": str(method)} if "id" not in message:
                with suppress(Refusal):  # a notification gets no answer
                    self._notifications.get(method, lambda _: None)(message.get("params"))
            case {"id": _} if "method" not in message:
                pass  # a response, though we send no requests
            case _:
                self._refuse(None, jsonrpc.INVALID_REQUEST, "the message is not a request")
        return True

    def _request(self, method: str, params: Any) -> Answer:
        """Return a function that computes the answer to a request.

        Raises:
            Refusal: the request cannot be answered.
        """
        if not self._initialized and method != "initialize":
            raise Refusal(jsonrpc.NOT_INITIALIZED, "initialize must come first")
        if self._ended:
            raise Refusal(jsonrpc.INVALID_REQUEST, "the server was shut down")
        if method not in self._requests:
            raise Refusal(jsonrpc.METHOD_NOT_FOUND, f"no method {method}")
        return self._requests[method](params)

    def _initialize(self, params: Any) -> Answer:
        if self._initialized:
            raise Refusal(jsonrpc.INVALID_REQUEST, "the server is already initialized")
        match params:
            case {"capabilities": {"general": {"positionEncodings": [*encodings]}}}:
                known = [encoding for encoding in encodings if encoding in [*ENCODINGS]]
                self._encoding = known[0] if known else self._encoding
            case {"capabilities": {}}:
                pass
            case _:
                raise Refusal(jsonrpc.INVALID_PARAMS, "the editor's capabilities are missing")
        match params["capabilities"].get("textDocument"):
            case {"completion": {"completionItem": {"insertReplaceSupport": True}}}:
                self._replaces = True
        self._initialized = True
        return lambda: {
            "capabilities": {
                "positionEncoding": self._encoding,
                "textDocumentSync": {"openClose": True, "change": INCREMENTAL},
                "completionProvider": {"triggerCharacters": TRIGGERS},
                "inlineCompletionProvider": True,
            },
            "serverInfo": {"name": "charrnn", "version": __version__},
        }

    def _shut_down(self, _params: Any) -> Answer:
        for name in [*self._waiting]:
            self._cancel({"id": name})
        self._ended = True
        return lambda: None

    def _cancel(self, params: Any) -> None:
        match params:
            case {"id": int() | str() as name}:
                with suppress(KeyError):  # already answered
                    self._waiting.remove(name)
                    self._refuse(name, jsonrpc.CANCELLED, "cancelled")

    def _open(self, params: Any) -> None:
        match params:
            case {"textDocument": {"uri": str(uri), "text": str(text)}}:
                document = self._documents[uri] = Document(text, self._encoding)
                self._jobs.put(partial(self._begin, uri, document.before(document.end)))

    def _change(self, params: Any) -> None:
        match params:
            case {"textDocument": {"uri": str(uri)}, "contentChanges": [*changes]}:
                for change in changes:
                    self._apply(uri, change)

    def _apply(self, uri: str, change: Any) -> None:
        document = self._documents.get(uri)
        match change:
            case {"range": {"start": start, "end": end}, "text": str(text)} if document:
                document.change(_position(document, start), _position(document, end), text)
            case {"text": str(text)} if document and "range" not in change:
                self._documents[uri] = Document(text, self._encoding)

    def _close(self, params: Any) -> None:
        match params:
            case {"textDocument": {"uri": str(uri)}}:
                self._documents.pop(uri, None)
                self._jobs.put(partial(self._forget, uri))

    def _completion(self, params: Any) -> Answer:
        return partial(self._words, self._cursor(params))

    def _inline_completion(self, params: Any) -> Answer:
        return partial(self._ghosts, self._cursor(params))

    def _cursor(self, params: Any) -> Cursor:
        """Return the cursor position of a request.

        Raises:
            Refusal: the parameters are invalid, or the document is not open.
        """
        match params:
            case {"textDocument": {"uri": str(uri)}, "position": position}:
                pass
            case _:
                raise Refusal(jsonrpc.INVALID_PARAMS, "a document and a position are missing")
        document = self._documents.get(uri)
        if not document:
            raise Refusal(jsonrpc.INVALID_PARAMS, f"{uri} is not open")
        here = _position(document, position)
        before, line = document.before(here), document.line(here.line)
        partial = partial_word(before)
        start = here._replace(column=here.column - len(partial))
        word = WORD.match(line, start.column)
        # In scripts without spaces, the next character is a word of its own.
        goes_on = word and word.end() > here.column and not is_unspaced(word[0])
        end = here._replace(column=word.end()) if word and goes_on else here
        positions = (
            {"line": at.line, "character": document.units(at)} for at in (start, here, end)
        )
        rest, after = line[here.column : end.column], line[end.column :]
        return Cursor(uri, before, partial, rest, after, *positions)

    def _words(self, cursor: Cursor) -> Json:
        """Return a list of words that the word at the cursor may become."""
        model = self._typing(cursor.uri)
        typed = _readable(cursor.before)
        partial = partial_word(model.as_read(typed))  # suggestions continue this spelling
        present = model.as_read(cursor.partial + cursor.rest)
        items: list[Json] = []
        for word in model.extend(typed, self._count, cursor.following):
            text = partial + word.text
            if word.p < max(SHOWN_FROM, LISTED_SHARE * self._least) or text == present:
                continue
            items.append(
                {
                    "label": text,
                    "kind": PLAIN_TEXT,
                    "detail": f"{word.p:.0%}",
                    "sortText": f"{len(items):04}",
                    "filterText": cursor.partial + word.text,
                    "textEdit": self._edit(cursor, text),
                }
            )
        return {"isIncomplete": True, "items": items}

    def _edit(self, cursor: Cursor, text: str) -> Json:
        """Return the edit that replaces the word at the cursor."""
        whole = {"start": cursor.start, "end": cursor.end}
        if self._replaces and cursor.partial and cursor.rest:
            partial = {"start": cursor.start, "end": cursor.here}
            return {"newText": text, "insert": partial, "replace": whole}
        return {"newText": text, "range": whole}

    def _ghosts(self, cursor: Cursor) -> Json:
        """Return ghost text for the cursor."""
        texts: list[str] = []
        if cursor.is_between_words:
            model = self._typing(cursor.uri)
            typed, following = _readable(cursor.before), cursor.following
            found = model.complete(typed, self._count, after=following)
            phrase = found[0].text if found else ""
            if found and found[0].p >= self._least and not following:
                phrase = model.phrase(typed, found[0], self._least)
            if found and worth_showing(typed, found[0], self._least, model.knows, phrase):
                texts = [phrase, *(word.text for word in found[1:] if word.p >= SHOWN_FROM)]
        here = {"start": cursor.here, "end": cursor.here}
        return {"items": [{"insertText": text, "range": here} for text in dict.fromkeys(texts)]}

    def _compute(self) -> None:
        """Run jobs one after the other; read documents ahead in between."""
        while True:
            while self._readings and self._jobs.empty():
                self._read_on()
            job = self._jobs.get()
            if job is None:
                return
            job()

    def _answer(self, name: int | str, answer: Answer) -> None:
        try:
            self._waiting.remove(name)
        except KeyError:  # cancelled
            return
        try:
            result = answer()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}; this is a bug"
            self._refuse(name, jsonrpc.INTERNAL_ERROR, reason)
        else:
            self._send(id=name, result=result)

    def _typing(self, uri: str) -> Model:
        """Stop reading a document ahead; return the model that has read it."""
        self._readings.pop(uri, None)
        model = self._models.pop(uri, None) or self._model.anew()
        self._models[uri] = model
        if len(self._models) > KEPT:
            self._forget(next(iter(self._models)))
        return model

    def _begin(self, uri: str, text: str) -> None:
        """Schedule reading a document ahead."""
        self._readings[uri] = self._typing(uri).read_ahead(_readable(text))

    def _read_on(self) -> None:
        """Read on in the document that was opened last."""
        uri, reading = self._readings.popitem()
        for _ in reading:
            self._readings[uri] = reading
            break

    def _forget(self, uri: str) -> None:
        self._models.pop(uri, None)
        self._readings.pop(uri, None)

    def _refuse(self, name: int | str | None, code: int, reason: str) -> None:
        self._send(id=name, error={"code": code, "message": reason})

    def _send(self, **values: Any) -> None:
        with self._writing:
            try:
                self._output.write(jsonrpc.message(**values))
                self._output.flush()
            except OSError:  # the editor is gone; the listening thread will notice
                devnull(self._output)


def _position(document: Document, position: Any) -> Position:
    match position:
        case {"line": int(line), "character": int(units)} if line >= 0 and units >= 0:
            return document.position(line, units)
    raise Refusal(jsonrpc.INVALID_PARAMS, "a position needs a line and a character, 0 or more")


def _readable(text: str) -> str:
    """Return a text with LF line ends and without surrogates, as a corpus is read.

    Some editors send the two surrogates of a character one after the other.
    """
    return whole(text.replace("\r\n", "\n").replace("\r", "\n"))


def serve(model: Model, count: int, least: float) -> int:
    """Serve an editor on standard input and output until it ends the session.

    Args:
        model: the model that suggests.
        count: number of suggestions to choose from.
        least: minimum probability of a suggestion.

    Returns:
        The exit code.

    Raises:
        ModelFileError: the trigrams in the model file are damaged.
    """
    _ = model.ngram  # loaded now, so that damage is reported at the start
    return Server(model, count, least, sys.stdout.buffer).run(sys.stdin.buffer)
