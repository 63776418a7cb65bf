"""Variations as the user writes them, and hidden sizes for equal numbers of parameters."""

import pytest

from charrnn.config import CellName, ModelConfig
from charrnn.errors import UsageError
from charrnn.network.cells import CELLS, parameter_count
from charrnn.training.variations import parse, parse_all, solved


def test_a_variation() -> None:
    """A cell and options of train, with the names and types that they have there."""
    one = parse("  lstm layers=2 init-scale=0.5   clip=0 embed=32 tied=no random-seed=3 ")
    assert one.name == "lstm layers=2 init-scale=0.5 clip=0 embed=32 tied=no random-seed=3"
    assert one.options == {
        "cell": "lstm", "layers": 2, "init_scale": 0.5, "clip": 0.0, "embedding": 32,
        "tied": False, "seed": 3,
    }  # fmt: skip
    assert parse("gru seed=3 dropout=.5").slug == "gru-seed-3-dropout-.5"


def test_all() -> None:
    """Cells and variations are compared in the order in which they are given."""
    found = parse_all("lstm, gru", ["rnn init=identity; rnn;", "hidden=64"])
    assert [one.name for one in found] == ["lstm", "gru", "rnn init=identity", "rnn", "hidden=64"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("lstn", "no cell 'lstn'; give a cell .lstm, gru, rnn, rnn-relu. or name=value"),
        ("lstm hiden=3", "no option 'hiden'; .*, hidden, init, init-scale, "),
        ("lstm val=0.5", "no option 'val'"),
        ("lstm steps=5", "no option 'steps'"),
        ("lstm hidden=many", "hidden cannot be 'many'; give a whole number"),
        ("lstm clip=high", "clip cannot be 'high'; give a number"),
        ("lstm tied=maybe", "tied cannot be 'maybe'; use yes, true, no, false"),
        ("lstm init=zero", "no init 'zero'; use one of auto, orthogonal"),
        ("lstm gru", "given twice"),
        ("lstm hidden=0", "hidden must be"),
        ("lstm clip=nan", "clip must be"),
        ("lstm lr=", "lr cannot be ''"),
    ],
)
def test_errors(spec: str, said: str) -> None:
    """A mistake names the variation and what is allowed."""
    with pytest.raises(UsageError, match=f"in the variation '{spec}': .*{said}"):
        parse(spec)


def test_nothing_and_twice() -> None:
    """There must be a variation, and no two alike."""
    with pytest.raises(UsageError, match="nothing to compare"):
        parse_all("", [" ; "])
    with pytest.raises(UsageError, match="are the same"):
        parse_all("lstm", ["lstm"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("hidden", [24, 128, 300])
def test_equal_parameters(cell: CellName, layers: int, hidden: int) -> None:
    """The solved hidden size gives as many parameters, within a few per cent."""
    wanted = parameter_count(ModelConfig(60, "lstm", 1, hidden, 64))
    shape = solved(60, {"cell": cell, "layers": layers, "embedding": 64}, wanted, cell, True)
    count = parameter_count(ModelConfig(60, **shape))
    assert count == pytest.approx(wanted, rel=0.04)
    assert (shape["cell"], shape["layers"], shape["embedding"]) == (cell, layers, 64)


def test_equal_parameters_with_tied_weights() -> None:
    """Tied embeddings follow the hidden size; what has too many at any size is refused."""
    wanted = parameter_count(ModelConfig(3000, "lstm", 1, 128, 128, tied=True))
    shape = solved(3000, {"cell": "gru", "tied": True, "embedding": 128}, wanted, "gru", True)
    assert shape["embedding"] == shape["hidden"] > 128
    with pytest.raises(UsageError, match="more than 1,000 parameters at any hidden size"):
        solved(60, {"embedding": 512}, 1000, "lstm", False)
