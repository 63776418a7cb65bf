"""A model file is read back bit for bit, written whole or not at all, and never trusted."""

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes

import charrnn
from charrnn.errors import ModelFileError
from charrnn.model import Model
from charrnn.network.cells import CELLS, tensor_shapes
from charrnn.network.linear_classifier import LinearClassifier
from charrnn.network.model_file import NGRAM_TYPES, OLD_SOURCES, ModelFile, load, save
from charrnn.network.ngrams import TENSORS
from charrnn.runs import MODEL_NAME
from charrnn.suggestions.mixture import BEGIN, by_name, from_names
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text.copy_index import Items, WordRuns
from charrnn.tokenizer import TOKENIZERS
from tests.models import CORPUS, WITH_UNSEEN, random_model, with_ngrams
from tests.strategies import NASTY

Load = Callable[[bytes], ModelFile]
SHORT = "{:.20}".format  # names of examples


@pytest.fixture(scope="session")
def load_bytes(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Loads a model file of these bytes."""
    path = tmp_path_factory.mktemp("models") / "some.safetensors"

    def load_bytes(data: bytes) -> ModelFile:
        path.write_bytes(data)
        return load(path)

    return load_bytes


def refused(load_bytes: Load, data: bytes) -> str:
    """The one line that refuses a model file, which is named in it."""
    with pytest.raises(ModelFileError) as caught:
        load_bytes(data)
    line = str(caught.value)
    assert "\n" not in line
    assert "some.safetensors" in line
    assert caught.value.hint
    assert caught.value.exit_code == 1
    return line


def description(file: ModelFile) -> dict[str, Any]:
    return {
        "format": 1,
        "model": asdict(file.config),
        "tokenizer": file.tokenizer.to_json(),
        "training": file.trained.to_json(),
    }


def forged(file: ModelFile, text: str | dict[str, Any], **tensors: Any) -> bytes:
    """A safetensors file with this description, other tensors put in for the model's own.

    Args:
        text: the description, as JSON or to become JSON.
        tensors: arrays by name, dots as double underscores; None leaves one out.
    """
    named = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    weights = {name: w for name, w in {**file.weights, **named}.items() if w is not None}
    return to_bytes(weights, {"charrnn": text if isinstance(text, str) else json.dumps(text)})


@pytest.fixture(scope="session")
def file(char_model: Model) -> ModelFile:
    return char_model.file


@pytest.fixture(scope="session")
def whole(file: ModelFile, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a model file as it is saved."""
    path = tmp_path_factory.mktemp("whole") / MODEL_NAME
    save(path, file)
    return path.read_bytes()


class TestRoundTrip:
    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("level", TOKENIZERS)
    def test_bit_exact(self, level: str, cell: str, tmp_path: Path) -> None:
        """What is loaded is what was saved, every weight to the bit."""
        before = random_model(TOKENIZERS[level].train(CORPUS), cell).file
        save(tmp_path / MODEL_NAME, before)
        after = load(tmp_path / MODEL_NAME)
        assert after.config == before.config
        assert after.trained == before.trained
        assert after.tokenizer.level == level
        assert after.tokenizer.tokens == before.tokenizer.tokens
        assert {*after.weights} == {*before.weights}
        for name, weight in before.weights.items():
            assert after.weights[name].dtype == np.float32
            assert after.weights[name].shape == weight.shape
            assert after.weights[name].tobytes() == weight.tobytes()

    def test_same_bytes(self, whole: bytes, tmp_path: Path) -> None:
        """A file loaded and saved again is the same file."""
        (tmp_path / "a").write_bytes(whole)
        save(tmp_path / "b", load(tmp_path / "a"))
        assert (tmp_path / "b").read_bytes() == whole

    def test_same_behaviour(self, model: Model, tmp_path: Path) -> None:
        """A model that was saved and loaded writes, completes and scores as before."""
        save(tmp_path / MODEL_NAME, model.file)
        after = charrnn.load(tmp_path)
        one, other = (m.generate("The", 80, random_seed=3) for m in (after, model))
        assert "".join(one) == "".join(other)
        assert after.complete("The f") == model.complete("The f")
        assert after.score(CORPUS) == model.score(CORPUS)

    def test_indexes(self, file: ModelFile, tmp_path: Path) -> None:
        """The indexes of the text's runs of words, and of its lines, come back as they were."""
        runs, items = WordRuns.build([CORPUS] * 2), Items.build(["one", "two"])
        save(tmp_path / "model", replace(file, word_runs=runs, items=items))
        loaded = load(tmp_path / "model")
        for index, before in ((loaded.word_runs, runs), (loaded.items, items)):
            assert type(index) is type(before)
            assert np.array_equal(index.bits, before.bits)
            assert index.every == before.every

    def test_suggestions(self, file: ModelFile, tmp_path: Path) -> None:
        """The trigrams and the weights of the sources of suggestions come back as they were."""
        ngram, weights = Trigrams.build(CORPUS), BEGIN + 0.125
        save(tmp_path / "model", replace(file, ngram=ngram.tensors(), mixture=by_name(weights)))
        loaded = Model(load(tmp_path / "model"))
        assert loaded.ngram.tokens == ngram.tokens
        np.testing.assert_array_equal(loaded.ngram.after("The "), ngram.after("The "))
        assert loaded.file.mixture == by_name(weights)
        before = Model(replace(file, ngram=ngram.tensors(), mixture=by_name(weights)))
        assert loaded.complete("The f") == before.complete("The f")

    @pytest.mark.parametrize("level", TOKENIZERS)
    @pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
    def test_nasty_vocabulary(self, level: str, text: str, tmp_path: Path) -> None:
        """A vocabulary and an opening of nasty characters come back exactly."""
        before = random_model(TOKENIZERS[level].train(text + "a"), opening=text).file
        save(tmp_path / MODEL_NAME, before)
        after = load(tmp_path / MODEL_NAME)
        assert after.tokenizer.tokens == before.tokenizer.tokens
        assert after.trained == before.trained


class TestDamaged:
    def test_truncated(self, load_bytes: Load, whole: bytes) -> None:
        """A file cut short anywhere is refused."""
        assert load_bytes(whole)
        step = max(1, len(whole) // 300)
        for length in {
            *range(0, len(whole), step),
            *range(20),
            *range(len(whole) - 20, len(whole)),
        }:
            refused(load_bytes, whole[:length])

    def test_trailing_bytes(self, load_bytes: Load, whole: bytes) -> None:
        """A file with bytes after its end is refused."""
        refused(load_bytes, whole + b"\0")

    @given(data=st.binary(max_size=200))
    def test_random_bytes(self, load_bytes: Load, data: bytes) -> None:
        """Random bytes are refused."""
        refused(load_bytes, data)

    @given(header=st.binary(max_size=100))
    def test_random_header(self, load_bytes: Load, header: bytes) -> None:
        """A header of random bytes is refused."""
        refused(load_bytes, len(header).to_bytes(8, "little") + header)

    @settings(max_examples=50)
    @given(data=st.data())
    def test_flipped_bytes(self, load_bytes: Load, whole: bytes, data: st.DataObject) -> None:
        """With a few bytes changed a file loads or is refused, and nothing else happens."""
        damaged = bytearray(whole)
        header = 8 + int.from_bytes(whole[:8], "little")
        where = st.integers(0, header - 1) | st.integers(0, len(whole) - 1)
        for i in data.draw(st.lists(where, min_size=1, max_size=4)):
            damaged[i] = data.draw(st.integers(0, 255))
        try:
            loaded = load_bytes(bytes(damaged))
        except ModelFileError as error:
            message = str(error)
            assert "\n" not in message
        else:
            assert {n: w.shape for n, w in loaded.weights.items()} == tensor_shapes(loaded.config)

    @pytest.mark.parametrize(
        "length", [0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1], ids="length {}".format
    )
    def test_lying_header_length(self, load_bytes: Load, whole: bytes, length: int) -> None:
        """A header that claims another length, however huge, is refused."""
        refused(load_bytes, length.to_bytes(8, "little") + whole[8:])

    @pytest.mark.parametrize(
        "entry",
        [
            {"shape": [2**40, 2**40], "data_offsets": [0, 2**62]},
            {"shape": [2**63, 2], "data_offsets": [0, 0]},
            {"shape": [1], "data_offsets": [0, 2**63]},
            {"shape": [1], "data_offsets": [4, 0]},
            {"shape": [1], "data_offsets": [-4, 0]},
            {"shape": [-1], "data_offsets": [0, 4]},
            {"shape": [1], "data_offsets": [0, 8]},
            {"shape": "x", "data_offsets": None},
        ],
        ids=str,
    )
    def test_lying_header(self, load_bytes: Load, file: ModelFile, entry: dict[str, Any]) -> None:
        """A header whose sizes cannot be is refused."""
        metadata = {"charrnn": json.dumps(description(file))}
        header = json.dumps({"__metadata__": metadata, "embedding": {"dtype": "F32"} | entry})
        refused(
            load_bytes, len(header.encode()).to_bytes(8, "little") + header.encode() + b"\0" * 16
        )


class TestTensors:
    def test_forgery_loads(self, load_bytes: Load, file: ModelFile) -> None:
        """The file that the other tests here change is a good one before that."""
        assert load_bytes(forged(file, description(file)))

    def test_swapped(self, load_bytes: Load, file: ModelFile) -> None:
        """Tensors that have changed places are refused."""
        w = file.weights
        for a, b in [("embedding", "output"), ("layers__0__input", "layers__0__recurrent")]:
            dotted = [name.replace("__", ".") for name in (a, b)]
            swapped = {a: w[dotted[1]], b: w[dotted[0]]}
            assert "tensor" in refused(load_bytes, forged(file, description(file), **swapped))

    def test_other_shapes(self, load_bytes: Load, file: ModelFile) -> None:
        """A tensor of another shape than the configuration's is refused by name."""
        for name, weight in file.weights.items():
            for other in (weight.ravel()[None], weight[:-1], weight[..., None], weight[:0]):
                data = forged(file, description(file), **{name: np.ascontiguousarray(other)})
                assert f"tensor {name} is not" in refused(load_bytes, data)

    @pytest.mark.parametrize("dtype", ["float64", "int32", "uint8", "bool"])
    def test_other_dtype(self, load_bytes: Load, file: ModelFile, dtype: str) -> None:
        """A tensor of another type than float32 and float16 is refused by name."""
        data = forged(file, description(file), output=file.weights["output"].astype(dtype))
        assert "tensor output is not float" in refused(load_bytes, data)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, load_bytes: Load, file: ModelFile, value: float) -> None:
        """A single weight that is not a finite number is refused."""
        for name, weight in file.weights.items():
            damaged = weight.copy()
            damaged.flat[-1] = value
            data = forged(file, description(file), **{name: damaged})
            assert f"tensor {name} has values" in refused(load_bytes, data)

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("size", [1e9, 1e10, 1e20, 3e38])
    @pytest.mark.parametrize("level", ["char", "word"])
    def test_absurd(self, load_bytes: Load, level: str, cell: str, size: float) -> None:
        """Weights of an absurd size are refused, or all that follows from them is a number."""
        whole = random_model(TOKENIZERS[level].train(CORPUS), cell).file
        ngram = Trigrams.build(CORPUS).tensors()
        for names in ([*whole.weights], ["output"], ["layers.0.recurrent", "layers.1.input"]):
            absurd = {name: np.sign(whole.weights[name]) * np.float32(size) for name in names}
            data = forged(whole, description(whole), **absurd)
            if size > 1e9:
                refused(load_bytes, data)
                continue
            model = Model(replace(load_bytes(data), ngram=ngram))
            assert np.isfinite([*model.score(CORPUS).to_json().values()][3:6]).all()
            json.dumps(model.score(CORPUS).to_json(), allow_nan=False)
            assert all(0 <= found.p <= 1 for found in model.complete("The f"))
            assert "".join(model.generate("The f", 20, random_seed=0))

    def test_missing_or_added(self, load_bytes: Load, file: ModelFile) -> None:
        """A tensor too few or too many is refused."""
        for change in ({"output_bias": None}, {"more": np.zeros(1, np.float32)}):
            assert "tensors" in refused(load_bytes, forged(file, description(file), **change))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["char", "word", "lstm", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=3,
)
"""Any JSON."""


@pytest.mark.parametrize("kind", [None, 1, [], {}, "items"], ids=repr)
def test_bad_kind(load_bytes: Load, file: ModelFile, kind: Any) -> None:
    """A kind of corpus that is none is refused."""
    described = description(file)
    described["training"] |= {"shape": kind}
    message = refused(load_bytes, forged(file, described))
    assert "shape" in message or "unknown kind" in message


@pytest.mark.parametrize("name", ["word_runs", "items"])
class TestIndexes:
    @pytest.mark.parametrize(
        "bits",
        [np.zeros(0, np.uint8), np.zeros((2, 2), np.uint8), np.zeros(8, np.float32)],
        ids=["empty", "matrix", "floats"],
    )
    def test_bad_bits(self, load_bytes: Load, file: ModelFile, name: str, bits: Any) -> None:
        """An index that is no list of bytes is refused."""
        described = description(file) | {name: {"every": 1}}
        assert name in refused(load_bytes, forged(file, described, **{name: bits}))

    @pytest.mark.parametrize(
        "values", [None, 1, {}, {"every": 0}, {"every": 1.5}, {"every": True}, {"every": 2**63}]
    )
    def test_bad_description(
        self, load_bytes: Load, file: ModelFile, name: str, values: Any
    ) -> None:
        """An index that is not described is refused."""
        described = description(file) | {name: values}
        refused(load_bytes, forged(file, described, **{name: np.zeros(8, np.uint8)}))


class TestMixture:
    @pytest.mark.parametrize(
        "values",
        [
            None,
            1,
            [],
            [[]],
            [[0.5] * 6] * 3,
            [["a"] * 6] * 4,
            [[1e400] * 6] * 4,
            {"a": 1},
            {"a": [1]},
        ],
        ids=repr,
    )
    def test_bad_mixture(self, load_bytes: Load, file: ModelFile, values: Any) -> None:
        """Weights of suggestions that are none are refused."""
        refused(load_bytes, forged(file, description(file) | {"mixture": values}))

    @pytest.mark.parametrize("value", [1e300, -1e7, float("nan"), True])
    def test_absurd_mixture(self, load_bytes: Load, file: ModelFile, value: Any) -> None:
        """Weights of suggestions of an absurd size, or that are no numbers, are refused."""
        weights = [[0.5] * len(OLD_SOURCES) for _ in range(4)]
        weights[0][0] = value  # as in format 1
        refused(load_bytes, forged(file, description(file) | {"mixture": weights}))

    def test_old_and_new_sources(self, load_bytes: Load, file: ModelFile) -> None:
        """Format 1 had rows; an unknown source is ignored, a missing one has its default."""
        rows = [[column + row / 10 for column in range(len(OLD_SOURCES))] for row in range(4)]
        old = load_bytes(forged(file, description(file) | {"format": 1, "mixture": rows}))
        assert old.mixture == dict(
            zip(OLD_SOURCES, map(list, zip(*rows, strict=True)), strict=True)
        )
        named = {"network": [1.0, 2.0, 3.0, 4.0], "crystal ball": [9.0] * 4}
        new = load_bytes(forged(file, description(file) | {"mixture": named}))
        weights = from_names(new.mixture or {})
        np.testing.assert_array_equal(weights[:, 0], named["network"])
        np.testing.assert_array_equal(weights[:, 1:], BEGIN[:, 1:])

    @pytest.mark.parametrize("name", ["ngram.one", "ngram.two.words", "ngram.more"])
    def test_bad_trigrams(self, file: ModelFile, name: str) -> None:
        """Trigrams that are damaged stop suggestions with an error that says so, nothing else."""
        arrays = {**Trigrams.build(CORPUS).tensors(), name.removeprefix("ngram."): np.zeros(3)}
        damaged = Model(replace(file, ngram=arrays))
        assert "".join(damaged.generate("The", 5))
        with pytest.raises(ModelFileError, match="trigrams"):
            damaged.complete("The f")


class TestNgrams:
    @pytest.fixture
    def mixed(self, char_model: Model) -> ModelFile:
        return with_ngrams(char_model).file

    def arrays(self, mixed: ModelFile) -> dict[str, Any]:
        assert mixed.ngrams
        return {f"trie.{name}": array for name, array in mixed.ngrams.tensors.items()}

    def test_round_trip(self, mixed: ModelFile, tmp_path: Path) -> None:
        """What is loaded scores and writes as what was saved."""
        save(tmp_path / MODEL_NAME, mixed)
        before, after = Model(mixed), charrnn.load(tmp_path / MODEL_NAME)
        assert after.score(CORPUS).nats == before.score(CORPUS).nats
        assert after.score(CORPUS).nats < Model(replace(mixed, ngrams=None)).score(CORPUS).nats
        written = "".join(after.generate("The ", 50, random_seed=1))
        assert written == "".join(before.generate("The ", 50, random_seed=1))

    @pytest.mark.parametrize("name", TENSORS)
    def test_refused(self, name: str, mixed: ModelFile, load_bytes: Load) -> None:
        """A trie that is incomplete, of other types or shapes, or impossible is refused."""
        arrays, about = self.arrays(mixed), description(mixed)
        whole = arrays.pop(f"trie.{name}")
        refused(load_bytes, forged(mixed, about, **arrays))
        for other in (whole.astype(np.float32), whole[None], whole[:-1], whole * 0, whole[:0]):
            data = forged(mixed, about, **arrays, **{f"trie.{name}": other})
            alike = (other.shape, other.dtype) == (whole.shape, whole.dtype)
            if alike and name in ("logp", "backoff"):
                load_bytes(data)  # other probabilities are possible
            else:
                refused(load_bytes, data)

    def test_order(self, mixed: ModelFile, load_bytes: Load) -> None:
        """The configuration must say that there are n-grams, and how long they are at most."""
        for order in (0, 2, 17, -1):
            about = description(mixed)
            about["model"] |= {"ngram_order": order}
            refused(load_bytes, forged(mixed, about, **self.arrays(mixed)))

    @pytest.mark.parametrize("mix", [(math.nan, 1), (1, math.inf), (1e12, 1)])
    def test_bad_mix(self, mix: Any, mixed: ModelFile, load_bytes: Load) -> None:
        """Weights of the mixture are numbers, and not too large."""
        weights = {**self.arrays(mixed), "mix": np.array([mix] * 4, np.float32)}
        refused(load_bytes, forged(mixed, description(mixed), **weights))


class TestClassifier:
    @pytest.fixture
    def voting(self, file: ModelFile) -> ModelFile:
        trained = replace(file.trained, kind="records", targets=["a", "b"])
        random = np.random.default_rng(0)
        idf, weights = (random.normal(size=size).astype(np.float16) for size in (8, (8, 2)))
        halves = idf.astype(np.float32), weights.astype(np.float32)
        return replace(file, trained=trained, classifier=LinearClassifier(*halves, (0.5, 0.25)))

    def arrays(self, voting: ModelFile) -> dict[str, Any]:
        assert voting.classifier
        return {"classifier.idf": voting.classifier.idf, "classifier.weights": voting.classifier[1]}

    def test_round_trip(self, voting: ModelFile, tmp_path: Path) -> None:
        """What is loaded predicts as what was saved."""
        save(tmp_path / MODEL_NAME, voting)
        before, after = Model(voting), charrnn.load(tmp_path / MODEL_NAME)
        assert after.predict("fox", 2) == before.predict("fox", 2)
        assert after.predict("fox", 2) != Model(replace(voting, classifier=None)).predict("fox", 2)

    @pytest.mark.parametrize(
        "mix", [None, [], [1], [1, 2, 3], [1, -1], [1, "1"], [math.nan, 1], [1e9, 1], {}, 1]
    )
    def test_bad_mix(self, voting: ModelFile, load_bytes: Load, mix: Any) -> None:
        """The mixture is two factors of at least 0."""
        about = description(voting) | {"classifier": mix}
        refused(load_bytes, forged(voting, about, **self.arrays(voting)))

    @pytest.mark.parametrize("size", [0, 1, 6, 1 << 21])
    def test_bad_size(self, voting: ModelFile, load_bytes: Load, size: int) -> None:
        """The number of buckets is a power of two."""
        about = description(voting) | {"classifier": [1, 1]}
        zeros = {"classifier.idf": np.zeros(size, np.float16)}
        zeros |= {"classifier.weights": np.zeros((size, 2), np.float16)}
        refused(load_bytes, forged(voting, about, **zeros))

    def test_incomplete(self, voting: ModelFile, load_bytes: Load) -> None:
        """Tensors of other shapes, too few and too many are refused."""
        about = description(voting) | {"classifier": [1, 1]}
        whole = self.arrays(voting)
        assert load_bytes(forged(voting, about, **whole)).classifier
        for name, array in whole.items():
            for other in (None, array[None], array[:-1], array.astype(int), array * math.nan):
                refused(load_bytes, forged(voting, about, **(whole | {name: other})))
        refused(load_bytes, forged(voting, description(voting), **whole))
        for targets in ([], ["a"], ["a", "b", "c"]):
            about["training"] |= {"targets": targets}
            refused(load_bytes, forged(voting, about, **whole))


class TestTrigrams:
    @pytest.fixture
    def arrays(self) -> dict[str, Any]:
        return {
            f"ngram.{name}": array for name, array in Trigrams.build(CORPUS * 3).tensors().items()
        }

    def test_whole(self, load_bytes: Load, file: ModelFile, arrays: dict[str, Any]) -> None:
        """The trigrams that the other tests here change are good ones before that."""
        loaded = load_bytes(forged(file, description(file), **arrays))
        assert Model(loaded).complete("The f")

    @pytest.mark.parametrize("name", NGRAM_TYPES)
    def test_other_shapes(
        self, load_bytes: Load, file: ModelFile, arrays: dict[str, Any], name: str
    ) -> None:
        """A tensor of another shape or type, and one too few, are refused on loading."""
        whole = arrays.pop(f"ngram.{name}")
        others = [None, whole[None], whole.astype(np.int64)]
        for other in others if name == "tokens" else [*others, whole[..., :-1]]:
            changed = arrays | {f"ngram.{name}": other}
            line = refused(load_bytes, forged(file, description(file), **changed))
            assert "trigrams" in line

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("one", -0.5), ("one", 1.5), ("one", np.nan), ("two.p", -0.5), ("two.p", np.nan),
            ("three.p", 1.5), ("two.words", 60_000), ("two.lengths", 500), ("two.contexts", 7),
        ],
    )  # fmt: skip
    def test_bad_numbers(
        self, load_bytes: Load, file: ModelFile, arrays: dict[str, Any], name: str, value: float
    ) -> None:
        """Numbers that no trigrams have stop suggestions with an error, and nothing else."""
        changed = arrays[f"ngram.{name}"].copy()
        changed[...] = value
        arrays[f"ngram.{name}"] = changed
        self.stops(load_bytes(forged(file, description(file), **arrays)))

    @pytest.mark.parametrize(
        "tokens", ["\x1b[31m", "b a", "a a", "x" * 101, "a \x9b", "a\nb", "two\u2028"], ids=ascii
    )
    def test_bad_tokens(self, load_bytes: Load, file: ModelFile, tokens: str) -> None:
        """Tokens out of order, and what is no word, such as an escape sequence, are refused."""
        count = len(tokens.split(" "))
        arrays = Trigrams.build("").tensors() | {
            "tokens": np.frombuffer(tokens.encode(), np.uint8),
            "counts": np.full(count, 9, np.uint32),
            "one": np.full(count, 1 / count, np.float32),
        }
        named = {f"ngram.{name}": array for name, array in arrays.items()}
        self.stops(load_bytes(forged(file, description(file), **named)))

    @staticmethod
    def stops(loaded: ModelFile) -> None:
        model = Model(loaded)
        assert "".join(model.generate("The", 5))
        with pytest.raises(ModelFileError, match="trigrams"):
            model.complete("The f")


class TestTraining:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("texts", 5), ("texts", [5]), ("texts", None), ("seconds_spent", math.inf),
            ("seconds_spent", "1"), ("step", 1.5), ("step", 10**30), ("val_nats", math.nan),
            ("lr", [0.1]), ("version", 1), ("from", {}), ("more", math.inf), ("opening", 5),
            ("opening", "a" * 1_000_000), ("epoch", True), ("batch", None), ("targets", 5),
            ("targets", ["a", "a"]), ("targets", [""]), ("targets", ["a\x02"]),
            ("targets", ["\ud800"]), ("targets", ["a" * 2_000_000]), ("source_field", 5),
        ],
        ids=lambda value: f"{value!r:.12}",
    )  # fmt: skip
    def test_bad_field(self, load_bytes: Load, file: ModelFile, name: str, value: Any) -> None:
        """A field of another type, or a number that is not finite, is refused."""
        described = description(file)
        described["training"] |= {name: value}
        refused(load_bytes, forged(file, described))

    def test_overflow(self, load_bytes: Load, file: ModelFile) -> None:
        """A number that is written so that it becomes infinite is refused."""
        described = json.dumps(description(file)).replace('"opening"', '"more": 1e999, "opening"')
        assert "not finite" in refused(load_bytes, forged(file, described))


class TestBounds:
    def test_large_header(self, load_bytes: Load) -> None:
        """A header larger than any model's, or of more tensors, is refused before it is parsed."""
        header = b'{"__metadata__": {"charrnn": "' + b" " * (1 << 26) + b'"}}'
        large = refused(load_bytes, len(header).to_bytes(8, "little") + header)
        assert "not a safetensors file" in large
        many = ({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for _ in range(30_000))
        header = json.dumps({str(i): tensor for i, tensor in enumerate(many)}).encode()
        assert "header" in refused(load_bytes, len(header).to_bytes(8, "little") + header)

    def test_many_values(self, load_bytes: Load, file: ModelFile) -> None:
        """A description of more values than any vocabulary has is refused before it is parsed."""
        described = '{"format": 1, "more": [' + "0," * 5_000_001 + "0]}"
        assert "too many values" in refused(load_bytes, forged(file, described))

    @pytest.mark.parametrize("level", WITH_UNSEEN)
    def test_long_token(self, load_bytes: Load, level: str) -> None:
        """A token longer than any word is refused."""
        whole = random_model(TOKENIZERS[level].train(CORPUS)).file
        described = description(whole)
        described["tokenizer"]["tokens"][0] = "a" * 1001
        refused(load_bytes, forged(whole, described))

    @pytest.mark.parametrize("name", ["word_runs", "items"])
    def test_large_index(self, load_bytes: Load, file: ModelFile, name: str) -> None:
        """An index larger than any that charrnn writes is refused."""
        described = description(file) | {name: {"every": 1}}
        bits = np.zeros((1 << 20) + 1, np.uint8)
        assert name in refused(load_bytes, forged(file, described, **{name: bits}))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe(tmp_path: Path) -> None:
    """A pipe or a device in place of a file is refused at once, although nobody writes into it."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ModelFileError, match="pipe or a device"):
            load(path)


class TestDescription:
    def test_not_ours(self, load_bytes: Load, file: ModelFile) -> None:
        """A safetensors file that another program wrote is told as such."""
        for metadata in (None, {}, {"format": "pt"}):
            line = refused(load_bytes, to_bytes(dict(file.weights), metadata))
            assert "not written by charrnn" in line

    @pytest.mark.parametrize("number", [5, 10**30])
    def test_newer_format(self, load_bytes: Load, file: ModelFile, number: int) -> None:
        """A file of a newer format asks for a newer charrnn, whatever else it holds."""
        for text in ({"format": number}, description(file) | {"format": number, "model": []}):
            line = refused(load_bytes, forged(file, text))
            assert f"format {number}" in line
            assert "update charrnn" in line

    @pytest.mark.parametrize("number", [None, "1", 1.0, True, [1]], ids=repr)
    def test_no_format(self, load_bytes: Load, file: ModelFile, number: Any) -> None:
        """A format that is no whole number is refused."""
        assert "format" in refused(load_bytes, forged(file, description(file) | {"format": number}))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "null",
            "[]",
            "3",
            '"text"',
            "{}",
            "NaN",
            "\x00",
            '{"format": 1' + "0" * 5000 + "}",
        ],
        ids=SHORT,
    )
    def test_not_json(self, load_bytes: Load, file: ModelFile, text: str) -> None:
        """A description that is no JSON object is refused."""
        refused(load_bytes, forged(file, text))

    @pytest.mark.parametrize("opening", ["[", '{"a":', '{"format":1,"model":[['])
    def test_deeply_nested(self, load_bytes: Load, file: ModelFile, opening: str) -> None:
        """JSON nested a hundred thousand deep is refused, not run into."""
        refused(load_bytes, forged(file, opening * 100_000))

    @settings(max_examples=40)
    @given(data=st.data())
    def test_any_json(self, load_bytes: Load, file: ModelFile, data: st.DataObject) -> None:
        """With any JSON in any place of its description a file loads or is refused."""
        text = description(file)
        path = data.draw(
            st.sampled_from(
                [
                    *[[key] for key in text],
                    *[["model", key] for key in text["model"]],
                    *[["tokenizer", key] for key in text["tokenizer"]],
                    ["tokenizer", "tokens", 0],
                    ["training", "opening"],
                    ["more"],
                ]
            )
        )
        inside: Any = text
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = data.draw(anything)
        try:
            loaded = load_bytes(forged(file, text))
        except ModelFileError as error:
            message = str(error)
            assert "\n" not in message
        else:
            assert len("".join(Model(loaded).generate("The", 5, random_seed=0))) >= 5

    @pytest.mark.parametrize("name", ["vocab_size", "layers", "hidden", "embedding"])
    @pytest.mark.parametrize("size", [0, -1, 1001, 2**30, 2**31 - 1, 2**31, 2**63, 10**300])
    def test_huge_sizes(self, load_bytes: Load, file: ModelFile, name: str, size: int) -> None:
        """Sizes that are not those of the tensors are refused before anything is made of them."""
        text = description(file)
        text["model"] |= {name: size}
        refused(load_bytes, forged(file, text))

    @pytest.mark.parametrize(
        "change",
        [{"cell": "gru"}, {"cell": "x"}, {"cell": []}, {"more": 1}, {"tied": 1}, {"tied": True}],
    )
    def test_other_configuration(
        self, load_bytes: Load, file: ModelFile, change: dict[str, Any]
    ) -> None:
        """A configuration that is not that of the tensors is refused."""
        text = description(file)
        text["model"] |= change
        refused(load_bytes, forged(file, text))

    @pytest.mark.parametrize("part", ["model", "tokenizer", "training"])
    def test_missing_part(self, load_bytes: Load, file: ModelFile, part: str) -> None:
        """A description without one of its parts is refused."""
        text = description(file)
        del text[part]
        refused(load_bytes, forged(file, text))

    @pytest.mark.parametrize("level", WITH_UNSEEN)
    def test_duplicate_tokens(self, load_bytes: Load, level: str) -> None:
        """A vocabulary that names a token twice is refused."""
        file = random_model(TOKENIZERS[level].train(CORPUS)).file
        text = description(file)
        tokens = text["tokenizer"]["tokens"]
        text["tokenizer"]["tokens"] = [tokens[1], *tokens[1:]]
        assert "twice" in refused(load_bytes, forged(file, text))

    @pytest.mark.parametrize("level", WITH_UNSEEN)
    @pytest.mark.parametrize("change", [slice(1, None), slice(0, -1)])
    def test_other_vocabulary_size(self, load_bytes: Load, level: str, change: slice) -> None:
        """A vocabulary of another size than the network's is refused."""
        file = random_model(TOKENIZERS[level].train(CORPUS)).file
        text = description(file)
        text["tokenizer"]["tokens"] = text["tokenizer"]["tokens"][change]
        text["tokenizer"]["merges"] = []
        assert "vocabulary size" in refused(load_bytes, forged(file, text))

    @pytest.mark.parametrize("level", [[], {}, ["char"], None, "none"], ids=repr)
    def test_bad_level(self, load_bytes: Load, file: ModelFile, level: Any) -> None:
        """A tokenizer of no known level is refused."""
        text = description(file)
        text["tokenizer"]["level"] = level
        assert "level" in refused(load_bytes, forged(file, text))

    @pytest.mark.parametrize("level", WITH_UNSEEN)
    def test_surrogates(self, load_bytes: Load, level: str) -> None:
        """A token or an opening that is no valid Unicode is refused."""
        file = random_model(TOKENIZERS[level].train(CORPUS)).file
        text = description(file)
        text["tokenizer"]["tokens"][0] = "\ud800"
        refused(load_bytes, forged(file, text))
        refused(load_bytes, forged(file, description(file) | {"training": {"opening": "\ud800"}}))

    @pytest.mark.parametrize("level", WITH_UNSEEN)
    def test_no_tokens(self, load_bytes: Load, level: str) -> None:
        """A vocabulary with nothing to write in it is refused."""
        file = random_model(TOKENIZERS[level]([])).file
        refused(load_bytes, forged(file, description(file)))

    @pytest.mark.parametrize(("kind", "size"), [("BF16", 2), ("F8_E4M3", 1)])
    def test_types_that_numpy_lacks(
        self, whole: bytes, load_bytes: Load, kind: str, size: int
    ) -> None:
        """A tensor of a type that NumPy does not know is refused."""
        stop = 8 + int.from_bytes(whole[:8], "little")
        header, data = json.loads(whole[8:stop]), whole[stop:]
        header["ngram.more"] = {
            "dtype": kind, "shape": [8], "data_offsets": [len(data), len(data) + 8 * size]
        }  # fmt: skip
        new = json.dumps(header).encode()
        refused(load_bytes, len(new).to_bytes(8, "little") + new + data + bytes(8 * size))

    def test_missing_file(self, tmp_path: Path) -> None:
        """A missing file is told as missing."""
        with pytest.raises(ModelFileError, match="does not exist"):
            load(tmp_path / "none.safetensors")

    def test_not_a_file(self, tmp_path: Path) -> None:
        """A folder, or a path through a file, is told in one line."""
        (tmp_path / "file").write_text("")
        for path in (tmp_path, tmp_path / "file" / "child", tmp_path / ("x" * 300)):
            with pytest.raises(ModelFileError) as caught:
                load(path)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "name", ["none", "none/model.safetensors", "x" * 300, "two\nlines", "~"]
    )
    def test_missing(self, name: str) -> None:
        """A model that does not exist is an error in one line, whatever its name."""
        with pytest.raises(ModelFileError) as caught:
            charrnn.load(name)
        assert "\n" not in str(caught.value)
