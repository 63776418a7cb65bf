"""How charrnn eval measures a model of records: predicted targets against the right ones."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from charrnn.cli.batches import batches
from charrnn.display.console import write_json, write_text
from charrnn.display.format import printable
from charrnn.display.working import Working
from charrnn.errors import TextError

if TYPE_CHECKING:
    from charrnn.agreement import Agreement
    from charrnn.model import Model
    from charrnn.text.source import Source

BATCH = 256  # maximum records predicted in parallel (not tuned)
MOST_SHOWN = 20  # maximum labels in a table that is printed
BASELINES = {
    "commonest": "always the commonest label",
    "naive_bayes": "naive Bayes, character n-grams",
    "logistic": "logistic regression, character n-grams",
    "nearest": "target of the most similar source",
}
Pair = tuple[str, str]  # source and target of a record


def evaluate_records(
    model: "Model", source: "Source", training: "Source | None", json_lines: bool, work: Working
) -> None:
    """Predict the targets of records, and print how well they agree with the right ones.

    Args:
        model: the model, one of records.
        source: the records.
        training: the records that the model was trained on, from which baselines learn; None
            leaves those out.
        json_lines: whether to print a JSON object.
        work: shows the progress.

    Raises:
        TextError: there are no records, or they cannot be read.
        CharrnnError: a package that the baselines need is not installed.
    """
    from charrnn.agreement import Agreement
    from charrnn.text.blocks import pairs

    labels = model.file.trained.targets
    total = Agreement(labels)
    kept: list[Pair] = []
    read = pairs(source.stream(work.note))
    for batch in batches(read, BATCH, lambda pair: sum(map(len, pair))):
        _add(model, batch, total, work)
        kept += batch if training else ()
    if not total.records:
        raise TextError("there are no records", "give a file of records to evaluate")
    beside = _baselines(model, kept, training, work) if training else {}
    work.clear()
    values = total.to_json()
    if json_lines:
        each = {name: agreement.to_json() for name, agreement in beside.items()}
        write_json(values | ({"baselines": each} if beside else {}))
        return
    _print(values, total, beside)


def _add(model: "Model", batch: list[Pair], total: "Agreement", work: Working) -> None:
    """Add the records of a batch to the totals; END counts as a character of its target."""
    from charrnn.text.blocks import END, TARGET

    found = model.predictions([source for source, _ in batch])
    texts = [source + TARGET + target + END for source, target in batch]
    surprises = model.surprisal(texts, work.advance)
    for (source, target), targets, nats in zip(batch, found, surprises, strict=True):
        best = targets[0] if targets else ("", 0.0)
        total.add(target, *best)
        of_target = nats[len(source) + 1 :]
        total.add_nats(float(of_target.sum(dtype=float)), len(of_target))


def _baselines(
    model: "Model", pairs: list[Pair], training: "Source", work: Working
) -> dict[str, "Agreement"]:
    """Return how well baselines predict some records that learn from the training part."""
    from charrnn import baselines
    from charrnn.agreement import Agreement

    labels = model.file.trained.targets
    learned = [*_training_pairs(model, training, work)]
    if not learned:
        raise TextError("there are no records to learn from", "see --baselines")
    make = baselines.for_labels if labels else baselines.for_texts
    methods = make(*map(list, zip(*learned, strict=True)))
    found: dict[str, Agreement] = {}
    for name, predict in methods.items():
        found[name] = Agreement(labels)
        predicted = predict([source for source, _ in pairs])
        for (_, target), text in zip(pairs, predicted, strict=True):
            found[name].add(target, text)
    return found


def _training_pairs(model: "Model", training: "Source", work: Working) -> Iterator[Pair]:
    """Yield the records that the model was trained on; all, if the text is not that one."""
    from charrnn.text.blocks import pairs
    from charrnn.text.split import Parts

    facts = model.file.trained.facts
    with training.kept(work.note) as blocks:
        parts = Parts.of(blocks, facts.get("val", 0), training.kind, facts.get("seed", 0))
        same = len(parts.train) == facts.get("train_chars")
        if not same:
            work.note(
                "this is not the text that the model was trained on; baselines learn from all of it"
            )
        yield from pairs(parts.train if same else blocks)


def _print(values: Mapping[str, Any], total: "Agreement", beside: dict[str, "Agreement"]) -> None:
    """Print metrics and tables for people."""
    for name, value in values.items():
        if name not in ("labels", "confusion"):
            shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
            write_text(f"{name.replace('_', ' '):<18} {shown}")
    if beside:
        write_text("")
        columns = ["exact_match", "macro_f1" if "macro_f1" in values else "edit_rate"]
        write_text(" " * 40 + "".join(f"{name.replace('_', ' '):>13}" for name in columns))
        rows = {"this model": values} | {
            BASELINES[name]: agreement.to_json() for name, agreement in beside.items()
        }
        for title, row in rows.items():
            write_text(f"{title:<40}" + "".join(f"{row[name]:13.4f}" for name in columns))
    if "confusion" in values:
        _print_confusion(values["labels"], values["confusion"], total)


def _print_confusion(labels: list[str], confusion: list[list[int]], total: "Agreement") -> None:
    """Print the table of right and predicted labels; of many labels, the commonest mistakes."""
    if len(labels) > MOST_SHOWN:
        write_text("\ncommonest mistakes: right label, predicted label, records")
        wrong = [(pair, n) for pair, n in total.counts.most_common() if pair[0] != pair[1]]
        for (right, predicted), count in wrong[:MOST_SHOWN]:
            write_text(f"{_one_line(right)}  {_one_line(predicted)}  {count:,}")
        return
    names = [_one_line(label)[:MOST_SHOWN] for label in labels]
    width = max(map(len, names))
    cell = 1 + max(len(str(max(map(max, confusion)))), len(str(len(labels))))
    write_text("\nright label (rows), predicted label (columns, in the same order)")
    numbers = "".join(f"{i:>{cell}}" for i in range(1, len(labels) + 1))
    write_text(f"{'':{width + 4}}{numbers}")
    for i, (name, row) in enumerate(zip(names, confusion, strict=True), 1):
        write_text(f"{i:>2}  {name:<{width}}" + "".join(f"{n:>{cell}}" for n in row))


def _one_line(label: str) -> str:
    return printable(" ".join(label.split()))
