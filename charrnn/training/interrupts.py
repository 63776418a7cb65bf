"""Ctrl-C, requests to end, and Ctrl-Z, while a network is trained."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

END = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last one


class SecondInterrupt(KeyboardInterrupt):
    """The user asks again: end now, without saving."""


class Interrupts:
    """Handles signals as a context manager; a signal that the caller ignores stays ignored.

    The first one of END raises KeyboardInterrupt at once, except within `held`: there it waits
    until the loop asks `seen`. A second one always raises SecondInterrupt at once.

    Args:
        told: called when a signal has to wait.
        stopping: called before the process is stopped by Ctrl-Z.
        resumed: called when it goes on, after that or any other stop.
    """

    def __init__(
        self,
        told: Callable[[], None],
        stopping: Callable[[], None],
        resumed: Callable[[], None],
    ) -> None:
        self._seen = False
        self._holding = False
        self._told = told
        self._stopping = stopping
        self._resumed = resumed
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for name in END:
            self._handle(name, self._end)
        self._handle("SIGTSTP", self._stop)
        self._handle("SIGCONT", self._go_on)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, name: str, handler: Callable[[int, FrameType | None], None]) -> None:
        number = getattr(signal, name, None)
        # nohup and a shell's background jobs ignore signals on purpose. (None: set by no Python.)
        if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
            self._before[number] = signal.signal(number, handler)

    def seen(self) -> bool:
        """Whether a signal has asked for the end."""
        return self._seen

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, a first signal waits; what is written or updated is not left half done."""
        yield from self._set(True)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within `held`, for work that may be left half done: a signal raises at once."""
        yield from self._set(False)

    def _set(self, holding: bool) -> Iterator[None]:
        before, self._holding = self._holding, holding
        try:
            if self._seen and not holding:
                raise KeyboardInterrupt
            yield
        finally:
            self._holding = before

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._seen:
            raise SecondInterrupt
        self._seen = True
        if not self._holding:
            raise KeyboardInterrupt
        self._told()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # returns once the process goes on
        signal.signal(number, self._stop)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        self._resumed()
