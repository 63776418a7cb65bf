"""Ways to damage a file: its bytes, the JSON in it, the tensors of a safetensors file."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from tests.strategies import LONE_SURROGATES, NASTY

T = TypeVar("T")
Random = np.random.Generator

TEXTS = [
    *NASTY.values(), *LONE_SURROGATES, "\x1b]0;title\x07", "\x9b31m", "x" * 5000, "char", "\0",
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 2, 255, 2**31 - 1, 2**31, 2**40, 2**63, -(2**63), 10**30, 10**400, 0.5, 1.5, -0.1,
    1e-300, 1e30, 1e308, float("nan"), float("inf"), -float("inf"),
]  # fmt: skip
VALUES: list[Any] = [
    *TEXTS, *NUMBERS, None, True, False, [], {}, [[]], [None], [0], ["a"], {"a": 1},
    [[["a", "b"]]], [0.5] * 6,
]  # fmt: skip
WEIGHTS = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e30, 1e10, 1e9, -1e9, 1e5, 1e-45, 0.0]
TYPES = ["F32", "F16", "BF16", "F64", "F8_E4M3", "U8", "U16", "I16", "I64", "BOOL", "C64", "F4", ""]
DEEP = 100_000


def one_of(rng: Random, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


def bytes_changed(rng: Random, data: bytes) -> bytes:
    """The bytes with some overwritten, cut out, put in or repeated."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(changed) + 1))
        some = int(rng.choice([1, 1, 2, 8, 64, 1024]))
        match int(rng.integers(7)):
            case 0:
                changed[at : at + some] = rng.bytes(some)
            case 1:
                del changed[at : at + some]
            case 2:
                changed[at:at] = rng.bytes(some)
            case 3:
                changed[at:at] = changed[at : at + some] * int(rng.integers(1, 20))
            case 4:
                del changed[at:]
            case 5 if changed:
                changed[at % len(changed)] ^= 1 << int(rng.integers(8))
            case _:
                changed[at:at] = one_of(rng, TEXTS).encode("utf-8", "surrogatepass")
    return bytes(changed)


def json_changed(rng: Random, value: Any) -> Any:
    """The value with something somewhere in it replaced, left out, repeated or put in."""
    whole = json.loads(json.dumps(value))
    inside: Any = whole
    while True:
        keys: list[Any] = [*(inside if isinstance(inside, dict) else range(len(inside)))]
        if not keys:
            return whole
        key = one_of(rng, keys)
        deeper = isinstance(inside[key], dict | list) and len(inside[key]) > 0
        if not deeper or rng.random() < 0.2:
            break
        inside = inside[key]
    match int(rng.integers(6)):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, list):
            inside.insert(key, one_of(rng, [inside[key], *VALUES]))
        case 1:
            inside[one_of(rng, TEXTS)] = inside[key]
        case 2:
            inside[key] = [inside[key]] * int(rng.integers(3))
        case 3 if isinstance(inside[key], str):
            at = int(rng.integers(len(inside[key]) + 1))
            inside[key] = inside[key][:at] + one_of(rng, TEXTS) + inside[key][at:]
        case 3 if type(inside[key]) in (int, float):
            inside[key] = one_of(rng, [-inside[key], inside[key] + 1, inside[key] * 2])
        case _:
            inside[key] = one_of(rng, VALUES)
    return whole


def parsed(data: bytes, key: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """A safetensors file as its header without the metadata, what those say, and the data."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    described = json.loads(header.pop("__metadata__")[key])
    return header, described, data[8 + size :]


def joined(header: Any, key: str, described: Any, data: bytes) -> bytes:
    """The opposite of `parsed`; what is described may be a string as it stands in the file."""
    text = described if isinstance(described, str) else json.dumps(described)
    whole = json.dumps({"__metadata__": {key: text}} | header).encode()
    return len(whole).to_bytes(8, "little") + whole + data


def tensors_changed(rng: Random, data: bytes, key: str) -> bytes:
    """A safetensors file with something wrong in it.

    Args:
        key: of the metadata that hold JSON.
    """
    header, described, body = parsed(data, key)
    described.pop("checksum", None)  # which would hide what else is wrong; a forger can fit it
    names = [*header]
    name = one_of(rng, names)
    start, stop = header[name]["data_offsets"]
    match int(rng.integers(10)):
        case 0 | 1 | 2 | 3:
            for _ in range(int(rng.integers(1, 3))):
                described = json_changed(rng, described)
        case 4:
            header = json_changed(rng, header)
        case 5:
            header[name]["dtype"] = one_of(rng, TYPES)
            if rng.random() < 0.5:  # of the same number of bytes
                header[name]["shape"] = [stop - start]
        case 6:
            other = one_of(rng, names)
            header[name], header[other] = header[other], header[name]
        case 7:
            nested = one_of(rng, ["[", '{"a":', '{"format": 1, "model": {"cell": [', '"'])
            return joined(header, key, nested * one_of(rng, [1, DEEP]), body)
        case 8:
            body = body[:start] + rng.bytes(stop - start) + body[stop:]
        case _:
            body = body[:start] + numbers_changed(rng, body[start:stop]) + body[stop:]
    return joined(header, key, described, body)


def numbers_changed(rng: Random, data: bytes) -> bytes:
    """The bytes of a tensor, taken for floats where that is possible, with other numbers."""
    if not data or len(data) % 4:
        return np.roll(np.frombuffer(data, np.uint8), int(rng.integers(1, 9))).tobytes()
    numbers = np.frombuffer(data, np.float32).copy()
    with np.errstate(all="ignore"):
        match int(rng.integers(3)):
            case 0:
                numbers[:] = one_of(rng, WEIGHTS)
            case 1:
                numbers[rng.integers(len(numbers), size=3)] = one_of(rng, WEIGHTS)
            case _:
                numbers *= np.float32(one_of(rng, [1e2, 1e4, 1e8, -1e8, 0]))
    return numbers.tobytes()
