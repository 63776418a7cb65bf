"""Fine-tuning: a network starts from the weights of an earlier run and learns a new text."""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from charrnn import runs
from charrnn.arrays import bits
from charrnn.checked import check_types, made
from charrnn.config import TrainingConfig
from charrnn.errors import CharrnnError, RunError, UsageError
from charrnn.model import Model
from charrnn.network import model_file
from charrnn.network.model_file import ModelFile
from charrnn.network.ngrams import Ngrams
from charrnn.runs import RESUME_NAME
from charrnn.scoring import WARM_UP_TOKENS
from charrnn.suggestions.trigrams import Trigrams
from charrnn.text import known
from charrnn.text.source import Source
from charrnn.tokenizer import Tokenizer
from charrnn.training import checkpoint, ngram_counts, ngram_interpolation
from charrnn.training.corpus import Corpus
from charrnn.training.network import Network
from charrnn.training.ngram_interpolation import predictions

ENGLISH = "english"  # the model that comes with charrnn
JUDGED = 1 << 19  # maximum characters of a text that are read to decide how to start (not tuned)
# Maximum bits per character of its n-grams as a multiple of those of the text's own: 0.75 to 1.29
# for English of 20 KB to 1 MB, 1.67 and more for other languages, code and names.
MOST_BITS = 1.4
SHORT_ITEM = 40  # mean characters of a line below which lines start from nothing (see `english`)
TESTED = 20_000  # maximum characters at their end that are predicted (not tuned)
VOCABULARY_TENSORS = ("embedding", "output", "output_bias")  # tensors with a row for each token


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that is fine-tuned, and where to find its text.

    Attributes:
        model: path of the run's model file, or name of a model that comes with charrnn.
        source: the run's text; None if only the model file is available.
        val: share of that text that was held out.
        seed: seed of the choice of what was held out.
        fingerprint: hash of that text.
    """

    model: str
    source: Source | None = None
    val: float = 0.0
    seed: int = 0
    fingerprint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields, as they are written to files."""
        return asdict(self) | {"source": self.source and self.source.to_json()}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the origin that `to_json` describes.

        Raises:
            ValueError: the JSON does not describe an origin.
            UsageError: its source has an invalid option.
        """
        if not isinstance(values, dict):
            raise ValueError("it does not say what it was fine-tuned from")
        values = dict(values)
        source = values.pop("source", None)
        kinds = {"model": str, "val": float, "seed": int, "fingerprint": str}
        if values.keys() - kinds.keys() or "model" not in values:
            raise ValueError("it does not say what it was fine-tuned from")
        check_types(values, kinds)
        if not (0 <= values.get("val", 0) < 1 and values.get("seed", 0) >= 0):
            raise ValueError("its val or seed for the first text is invalid")
        return cls(**values, source=None if source is None else Source.from_json(source))

    def held_out(self, tokenizer: Tokenizer) -> Corpus | None:
        """Return the corpus of the old text, or None if the text is missing or has changed.

        Args:
            tokenizer: the tokenizer to encode it with.

        Returns:
            The corpus; of its training part, only the end, as context for validation.
        """
        if not self.source or not self.source.lasts:
            return None
        try:
            with known.split(self.source, self.val, self.seed) as parts:
                corpus = Corpus.prepare(parts, lambda _: tokenizer)
        except CharrnnError:
            return None
        if corpus.fingerprint != self.fingerprint:
            return None
        return replace(corpus, train=corpus.train[-WARM_UP_TOKENS:].clone())


class Start(NamedTuple):
    """What a network starts from.

    Attributes:
        origin: the run, and where its text is.
        model: its model.
    """

    origin: Origin
    model: ModelFile

    @property
    def trigrams(self) -> Trigrams | None:
        """The model's trigrams; None without.

        Raises:
            ModelFileError: they are damaged.
        """
        return Model(self.model).ngram if self.model.ngram else None

    def ngrams(self, vocab_size: int) -> Ngrams | None:
        """Return the model's n-grams for an extended vocabulary; None without."""
        return self.model.ngrams and self.model.ngrams.extended(vocab_size)


def ngrams(theirs: Ngrams, corpus: Corpus, order: int, seconds: float | None) -> Ngrams:
    """Return n-grams of a text, interpolated with those of the model that is fine-tuned.

    Args:
        theirs: n-grams of that model.
        corpus: the text.
        order: maximum tokens of an n-gram.
        seconds: see `ngram_counts.of_corpus`.
    """
    size = corpus.tokenizer.vocab_size
    own = ngram_counts.of_corpus(corpus, size, order, seconds)
    return ngram_interpolation.joined(own, theirs, corpus.val.numpy(), size)


def find(run: str) -> Start:
    """Return the model that `--from` names, and what is known of its text.

    Args:
        run: name of a run or of a model that comes with charrnn, a run folder or a model file.

    Raises:
        CharrnnError: there is no such model, or it is damaged.
    """
    path = runs.find(run)
    model = model_file.load(path)
    if path.parent == runs.MODELS:
        return Start(Origin(path.stem), model)
    try:
        _, values = checkpoint.load(path.with_name(RESUME_NAME))
        source = Source.from_json(values["source"]).absolute()
        training = made(TrainingConfig, values["training"])
        fingerprint = str(values["fingerprint"])
        return Start(Origin(str(path), source, training.val, training.seed, fingerprint), model)
    except (RunError, UsageError, KeyError, ValueError):
        return Start(Origin(str(path)), model)


def english(sample: str, kind: str) -> tuple[Start | None, str]:
    """Decide whether a network for a text should start from the model `english`.

    It should if that model's n-grams predict the end of the text about as well as those of the rest
    of the text do. Short items are learned from nothing: in 15 s it does not unlearn to write whole
    sentences, and names of 7 and titles of 25 characters have a loss of 2.47 and 1.71 nats/char
    instead of 2.57 and 1.73; sentences of 54 have 1.10 instead of 1.42.

    Args:
        sample: sample of the training part.
        kind: a key of KINDS.

    Returns:
        What to start from (None for nothing), and a line that says so.
    """
    if kind == "lines" and len(sample) < SHORT_ITEM * (sample.count("\n") + 1):
        return None, "starting from nothing, not from english: the lines are short"
    start = find(ENGLISH)
    sample = sample[-JUDGED:]
    tokenizer = start.model.tokenizer.extended(sample)
    ids, size = np.asarray(tokenizer.encode(sample)), tokenizer.vocab_size
    theirs = start.ngrams(size)
    assert theirs
    cut = len(ids) - max(1, min(TESTED, len(ids) // 5))
    own = Ngrams(size, ngram_counts.estimate(ids[:cut], size, theirs.order, len(ids)))
    alone, known = (
        bits(-np.log(predictions(ngrams, ids[cut:])).mean()) for ngrams in (own, theirs)
    )
    told = f"its n-grams predict the text at {known:.2f} bits/char, the text's own at {alone:.2f}"
    if known > MOST_BITS * alone:
        return None, f"starting from nothing, not from english: {told}"
    return start, f"starting from english (turn off with --from none): {told}"


@torch.no_grad()
def take_over(network: Network, tokenizer: Tokenizer, model: ModelFile) -> None:
    """Copy another model's weights into a network, matching vocabulary rows by token.

    To the old network a new token was unknown, so its output row starts as that of the unknown
    token. Its embedding stays randomly initialised, so that new tokens differ.

    Args:
        network: the network to change; of the model's shape, vocabulary aside.
        tokenizer: the model's tokenizer, extended by new tokens.
        model: the model to copy from.
    """
    ids = {token: i for i, token in enumerate(tokenizer.tokens)}
    rows = [ids[token] for token in model.tokenizer.tokens]
    weights: dict[str, Tensor] = {}
    for name, fresh in network.parameters_by_name().items():
        old = torch.from_numpy(model.weights[name])
        weights[name] = old
        if name in VOCABULARY_TENSORS:
            weights[name] = fresh.detach().clone().cpu()
            if name != "embedding":
                weights[name][:] = old[-1]
            weights[name][rows] = old
    network.load(weights)
