"""What `train` chooses where the user has not: sizes and limits that follow text and time."""

from typing import Any

SECONDS = 300.0  # if nothing says how long
EPOCHS = 60  # then also at the most: a short text is learned sooner


def choose(level: str, tokens: int, vocab_size: int, options: dict[str, Any]) -> dict[str, Any]:
    """Values for the fields of ModelConfig and TrainingConfig, those of the user first.

    Args:
        level: a key of TOKENIZERS.
        tokens: in the training part.
        vocab_size: V.
        options: what the user has set.
    """
    limits: dict[str, Any] = {}
    if not options.keys() & {"seconds", "epochs", "steps"}:
        limits = {"seconds": SECONDS, "epochs": EPOCHS}
    seconds = options.get("seconds", SECONDS)
    hidden = 128 if tokens < 100_000 or seconds < 20 else 256
    bptt = max(1, options.get("bptt", min(64, tokens // 8)))
    return (
        {
            "cell": "lstm",
            "layers": 1,
            "hidden": hidden,
            "embedding": 64 if level == "char" else 128,
            "dropout": 0.0,
            "bptt": bptt,
            "batch": max(1, min(16, tokens // (4 * bptt))),
        }
        | limits
        | options
    )
