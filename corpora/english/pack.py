"""Pack a run that was trained on english.txt into the model that comes with charrnn.

    python -m corpora.english.pack RUN [--text FILE] [--output FILE]

The network's weights are rounded to float16. N-grams of characters and trigrams of words are
counted anew in the whole training part, of which the most frequent are kept. What they weigh is
fitted to the held-out part.
"""

import argparse
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from charrnn.model import Model
from charrnn.network import model_file
from charrnn.network.model_file import ModelFile
from charrnn.network.ngrams import Ngrams
from charrnn.runs import MODEL_NAME, MODELS
from charrnn.suggestions.mixture import by_name
from charrnn.suggestions.trigrams import Trigrams
from charrnn.suggestions.tuning import tune
from charrnn.text.words import WORD
from charrnn.training import ngram_counts
from charrnn.training.mixing import MixFit
from charrnn.training.network import Network
from charrnn.training.validation import evaluate
from corpora.english.build import SOURCES, TEXT

TRIE = 1_150_000  # most frequent n-grams of characters and their contexts
WORDS = 40_000  # most frequent words that can be suggested
TRIGRAMS = 250_000  # most frequent pairs of words, and triples
TYPED = 2000  # words of the held-out part that are typed to fit the weights of the sources
# Slurs, which are not suggested: the beginnings of the SHA-256 of their lower-case forms.
SLURS = {*Path(__file__).with_name("slurs.txt").read_text(encoding="utf-8").split()}
STEPS, FITTED = 6, 50_000  # of Newton's method, and characters of the held-out part that it reads


def is_slur(word: str) -> bool:
    return hashlib.sha256(word.lower().encode()).hexdigest()[:10] in SLURS


def without_slurs(text: str) -> str:
    """Leave out the lines that contain slurs."""
    lines = text.split("\n")
    return "\n".join(line for line in lines if not any(map(is_slur, WORD.findall(line))))


def with_ngrams(file: ModelFile, train: str, held_out: str) -> ModelFile:
    """Count n-grams of characters, and fit what they weigh."""
    tokenizer = file.tokenizer
    ids, val = (np.array(tokenizer.known(tokenizer.encode(t))) for t in (train, held_out))
    size, order = file.config.vocab_size, file.config.ngram_order
    ngrams = Ngrams(size, ngram_counts.estimate(ids, size, order, TRIE))
    network = Network(file.config, torch.Generator())
    network.load({name: torch.from_numpy(weight) for name, weight in file.weights.items()})
    for _ in range(STEPS):
        fit = MixFit(order)
        evaluate(network, torch.from_numpy(ids), torch.from_numpy(val), FITTED, ngrams, fit)
        network.mix.copy_(fit.step(network.mix))
    loss = evaluate(network, torch.from_numpy(ids), torch.from_numpy(val), None, ngrams).mean
    print(f"{loss:.4f} nats per character", file=sys.stderr)
    weights = {**file.weights, "mix": network.mix.detach().numpy()}
    facts = {**file.trained.facts, "val_nats": loss}
    trained = replace(file.trained, facts=facts)
    return replace(file, ngrams=ngrams, weights=weights, trained=trained)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--output", type=Path, default=MODELS / "english.safetensors")
    options = parser.parse_args()
    file = model_file.load(options.run / MODEL_NAME)
    text = options.text.read_text(encoding="utf-8")
    chars = int(file.trained.facts["train_chars"])
    train, held_out = text[:chars], text[chars:]
    file = with_ngrams(file, train, held_out)
    texts = [f"{source.title} ({source.licence})" for source in SOURCES.values()]
    file = replace(
        file,
        trained=replace(file.trained, facts={**file.trained.facts, "texts": texts}),
        ngram=Trigrams.build(without_slurs(train), most_tokens=WORDS, most=TRIGRAMS).tensors(),
    )
    tuned = tune(Model(file).completer(), held_out, TYPED)
    print(f"saves {tuned.saved or 0:.1%} of keystrokes", file=sys.stderr)
    options.output.parent.mkdir(exist_ok=True)
    model_file.save(options.output, replace(file, mixture=by_name(tuned.weights)), half=True)


if __name__ == "__main__":
    main()
