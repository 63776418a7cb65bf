"""One safe file is the model: weights, tokenizer and configuration, written whole or not at all.

A safetensors file; its metadata holds, as JSON under "charrnn",

    {"format": 1, "model": ModelConfig, "tokenizer": ..., "training": how it was trained,
     "word_runs", "items": of which runs of words, and lines, the tensors of that name are an index,
     "mixture": weights of the sources of suggestions}

Beside the network's tensors are those of the trigram model, "ngram.*".

Nothing in it is executed, and every size is checked before it is used.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from charrnn.cells import Array
from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError, ModelFileError, is_out_of_memory
from charrnn.files import check_readable, write_tensors
from charrnn.mixture import BEGIN, Weights
from charrnn.novelty import Index, Items, WordRuns
from charrnn.text import SHAPES
from charrnn.tokenizer import Tokenizer, code_points, from_json

FORMAT = 1
SIZES = ("vocab_size", "layers", "hidden", "embedding")  # in a configuration
WORD_RUNS = "word_runs"
ITEMS = "items"
# From a damaged file; the last two of a tensor whose type NumPy lacks, such as BF16 and F8_E4M3.
UNREADABLE = (SafetensorError, ValueError, RecursionError, TypeError, AttributeError)
I = TypeVar("I", bound=Index)  # noqa: E741
NGRAM = "ngram."  # what the names of the trigram model's tensors begin with


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a model file holds.

    Attributes:
        config: the network's shape.
        tokenizer: text to ids and back.
        weights: float32 arrays as named and shaped by `config.shapes()`.
        training: how it was trained, for `info`; `opening` is the text it starts from, `shape`
            that of the corpus, a key of SHAPES.
        word_runs: index of the runs of words in the training text; older files have none.
        ngram: the trigram model of the training text, as `NGram.tensors` has it, unchecked;
            empty in older files.
        mixture: weights of the sources of suggestions, None if they were not tuned.
        items: index of the training text's lines, if each is an item.
    """

    config: ModelConfig
    tokenizer: Tokenizer
    weights: Mapping[str, Array]
    training: dict[str, Any]
    word_runs: WordRuns | None = None
    ngram: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    mixture: Weights | None = None
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
        description["mixture"] = model.mixture.tolist()
    metadata = {"charrnn": json.dumps(description, ensure_ascii=False)}
    write_tensors(path, tensors, metadata)


def load(path: Path) -> ModelFile:
    """Read a model file from anyone.

    Raises:
        ModelFileError: it is missing, unreadable, damaged, of a newer format or not a model.
    """
    try:
        check_readable(path)
        with safe_open(path, "numpy") as file:
            description = _description(path, (file.metadata() or {}).get("charrnn"))
            config = _config(description)
            tokenizer = from_json(description.get("tokenizer"))
            if tokenizer.vocab_size != config.vocab_size:
                raise ValueError("its tokenizer and its network differ in vocabulary size")
            if config.vocab_size < 2:
                raise ValueError("its vocabulary is empty")
            weights = {}
            shapes = config.shapes()
            names = {*file.keys()}
            beside = {name for name in names if name.startswith(NGRAM)}
            if names - beside - {WORD_RUNS, ITEMS} != {*shapes}:
                raise ValueError("its tensors are not those of its configuration")
            for name, shape in shapes.items():
                stored = file.get_slice(name)
                if tuple(stored.get_shape()) != shape or stored.get_dtype() != "F32":
                    raise ValueError(f"tensor {name} is not float32 {list(shape)}")
                weights[name] = file.get_tensor(name)
                if not np.isfinite(weights[name]).all():
                    raise ValueError(f"tensor {name} holds values that are not finite")
            runs, lines = description.get(WORD_RUNS), description.get(ITEMS)
            word_runs = _index(file, WORD_RUNS, runs, WordRuns) if WORD_RUNS in names else None
            items = _index(file, ITEMS, lines, Items) if ITEMS in names else None
            ngram = {name.removeprefix(NGRAM): file.get_tensor(name) for name in beside}
            mixture = _mixture(description["mixture"]) if "mixture" in description else None
            training = description.get("training")
            if not isinstance(training, dict) or not isinstance(training.get("opening", ""), str):
                raise ValueError("it does not say how it was trained")
            if training.get("shape", "text") not in [*SHAPES]:
                raise ValueError("its corpus is of no known shape")
            code_points(training.get("opening", ""))
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist", "train a model first, or give -m") from None
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from None
    except (*UNREADABLE, CharrnnError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelFileError(
            f"{path} is not a whole charrnn model: {error}", "copy it again or train anew"
        ) from None
    return ModelFile(config, tokenizer, weights, training, word_runs, ngram, mixture, items)


def _description(path: Path, metadata: str | None) -> dict[str, Any]:
    if metadata is None:
        raise ValueError("it was not written by charrnn")
    description = json.loads(metadata)
    if not isinstance(description, dict) or type(description.get("format")) is not int:
        raise ValueError("it names no format")
    if description["format"] > FORMAT:
        raise ModelFileError(
            f"{path} is of format {description['format']}, this charrnn reads up to {FORMAT}",
            "update charrnn",
        )
    return description


def _config(description: dict[str, Any]) -> ModelConfig:
    values = description.get("model")
    if not isinstance(values, dict):
        raise ValueError("it has no configuration")
    values = {"tied": False} | values  # older files do not say
    if set(values) != {field.name for field in fields(ModelConfig)}:
        raise ValueError("its configuration is incomplete")
    if not isinstance(values["cell"], str):
        raise ValueError("its cell has no name")
    if not isinstance(values["tied"], bool):
        raise ValueError("it does not say whether its matrices are tied")
    if not all(type(values[n]) is int and values[n] < 2**31 for n in SIZES):
        raise ValueError("its configuration holds impossible sizes")
    if values["layers"] > 1000:
        raise ValueError("it has more layers than any network")
    return ModelConfig(**values)


def _index(file: Any, name: str, values: Any, kind: type[I]) -> I:
    stored = file.get_slice(name)
    every = values.get("every") if isinstance(values, dict) else None
    if type(every) is not int or not 0 < every < 2**63:
        raise ValueError(f"it does not say which {name} it holds")
    if len(stored.get_shape()) != 1 or 0 in stored.get_shape() or stored.get_dtype() != "U8":
        raise ValueError(f"tensor {name} is not uint8 [bytes]")
    return kind(file.get_tensor(name), every)


def _mixture(values: Any) -> Weights:
    weights = np.array(values)
    if weights.dtype != float or weights.shape != BEGIN.shape or not np.isfinite(weights).all():
        raise ValueError("the weights of its suggestions are no numbers")
    return weights
