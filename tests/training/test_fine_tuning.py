"""Fine-tuning: vocabulary rows are matched by token, and both texts are scored."""

from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn import load
from charrnn.errors import CharrnnError, UsageError
from charrnn.events import Done, FineTuning
from charrnn.text.source import Source
from charrnn.training import final_weights, fine_tuning, prepare
from charrnn.training.final_weights import lowest_point
from charrnn.training.network import Network
from tests.training.small import TEXT, finish, made

NEW = "".join(f"Zwölf {n} Bären zählen §{n % 7}: ja!\n" for n in range(300))
OPTIONS = {"steps": 60, "hidden": 24, "seed": 3}
FABLES = Path(__file__).parents[2] / "corpora" / "fables.txt"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two texts and a run trained on the first one."""
    monkeypatch.chdir(tmp_path)
    Path("old.txt").write_text(TEXT, encoding="utf-8")
    Path("new.txt").write_text(NEW, encoding="utf-8")
    training, run = prepare.begin(Source(["old.txt"]), made("runs/old"), "cpu", "char", OPTIONS)
    finish(training, run)
    return tmp_path


def scores(events: list[object]) -> list[FineTuning]:
    """Return the scores on both texts among the events."""
    return [event for event in events if isinstance(event, FineTuning)]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["char", "word", "bpe"])
@pytest.mark.usefixtures("old")
def test_rows_follow_their_tokens(level: str) -> None:
    """Old tokens keep their ids and rows; new tokens get rows of their own."""
    name = "runs/old"
    if level != "char":
        name = f"runs/{level}"
        finish(*prepare.begin(Source(["old.txt"]), made(name), "cpu", level, OPTIONS))
    model = load(name).file
    training, _ = prepare.begin(
        Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 5}, name
    )
    tokenizer = training.corpus.tokenizer
    size = model.config.vocab_size - 1
    assert tokenizer.level == level
    assert tokenizer.tokens[:size] == model.tokenizer.tokens[:-1]
    assert tokenizer.vocab_size > model.config.vocab_size
    assert len(set(tokenizer.tokens)) == tokenizer.vocab_size
    for name, weight in training.network.parameters_by_name().items():
        if name == "mix":
            continue
        before = model.weights[name]
        after = weight.detach().numpy()
        if name in fine_tuning.VOCABULARY_TENSORS:
            assert np.array_equal(after[:size], before[:-1])
            assert np.array_equal(after[-1], before[-1])
        else:
            assert np.array_equal(after, before)
    rows = training.network.embedding.weight.detach()[size:-1]
    assert len(torch.unique(rows, dim=0)) == len(rows)


@pytest.mark.usefixtures("old")
def test_both_texts_are_scored() -> None:
    """Both held-out texts are scored before and after; the loss of the new one falls."""
    training, run = prepare.begin(
        Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 60}, "runs/old"
    )
    before, after = scores(list(finish(training, run)))
    expected = load("runs/old").score(TEXT[int(len(TEXT) * 0.9) :]).to_json()["nats_per_char"]
    assert before.old_nats is not None
    assert before.old_nats == pytest.approx(expected, abs=0.1)  # new tokens take a little
    assert before.new_nats is not None
    assert after.new_nats is not None
    assert after.old_nats is not None
    assert after.new_nats < before.new_nats - 1
    assert load(run.path).file.trained.facts["from"] == str(Path("runs/old/model.safetensors"))


@pytest.mark.usefixtures("old")
def test_the_final_scores_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end fine-tuning reports a single score of the new text, however much is scored."""
    monkeypatch.setattr("charrnn.training.trainer.FINE_TUNING_TOKENS", 300)
    training, run = prepare.begin(
        Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 20}, "runs/old"
    )
    events = finish(training, run)
    assert final_weights.scored_tokens(training) > 300
    _, after = scores(list(events))
    done = events[-1]
    assert isinstance(done, Done)
    assert after.new_nats == done.val_nats


@pytest.mark.usefixtures("old")
def test_a_fine_tuned_run_resumes() -> None:
    """A resumed fine-tuning equals an unbroken one, bit for bit, and scores the old text too."""
    arguments = ("cpu", "char", {"steps": 30}, "runs/old")
    whole, run = prepare.begin(Source(["new.txt"]), made("runs/whole"), *arguments)
    finish(whole, run)
    part, run = prepare.begin(Source(["new.txt"]), made("runs/part"), *arguments)
    finish(part, run, stop_at=11)
    again, run = prepare.resume([], run.path, "cpu", {})
    (after,) = scores(list(finish(again, run)))
    assert after.old_nats is not None
    for name, weight in whole.network.parameters_by_name().items():
        assert torch.equal(weight, again.network.parameters_by_name()[name]), name


def test_the_lowest_point_of_a_parabola() -> None:
    """It is exact inside [0, 1], else the better end."""

    def lowest(at: float, curvature: float = 1.0) -> float:
        return lowest_point(*(3 + curvature * (x - at) ** 2 for x in (0.0, 0.5, 1.0)))

    assert lowest(0.46) == pytest.approx(0.46)
    assert lowest(1.7) == 1
    assert lowest(-0.2) == 0
    assert lowest(0.3, -1.0) == 1
    assert lowest_point(2.0, 2.0, 1.0) == 1


@pytest.mark.usefixtures("old")
def test_suggestions_begin_with_the_weights_of_the_start() -> None:
    """Until few words of the new text change them, sources count as in the model that is tuned."""
    mixture = load("runs/old").file.mixture
    assert mixture
    training, run = prepare.begin(
        Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 20}, "runs/old"
    )
    assert run.mixture == mixture
    finish(training, run, stop_at=10)
    _, again = prepare.resume([], run.path, "cpu", {})
    assert again.mixture == mixture


@pytest.mark.usefixtures("old")
def test_weights_nearer_to_the_start() -> None:
    """If better weights lie between the start and the end, they are kept, also after a resume."""
    begun, run = prepare.begin(
        Source(["old.txt"]), made("runs/more"), "cpu", "char", OPTIONS, "runs/old"
    )
    finish(begun, run, stop_at=40)
    training, _ = prepare.resume([], run.path, "cpu", {})
    middle = {name: weight.clone() for name, weight in training.best.items()}
    training.best["mix"].copy_(torch.tensor([1.0, 0.0]))  # the network alone
    generator = torch.Generator().manual_seed(0)
    for name, start in training.optimizer.anchor.items():
        if name.startswith("layers."):
            off = torch.randn(start.shape, generator=generator) * 0.3
            start.copy_(middle[name] - off)
            training.best[name].copy_(middle[name] + off)
    name = "layers.0.recurrent"
    before = (training.best[name] - middle[name]).abs().mean()
    final_weights.choose(training)
    after = (training.best[name] - middle[name]).abs().mean()
    assert after < before / 3


@pytest.mark.parametrize("loss", ["text", "state", "changed"])
@pytest.mark.usefixtures("old")
def test_the_old_text_may_be_gone(loss: str) -> None:
    """If the old text is missing or has changed, only the new one is scored."""
    match loss:
        case "text":
            Path("old.txt").unlink()
        case "state":
            Path("runs/old/resume.safetensors").unlink()
        case "changed":
            Path("old.txt").write_text(TEXT[1:], encoding="utf-8")
    training, run = prepare.begin(
        Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 5}, "runs/old"
    )
    for event in scores(list(finish(training, run))):
        assert event.old_nats is None
        assert event.new_nats is not None


@pytest.mark.usefixtures("old")
def test_a_text_of_known_tokens() -> None:
    """If the new text adds no token, the network starts as an exact copy."""
    Path("more.txt").write_text(TEXT[::-1], encoding="utf-8")
    training, _ = prepare.begin(
        Source(["more.txt"]), made("runs/more"), "cpu", "char", {"steps": 5}, "runs/old"
    )
    for name, weight in training.network.parameters_by_name().items():
        if name != "mix":
            assert np.array_equal(weight.detach().numpy(), load("runs/old").file.weights[name])


@pytest.mark.parametrize("source", ["nowhere", "old.txt", "runs"])
@pytest.mark.usefixtures("old")
def test_no_such_model(source: str) -> None:
    """A parent without a model is refused."""
    with pytest.raises(CharrnnError):
        prepare.begin(Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 5}, source)


@pytest.mark.usefixtures("old")
def test_new_rows_start_as_the_unknown() -> None:
    """Before training, a new token is as likely as an unknown one was."""
    model = load("runs/old").file
    training, _ = prepare.begin(
        Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 5}, "runs/old"
    )
    network: Network = training.network
    new = slice(model.config.vocab_size - 1, -1)
    assert (network.output.weight[new] == torch.from_numpy(model.weights["output"][-1])).all()
    assert (network.output.bias[new] == float(model.weights["output_bias"][-1])).all()


@pytest.mark.usefixtures("old")
def test_ngrams_of_the_new_text() -> None:
    """A fine-tuned run mixes its network with n-grams of its own text, and so it resumes."""
    arguments = Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 20}
    training, run = prepare.begin(*arguments, "runs/old")
    assert training.ngrams
    alone, _ = prepare.begin(*arguments)
    assert alone.ngrams
    assert training.ngrams.order == alone.ngrams.order
    size = (training.network.config.vocab_size, alone.network.config.vocab_size)
    assert size[0] > size[1]
    finish(training, run, 10)
    again, _ = prepare.resume([], run.path, "cpu", {})
    assert again.ngrams
    for name, tensor in training.ngrams.tensors.items():
        np.testing.assert_array_equal(again.ngrams.tensors[name], tensor)


@pytest.mark.usefixtures("old")
def test_trigrams_of_both_texts() -> None:
    """Suggestions know the words of both texts, and count those of the new one."""
    training, run = prepare.begin(
        Source(["new.txt"]), made("runs/new"), "cpu", "char", {"steps": 10}, "runs/old"
    )
    finish(training, run, 5)
    again, run = prepare.resume([], run.path, "cpu", {})
    finish(again, run)
    model = load(run.path)
    known, before = model.ngram, load("runs/old").ngram
    assert {*before.tokens} <= {*known.tokens}
    counts = dict(zip(known.tokens, known.counts.tolist(), strict=True))
    assert counts["Bären"] > 200
    assert counts[max(set(before.tokens) - set(NEW.split()), key=len)] == 0


def test_english_for_english(tmp_path: Path) -> None:
    """A new network for English starts from the model that comes with charrnn."""
    text = tmp_path / "fables.txt"
    text.write_text(FABLES.read_text(encoding="utf-8")[:30_000], encoding="utf-8")
    told: list[str] = []
    training, run = prepare.begin(
        Source([str(text)], normalise=True), made(tmp_path / "run"), "cpu", "auto", {"steps": 2},
        "auto", note=told.append,
    )  # fmt: skip
    model = load("english").file
    assert any(
        line.startswith("starting from english (turn off with --from none): ") for line in told
    )
    assert training.network.config.hidden == model.config.hidden
    assert run.origin
    assert run.origin.model == "english"
    assert "--from english" in str(run.command)
    assert training.ngrams
    assert model.ngrams
    assert len(training.ngrams.tensors["tokens"]) > len(model.ngrams.tensors["tokens"])


@pytest.mark.parametrize(
    ("text", "options", "parent"),
    [
        (Path(prepare.__file__), {}, "auto"),
        (FABLES.with_name("dinosaurs.txt"), {}, "auto"),
        (FABLES, {"hidden": 16}, "auto"),
        (FABLES, {}, "none"),
    ],
    ids=["code", "names", "another network", "on request"],
)
def test_no_start_from_english(
    text: Path, options: dict[str, int], parent: str, tmp_path: Path
) -> None:
    """Other texts, and networks of a shape that the user chose, start from nothing."""
    copy = tmp_path / "text.txt"
    copy.write_text(text.read_text(encoding="utf-8")[:30_000], encoding="utf-8")
    _, run = prepare.begin(
        Source([str(copy)], normalise=True), made(tmp_path / "run"), "cpu", "auto",
        {"steps": 2, **options}, parent,
    )  # fmt: skip
    assert run.origin is None
    assert "--from none" in str(run.command)


@pytest.mark.parametrize(("words", "origin"), [(3, None), (12, "english")])
def test_lines(words: int, origin: str | None, tmp_path: Path) -> None:
    """Lines of whole sentences start from `english`, names and titles do not."""
    found = FABLES.read_text(encoding="utf-8").split()[:3000]
    lines = (" ".join(found[i : i + words]) for i in range(0, len(found), words))
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    source = Source([str(tmp_path / "text.txt")], kind="lines", normalise=True)
    _, run = prepare.begin(source, made(tmp_path / "run"), "cpu", "auto", {"steps": 2}, "auto")
    assert (run.origin and run.origin.model) == origin


@pytest.mark.parametrize("parent", ["auto", "none"])
def test_no_anchor(parent: str, tmp_path: Path) -> None:
    """Where nothing is fine-tuned there is nothing to pull towards."""
    text = tmp_path / "code.py"
    text.write_text(Path(prepare.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UsageError, match="starts from nothing"):
        prepare.begin(
            Source([str(text)], normalise=True), made(tmp_path / "run"), "cpu", "auto",
            {"steps": 2, "anchor": 1.0}, parent,
        )  # fmt: skip
