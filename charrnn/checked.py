"""Checks for values read from untrusted files."""

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args

MOST_VALUES = 5_000_000  # maximum values in a JSON text; a million subwords need 3 million
INTEGER_BOUND = 2**63  # exclusive bound on the magnitude of an integer: signed 64 bits
FLOAT_BOUND = 1e300  # exclusive bound on the magnitude of a float, below overflow (not tuned)
T = TypeVar("T")


def parsed(text: str, finite: bool = True) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        text: JSON.
        finite: whether to refuse NaN and infinity, which Python's parser allows.

    Raises:
        ValueError: the text is not a JSON object, is nested too deeply or has too many values.
    """
    if text.count(",") > MOST_VALUES:
        raise ValueError("it holds too many values")
    options: dict[str, Any] = {"parse_constant": _finite, "parse_float": _finite} if finite else {}
    try:
        value = json.loads(text, **options)
    except RecursionError:
        raise ValueError("its description is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("its description is not a JSON object")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds a number that is not finite: {text:.20}")
    return number


def is_of(value: Any, kind: Any) -> bool:
    """Return whether a JSON value has the given type.

    Args:
        value: the value.
        kind: bool, int, float, str, Sequence[str], None, or a union of them. An integer also counts
            as a float, a bool never as a number; numbers must be within the bounds above.
    """
    if isinstance(kind, UnionType):
        return any(is_of(value, one) for one in get_args(kind))
    if kind in (None, NoneType):
        return value is None
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return type(value) is int and abs(value) < INTEGER_BOUND
    if kind is float:
        return is_of(value, int) or (type(value) is float and abs(value) < FLOAT_BOUND)
    if kind is str:
        return isinstance(value, str)
    assert kind == Sequence[str], kind
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def check_types(values: dict[str, Any], kinds: dict[str, Any]) -> None:
    """Check that values have the types given for their names.

    Args:
        values: values by name.
        kinds: types by name, as `is_of` takes them; values of other names are not checked.

    Raises:
        ValueError: a value has another type; the message names it.
    """
    for name, value in values.items():
        if name in kinds and not is_of(value, kinds[name]):
            raise ValueError(f"its {name} cannot be {_short(value)}")


def made(kind: type[T], values: Any) -> T:
    """Make an instance of a dataclass from JSON values.

    Args:
        kind: the dataclass; its fields have types that `is_of` knows.
        values: its fields by name.

    Raises:
        ValueError: a field is missing, unknown or of another type.
        CharrnnError: a value is out of range.
    """
    if not isinstance(values, dict):
        raise ValueError(f"it has no {kind.__name__}")
    kinds = kinds_of(kind)
    if unknown := values.keys() - kinds.keys():
        raise ValueError(f"{_short(min(unknown))} is not a field of {kind.__name__}")
    check_types(values, kinds)
    if any("\0" in text for text in _texts(values)):
        raise ValueError(f"a string of its {kind.__name__} contains NUL")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(str(error)) from None


def kinds_of(kind: type) -> dict[str, Any]:
    """Return the type of each field of a dataclass."""
    return {field.name: field.type for field in fields(kind)}


def _texts(values: dict[str, Any]) -> list[str]:
    lists = [value if isinstance(value, list) else [value] for value in values.values()]
    return [value for some in lists for value in some if isinstance(value, str)]


def _short(value: Any) -> str:
    return f"{value!r:.40}"
