"""The fuzzer finds what goes wrong, and in some cases of each kind of file nothing does."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import TextError
from tests.fuzz.fuzzer import Fault, Fuzzer, peak
from tests.fuzz.mutations import Random
from tests.fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("kind", TARGETS)
def test_some(tmp_path: Path, kind: str) -> None:
    """Some damaged files of each kind are refused, or can be used."""
    fuzzer = Fuzzer({kind: TARGETS[kind]}, tmp_path, seed=1)
    faults = [fault.what for case in range(20) if (fault := fuzzer.run(case))]
    assert not faults
    assert fuzzer.counts[kind].total() == 20


def once(tmp_path: Path, use: Callable[[], object]) -> Fault | None:
    """What the fuzzer says of a use that does this with a damaged file."""

    def used(rng: Random, path: Path) -> None:
        if path.read_bytes() == b"damaged":
            use()

    target = Target(1, "file", lambda folder: [b"whole"], lambda rng, data: b"damaged", used)
    return Fuzzer({"kind": target}, tmp_path, seed=0).run(0)


def refuse() -> None:
    raise TextError("no \x1b[31m text")


def fail() -> None:
    raise ZeroDivisionError


def wait() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda: None, None),
        (refuse, None),
        (fail, "ZeroDivisionError"),
        (lambda: np.float32(3e38) * np.float32(10), "overflow"),
        (lambda: warnings.warn("odd", stacklevel=1), "odd"),
        (lambda: print("a\x1b[31m"), "shown: 'a"),
        (lambda: print("\x9b2J"), "shown"),
        (wait, "TooSlow"),
    ],
    ids=["fine", "refused", "bug", "NumPy", "warning", "escape", "C1", "slow"],
)
def test_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[], object], what: str | None
) -> None:
    """An exception, a warning, a control character and a hang are faults."""
    monkeypatch.setattr("tests.fuzz.fuzzer.MOST_SECONDS", 0.3)
    fault = once(tmp_path, use)
    assert (fault is None) if what is None else (fault is not None and what in fault.what)


def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that grows by more than a gigabyte is a fault; what it was before does not count."""
    assert 1e7 < peak() < 1e12
    for grown, fault in ((0.9e9, False), (1.1e9, True)):
        peaks = iter([5e9, 5e9 + grown])
        monkeypatch.setattr("tests.fuzz.fuzzer.peak", lambda peaks=peaks: next(peaks))
        assert (once(tmp_path / str(grown), lambda: None) is not None) == fault


def test_repeated(tmp_path: Path) -> None:
    """A case follows from the seed and its number alone."""
    target = TARGETS["text"]
    (tmp_path / "files").mkdir()
    whole = target.whole(tmp_path / "files")

    def damaged(case: int) -> bytes:
        rng = np.random.default_rng([3, case])
        return target.damage(rng, whole[int(rng.integers(len(whole)))])

    assert damaged(7) == damaged(7) != damaged(8)
