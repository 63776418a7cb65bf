"""The model file: weights, tokenizer, configuration and indexes, written atomically.

It is a safetensors file. Its metadata has, under "charrnn", the JSON object

    {"format": 4,
     "model": the fields of ModelConfig,
     "tokenizer": see Tokenizer.to_json,
     "training": how the model was trained,
     "word_runs": {"every": ...} of the index in the tensor "word_runs",
     "items": {"every": ...} of the index in the tensor "items",
     "classifier": the mixture of the linear classifier in the tensors "classifier.*",
     "mixture": for each source of suggestions by name, its weights after 0, 1, 2, and 3 or more
         letters of a word; in format 1 a row for each number of letters}

The weights are float32 or float16. The tensors of the trigram model of words are named "ngram.*",
those of the n-grams of tokens "trie.*". Nothing in the file is executed, and every size is checked
before it is used.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Array
from charrnn.checked import check_types, is_of, kinds_of, made, parsed
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import CharrnnError, ModelFileError
from charrnn.files import open_tensors, write_tensors
from charrnn.network.cells import tensor_shapes
from charrnn.network.linear_classifier import LinearClassifier
from charrnn.network.ngrams import TENSORS, Ngrams
from charrnn.text.blocks import KINDS, UNMARKED, code_points
from charrnn.text.copy_index import Index, Items, WordRuns
from charrnn.tokenizer import Tokenizer, from_json

FORMAT = 4  # version that is written; earlier ones, whose weights are all float32, are read
LONGEST_OPENING = 2000  # maximum characters of an opening; charrnn writes up to 2
MOST_INDEX = 1 << 20  # maximum bytes of an index; charrnn writes up to half as many
# Maximum absolute weight. Everything computed from weights below it is finite, so neither a
# probability nor a score becomes NaN.
MOST_WEIGHT = 1e9
MOST_TARGETS = 1 << 20  # maximum characters of all targets of a classifier (not tuned)
MOST_MIXTURE = 1e6  # maximum absolute weight of a source of suggestions (not tuned)
MIXTURE_ROWS = 4  # weights of each source of suggestions
# Sources of suggestions in a row of format 1.
OLD_SOURCES = ("network", "trigrams", "count", "recent", "followed", "other")
WORD_RUNS = "word_runs"  # name of a tensor and of its entry in the metadata
ITEMS = "items"  # likewise
I = TypeVar("I", bound=Index)  # noqa: E741
NGRAM = "ngram."  # prefix of the names of the trigram model's tensors
# Types of the trigram model's tensors.
NGRAM_TYPES = {"tokens": "U8", "counts": "U32", "one": "F32"} | {
    f"{order}.{part}": kind
    for order in ("two", "three")
    for part, kind in (("contexts", "U16"), ("lengths", "U16"), ("words", "U16"), ("p", "F16"))
}
MOST_NGRAM = 1 << 25  # maximum elements of each of them, and of a trie (not tuned)
NUMBERS = {1: "U8", 2: "U16", 4: "U32"}  # types of whole numbers by their bytes
CLASSIFIER = "classifier"  # name of its mixture in the metadata
BUCKETS = ("classifier.idf", "classifier.weights")  # its tensors
MOST_BUCKETS = 1 << 20  # maximum buckets; charrnn writes up to a quarter as many
MOST_MIX = 1e3  # maximum factor in its mixture (not tuned)
TRIE = "trie."  # prefix of the names of the tensors of a trie of n-grams
# Types of the entries of "training"; others may have any type.
TRAINED: dict[str, Any] = kinds_of(TrainingConfig) | {
    "version": str,
    "texts": Sequence[str],
    "from": str | None,
    "shape": str,
    "opening": str,
    "targets": Sequence[str],
    "source_field": str | None,
    "target_field": str | None,
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
class Trained:
    """How a model was trained.

    Attributes:
        kind: the corpus kind, a key of KINDS.
        opening: text that generation starts from.
        normalised: whether the text, and so every seed, is normalised (charrnn.text.normalisation).
        targets: every target of a corpus of records whose targets are few and recur, commonest
            first; empty otherwise.
        source_field: field of the records' sources; None if they were files.
        target_field: field of the records' targets; None if they were the names of folders.
        facts: what else `info` shows.
    """

    kind: str = "text"
    opening: str = ""
    normalised: bool = False
    targets: Sequence[str] = ()
    source_field: str | None = None
    target_field: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Check and read the JSON object that `to_json` returned.

        Raises:
            UsageError: a value is out of range.
            ValueError: a value has the wrong type or is impossible.
        """
        if not isinstance(values, dict):
            raise ValueError("it does not say how it was trained")
        check_types(values, TRAINED)
        facts = dict(values)
        kind, opening = facts.pop("shape", "text"), facts.pop("opening", "")
        if kind not in KINDS:
            raise ValueError("its corpus is of an unknown kind")
        if len(opening) > LONGEST_OPENING:
            raise ValueError("its opening text is too long")
        code_points(opening)
        targets = facts.pop("targets", ())
        if sum(map(len, targets)) > MOST_TARGETS:
            raise ValueError("its targets are too long")
        together = "".join(targets)
        code_points(together)
        if (
            not all(targets)
            or len(set(targets)) < len(targets)
            or together != together.translate(UNMARKED)
        ):
            raise ValueError("its targets are empty, repeated or contain reserved characters")
        normalised = facts.pop("normalised", False) is True
        source, target = (facts.pop(name, None) for name in ("source_field", "target_field"))
        return cls(kind, opening, normalised, targets, source, target, facts)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object for the metadata, in which `kind` is "shape"."""
        load_bearing: dict[str, Any] = {
            "shape": self.kind,
            "opening": self.opening,
            "normalised": self.normalised,
        }
        if self.kind == "records":
            names = {"source_field": self.source_field, "target_field": self.target_field}
            load_bearing |= {"targets": [*self.targets], **names}
        return {**self.facts, **load_bearing}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The content of a model file.

    Attributes:
        config: the network's shape.
        tokenizer: text to ids and back.
        weights: float32 arrays with the names and shapes of cells.tensor_shapes.
        trained: how the model was trained.
        word_runs: index of the runs of words in the training text; None in older files.
        ngram: tensors of the trigram model of the training text, unchecked; empty in older files.
        mixture: weights of the sources of suggestions by name, unknown names included; None if
            they were not tuned.
        items: index of the lines of the training text; None unless lines are items.
        ngrams: n-grams of tokens in the training text; None if the network is not mixed with them.
        classifier: linear classifier of the targets; None without.
    """

    config: ModelConfig
    tokenizer: Tokenizer
    weights: Mapping[str, Array]
    trained: Trained = Trained()
    word_runs: WordRuns | None = None
    ngram: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    mixture: Mapping[str, Sequence[float]] | None = None
    items: Items | None = None
    ngrams: Ngrams | None = None
    classifier: LinearClassifier | None = None


def save(path: Path, model: ModelFile, half: bool = False) -> None:
    """Write a model file, atomically.

    Args:
        path: the file.
        model: its content.
        half: whether to write the weights in float16, to halve the file.

    Raises:
        RunError: the file cannot be written.
    """
    description = {
        "format": FORMAT,
        "model": asdict(model.config),
        "tokenizer": model.tokenizer.to_json(),
        "training": model.trained.to_json(),
    }
    kind = np.float16 if half else np.float32
    tensors: dict[str, NDArray[Any]] = {
        name: weight.astype(kind, copy=False) for name, weight in model.weights.items()
    }
    for name, index in ((WORD_RUNS, model.word_runs), (ITEMS, model.items)):
        if index:
            description[name] = {"every": index.every}
            tensors[name] = index.bits
    tensors |= {NGRAM + name: array for name, array in model.ngram.items()}
    if model.ngrams:
        tensors |= {TRIE + name: array for name, array in model.ngrams.tensors.items()}
    if model.classifier:
        idf, weights, mix = model.classifier
        description[CLASSIFIER] = [*mix]
        tensors |= {
            name: x.astype(np.float16) for name, x in zip(BUCKETS, (idf, weights), strict=True)
        }
    if model.mixture is not None:
        description["mixture"] = dict(model.mixture)
    metadata = {"charrnn": json.dumps(description, ensure_ascii=False)}
    write_tensors(path, tensors, metadata)


def load(path: Path) -> ModelFile:
    """Read an untrusted model file.

    Raises:
        ModelFileError: the file is missing, unreadable, damaged, of a newer format or not a model.
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
            f"{path} is not a valid charrnn model: {error}", "copy it again or train it again"
        ) from None


def _read(path: Path, file: Any) -> ModelFile:
    """Read and check the content of an open file.

    Raises:
        ModelFileError: the file has a newer format.
        CharrnnError: a value is out of range.
        ValueError: the file is not a model; the message says why.
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
    trie = {TRIE + name for name in TENSORS} if config.ngram_order else set()
    classifier = {*BUCKETS} if CLASSIFIER in description else set()
    if names - beside - {WORD_RUNS, ITEMS} != {*shapes} | trie | classifier:
        raise ValueError("its tensors do not match its configuration")
    runs, lines = description.get(WORD_RUNS), description.get(ITEMS)
    trained = Trained.from_json(description.get("training"))
    return ModelFile(
        config,
        tokenizer,
        {name: _weight(file, name, shape) for name, shape in shapes.items()},
        trained,
        _index(file, WORD_RUNS, runs, WordRuns) if WORD_RUNS in names else None,
        _ngram(file, beside),
        _mixture(description["mixture"]) if "mixture" in description else None,
        _index(file, ITEMS, lines, Items) if ITEMS in names else None,
        _trie(file, config) if trie else None,
        _classifier(file, description[CLASSIFIER], len(trained.targets)) if classifier else None,
    )


def _description(path: Path, metadata: str | None) -> dict[str, Any]:
    """Return the JSON object in the metadata, of a known format."""
    if metadata is None:
        raise ValueError("it was not written by charrnn")
    description = parsed(metadata)
    if type(description.get("format")) is not int:
        raise ValueError("it names no format")
    if description["format"] > FORMAT:
        raise ModelFileError(
            f"{path} has format {description['format']}; this version reads up to {FORMAT}",
            "update charrnn",
        )
    return description


def config_from(values: Any) -> ModelConfig:
    """Return the configuration in a model file or a file to resume from.

    Raises:
        UsageError: a value is out of range.
        ValueError: `values` does not describe a configuration.
    """
    if not isinstance(values, dict):
        raise ValueError("it has no configuration")
    values = {"tied": False, "ngram_order": 0} | values  # missing in older files
    if set(values) != {field.name for field in fields(ModelConfig)}:
        raise ValueError("its configuration is incomplete")
    return made(ModelConfig, values)


def _weight(file: Any, name: str, shape: tuple[int, ...]) -> Array:
    stored = file.get_slice(name)
    if tuple(stored.get_shape()) != shape or stored.get_dtype() not in ("F32", "F16"):
        raise ValueError(f"tensor {name} is not float {list(shape)}")
    weight: Array = file.get_tensor(name).astype(np.float32, copy=False)
    if not (weight.max() <= MOST_WEIGHT and weight.min() >= -MOST_WEIGHT):  # also refuses NaN
        raise ValueError(f"tensor {name} has values that are too large or not numbers")
    return weight


def _ngram(file: Any, names: set[str]) -> dict[str, NDArray[Any]]:
    """Return the trigram model's tensors, whose types and shapes are checked first."""
    stored = {name.removeprefix(NGRAM): file.get_slice(name) for name in sorted(names)}
    if not stored:
        return {}
    if {name: tensor.get_dtype() for name, tensor in stored.items()} != NGRAM_TYPES:
        raise ValueError("its trigrams are incomplete or of the wrong type")
    shapes = {name: tuple(tensor.get_shape()) for name, tensor in stored.items()}
    fit = shapes["counts"] == shapes["one"]
    for order in ("two", "three"):
        contexts, words = (shapes[f"{order}.{name}"] for name in ("lengths", "words"))
        fit &= shapes[f"{order}.contexts"] == (2, *contexts)
        fit &= shapes[f"{order}.p"] == words and len(contexts) == len(words) == 1
    fit &= len(shapes["tokens"]) == len(shapes["one"]) == 1
    if not fit or max(map(math.prod, shapes.values())) > MOST_NGRAM:
        raise ValueError("its trigrams are inconsistent")
    return {name: file.get_tensor(NGRAM + name) for name in stored}


def _trie(file: Any, config: ModelConfig) -> Ngrams:
    """Return the n-grams of tokens, checked."""
    stored = {name: file.get_slice(TRIE + name) for name in TENSORS}
    small = NUMBERS[np.min_scalar_type(config.vocab_size).itemsize]
    types = {"tokens": small, "lengths": small, "logp": "U8", "backoff": "U8"}
    shapes = [tensor.get_shape() for tensor in stored.values()]
    if {name: tensor.get_dtype() for name, tensor in stored.items()} != types or any(
        len(shape) != 1 or shape[0] > MOST_NGRAM for shape in shapes
    ):
        raise ValueError("its n-grams are of the wrong type")
    ngrams = Ngrams(config.vocab_size, {name: file.get_tensor(TRIE + name) for name in stored})
    if ngrams.order > config.ngram_order:
        raise ValueError("its n-grams are longer than it says")
    return ngrams


def _classifier(file: Any, mix: Any, targets: int) -> LinearClassifier:
    """Return the linear classifier of the targets, checked."""
    (buckets,) = file.get_slice(BUCKETS[0]).get_shape()[:1] or (0,)
    if not 2 <= buckets <= MOST_BUCKETS or buckets & (buckets - 1):
        raise ValueError("its classifier has a wrong size")
    idf, weights = (
        _weight(file, name, shape)
        for name, shape in zip(BUCKETS, ((buckets,), (buckets, targets)), strict=True)
    )
    if not isinstance(mix, list) or not len(mix) == 2 <= targets:
        raise ValueError("its classifier has no mixture")
    if not all(is_of(factor, float) and 0 <= factor <= MOST_MIX for factor in mix):
        raise ValueError("the mixture of its classifier is wrong")
    return LinearClassifier(idf, weights, (float(mix[0]), float(mix[1])))


def _index(file: Any, name: str, values: Any, kind: type[I]) -> I:
    stored = file.get_slice(name)
    every = values.get("every") if isinstance(values, dict) else None
    if type(every) is not int or not 0 < every < 2**63:
        raise ValueError(f"its index {name} has no interval")
    shape = stored.get_shape()
    if len(shape) != 1 or not 0 < shape[0] <= MOST_INDEX or stored.get_dtype() != "U8":
        raise ValueError(f"tensor {name} is not uint8 [bytes]")
    return kind(file.get_tensor(name), every)


def _mixture(values: Any) -> Mapping[str, Sequence[float]]:
    """Return the weights of each source of suggestions, checked; format 1 is converted."""
    rows = values if isinstance(values, list) else []  # format 1
    if [len(row) if isinstance(row, list) else 0 for row in rows] == [len(OLD_SOURCES)] * 4:
        values = dict(zip(OLD_SOURCES, map(list, zip(*rows, strict=True)), strict=True))
    sources = values if isinstance(values, dict) else {"": ()}
    for weights in sources.values():
        if (
            not isinstance(weights, list)
            or len(weights) != MIXTURE_ROWS
            or not all(is_of(weight, float) and abs(weight) <= MOST_MIXTURE for weight in weights)
        ):
            raise ValueError("the weights of its suggestions are not numbers")
    return sources
