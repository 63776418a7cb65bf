"""A text's two parts, to train on and held out: each can be read as often as it is wanted."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from charrnn.decoding import Note, unnoted
from charrnn.text import SHAPES, chunks, told


@dataclass(frozen=True, slots=True)
class Part:
    """Some characters of a text, in blocks.

    Attributes:
        blocks: the whole text, which comes again at each iteration.
        start, stop: the first character, and the one behind the last.
    """

    blocks: Iterable[str]
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[str]:
        place = 0
        for block in self.blocks:
            if place >= self.stop:
                break
            if text := block[max(0, self.start - place) : self.stop - place]:
                yield text
            place += len(block)

    def beginning(self, size: int) -> str:
        """At most `size` characters."""
        return "".join(Part(self.blocks, self.start, min(self.stop, self.start + size)))

    def sample(self, size: int) -> str:
        """All of it; of what is longer than `size`, pieces evenly spread, about as much in all."""
        pieces = chunks(self)
        if len(self) > size:
            share = size / len(self)
            pieces = (
                piece for i, piece in enumerate(pieces) if int((i + 1) * share) > int(i * share)
            )
        return "".join(pieces)


class Fingerprint:
    """Tells whether a text has changed: SHA-256 of its UTF-8 bytes, and how long it is.

    Attributes:
        characters: that went by.
    """

    def __init__(self) -> None:
        self.characters = 0
        self._digest = hashlib.sha256()

    def follow(self, blocks: Iterable[str]) -> Iterator[str]:
        """The same blocks, taken note of as they go by."""
        for block in blocks:
            self.characters += len(block)
            self._digest.update(block.encode("utf-8", "surrogatepass"))
            yield block

    def __str__(self) -> str:
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Parts:
    """The part to train on and the held-out part.

    Attributes:
        train, val: them.
        shape: of the text, a key of SHAPES.
        characters: of the whole text.
        fingerprint: of the whole text, in hexadecimal.
    """

    train: Part
    val: Part
    shape: str
    characters: int
    fingerprint: str

    @classmethod
    def of(
        cls,
        blocks: Iterable[str],
        val: float,
        shape: str = "text",
        seed: int = 0,
        note: Note = unnoted,
    ) -> Self:
        """Split a text.

        Of running text the last `val` of the characters are held out. Of items it is about as
        much in whole ones, drawn at random; copies of an item stay together, so that none is in
        both parts. At least one is held out, if there are different ones and `val` is above 0.
        Both parts are shuffled, and kept in memory.

        Args:
            blocks: of the text, which come again at each iteration.
            shape: a key of SHAPES; items end as it says.
            seed: of the drawing and shuffling.
            note: told how far a long text is read.
        """
        fingerprint = Fingerprint()
        read = fingerprint.follow(told(blocks, note, "reading"))
        if boundary := SHAPES[shape]:
            train, held_out = (
                Part([text], 0, len(text))
                for text in _split_items("".join(read), val, boundary, seed)
            )
        else:
            characters = sum(map(len, read))
            cut = int(characters * (1 - val))
            train, held_out = Part(blocks, 0, cut), Part(blocks, cut, characters)
        return cls(train, held_out, shape, fingerprint.characters, str(fingerprint))


def _split_items(text: str, val: float, boundary: str, seed: int) -> tuple[str, str]:
    import numpy as np

    rng = np.random.default_rng(seed)
    items = text.split(boundary)[:-1]
    counts = Counter(items)
    room = val * len(text)
    held: set[str] = set()
    different = [*counts]
    for i in rng.permutation(len(different)).tolist():
        size = counts[different[i]] * (len(different[i]) + 1)
        if size <= room:
            held.add(different[i])
            room -= size
    if val and not held and len(different) > 1:
        held.add(min(different, key=len))
    shuffled = [items[i] for i in rng.permutation(len(items)).tolist()]
    return (
        "".join(item + boundary for item in shuffled if item not in held),
        "".join(item + boundary for item in shuffled if item in held),
    )
