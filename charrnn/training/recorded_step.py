"""Replays training steps as a CUDA graph, where launching operations takes longer than their work.

A small operation on a GPU can end before the next one is launched. A graph launches all operations
of a step at once. It always computes with the tensors that it was recorded with, so each batch and
state is copied into them.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from charrnn.training import checkpoint
from charrnn.training.batching import Batch
from charrnn.training.replica import Compute, Computed
from charrnn.training.trainer import State, Trainer

WARM_UP = 3  # steps before one is recorded, as torch's documentation of CUDA graphs has it
STEPS = 10  # steps that are compared; not tuned
FASTER = 1.05  # minimum gain in speed; not tuned
# Maximum difference between the weights' changes with and without replay, relative to the change.
# It is 0.02 with products in bfloat16 instead of float32, and 0.33 or more with other batches.
DIFFERENCE = 0.1

# Records a step, which samples from the generator, and returns a function that replays it.
Recorder = Callable[[Callable[[], None], torch.Generator], Callable[[], None]]


class RecordedStep:
    """A recorded step on running text, replayed with other batches and states.

    Args:
        compute: makes a step, and reads nothing from the device.
        generator: generator that the step samples from.
        batch: a batch of the same shapes as those to come.
        hidden: the state before the batch, for each layer [S, B, H].
        record: records the step.
    """

    def __init__(
        self,
        compute: Compute,
        generator: torch.Generator,
        batch: Batch,
        hidden: list[Tensor],
        record: Recorder,
    ) -> None:
        inputs, targets = batch.inputs.clone(), batch.targets.clone()
        before = [state.clone() for state in hidden]
        self._copies = [inputs, targets, *before]

        def step() -> None:
            self._computed = compute(Batch(inputs, targets), before)

        self._repeat = record(step, generator)

    def __call__(self, batch: Batch, hidden: list[Tensor]) -> Computed:
        """Train on a batch by replaying the recorded step."""
        for copy, new in zip(self._copies, [batch.inputs, batch.targets, *hidden], strict=True):
            copy.copy_(new)
        self._repeat()
        loss, norm, after = self._computed
        return Computed(loss.clone(), norm.clone(), after)  # the next step overwrites the first two


def cuda_graph(step: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Record a step as a CUDA graph; see `Recorder`."""
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph, stream=stream):
        step()
    return graph.replay


def choose(trainer: Trainer, record: Recorder = cuda_graph) -> float | None:
    """Let a trainer replay its steps from now on, if that is faster and trains it the same way.

    Returns:
        How many times as fast the steps are; None if they are not replayed.
    """
    if trainer.ranks.size > 1 or trainer.corpus.train_documents is not None:
        return None  # exchanging gradients reads results; documents' windows differ in length
    tensors, values = trainer.state()
    start = checkpoint.clone(tensors), values
    plain, faster = trainer.compute, None
    try:
        change, seconds = _tried(trainer, start)
        recorded = RecordedStep(
            plain,
            trainer.network.dropout_generator,
            next(trainer.batches(1)),
            trainer.hidden,
            record,
        )
        trainer.compute = recorded
        again, fewer = _tried(trainer, start)
        alike = (again - change).norm() <= DIFFERENCE * change.norm()
        if alike and seconds >= FASTER * fewer:
            faster = seconds / fewer
    except RuntimeError:  # an operation cannot be recorded, or memory is short
        pass
    finally:
        if faster is None:
            trainer.compute = plain
        trainer.restore(*start)
    return faster


def _tried(trainer: Trainer, start: State) -> tuple[Tensor, float]:
    """Train a few steps from a state; return the change of the weights and the seconds taken."""
    trainer.restore(*start)
    trainer.update(WARM_UP)
    before = parameters_to_vector(trainer.optimizer.parameters).detach()
    began = time.perf_counter()
    trainer.update(STEPS)
    seconds = time.perf_counter() - began
    return parameters_to_vector(trainer.optimizer.parameters).detach() - before, seconds
