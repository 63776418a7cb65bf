"""charrnn train: what it writes, prints and refuses, and that a kill loses little."""

import itertools
import json
import math
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.model import Model
from tests.cli.conftest import Call
from tests.cli.shell import Result, Training, charrnn_command, event_named, finish, start

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")

SMALL = ("--hidden", 8, "--steps", 2)
FILES = {"model.safetensors", "resume.safetensors", "log.jsonl", "samples.txt"}
DONE = {"event", "val_nats", "val_bpc", "val_bpb", "val_part", "steps", "tokens", "seconds", "run"}


def assert_usable(run: Path) -> None:
    """The model can be used, and what a resume needs can be read."""
    from charrnn.training import checkpoint

    text = "".join(charrnn.load(run).generate("The fox", 20))
    assert len(text) >= 20
    tensors, values = checkpoint.load(run / "resume.safetensors")
    assert tensors
    assert values["step"] > 0


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestFinished:
    def test_files(self, trained: Training) -> None:
        """A run folder holds the model, the state to resume from, the log and the samples."""
        assert {path.name for path in trained.run.iterdir()} == FILES
        assert_usable(trained.run)

    def test_done(self, trained: Training) -> None:
        """The last JSON line is the result, in nats and bits per character and bits per byte."""
        done = trained.result.events[-1]
        assert done.keys() >= DONE
        assert done["event"] == "done"
        assert done["steps"] == 60
        assert done["tokens"] > 0
        assert done["seconds"] > 0
        assert done["val_bpc"] == pytest.approx(done["val_nats"] / math.log(2))
        assert done["val_bpb"] == pytest.approx(done["val_bpc"])  # every character is one byte
        assert Path(done["run"]) == Path("runs", "corpus")

    def test_learns(self, trained: Training) -> None:
        """The validations, evenly spread over the training, get better."""
        scores = [e["val_nats"] for e in trained.result.events if e["event"] == "validation"]
        assert len(scores) >= 10
        assert scores[-1] < scores[0] / 2

    def test_log(self, trained: Training) -> None:
        """log.jsonl holds what --json prints."""
        log = (trained.run / "log.jsonl").read_text(encoding="utf-8")
        assert log == trained.result.out

    def test_samples(self, trained: Training) -> None:
        """samples.txt holds every sample."""
        samples = (trained.run / "samples.txt").read_text(encoding="utf-8")
        events = [e for e in trained.result.events if e["event"] == "sample"]
        assert events
        for event in events:
            assert event["text"] in samples

    def test_plain(self, word_trained: Training) -> None:
        """Without --json stdout is empty; stderr tells the score and how to go on."""
        assert word_trained.result.out == ""
        assert "bits/char" in word_trained.result.err
        assert f"charrnn generate -m {Path('runs', 'corpus')}" in word_trained.result.err

    def test_every_level(self, any_trained: Training) -> None:
        """A model of any level is a run like any other."""
        assert {path.name for path in any_trained.run.iterdir()} == FILES
        assert_usable(any_trained.run)

    def test_chosen_level(self, call: Call, corpus: Path) -> None:
        """The first line says which level was chosen, and why; the command line repeats it."""
        result = call("train", corpus, *SMALL, "--json")
        assert result.err.startswith("level word, since 0.3% of the words in the last tenth")
        assert result.events[0]["level"] == "word"
        assert "--level word" in result.events[0]["command"]

    @pytest.mark.parametrize("level", ["char", "word", "bpe"])
    def test_vocab_size(self, call: Call, corpus: Path, level: str) -> None:
        """--vocab-size bounds the vocabulary, that of characters too."""
        result = call("train", corpus, *SMALL, "--json", "--level", level, "--vocab-size", 12)
        assert result.events[0]["model"]["vocab_size"] == 12


class TestRunFolder:
    def test_counted_up(self, call: Call, corpus: Path, tmp_path: Path) -> None:
        """A second run of a text leaves the first one alone and is named NAME-2."""
        first = call("train", corpus, *SMALL, "--json")
        before = contents(tmp_path / "runs" / "corpus")
        second = call("train", corpus, *SMALL, "--json")
        assert Path(first.events[-1]["run"]) == Path("runs", "corpus")
        assert Path(second.events[-1]["run"]) == Path("runs", "corpus-2")
        assert contents(tmp_path / "runs" / "corpus") == before
        assert contents(tmp_path / "runs" / "corpus-2").keys() == FILES

    def test_same_random_seed(self, call: Call, corpus: Path, tmp_path: Path) -> None:
        """The same --random-seed gives the same model, another one another."""
        texts = []
        for i, seed in enumerate((1, 1, 2)):
            assert call("train", corpus, *SMALL, "-o", i, "--random-seed", seed).code == 0
            options = ("-m", i, "--random-seed", 0)
            texts.append(call("generate", "A", *options).out)
        assert texts[0] == texts[1] != texts[2]

    def test_quiet(self, call: Call, corpus: Path) -> None:
        """-q says nothing at all."""
        result = call("train", corpus, *SMALL, "-q")
        assert (result.code, result.out, result.err) == (0, "", "")

    def test_named(self, call: Call, corpus: Path, tmp_path: Path) -> None:
        """-o names the run folder, parents included."""
        assert call("train", corpus, *SMALL, "-o", "deep/down").code == 0
        assert contents(tmp_path / "deep" / "down").keys() == FILES
        assert not (tmp_path / "runs").exists()

    def test_taken(self, call: Call, trained: Training, corpus: Path) -> None:
        """A folder named by -o that holds a run is refused and stays as it was."""
        before = contents(trained.run)
        result = call("train", corpus, *SMALL, "-o", trained.run)
        assert (result.code, result.out) == (1, "")
        assert str(trained.run) in result.error
        assert contents(trained.run) == before

    def test_nothing_held_out(self, call: Call, corpus: Path) -> None:
        """With --val 0 there is no score, and a model all the same."""
        result = call("train", corpus, *SMALL, "--val", 0, "--json")
        assert result.code == 0
        done = result.events[-1]
        assert (done["val_nats"], done["val_bpc"], done["val_bpb"]) == (None, None, None)
        assert call("generate", "A", "-n", 5).code == 0

    def test_several_texts(self, call: Call, corpus: Path) -> None:
        """Several texts are learned as one; the first names the run."""
        result = call("train", corpus, corpus, *SMALL, "--json")
        begin = result.events[0]
        length = len(corpus.read_text(encoding="utf-8"))
        assert begin["train_chars"] + begin["val_chars"] == 2 * length
        assert Path(begin["run"]) == Path("runs", "corpus")

    @pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "rnn-relu"])
    def test_options(self, call: Call, corpus: Path, cell: str) -> None:
        """What the options set is what is trained."""
        wanted = {"cell": cell, "hidden": 12, "layers": 2, "embedding": 7}
        result = call(
            "train", corpus, "--cell", cell, "--hidden", 12, "--layers", 2, "--embed", 7,
            "--bptt", 16, "--batch", 4, "--dropout", 0.1, "--steps", 2, "--json",
        )  # fmt: skip
        assert result.code == 0, result.err
        begin = result.events[0]
        assert {name: begin["model"][name] for name in wanted} == wanted
        assert (begin["training"]["bptt"], begin["training"]["batch"]) == (16, 4)
        assert result.events[-1]["tokens"] == 2 * 16 * 4


class TestInput:
    @pytest.mark.slow
    def test_standard_input(self, tmp_path: Path, corpus: Path) -> None:
        """- reads the text from standard input."""
        text = corpus.read_text(encoding="utf-8")
        result = charrnn_command("train", "-", *SMALL, "--json", cwd=tmp_path, stdin=text)
        assert result.code == 0, result.err
        assert result.events[0]["train_chars"] + result.events[0]["val_chars"] == len(text)
        assert {path.name for path in Path(tmp_path, "runs", "stdin").iterdir()} == FILES

    def test_encoding(self, call: Call, tmp_path: Path) -> None:
        """--encoding says how a text is written."""
        (tmp_path / "latin.txt").write_bytes("Un café à Noël. ".encode("cp1252") * 40)
        assert call("train", "latin.txt", *SMALL, "--encoding", "cp1252").code == 0
        result = call("generate", "Un café à Noël", "-n", 5)
        assert (result.code, result.err) == (0, "")

    @pytest.mark.parametrize(
        ("content", "wrong"),
        [
            (b"", ["empty"]),
            (b"a", ["single character"]),
            (b"0123456789" * 5, ["too short"]),
            (b"\x7fELF\x02\x01\x01\x00\x00" * 100, ["text.txt", "binary", "0x00", "offset 7"]),
            (b"some good text\n" * 20 + b"caf\xe9", ["text.txt", "0xe9", "offset 303", "line 21"]),
        ],
        ids=["empty", "one character", "50 characters", "binary", "not UTF-8"],
    )
    def test_bad_text(self, call: Call, tmp_path: Path, content: bytes, wrong: list[str]) -> None:
        """A text that cannot be learned is told in one line that says what and where."""
        (tmp_path / "text.txt").write_bytes(content)
        result = call("train", "text.txt")
        assert (result.code, result.out) == (1, "")
        for part in wrong:
            assert part in result.error
        assert os.listdir(tmp_path) == ["text.txt"]

    @pytest.mark.parametrize("path", ["missing.txt", "folder", "text.txt/below"])
    def test_no_text(self, call: Call, tmp_path: Path, path: str) -> None:
        """A path that is no readable file is told in one line that names it."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "text.txt").write_text("The fox slept. " * 100)
        result = call("train", path)
        assert (result.code, result.out) == (1, "")
        assert path in result.error
        assert sorted(os.listdir(tmp_path)) == ["folder", "text.txt"]

    @pytest.mark.slow
    def test_missing_in_a_shell(self, tmp_path: Path) -> None:
        """The process itself says no more than the error's line and ends with its exit code."""
        result = charrnn_command("train", "missing.txt", cwd=tmp_path)
        assert (result.code, result.out) == (1, "")
        assert "missing.txt" in result.error

    def test_nothing_named(self, call: Call, tmp_path: Path) -> None:
        """Without a text it is wrong usage."""
        result = call("train")
        assert (result.code, result.out) == (2, "")
        assert "charrnn train" in result.error

    @pytest.mark.parametrize(
        "option",
        [
            "--level foo", "--cell foo", "--device foo", "--encoding foo",
            "--hidden 0", "--hidden many", "--layers 0", "--embed 0", "--bptt 0", "--batch 0",
            "--dropout 1", "--dropout -0.1", "--dropout nan", "--val 1", "--val -0.1",
            "--weight-drop 1", "--embedding-dropout 1",
            "--lr 0", "--lr inf", "--clip -1", "--clip nan", "--random-seed -1",
            "--time nonsense", "--time 0s", "--time -5s", "--time 5x",
            "--epochs 0", "--epochs nan", "--steps 0", "--patience 0",
            "--vocab-size 1", "--vocab-size 9999999",
        ],
    )  # fmt: skip
    def test_bad_option(self, call: Call, corpus: Path, tmp_path: Path, option: str) -> None:
        """A value that makes no sense is wrong usage, in one line; nothing is written."""
        name, value = option.split()
        result = call("train", corpus, name, value)
        assert (result.code, result.out) == (2, "")
        assert name.strip("-")[:5] in result.error or value in result.error
        assert os.listdir(tmp_path) == []

    def test_too_large_for_the_memory(self, call: Call, corpus: Path, tmp_path: Path) -> None:
        """A network that no memory holds is an error of one line; nothing is written."""
        result = call("train", corpus, "--hidden", 100_000)
        assert (result.code, result.out) == (1, "")
        assert "memory" in result.error
        assert os.listdir(tmp_path) == []


class TestUnwritable:
    @pytest.mark.parametrize("path", ["file", "file/run", "/proc/run", "/dev/full/run"])
    def test_folder(self, call: Call, corpus: Path, tmp_path: Path, path: str) -> None:
        """A run folder that cannot be made is told in one line that names it."""
        if path.startswith("/") and not Path(path).parent.exists():
            pytest.skip(f"no {Path(path).parent} here")
        (tmp_path / "file").write_text("in the way")
        result = call("train", corpus, *SMALL, "-o", path)
        assert (result.code, result.out) == (1, "")
        assert path in result.error
        assert os.listdir(tmp_path) == ["file"]

    @pytest.mark.parametrize("limit", [1_000, 20_000])
    def test_full_disk(self, call: Call, corpus: Path, tmp_path: Path, limit: int) -> None:
        """Where no more can be written, training ends with an error and leaves no half file."""
        with files_limited_to(limit):
            result = call("train", corpus, "--hidden", 64, "--steps", 2)
        assert result.code == 1
        last = result.err.splitlines()[-1]
        assert last.startswith("charrnn: error: cannot write ")
        assert {path.name for path in (tmp_path / "runs" / "corpus").iterdir()} <= {
            "log.jsonl",
            "samples.txt",
        }


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Writes past `size` bytes of a file fail, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestDivergence:
    def test_told(self, call: Call, corpus: Path) -> None:
        """Training that leaves the finite numbers says that it goes back, and ends well."""
        network = ("--level", "char", "--cell", "rnn-relu", *SMALL[:2], "--weight-decay", 0)
        result = call("train", corpus, *network, "--lr", 3, "--steps", 60, "--json")
        assert result.code == 0
        (back, *_) = [event for event in result.events if event["event"] == "rollback"]
        assert back["lr"] == 1.5
        assert "the learning rate halved to 1.5" in result.err
        charrnn.load("runs/corpus")


class TestFrom:
    def test_both_texts(self, trained: Training, call: Call, tmp_path: Path) -> None:
        """--from goes on with a model's weights on a new text and scores both texts twice."""
        (tmp_path / "new.txt").write_text("Zwölf Bären schlafen am Fluß.\n" * 40, encoding="utf-8")
        result = call("train", "new.txt", "--from", trained.run, "--steps", 20, "--json")
        assert result.code == 0
        before, after = [e for e in result.events if e["event"] == "transfer"]
        assert before.keys() == {"event", "step", "old_nats", "new_nats"}
        assert after["new_nats"] < before["new_nats"]
        start = result.events[0]
        assert (start["model"]["hidden"], start["level"]) == (32, "char")
        info = call("info", "runs/new", "--json").events[0]
        assert "ö" in "".join(charrnn.load("runs/new").file.tokenizer.tokens)
        assert info["from"].endswith("model.safetensors")

    @pytest.mark.parametrize(
        "option",
        ["--hidden 8", "--level word", "--cell gru", "--layers 2", "--embed 9", "--vocab-size 99"],
    )
    def test_shape_is_given(self, trained: Training, call: Call, corpus: Path, option: str) -> None:
        """The network's shape is that of the run named, so options for it are wrong usage."""
        result = call("train", corpus, "--from", trained.run, *option.split())
        assert (result.code, result.out) == (2, "")
        assert "--from" in result.error

    def test_missing(self, call: Call, corpus: Path, tmp_path: Path) -> None:
        """A model that does not exist is an error of one line; nothing is written."""
        result = call("train", corpus, "--from", "nowhere")
        assert (result.code, result.out) == (1, "")
        assert "nowhere" in result.error
        assert os.listdir(tmp_path) == []


@pytest.mark.slow
class TestTensorboard:
    def test_events(self, call: Call, corpus: Path) -> None:
        """--tensorboard writes losses, rate, gradient and samples where its library finds them."""
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        result = call("train", corpus, "--hidden", 8, "--steps", 200, "--tensorboard", "--json")
        assert result.code == 0
        events = accumulator.EventAccumulator("runs/corpus")
        events.Reload()
        validations = [e for e in result.events if e["event"] == "validation"]
        written = events.Scalars("loss/held out")
        assert [event.step for event in written] == [event["step"] for event in validations]
        assert [event.value for event in written] == pytest.approx(
            [event["val_nats"] for event in validations]
        )
        assert events.Tags()["tensors"] == ["sample/text_summary"]

    def test_missing_library(self, tmp_path: Path, corpus: Path) -> None:
        """Without the library --tensorboard says what to install, before anything is written."""
        program = (
            "import sys; sys.modules['tensorboard'] = None; from charrnn.cli import main; "
            "sys.exit(main())"
        )
        result = charrnn_command(
            "train", corpus, *SMALL, "--tensorboard", cwd=tmp_path,
            program=[sys.executable, "-c", program],
        )  # fmt: skip
        assert (result.code, result.out) == (2, "")
        assert "pip install" in result.error
        assert os.listdir(tmp_path) == []


class TestTime:
    @pytest.mark.slow
    def test_plan(self, tmp_path: Path, corpus: Path) -> None:
        """With --time the steps that fit are told, and training ends by itself."""
        result = charrnn_command(
            "train", corpus, "--hidden", 16, "--time", "4s", "--json", cwd=tmp_path
        )
        assert result.code == 0, result.err
        plans = [event for event in result.events if event["event"] == "plan"]
        assert plans
        assert plans[0]["steps"] > 0
        assert result.events[-1]["event"] == "done"
        assert result.events[-1]["steps"] <= max(plan["steps"] for plan in plans)
        assert result.events[0]["training"]["seconds"] == 4
        assert f"about {plans[0]['steps']:,} steps" in result.err

    @pytest.mark.parametrize(
        ("text", "seconds"), [("90", 90), ("0.5m", 30), ("2h", 7200), ("1D", 86400)]
    )
    def test_units(self, call: Call, corpus: Path, text: str, seconds: float) -> None:
        """--time takes seconds, minutes, hours and days."""
        result = call("train", corpus, *SMALL, "--time", text, "--json")
        assert result.events[0]["training"]["seconds"] == seconds

    def test_epochs(self, call: Call, corpus: Path) -> None:
        """--epochs bounds the passes over the text."""
        result = call("train", corpus, "--hidden", 8, "--epochs", 0.5, "--json")
        begin, done = result.events[0], result.events[-1]
        step = begin["training"]["batch"] * begin["training"]["bptt"]
        passes = done["tokens"] / begin["train_tokens"]
        assert 0.5 <= passes < 0.5 + step / begin["train_tokens"]


@dataclass(frozen=True)
class Interruption:
    folder: Path
    result: Result
    events: list[dict[str, Any]]

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "corpus"


def interrupt(corpus: Path, folder: Path, number: signal.Signals) -> Interruption:
    """Train some 500 steps and send a signal after the first save."""
    (folder / "corpus.txt").write_bytes(corpus.read_bytes())
    process = start("train", "corpus.txt", "--hidden", 16, "--steps", 500, "--json", cwd=folder)
    event_named(process, "save")
    process.send_signal(number)
    result = finish(process)
    return Interruption(folder, result, result.events)


@pytest.fixture(scope="module")
def interrupted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Interruption:
    """A training after Ctrl-C."""
    return interrupt(corpus, tmp_path_factory.mktemp("interrupted"), signal.SIGINT)


@posix
class TestInterrupted:
    @pytest.fixture
    def copy(self, interrupted: Interruption, call: Call, tmp_path: Path) -> Path:
        """The run, its text beside it, in the present folder."""
        shutil.copytree(interrupted.folder, tmp_path, dirs_exist_ok=True)
        return tmp_path / "runs" / "corpus"

    def test_told(self, interrupted: Interruption) -> None:
        """Ctrl-C ends with exit code 130 and says how to go on, without a traceback."""
        assert interrupted.result.code == 130
        last = interrupted.result.err.splitlines()[-1]
        assert f"charrnn train --resume -m {Path('runs', 'corpus')}" in last
        assert "Traceback" not in interrupted.result.err
        assert interrupted.events[-1]["event"] == "stop"

    def test_saved(self, interrupted: Interruption) -> None:
        """Ctrl-C saves the model and what a resume needs."""
        assert {path.name for path in interrupted.run.iterdir()} == FILES
        assert_usable(interrupted.run)

    @pytest.mark.slow
    def test_terminated(self, corpus: Path, tmp_path: Path) -> None:
        """Being told to end is like Ctrl-C: the run is saved."""
        ended = interrupt(corpus, tmp_path, signal.SIGTERM)
        assert ended.result.code == 130
        assert "--resume" in ended.result.err
        assert_usable(ended.run)

    def test_resume(self, interrupted: Interruption, copy: Path, call: Call) -> None:
        """--resume goes on at the step where the run was saved and finishes it."""
        stopped = interrupted.events[-1]["step"]
        result = call("train", "--resume", "--json")
        assert result.code == 0, result.err
        assert result.events[0]["step"] == stopped
        assert result.events[-1]["event"] == "done"
        assert result.events[-1]["steps"] == 500
        assert f"resuming from step {stopped}" in result.err
        log = (copy / "log.jsonl").read_text(encoding="utf-8")
        validations = [e for e in map(json.loads, log.splitlines()) if e["event"] == "validation"]
        steps = [event["step"] for event in validations]
        assert all(a < b for a, b in itertools.pairwise(steps))
        assert {path.name for path in copy.iterdir()} == FILES

    def test_resume_with_another_limit(
        self, interrupted: Interruption, copy: Path, call: Call
    ) -> None:
        """--resume may change when training ends, and -o names the run."""
        steps = interrupted.events[-1]["step"] + 5
        result = call("train", "--resume", "-o", copy, "--steps", steps, "--json")
        assert result.code == 0, result.err
        assert result.events[-1]["steps"] == steps

    def test_resume_with_another_text(self, copy: Path, call: Call, tmp_path: Path) -> None:
        """--resume refuses a text that has changed, and leaves the run as it was."""
        text = (tmp_path / "corpus.txt").read_text(encoding="utf-8")
        (tmp_path / "corpus.txt").write_text(text.replace("fox", "cat", 1), encoding="utf-8")
        before = contents(copy)
        result = call("train", "corpus.txt", "--resume")
        assert (result.code, result.out) == (1, "")
        assert "text" in result.error
        assert contents(copy) == before

    def test_resume_from_a_moved_text(
        self, interrupted: Interruption, copy: Path, call: Call, tmp_path: Path
    ) -> None:
        """A text that has moved is missed, with the way to name it anew."""
        text = interrupted.folder / "corpus.txt"
        (tmp_path / "corpus.txt").rename(tmp_path / "moved.txt")
        text.rename(text.with_name("hidden"))
        try:
            lost = call("train", "--resume", "-o", copy)
        finally:
            text.with_name("hidden").rename(text)
        assert (lost.code, lost.out) == (1, "")
        assert "corpus.txt does not exist; if it has moved" in lost.error
        assert f"charrnn train TEXT --resume -m {copy}" in lost.error
        steps = interrupted.events[-1]["step"] + 3
        result = call("train", "moved.txt", "--resume", "-o", copy, "--steps", steps)
        assert result.code == 0, result.err

    def test_resume_of_a_damaged_file(self, copy: Path, call: Call) -> None:
        """A damaged resume file is an error of one line."""
        path = copy / "resume.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        result = call("train", "--resume")
        assert (result.code, result.out) == (1, "")
        assert "resume.safetensors" in result.error


@pytest.mark.slow
@posix
def test_killed(call: Call, corpus: Path, tmp_path: Path) -> None:
    """A kill that cannot be caught leaves the files that were saved, whole and able to go on."""
    process = start("train", corpus, "--hidden", 16, "--steps", 2000, "--json", cwd=tmp_path)
    saved = event_named(process, "save")
    event_named(process, "validation")
    process.kill()
    finish(process)
    run = tmp_path / "runs" / "corpus"
    assert_usable(run)
    steps = saved["step"] + 3
    result = call("train", "--resume", "--steps", steps, "--json")
    assert result.code == 0, result.err
    assert result.events[0]["step"] == saved["step"]
    assert result.events[-1]["steps"] == steps
    assert not list(run.glob("*.tmp"))


class TestNothingToResume:
    def test_finished(self, trained: Training, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        """--resume of a finished run is wrong usage and says what would help."""
        monkeypatch.chdir(trained.folder)
        before = contents(trained.run)
        result = call("train", "--resume")
        assert (result.code, result.out) == (2, "")
        assert "finished" in result.error
        assert "--steps" in result.error
        assert contents(trained.run) == before

    @pytest.mark.parametrize("options", [[], ["-o", "missing"]])
    def test_missing(self, call: Call, tmp_path: Path, options: list[str]) -> None:
        """--resume without a run is an error of one line; nothing is written."""
        result = call("train", "--resume", *options)
        assert (result.code, result.out) == (1, "")
        assert "resume" in result.error
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize(
        "option",
        [
            "--hidden 8",
            "--level word",
            "--vocab-size 9",
            "--cell gru",
            "--val 0.2",
            "--random-seed 1",
        ],
    )
    def test_what_cannot_change(self, call: Call, option: str) -> None:
        """What a run is cannot change with --resume."""
        result = call("train", "--resume", *option.split())
        assert (result.code, result.out) == (2, "")
        assert "--resume" in result.error


class TestRepeated:
    def test_command(self, call: Call, corpus: Path) -> None:
        """The command line in the log makes the same choices again."""
        options = ("--level", "word", "--epochs", 0.2, "--tied", "--random-seed", 3)
        first = call("train", corpus, *options, "--json", "-o", "first").events[0]
        words = shlex.split(first["command"])
        assert words[:2] == ["charrnn", "train"]
        again = call(*words[1:], "--json", "-o", "again").events[0]
        for name in ("model", "training", "level", "command"):
            assert again[name] == first[name]

    @pytest.mark.slow
    def test_threads(self, corpus: Path, tmp_path: Path) -> None:
        """With --threads and --steps the weights are the same bit for bit."""
        options = ("--hidden", 64, "--steps", 6, "--threads", 2, "-q")
        first, again = tmp_path / "first", tmp_path / "again"
        for run in (first, again):
            command = ("train", corpus, *options, "-o", run)
            result = charrnn_command(*command, cwd=tmp_path, environment={"OMP_NUM_THREADS": "2"})
            assert result.code == 0, result.err
        other = charrnn.load(again).file.weights
        for name, array in charrnn.load(first).file.weights.items():
            assert np.array_equal(array, other[name])


@pytest.mark.parametrize(
    "option", ["--steps", "--epochs", "--time", "--patience", "--batch", "--bptt", "--hidden"]
)
def test_absurd_number(call: Call, corpus: Path, option: str) -> None:
    """A number of 400 digits is wrong usage, told by its bound before the text is read."""
    result = call("train", corpus, option, "9" * 400)
    assert (result.code, result.out) == (2, "")
    assert f"{option.strip('-')} must be " in result.error
    assert result.error.endswith("00,000 seconds" if option == "--time" else tuple("0123456789"))


class TestNormalised:
    TEXT = "Cafe\u0301s close at noe\u0308l.\u2028\ufeffThe fox slept.\n"  # decomposed

    def trained(self, call: Call, *options: str) -> Model:
        Path("text.txt").write_text(self.TEXT * 20, encoding="utf-8")
        command = ("train", "text.txt", "-o", "run", "--hidden", 8, "--steps", 2, *options)
        result = call(*command)
        assert result.code == 0, result.err
        return charrnn.load("run")

    @pytest.mark.parametrize("level", ["char", "word", "bpe"])
    def test_default(self, call: Call, level: str) -> None:
        """Text is learned in one form, and whatever the model reads later is brought into it."""
        model = self.trained(call, "--level", level)
        characters = {*"".join(model.file.tokenizer.tokens[:-1])}
        assert {*"éë\n"} < characters
        assert not characters & {*"\u0301\u0308\ufeff\u2028"}
        result = call("generate", "Cafe\u0301", "--ban", "noe\u0308l", "-n", 5, "-m", "run")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("Café")
        assert model.complete("cafe\u0301 noe\u0308") == model.complete("café noë")
        Path("a.txt").write_text("Cafe\u0301 \ufeffnoe\u0308l\n", encoding="utf-8")
        Path("b.txt").write_text("Café noël\n", encoding="utf-8")
        decomposed, composed = (
            [call(command, name, "--json", "-m", "run").events for command in ("eval", "score")]
            for name in ("a.txt", "b.txt")
        )
        assert decomposed[0] == composed[0]
        assert decomposed[1] == [record | {"file": "a.txt"} for record in composed[1]]
        assert call("train", "--resume", "-o", "run", "--steps", 3).code == 0

    @pytest.mark.parametrize("options", [["--no-normalise"], ["--level", "byte"]])
    def test_off(self, call: Call, options: list[str]) -> None:
        """--no-normalise learns the text as it stands, and so do bytes."""
        model = self.trained(call, *options)
        assert not model.normalised
        seed = "Cafe\u0301\ufeff"
        (text,) = call("generate", seed, "-n", 0, "--json", "-m", "run").events
        assert text["seed"] == seed
        if options[0] == "--no-normalise":
            assert {*"\u0301\ufeff\u2028"} < {*model.file.tokenizer.tokens}

    def test_fine_tuned(self, call: Call) -> None:
        """--from reads a text as the parent's was, so that an older run goes on as it was."""
        self.trained(call, "--no-normalise")
        options = ("--from", "run", "--steps", 2, "-o", "tuned")
        assert call("train", "text.txt", *options).code == 0
        assert not charrnn.load("tuned").normalised
