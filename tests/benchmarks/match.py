"""The time that `generate --match` takes, as a multiple of that of text that need not match.

    python -m tests.benchmarks.match [--only words]

For networks of random weights, and for 1 and 64 texts at once: seconds a character, at temperature
0.8, of texts that have to match a pattern of any length, and of others, as long; in turns, the
best of 5 rounds. "First" is the first time that a pattern is given: its automaton is built and its
table of tokens is filled.
"""

import argparse
import time
from itertools import product

from charrnn.config import ModelConfig, SamplingConfig, StopConfig
from charrnn.generation.sample import Sample
from charrnn.model import Model
from charrnn.tokenizer import CharTokenizer, WordTokenizer
from tests.benchmarks.figures import parse, tell, write
from tests.benchmarks.generation import CHARACTERS, EMBEDDING, ROUNDS, model_of, words

NETWORKS = [(1, 128, 0), (2, 256, 0), (2, 512, 10_000)]  # layers, units, words
# Everything; any text, by whether the number of letters e is even.
PATTERNS = [r"[\w\W]*", "([^e]*e[^e]*e)*[^e]*e?[^e]*"]
LENGTH = 1000


def seconds_each(model: Model, streams: int, pattern: str | None) -> float:
    """Seconds for each character."""
    sampling = SamplingConfig(temperature=0.8)
    samples = [Sample("a", sampling, (0, i)) for i in range(streams)]
    began = time.perf_counter()
    parts = model.write(samples, StopConfig(chars=LENGTH, match=pattern), 0)
    written = sum(len(part.text) for part in parts)
    return (time.perf_counter() - began) / written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="Networks whose name holds this.")
    options = parse(parser)
    lines = ["| network | texts | pattern | first | later |", "| --- " * 5 + "|"]
    for layers, hidden, count in NETWORKS:
        name = f"lstm {layers} x {hidden}, " + (f"{count:,} words" if count else "characters")
        if options.only not in name:
            continue
        tokenizer = WordTokenizer(words(count)) if count else CharTokenizer(CHARACTERS)
        config = ModelConfig(tokenizer.vocab_size, "lstm", layers, hidden, EMBEDDING)
        model = model_of(config, tokenizer)
        for streams, pattern in product([1, 64], PATTERNS):
            first = seconds_each(model, streams, pattern)
            rounds = [
                [seconds_each(model, streams, each) for each in (None, pattern)]
                for _ in range(ROUNDS)
            ]
            plain, later = (min(each) for each in zip(*rounds, strict=True))
            ratios = f"{first / plain:.2f} | {later / plain:.2f}"
            lines.append(tell(f"| {name} | {streams} | `{pattern}` | {ratios} |"))
    write("match", lines)


if __name__ == "__main__":
    main()
