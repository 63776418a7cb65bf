"""What is chosen where the user has not."""

from types import SimpleNamespace
from typing import Any

import pytest

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.text.source import Source
from charrnn.training import recipe
from charrnn.training.recipe import choose, command, speed

SHORT, LONG = 40_000, 1_000_000  # tokens


def chosen(tokens: int = LONG, level: str = "char", **options: Any) -> dict[str, Any]:
    return choose(level, tokens, 70, options)


@pytest.mark.parametrize(
    ("seconds", "tokens", "layers", "hidden"),
    [
        (10, LONG, 1, 128),
        (60, LONG, 1, 256),
        (300, LONG, 1, 384),
        (1200, LONG, 1, 512),
        (86_400, LONG, 2, 512),
        (60, 150_000, 1, 256),
        (300, 150_000, 2, 256),
        (300, SHORT, 2, 128),
    ],
)
def test_network(seconds: int, tokens: int, layers: int, hidden: int) -> None:
    """The network grows with text and time; a text that is read often gets a second layer."""
    values = chosen(tokens, seconds=seconds)
    assert (values["layers"], values["hidden"]) == (layers, hidden)


def test_regularisation() -> None:
    """The more passes over the text, the more dropout and decay."""
    passes = [chosen(epochs=epochs) for epochs in (1, 3, 10, 30, 100)]
    for name in ("dropout", "weight_decay"):
        values = [choice[name] for choice in passes]
        assert values == sorted(values)
        assert values[0] == 0 < values[-1]


@pytest.mark.parametrize(
    ("level", "vocab_size", "inputs", "weights"),
    [
        ("char", 100, [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
        ("bpe", 500, [0, 0, 0.2, 0.3, 0.3], [0, 0, 0, 0, 0]),
        ("bpe", 5000, [0, 0, 0.5, 0.5, 0.5], [0, 0, 0, 0, 0.3]),
        ("word", 500, [0, 0, 0.5, 0.5, 0.5], [0, 0, 0, 0, 0.3]),
        ("word", 5000, [0, 0, 0.5, 0.5, 0.5], [0, 0, 0, 0, 0.3]),
    ],
)
def test_longer_tokens(
    level: str, vocab_size: int, inputs: list[float], weights: list[float]
) -> None:
    """Words and their parts that are read often get more dropout, of which masks hold on."""
    passes = [choose(level, LONG, vocab_size, {"epochs": n}) for n in (1, 5, 10, 18, 100)]
    assert [values["input_dropout"] for values in passes] == inputs
    assert [values["weight_drop"] for values in passes] == weights
    words = vocab_size >= 2048 or level == "word"
    assert [values["layers"] for values in passes] == [1, 1, 1, 1, 1 if words else 2]
    assert [values["variational"] for values in passes] == [words or share > 0 for share in inputs]


def test_ten_minutes() -> None:
    """A text of a million characters is not held back by the dropout that a short one needs."""
    assert chosen(seconds=600)["dropout"] == chosen(seconds=300)["dropout"] == 0.1
    short = choose("char", 143_137, 70, {"seconds": 60}, speed=1.2)
    assert short["dropout"] >= 0.3


def test_speed() -> None:
    """A fast machine trains what a slow one would in a longer time; steps are the same on all."""
    fast = choose("char", LONG, 70, {"seconds": 600}, speed=2.0)
    assert fast | {"seconds": 1200} == chosen(seconds=1200)
    for limit in ({"steps": 10_000}, {"epochs": 10}):
        assert choose("char", LONG, 70, limit, speed=9.0) == choose("char", LONG, 70, limit)
    assert speed() > 0


def test_batch() -> None:
    """A text that is read less than once is read at more places, if there is time."""
    assert chosen(10 * LONG, seconds=300)["batch"] == 32
    assert chosen(10 * LONG)["batch"] == 32
    assert chosen(10 * LONG, seconds=60)["batch"] == 16
    assert chosen(LONG, seconds=300)["batch"] == 16
    assert chosen(10 * LONG, steps=100)["batch"] == 16
    assert chosen(10 * LONG, seconds=300, batch=8)["batch"] == 8


def test_limits() -> None:
    """Without a limit it is five minutes or 60 passes; a limit of the user's stands alone."""
    assert chosen().items() >= {"seconds": 300, "epochs": 60}.items()
    assert not chosen(steps=10).keys() & {"seconds", "epochs"}


@pytest.mark.parametrize(
    "options",
    [{"layers": 1}, {"hidden": 64}, {"dropout": 0.0}, {"batch": 3}, {"bptt": 5}, {"lr": 1.0}],
    ids=str,
)
def test_options(options: dict[str, Any]) -> None:
    """What the user sets stays."""
    assert chosen(SHORT, seconds=300, **options).items() >= options.items()


@pytest.mark.parametrize("tokens", [64, 100, 1000, 5000])
def test_tiny(tokens: int) -> None:
    """The places and windows of a tiny text fit into it."""
    values = chosen(tokens, seconds=300)
    assert 1 <= values["batch"] * values["bptt"] <= tokens


def test_tied() -> None:
    """Vectors are shared of a large vocabulary and of words read often, unless a size is given."""
    large = choose("word", LONG, 5000, {"seconds": 60})
    assert large["tied"]
    assert large["embedding"] == large["hidden"]
    assert not choose("word", LONG, 5000, {"seconds": 60, "embedding": 256})["tied"]
    assert not chosen(level="word", epochs=10)["tied"]
    assert chosen(level="word", epochs=30)["tied"]
    assert not chosen(level="word", epochs=30, embedding=128)["tied"]
    assert not chosen(level="bpe", epochs=30)["tied"]


@pytest.mark.parametrize("disturbed", [0, 1, 8])
def test_speed_beside_another_program(disturbed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What disturbs some products, and small differences, leave the measured speed as it is."""
    found = set()
    for share in (0.95, 1.0, 1.1):
        seconds = 2 * 512**3 / (recipe.MULTIPLIED * share)
        times = [0.0]
        for product in range(recipe.PRODUCTS):
            times += [times[-1] + seconds * (10 if product < disturbed else 1)] * 2
        clock = SimpleNamespace(perf_counter=iter(times).__next__)
        monkeypatch.setattr(recipe, "time", clock)
        monkeypatch.setattr("torch.get_num_threads", lambda: recipe.CORES)
        monkeypatch.setattr("torch.set_num_threads", lambda count: None)
        found.add(speed())
    assert found == {1.0}


def test_command_makes_the_same_choices() -> None:
    """The command line in a log gives every choice by name, so that no speed changes it."""
    model = ModelConfig(70, "gru", 2, 96, 96, tied=True)
    training = TrainingConfig(seconds=60.0, variational=True, dropout=0.3, seed=7)
    source = Source(["my book.txt"], field="text", kind="lines", normalise=True)
    words = command(source, "word", None, None, model, training)
    assert words.startswith("charrnn train 'my book.txt' --field text --lines ")
    source = Source(["a"], errors="strict", field="2", delimiter="\t", header=False)
    table = "--field 2 --delimiter '\t' --errors strict --no-header --no-normalise --level char "
    said = command(source, "char", None, None, model, training)
    assert said.startswith(f"charrnn train a {table}")
    for option in ("--cell gru", "--embed 96", "--tied", "--variational", "--time 60.0",
                   "--level word", "--random-seed 7", "--dropout 0.3"):  # fmt: skip
        assert f"{option} " in words + " "
    tuned = command(source, "word", None, "runs/old", model, training)
    assert "--from runs/old" in tuned
    assert "--cell" not in tuned
