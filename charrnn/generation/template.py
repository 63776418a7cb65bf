"""Filling the gaps of a template so that the text after each gap fits."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from string import Formatter
from typing import Any, NamedTuple

from charrnn.arrays import Array
from charrnn.config import StopConfig
from charrnn.errors import UsageError
from charrnn.generation.sample import Part, Sample

# The rule of StopConfig that ends each kind of gap.
GAP_KINDS = {"word": "words", "sentence": "sentences", "line": "lines", "char": "chars"}
MAX_GAP = 1000  # maximum characters of a gap, unless it is given in characters (not tuned)
REPLACING_MARKS = ".!?…,;:"  # after a gap, these replace punctuation at its end


class Piece(NamedTuple):
    """Part of a template: fixed text, then a gap; None if there is none."""

    fixed: str
    gap: StopConfig | None


def parse(template: str) -> list[Piece]:
    """Return the pieces of a template; {{ and }} stand for braces.

    Raises:
        UsageError: a gap is not closed, or its kind is unknown.
    """
    try:
        found = [*Formatter().parse(template)]
    except ValueError as error:
        raise UsageError(f"--template: {error}", "write {{ and }} for braces") from None
    pieces = []
    fixed = ""
    for text, name, count, conversion in found:
        fixed += text
        if name is not None:
            pieces.append(Piece(fixed, _gap(name, f"!{conversion}" if conversion else count or "")))
            fixed = ""
    return [*pieces, Piece(fixed, None)] if fixed else pieces


def _gap(name: str, count: str) -> StopConfig:
    rule = GAP_KINDS.get(name.removesuffix("s"))
    if rule is None or not re.fullmatch("[1-9][0-9]{0,3}|", count):
        raise UsageError(
            f"--template: {{{name}{':' if count else ''}{count}}} is not a gap",
            "write {word}, {sentence}, {line} or {words:3}, {chars:20} and so on",
        )
    limits: dict[str, Any] = {"chars": MAX_GAP, rule: int(count or 1)}
    return StopConfig(**limits)


class Writer(NamedTuple):
    """The model's functions that fill gaps.

    Attributes:
        write: yields the texts of samples in parts, as batch.generate does.
        surprisal: returns the surprisal (nats) of each character of each text, [len(text)] each.
        count: returns the number of tokens of a text.
    """

    write: Callable[[Sequence[Sample], StopConfig], Iterable[Part]]
    surprisal: Callable[[Sequence[str]], Sequence[Array]]
    count: Callable[[str], int]


def fill(
    pieces: Sequence[Piece],
    samples: Iterable[Sample],
    tries: int,
    writer: Writer,
    scored: bool = False,
) -> Iterator[Part]:
    """Fill a template once for each sample.

    Args:
        pieces: the pieces of the template.
        samples: samples with empty seeds; their progress is noted in them.
        tries: candidates sampled for each gap; the one that makes the fixed text after it likeliest
            is kept.
        writer: the model's functions that fill gaps.
        scored: whether to compute the surprisal of each character, including fixed text.

    Yields:
        Each sample's text in one part.
    """
    return (_fill(pieces, sample, tries, writer, scored) for sample in samples)


def _fill(
    pieces: Sequence[Piece], sample: Sample, tries: int, writer: Writer, scored: bool
) -> Part:
    text = ""
    following = [*(piece.fixed for piece in pieces[1:]), ""]
    for i, (piece, after) in enumerate(zip(pieces, following, strict=False)):
        text += piece.fixed
        if piece.gap:
            keys = [(*sample.key, i, j) for j in range(tries if after else 1)]
            candidates = [Sample(text, sample.sampling, key) for key in keys]
            written = dict.fromkeys(candidates, "")
            for part in writer.write(candidates, piece.gap):
                written[part.sample] += part.text
            tried = [_fitting(t, piece.gap, after) for t in written.values()]
            text += _best(writer, text, tried, after)
    sample.why = "template"
    nats = writer.surprisal([text])[0]
    sample.tokens = writer.count(text)
    sample.logp = -float(nats.sum())
    return Part(sample, text, nats if scored else None, True)


def _fitting(written: str, gap: StopConfig, after: str) -> str:
    """Return a gap's text, less its final punctuation if the template has some there."""
    return (
        written.rstrip(REPLACING_MARKS)
        if gap.sentences and after[:1] in tuple(REPLACING_MARKS)
        else written
    )


def _best(writer: Writer, before: str, written: list[str], after: str) -> str:
    """Return the candidate that makes `after` likeliest; empty or indented ones come last."""
    if len(written) == 1:
        return written[0]
    scores = writer.surprisal([before + w + after for w in written])
    costs = [float(nats[len(nats) - len(after) :].sum()) for nats in scores]
    return min(zip([not w or w[0].isspace() for w in written], costs, written, strict=True))[2]
