"""A self-contained HTML page: the findings, and text coloured by any unit."""

import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape

import numpy as np

from charrnn.arrays import Array
from charrnn.display.format import printable
from charrnn.display.neurons.terminal import Record, added, described, named
from charrnn.display.page import whole

MOST_VALUES = 3 << 20  # maximum activations on the page, a byte each before base64 (not tuned)


def html(
    title: str,
    note: str,
    findings: Sequence[Record],
    tokens: Sequence[str],
    units: Sequence[Record],
    values: Array,
    scales: Array,
    ngrams: bool,
) -> str:
    """Return the page.

    Args:
        title: its title.
        note: a line below the title.
        findings: the findings, strongest first.
        tokens: the text of each token of an excerpt, [N].
        units: each unit's `layer`, `unit` and `value`, those of findings first, [U].
        values: activation of each unit after each token, float32 [N, U].
        scales: largest absolute activation of each unit, float32 [U].
        ngrams: whether the model mixes its network with n-grams.
    """
    places = {_key(unit): i for i, unit in reversed([*enumerate(units)])}
    follows: dict[int, str] = {}
    rows = ""
    for found in findings:
        place = places[_key(found)]
        follows.setdefault(place, described(found))
        rows += _row(found, place)
    shares = np.rint(127 * (values / np.where(scales > 0, scales, 1)).clip(-1, 1)).astype(np.int8)
    titles = [
        f"{named(unit)}; {follows[i]}" if i in follows else named(unit)
        for i, unit in enumerate(units)
    ]
    data = {
        "tokens": [*map(printable, tokens)],
        "units": [[*pair] for pair in zip(titles, scales.tolist(), strict=True)],
        "values": b64encode(np.ascontiguousarray(shares.T).tobytes()).decode(),
    }
    return whole(
        "charrnn.display.neurons",
        title=escape(printable(title)),
        note=escape(printable(note)),
        table=rows,
        prediction="n-grams included" if ngrams else "the network alone, as it has no n-grams",
        others=f"{len(units) - len(follows):,} others",
        data=json.dumps(data).replace("<", "\\u003c"),
    )


def _key(unit: Record) -> tuple[int, int, str]:
    return unit["layer"], unit["unit"], unit["value"]


def _row(found: Record, place: int) -> str:
    facts = [
        f"{found['layer']}:{found['unit']} {found['value']}",
        f"{found['r']:+.2f}",
        f"{found['r_first_half']:+.2f}",
        f"{found['p']:.2g}",
        "yes" if found["confirmed"] else "no",
        *(
            "-" if change is None else f"{change:+.4f}"
            for scores in (found, found["network"])
            for change in (added(scores), added(scores, "_on_feature"))
        ),
    ]
    cells = "".join(f"<td>{escape(fact)}</td>" for fact in facts)
    button = f'<button type="button">{escape(found["feature"])}</button>'
    return f'<tr data-unit="{place}"><td>{button}</td>{cells}</tr>\n'
