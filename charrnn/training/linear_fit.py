"""Fits the linear classifier of a corpus of records, and how much it counts beside the network."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.arrays import Floats
from charrnn.network.linear_classifier import LinearClassifier, counted, features

MOST_WEIGHTS = 1 << 21  # maximum buckets times targets: 4 MB in a model file (not tuned)
MOST_BUCKETS = 1 << 18  # maximum buckets (not tuned)
MOST_VALUES = 1 << 23  # maximum n-grams of all texts together (not tuned)
MOST_PRODUCTS = 1 << 26  # maximum n-grams times targets (not tuned)
PRODUCTS_PER_SECOND = 500_000  # for each second of the time budget; takes an eighth of it
VALUES_PER_CHAR = 5  # n-grams for each character of a text, at most
STRENGTH = 10.0  # inverse strength of the regularisation: C of scikit-learn (not tuned)
ITERATIONS = 60  # maximum steps of L-BFGS (not tuned)


def most_values(targets: int, seconds: float | None) -> int:
    """Return how many n-grams of texts to learn from.

    Args:
        targets: number of targets.
        seconds: time budget of the training; None for none.
    """
    products = MOST_PRODUCTS if seconds is None else seconds * PRODUCTS_PER_SECOND
    return int(min(MOST_VALUES, products / targets, MOST_PRODUCTS / targets))


def fit(
    records: Iterable[tuple[str, str]], targets: Sequence[str], most: int = MOST_VALUES
) -> LinearClassifier | None:
    """Fit a logistic regression on TF-IDF values of character n-grams.

    Args:
        records: source and target of each.
        targets: the targets, at least two.
        most: n-grams after which no more records are read.

    Returns:
        The classifier, without its mixture; None if there are no records.
    """
    buckets = min(MOST_BUCKETS, 1 << (MOST_WEIGHTS // len(targets)).bit_length() - 1)
    numbers = {target: i for i, target in enumerate(targets)}
    texts: list[str] = []
    labels: list[int] = []
    read = 0
    frequency = np.zeros(buckets)
    for source, target in records:
        ids, _ = counted(source, buckets)
        read += len(ids)
        if texts and read > most:
            break
        frequency[ids] += 1
        texts.append(source)
        labels.append(numbers[target])
    if not texts:
        return None
    idf = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
    found = [features(text, idf) for text in texts]
    rows = np.cumsum([0, *(len(ids) for ids, _ in found)])
    columns, values = (np.concatenate(each) for each in zip(*found, strict=True))
    crow, col, x = (torch.from_numpy(part) for part in (rows, columns, values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls sparse matrices a beta feature
        matrix = torch.sparse_csr_tensor(crow, col, x, size=(len(texts), buckets))
    most_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, two would wait for each other
    try:
        weights = _regression(matrix, torch.tensor(labels), len(targets))
    finally:
        torch.set_num_threads(most_threads)
    return LinearClassifier(idf, weights.numpy())


def _regression(matrix: Tensor, labels: Tensor, targets: int) -> Tensor:
    """Return the weights of a logistic regression with a Gaussian prior, float32 [F, K].

    Args:
        matrix: features of each text, sparse CSR, float32 [D, F].
        labels: label of each text, int64 [D].
        targets: K.
    """
    texts = len(labels)
    transposed = matrix.t().to_sparse_csr()
    right = F.one_hot(labels, targets).float()
    weights = torch.zeros(matrix.shape[1], targets)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        # By hand, since the gradient of a sparse product is slow.
        logp = (matrix @ weights).log_softmax(1)
        weights.grad = (transposed @ (logp.exp() - right) + weights / STRENGTH) / texts
        prior = weights.square().sum() / (2 * STRENGTH)
        result: Tensor = (prior - (logp * right).sum()) / texts
        return result

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights


def mix(network: Floats, linear: Floats, labels: Sequence[int]) -> tuple[float, float]:
    """Return the factors with which two classifiers' log-probabilities predict labels best.

    Args:
        network: log-probabilities of the network, [B, K].
        linear: log-probabilities of the linear classifier, [B, K].
        labels: index of the right target of each text, [B].
    """
    both = torch.from_numpy(np.stack([network, linear]))
    right = torch.tensor(labels)
    # Begin with half of each: with few texts, the prior keeps the factors there.
    factors = torch.full((2,), 0.5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([factors], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = (factors[:, None, None] * both).sum(0)
        prior = (factors - 0.5).square().sum() / len(labels)
        result = F.cross_entropy(logits, right) + prior
        result.backward()  # type: ignore[no-untyped-call]
        return result

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    ours, theirs = factors.detach().clamp(min=0).tolist()
    return ours, theirs
