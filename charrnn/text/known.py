"""The split of large files, kept in a cache: unchanged files are not read as text again.

Whether they have changed is decided by all of their bytes. Hashing those is several times as fast
as decoding and splitting the text, and misses no change, as times and sizes of files would.
"""

import hashlib
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from charrnn.errors import TextError
from charrnn.text.blocks import told
from charrnn.text.cache import cached
from charrnn.text.encodings import READ_BYTES, Note, unnoted
from charrnn.text.source import Source
from charrnn.text.split import BUCKETS, Parts

LARGE = 1 << 26  # minimum bytes of files whose split is kept (not tuned)
LAYOUT = 1  # version of what is kept; part of its key, so that older files are never read


@contextmanager
def split(source: Source, val: float, seed: int, note: Note = unnoted) -> Iterator[Parts]:
    """Yield the split of a text that Parts.of returns, from the cache if its files are known.

    Args:
        source: the text.
        val: share of the characters to hold out.
        seed: seed of the choice of held-out items.
        note: called with what is guessed about the text, and with the progress of reading it.

    Raises:
        TextError: see Source.kept; or the text changed while it was read, or neither the cache nor
            a temporary file can be written.
    """
    notes: dict[str, None] = {}

    def once(line: str) -> None:
        if line not in notes:
            notes[line] = None
            note(line)

    with source.kept(once) as blocks:
        key = _key(source, note)
        if not key:
            yield Parts.of(blocks, val, source.kind, seed, note)
            return

        def build(file: BinaryIO) -> dict[str, Any]:
            parts = Parts.of(blocks, val, source.kind, seed, note)
            if _key(source, note) != key:
                raise TextError("the text changed while it was read", "start again")
            file.write(_to_bytes(parts, notes))
            return {}

        data, _ = cached(build, "split", LAYOUT, key, val, seed, note=note)
        parts, known = _from_bytes(data.tobytes(), blocks)
        for line in known:
            once(line)
        yield parts


def _key(source: Source, note: Note) -> dict[str, Any] | None:
    """Return JSON values that identify what is read; None for small files and those read once."""
    try:
        files = [*source.files()]
        if not source.lasts or sum(map(os.path.getsize, files)) < LARGE:
            return None
        hashes = [[os.path.abspath(path), _hash(path, note)] for path in files]
    except OSError:  # reading the text will say what is wrong
        return None
    return source.to_json() | {"paths": hashes}


def _hash(path: str, note: Note) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in told(iter(partial(file.read, READ_BYTES), b""), note, "comparing", "bytes"):
            digest.update(block)
    return digest.hexdigest()


def _to_bytes(parts: Parts, notes: Iterable[str]) -> bytes:
    """Return a split, without the text, and what was noted about it."""
    values = {name: getattr(parts, name) for name in Parts.__slots__ if name != "blocks"}
    if not isinstance(parts.held, int):
        values["held"] = b64encode(np.packbits(parts.held).data).decode()
    data = json.dumps([values, [*notes]], ensure_ascii=False)
    return data.encode("utf-8", "surrogatepass")


def _from_bytes(data: bytes, blocks: Iterable[str]) -> tuple[Parts, list[str]]:
    """Return what `_to_bytes` made bytes of."""
    values, notes = json.loads(data.decode("utf-8", "surrogatepass"))
    if isinstance(values["held"], str):
        bits = np.frombuffer(b64decode(values["held"]), np.uint8)
        values["held"] = np.unpackbits(bits, count=BUCKETS).astype(bool)
    lengths, samples = (tuple(values.pop(name)) for name in ("lengths", "samples"))
    return Parts(blocks, **values, lengths=lengths, samples=samples), notes
