"""Many samples, written by one process or by several, in one order and with the same content.

The samples are written in blocks, one after another. With several processes each block is written
by one of them: a worker, which is this module run by Python as a program. It is told what to write
and then the numbers of blocks, and answers with texts, all as lines of JSON through its standard
streams. A worker ends as soon as its standard input is closed, and so however its parent ends.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain, cycle
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import errors
from charrnn.config import SamplingConfig, StopConfig
from charrnn.errors import CharrnnError, ModelFileError, is_out_of_memory
from charrnn.generation.batch import BATCH_SIZE
from charrnn.generation.matching import TOGETHER
from charrnn.generation.sample import Part, Sample, in_order
from charrnn.generation.template import Piece
from charrnn.network import blas

if TYPE_CHECKING:
    from charrnn.model import Model

BATCHES = 16  # batches in a block of short texts, of which the last is not full (not tuned)
AHEAD = 2  # blocks that a worker has been told to write, while their texts wait (not tuned)
MESSAGE = 8192  # characters of text in a message, at least, unless a block ends (not tuned)
WAIT = 0.1  # seconds; on Windows, Ctrl-C is only noticed between two waits (not tuned)
SHORT = ("lines", "records")  # kinds of corpora whose items are short and of different lengths


@dataclass(frozen=True)
class Order:
    """What to write.

    Attributes:
        sources: sources of records; None alone for other corpora.
        seeds: texts to continue, for each source.
        samplings: how each of them is sampled.
        count: number of texts for each sampling.
        stop: where each text ends; its time limit holds for all texts together.
        pieces: pieces of the template to fill; None without a template.
        best_of: candidates for each text that has to match, or for each gap.
        random_seed: seed of the random choices.
        scored: whether to compute log-probabilities.
        surprisal: whether the surprisal of each character is needed too.
        avoid_copying: whether to avoid runs of words that are in the training text.
    """

    sources: Sequence[str | None]
    seeds: Sequence[str]
    samplings: Sequence[SamplingConfig]
    count: int
    stop: StopConfig
    pieces: Sequence[Piece] | None
    best_of: int
    random_seed: int
    scored: bool
    surprisal: bool
    avoid_copying: bool

    def __len__(self) -> int:
        return len(self.sources) * len(self.seeds) * len(self.samplings) * self.count

    def sample(self, i: int) -> Sample:
        """Return a sample; samplings come before seeds, and seeds before sources."""
        i, j = divmod(i, self.count)
        i, sampling = divmod(i, len(self.samplings))
        source, seed = divmod(i, len(self.seeds))
        return Sample(self.seeds[seed], self.samplings[sampling], (i, j), self.sources[source])

    def to_json(self) -> str:
        """Return it as JSON in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> "Order":
        """Return what `to_json` was given."""
        fields = json.loads(line)
        samplings = [SamplingConfig(**sampling) for sampling in fields["samplings"]]
        pieces = fields["pieces"] and [
            Piece(fixed, gap and StopConfig(**gap)) for fixed, gap in fields["pieces"]
        ]
        stop = StopConfig(**fields["stop"])
        return cls(**fields | {"samplings": samplings, "pieces": pieces, "stop": stop})


class Writer:
    """Writes blocks of an order with a model.

    Args:
        model: the model.
        order: what to write; its time limit starts now.
    """

    def __init__(self, model: "Model", order: Order) -> None:
        self._model = model
        self._order = order
        self._began = time.monotonic()
        if order.pieces is not None:
            self._size = 1
        elif order.stop.match is not None:
            self._size = max(1, TOGETHER // order.best_of)
        else:
            self._size = BATCH_SIZE * (BATCHES if model.kind in SHORT else 1)
        self.blocks = -(-len(order) // self._size)

    def samples(self, block: int) -> list[Sample]:
        """Return the samples of a block."""
        first = block * self._size
        return [*map(self._order.sample, range(first, min(first + self._size, len(self._order))))]

    def write(self, samples: Sequence[Sample]) -> Iterator[Part]:
        """Yield the texts of the samples of a block, in order."""
        order, stop = self._order, self._order.stop
        options = order.random_seed, order.scored, order.avoid_copying
        if order.pieces is not None:
            return self._model.fill(order.pieces, samples, order.best_of, *options)
        if stop.seconds is not None:
            left = self._began + stop.seconds - time.monotonic()
            stop = replace(stop, seconds=max(1e-9, left))
        return in_order(self._model.write(samples, stop, *options, order.best_of), samples)

    def all(self) -> Iterator[Part]:
        """Yield all texts, in order."""
        blocks = map(self.samples, range(self.blocks))
        return chain.from_iterable(map(self.write, blocks))


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
    setup = json.dumps([os.path.abspath(path), _fingerprint(model)])
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
            [sys.executable, "-P", "-m", "charrnn.processes"],
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


def _fingerprint(model: "Model") -> int:
    """Return a checksum of a model's weights."""
    checksum = 0
    for name in sorted(model.file.weights):
        checksum = zlib.crc32(np.ascontiguousarray(model.file.weights[name]).data, checksum)
    return checksum


def _error(answer: dict[str, Any]) -> Exception:
    """Return the error that a worker has told, or that it has ended."""
    if "ended" in answer:
        code = answer["ended"]
        how = f"by {_signal(-code)}" if code < 0 else f"with exit code {code}"
        return CharrnnError(
            f"a process that writes texts was ended {how}; what it had not written is missing",
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
    """Return an error as JSON; see `_error`."""
    known = isinstance(error, CharrnnError)
    return {
        "error": MemoryError.__name__ if is_out_of_memory(error) else type(error).__name__,
        "message": error.message if isinstance(error, CharrnnError) else str(error),
        "hint": getattr(error, "hint", "") if known else "",
        "fields": [*getattr(error, "fields", ())],
    }


def _answers(lines: "SimpleQueue[bytes]") -> Iterator[list[list[Any]]]:
    """Yield the parts of the blocks that are asked for, some at a time."""
    from charrnn.model import load

    path, fingerprint = json.loads(lines.get())
    model = load(path)
    if _fingerprint(model) != fingerprint:
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
