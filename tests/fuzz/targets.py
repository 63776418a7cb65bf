"""What is damaged, and what is then done with it: all that a user would do.

A target's files are made once; each case damages one, reads it and uses what was read. That may
raise a CharrnnError, whose message is shown; nothing else may go wrong.
"""

import bz2
import gzip
import hashlib
import json
import lzma
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from unittest.mock import patch

import numpy as np

import charrnn
from charrnn import __version__
from charrnn.cli.info import info
from charrnn.display.console import write_json, write_text
from charrnn.display.plot.log import read_log, summary
from charrnn.display.plot.page import html
from charrnn.display.plot.terminal import curve
from charrnn.model import Model
from charrnn.network import model_file
from charrnn.network.cells import CELLS
from charrnn.runs import LOG_NAME, MODEL_NAME, RESUME_KEY, RESUME_NAME
from charrnn.suggestions.completer import Completer
from charrnn.suggestions.explanation import Evidence
from charrnn.suggestions.mixture import BEGIN, by_name
from charrnn.suggestions.trigrams import Trigrams
from charrnn.suggestions.typing_history import Learned
from charrnn.text.blocks import END, KINDS, TARGET
from charrnn.text.cache import cached
from charrnn.text.copy_index import Items, WordRuns
from charrnn.text.source import Source
from charrnn.tokenizer import TOKENIZERS
from tests.fuzz.mutations import (
    Random,
    bytes_changed,
    json_changed,
    one_of,
    tensors_changed,
)
from tests.models import CORPUS, random_model, with_ngrams
from tests.strategies import NASTY

KEY = "charrnn"
LONGER = CORPUS * 4


def is_probability(p: float) -> None:
    assert 0 <= p <= 1, f"a probability of {p}"


def use_model(rng: Random, path: Path) -> None:
    """What `info`, `generate`, `complete`, `predict`, `score` and `eval` do with a model."""
    info(str(path), json_lines=False, quiet=False)
    info(str(path), json_lines=True, quiet=False)
    model = charrnn.load(path)
    typed = one_of(rng, ["", "The f", "The fox and the ", "don't", "猫", "\x1b"])
    score = model.score("The crow.\n").to_json()
    json.dumps(score, allow_nan=False)
    assert all(np.isfinite(nats).all() for nats in model.surprisal([typed, "The end."]))
    if model.kind == "records":
        predict(model, typed)
        return
    temperature = one_of(rng, [0.0, 0.5, 1.0, 5.0])
    text = "".join(model.generate(typed, 6, random_seed=1, temperature=temperature))
    write_text(text)
    complete(model.completer(), typed)
    write_text(f"trained on {', '.join(model.file.trained.facts.get('texts', []))}")


def predict(model: Model, source: str) -> None:
    """Predict the target of a source, with and without the list of targets."""
    text = replace(model.file, trained=replace(model.file.trained, targets=()))
    for each in (model, Model(text)):
        for found in each.predictions([source, "", "The crow."], 3):
            for target in found:
                is_probability(target.p)
            assert sum(target.p for target in found) < 1.001
            write_text("\t".join(f"{target.text}\t{target.p:.3f}" for target in found))
    write_text("".join(model.generate("", 6, source=source, random_seed=1)))


def complete(completer: Completer, typed: str) -> None:
    """Let the words after a text be suggested."""
    options = completer.options(typed, 3)
    for weights in (BEGIN, completer.weights):
        total = float(options.probabilities(weights).sum())
        assert math.isclose(total, 1, abs_tol=1e-3), f"probabilities add up to {total}"
    found = completer.complete(typed, 3)
    for completion in found:
        is_probability(completion.p)
    assert sum(completion.p for completion in found) < 1.001
    write_text("\t".join(f"{c.text}\t{c.p:.3f}" for c in found))
    write_json({"typed": typed, "completions": [{"text": c.text, "p": c.p} for c in found]})


def models(folder: Path) -> list[bytes]:
    """A model file of each level and cell, with all that one can hold."""
    files = []
    ngram = Trigrams.build(LONGER).tensors()
    training = {
        "version": "1", "texts": ["a.txt"], "from": None, "train_chars": 900,
        "val_chars": 100, "val_nats": 1.5, "val_bpb": 2.0, "step": 7, "tokens": 900, "epoch": 1.5,
        "seconds_spent": 3.5, "lr": 0.03, "batch": 4, "patience": None,
    }  # fmt: skip
    for level in TOKENIZERS:
        for cell in CELLS:
            whole = with_ngrams(random_model(TOKENIZERS[level].train(LONGER), cell)).file
            whole = replace(
                whole,
                trained=replace(whole.trained, kind="lines", facts=training),
                ngram=ngram,
                mixture=by_name(BEGIN),
                word_runs=WordRuns.build([LONGER]),
                items=Items.build(LONGER.splitlines()),
            )
            model_file.save(folder / MODEL_NAME, whole)
            files.append((folder / MODEL_NAME).read_bytes())
        records = TOKENIZERS[level].train(f"{LONGER}{TARGET}{END}")
        whole = random_model(records, opening=END, kind="records").file
        targets = ["fox", "the fox", "crow", "café 猫"]
        trained = replace(whole.trained, targets=targets, source_field="a", facts=training)
        model_file.save(folder / MODEL_NAME, replace(whole, trained=trained))
        files.append((folder / MODEL_NAME).read_bytes())
    return files


def damage_tensors(key: str, rng: Random, data: bytes) -> bytes:
    return tensors_changed(rng, data, key) if rng.random() < 0.8 else bytes_changed(rng, data)


def resumes(folder: Path) -> list[bytes]:
    """The files of runs that were stopped, whose text stands beside them."""
    from charrnn.training.extras import ModelExtras
    from charrnn.training.fine_tuning import Origin
    from charrnn.training.run import Run
    from tests.training.small import TEXT, finish, trainer

    path = folder / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    files = []
    for origin in (None, Origin(str(folder / MODEL_NAME), Source([str(path)]), 0.1, 0, "0")):
        training = trainer(steps=12, layers=1)
        run = Run(folder, Source([str(path)]), ModelExtras(), origin)
        finish(training, run, stop_at=8)
        files.append((folder / RESUME_NAME).read_bytes())
    return files


def use_resume(rng: Random, path: Path) -> None:
    """What F1, `train --from` and `train --resume` do with one."""
    from charrnn.training import fine_tuning, prepare

    evidence = Evidence.find(path.with_name(MODEL_NAME))
    lines, shared = evidence.lines("The ", "fox")
    write_text("\n".join([*lines, shared]))
    fine_tuning.find(str(path.with_name(MODEL_NAME)))
    trainer, _ = prepare.resume([], path.parent, "cpu", {}, write_text)
    for _ in range(2):
        trainer.update()


def logs(folder: Path) -> list[bytes]:
    from tests.display.plot.logs import start, trained

    rows = [start(), *trained(0, 400)]
    return ["".join(json.dumps(row) + "\n" for row in rows).encode()]


def damage_log(rng: Random, data: bytes) -> bytes:
    if rng.random() < 0.3:
        return bytes_changed(rng, data)
    lines = data.splitlines()
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(len(lines)))
        lines[at] = json.dumps(json_changed(rng, json.loads(data.splitlines()[at]))).encode()
    return b"\n".join(lines)


def use_log(rng: Random, path: Path) -> None:
    log = read_log(path)
    by = one_of(rng, ["seconds", "tokens", "steps", "epochs"])
    write_text(summary(log) + "".join(text for text, _ in curve([log], by)))
    write_text(html([log], by))
    json.dumps(log.to_json(), allow_nan=False)
    write_json(log.to_json())


def learned(folder: Path) -> list[bytes]:
    path = folder / "learned.sqlite"
    Learned(path).learn(CORPUS * 3)
    return [path.read_bytes()]


def use_learned(rng: Random, path: Path) -> None:
    store = Learned(path)
    words = store.words()
    for word, times in store.counts():
        write_text(f"{word}\t{times}")
        write_json({"word": word, "times": times})
    store.learn("a heron slept")
    store.forget("crow")
    complete(small_models()[0].completer(earlier=words), "The f")


CACHED = bytes(range(256)) * 20
CACHE_NAME = f"charrnn/texts/{hashlib.sha256(json.dumps([__version__]).encode()).hexdigest()}"


def build(file: BinaryIO) -> dict[str, Any]:
    file.write(CACHED)
    return {"tokens": len(CACHED)}


def caches(folder: Path) -> list[bytes]:
    with kept_in(folder / CACHE_NAME):
        cached(build)
    (path,) = (folder / "charrnn" / "texts").iterdir()
    return [path.read_bytes()]


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Within, what is kept of a text is in that file."""
    with patch.dict(os.environ, XDG_CACHE_HOME=str(path.parents[2])):
        yield


def damage_cache(rng: Random, data: bytes) -> bytes:
    nested = rng.random() < 0.1
    return (b"[" * 4096 + data[4096:]) if nested else bytes_changed(rng, data)


def use_cache(rng: Random, path: Path) -> None:
    with kept_in(path):
        data, values = cached(build)
    assert data.tobytes() == CACHED
    assert values == {"tokens": len(CACHED)}


def texts(folder: Path) -> list[bytes]:
    some = [CORPUS, "".join(NASTY.values()), "<p>The fox</p>\r\nnaïve café\r" * 9]
    rows = [{"text": text, "more": 1} for text in some]
    tables = ["".join(json.dumps(row) + "\n" for row in rows), f'text,more\n"{CORPUS}",1\na,2\n']
    encoded = [text.encode("utf-8", "replace") for text in (*some, *tables)]
    encoded += [CORPUS.encode(encoding) for encoding in ("utf-16", "utf-32-le", "cp1252")]
    packed = [pack(CORPUS.encode()) for pack in (gzip.compress, bz2.compress, lzma.compress)]
    return [*encoded, *packed]


def use_text(rng: Random, path: Path) -> None:
    """What all commands that read a text do with one."""
    ending = one_of(rng, [".txt", ".txt", ".jsonl", ".csv", ".tsv", ".gz", ".bz2", ".xz", ".zst"])
    named = path.rename(path.with_suffix(ending))
    field = one_of(rng, [None, "text", "more"]) if ending in (".jsonl", ".csv", ".tsv") else None
    errors = one_of(rng, ["strict", "replace", "skip"])
    kind = one_of(rng, [*KINDS])
    source = Source([str(named)], None, errors, None, field, kind)
    text = source.read(write_text)[:3000]
    write_json({"text": text})
    write_text(text)
    model = one_of(rng, small_models())
    tokenizer = model.file.tokenizer
    assert tokenizer.decode(tokenizer.encode(text[:500])) == text[:500]
    json.dumps(model.score(text[:40]).to_json(), allow_nan=False)
    complete(model.completer(), text[-60:])


@cache
def small_models() -> list[Model]:
    """A whole model of each level."""
    return [random_model(tokenizer.train(LONGER)) for tokenizer in TOKENIZERS.values()]


class Target(NamedTuple):
    """A kind of file.

    Attributes:
        share: of the cases, in parts of the sum of all shares.
        name: of the file that is read, in a folder of its own.
        whole: makes whole files in that folder.
        damage: changes the bytes of one.
        use: reads the damaged file and does with it all that a user would do.
    """

    share: int
    name: str
    whole: Callable[[Path], list[bytes]]
    damage: Callable[[Random, bytes], bytes]
    use: Callable[[Random, Path], None]


TARGETS = {
    "model": Target(70, MODEL_NAME, models, partial(damage_tensors, KEY), use_model),
    "text": Target(10, "text", texts, bytes_changed, use_text),
    "log": Target(5, LOG_NAME, logs, damage_log, use_log),
    "resume": Target(3, RESUME_NAME, resumes, partial(damage_tensors, RESUME_KEY), use_resume),
    "cache": Target(3, CACHE_NAME, caches, damage_cache, use_cache),
    "learned": Target(3, "learned.sqlite", learned, bytes_changed, use_learned),
}
