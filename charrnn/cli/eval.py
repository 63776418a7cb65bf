"""charrnn eval: how well a model predicts a text, types it and guesses its missing words."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from charrnn.cli.eval_records import evaluate_records
from charrnn.cli.options import (
    Debug,
    Json,
    ModelOption,
    Quiet,
    Texts,
    say_which,
    with_reading,
)
from charrnn.config import READING
from charrnn.display.console import Ui, write_json, write_text
from charrnn.display.working import Working
from charrnn.errors import TextError, UsageError

if TYPE_CHECKING:
    from charrnn.model import Model
    from charrnn.suggestions.cloze import Guesses
    from charrnn.suggestions.simulated_typist import Keystrokes

MODEL = "this model"
BASELINES = {
    "cold": "nothing remembered",
    "trigrams": "trigrams alone",
    "counts": "word counts alone",
}
GUESSED = {
    "left": "what precedes it alone",
    "both": "both sides",
    "trigrams": "trigrams alone, both sides",
}


@with_reading("encoding", "errors", "glob", "field", "delimiter", "header", "split_on")
def evaluate(
    texts: Texts,
    model: ModelOption = None,
    keystrokes: Annotated[
        bool, Option("--keystrokes", help="Also simulate typing the text with suggestions.")
    ] = False,
    baselines: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="With a model of records: compare with simple methods that learn from FILE, the "
            "text that the model was trained on.",
        ),
    ] = None,
    gaps: Annotated[
        bool,
        Option("--gaps", help="Also remove and guess every tenth word, or 500 of these."),
    ] = False,
    source: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="With a model of records: field of the sources.",
            show_default="as in training",
            rich_help_panel=READING,
        ),
    ] = None,
    target: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="With a model of records: field of the targets.",
            show_default="as in training",
            rich_help_panel=READING,
        ),
    ] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **reading: Any,
) -> None:
    """Score a text: bits per character, perplexity, accuracy.

    With --keystrokes, also give the share of keystrokes that suggestions save
    in simulated typing, and the same for trigrams and word counts alone.

    With --gaps, also remove words, one at a time, and guess them: how often the
    first guess is right, how often one of the first five, and the mean
    reciprocal rank (MRR), from the preceding text alone and from both sides.

    With a model of records, predict their targets: share of exact matches, edit
    distance per character, bits per character; where the targets are labels,
    also accuracy, macro F1, calibration error and the labels most often
    confused.
    """
    import charrnn
    from charrnn import runs
    from charrnn.scoring import Score
    from charrnn.text.blocks import END
    from charrnn.text.source import Source

    ui = Ui(quiet)
    loaded = charrnn.load(runs.find(model, chosen=say_which(ui)))
    if reading["split_on"] is not None and loaded.kind != "documents":
        raise UsageError("--split-on needs a document model", "leave it out")
    records = loaded.kind == "records"
    if records and (keystrokes or gaps or reading["field"] is not None):
        raise UsageError(
            "the model was trained on records, so --keystrokes, --gaps and --field have no meaning",
            "name the fields with --source and --target",
        )
    if not records and not (baselines is source is target is None):
        raise UsageError(
            "--source, --target and --baselines need a model of records", "leave them out"
        )
    if records:
        trained = loaded.file.trained
        reading["field"] = trained.source_field if source is None else source
        target = trained.target_field if target is None else target
    with Working(ui, "scoring") as work:
        text = Source(
            texts, kind=loaded.kind, normalise=loaded.normalised, target=target, **reading
        )
        if records:
            learned = baselines and replace(text, paths=[baselines])
            evaluate_records(loaded, text, learned or None, json_lines, work)
            return
        parts = text.parts(work.note)
        whole = ""
        if keystrokes or gaps:
            held = ["".join(part) for part in parts]
            whole = "\n".join(part.removesuffix(END) for part in held)
            parts = map(iter, held)
        score = sum((loaded.score(part, work.advance) for part in parts), Score()).to_json()
    if not score["chars"]:
        raise TextError("the text is empty", "give a text to score")
    typed = _type(loaded, whole, ui) if keystrokes else {}
    guessed = _guess(loaded, whole, ui) if gaps else {}
    if json_lines:
        write_json(score | _record(typed) | _guesses(guessed))
        return
    for name, value in score.items():
        write_text(f"{name.replace('_', ' '):<16} {_shown(value)}")
    if typed:
        _print(typed)
    if guessed:
        _print_guesses(guessed)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if value < 1e6 else f"{value:.3e}"


def _type(model: "Model", text: str, ui: Ui) -> dict[str, "Keystrokes"]:
    """Simulate typing a text with the model's suggestions and with baselines."""
    from charrnn.suggestions.simulated_typist import WordList, type_text

    ngram = model.ngram
    suggest = {
        MODEL: model.completer().extend,
        "cold": model.completer(adapts=False).extend,
    }
    if ngram.tokens:  # an older model's file has none
        suggest["trigrams"] = WordList(ngram, ngram.after).extend
        counts = ngram.word_counts
        suggest["counts"] = WordList(ngram, lambda _: counts).extend
    typists = [type_text(text, extend, ngram.tokens) for extend in suggest.values()]
    typed: dict[str, Keystrokes] = {}
    with Working(ui, "typing", len(text)) as work:
        # In parallel, so that the share done gives the time left.
        for keys in zip(*typists, strict=True):
            typed = dict(zip(suggest, keys, strict=True))
            work.advance(keys[0].chars - work.done)
    return typed


def _guess(model: "Model", text: str, ui: Ui) -> dict[str, "Guesses"]:
    """Remove words from a text, and guess each."""
    from charrnn.suggestions.cloze import guess, removed

    guesses: dict[str, Guesses] = {}
    with Working(ui, "filling gaps", len(removed(text))) as work:
        for guesses in guess(text, model.missing_words, model.ngram):
            work.advance(guesses["both"].words - work.done)
    return guesses


def _guesses(guessed: dict[str, "Guesses"]) -> dict[str, Any]:
    """Return what --json says of the guesses."""
    if not guessed:
        return {}
    return {
        "gaps": {"words": guessed["both"].words}
        | {name: guesses.to_json() for name, guesses in guessed.items()}
    }


def _print_guesses(guessed: dict[str, "Guesses"]) -> None:
    """Print a table for people."""
    write_text(f"\n{guessed['both'].words:,} words removed, guessed from   1st   in 5     MRR")
    for name, guesses in guessed.items():
        each = guesses.to_json()
        write_text(f"{GUESSED[name]:<28}{each['top1']:7.1%}{each['top5']:7.1%}{each['mrr']:8.3f}")


def _record(typed: dict[str, "Keystrokes"]) -> dict[str, Any]:
    if not typed:
        return {}
    baselines = {name: typed[name].to_json() for name in BASELINES if name in typed}
    return typed[MODEL].to_json() | {
        "baselines": {
            name: {key: values[key] for key in ("ksr", "next_word")}
            for name, values in baselines.items()
        }
    }


def _print(typed: dict[str, "Keystrokes"]) -> None:
    """Print tables for people."""
    keys = typed[MODEL]
    values = keys.to_json()
    write_text(f"\nkeystrokes saved, typing {keys.words:,} words")
    write_text(f"{'suggestions shown':<28}      1      3      5     top-1   top-3")
    for name, row in typed.items():
        each = row.to_json()
        saved = "".join(f"{share:7.1%}" for share in each["ksr"].values())
        first = "".join(f"{share:8.1%}" for share in each["next_word"].values())
        write_text(f"{BASELINES.get(name, name):<28}{saved}    {first}")
    for name, title in (
        ("ksr_repeated", "dismissed words reshown"),
        ("ksr_without_space", "typing spaces by hand"),
        ("unseen_words", "in words unseen in training"),
    ):
        part = values[name].get("saved", values[name])
        write_text(f"{title:<28}" + "".join(f"{share:7.1%}" for share in part.values()))
    ceilings = values["ceilings"]
    write_text(
        f"at best, one key per word: {ceilings['foresight']:.1%}, known words only "
        f"{ceilings['vocabulary']:.1%}\n"
        f"a suggestion took {values['latency_ms']['p50']:.1f} ms, "
        f"1 in 100 more than {values['latency_ms']['p99']:.1f} ms\n"
    )
    write_text("one suggestion, shown from p of:   shown per key   right   keystrokes saved")
    for dial in values["dial"]:
        right = "-" if dial["precision"] is None else f"{dial['precision']:.0%}"
        write_text(f"{dial['p']:>34.0%}{dial['shown_per_char']:16.2f}{right:>8}{dial['ksr']:19.1%}")
