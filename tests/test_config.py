"""Values that make no sense are refused where they are given."""

import math
from typing import Any

import pytest

from charrnn.config import ModelConfig, SamplingConfig, StopConfig, TrainingConfig
from charrnn.errors import UsageError
from charrnn.network.cells import CELLS, parameter_count, tensor_shapes

NAN, INF = math.nan, math.inf
HUGE = 10**400


class TestModelConfig:
    @pytest.mark.parametrize("cell", CELLS)
    def test_shapes(self, cell: str) -> None:
        """Every tensor has the shape that the sizes and the cell's gates give."""
        g = CELLS[cell].gates * 5
        assert tensor_shapes(ModelConfig(11, cell, layers=2, hidden=5, embedding=3)) == {
            "embedding": (11, 3),
            "layers.0.input": (g, 3),
            "layers.0.recurrent": (g, 5),
            "layers.0.input_bias": (g,),
            "layers.0.recurrent_bias": (g,),
            "layers.1.input": (g, 5),
            "layers.1.recurrent": (g, 5),
            "layers.1.input_bias": (g,),
            "layers.1.recurrent_bias": (g,),
            "output": (11, 5),
            "output_bias": (11,),
        }

    def test_tied(self) -> None:
        """Tied to the tokens' vectors, the output layer has no matrix of its own; sizes agree."""
        assert "output" not in tensor_shapes(ModelConfig(11, hidden=5, embedding=5, tied=True))
        with pytest.raises(UsageError, match="as large as hidden"):
            ModelConfig(11, hidden=5, embedding=3, tied=True)

    def test_parameters(self) -> None:
        """The parameters are counted over all tensors."""
        lstm = 20 * 3 + 20 * 5 + 2 * 20
        assert parameter_count(ModelConfig(11, "lstm", 1, 5, 3)) == 11 * 3 + lstm + 11 * 5 + 11

    @pytest.mark.parametrize("name", ["vocab_size", "layers", "hidden", "embedding"])
    @pytest.mark.parametrize(
        "size", [0, -1, 1.5, 2.0, True, "3", None, NAN, 2**63, 10**400], ids=str
    )
    def test_impossible_size(self, name: str, size: Any) -> None:
        """A size that is no whole number from 1 to its bound is refused by name."""
        with pytest.raises(UsageError, match=name):
            ModelConfig(**({"vocab_size": 5} | {name: size}))

    @pytest.mark.parametrize("cell", ["", "LSTM", "transformer"])
    def test_unknown_cell(self, cell: str) -> None:
        """A cell that is none of CELLS is refused, and those are named."""
        with pytest.raises(UsageError) as caught:
            ModelConfig(5, cell)
        assert all(name in str(caught.value) for name in CELLS)
        assert caught.value.exit_code == 2


class TestTrainingConfig:
    @pytest.mark.parametrize("limit", [{"seconds": 0.5}, {"epochs": 0.1}, {"steps": 1}])
    def test_one_limit_is_enough(self, limit: dict[str, Any]) -> None:
        """Any of time, epochs and steps is enough of a limit."""
        assert TrainingConfig(**limit)

    def test_no_limit(self) -> None:
        """A training without an end is refused, and the limits that end it are named."""
        with pytest.raises(UsageError, match="give seconds, epochs or steps"):
            TrainingConfig()

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("bptt", [0, -1, 2**63, HUGE]),
            ("batch", [0, -1, 2**63, HUGE]),
            ("lr", [0, -1, NAN, INF, 1e308]),
            ("clip", [-1, NAN, INF, 1e308]),
            ("init", ["", "zero"]),
            ("init_scale", [-1, NAN, INF]),
            ("optimizer", ["", "lion"]),
            ("dropout", [-0.1, 1, 2, NAN]),
            ("weight_decay", [-0.1, 100, NAN, 1e308]),
            ("val", [-0.1, 1, 2, NAN]),
            ("seconds", [0, -1, NAN, INF, 1e308]),
            ("epochs", [0, -1, NAN, INF, 1e308]),
            ("steps", [0, -1, 2**63, HUGE]),
            ("patience", [0, -1, 2**63, HUGE]),
            ("seed", [-1, 2**63]),
        ],
    )
    def test_out_of_range(self, name: str, values: list[Any]) -> None:
        """A value out of its range is refused by the name of its field."""
        for value in values:
            with pytest.raises(UsageError, match=rf"\b{name}\b") as caught:
                TrainingConfig(**({"steps": 1} | {name: value}))
            assert name in caught.value.fields

    @pytest.mark.parametrize(
        "values", [{"val": 0}, {"dropout": 0}, {"seed": 0}, {"seed": 2**63 - 1}, {"bptt": 1}]
    )
    def test_border(self, values: dict[str, Any]) -> None:
        """The last value inside a range is allowed."""
        assert TrainingConfig(**({"steps": 1} | values))


class TestSamplingConfig:
    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("temperature", [-0.1, NAN, INF]),
            ("top_k", [0, -1]),
            ("top_p", [0, -0.1, 1.1, NAN]),
            ("min_p", [-0.1, 1.1, NAN]),
            ("typical_p", [0, -0.1, 1.1, NAN]),
            ("mirostat", [0, -1, NAN, INF]),
            ("mirostat_rate", [0, -0.1, 1.1, NAN]),
            ("repetition_penalty", [0, -1, NAN, INF]),
            ("frequency_penalty", [NAN, INF, -INF]),
            ("penalty_window", [0, -1]),
            ("no_repeat_ngram", [0, -1]),
            ("bias", [{"": 1.0}, {"": -INF}, {"fox": NAN}, {"fox": INF}, {"a": 1.0, "": 1.0}]),
        ],
    )
    def test_out_of_range(self, name: str, values: list[Any]) -> None:
        """A value out of its range is refused by the name of its field."""
        for value in values:
            with pytest.raises(UsageError, match=rf"^{name} (must|needs)") as caught:
                SamplingConfig(**{name: value})
            assert [*caught.value.fields] == [name]

    @pytest.mark.parametrize(
        "values",
        [
            {"temperature": 0},
            {"top_k": 1},
            {"top_p": 1},
            {"min_p": 0},
            {"min_p": 1},
            {"typical_p": 1},
            {"mirostat": 0.01},
            {"mirostat_rate": 1},
            {"repetition_penalty": 0.5},
            {"frequency_penalty": -2},
            {"frequency_penalty": 0},
            {"penalty_window": 1},
            {"no_repeat_ngram": 1},
            {"bias": {}},
            {"bias": {"fox": 0, " ": -INF}},
        ],
        ids=str,
    )
    def test_border(self, values: dict[str, Any]) -> None:
        """The last value inside a range is allowed."""
        assert SamplingConfig(**values)


class TestStopConfig:
    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("chars", [-1]),
            ("tokens", [-1]),
            ("words", [0, -1]),
            ("lines", [0, -1]),
            ("sentences", [0, -1]),
            ("stop", [[""], ["a", ""]]),
            ("seconds", [0, -1, NAN, INF]),
        ],
    )
    def test_out_of_range(self, name: str, values: list[Any]) -> None:
        """A value out of its range is refused by the name of its field."""
        for value in values:
            with pytest.raises(UsageError, match=rf"^{name} (must|needs|texts must)") as caught:
                StopConfig(**{name: value})
            assert [*caught.value.fields] == [name]

    @pytest.mark.parametrize(
        "values",
        [{}, {"chars": 0}, {"tokens": 0}, {"words": 1}, {"stop": ["a"]}, {"seconds": 1e-9}],
        ids=str,
    )
    def test_border(self, values: dict[str, Any]) -> None:
        """The last value inside a range is allowed, and so is no rule at all."""
        assert StopConfig(**values)
