"""Writes the blocks of an order with several processes, in the same order as with one.

Each block is written by a worker (see worker.py). It is told what to write and then the numbers of
blocks, and answers with texts, all as lines of JSON through its standard streams.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import errors
from charrnn.errors import CharrnnError
from charrnn.files import checksum
from charrnn.generation.sample import Part
from charrnn.network import blas
from charrnn.processes.order import Order, Writer

if TYPE_CHECKING:
    from charrnn.model import Model

AHEAD = 2  # blocks that a worker has been told to write, while their texts wait (not tuned)
WAIT = 0.1  # seconds; on Windows, Ctrl-C is only noticed between two waits (not tuned)


@contextmanager
def writing(
    model: "Model", path: str | os.PathLike[str], order: Order, processes: int | None
) -> Iterator[Iterator[Part]]:
    """Write texts, in order, with several processes; at the end these are ended.

    Args:
        model: the model.
        path: its file.
        order: what to write.
        processes: number of processes, each with one thread: the texts do not depend on it, to the
            last bit of their log-probabilities. None for this process and as many threads as pay.

    Raises:
        CharrnnError: a process cannot write, or was ended by something else.
    """
    writer = Writer(model, order)
    count = min(processes or 1, writer.blocks)
    if processes is not None:
        blas.use_one_thread()
    if count <= 1:
        yield writer.all()
        return
    setup = json.dumps([os.path.abspath(path), checksum(model.file.weights)])
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker() for _ in range(count))
        for worker in workers:
            worker.tell(setup)
            worker.tell(order.to_json())
        yield _shared(writer, workers)
    finally:
        for worker in workers:
            worker.end()


def _shared(writer: Writer, workers: Sequence["_Worker"]) -> Iterator[Part]:
    """Yield the texts of all blocks, which workers write in turn."""
    told = AHEAD * len(workers)
    for block, worker in zip(range(min(told, writer.blocks)), cycle(workers), strict=False):
        worker.tell(str(block))
    for block, worker in zip(range(writer.blocks), cycle(workers), strict=False):
        rest = iter(writer.samples(block))
        sample = next(rest, None)
        while sample:
            for text, nats, last, *noted in worker.answer():
                assert sample
                if last:
                    sample.tokens, sample.logp, sample.why = noted
                yield Part(sample, text, None if nats is None else np.array(nats, np.float32), last)
                sample = next(rest, None) if last else sample
        if block + told < writer.blocks:
            worker.tell(str(block + told))


class _Worker:
    """A process that writes blocks."""

    def __init__(self) -> None:
        # It finds the same modules as this process, and Ctrl-C, which reaches all processes of a
        # terminal, ends only this one.
        found = os.pathsep.join(path or os.getcwd() for path in sys.path)
        one_thread = {blas.THREADS_VARIABLE: "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "charrnn.processes.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": found} | one_thread,
            **_apart(),
        )
        # Read in another thread: while one worker is waited for, no other one has to wait, and on
        # Windows a read could not be interrupted.
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def tell(self, line: str) -> None:
        """Send it a line; if it has ended, `answer` says so."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def answer(self) -> list[list[Any]]:
        """Return the next parts that it has written.

        Raises:
            CharrnnError: it cannot write, or has been ended.
        """
        line = None
        while line is None:
            with suppress(Empty):
                line = self._answers.get(timeout=WAIT)
        answer = json.loads(line) if line.endswith(b"\n") else {"ended": self._process.wait()}
        if isinstance(answer, dict):
            raise _error(answer)
        parts: list[list[Any]] = answer
        return parts

    def end(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was not sent yet
                if pipe:
                    pipe.close()


def _apart() -> dict[str, Any]:
    """Return the arguments of Popen for a process that Ctrl-C does not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


def _error(answer: dict[str, Any]) -> Exception:
    """Return the error that a worker has told, or that it has ended."""
    if "ended" in answer:
        code = answer["ended"]
        how = f"by {_signal(-code)}" if code < 0 else f"with exit code {code}"
        return CharrnnError(
            f"a process that writes texts ended {how}; what it had not yet written is missing",
            "if memory is short, use fewer processes",
        )
    kind, message = answer["error"], answer["message"]
    if kind == MemoryError.__name__:
        return MemoryError()
    known = getattr(errors, kind, None)
    if not (isinstance(known, type) and issubclass(known, CharrnnError)):
        return RuntimeError(f"{kind}: {message}")
    error = known(message, answer["hint"])
    if isinstance(error, errors.UsageError):
        error.fields = answer["fields"]
    return error


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
