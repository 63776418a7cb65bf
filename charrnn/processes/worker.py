"""A worker, which is this module run by Python as a program: it writes the blocks that it is told.

It ends as soon as its standard input is closed, and so however its parent ends.
"""

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Any

from charrnn.errors import CharrnnError, ModelFileError, is_out_of_memory
from charrnn.files import checksum
from charrnn.generation.sample import Part
from charrnn.model import load
from charrnn.processes.order import Order, Writer

MESSAGE = 8192  # characters of text in a message, at least, unless a block ends (not tuned)


def main() -> None:
    """Write blocks as a worker."""
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    try:
        for answer in _answers(lines):
            _answer(answer)
    except OSError as error:
        if not is_out_of_memory(error):
            raise
        _answer(_told(error))
    except Exception as error:
        _answer(_told(error))


def _listen(lines: "SimpleQueue[bytes]") -> None:
    """Pass on the lines of standard input, and end the process with them."""
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def _answer(answer: Any) -> None:
    try:
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
    except OSError:  # nobody reads it
        os._exit(0)


def _told(error: Exception) -> dict[str, Any]:
    """Return an error as JSON; see `workers._error`."""
    known = isinstance(error, CharrnnError)
    return {
        "error": MemoryError.__name__ if is_out_of_memory(error) else type(error).__name__,
        "message": error.message if isinstance(error, CharrnnError) else str(error),
        "hint": getattr(error, "hint", "") if known else "",
        "fields": [*getattr(error, "fields", ())],
    }


def _answers(lines: "SimpleQueue[bytes]") -> Iterator[list[list[Any]]]:
    """Yield the parts of the blocks that are asked for, some at a time."""
    path, wanted = json.loads(lines.get())
    model = load(path)
    if checksum(model.file.weights) != wanted:
        raise ModelFileError(f"{path} has changed while texts were written", "start again")
    order = Order.from_json(lines.get())
    writer = Writer(model, order)
    while True:
        samples = writer.samples(int(lines.get()))
        yield from _messages(writer.write(samples), order.surprisal)


def _messages(parts: Iterable[Part], surprisal: bool) -> Iterator[list[list[Any]]]:
    """Yield parts as lists, several at a time."""
    message: list[list[Any]] = []
    chars = 0
    for sample, text, nats, last in parts:
        sent = nats.tolist() if surprisal and nats is not None else None
        message.append([text, sent, last, sample.tokens, sample.logp, sample.why])
        chars += len(text)
        if chars >= MESSAGE:
            yield message
            message, chars = [], 0
    yield message


if __name__ == "__main__":
    main()
