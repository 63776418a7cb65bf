"""Shuffling keeps every item whole and moves it anywhere."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import TextError
from charrnn.training.shuffling import Ids, shuffled

END = 0


def shuffle(items: list[list[int]], size: int, seed: int = 0) -> list[list[int]]:
    """Return the items after shuffling blocks of `size` tokens."""
    ids = np.array([i for item in items for i in [*item, END]], np.uint8)
    blocks = [ids[i : i + size] for i in range(0, len(ids), size)]
    found: list[list[int]] = [[]]
    for i in np.concatenate([ids[:0], *shuffled(blocks, END, np.random.default_rng(seed))]):
        if i == END:
            found.append([])
        else:
            found[-1].append(int(i))
    assert found.pop() == []
    return found


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 255), max_size=9), max_size=50),
    st.integers(1, 20),
    st.integers(1, 100),
)
def test_all_items(items: list[list[int]], size: int, part: int) -> None:
    """Every item occurs as often as before, whatever fits in memory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("charrnn.training.shuffling.PART", part)
        monkeypatch.setattr("charrnn.training.shuffling.TOGETHER", 3)
        assert sorted(shuffle(items, size)) == sorted(items)


@pytest.mark.parametrize("part", [200, 10**6])
def test_anywhere(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items move between both halves, also across parts, and neighbours are separated."""
    monkeypatch.setattr("charrnn.training.shuffling.PART", part)
    items = [[1 + i // 200, 1 + i % 200] for i in range(2000)]
    found = shuffle(items, 64)
    moved = [items.index(item) for item in found]
    assert 400 < sum(i < 1000 for i in moved[:1000]) < 600
    assert abs(np.corrcoef(moved, range(2000))[0, 1]) < 0.1
    assert sum(abs(a - b) < 20 for a, b in pairwise(moved)) < 200
    assert shuffle(items, 64) == found != shuffle(items, 64, seed=1)


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary file that cannot be written is an error that says what to do."""
    monkeypatch.setattr("charrnn.files.DISK", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    items: list[Ids] = [np.array([1, END])]
    with pytest.raises(TextError, match=r"cannot keep the items .*; set TMPDIR"):
        [*shuffled(items, END, np.random.default_rng(0))]
