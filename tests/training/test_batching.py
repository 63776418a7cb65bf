"""Windows of text and documents: each read once an epoch, in order; the position is one number."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.training.batching import IGNORED, SEGMENT, Documents, DocumentStreams, Streams

sizes = st.tuples(st.integers(64, 3000), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=30, deadline=None)
@given(sizes)
def test_targets_follow_inputs(size: tuple[int, int, int]) -> None:
    """For all sizes, a window is consecutive tokens, and its targets are shifted by one token."""
    length, batch, bptt = size
    streams = Streams(torch.arange(length), batch, bptt)
    for _ in range(40):
        inputs, targets, *_ = streams.next()
        assert inputs.shape == targets.shape == (bptt, batch)
        assert torch.equal((inputs + 1) % length, targets)
        assert torch.equal((inputs[:-1] + 1) % length, inputs[1:])


def test_a_stream_continues() -> None:
    """Within a segment each stream goes on where it stopped; then it jumps."""
    streams = Streams(torch.arange(4000), batch=4, bptt=5)
    windows = [streams.next()[0] for _ in range(3 * SEGMENT)]
    for number, (before, after) in enumerate(itertools.pairwise(windows), 1):
        goes_on = (before[-1] + 1) % 4000 == after[0]
        assert bool(goes_on.all()) == (number % SEGMENT != 0)


def test_an_epoch_reads_everything_once() -> None:
    """An epoch reads each token once, the next epoch in another order."""
    streams = Streams(torch.arange(1600), batch=4, bptt=5)
    epochs = [torch.cat([streams.next()[0].T.flatten() for _ in range(80)]) for _ in range(2)]
    for tokens in epochs:
        assert torch.equal(tokens.sort().values, torch.arange(1600))
    assert not torch.equal(*epochs)


@pytest.mark.parametrize("position", [0, 1, 7, 8, 150, 1001])
def test_the_position_is_the_state(position: int) -> None:
    """Setting the position continues exactly; another seed reads in another order."""
    one, other = Streams(torch.arange(999), 3, 4, seed=5), Streams(torch.arange(999), 3, 4, seed=5)
    for _ in range(position):
        one.next()
    other.position = position
    for _ in range(20):
        assert torch.equal(one.next()[0], other.next()[0])
    reseeded = Streams(torch.arange(999), 3, 4, seed=6)
    reseeded.position = one.position
    assert not torch.equal(one.next()[0], reseeded.next()[0])


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=20)


class TestDocuments:
    """Streams of documents."""

    @settings(max_examples=30, deadline=None)
    @given(lengths, st.integers(1, 5), st.integers(1, 9))
    def test_an_epoch(self, sizes: list[int], batch: int, bptt: int) -> None:
        """An epoch predicts every token of every document, from the token before it."""
        ends = torch.tensor(sizes).cumsum(0)
        total = sum(sizes)
        streams = DocumentStreams(torch.arange(total), Documents(ends), batch, bptt)
        starts = {0, *ends[:-1].tolist()}
        seen: set[int] = set()
        for step in range(round(total / streams.tokens_per_step)):
            inputs, targets, fresh, _ = streams.next()
            assert inputs.shape == targets.shape == (len(inputs), batch)
            assert len(inputs) <= bptt
            assert fresh is not None
            counts = targets != IGNORED
            assert torch.equal(inputs[counts], (targets[counts] - 1) % total)
            seen |= {*targets[counts].tolist()}
            for stream in range(batch):
                window = targets[:, stream][counts[:, stream]].tolist()
                assert window == [*range(window[0], window[0] + len(window))]
                assert not starts & {*window[1:]}
                assert bool(fresh[stream]) == (step == 0 or window[0] in starts)
        assert seen == {*range(total)}

    def test_a_stream_continues(self) -> None:
        """A stream that does not begin a document goes on where it stopped."""
        streams = DocumentStreams(
            torch.arange(1000), Documents(torch.tensor([300, 330, 1000])), 3, 7
        )
        before = torch.full((3,), -1)
        for _ in range(100):
            _, targets, fresh, _ = streams.next()
            assert fresh is not None
            assert torch.equal(targets[0][~fresh], before[~fresh] + 1)
            before = targets.max(0).values

    @pytest.mark.parametrize("position", [0, 1, 50, 333])
    def test_the_position_is_the_state(self, position: int) -> None:
        """Setting the position continues exactly; each epoch has another order."""
        ends = Documents(torch.arange(10, 1001, 10))
        one, other = (DocumentStreams(torch.arange(1000), ends, 3, 4, seed=5) for _ in range(2))
        for _ in range(position):
            one.next()
        other.position = position
        first = [one.next()[1] for _ in range(100)]
        assert all(torch.equal(window, other.next()[1]) for window in first)
        assert not torch.equal(torch.cat(first), torch.cat([one.next()[1] for _ in range(100)]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1), st.integers(1, 5))
def test_sources(sizes: list[tuple[int, int]], bptt: int) -> None:
    """Tokens up to the start of a record's target are told apart from those of the target."""
    ends = torch.tensor([sum(pair) for pair in sizes]).cumsum(0)
    documents = Documents(ends, ends - torch.tensor([target for _, target in sizes]))
    streams = DocumentStreams(torch.arange(int(ends[-1])), documents, 3, bptt)
    of_targets: set[int] = set()
    for _ in range(round(int(ends[-1]) / streams.tokens_per_step)):
        _, targets, _, in_source = streams.next()
        assert in_source is not None
        of_targets |= {*targets[(targets != IGNORED) & ~in_source].tolist()}
    assert len(of_targets) == documents.target_tokens == sum(target for _, target in sizes)


def test_little_padding() -> None:
    """Documents of about the same length are read side by side."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(5, 60, (1000,), generator=generator)
    streams = DocumentStreams(
        torch.arange(int(lengths.sum())), Documents(lengths.cumsum(0)), 16, 64
    )
    padded = sum(int((streams.next().targets == IGNORED).sum()) for _ in range(63))
    assert padded < 0.15 * int(lengths.sum())
