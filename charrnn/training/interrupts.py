"""Handles Ctrl-C, Ctrl-Z and requests to terminate while a network is trained."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

END_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # end a training; Windows lacks the last one


@contextmanager
def ending_signals() -> Iterator[None]:
    """Let signals end the process at once, without saving.

    Python handles no signal while torch waits for another process.
    """
    before = {}
    for name in END_SIGNALS:
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class SecondInterrupt(KeyboardInterrupt):
    """A second signal: end now, without saving."""


class Interrupts:
    """Handles signals as a context manager; a signal that was ignored before stays ignored.

    The first signal of END_SIGNALS raises KeyboardInterrupt at once, except within `held`: there
    it waits until the loop calls `seen`. A second one always raises SecondInterrupt at once.

    Args:
        on_wait: called when a signal has to wait.
        on_stop: called before Ctrl-Z stops the process.
        on_resume: called when the process goes on after any stop.
    """

    def __init__(
        self,
        on_wait: Callable[[], None],
        on_stop: Callable[[], None],
        on_resume: Callable[[], None],
    ) -> None:
        self._seen = False
        self._holding = False
        self._on_wait = on_wait
        self._on_stop = on_stop
        self._on_resume = on_resume
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for name in END_SIGNALS:
            self._handle(name, self._end)
        self._handle("SIGTSTP", self._stop)
        self._handle("SIGCONT", self._go_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, name: str, handler: Callable[[int, FrameType | None], None]) -> None:
        number = getattr(signal, name, None)
        # nohup and a shell's background jobs ignore signals on purpose. None: a C handler.
        if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
            self._before[number] = signal.signal(number, handler)

    def seen(self) -> bool:
        """Return whether a signal of END_SIGNALS has come."""
        return self._seen

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make a first signal wait, so that no update and no file is left half done."""
        yield from self._set(True)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal raise at once within `held`, for work that changes nothing."""
        yield from self._set(False)

    def _set(self, holding: bool) -> Iterator[None]:
        before, self._holding = self._holding, holding
        try:
            if self._seen and not holding:
                raise KeyboardInterrupt
            yield
        finally:
            self._holding = before

    def _end(self, *_: object) -> None:
        if self._seen:
            raise SecondInterrupt
        self._seen = True
        if not self._holding:
            raise KeyboardInterrupt
        self._on_wait()

    def _stop(self, number: int, *_: object) -> None:
        self._on_stop()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # returns once the process goes on
        signal.signal(number, self._stop)

    def _go_on(self, *_: object) -> None:
        self._on_resume()
