"""Models of records beside simpler methods that learn from the same records.

    python -m tests.benchmarks.records DATA [--time 120s] [--only names sentiment phonemes numbers]

DATA is a folder with names_train.csv (nation,name), sentiment_train.csv (label,text),
phonemes_train.csv (word,phonemes) and the same with test in place of train, or the folder above
`records`, which holds them. Each model is trained with nothing but --time chosen, and measured on
the test files:

- names, sentiment: the label of a text, beside the baselines of `charrnn eval --baselines`.
- nations: names written to a nation, one for each name in the test file: the share that is not in
  the training file, and the share whose nation logistic regression recognises, beside that share
  of the real names.
- phonemes: of an English word; errors in words and in phonemes, beside the nearest word's.
- numbers: English number words to digits, of unseen numbers below a million, beside the nearest.

CHARRNN_DATA can name DATA instead.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from charrnn import baselines, load
from charrnn.agreement import edit_distance
from charrnn.config import StopConfig
from charrnn.generation.sample import Sample
from charrnn.model import Model
from tests.benchmarks.figures import parse, tell, write

TASKS = ("names", "sentiment", "nations", "phonemes", "numbers")
LABELS = {"names": ("name", "nation"), "sentiment": ("text", "label")}
LONGEST_NAME = 40  # characters
TRAIN_NUMBERS, TEST_NUMBERS = 20_000, 2_000
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

Columns = tuple[list[str], list[str]]  # sources and targets


def spelled(number: int) -> str:
    """A number below a million in English words."""
    if number >= 1000:
        thousands, rest = divmod(number, 1000)
        return f"{spelled(thousands)} thousand" + (f" {spelled(rest)}" if rest else "")
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        return f"{ONES[hundreds]} hundred" + (f" {spelled(rest)}" if rest else "")
    if number >= 20:
        tens, rest = divmod(number, 10)
        return TENS[tens - 2] + (f"-{ONES[rest]}" if rest else "")
    return ONES[number]


def columns(path: Path, source: str, target: str) -> Columns:
    """The sources and the targets in a table."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    return [row[source] for row in rows], [row[target] for row in rows]


def run(*arguments: object) -> str:
    """What a command of charrnn prints."""
    command = [sys.executable, "-m", "charrnn", *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def train(path: Path, source: str, target: str, time: str, folder: Path) -> Path:
    """Train a model; return its run."""
    fields = ("--source", source, "--target", target)
    run("train", path, *fields, "--time", time, "-q", "-o", folder)
    return folder


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def labels(task: str, data: Path, time: str, folder: Path) -> list[str]:
    """Rows for the labels of texts."""
    fitted = data / f"{task}_train.csv"
    model = train(fitted, *LABELS[task], time, folder / task)
    asked = ("--baselines", fitted, "--json", "-q")
    values = json.loads(run("eval", data / f"{task}_test.csv", "-m", model, *asked))
    error = f"{100 * values['calibration_error']:.1f} points"
    rows = [("charrnn", values, error)]
    rows += [(name.replace("_", " "), each, "") for name, each in values["baselines"].items()]
    return [
        f"| {task} | {name} | {percent(each['accuracy'])} | {each['macro_f1']:.3f} | {gap} |"
        for name, each, gap in rows
    ]


def written(model: Model, sources: Sequence[str]) -> list[str]:
    """A target written to each source."""
    samples = [
        Sample("", model.sampling(), (0, i), source=source) for i, source in enumerate(sources)
    ]
    texts = dict.fromkeys(samples, "")
    for part in model.write(samples, StopConfig(chars=LONGEST_NAME), 0):
        texts[part.sample] += part.text
    return [*texts.values()]


def nations(data: Path, time: str, folder: Path) -> list[str]:
    """Rows for names written to a nation."""
    fitted = data / "names_train.csv"
    known, of_known = columns(fitted, "name", "nation")
    real, of_real = columns(data / "names_test.csv", "name", "nation")
    recognise = baselines.for_labels(known, of_known)["logistic"]
    names = written(load(train(fitted, "nation", "name", time, folder / "nations")), of_real)
    rows = []
    for title, each in (("written by charrnn", names), ("real, of the test file", real)):
        new = sum(name not in {*known} for name in each) / len(each)
        right = sum(a == b for a, b in zip(recognise(each), of_real, strict=True)) / len(each)
        rows.append(f"| {title} | {percent(new)} | {percent(right)} |")
    return rows


def texts(
    task: str, data: Path, fields: tuple[str, str], time: str, folder: Path, split: bool
) -> list[str]:
    """Rows for targets that are texts; `split` counts errors in their words, not characters."""
    fitted, test = data / f"{task}_train.csv", data / f"{task}_test.csv"
    sources, right = columns(test, *fields)
    model = load(train(fitted, *fields, time, folder / task))
    nearest = baselines.for_texts(*columns(fitted, *fields))["nearest"]
    predicted = {
        "charrnn": [best[0].text for best in model.predictions(sources)],
        "nearest source": nearest(sources),
    }
    symbols: dict[str, str] = {}

    def parts(text: str) -> str:
        """A text with a character for each of its parts."""
        each = text.split() if split else text
        return "".join(symbols.setdefault(part, chr(len(symbols))) for part in each)

    rows = []
    for name, found in predicted.items():
        pairs = [*zip(right, found, strict=True)]
        wrong = sum(a != b for a, b in pairs) / len(pairs)
        edits = sum(edit_distance(parts(a), parts(b)) for a, b in pairs)
        rate = edits / sum(len(parts(a)) for a in right)
        rows.append(f"| {task} | {name} | {percent(wrong)} | {percent(rate)} |")
    return rows


def write_numbers(folder: Path) -> None:
    """Write numbers_train.csv and numbers_test.csv, which have no number in common."""
    numbers = random.Random(0).sample(range(1_000_000), TRAIN_NUMBERS + TEST_NUMBERS)
    for part, some in (("train", numbers[TEST_NUMBERS:]), ("test", numbers[:TEST_NUMBERS])):
        rows = "".join(f"{spelled(number)},{number}\n" for number in some)
        (folder / f"numbers_{part}.csv").write_text(f"words,digits\n{rows}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("CHARRNN_DATA"))
    parser.add_argument("--time", default="120s")
    parser.add_argument("--only", nargs="+", choices=TASKS, default=TASKS)
    options = parse(parser, "data")
    data = Path(options.data)
    data = data / "records" if (data / "records").is_dir() else data
    if not (data / "names_train.csv").exists():
        tell(f"skipped: {data} has no names_train.csv")
        return
    lines: list[str] = []

    def add(heading: Sequence[str], rows: Sequence[str]) -> None:
        lines.extend(("", *heading, *map(tell, rows)) if heading else map(tell, rows))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        title = [
            "| labels | method | accuracy | macro F1 | calibration error |",
            "| --- " * 5 + "|",
        ]
        for task in filter(LABELS.__contains__, options.only):
            add(title, labels(task, data, options.time, folder))
            title = []
        if "nations" in options.only:
            title = ["| names of a nation | new | nation recognised |", "| --- " * 3 + "|"]
            add(title, nations(data, options.time, folder))
        title = ["| texts | method | wrong targets | wrong parts |", "| --- " * 4 + "|"]
        if "phonemes" in options.only:
            fields = ("word", "phonemes")
            add(title, texts("phonemes", data, fields, options.time, folder, True))
            title = []
        if "numbers" in options.only:
            write_numbers(folder)
            fields = ("words", "digits")
            add(title, texts("numbers", folder, fields, options.time, folder, False))
    lines += [
        "",
        f"Trained for {options.time}. Parts are phonemes and digits: edit distance over length.",
    ]
    write("records", lines[1:])


if __name__ == "__main__":
    main()
