"""One safe file is the model: weights, tokenizer and configuration, written whole or not at all.

A safetensors file; its metadata holds, as JSON under "charrnn",

    {"format": 2, "model": ModelConfig, "tokenizer": ..., "training": how it was trained,
     "word_runs", "items": of which runs of words, and lines, the tensors of that name are an index,
     "mixture": for each source of suggestions by name, its weights after 0, 1, 2, and 3 or more
     letters of a word; a row for each number of letters in format 1}

Beside the network's tensors are those of the trigram model, "ngram.*".

Nothing in it is executed, and every size is checked before it is used.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.checked import check_types, is_of, kinds_of, made, parsed
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import CharrnnError, ModelFileError
from charrnn.files import open_tensors, write_tensors
from charrnn.network.cells import tensor_shapes
from charrnn.text.blocks import KINDS, code_points
from charrnn.text.copy_index import Index, Items, WordRuns
from charrnn.tokenizer import Tokenizer, from_json

FORMAT = 2
LONGEST_OPENING = 2000  # characters; charrnn writes two at the most
MOST_INDEX = 1 << 20  # bytes of an index; charrnn writes half of them at the most
# Size that no weight exceeds. From any of that size all numbers that follow are finite, so that
# neither a probability nor a score can become NaN.
MOST_WEIGHT = 1e9
MOST_MIXTURE = 1e6  # size that no weight of a source of suggestions exceeds
MIXTURE_ROWS = 4  # weights of each source
# The columns of a row in format 1.
OLD_SOURCES = ("network", "trigrams", "count", "recent", "followed", "other")
WORD_RUNS = "word_runs"
ITEMS = "items"
I = TypeVar("I", bound=Index)  # noqa: E741
NGRAM = "ngram."  # what the names of the trigram model's tensors begin with
# The types of the trigram model's tensors.
NGRAM_TYPES = {"tokens": "U8", "counts": "U32", "one": "F32"} | {
    f"{order}.{part}": kind
    for order in ("two", "three")
    for part, kind in (("contexts", "U16"), ("lengths", "U16"), ("words", "U16"), ("p", "F16"))
}
MOST_NGRAM = 1 << 25  # numbers in any of them
# The types of what a file says of its training; of what is not listed, of any other.
TRAINED: dict[str, Any] = kinds_of(TrainingConfig) | {
    "version": str,
    "texts": Sequence[str],
    "from": str | None,
    "shape": str,
    "opening": str,
    "train_chars": int,
    "val_chars": int,
    "val_nats": float | None,
    "val_bpb": float | None,
    "step": int,
    "tokens": int,
    "epoch": float,
    "seconds_spent": float,
}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a model file holds.

    Attributes:
        config: the network's shape.
        tokenizer: text to ids and back.
        weights: float32 arrays with the names and shapes of cells.tensor_shapes.
        training: how it was trained, for `info`; `opening` is the text it starts from, `shape`
            that of the corpus, a key of KINDS.
        word_runs: index of the runs of words in the training text; older files have none.
        ngram: the trigram model of the training text, as `Trigrams.tensors` has it, unchecked;
            empty in older files.
        mixture: weights of each source of suggestions by its name, which need not be known here;
            None if they were not tuned.
        items: index of the training text's lines, if each is an item.
    """

    config: ModelConfig
    tokenizer: Tokenizer
    weights: Mapping[str, Array]
    training: dict[str, Any]
    word_runs: WordRuns | None = None
    ngram: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    mixture: Mapping[str, Sequence[float]] | None = None
    items: Items | None = None


def save(path: Path, model: ModelFile) -> None:
    """Write a model file, atomically.

    Raises:
        RunError: the file cannot be written.
    """
    description = {
        "format": FORMAT,
        "model": asdict(model.config),
        "tokenizer": model.tokenizer.to_json(),
        "training": model.training,
    }
    tensors: dict[str, NDArray[Any]] = dict(model.weights)
    for name, index in ((WORD_RUNS, model.word_runs), (ITEMS, model.items)):
        if index:
            description[name] = {"every": index.every}
            tensors[name] = index.bits
    tensors |= {NGRAM + name: array for name, array in model.ngram.items()}
    if model.mixture is not None:
        description["mixture"] = dict(model.mixture)
    metadata = {"charrnn": json.dumps(description, ensure_ascii=False)}
    write_tensors(path, tensors, metadata)


def load(path: Path) -> ModelFile:
    """Read a model file from anyone.

    Raises:
        ModelFileError: it is missing, unreadable, damaged, of a newer format or not a model.
    """
    try:
        with open_tensors(path) as file:
            return _read(path, file)
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist", "check the path") from None
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, CharrnnError) as error:
        raise ModelFileError(
            f"{path} is not a whole charrnn model: {error}", "copy it again or train anew"
        ) from None


def _read(path: Path, file: Any) -> ModelFile:
    """Check all that an open file holds.

    Raises:
        ModelFileError: it is of a newer format.
        ValueError, CharrnnError: it is no model; the message says why.
    """
    description = _description(path, (file.metadata() or {}).get("charrnn"))
    config = config_from(description.get("model"))
    tokenizer = from_json(description.get("tokenizer"))
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError("its tokenizer and its network differ in vocabulary size")
    if config.vocab_size < 2:
        raise ValueError("its vocabulary is empty")
    shapes, names = tensor_shapes(config), {*file.keys()}
    beside = {name for name in names if name.startswith(NGRAM)}
    if names - beside - {WORD_RUNS, ITEMS} != {*shapes}:
        raise ValueError("its tensors are not those of its configuration")
    runs, lines = description.get(WORD_RUNS), description.get(ITEMS)
    return ModelFile(
        config,
        tokenizer,
        {name: _weight(file, name, shape) for name, shape in shapes.items()},
        _training(description.get("training")),
        _index(file, WORD_RUNS, runs, WordRuns) if WORD_RUNS in names else None,
        _ngram(file, beside),
        _mixture(description["mixture"]) if "mixture" in description else None,
        _index(file, ITEMS, lines, Items) if ITEMS in names else None,
    )


def _description(path: Path, metadata: str | None) -> dict[str, Any]:
    if metadata is None:
        raise ValueError("it was not written by charrnn")
    description = parsed(metadata)
    if type(description.get("format")) is not int:
        raise ValueError("it names no format")
    if description["format"] > FORMAT:
        raise ModelFileError(
            f"{path} is of format {description['format']}, this charrnn reads up to {FORMAT}",
            "update charrnn",
        )
    return description


def config_from(values: Any) -> ModelConfig:
    """Return the configuration of these fields, as a model file or one to resume from has them.

    Raises:
        ValueError, UsageError: they are none, or of no network.
    """
    if not isinstance(values, dict):
        raise ValueError("it has no configuration")
    values = {"tied": False} | values  # older files do not say
    if set(values) != {field.name for field in fields(ModelConfig)}:
        raise ValueError("its configuration is incomplete")
    return made(ModelConfig, values)


def _weight(file: Any, name: str, shape: tuple[int, ...]) -> Array:
    stored = file.get_slice(name)
    if tuple(stored.get_shape()) != shape or stored.get_dtype() != "F32":
        raise ValueError(f"tensor {name} is not float32 {list(shape)}")
    weight: Array = file.get_tensor(name)
    if not (weight.max() <= MOST_WEIGHT and weight.min() >= -MOST_WEIGHT):  # nor is NaN
        raise ValueError(f"tensor {name} holds values that no network has, or that are no numbers")
    return weight


def _training(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError("it does not say how it was trained")
    check_types(values, TRAINED)
    if values.get("shape", "text") not in KINDS:
        raise ValueError("its shape is no known kind of corpus")
    opening = values.get("opening", "")
    if len(opening) > LONGEST_OPENING:
        raise ValueError("its opening is longer than any")
    code_points(opening)
    return values


def _ngram(file: Any, names: set[str]) -> dict[str, NDArray[Any]]:
    """The trigram model's tensors, of which the header says that they fit together."""
    stored = {name.removeprefix(NGRAM): file.get_slice(name) for name in sorted(names)}
    if not stored:
        return {}
    if {name: tensor.get_dtype() for name, tensor in stored.items()} != NGRAM_TYPES:
        raise ValueError("its trigrams are not complete, or of another type")
    shapes = {name: tuple(tensor.get_shape()) for name, tensor in stored.items()}
    fit = shapes["counts"] == shapes["one"]
    for order in ("two", "three"):
        contexts, words = (shapes[f"{order}.{name}"] for name in ("lengths", "words"))
        fit &= shapes[f"{order}.contexts"] == (2, *contexts)
        fit &= shapes[f"{order}.p"] == words and len(contexts) == len(words) == 1
    fit &= len(shapes["tokens"]) == len(shapes["one"]) == 1
    if not fit or max(map(math.prod, shapes.values())) > MOST_NGRAM:
        raise ValueError("its trigrams do not fit together")
    return {name: file.get_tensor(NGRAM + name) for name in stored}


def _index(file: Any, name: str, values: Any, kind: type[I]) -> I:
    stored = file.get_slice(name)
    every = values.get("every") if isinstance(values, dict) else None
    if type(every) is not int or not 0 < every < 2**63:
        raise ValueError(f"it does not say which {name} it holds")
    shape = stored.get_shape()
    if len(shape) != 1 or not 0 < shape[0] <= MOST_INDEX or stored.get_dtype() != "U8":
        raise ValueError(f"tensor {name} is not uint8 [bytes]")
    return kind(file.get_tensor(name), every)


def _mixture(values: Any) -> Mapping[str, Sequence[float]]:
    rows = values if isinstance(values, list) else []  # of format 1
    if [len(row) if isinstance(row, list) else 0 for row in rows] == [len(OLD_SOURCES)] * 4:
        values = dict(zip(OLD_SOURCES, map(list, zip(*rows, strict=True)), strict=True))
    sources = values if isinstance(values, dict) else {"": ()}
    for weights in sources.values():
        if (
            not isinstance(weights, list)
            or len(weights) != MIXTURE_ROWS
            or not all(is_of(weight, float) and abs(weight) <= MOST_MIXTURE for weight in weights)
        ):
            raise ValueError("the weights of its suggestions are no numbers")
    return sources
