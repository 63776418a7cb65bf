"""An editor that speaks the Language Server Protocol to a server in another thread."""

import json
import os
import threading
from typing import Any

from charrnn.model import Model
from charrnn.servers import jsonrpc
from charrnn.servers.language_server import Server

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
