"""Small models of random weights."""

from dataclasses import replace

import numpy as np

from charrnn.config import ModelConfig, StopConfig
from charrnn.generation.sample import Sample
from charrnn.model import Model
from charrnn.network.cells import tensor_shapes
from charrnn.network.model_file import ModelFile, Trained
from charrnn.network.ngrams import Ngrams
from charrnn.suggestions.completer import Completer, Completion
from charrnn.suggestions.passed_over import Dismissals
from charrnn.suggestions.trigrams import Trigrams
from charrnn.tokenizer import CharTokenizer, Tokenizer

WITH_UNSEEN = ("char", "word", "bpe")  # levels to which a character may be new
CORPUS = """\
The fox and the crow. The crow sat on a branch, and the fox sat under the branch.
"Don't sing," said the crow; the fox said: "Don't sing!" and the crow didn't.
    It's café time, it's naïve.\tThe end, the end.
"""


Table = dict[str, list[tuple[str, float]]]


class KnownCompleter(Completer):
    """A completer whose completions are in a table, by what is typed."""

    def __init__(self, table: Table) -> None:
        tokenizer = CharTokenizer.train(CORPUS)
        model = random_model(tokenizer)
        super().__init__(model.engine, tokenizer, model.engine.zero_state(), Trigrams.build(""))
        self._table = table

    def _ranked(
        self, typed: str, k: int, dismissals: Dismissals | None, space: str = ""
    ) -> list[Completion]:
        del dismissals  # the table does not depend on them
        found = [Completion(text, p) for text, p in self._table.get(typed, [])]
        return [each for each in found if each.text.startswith(" ") == bool(space)][:k]

    def _space(self, typed: str) -> float:
        del typed
        return 1.0


def random_model(
    tokenizer: Tokenizer,
    cell: str = "lstm",
    *,
    opening: str = "\n",
    kind: str = "text",
    favourite: str | int | None = None,
    by: float = 1000,
) -> Model:
    """A model of random weights.

    Args:
        kind: the corpus kind,
        opening: text that it starts from,
        favourite: a token, or its id, that it finds likelier than it would,
        by: so many nats; by default it always is the likeliest.
    """
    config = ModelConfig(tokenizer.vocab_size, cell, layers=2, hidden=12, embedding=6)
    rng = np.random.default_rng(0)
    weights = {
        name: (0.5 * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    if cell == "rnn-relu":  # an unbounded unit must forget
        weights |= {name: w * 0.3 for name, w in weights.items() if name.endswith("recurrent")}
    if tokenizer.level == "byte":  # what a trained network would hardly write: no characters
        weights["output_bias"][[i for i in range(256) if i > 127 or chr(i) not in CORPUS]] -= 30
    if isinstance(favourite, str):
        favourite = tokenizer.tokens.index(favourite)
    if favourite is not None:
        weights["output_bias"][favourite] += by
    return Model(ModelFile(config, tokenizer, weights, Trained(kind, opening)))


def with_ngrams(model: Model, order: int = 4, mix: tuple[float, float] = (0.6, 0.5)) -> Model:
    """The same model, mixed with n-grams of CORPUS."""
    from charrnn.training.ngram_counts import estimate  # imports torch

    file = model.file
    size = file.config.vocab_size
    ids = file.tokenizer.known(file.tokenizer.encode(CORPUS))
    return Model(
        replace(
            file,
            config=replace(file.config, ngram_order=order),
            weights={**file.weights, "mix": np.array([mix] * order, np.float32)},
            ngrams=Ngrams(size, estimate(ids, size, order, 1000)),
        )
    )


def texts_of(
    model: Model, samples: list[Sample], stop: StopConfig, random_seed: int = 0
) -> list[str]:
    """What each sample says."""
    texts = {id(sample): "" for sample in samples}
    for part in model.write(samples, stop, random_seed):
        texts[id(part.sample)] += part.text
    return [*texts.values()]
