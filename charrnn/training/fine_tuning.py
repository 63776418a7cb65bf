"""Fine-tuning: a network starts from the weights of an earlier run and learns a new text."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from charrnn import runs
from charrnn.checked import check_types, made
from charrnn.config import ModelConfig, TrainingConfig
from charrnn.errors import CharrnnError, RunError, UsageError
from charrnn.network import model_file
from charrnn.network.model_file import ModelFile
from charrnn.network.ngrams import Ngrams
from charrnn.runs import MODEL_NAME, RESUME_NAME
from charrnn.scoring import WARM_UP_TOKENS
from charrnn.text.source import Source
from charrnn.text.split import Parts
from charrnn.tokenizer import Tokenizer
from charrnn.training import checkpoint
from charrnn.training.corpus import Corpus
from charrnn.training.network import Network

VOCABULARY_TENSORS = ("embedding", "output", "output_bias")  # tensors with a row for each token


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that is fine-tuned, and where to find its text.

    Attributes:
        model: path of the run's model file.
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
            with self.source.kept() as blocks:
                parts = Parts.of(blocks, self.val, self.source.kind, self.seed)
                corpus = Corpus.prepare(parts, lambda _: tokenizer)
        except CharrnnError:
            return None
        if corpus.fingerprint != self.fingerprint:
            return None
        return replace(corpus, train=corpus.train[-WARM_UP_TOKENS:].clone())


def find(run: str) -> tuple[Origin, ModelFile]:
    """Return the model that `--from` names, and its origin with what is known of its text.

    Args:
        run: name of a run, a run folder or a model file.

    Raises:
        CharrnnError: there is no such model, or it is damaged.
    """
    path = runs.find(run)
    model = model_file.load(path)
    try:
        _, values = checkpoint.load(path.with_name(RESUME_NAME))
        source = Source.from_json(values["source"]).absolute()
        training = made(TrainingConfig, values["training"])
        fingerprint = str(values["fingerprint"])
        return Origin(str(path), source, training.val, training.seed, fingerprint), model
    except (RunError, UsageError, KeyError, ValueError):
        return Origin(str(path)), model


def ngrams(path: Path, origin: Origin | None, network: ModelConfig) -> Ngrams | None:
    """Return the n-grams of a run that is resumed: of its own model, or of that it began with.

    Args:
        path: the run folder.
        origin: where the run began, if it is fine-tuned.
        network: the run's network.

    Returns:
        None if the run has no model yet, and began with none.

    Raises:
        ModelFileError: a model is damaged, or that the run began with is missing.
    """
    own = path / MODEL_NAME
    if own.exists():
        model = model_file.load(own)
        if model.config == network:
            return model.ngrams
    found = model_file.load(Path(origin.model)).ngrams if origin else None
    return found and found.extended(network.vocab_size)


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
