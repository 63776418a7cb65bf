"""Windows of text and documents: every part once a pass, in order, the position one number."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.training.batching import IGNORED, SEGMENT, DocumentStreams, Streams

sizes = st.tuples(st.integers(64, 3000), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(sizes)
def test_targets_follow_inputs(size: tuple[int, int, int]) -> None:
    """Whatever the sizes, a window is a run of the text, and its targets are one token on."""
    length, batch, bptt = size
    streams = Streams(torch.arange(length), batch, bptt)
    for _ in range(40):
        inputs, targets, _ = streams.next()
        assert inputs.shape == targets.shape == (bptt, batch)
        assert torch.equal((inputs + 1) % length, targets)
        assert torch.equal((inputs[:-1] + 1) % length, inputs[1:])


def test_a_head_reads_on() -> None:
    """Within a segment each head goes on where it stopped; then it goes elsewhere."""
    streams = Streams(torch.arange(4000), batch=4, bptt=5)
    windows = [streams.next()[0] for _ in range(3 * SEGMENT)]
    for number, (before, after) in enumerate(itertools.pairwise(windows), 1):
        goes_on = (before[-1] + 1) % 4000 == after[0]
        assert bool(goes_on.all()) == (number % SEGMENT != 0)


def test_a_pass_reads_everything_once() -> None:
    """A pass takes up each token once, the next pass in another order."""
    streams = Streams(torch.arange(1600), batch=4, bptt=5)
    passes = [torch.cat([streams.next()[0].T.flatten() for _ in range(80)]) for _ in range(2)]
    for tokens in passes:
        assert torch.equal(tokens.sort().values, torch.arange(1600))
    assert not torch.equal(*passes)


@pytest.mark.parametrize("position", [0, 1, 7, 8, 150, 1001])
def test_the_position_is_all(position: int) -> None:
    """Streams put to a position read on as those that came there; another seed reads otherwise."""
    one, other = Streams(torch.arange(999), 3, 4, seed=5), Streams(torch.arange(999), 3, 4, seed=5)
    for _ in range(position):
        one.next()
    other.position = position
    for _ in range(20):
        assert torch.equal(one.next()[0], other.next()[0])
    strange = Streams(torch.arange(999), 3, 4, seed=6)
    strange.position = one.position
    assert not torch.equal(one.next()[0], strange.next()[0])


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=20)


class TestDocuments:
    @settings(max_examples=60, deadline=None)
    @given(lengths, st.integers(1, 5), st.integers(1, 9))
    def test_a_pass(self, sizes: list[int], batch: int, bptt: int) -> None:
        """A pass predicts every token of every document, from the token that stands before it."""
        ends = torch.tensor(sizes).cumsum(0)
        total = sum(sizes)
        streams = DocumentStreams(torch.arange(total), ends, batch, bptt)
        starts = {0, *ends[:-1].tolist()}
        seen: set[int] = set()
        for step in range(round(total / streams.tokens_per_step)):
            inputs, targets, fresh = streams.next()
            assert inputs.shape == targets.shape == (bptt, batch)
            counts = targets != IGNORED
            assert torch.equal(inputs[counts], (targets[counts] - 1) % total)
            seen |= {*targets[counts].tolist()}
            for head in range(batch):
                window = targets[:, head][counts[:, head]].tolist()
                assert window == [*range(window[0], window[0] + len(window))]
                assert not starts & {*window[1:]}
                assert bool(fresh[head]) == (step == 0 or window[0] in starts)
        assert seen == {*range(total)}

    def test_a_head_reads_on(self) -> None:
        """Without a new beginning a head goes on where it stopped."""
        streams = DocumentStreams(torch.arange(1000), torch.tensor([300, 330, 1000]), 3, 7)
        before = torch.full((3,), -1)
        for _ in range(100):
            _, targets, fresh = streams.next()
            assert torch.equal(targets[0][~fresh], before[~fresh] + 1)
            before = targets.max(0).values

    @pytest.mark.parametrize("position", [0, 1, 50, 333])
    def test_the_position_is_all(self, position: int) -> None:
        """Streams put to a position read on as those that came there; each pass is in new order."""
        ends = torch.arange(10, 1001, 10)
        one, other = (DocumentStreams(torch.arange(1000), ends, 3, 4, seed=5) for _ in range(2))
        for _ in range(position):
            one.next()
        other.position = position
        first = [one.next()[1] for _ in range(100)]
        assert all(torch.equal(window, other.next()[1]) for window in first)
        assert not torch.equal(torch.cat(first), torch.cat([one.next()[1] for _ in range(100)]))
