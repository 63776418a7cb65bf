"""Prepares a training: a new one from a text, or one that is resumed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from charrnn import tokenizer
from charrnn.checked import made
from charrnn.config import ModelConfig, TrainingConfig, require
from charrnn.errors import RunError, TextError, UsageError
from charrnn.files import is_missing, quoted
from charrnn.network import model_file
from charrnn.network.model_file import config_from
from charrnn.runs import MODEL_NAME, RESUME_NAME
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text import known
from charrnn.text.advice import advice
from charrnn.text.encodings import Note, unnoted
from charrnn.text.source import Source, comes_once
from charrnn.tokenizer import TOKENIZERS, Tokenizer
from charrnn.training import checkpoint, devices, fine_tuning, memory, recipe
from charrnn.training.corpus import SHORTEST, Corpus
from charrnn.training.extras import ModelExtras
from charrnn.training.fine_tuning import Origin
from charrnn.training.lockstep import introduce
from charrnn.training.probe import WINDOW, probe
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.recipe import LIMITS, SHAPE, choose
from charrnn.training.run import Run
from charrnn.training.trainer import Trainer

MAX_VOCAB_SIZE = 1_000_000  # maximum of --vocab-size

Setup = tuple[Trainer, Run]  # a training and the run that it is saved to


class Finished(UsageError):
    """A run that is to be resumed has made all its steps."""


def begin(
    source: Source,
    path: Path,
    device: str,
    level: str,
    options: dict[str, Any],
    parent: str = "none",
    vocab_size: int | None = None,
    note: Note = unnoted,
    ranks: Ranks = ALONE,
) -> Setup:
    """Read and tokenize a text and create a network.

    Args:
        source: the text; it is normalised only if the parent's was, and never at byte level.
        path: the run folder, claimed by charrnn.runs.new.
        device: auto, cpu or cuda.
        level: a key of TOKENIZERS, or `auto` to choose one; ignored with a parent.
        options: fields of ModelConfig and TrainingConfig that the user has set.
        parent: what to fine-tune: the name of a run, run folder or model file; `none` for a new
            network; `auto` for the model `english` where it helps.
        vocab_size: maximum number of tokens; None to choose by the level and the text.
        note: called with what was guessed about the text, and the progress of reading it.
        ranks: the processes that train together, this one being rank 0.

    Raises:
        CharrnnError: an option is invalid, the text cannot be read or is too short, or there is no
            such parent. Nothing is written.
    """
    levels = ("auto", *TOKENIZERS)
    require(level in levels, f"no level named {level!r}; use one of {', '.join(levels)}")
    require(
        vocab_size is None or 2 <= vocab_size <= MAX_VOCAB_SIZE,
        f"vocab_size must be from 2 to {MAX_VOCAB_SIZE:,}",
        "vocab_size",
    )
    where = devices.named(device)
    start = None if parent in ("auto", "none") else fine_tuning.find(parent)
    open_to_english = (
        parent == "auto"
        and level in ("auto", "char")
        and source.normalise
        and vocab_size is None
        and not options.keys() & {*SHAPE}
    )
    chosen: list[str] = []  # notes that are shown once nothing can fail any more

    def tokenize(sample: str) -> Tokenizer:
        nonlocal start, level
        if open_to_english and len(sample) >= SHORTEST:
            start, line = fine_tuning.english(sample, source.kind)
            chosen.append(line)
        if start:
            return start.model.tokenizer.extended(sample)
        if level == "auto":
            level, reason = recipe.choose_level(sample)
            chosen.append(f"level {level}, since {reason}")
        return TOKENIZERS[level].train(sample, vocab_size)

    if start:
        level = start.model.tokenizer.level
        source = replace(source, normalise=source.normalise and start.model.trained.normalised)
    if level == "byte":
        source = replace(source, normalise=False)
    # Check options before reading a long text; the final choices depend on it.
    _, training = _configure("char", 10**6, 100, options, 1.0)
    corpus, extras = _prepare(
        source, training, tokenize, note, lambda: start and start.trigrams, ranks, advise=True
    )
    require(
        bool(start) or not options.get("anchor"),
        "anchor is for fine-tuning, and this network starts from nothing; leave it out",
        "anchor",
    )
    if start:
        level = start.model.tokenizer.level
        shape = {name: getattr(start.model.config, name) for name in SHAPE}
        optimizer = options.get("optimizer", "muon")
        options = recipe.fine_tuning(len(corpus.train), optimizer) | options | shape
        corpus = replace(corpus, old=start.origin.held_out(corpus.tokenizer))
    model, training, speed = _chosen(level, corpus, options, where, ranks)
    theirs = start and start.ngrams(model.vocab_size)
    ngrams = theirs and fine_tuning.ngrams(theirs, corpus, model.ngram_order, training.seconds)
    introduce(ranks, source, model, training, corpus, bool(start))
    trainer = Trainer(model, training, corpus, where, ngrams, theirs, ranks)
    if start:
        fine_tuning.take_over(trainer.network, corpus.tokenizer, start.model)
        trainer.optimizer.set_anchor()
        trainer.share_state(trainer.network.zero_state(training.batch))
        trainer.remember()
    for line in chosen:
        note(line)
    run = Run(path, source, extras, start and start.origin)
    run.mixture = start and start.model.mixture
    run.speed = speed
    if parent == "auto":
        parent = start.origin.model if start else "none"
    run.command = recipe.command(source, level, vocab_size, parent, model, training)
    return trainer, run


def resume(
    texts: list[str],
    path: Path,
    device: str,
    limits: dict[str, Any],
    note: Note = unnoted,
    ranks: Ranks = ALONE,
) -> Setup:
    """Resume a run where it was saved.

    Args:
        texts: paths of its texts if they have moved; empty for the paths it began with.
        path: the run folder, claimed by charrnn.runs.resumed.
        device: auto, cpu or cuda.
        limits: fields of TrainingConfig that say when to stop, if they change.
        note: see `begin`.
        ranks: see `begin`; there may be more or fewer than before.

    Raises:
        Finished: the run has made all its steps.
        CharrnnError: the run is damaged, or its text is missing or has changed.
    """
    where = devices.named(device)
    tensors, values = checkpoint.load(path / RESUME_NAME)
    with checkpoint.damage(path / RESUME_NAME):
        config = made(TrainingConfig, values["training"])
        network = config_from(values["model"])
        source = Source.from_json(values["source"])
        origin = None if values["origin"] is None else Origin.from_json(values["origin"])
        vocabulary = tokenizer.from_json(values["tokenizer"])
        fingerprint = values["fingerprint"]
        checkpoint.check_sizes(tensors, network, config, vocabulary)
    if limits.keys() & LIMITS:  # a new limit replaces all earlier ones
        limits = dict.fromkeys(LIMITS) | limits
    config = replace(config, **limits)
    if texts:
        source = replace(source, paths=texts)
    for text in source.paths:
        if text != "-" and not texts and is_missing(text):
            raise TextError(
                f"{text} does not exist",
                f"if it has moved: charrnn train TEXT --resume -m {quoted(path)}",
            )
        if not texts and comes_once(text):
            raise TextError(
                f"{text} is a pipe or a device, which cannot be read again",
                f"give the text again: charrnn train TEXT --resume -m {quoted(path)}",
            )
    saved = path / MODEL_NAME
    own = model_file.load(saved) if saved.exists() else None
    start = None if own or not origin else fine_tuning.find(origin.model)
    corpus, extras = _prepare(
        source, config, lambda _: vocabulary, note, lambda: start and start.trigrams, ranks
    )
    if own:
        extras = replace(extras, ngram=own.ngram, classifier=own.classifier)
    if corpus.fingerprint != fingerprint:
        raise RunError(
            f"the text is not the one that {path} was trained on",
            "give that text, or start a new run without --resume",
        )
    if origin:
        corpus = replace(corpus, old=origin.held_out(vocabulary))
    theirs = start and start.ngrams(network.vocab_size)
    ngrams = theirs and fine_tuning.ngrams(theirs, corpus, network.ngram_order, config.seconds)
    anchored = bool(checkpoint.under("optimizer.anchor", tensors))  # older files may lack it
    introduce(ranks, source, network, config, corpus, anchored)
    own_ngrams = own.ngrams if own else ngrams
    trainer = Trainer(network, config, corpus, where, own_ngrams, theirs, ranks)
    if anchored:
        trainer.optimizer.set_anchor()
    with checkpoint.damage(path / RESUME_NAME):
        trainer.check(tensors, values)
    trainer.restore(tensors, values)
    if trainer.finished:
        raise Finished(
            f"{path} is finished: {trainer.step:,} steps in {trainer.progress.seconds:.0f} s",
            "give a larger --time, --epochs or --steps to go on",
        )
    run = Run(path, source, extras, origin)
    if before := own or (start and start.model):
        run.mixture = before.mixture
    return trainer, run


def _prepare(
    source: Source,
    training: TrainingConfig,
    tokenize: Callable[[str], Tokenizer],
    note: Note,
    prior: Callable[[], Trigrams | None],
    ranks: Ranks,
    advise: bool = False,
) -> tuple[Corpus, ModelExtras]:
    """Read, split, tokenize and index a text.

    Args:
        source: the text.
        training: how to split it.
        tokenize: makes the tokenizer from a sample of the training part.
        note: called with the progress of reading a long text.
        prior: called after `tokenize` for the trigrams of the model that is fine-tuned.
        ranks: the processes that read it.
        advise: whether to note hints about the text.
    """
    if ranks.size > 1 and not source.lasts:
        raise UsageError(
            "standard input and pipes cannot be read by several processes", "name a file"
        )
    with known.split(source, training.val, training.seed, note) as parts:
        for hint in advice(source, parts, training.val) if advise else ():
            note(f"hint: {hint}")
        corpus = Corpus.prepare(parts, tokenize, note)
        return corpus, ModelExtras.of(corpus, parts, prior(), training.seconds)


def _chosen(
    level: str, corpus: Corpus, options: dict[str, Any], device: torch.device, ranks: Ranks
) -> tuple[ModelConfig, TrainingConfig, float]:
    """Choose the options that are not set; return them and the device's speed."""
    tokens, entries = len(corpus.train), corpus.tokenizer.vocab_size

    def units(speed: float) -> int:
        return int(choose(level, tokens, entries, options, speed * ranks.size)["hidden"])

    speed, measured = _measured(device, tokens, units)
    speed *= ranks.size
    if corpus.kind == "records" and corpus.train_documents:
        lengths = corpus.train_documents.lengths
        budget, optimizer = options.get("seconds"), options.get("optimizer", "muon")
        measured = recipe.records(lengths, budget, speed, optimizer)
    values = measured | options
    model, training = _configure(level, tokens, entries, values, speed)
    while (
        "batch" in measured.keys() - options.keys()
        and training.batch > 1
        and not memory.fits(model, training, device)
    ):
        values["batch"] = training.batch // 2
        model, training = _configure(level, tokens, entries, values, speed)
    return model, training, speed


def _measured(
    device: torch.device, tokens: int, units: Callable[[float], int]
) -> tuple[float, dict[str, Any]]:
    """Return the speed of a device, see recipe.speed, and the options that follow from it.

    Args:
        device: the device.
        tokens: number of tokens in the training part.
        units: returns the units of a layer to choose, given the speed of the device.
    """
    if not devices.queues(device):
        return recipe.speed(), {}
    speed, streams, most = probe(device, units)
    batch = max(1, min(streams, tokens // (4 * WINDOW)))
    return speed, {"batch": batch, "hidden": min(most, units(speed))}


def _configure(
    level: str, tokens: int, vocab_size: int, options: dict[str, Any], speed: float
) -> tuple[ModelConfig, TrainingConfig]:
    """Choose the options that the user has not set; raise UsageError for one out of range."""
    # Checked first: `choose` computes with the options.
    TrainingConfig(**({"steps": 1} | {k: v for k, v in options.items() if k not in SHAPE}))
    values = choose(level, tokens, vocab_size, options, speed)
    shape = {name: values.pop(name) for name in SHAPE}
    return ModelConfig(vocab_size, **shape), TrainingConfig(**values)
