"""What values of options mean."""

import dataclasses

import pytest

from charrnn.cli.options import OPTIONS, named, seconds
from charrnn.config import ModelConfig, SamplingConfig, StopConfig, TrainingConfig
from charrnn.errors import UsageError
from tests.cli.conftest import Call


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90), ("90s", 90), ("0.5s", 0.5), ("90 seconds", 90), ("5m", 300), ("5min", 300),
        ("1.5h", 5400), ("1h30m", 5400), ("1 h 30 min", 5400), ("1H30M", 5400), ("1h 5s", 3605),
        ("2 hours", 7200), ("1d", 86400), ("1d12h", 129600), ("1:30", 90),
        ("90:00", 5400), ("0:05.5", 5.5), ("1:30:00", 5400), ("10:00:01", 36001),
    ],
)  # fmt: skip
def test_seconds(text: str, expected: float) -> None:
    """A time may be written in units, as a clock shows it, or as seconds."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "m", "5x", "5ms", "30m1h", "1h1h", "-5m", "1:", ":30", "1:60", "1:99:00",
     "1:2:3:4", "1:30m", "1h30", "nan", "inf", "1e3", "1,5h", "٣m"],
)  # fmt: skip
def test_no_time(text: str) -> None:
    """Anything else is refused, with examples."""
    with pytest.raises(UsageError, match="1h30m"):
        seconds(text)


@pytest.mark.parametrize(
    ("message", "fields", "told"),
    [
        ("top_k must be 1 or more", ["top_k"], "--top-k must be 1 or more"),
        ("top_k must be 1 or more", [], "top_k must be 1 or more"),
        ("seconds must be at most 9 seconds", ["seconds"], "--time must be at most 9 seconds"),
        ("give epochs or steps", ["epochs", "steps"], "give --epochs or --steps"),
        ("chars must be 0 or more", ["chars"], "--length must be 0 or more"),
    ],
)
def test_named(message: str, fields: list[str], told: str) -> None:
    """The command line names options where Python names fields."""
    assert named(UsageError(message, fields=fields)) == told


@pytest.mark.parametrize("config", [ModelConfig, TrainingConfig, SamplingConfig, StopConfig])
def test_every_setting_is_an_option(call: Call, config: type) -> None:
    """A field with help is an option of its command, which refuses what is out of its range."""
    command = {ModelConfig: "train", TrainingConfig: "train"}.get(config, "generate")
    shown = call(command, "-h").out
    for field in dataclasses.fields(config):
        if not field.metadata.get("help"):
            continue
        option = OPTIONS.get(field.name, "--" + field.name.replace("_", "-"))
        assert f"{option} " in shown
        if allowed := field.metadata["range"]:
            beyond = allowed.low - 1
            text = ("x.txt",) if command == "train" else ()
            result = call(command, *text, option, int(beyond))
            assert result.code == 2
            assert option in result.error
