"""Values from a stranger's file, checked before anything is made of them."""

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args

MOST_VALUES = 5_000_000  # in one JSON text: a vocabulary of a million subwords holds three million
SIZE = 2**63  # that a whole number stays below, and
LARGE = 1e300  # that any other number stays below
T = TypeVar("T")


def parsed(text: str, finite: bool = True) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Args:
        text: JSON.
        finite: whether to refuse numbers that are infinite or none, which Python's JSON allows.

    Raises:
        ValueError: it is no JSON or no object, is nested too deeply or holds too many values.
    """
    if text.count(",") > MOST_VALUES:
        raise ValueError("it holds too many values")
    options: dict[str, Any] = {"parse_constant": _finite, "parse_float": _finite} if finite else {}
    try:
        value = json.loads(text, **options)
    except RecursionError:
        raise ValueError("its description is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("its description is no object")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds a number that is not finite: {text:.20}")
    return number


def is_of(value: Any, kind: Any) -> bool:
    """Return whether a value of JSON is of a type.

    Args:
        value: the value.
        kind: bool, int, float, str, Sequence[str], None, or a union of them. A whole number is a
            float too, True is no number; numbers are finite and of a sensible size.
    """
    if isinstance(kind, UnionType):
        return any(is_of(value, one) for one in get_args(kind))
    if kind in (None, NoneType):
        return value is None
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return type(value) is int and abs(value) < SIZE
    if kind is float:
        return is_of(value, int) or (type(value) is float and abs(value) < LARGE)
    if kind is str:
        return isinstance(value, str)
    assert kind == Sequence[str], kind
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def check_types(values: dict[str, Any], kinds: dict[str, Any]) -> None:
    """Find out whether values are of the types that belong to their names; others are passed over.

    Raises:
        ValueError: one is not; the message names it.
    """
    for name, value in values.items():
        if name in kinds and not is_of(value, kinds[name]):
            raise ValueError(f"its {name} cannot be {_short(value)}")


def made(kind: type[T], values: Any) -> T:
    """Return the dataclass of these fields.

    Args:
        kind: the class, whose fields are of types that `is_of` knows.
        values: its fields, as JSON has them.

    Raises:
        ValueError: a field is missing, unknown or of another type.
        CharrnnError: a value is out of its range.
    """
    if not isinstance(values, dict):
        raise ValueError(f"it holds no {kind.__name__}")
    kinds = kinds_of(kind)
    if unknown := values.keys() - kinds.keys():
        raise ValueError(f"{_short(min(unknown))} is no field of its {kind.__name__}")
    check_types(values, kinds)
    if any("\0" in text for text in _texts(values)):
        raise ValueError(f"a text of its {kind.__name__} holds a NUL")
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
