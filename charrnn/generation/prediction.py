"""Predicting the targets of records: one of a known list, or any text by beam search."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.generation.seed import SEED_TOKENS
from charrnn.network.engine import Engine, State, log_softmax
from charrnn.network.linear_classifier import LinearClassifier
from charrnn.text.blocks import END, TARGET
from charrnn.tokenizer import ESCAPE_NATS, Tokenizer

SOURCES = 64  # maximum sources in a batch (not tuned)
ROWS = 1024  # maximum streams of the network at a time, if one source needs no more (not tuned)
NUMBERS = 1 << 22  # maximum log-probabilities of a batch held in memory (not tuned)
# Maximum tokens of a target found by beam search: so many, and so many for each token of its source
# (not tuned).
LONGEST, LONGER = 256, 4


class Prediction(NamedTuple):
    """A predicted target.

    Attributes:
        text: the target.
        p: its probability; where targets are chosen from a list, relative to that list.
    """

    text: str
    p: float


class Choices:
    """A list of targets in a trie of their tokens, so that common beginnings are computed once.

    Args:
        targets: distinct texts.
        tokenizer: the network's tokenizer.

    Attributes:
        targets: the texts.
        tokens: the token of each node, int32 [N]; that of node 0, the root, has no meaning.
        children: the nodes below each node.
        leaves: the node at the end of each target, [K].
        escapes: cost of the characters of each target that are out of vocabulary (nats), [K].
    """

    def __init__(self, targets: Sequence[str], tokenizer: Tokenizer) -> None:
        self.targets = targets
        self.children: list[list[int]] = [[]]
        tokens, leaves, escapes = [0], [], []
        nodes: dict[tuple[int, int], int] = {}
        for target in targets:
            ids = tokenizer.encode(target + END)
            escapes.append(ESCAPE_NATS * int((ids >= tokenizer.vocab_size).sum()))
            node = 0
            for token in tokenizer.known(ids).tolist():
                child = nodes.setdefault((node, token), len(tokens))
                if child == len(tokens):
                    tokens.append(token)
                    self.children.append([])
                    self.children[node].append(child)
                node = child
            leaves.append(node)
        self.tokens = np.array(tokens, np.int32)
        self.leaves = np.array(leaves, np.intp)
        self.escapes = np.array(escapes)


def predict(
    engine: Engine,
    tokenizer: Tokenizer,
    start: State,
    sources: Sequence[str],
    choices: Choices | None,
    k: int,
    beam: int,
    classifier: LinearClassifier | None = None,
) -> list[list[Prediction]]:
    """Return the `k` likeliest targets of each source, likeliest first.

    Of a source only the last SEED_TOKENS tokens are read. An empty source has no target.

    Args:
        engine: the network.
        tokenizer: the network's tokenizer.
        start: state of the engine before a record.
        sources: the sources, read in parallel; a prediction does not depend on the others.
        choices: the targets to choose from; None searches for any text.
        k: maximum predictions for each source.
        beam: hypotheses that the search keeps for each source; at least k are kept.
        classifier: linear classifier of `choices`, to mix the network with; None for none.

    Raises:
        TextError: a source is not valid Unicode.
    """
    found: list[list[Prediction]] = [[] for _ in sources]
    if choices is not None:
        logp_bk = target_logp(engine, tokenizer, start, sources, choices)
        if classifier:
            logp_bk = classifier.mixed(logp_bk, sources)
        for source, each, logp_k in zip(sources, found, logp_bk, strict=True):
            best = np.argsort(-logp_k, kind="stable")[:k].tolist() if source else []
            each += [Prediction(choices.targets[i], float(np.exp(logp_k[i]))) for i in best]
        return found
    beam = max(beam, k)
    for some, read, state in _read(engine, tokenizer, start, sources, ROWS // beam):
        lengths = np.array([LONGEST + LONGER * len(each) for each in read])
        targets = _search(engine, tokenizer, state, lengths, k, beam)
        for i, each in zip(some, targets, strict=True):
            found[i] = each
    return found


def target_logp(
    engine: Engine, tokenizer: Tokenizer, start: State, sources: Sequence[str], choices: Choices
) -> Floats:
    """Return the network's log-probability of each target, among all of them, [B, K].

    The arguments are those of `predict`. That of an empty source is 0.
    """
    logp_bk = np.zeros((len(sources), len(choices.targets)))
    width = NUMBERS // len(choices.tokens)
    for some, _, state in _read(engine, tokenizer, start, sources, width):
        logp_bk[some] = log_softmax(_choose(engine, state, choices).T)
    return logp_bk


def _read(
    engine: Engine, tokenizer: Tokenizer, start: State, sources: Sequence[str], width: int
) -> Iterator[tuple[list[int], list[Ids], State]]:
    """Yield the indices, tokens and states of up to `width` sources that are read together.

    Empty sources are left out.
    """
    width = max(1, min(SOURCES, width))
    ids = [tokenizer.known(tokenizer.encode(s + TARGET))[-SEED_TOKENS:] for s in sources]
    # Sources of similar length are read together.
    rest = iter(
        sorted((i for i, source in enumerate(sources) if source), key=lambda i: len(ids[i]))
    )
    while some := [*islice(rest, width)]:
        read = [ids[i] for i in some]
        with engine.threads(ROWS):
            yield some, read, engine.read_all(read, start)


def _choose(engine: Engine, states: State, choices: Choices) -> Floats:
    """Return the log-probability of every target, with END, for each source, [K, B].

    Args:
        engine: the network.
        states: states after the sources.
        choices: the targets.
    """
    batch = len(states.contexts)
    logp_nb = np.zeros((len(choices.tokens), batch))
    # States, and pairs of a group of B rows in them and a node to go on to from there. The newest
    # are handled first, so that few wait.
    waiting: list[tuple[State, list[tuple[int, int]]]] = []

    def expand(nodes: Sequence[int], state: State) -> None:
        logp_nbv = log_softmax(engine.logits(state)).reshape(len(nodes), batch, -1)
        pairs = [(i, child) for i, node in enumerate(nodes) for child in choices.children[node]]
        for i, child in pairs:
            logp_nb[child] = logp_nb[nodes[i]] + logp_nbv[i, :, choices.tokens[child]]
        inner = [pair for pair in pairs if choices.children[pair[1]]]
        group = max(1, ROWS // batch)
        waiting.extend((state, inner[i : i + group]) for i in range(0, len(inner), group))

    expand([0], states)
    while waiting:
        state, pairs = waiting.pop()
        groups, nodes = map(list, zip(*pairs, strict=True))
        rows = np.array(groups)[:, None] * batch + np.arange(batch)
        ids = choices.tokens[nodes].repeat(batch)
        expand(nodes, engine.step(ids, state.take(rows.ravel())))
    logp_kb: Floats = logp_nb[choices.leaves] - choices.escapes[:, None]
    return logp_kb


class _Found:
    """The likeliest texts found for one source.

    Args:
        k: number of texts wanted.

    Attributes:
        least: log-probability of the k-th best text (nats); -inf before there are so many.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self._logp: dict[str, float] = {}
        self.least = -np.inf

    def add(self, text: str, logp: float) -> None:
        """Add a text; where the same text was found in other tokens, add the probabilities."""
        self._logp[text] = float(np.logaddexp(self._logp.get(text, -np.inf), logp))
        if len(self._logp) >= self._k:
            self.least = sorted(self._logp.values())[-self._k]

    def best(self) -> list[Prediction]:
        """Return the best texts, likeliest first."""
        ranked = sorted(self._logp.items(), key=lambda pair: -pair[1])
        # A sum may be rounded to more than 1.
        return [Prediction(text, min(1.0, math.exp(logp))) for text, logp in ranked[: self._k]]


def _search(
    engine: Engine,
    tokenizer: Tokenizer,
    state: State,
    lengths: NDArray[np.intp],
    k: int,
    beam: int,
) -> list[list[Prediction]]:
    """Return the `k` likeliest targets found for each source.

    The search for a source ends when no hypothesis is likelier than the k-th best target: none can
    become likelier as it grows. A target is not empty.

    Args:
        engine: the network.
        tokenizer: the network's tokenizer.
        state: states after the sources.
        lengths: maximum tokens of the target of each source, [B].
        k: targets wanted.
        beam: hypotheses kept for each source, W.
    """
    end, target = tokenizer.known(tokenizer.encode(END + TARGET)).tolist()
    never = [tokenizer.unknown_id, target]
    transitions = tokenizer.transitions
    found = [_Found(k) for _ in lengths]
    going = np.arange(len(lengths))  # sources whose search goes on
    scores_bw = np.full((len(lengths), beam), -np.inf, np.float32)
    scores_bw[:, 0] = 0
    state = state.repeat(beam)
    spelling = np.zeros(len(lengths) * beam, np.int8)  # states of tokenizer.transitions
    # For each step the row that each hypothesis continues, and its token.
    steps: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    while len(going):
        logp = log_softmax(engine.logits(state))
        if transitions is not None:
            logp[transitions[spelling] < 0] = -np.inf
        scores_bwv = logp.reshape(len(going), beam, -1) + scores_bw[:, :, None]
        if steps:
            least = np.array([found[i].least for i in going.tolist()])
            for b, w in np.argwhere(scores_bwv[:, :, end] > least[:, None]).tolist():
                text = tokenizer.decode(_traced(steps, b * beam + w))
                found[going[b]].add(text, float(scores_bwv[b, w, end]))
        scores_bwv[:, :, [*never, end]] = -np.inf
        flat = scores_bwv.reshape(len(going), -1)
        best = np.argpartition(flat, -beam)[:, -beam:]
        scores_bw = np.take_along_axis(flat, best, 1)
        least = np.array([found[i].least for i in going.tolist()])
        on = (scores_bw.max(axis=1) > least) & (lengths[going] > len(steps))
        rows, tokens = np.divmod(best, scores_bwv.shape[-1])
        rows = (rows + np.arange(len(going))[:, None] * beam)[on].ravel()
        tokens = tokens[on].ravel()
        going, scores_bw = going[on], scores_bw[on]
        steps.append((rows, tokens))
        if len(going):
            if transitions is not None:
                spelling = transitions[spelling[rows], tokens]
            state = engine.step(tokens, state.take(rows))
    return [each.best() for each in found]


def _traced(steps: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]], row: int) -> list[int]:
    """Return the tokens of the hypothesis in a row of the last step."""
    ids = []
    for rows, tokens in reversed(steps):
        ids.append(int(tokens[row]))
        row = int(rows[row])
    return ids[::-1]
