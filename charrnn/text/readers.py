"""Several readers of one text: it is read once, and each reader sees all of it.

A reader is an ordinary function of the blocks of a text. Each runs in a thread of its own; those
that compute with NumPy use a second core.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Queue
from threading import Thread
from typing import Any, Generic, TypeVar

AHEAD = 4  # blocks that wait for a slow reader (not tuned)

Block = TypeVar("Block")


def together(blocks: Iterable[Block], *readers: Callable[[Iterator[Block]], Any]) -> list[Any]:
    """Return what each reader returns for the same blocks, which are read once.

    A reader may return before the last block. What a reader or the blocks raise ends all of them.

    Args:
        blocks: the blocks.
        readers: functions of the blocks; they must not change what another one uses.
    """
    threads = [_Reader(reader) for reader in readers]
    try:
        for block in blocks:
            for thread in threads:
                thread.put(block)
        return [thread.result() for thread in threads]
    except BaseException:  # Ctrl-C too
        for thread in threads:
            thread.stop()
        raise


class _Stopped(Exception):
    """Raised in a reader whose result is not needed any more."""


class _Reader(Thread, Generic[Block]):
    """A thread that runs a reader.

    Args:
        read: the reader.
    """

    def __init__(self, read: Callable[[Iterator[Block]], Any]) -> None:
        super().__init__(daemon=True)  # a reader that is stopped does not keep the process alive
        self._read = read
        self._waiting: Queue[Block | None] = Queue(AHEAD)  # None ends them
        self._abandoned = False
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def put(self, block: Block) -> None:
        """Give the reader the next block, or raise what it has raised."""
        if self._error:
            raise self._error
        self._waiting.put(block)

    def result(self) -> Any:
        """End the blocks and return what the reader returns, or raise what it has raised."""
        self._waiting.put(None)
        self.join()
        if self._error:
            raise self._error
        return self._result

    def stop(self) -> None:
        """Let the reader end without a result, as soon as it asks for the next block."""
        self._abandoned = True
        if self._waiting.empty():
            self._waiting.put(None)

    def run(self) -> None:
        blocks = self._blocks()
        try:
            self._result = self._read(blocks)
        except BaseException as error:
            self._error = error
        with suppress(_Stopped):
            for _ in blocks:  # those that the reader left, which would fill the queue
                pass

    def _blocks(self) -> Iterator[Block]:
        while (block := self._waiting.get()) is not None:
            if self._abandoned:
                raise _Stopped
            yield block
        if self._abandoned:
            raise _Stopped
