"""charrnn eval: how well a model predicts a text."""

import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from charrnn.suggestions.completer import Completer
from charrnn.text.words import WORD
from tests.cli.conftest import Call, sentences
from tests.cli.shell import ENVIRONMENT, Training, charrnn_command, finish, modules_loaded

LINE = re.compile(r"typing: (\d+)% done, \d+ s left")
KEYS = {"chars", "bpc", "bpb", "nats_per_char", "perplexity", "word_perplexity", "accuracy_top1"}


def test_json(tmp_path: Path, trained: Training, corpus: Path) -> None:
    """--json prints one object with the scores, in units that agree."""
    result = charrnn_command("eval", corpus, "-m", trained.run, "--json", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    (score,) = result.events
    assert score.keys() >= KEYS
    assert score["chars"] == len(corpus.read_text(encoding="utf-8"))
    assert score["bpc"] == pytest.approx(score["nats_per_char"] / math.log(2))
    assert score["perplexity"] == pytest.approx(math.exp(score["nats_per_char"]))
    assert 0 <= score["accuracy_top1"] <= 1


def test_plain(tmp_path: Path, word_trained: Training, corpus: Path) -> None:
    """Without --json each score is a line that names it."""
    result = charrnn_command("eval", corpus, "-m", word_trained.run, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    for key in KEYS:
        assert f"{key.replace('_', ' ')} " in result.out


def test_what_was_learned(call: Call, trained: Training, corpus: Path, tmp_path: Path) -> None:
    """The text that a model has learned scores better than the same letters in disorder."""
    text = corpus.read_text(encoding="utf-8")
    (tmp_path / "disorder.txt").write_text("".join(sorted(text)), encoding="utf-8")
    (learned,) = call("eval", corpus, "-m", trained.run, "--json").events
    (disorder,) = call("eval", "disorder.txt", "-m", trained.run, "--json").events
    assert learned["bpc"] < disorder["bpc"]


def test_agrees_with_training(call: Call, trained: Training, corpus: Path, tmp_path: Path) -> None:
    """The held-out part scores about as `train` said, which scored it with another network."""
    text = corpus.read_text(encoding="utf-8")
    (tmp_path / "held-out.txt").write_text(text[int(len(text) * 0.9) :], encoding="utf-8")
    (score,) = call("eval", "held-out.txt", "-m", trained.run, "--json").events
    assert score["bpc"] == pytest.approx(trained.result.events[-1]["val_bpc"], rel=0.03)


def test_several_texts(call: Call, trained: Training, tmp_path: Path) -> None:
    """Several texts are scored as one, parted by a line break."""
    (tmp_path / "one.txt").write_text("The fox slept")
    (tmp_path / "two.txt").write_text("by the river.\n")
    (tmp_path / "both.txt").write_text("The fox slept\nby the river.\n")
    parted = call("eval", "one.txt", "two.txt", "-m", trained.run, "--json")
    assert parted == call("eval", "both.txt", "-m", trained.run, "--json")
    assert parted.events[0]["chars"] == 28


def test_standard_input(call: Call, trained: Training, tmp_path: Path) -> None:
    """- is standard input."""
    text = sentences(1)
    (tmp_path / "text.txt").write_text(text)
    piped = charrnn_command("eval", "-", "-m", trained.run, "--json", cwd=tmp_path, stdin=text)
    assert piped == call("eval", "text.txt", "-m", trained.run, "--json")


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("empty.txt", b"", "empty"),
        ("binary.txt", b"ab\x00cd", "offset 2"),
        ("latin.txt", b"caf\xe9", "0xe9 at offset 3"),
        ("missing.txt", None, "missing.txt"),
    ],
)
def test_bad_text(
    call: Call, trained: Training, tmp_path: Path, name: str, content: bytes | None, wrong: str
) -> None:
    """A text that cannot be scored is an error of one line."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = call("eval", name, "-m", trained.run)
    assert (result.code, result.out) == (1, "")
    assert wrong in result.error


def test_encoding(call: Call, trained: Training, tmp_path: Path) -> None:
    """--encoding says how a text is written."""
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    result = call("eval", "latin.txt", "-m", trained.run, "--encoding", "cp1252", "--json")
    assert result.code == 0
    assert result.events[0]["chars"] == 4


class TestKeystrokes:
    def test_json(self, call: Call, trained: Training, tmp_path: Path) -> None:
        """The keys saved, by each kind of suggestion, stand beside the scores."""
        (tmp_path / "text.txt").write_text(sentences(1)[:800])
        result = call("eval", "text.txt", "-m", trained.run, "--keystrokes", "--json", "-q")
        assert (result.code, result.err) == (0, "")
        (score,) = result.events
        assert score.keys() >= KEYS | {"ksr", "next_word", "latency_ms", "baselines"}
        assert score["ksr"].keys() == {"1", "3", "5"}
        assert 0 < score["ksr"]["1"] <= score["ksr"]["3"] <= score["ksr"]["5"]
        assert score["ksr"]["5"] <= score["ceilings"]["foresight"] < 1
        assert score["ksr_without_space"]["3"] < score["ksr"]["3"]
        assert score["latency_ms"]["p50"] <= score["latency_ms"]["p99"]
        assert [*score["baselines"]] == ["cold", "trigrams", "counts"]
        for baseline in score["baselines"].values():
            assert 0 < baseline["ksr"]["1"] < 1
        # Sentences of a few patterns: to know the two words before is worth much.
        assert score["baselines"]["trigrams"]["ksr"]["1"] > score["baselines"]["counts"]["ksr"]["1"]
        shown = [dial["shown_per_char"] for dial in score["dial"]]
        assert shown == sorted(shown, reverse=True)

    def test_plain(self, call: Call, word_trained: Training, tmp_path: Path) -> None:
        """Without --json there are tables for people."""
        (tmp_path / "text.txt").write_text(sentences(1)[:300])
        result = call("eval", "text.txt", "-m", word_trained.run, "--keystrokes")
        assert (result.code, result.err) == (0, "")
        for line in ("this model", "trigrams alone", "in words unseen", "suggestion took"):
            assert line in result.out

    def test_told(
        self, call: Call, trained: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Standard error tells how far it is and how much time is left; the output is data."""
        (tmp_path / "text.txt").write_text(sentences(1)[:300])
        monkeypatch.setattr("charrnn.display.working.LINE_SECONDS", 0)
        command = ("eval", "text.txt", "-m", trained.run, "--keystrokes", "--json")
        quiet, told = call(*command, "-q"), call(*command)
        assert quiet.err == ""
        for result in (quiet, told):
            assert result.events[0]["chars"] == 300
        lines = [line for line in told.err.splitlines() if not line.startswith("scoring: ")]
        shares = [int(LINE.fullmatch(line)[1]) for line in lines]  # type: ignore[index]
        assert len(shares) > 30
        assert shares == sorted(shares)
        assert shares[-1] == 100

    @pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
    def test_interrupted(self, trained: Training, tmp_path: Path) -> None:
        """Ctrl-C ends it at once, with nothing on standard output."""
        (tmp_path / "text.txt").write_text(sentences(1))
        program = "import sys, charrnn.display.working as w, charrnn.cli as c; w.LINE_SECONDS = 0; "
        process = subprocess.Popen(
            [sys.executable, "-c", program + "sys.exit(c.main())", "eval", "text.txt",
             "-m", trained.model, "--keystrokes"],
            cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8",
        )  # fmt: skip
        assert process.stderr
        next(line for line in process.stderr if line.startswith("typing"))
        process.send_signal(signal.SIGINT)
        result = finish(process)
        assert (result.code, result.out) == (130, "")
        assert "Traceback" not in result.err

    def test_run_without_spaces(self, call: Call, trained: Training, tmp_path: Path) -> None:
        """In a text without spaces there is nothing to complete, and no suggestion is asked for."""
        (tmp_path / "text.txt").write_text("ACGT" * 1000)
        with patch.object(Completer, "extend") as extend:
            result = call("eval", "text.txt", "-m", trained.run, "--keystrokes", "--json")
        extend.assert_not_called()
        assert result.events[0]["chars"] == 4000
        assert result.events[0]["ksr"] == {"1": 0, "3": 0, "5": 0}

    @pytest.mark.parametrize("text", ["?! ...\n", "x", "\n"])
    def test_hardly_a_word(self, call: Call, trained: Training, tmp_path: Path, text: str) -> None:
        """A text with nothing to complete saves nothing."""
        (tmp_path / "text.txt").write_text(text)
        result = call("eval", "text.txt", "-m", trained.run, "--keystrokes", "--json")
        assert result.code == 0
        assert result.events[0]["ksr"] == {"1": 0, "3": 0, "5": 0}

    def test_empty(self, call: Call, trained: Training, tmp_path: Path) -> None:
        """An empty text is an error."""
        (tmp_path / "text.txt").write_text("")
        result = call("eval", "text.txt", "-m", trained.run, "--keystrokes")
        assert (result.code, result.out) == (1, "")


class TestGaps:
    def test_json(self, call: Call, any_trained: Training, tmp_path: Path) -> None:
        """How often removed words are guessed stands beside the scores, both sides the best."""
        (tmp_path / "text.txt").write_text(sentences(1)[:1000])
        result = call("eval", "text.txt", "-m", any_trained.run, "--gaps", "--json")
        assert (result.code, result.err) == (0, "")
        (score,) = result.events
        assert score.keys() == KEYS | {"tokens", "words", "gaps"}
        gaps = score["gaps"]
        assert [*gaps] == ["words", "left", "both", "trigrams"]
        assert gaps["words"] == len(WORD.findall(sentences(1)[:1000])) // 10
        for way in ("left", "both", "trigrams"):
            assert gaps[way].keys() == {"top1", "top5", "mrr"}
            assert 0 < gaps[way]["top1"] <= gaps[way]["mrr"] <= 1
            assert gaps[way]["top1"] <= gaps[way]["top5"] <= 1
        assert gaps["both"]["mrr"] > gaps["left"]["mrr"]

    def test_plain(self, call: Call, trained: Training, tmp_path: Path) -> None:
        """Without --json there is a table for people."""
        (tmp_path / "text.txt").write_text(sentences(1)[:400])
        result = call("eval", "text.txt", "-m", trained.run, "--gaps")
        assert (result.code, result.err) == (0, "")
        for line in ("words removed, guessed from", "what precedes it alone", "both sides"):
            assert line in result.out

    @pytest.mark.parametrize("text", ["x", "?! ...\n", "one two three"])
    def test_too_short(self, call: Call, trained: Training, tmp_path: Path, text: str) -> None:
        """A text of fewer than ten words has none to remove."""
        (tmp_path / "text.txt").write_text(text)
        result = call("eval", "text.txt", "-m", trained.run, "--gaps", "--json")
        assert result.code == 0
        assert result.events[0]["gaps"]["words"] == 0


def test_without_torch(tmp_path: Path, trained: Training, corpus: Path) -> None:
    """It never waits for torch."""
    assert "torch" not in modules_loaded("eval", corpus, "-m", trained.run, cwd=tmp_path)


def test_split_on(call: Call, trained: Training, tmp_path: Path) -> None:
    """A separator of documents makes no sense to a model of running text."""
    (tmp_path / "text.txt").write_text("The fox\n%\nslept.\n")
    result = call("eval", "text.txt", "-m", trained.run, "--split-on", "^%$")
    assert (result.code, result.out) == (2, "")
    assert "--split-on" in result.error
