"""Damages files and reads them: python -m tests.fuzz --seed 0 --count 10000.

Each case follows from the seed and its number alone: --first N --count 1 repeats one.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from functools import partial

from tests.fuzz.fuzzer import run
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="decides what is damaged, and how")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, default=10_000, help="cases")
    parser.add_argument("--only", choices=TARGETS, help="one kind of file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    given = parser.parse_args()
    began = time.monotonic()
    every = range(given.first, given.first + given.count)
    shares = [share for i in range(given.jobs) if (share := every[i :: given.jobs])]
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        done = pool.map(partial(run, given.seed, given.only), shares, chunksize=1)
    counts = {kind: sum((one[kind] for one, _ in done), Counter()) for kind in done[0][0]}
    for kind, results in counts.items():
        told = (f"{results[what]:,} {what}" for what in ("refused", "used", "faults"))
        print(kind.ljust(8), ", ".join(told))
    faults = sum(results["faults"] for results in counts.values())
    grown = max(grown for _, grown in done) / 1e6
    print(f"{faults:,} faults; {time.monotonic() - began:.0f} s; memory grew by {grown:.0f} MB")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
