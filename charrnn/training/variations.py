"""Variations of a training to compare: a cell and options, as `compare` is given them."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from charrnn.config import CellName, ModelConfig, TrainingConfig
from charrnn.errors import UsageError
from charrnn.network.cells import parameter_count

# Names of options that differ from the names of their fields.
NAMES = {"embed": "embedding", "random_seed": "seed"}
# Fields that no variation sets: what is held out, when training ends, what is not for plain text.
SHARED = {"val", "seconds", "epochs", "steps", "anchor", "source_weight"}
FIELDS = {
    field.name: (hints[field.name], field.metadata["values"])
    for config in (ModelConfig, TrainingConfig)
    for hints in [get_type_hints(config)]
    for field in dataclasses.fields(config)
    if field.metadata["help"] and field.name not in SHARED
}
SWITCHES = {"yes": True, "true": True, "no": False, "false": False}
WORD_SIZE = 8  # preferred divisor of solved hidden sizes: multiples of it are fast (not tuned)
TOLERANCE = 0.03  # maximum relative difference of parameter counts that it may cost (not tuned)


@dataclass(frozen=True)
class Variation:
    """One of the trainings to compare.

    Attributes:
        name: how the user wrote it, with single spaces.
        options: fields of ModelConfig and TrainingConfig that it sets.
    """

    name: str
    options: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """The name as part of a file's name."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-.")


def parse(spec: str) -> Variation:
    """Parse a variation such as "lstm layers=2 clip=0".

    Args:
        spec: words, each a cell's name or the name of an option of `train` and its value.

    Raises:
        UsageError: a word is neither; the message lists what is allowed.
    """
    words, options = spec.split(), dict[str, Any]()
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            if word not in get_args(CellName):
                raise _refusal(spec, f"no cell {word!r}", _allowed())
            name, value = "cell", word
        field = NAMES.get(key := name.replace("-", "_"), key)
        if field not in FIELDS:
            raise _refusal(spec, f"no option {name!r}", _allowed())
        if field in options:
            raise _refusal(spec, f"{name} is given twice", "give it once")
        options[field] = _value(spec, field, name, value)
    return _checked(spec, Variation(" ".join(words), options))


def parse_all(cells: str, vary: Sequence[str]) -> list[Variation]:
    """Parse all variations.

    Args:
        cells: names of cells, separated by commas.
        vary: variations, separated by semicolons.

    Raises:
        UsageError: one is invalid, two are the same, or there is none.
    """
    specs = [spec for group in [cells.replace(",", ";"), *vary] for spec in group.split(";")]
    found = [parse(spec) for spec in specs if spec.strip()]
    if not found:
        raise UsageError("nothing to compare", 'for example --vary "lstm; lstm clip=0"')
    seen: dict[str, Variation] = {}
    for one in found:
        if other := seen.get(one.slug):
            raise UsageError(f"{other.name!r} and {one.name!r} are the same", "leave one out")
        seen[one.slug] = one
    return found


def solved(
    vocab_size: int, shape: Mapping[str, Any], parameters: int, name: str, free: bool
) -> dict[str, Any]:
    """Return the shape of a network with about so many parameters, by solving for hidden.

    Args:
        vocab_size: V.
        shape: its fields of ModelConfig; hidden is ignored, a missing one has its default.
        parameters: number of parameters to reach.
        name: the variation, for the message.
        free: whether the embedding may follow hidden, as tied weights demand.

    Raises:
        UsageError: even the smallest network has many more.
    """

    def network(hidden: int) -> ModelConfig:
        size = {"embedding": hidden} if free and shape.get("tied") else {}
        return ModelConfig(vocab_size, **{**shape, "hidden": hidden, **size})

    def off(hidden: int) -> float:
        return parameter_count(network(hidden)) / parameters - 1

    low, high = 1, 2
    while off(high) < 0:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if off(middle) < 0 else (low, middle)
    best = min((low, high), key=lambda hidden: abs(off(hidden)))
    even = max(WORD_SIZE, round(best / WORD_SIZE) * WORD_SIZE)
    chosen = even if abs(off(even)) <= TOLERANCE else best
    if off(chosen) > 1:
        raise UsageError(
            f"{name!r} has more than {parameters:,} parameters at any hidden size",
            "give a larger --hidden",
        )
    solution = dataclasses.asdict(network(chosen))
    del solution["vocab_size"]
    return solution


def _value(spec: str, field: str, name: str, value: str) -> Any:
    """Return the value of a field as its type; raise UsageError if it has none."""
    kind, values = FIELDS[field]
    if values:
        allowed = get_args(values)
        if value not in allowed:
            raise _refusal(spec, f"no {name} {value!r}", f"use one of {', '.join(allowed)}")
        return value
    if bool in (kind, *get_args(kind)):
        if value not in SWITCHES:
            raise _refusal(spec, f"{name} cannot be {value!r}", f"use {', '.join(SWITCHES)}")
        return SWITCHES[value]
    whole = int in (kind, *get_args(kind))
    try:
        return int(value) if whole else float(value)
    except ValueError:
        number = "a whole number" if whole else "a number"
        raise _refusal(spec, f"{name} cannot be {value!r}", f"give {number}") from None


def _checked(spec: str, one: Variation) -> Variation:
    """Return a variation whose values are all in their ranges."""
    model = {field.name for field in dataclasses.fields(ModelConfig)}
    shape = {name: value for name, value in one.options.items() if name in model}
    if shape.get("tied"):
        shape = {"embedding": 256} | shape  # as large as the default of hidden
        shape["hidden"] = shape["embedding"] = shape.get("hidden", shape["embedding"])
    try:
        ModelConfig(2, **shape)
        TrainingConfig(steps=1, **{k: v for k, v in one.options.items() if k not in model})
    except UsageError as error:
        raise UsageError(f"in the variation {spec.strip()!r}: {error}") from None
    return one


def _refusal(spec: str, message: str, hint: str) -> UsageError:
    return UsageError(f"in the variation {spec.strip()!r}: {message}", hint)


def _allowed() -> str:
    """Return a hint that lists the options that a variation can set."""
    shown = {field: name for name, field in NAMES.items()}
    names = sorted(shown.get(field, field).replace("_", "-") for field in FIELDS)
    cells = ", ".join(get_args(CellName))
    return f"give a cell ({cells}) or name=value, where name is one of {', '.join(names)}"
