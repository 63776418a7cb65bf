"""What simple methods predict that learn from the same records; needs charrnn's dev packages."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.errors import CharrnnError

Predict = Callable[[Sequence[str]], list[str]]  # returns a target for each source
NGRAMS = (1, 5)  # lengths of the character n-grams
INVERSE_PENALTY = 10.0  # scikit-learn's C of logistic regression (not tuned)
# Smoothing of naive Bayes: of 0.01 to 1, the best for names (tests/benchmarks/records.py).
SMOOTHING = 0.03
ITERATIONS = 1000  # maximum iterations of logistic regression
COMPARED = 1 << 24  # distances computed at a time (not tuned)


def for_labels(sources: Sequence[str], targets: Sequence[str]) -> Mapping[str, Predict]:
    """Return the baselines for a few labels by name, trained on some records.

    Raises:
        CharrnnError: scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.naive_bayes import MultinomialNB
    except ImportError:
        raise _missing("scikit-learn") from None
    (commonest, _), *others = Counter(targets).most_common()
    always: Predict = lambda texts: [commonest] * len(texts)  # noqa: E731
    if not others:
        return {"commonest": always}
    ngrams = TfidfVectorizer(analyzer="char", ngram_range=NGRAMS, lowercase=False)
    features = ngrams.fit_transform(sources)

    def fitted(method: Any) -> Predict:
        method.fit(features, targets)
        return lambda texts: [str(label) for label in method.predict(ngrams.transform(texts))]

    return {
        "commonest": always,
        "naive_bayes": fitted(MultinomialNB(alpha=SMOOTHING)),
        "logistic": fitted(LogisticRegression(C=INVERSE_PENALTY, max_iter=ITERATIONS)),
    }


def for_texts(sources: Sequence[str], targets: Sequence[str]) -> Mapping[str, Predict]:
    """Return the baseline for other targets: that of the most similar source by edit distance.

    Raises:
        CharrnnError: rapidfuzz is not installed.
    """
    try:
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist
    except ImportError:
        raise _missing("rapidfuzz") from None

    def nearest(texts: Sequence[str]) -> list[str]:
        found: list[str] = []
        step = max(1, COMPARED // max(1, len(sources)))
        for i in range(0, len(texts), step):
            distances = cdist(
                texts[i : i + step], sources, scorer=Levenshtein.distance, dtype=np.int32
            )
            found += [targets[j] for j in distances.argmin(axis=1).tolist()]
        return found

    return {"nearest": nearest}


def _missing(package: str) -> CharrnnError:
    return CharrnnError(
        f"--baselines needs {package}, which is not installed", f"pip install {package}"
    )
