"""The task of recalling letters after a gap."""

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.insight.recall import LETTERS, Task, accuracy
from charrnn.model import Model
from charrnn.network.cells import tensor_shapes
from charrnn.network.model_file import ModelFile, Trained
from charrnn.text.blocks import END, TARGET
from charrnn.tokenizer import CharTokenizer

K = len(LETTERS)


def copy_network() -> Model:
    """A network built by hand, which recalls the first letter of a record."""
    tokenizer = CharTokenizer.train(LETTERS + TARGET + END)
    config = ModelConfig(tokenizer.vocab_size, "rnn-relu", 1, 2 * K + 3, tokenizer.vocab_size)
    weights = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(config).items()}
    token = {letter: tokenizer.tokens.index(letter) for letter in LETTERS + TARGET + END}
    weights["embedding"][:] = np.eye(config.vocab_size)
    inputs, recurrent = weights["layers.0.input"], weights["layers.0.recurrent"]
    begun, mark, answered = 2 * K, 2 * K + 1, 2 * K + 2
    for i, letter in enumerate(LETTERS):
        inputs[i, token[letter]] = 1  # unit i: this letter was read just now, and is the first
        recurrent[i, begun] = -1
        recurrent[K + i, i] = recurrent[K + i, K + i] = 1  # unit K + i: it was read before
        inputs[begun, token[letter]] = 1
        weights["output"][token[letter], [i, K + i]] = 9
    recurrent[begun, begun] = 1
    inputs[mark, token[TARGET]] = 1
    recurrent[answered, mark] = 1
    weights["output"][token[END], answered] = 99
    return Model(ModelFile(config, tokenizer, weights, Trained("records", END)))


def test_copy_network() -> None:
    """A network that copies by construction recalls one letter over every gap, and two never."""
    gaps = (0, 1, 3, 50)
    model = copy_network()
    assert accuracy(model, Task(gaps, 1), np.random.default_rng(0), 50) == [1.0] * 4
    assert accuracy(model, Task(gaps, 2), np.random.default_rng(0), 50) == [0.0] * 4


def test_text() -> None:
    """Each record's answer is the beginning of its source, and gaps have the lengths asked for."""
    task = Task((2, 5), 3)
    records = task.text(np.random.default_rng(0)).split(END)[:-1]
    lengths = set()
    for record in records:
        source, answer = record.split(TARGET)
        assert source.startswith(answer)
        assert len(answer) == 3
        lengths.add(len(source) - 3)
    assert lengths == {2, 5}
    assert max(map(len, records)) + 1 == task.longest
    assert task.chance == pytest.approx(1 / 512)


@pytest.mark.parametrize(
    ("gaps", "recalled"), [((), 3), ((-1,), 3), ((1001,), 3), ((1,), 0), ((1,), 21)]
)
def test_limits(gaps: tuple[int, ...], recalled: int) -> None:
    """A task out of range is an error that names the option."""
    with pytest.raises(UsageError):
        Task(gaps, recalled)
