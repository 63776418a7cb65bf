"""Which weights a training ends with, by a last score of the held-out text."""

import math

from charrnn.training.held_out import Score
from charrnn.training.keeping import Candidate
from charrnn.training.trainer import FINE_TUNING_TOKENS, Trainer
from charrnn.training.validation import Losses, tokens_read

FINAL_SHARE = 0.3  # tokens finally scored per token trained; takes a tenth of the training time
FINAL_TOKENS = 1_000_000  # maximum tokens of the final score; not tuned
SHARES = (0.0, 0.5, 1.0)  # shares of the way from the start of fine-tuning that are scored


def scored_tokens(trainer: Trainer) -> int:
    """Return the number of held-out tokens that the final score covers."""
    progress = trainer.progress
    share = int(FINAL_SHARE * progress.steps * trainer.tokens_per_step)
    return min(len(trainer.corpus.val), FINAL_TOKENS, max(share, progress.val_tokens))


def closing_tokens(trainer: Trainer) -> int:
    """Return the number of tokens to read after the last update."""
    old, final = trainer.corpus.old, tokens_read(scored_tokens(trainer))
    tokens = len(_candidates(trainer)) * final
    if old:
        tokens += tokens_read(min(FINE_TUNING_TOKENS, len(old.val)))
    if trainer.optimizer.anchor:
        tokens += len(SHARES) * tokens_read(trainer.progress.val_tokens) + final
    return tokens


def choose(trainer: Trainer) -> Score | None:
    """Score `scored_tokens` held-out tokens, and keep the last candidate that is not worse.

    After fine-tuning, weights nearer to the start are kept if they are better.

    Returns:
        The score of the weights that are kept; None if nothing is held out.
    """
    tokens = scored_tokens(trainer)

    def losses_of(some: Candidate) -> Losses | None:
        return trainer.losses(some.weights or trainer.weight_tensors(), trainer.corpus, tokens)

    scored = [(some, losses_of(some)) for some in _candidates(trainer)]
    known = [(some, losses) for some, losses in scored if losses]
    if not known:
        return None
    chosen = trainer.keeper.choose(known)
    if trainer.optimizer.anchor and trainer.best:
        nearer = _nearer_start(trainer)
        losses = losses_of(nearer)
        if losses and losses.mean < chosen.mean:
            trainer.keeper.kept, chosen = nearer, losses
    return Score.of(chosen, trainer.corpus)


def _candidates(trainer: Trainer) -> list[Candidate]:
    """Return the weights to choose between, the oldest first.

    There is only one if the validations have read all that the final score reads.
    """
    keeper, step = trainer.keeper, trainer.step
    if not trainer.best or trainer.progress.val_tokens >= scored_tokens(trainer):
        return [keeper.kept]
    found = {some.step: some for some in (keeper.lowest, keeper.kept)}
    validated = trainer.progress.validated_at == step
    if validated and step not in found and math.isfinite(keeper.last_val):
        found[step] = Candidate(trainer.average, step, keeper.last_val, trainer.progress.loss)
    return [*found.values()]


def _nearer_start(trainer: Trainer) -> Candidate:
    """Return the kept weights, recurrent layers moved towards the start of fine-tuning.

    The best point on the straight line between the two predicts a text better than either, and
    other texts too (Wortsman et al. 2022, arXiv:2109.01903). The loss on it is nearly a parabola.
    """
    kept, tokens = trainer.keeper.kept, trainer.progress.val_tokens

    def moved(share: float) -> Candidate:
        layers = {
            name: start.lerp(kept.weights[name], share)
            for name, start in trainer.optimizer.anchor.items()
            if name.startswith("layers.")
        }
        return kept._replace(weights=kept.weights | layers)

    scored = [trainer.losses(moved(share).weights, trainer.corpus, tokens) for share in SHARES]
    return moved(lowest_point(*(losses.mean for losses in scored if losses)))


def lowest_point(at_0: float, at_half: float, at_1: float) -> float:
    """Return where in [0, 1] the parabola through three points is lowest."""
    curvature = 2 * (at_0 - 2 * at_half + at_1)
    if curvature <= 0:
        return 0.0 if at_0 < at_1 else 1.0
    return min(1.0, max(0.0, 0.5 + (at_0 - at_1) / (2 * curvature)))
