"""How many words a word model invents at each temperature, and under each way to narrow a draw.

    python -m tests.benchmarks.invented MODEL TEXT [--characters 40000]

A word is a run of letters; it is invented if the text that the model was trained on does not hold
it in any case. The text is best a novel, and the model one of its words trained for 90 s.
CHARRNN_DATA can name TEXT instead.
"""

import argparse
import os
import re
import time
from collections import Counter
from pathlib import Path
from textwrap import shorten
from typing import Any

from charrnn.config import SamplingConfig, StopConfig
from charrnn.generation.sample import Sample
from charrnn.model import load
from tests.benchmarks.figures import parse, tell, write

LETTERS = re.compile(r"[^\W\d_]+")
STREAMS = 64
CONTROLS: list[dict[str, Any]] = [
    *({"temperature": t} for t in (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2)),
    {"temperature": 1.0, "top_k": 20},
    {"temperature": 1.0, "top_p": 0.9},
    {"temperature": 1.0, "min_p": 0.05},
    {"temperature": 1.0, "typical_p": 0.9},
    {"temperature": 1.0, "mirostat": 5.0},
    {"temperature": 1.0, "known_words": True},
]


def words(text: str) -> list[str]:
    return LETTERS.findall(text.casefold())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("text", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--characters", type=int, default=40_000, help="in all, at each setting")
    options = parse(parser, "model", "text")
    known = Counter(words(Path(options.text).read_text(encoding="utf-8")))
    model = load(options.model)
    lines = [
        f"Words that are not in {Path(options.text).name}:",
        "",
        "| drawn with | words | invented | characters/s | such as |",
        "|---|---|---|---|---|",
    ]
    for control in CONTROLS:
        sampling = SamplingConfig(**control)
        samples = [Sample("The ", sampling, (i,)) for i in range(STREAMS)]
        stop = StopConfig(chars=options.characters // STREAMS)
        began = time.monotonic()
        texts = dict.fromkeys(samples, "")
        for part in model.write(samples, stop, 0):
            texts[part.sample] += part.text
        seconds = time.monotonic() - began
        found = [word for text in texts.values() for word in words(text)[:-1]]
        invented = [word for word in found if word not in known]
        examples = " ".join(dict.fromkeys(invented))
        row = (
            f"| {', '.join(f'{name} {value:g}' for name, value in control.items())} "
            f"| {len(found):,} | {len(invented) / len(found):.2%} "
            f"| {sum(map(len, texts.values())) / seconds:,.0f} "
            f"| {shorten(examples, 40, placeholder=' ...')} |"
        )
        lines.append(tell(row))
    write("invented", lines)


if __name__ == "__main__":
    main()
