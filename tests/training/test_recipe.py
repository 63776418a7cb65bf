"""Options that the user omits are chosen from the text and the time budget."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from charrnn.config import ModelConfig, TrainingConfig
from charrnn.text.source import Source
from charrnn.training import recipe
from charrnn.training.recipe import choose, choose_level, command, speed

SHORT, LONG = 40_000, 1_000_000  # tokens


def chosen(tokens: int = LONG, level: str = "char", **options: Any) -> dict[str, Any]:
    """Return the choices for a vocabulary of 70 tokens."""
    return choose(level, tokens, 70, options)


@pytest.mark.parametrize(
    ("seconds", "tokens", "hidden"),
    [
        (10, LONG, 128),
        (60, LONG, 256),
        (300, LONG, 384),
        (1200, LONG, 512),
        (86_400, LONG, 512),
        (60, 150_000, 256),
        (300, 150_000, 256),
        (300, SHORT, 128),
    ],
)
def test_network(seconds: int, tokens: int, hidden: int) -> None:
    """The network grows with text and time, in a single layer."""
    values = chosen(tokens, seconds=seconds)
    assert (values["layers"], values["hidden"]) == (1, hidden)


def test_regularisation() -> None:
    """Dropout and weight decay grow with the number of epochs."""
    choices = [chosen(epochs=epochs) for epochs in (1, 3, 10, 30, 100)]
    for name in ("dropout", "weight_decay"):
        values = [choice[name] for choice in choices]
        assert values == sorted(values)
        assert values[0] < values[-1]


class TestLevel:
    """The level depends on how many words at the end of the text are new."""

    def test_words_that_recur(self) -> None:
        """Whole words are learned best."""
        assert choose_level("the quick fox jumps over lazy dogs\n" * 200)[0] == "word"

    def test_names(self) -> None:
        """Nearly every name is a new word."""
        level, why = choose_level(
            "".join(f"{a}{b}{c}\n" for a, b, c in itertools.product("abcdefghijkl", repeat=3))
        )
        assert level == "char"
        assert "100.0% of the words" in why

    def test_games(self) -> None:
        """Moves of chess recur, but are no words."""
        level, why = choose_level("1. e4 e5 2. Nf3 Nc6 and so on\n" * 1000)
        assert level == "char"
        assert why.startswith("only 23% of the text is words")

    @pytest.mark.parametrize("text", ["", "too short to tell\n" * 20, "春眠不覚暁\n" * 1000])
    def test_too_few_words(self, text: str) -> None:
        """Single characters of scripts without spaces are no words here."""
        assert choose_level(text)[0] == "char"


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
    """Words and subwords get more dropout with more epochs, with variational masks."""
    choices = [choose(level, LONG, vocab_size, {"epochs": n}) for n in (1, 5, 10, 18, 100)]
    assert [values["input_dropout"] for values in choices] == inputs
    assert [values["weight_drop"] for values in choices] == weights
    words = vocab_size >= 2048 or level == "word"
    assert [values["variational"] for values in choices] == [words or share > 0 for share in inputs]


def test_ten_minutes() -> None:
    """A text of a million characters does not get the dropout that a short one needs."""
    assert chosen(seconds=300)["dropout"] == 0
    assert chosen(seconds=600)["dropout"] == 0.1
    short = choose("char", 143_137, 70, {"seconds": 60}, speed=1.2)
    assert short["dropout"] >= 0.3


def test_speed() -> None:
    """A fast machine gets the choices of a longer time; limits in steps and epochs ignore speed."""
    fast = choose("char", LONG, 70, {"seconds": 600}, speed=2.0)
    assert fast | {"seconds": 1200} == chosen(seconds=1200)
    for limit in ({"steps": 10_000}, {"epochs": 10}):
        assert choose("char", LONG, 70, limit, speed=9.0) == choose("char", LONG, 70, limit)
    assert speed() > 0


def test_batch() -> None:
    """Enough text doubles the batch size, given enough time: less than an epoch for words."""
    assert chosen(10 * LONG, seconds=60)["batch"] == 32
    assert chosen(10 * LONG)["batch"] == 32
    assert chosen(10 * LONG, seconds=20)["batch"] == 16
    assert chosen(150_000, seconds=300)["batch"] == 16
    assert chosen(10 * LONG, steps=100)["batch"] == 16
    assert chosen(10 * LONG, seconds=300, batch=8)["batch"] == 8
    assert chosen(10 * LONG, seconds=300, anchor=0.0)["batch"] == 32
    assert chosen(LONG, seconds=300, anchor=0.0)["batch"] == 16
    assert chosen(10 * LONG, "word", seconds=300)["batch"] == 32
    assert chosen(10 * LONG, "word", seconds=60)["batch"] == 16


def test_larger_batches_learn_faster() -> None:
    """The learning rate grows with a batch that the user asks for, up to 8 times as large."""
    rates = [chosen(LONG, batch=batch)["lr"] for batch in (8, 16, 32, 128, 1024)]
    assert rates == [0.03, 0.03, pytest.approx(0.0476), pytest.approx(0.12), pytest.approx(0.12)]
    assert chosen(LONG, batch=128, optimizer="adam")["lr"] == 0.008
    assert chosen(LONG, batch=128, lr=0.01)["lr"] == 0.01


def test_limits() -> None:
    """The default limits are five minutes and 60 epochs; a limit of the user's replaces both."""
    assert chosen().items() >= {"seconds": 300, "epochs": 60}.items()
    assert not chosen(steps=10).keys() & {"seconds", "epochs"}


@pytest.mark.parametrize(
    "options",
    [{"layers": 1}, {"hidden": 64}, {"dropout": 0.0}, {"batch": 3}, {"bptt": 5}, {"lr": 1.0}],
    ids=str,
)
def test_options(options: dict[str, Any]) -> None:
    """Options that the user sets are kept."""
    assert chosen(SHORT, seconds=300, **options).items() >= options.items()


@pytest.mark.parametrize("tokens", [64, 100, 1000, 5000])
def test_tiny(tokens: int) -> None:
    """A batch of a tiny text is no longer than the text."""
    values = chosen(tokens, seconds=300)
    assert 1 <= values["batch"] * values["bptt"] <= tokens


def test_tied() -> None:
    """Large vocabularies and words of many epochs get tied weights, unless a size is given."""
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
    """Disturbed products and small differences do not change the measured speed."""
    found = set()
    for share in (0.95, 1.0, 1.1):
        seconds = 2 * 512**3 / (recipe.MULTIPLIED * share)
        times = [0.0]
        for product in range(recipe.PRODUCTS):
            times += [times[-1] + seconds * (10 if product < disturbed else 1)] * 2
        clock = SimpleNamespace(perf_counter=iter(times).__next__)
        monkeypatch.setattr(recipe, "time", clock)
        monkeypatch.setattr("torch.get_num_threads", lambda: recipe.CORES)
        monkeypatch.setattr("torch.set_num_threads", lambda _: None)
        found.add(speed())
    assert found == {1.0}


def test_command_makes_the_same_choices() -> None:
    """The command line in the log names every choice, so that no speed changes it."""
    model = ModelConfig(70, "gru", 2, 96, 96, tied=True)
    training = TrainingConfig(seconds=60.0, variational=True, dropout=0.3, seed=7)
    source = Source(["my book.txt"], field="text", kind="lines", normalise=True)
    words = command(source, "word", None, "none", model, training)
    assert words.startswith("charrnn train 'my book.txt' --field text --lines --from none ")
    source = Source(["a"], errors="strict", field="2", delimiter="\t", header=False)
    table = "--field 2 --delimiter '\t' --errors strict --no-header --no-normalise --from none "
    said = command(source, "char", None, "none", model, training)
    assert said.startswith(f"charrnn train a {table}")
    for option in ("--cell gru", "--embed 96", "--tied", "--variational", "--time 60.0",
                   "--level word", "--random-seed 7", "--dropout 0.3"):  # fmt: skip
        assert f"{option} " in words + " "
    tuned = command(source, "word", None, "runs/old", model, training)
    assert "--from runs/old" in tuned
    assert "--cell" not in tuned


def test_records() -> None:
    """Nearly all records fit a window whole; batches have as many tokens as of other texts."""
    lengths = torch.cat([torch.full((9900,), 20), torch.full((100,), 5000)])
    chosen = recipe.records(lengths, 60.0, 1.0)
    assert chosen == {"hidden": 256, "bptt": 20, "batch": 51, "lr": 0.03}
    assert recipe.records(lengths, 6000.0, 4.0)["hidden"] == 256
    few = recipe.records(lengths[:50], 5.0, 1.0, "adam")
    assert few == {"hidden": 128, "bptt": 20, "batch": 6, "lr": 0.008}
    assert recipe.records(torch.full((9,), 3000), None, 1.0)["bptt"] == 256
