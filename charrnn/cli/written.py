"""How charrnn generate writes its texts: as they come, or as JSON."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from charrnn.display.format import printable, to_json
from charrnn.display.working import Working

if TYPE_CHECKING:
    from charrnn.generation.sample import Part, Sample
    from charrnn.text.copy_index import Items, WordRuns


@contextmanager
def opened(output: str) -> Iterator[TextIO]:
    """Open a file to write texts to; - is standard output."""
    if output == "-":
        yield sys.stdout
    else:
        with open(output, "w", encoding="utf-8") as file:
            yield file


def as_text(
    parts: Iterable["Part"], echo: bool, between: str, highlight: bool, out: TextIO
) -> None:
    """Write texts as they come."""
    # A terminal gets no control characters: a stranger's model might abuse them.
    shown = printable if out.isatty() else str
    shade = None
    if highlight:
        from charrnn.display import highlight as colours

        shade = colours.shade if colours.coloured(out) else None
    current = None
    for part in parts:
        if part.sample is not current:
            out.write(between if current else "")
            out.write(shown(part.sample.seed) if echo else "")
            current = part.sample
        text = part.text
        out.write(shade(text, part.nats) if shade and part.nats is not None else shown(text))
        out.flush()
    out.write("\n")


def counted(parts: Iterable["Part"], work: Working) -> Iterator["Part"]:
    """Yield the parts, and show how many texts are done."""
    for part in parts:
        yield part
        if part.last:
            work.advance(1)


def with_novelty(
    parts: Iterable["Part"], index: "WordRuns | Items", note: Callable[[str], None]
) -> Iterator["Part"]:
    """Yield the parts; report the novelty of each text, or of all lines at the end."""
    from charrnn.text.copy_index import WordRuns

    runs = isinstance(index, WordRuns)
    text, new, count = "", 0.0, 0
    for part in parts:
        yield part
        text += part.text
        if not part.last:
            continue
        share = _share_new(index, part.sample, text)
        if runs:
            told = "-" if share is None else f"{share:.1%}"
            note(f"\nnovelty: {told} of its 8-word sequences are not in the training text")
        elif share is not None:
            new, count = new + share, count + 1
        text = ""
    if not runs:
        told = (
            f"{new:.0f} of {count} are not in the training text"
            if count
            else "-, no line was finished"
        )
        note(f"\nnovelty: {told}")


def _share_new(index: "WordRuns | Items", sample: "Sample", text: str) -> float | None:
    """Return the share of new word runs in a text; for a line, 1 if it is new, else 0."""
    from charrnn.text.copy_index import WordRuns

    if isinstance(index, WordRuns):
        return index.novelty(text)
    if sample.why == "template":  # it may have several lines
        return index.novelty([line for line in text.splitlines() if line.strip()])
    line = (sample.seed + text).rpartition("\n")[2]
    return index.novelty([line]) if sample.why == "item" else None


def as_json(
    parts: Iterable["Part"], random_seed: int, index: "WordRuns | Items | None", out: TextIO
) -> None:
    """Write an object for each text."""
    text = ""
    for part in parts:
        sample = part.sample
        text += part.text
        if not part.last:
            continue
        record: dict[str, Any] = {} if sample.source is None else {"source": sample.source}
        record |= {
            "seed": sample.seed,
            "text": text,
            "tokens": sample.tokens,
            "logp": sample.logp,
            "why": sample.why,
            "temperature": sample.sampling.temperature,
            "random_seed": random_seed,
        }
        if index:
            record["novelty"] = _share_new(index, sample, text)
        out.write(to_json(record) + "\n")
        out.flush()
        text = ""
