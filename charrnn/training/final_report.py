"""Reports on the model: samples, and at the end tuned suggestions and new items."""

from collections.abc import Sequence

import numpy as np

from charrnn.config import StopConfig
from charrnn.generation.sample import Sample
from charrnn.model import Model
from charrnn.network import blas
from charrnn.network.linear_classifier import LinearClassifier
from charrnn.suggestions import tuning
from charrnn.suggestions.tuning import Tuned
from charrnn.training import linear_fit
from charrnn.training.clock import Clock

TUNING_WORDS = 1000  # maximum words typed to tune suggestions; not tuned
TUNING_CHARS = 8000  # characters read per word typed; tuning takes a few percent of the time
SAMPLE_ITEMS = 8  # lines in a sample from a model of lines
NOVELTY_ITEMS = 128  # lines sampled to estimate how many are new; not tuned
PREDICTED = 64  # records predicted at a time; not tuned
SHOWN = 100  # maximum characters of a source that is shown in a sample; not tuned
LONGEST_ITEM = 200  # maximum length of a sampled line, characters; not tuned


def sample(model: Model, length: int, random_seed: int, sources: Sequence[str] = ()) -> str:
    """Return sampled text; the same for the same weights and seed.

    Args:
        model: the model to sample from.
        length: number of characters; a model of lines gives SAMPLE_ITEMS lines instead, and a model
            of records a target for each source: the likeliest if it chooses from a list.
        random_seed: seed of the sampling.
        sources: sources of held-out records.
    """
    if model.kind == "lines":
        return "\n".join(_lines(model, SAMPLE_ITEMS, random_seed).values())
    if model.kind == "records":
        sources = sources[:SAMPLE_ITEMS]
        if model.file.trained.targets:
            targets = [each[0].text if each else "" for each in model.predictions(sources)]
        else:
            samples = [
                Sample("", model.sampling(), (0, i), source=source)
                for i, source in enumerate(sources)
            ]
            targets = [*_written(model, samples, random_seed).values()]
        pairs = zip(sources, targets, strict=True)
        return "\n".join(f"{shortened(source)} → {target}" for source, target in pairs)
    return "".join(model.generate(length=length, random_seed=random_seed))


def shortened(source: str) -> str:
    """Return a source on one line of at most SHOWN characters."""
    line = " ".join(source.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def new_items(model: Model, random_seed: int) -> float | None:
    """Return the share of sampled lines that are not in the training text.

    Returns:
        A share from 0 to 1; None for a corpus of another kind, or if no sampled line is complete.
    """
    if model.kind != "lines":
        return None
    lines = _lines(model, NOVELTY_ITEMS, random_seed)
    return model.items.novelty([text for one, text in lines.items() if one.why == "item"])


def predict(
    model: Model, records: Sequence[tuple[str, str]], seconds: float, clock: Clock
) -> tuple[LinearClassifier | None, float | None]:
    """Predict the targets of held-out records, and fit the mixture with the linear classifier.

    Args:
        model: the model that predicts.
        records: source and target of each; fewer are predicted if time is short.
        seconds: time after which no more are predicted.
        clock: measures that time.

    Returns:
        The model's linear classifier with its mixture, None without; and the share of targets that
        are predicted exactly, from 0 to 1, None without records.
    """
    targets, classifier = model.file.trained.targets, model.file.classifier
    stop = clock() + seconds
    done = right = 0
    network, linear = [], []
    while done < len(records) and (not done or clock() < stop):
        some = records[done : done + PREDICTED]
        sources = [model.as_source(source) for source, _ in some]
        if classifier:
            network.append(model.target_logp(sources))
            linear.append(classifier.logp(sources))
        else:
            found = model.predictions(sources)
            expected = [target for _, target in some]
            right += sum(x[0].text == y for x, y in zip(found, expected, strict=True) if x)
        done += len(some)
    if classifier and done:
        labels = np.array([targets.index(t) if t in targets else -1 for _, t in records[:done]])
        both = np.concatenate(network), np.concatenate(linear)
        known = labels >= 0
        if known.any():
            mix = linear_fit.mix(both[0][known], both[1][known], labels[known].tolist())
            classifier = classifier._replace(mix=mix)
        ours, theirs = classifier.mix
        right = int(((ours * both[0] + theirs * both[1]).argmax(1) == labels).sum())
    return classifier, right / done if done else None


def tune(model: Model, held_out: str, read: int, seconds: float, clock: Clock) -> Tuned:
    """Tune the weights of the sources of a model's suggestions by simulated typing.

    Args:
        model: the model that suggests.
        held_out: the text to type.
        read: number of characters read in training; bounds the words typed.
        seconds: maximum time to take.
        clock: measures that time.
    """
    words = min(TUNING_WORDS, read // TUNING_CHARS)
    completer = model.completer()
    with blas.threads(1, 0):
        return tuning.tune(completer, held_out, words, clock() + seconds, clock)


def _lines(model: Model, count: int, random_seed: int) -> dict[Sample, str]:
    """Sample lines and return the text of each."""
    return _written(
        model, [Sample("", model.sampling(), (0, i)) for i in range(count)], random_seed
    )


def _written(model: Model, samples: Sequence[Sample], random_seed: int) -> dict[Sample, str]:
    """Write samples of items; return the text of each."""
    texts = dict.fromkeys(samples, "")
    for part in model.write(samples, StopConfig(chars=LONGEST_ITEM), random_seed):
        texts[part.sample] += part.text
    return texts
