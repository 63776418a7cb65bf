"""Runs cases, and finds out what went wrong: an exception, a hang, memory, what is shown."""

import io
import os
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import NamedTuple

# Before torch and NumPy start their threads: tiny networks only lose time by sharing their work.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from charrnn.cli import _explain
from charrnn.display.console import Ui
from charrnn.display.format import CONTROL
from charrnn.errors import CharrnnError
from tests.fuzz.targets import TARGETS, Target

MOST_SECONDS = 5.0  # of a processor, for a case
MOST_BYTES = 1e9  # by which memory grows, at its highest


Counts = dict[str, Counter[str]]


class TooSlow(BaseException):
    """A case took too long."""


class Fault(NamedTuple):
    """What went wrong.

    Attributes:
        kind: of the file.
        data: of the file.
        what: a traceback, or what was shown or counted.
    """

    kind: str
    data: bytes
    what: str


class Fuzzer:
    """Runs cases.

    Args:
        targets: kinds of files, by name.
        folder: where they are written.
        seed: with its number, decides what a case is.

    Attributes:
        counts: of each kind, how many files were refused and used, and how many faults there were.
        grown: bytes by which memory has grown, at its highest.
    """

    def __init__(self, targets: Mapping[str, Target], folder: Path, seed: int) -> None:
        self._targets = targets
        self._folder = folder
        self._seed = seed
        self._shares = np.array([target.share for target in targets.values()], float)
        self.counts: Counts = {kind: Counter() for kind in targets}
        self._files = {}
        for kind, target in targets.items():
            (folder / kind).mkdir(parents=True)
            self._files[kind] = target.whole(folder / kind)
        for kind, target in targets.items():  # what is loaded once is no part of a case
            for data in self._files[kind]:
                self._use(target, np.random.default_rng(0), folder / kind / target.name, data)
        self._memory = peak()
        self.grown = 0.0

    def run(self, case: int) -> Fault | None:
        """Damage a file and use it; what went wrong, if anything did."""
        rng = np.random.default_rng([self._seed, case])
        kind = str(rng.choice([*self._targets], p=self._shares / self._shares.sum()))
        target = self._targets[kind]
        data = target.damage(rng, self._files[kind][int(rng.integers(len(self._files[kind])))])
        before, high = time.process_time(), self.grown
        what = ""
        try:
            shown, refused = self._use(target, rng, self._folder / kind / target.name, data)
        except (Exception, TooSlow):
            what = traceback.format_exc()
        else:
            self.counts[kind]["refused" if refused else "used"] += 1
            if found := CONTROL.search(shown):
                what = f"shown: {shown[max(0, found.start() - 40) : found.end() + 40]!r}"
        seconds, self.grown = time.process_time() - before, peak() - self._memory
        if seconds > MOST_SECONDS:
            what = what or f"{seconds:.1f} s"
        if self.grown > max(high, MOST_BYTES):
            what = what or f"{self.grown / 1e6:.0f} MB"
        if not what:
            return None
        self.counts[kind]["faults"] += 1
        return Fault(kind, data, what)

    @staticmethod
    def _use(target: Target, rng: np.random.Generator, path: Path, data: bytes) -> tuple[str, bool]:
        """What a case shows, and whether the file was refused."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        shown = io.StringIO()
        refused = False
        before = signal.signal(signal.SIGVTALRM, too_slow)
        signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
        try:
            with warnings.catch_warnings(), redirect_stdout(shown), redirect_stderr(shown):
                warnings.simplefilter("error")
                try:
                    target.use(rng, path)
                except CharrnnError as error:
                    refused = True
                    Ui().error(_explain(error)[0])
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
        return shown.getvalue(), refused


def run(seed: int, only: str | None, cases: range) -> tuple[Counts, float]:
    """Run some cases and tell each fault; the counts, and how many bytes memory has grown."""
    targets = {only: TARGETS[only]} if only else TARGETS
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(targets, Path(folder), seed)
        for case in cases:
            if fault := fuzzer.run(case):
                kept = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{case}-{fault.kind}"
                kept.write_bytes(fault.data)
                print(f"case {case}, {fault.kind}, kept as {kept}: {fault.what}", flush=True)
        return fuzzer.counts, fuzzer.grown


def too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def peak() -> float:
    """Bytes of memory that this process had at its highest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
