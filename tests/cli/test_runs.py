"""Run folders, as the commands claim, find, read and name them."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import charrnn
from tests.cli.conftest import Call
from tests.cli.shell import (
    COMMAND,
    PATIENCE,
    Process,
    Training,
    charrnn_command,
    event_named,
    finish,
    on_terminal,
    start,
)
from tests.cli.test_train import FILES, SMALL, contents

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
any_bytes = pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")
# Root without its right to read everything, and everyone else as they are.
BOUND = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
     "--inh-caps=-dac_override,-dac_read_search"] if os.name == "posix" and not os.getuid() else []
)  # fmt: skip


def reading(folder: Path) -> Process:
    """A training that waits for the rest of its text, from standard input."""
    process = start("train", "-", *SMALL, "--json", cwd=folder)
    deadline = time.monotonic() + PATIENCE
    while not (folder / "runs" / "stdin").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


class TestClaimed:
    @pytest.mark.slow
    def test_together(self, tmp_path: Path, corpus: Path) -> None:
        """Trainings of one text that start together have a folder each, with a whole log."""
        together = [start("train", corpus, *SMALL, "--json", cwd=tmp_path) for _ in range(3)]
        results = [finish(process) for process in together]
        assert [result.code for result in results] == [0, 0, 0], results
        runs = [Path(result.events[-1]["run"]) for result in results]
        assert sorted(map(str, runs)) == ["runs/corpus", "runs/corpus-2", "runs/corpus-3"]
        for run, result in zip(runs, results, strict=True):
            assert contents(tmp_path / run).keys() == FILES
            assert (tmp_path / run / "log.jsonl").read_text(encoding="utf-8") == result.out

    @posix
    def test_named_twice(self, tmp_path: Path, corpus: Path, call: Call) -> None:
        """A folder that another training has claimed is refused at once; a kill frees it."""
        first = reading(tmp_path)
        result = call("train", corpus, *SMALL, "-o", "runs/stdin")
        assert (result.code, result.out) == (1, "")
        assert "another process is training in runs/stdin; choose another" in result.error
        first.kill()
        finish(first)
        assert call("train", corpus, *SMALL, "-o", "runs/stdin").code == 0
        assert contents(tmp_path / "runs/stdin").keys() == FILES

    @pytest.mark.slow
    @posix
    def test_resumed_while_training(self, tmp_path: Path, corpus: Path, call: Call) -> None:
        """A run that is still trained, or is taken up already, is not resumed a second time."""
        assert call("train", corpus, "--hidden", 8, "--steps", 3).code == 0
        again = ("train", "--resume", "--steps", 100_000, "--json")
        process = start(*again, cwd=tmp_path)
        event_named(process, "start")
        for _ in range(2):
            result = call("train", "--resume")
            assert (result.code, result.out) == (1, "")
            assert f"{Path('runs', 'corpus')} is still being trained; wait" in result.error
            process.kill()
            finish(process)
            process = start(*again, cwd=tmp_path)
            event_named(process, "start")
        process.kill()
        finish(process)

    def test_failed(self, tmp_path: Path) -> None:
        """A training that fails before its first step leaves the user's folder as it was."""
        (tmp_path / "notes").mkdir()
        result = charrnn_command("train", "-", "-o", "notes", cwd=tmp_path, stdin="too short")
        assert (result.code, result.out) == (1, "")
        assert os.listdir(tmp_path) == ["notes"]
        assert os.listdir(tmp_path / "notes") == []


class TestNotRead:
    def test_a_folder_with_runs(self, corpus: Path, tmp_path: Path, call: Call) -> None:
        """Training on the current folder reads nothing that an earlier run has written there."""
        (tmp_path / "text.txt").write_bytes(corpus.read_bytes())
        first = call("train", ".", *SMALL, "--json")
        assert (tmp_path / first.events[-1]["run"] / "samples.txt").exists()
        second = call("train", ".", *SMALL, "--json")
        for result in (first, second):
            begin = result.events[0]
            assert begin["train_chars"] + begin["val_chars"] == len(corpus.read_text())
        assert call("train", "--resume", "--steps", 4).code == 0

    def test_a_run_beside_its_text(self, corpus: Path, tmp_path: Path, call: Call) -> None:
        """The folder of the texts may be the run folder: only what charrnn wrote is left out."""
        (tmp_path / "novel").mkdir()
        (tmp_path / "novel" / "one.txt").write_bytes(corpus.read_bytes())
        assert call("train", "novel", *SMALL, "-o", "novel").code == 0
        assert call("train", "--resume", "-o", "novel", "--steps", 4).code == 0
        chars = json.loads(call("eval", "novel", "-m", "novel", "--json").out)["chars"]
        assert chars == len(corpus.read_text())

    @pytest.mark.parametrize("path", ["runs/corpus", "runs/corpus/model.safetensors"])
    @pytest.mark.parametrize(
        ("arguments", "instead"),
        [
            ("train PATH", "--resume -m PATH"),
            ("train PATH", "--from PATH"),
            ("eval PATH", "-m PATH"),
            ("score PATH", "-m PATH"),
            ("generate PATH", "-m PATH"),
            ("generate -f PATH", "-m PATH"),
        ],
    )
    def test_a_run_as_text(
        self, trained: Training, call: Call, arguments: str, instead: str, path: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """A run or model in the place of a text is named, with what to type instead."""
        monkeypatch.chdir(trained.folder)
        result = call(*arguments.replace("PATH", path).split())
        assert (result.code, result.out) == (2, "")
        assert f"{path} is a " in result.error
        assert instead.replace("PATH", "runs/corpus") in result.error
        assert contents(trained.run).keys() == FILES

    def test_a_seed_called_as_a_run(self, trained: Training, tmp_path: Path, call: Call) -> None:
        """A word is a seed, even if a folder in the current one has its name."""
        shutil.copytree(trained.run, tmp_path / "fox")
        assert call("generate", "fox", "-m", "fox", "-n", 3).out.startswith("fox")


class TestWhich:
    @pytest.fixture
    def several(self, trained: Training, tmp_path: Path) -> Path:
        """A folder with three runs, one without a model, and a text."""
        for name in ("old", "new", "begun"):
            shutil.copytree(trained.run, tmp_path / "runs" / name)
            os.utime(tmp_path / "runs" / name / "model.safetensors", (1e9, 1e9 + (name == "new")))
            os.utime(tmp_path / "runs" / name / "log.jsonl", (1e9, 1e9 + (name == "new")))
        (tmp_path / "runs" / "begun" / "model.safetensors").unlink()
        (tmp_path / "text.txt").write_text("The fox slept.\n")
        return tmp_path

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "command",
        ["generate A -n 2", "complete", "eval text.txt", "score text.txt", "info", "plot"],
    )
    def test_said(self, several: Path, command: str) -> None:
        """On a terminal stderr says which run was taken, unless it was named or with -q."""
        said = on_terminal(command.split(), several, stream="stderr")
        count = 3 if command == "plot" else 2
        assert said.startswith(f"using runs/new (newest of {count} runs; ")
        assert "using" not in on_terminal([*command.split(), "-q"], several, stream="stderr")
        assert "using" not in on_terminal([*command.split(), "-m", "old"], several, stream="stderr")

    def test_not_said(self, several: Path) -> None:
        """It is not said to a pipe, of a run that the environment names, or of a single one."""
        assert charrnn_command("info", cwd=several).err == ""
        assert on_terminal(["info"], several, stream="stderr", CHARRNN_MODEL="runs/old") == ""
        shutil.rmtree(several / "runs" / "new")
        assert on_terminal(["info"], several, stream="stderr") == ""

    @pytest.mark.parametrize("option", ["-m", "--model"])
    @pytest.mark.parametrize(
        "command",
        ["generate A -n 2", "complete", "eval text.txt", "score text.txt", "info", "plot",
         "train --resume --steps 61"],
    )  # fmt: skip
    def test_named(
        self, several: Path, call: Call, command: str, option: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every command takes -m, and names a run that is like one that is not found."""
        monkeypatch.setattr("sys.stdin", io.StringIO("The fo\n"))
        assert call(*command.split(), "-q", option, "old").code == 0
        result = call(*command.split(), option, "odl")
        assert (result.code, result.out) == (1, "")
        assert "odl does not exist; did you mean old?" in result.error

    def test_named_twice(self, several: Path, call: Call) -> None:
        """A run is named once; `plot` draws all that are named in either way."""
        assert "give one of them" in call("info", "old", "-m", "new").error
        assert "give -m alone" in call("train", "--resume", "-o", "old", "-m", "new").error
        assert "give --from" in call("train", "text.txt", "-m", "new").error
        result = call("plot", "old", "-m", "new", "-m", "begun", "--json")
        assert [run["name"] for run in result.events] == ["old", "new", "begun"]

    @pytest.mark.parametrize("named", ["runs/begun", "begun", "runs/begun/model.safetensors"])
    def test_no_model_yet(self, several: Path, call: Call, named: str) -> None:
        """A run without a model is told as such, with the way to go on."""
        result = call("generate", "A", "-m", named)
        assert (result.code, result.out) == (1, "")
        assert "runs/begun has no model yet" in result.error
        assert "charrnn train --resume -m runs/begun" in result.error


class TestElsewhere:
    @pytest.mark.slow
    def test_resumed(self, corpus: Path, tmp_path: Path, call: Call) -> None:
        """A run is resumed from any folder; only its resume file knows where the text was."""
        (tmp_path / "text.txt").write_bytes(corpus.read_bytes())
        assert call("train", "text.txt", *SMALL).code == 0
        run = tmp_path / "runs" / "text"
        assert charrnn.load(run).file.trained.facts["texts"] == ["text.txt"]
        assert str(tmp_path).encode() not in (run / "model.safetensors").read_bytes()
        assert str(tmp_path) not in (run / "log.jsonl").read_text(encoding="utf-8")
        (tmp_path / "below").mkdir()
        result = charrnn_command(
            "train", "--resume", "-o", "../runs/text", "--steps", 4, "--json",
            cwd=tmp_path / "below",
        )  # fmt: skip
        assert result.code == 0, result.err
        assert result.events[-1]["steps"] == 4

    def test_old_resume_file(self, corpus: Path, tmp_path: Path, call: Call) -> None:
        """A resume file with a relative path, as earlier versions wrote it, works where it did."""
        (tmp_path / "text.txt").write_bytes(corpus.read_bytes())
        assert call("train", "text.txt", *SMALL).code == 0
        path = tmp_path / "runs" / "text" / "resume.safetensors"
        data = path.read_bytes()
        size = 8 + int.from_bytes(data[:8], "little")
        absolute, relative = str(tmp_path / "text.txt"), "text.txt"
        header = data[8:size].decode().replace(absolute, relative).ljust(size - 8)
        path.write_bytes(data[:8] + header.encode() + data[size:])
        result = call("train", "--resume", "--steps", 4)
        assert result.code == 0, result.err

    @pytest.mark.parametrize("named", ["runs/corpus", "runs/corpus/", "corpus"])
    def test_run_in_the_place_of_the_text(
        self, trained: Training, tmp_path: Path, call: Call, named: str
    ) -> None:
        """`train --resume runs/book` resumes that run."""
        shutil.copytree(trained.run, tmp_path / "runs" / "corpus")
        shutil.copytree(trained.run, tmp_path / "runs" / "newer")
        result = call("train", "--resume", named, "--steps", 61, "--json")
        assert result.code == 0, result.err
        assert Path(result.events[-1]["run"]) == Path("runs/corpus")


@pytest.mark.slow
@any_bytes
class TestAnyBytes:
    def test_every_command(self, tmp_path: Path, corpus: Path) -> None:
        """A run folder and a text of any bytes work with every command; JSON is valid UTF-8."""
        name = b"it's \xe9"
        path, shown = os.fsdecode(name), name.decode(errors="replace")
        text = os.fsdecode(name + b".txt")
        (tmp_path / text).write_bytes(corpus.read_bytes())
        model = ("-m", path)
        run = tmp_path / path
        trained = charrnn_command("train", text, *SMALL, "-o", path, "--json", cwd=tmp_path)
        assert trained.code == 0, trained.err
        assert trained.events[0]["run"] == trained.events[-1]["run"] == shown
        assert (run / "log.jsonl").read_text(encoding="utf-8") == trained.out
        command = trained.err.splitlines()[-1].partition(":")[2].partition("   or ")[0].strip()
        again = subprocess.run(
            ["bash", "-c", command.replace("charrnn", f"{sys.executable} -m charrnn", 1)],
            cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
        for arguments in (
            ("train", "--resume", "-o", path, "--steps", 4, "--json"),
            ("train", text, "--steps", 2, "--from", path, "-o", "other", "--json"),
            ("generate", "A", "-n", 3, *model, "-o", path + ".out"),
            ("complete", *model),
            ("eval", text, *model, "--json"),
            ("plot", path, "--json"),
            ("plot", path),
            ("info", path),
        ):
            result = charrnn_command(*arguments, cwd=tmp_path)
            assert result.code == 0, (arguments, result.err)
        assert (run / "plot.html").read_text(encoding="utf-8")
        (facts,) = charrnn_command("info", path, "--json", cwd=tmp_path).events
        assert facts["path"] == f"{shown}/model.safetensors"
        assert facts["texts"] == [f"{shown}.txt"]
        (facts,) = charrnn_command("info", "other", "--json", cwd=tmp_path).events
        assert facts["from"] == f"{shown}/model.safetensors"
        scored = charrnn_command("score", text, *model, cwd=tmp_path).events
        assert {record["file"] for record in scored} == {f"{shown}.txt"}
        learned = charrnn_command(
            "learned", cwd=tmp_path, environment={"CHARRNN_LEARNED": path + ".sqlite"}
        )
        assert learned.code == 0, learned.err
        assert os.path.exists(tmp_path / (path + ".sqlite"))

    def test_tensorboard(self, tmp_path: Path, corpus: Path) -> None:
        """TensorBoard's library cannot write such a folder: that is told, and nothing written."""
        pytest.importorskip("tensorboard")
        path = os.fsdecode(b"r\xff")
        result = charrnn_command("train", corpus, "--tensorboard", "-o", path, cwd=tmp_path)
        assert (result.code, result.out) == (2, "")
        assert "choose another folder with -o" in result.err
        assert os.listdir(tmp_path) == []


def without_permission(*arguments: object, cwd: Path) -> str:
    """The error of a command, called by a user whom permissions bind."""
    result = charrnn_command(*arguments, cwd=cwd, program=[*BOUND, *COMMAND])
    assert (result.code, result.out) == (1, ""), result
    return result.error


@pytest.mark.slow
@pytest.mark.skipif(
    os.name != "posix" or bool(BOUND and not shutil.which("setpriv")),
    reason="needs a user whom permissions bind",
)
class TestUnreadable:
    @pytest.fixture
    def run(self, trained: Training, tmp_path: Path) -> Path:
        (tmp_path / "corpus.txt").write_text("The fox slept. " * 100)
        shutil.copytree(trained.run, tmp_path / "runs" / "book")
        return tmp_path / "runs" / "book"

    COMMANDS = (
        ("model.safetensors", ("generate", "A", "-m", "book")),
        ("model.safetensors", ("generate", "A")),
        ("model.safetensors", ("info", "runs/book/model.safetensors")),
        ("model.safetensors", ("train", "corpus.txt", "--from", "book")),
        ("log.jsonl", ("plot", "book")),
        ("log.jsonl", ("plot",)),
        ("log.jsonl", ("train", "--resume")),
        ("resume.safetensors", ("train", "--resume", "-o", "book")),
    )

    @pytest.mark.parametrize(("name", "arguments"), COMMANDS)
    def test_file(self, run: Path, name: str, arguments: tuple[str, ...]) -> None:
        """A file that may not be read, or is a folder, is told as such, and why."""
        (run / name).chmod(0)
        error = without_permission(*arguments, cwd=run.parents[1])
        assert "runs/book" in error
        assert "Permission denied" in error
        (run / name).unlink()
        (run / name).mkdir()
        error = without_permission(*arguments, cwd=run.parents[1])
        assert "runs/book" in error
        assert "Is a directory" in error or f"holds no {name}" in error

    @pytest.mark.parametrize(
        "arguments", [a for _, a in COMMANDS if len(a) > 1 and a[-1] not in ("A", "--resume")]
    )
    @pytest.mark.parametrize("folder", ["runs/book", "runs"])
    def test_folder(self, run: Path, folder: str, arguments: tuple[str, ...]) -> None:
        """So is a folder that may not be read; it is not said to hold nothing."""
        path = run.parents[1] / folder
        path.chmod(0)
        try:
            error = without_permission(
                *(a.replace("book", "runs/book") if a == "book" else a for a in arguments),
                cwd=run.parents[1],
            )
        finally:
            path.chmod(0o755)
        assert "runs/" in error
        assert "Permission denied" in error
