"""Run folders: which one is meant, what is one, and who may write into it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from charrnn.display.plot.log import read_log
from charrnn.errors import ModelFileError, RunError, UsageError
from charrnn.runs import (
    LOG_NAME,
    MODEL_NAME,
    MODELS,
    RESUME_NAME,
    RUNS,
    SAMPLES_NAME,
    Claim,
    find,
    is_resumable,
    is_run,
    names,
    new,
    refuse,
    resumed,
)
from tests.cli.shell import ENVIRONMENT
from tests.display.plot.logs import start, write


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder holds nothing, and no model is named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_MODEL", raising=False)


def made(folder: str, *names: str) -> Path:
    """A folder that holds such files; a log tells of a run's start."""
    Path(folder).mkdir(parents=True)
    for name in names:
        (Path(folder) / name).write_bytes(b'{"event": "start"}\n' if name == LOG_NAME else b"file")
    return Path(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_log(tmp_path: Path) -> None:
    """A folder whose log is a pipe is no run, and cannot become one; nobody waits for the pipe."""
    os.mkfifo(tmp_path / LOG_NAME)
    assert not is_run(tmp_path)
    with pytest.raises(RunError, match="pipe or a device"):
        new(str(tmp_path), "text")
    with pytest.raises(RunError, match="pipe or a device"):
        read_log(tmp_path / LOG_NAME)


class TestFindModel:
    def run(self, folder: str, age: int = 0) -> Path:
        """A run whose model was written `age` seconds before the others."""
        path = Path(folder, MODEL_NAME)
        path.parent.mkdir(parents=True)
        path.write_bytes(folder.encode())
        os.utime(path, (10**9 - age, 10**9 - age))
        return path

    def test_file(self) -> None:
        """A model file is taken as it is named."""
        path = self.run("elsewhere/a")
        assert find(str(path)) == path

    def test_run_folder(self) -> None:
        """Of a run folder the model in it is taken."""
        path = self.run("elsewhere/a")
        assert find("elsewhere/a") == path
        assert find("elsewhere/a/") == path

    def test_run_by_name(self) -> None:
        """A run under runs/ needs no more than its name."""
        path = self.run("runs/book")
        assert find("book") == path

    def test_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """CHARRNN_MODEL is taken before the newest run, and a named model before that."""
        self.run("runs/newest")
        chosen, named = self.run("elsewhere/a", 9), self.run("elsewhere/b", 9)
        for value in ("elsewhere/a", str(chosen)):
            monkeypatch.setenv("CHARRNN_MODEL", value)
            assert find(None) == chosen
            assert find("elsewhere/b") == named

    def test_empty_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty CHARRNN_MODEL counts as none."""
        path = self.run("runs/a")
        monkeypatch.setenv("CHARRNN_MODEL", "")
        assert find(None) == path

    def test_newest(self) -> None:
        """Left out, it is the model written last, and runs without one are skipped."""
        for name, age in [("a", 30), ("m", 10), ("z", 20)]:
            self.run(f"runs/{name}", age)
        Path("runs/empty").mkdir()
        assert find(None).resolve() == Path("runs/m", MODEL_NAME).resolve()
        os.utime(Path("runs/z", MODEL_NAME), (2 * 10**9, 2 * 10**9))
        assert find(None).resolve() == Path("runs/z", MODEL_NAME).resolve()

    @pytest.mark.parametrize("folders", [[], ["runs"], ["runs/empty"]])
    def test_nothing(self, folders: list[str]) -> None:
        """Without any run it is a usage error that says how to get one."""
        for folder in folders:
            Path(folder).mkdir(parents=True)
        with pytest.raises(UsageError, match="charrnn train") as caught:
            find(None)
        assert caught.value.exit_code == 2

    def test_folder_without_a_model(self) -> None:
        """A folder that holds no model is told by name."""
        Path("notes").mkdir()
        with pytest.raises(ModelFileError, match=f"notes holds no {MODEL_NAME}"):
            find("notes")

    @pytest.mark.parametrize("named", ["nosuch", "runs/boko", "notes", "boko/model.safetensors"])
    def test_not_found(self, named: str) -> None:
        """What is no run is told by name, with the runs that there are, the newest first."""
        for age in range(7):
            self.run(f"runs/run{age}", age)
        Path("notes").mkdir()
        with pytest.raises(ModelFileError, match=named) as caught:
            find(named)
        assert caught.value.exit_code == 1
        assert caught.value.hint == "runs/ holds run0, run1, run2, run3, run4 and 2 more"

    @pytest.mark.parametrize("named", ["boko", "runs/boko", "runs/boko/model.safetensors", "Book"])
    def test_near(self, named: str) -> None:
        """Runs of a like name are named, but only those that have what is wanted."""
        for name in ("book", "book-2", "other"):
            self.run(f"runs/{name}")
        made("runs/books", LOG_NAME)
        with pytest.raises(ModelFileError, match="does not exist; did you mean book ") as caught:
            find(named)
        assert "books" not in caught.value.hint
        assert "other" not in caught.value.hint

    def test_not_found_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """If $CHARRNN_MODEL names no run, the error says where the name comes from."""
        monkeypatch.setenv("CHARRNN_MODEL", "nosuch")
        with pytest.raises(ModelFileError, match=r"nosuch, which \$CHARRNN_MODEL names, does not"):
            find(None)

    def test_called_as_a_folder_or_text(self) -> None:
        """A folder of texts or a text does not hide the run that was trained on it."""
        path = self.run("runs/book")
        made("book", "chapter.txt")
        assert find("book") == path
        (Path("book") / "chapter.txt").rename("chapter")
        assert find("./book/") == path
        Path("book").rmdir()
        Path("book").write_text("It was a dark and stormy night.")
        assert find("book") == path

    def test_called_as_a_run(self) -> None:
        """A run folder, or what may be a model file, is meant before a run under runs/."""
        self.run("runs/book")
        path = self.run("book")
        assert find("book") == path
        self.run("runs/model")
        Path("model").write_bytes(b"\x02" + bytes(7) + b"{}")
        assert find("model") == Path("model")

    def test_default_is_relative(self) -> None:
        """Runs are looked for under runs/ of the folder where the user is."""
        assert not RUNS.is_absolute()

    def test_several(self) -> None:
        """Who asks is told which run was taken from how many, if nothing was named."""
        told: list[tuple[Path, int]] = []

        def chosen(run: Path, count: int) -> None:
            told.append((run, count))

        self.run("runs/one", 9)
        find(None, chosen=chosen)
        assert told == []
        self.run("runs/two")
        made("runs/begun", LOG_NAME)
        find("one", chosen=chosen)
        assert told == []
        find(None, chosen=chosen)
        assert told == [(Path("runs/two"), 2)]

    @pytest.mark.parametrize("named", ["runs/book", "book", "runs/book/", None])
    def test_no_model_yet(self, named: str | None) -> None:
        """Of a run that was stopped before it had a model, the way to go on is told."""
        made("runs/book", RESUME_NAME, LOG_NAME)
        with pytest.raises(ModelFileError, match="book has no model yet") as caught:
            find(named)
        assert "charrnn train --resume -m runs/book" in caught.value.hint

    def test_no_model_yet_is_not_the_newest(self) -> None:
        """A run without a model is not taken before one that has a model."""
        path = self.run("runs/old", 99)
        made("runs/book", RESUME_NAME, LOG_NAME)
        assert find() == path


class TestFindLog:
    @pytest.fixture(autouse=True)
    def runs(self) -> None:
        for age, name in enumerate(["new", "old"]):
            path = write(Path("runs", name, LOG_NAME), start())
            os.utime(path, (1e9 - age, 1e9 - age))

    @pytest.mark.parametrize(
        "named", ["runs/old", "old", "runs/old/log.jsonl", "runs/old/model.safetensors"]
    )
    def test_named(self, named: str) -> None:
        """A run is named by its folder, its name under runs/, its log or its model."""
        assert find(named, LOG_NAME) == Path("runs/old", LOG_NAME)

    def test_newest(self) -> None:
        """Without a name it is the run that was written last."""
        assert find(None, LOG_NAME) == Path("runs/new", LOG_NAME)

    def test_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a name $CHARRNN_MODEL names it."""
        monkeypatch.setenv("CHARRNN_MODEL", "old")
        assert find(None, LOG_NAME) == Path("runs/old", LOG_NAME)

    def test_no_log(self) -> None:
        """A folder that holds no log is told by name."""
        made("notes", "notes.txt")
        with pytest.raises(RunError, match=f"notes holds no {LOG_NAME}"):
            find("notes", LOG_NAME)

    @pytest.mark.parametrize("named", ["odl", "odl/log.jsonl", "odl/model.safetensors"])
    def test_near(self, named: str) -> None:
        """A name that is not found is answered with those like it."""
        with pytest.raises(RunError, match=r"odl.* does not exist; did you mean old\?"):
            find(named, LOG_NAME)


class TestIsRun:
    @pytest.mark.parametrize(
        "names",
        [
            [MODEL_NAME, RESUME_NAME, LOG_NAME, SAMPLES_NAME],
            [MODEL_NAME, LOG_NAME, SAMPLES_NAME],
            [RESUME_NAME, LOG_NAME],
            [LOG_NAME, SAMPLES_NAME],
            [RESUME_NAME],
        ],
    )
    def test_runs(self, names: list[str]) -> None:
        """A run is known by its resume file or its log, whatever else has gone."""
        assert is_run(made("run", *names))

    @pytest.mark.parametrize("names", [[], [MODEL_NAME, "config.json", "README.md"], ["notes.txt"]])
    def test_other_folders(self, names: list[str]) -> None:
        """A folder of texts, or of another program's model, is none."""
        assert not is_run(made("folder", *names))

    @pytest.mark.parametrize("log", ["", "[]", '{"level": "info"}\n', '{"event": "login"}\n'])
    def test_log_of_another_program(self, log: str) -> None:
        """A log of another program does not make a run of a folder."""
        folder = made("folder", SAMPLES_NAME)
        (folder / LOG_NAME).write_text(log)
        assert not is_run(folder)

    @pytest.mark.parametrize("path", ["none", "file", "x" * 300, "a\nb", "", "-"])
    def test_no_folder(self, path: str) -> None:
        """What is no folder is no run."""
        Path("file").write_text("file")
        assert not is_run(path)


class TestRefuse:
    @pytest.mark.parametrize("path", ["runs/a b", "runs/a b/", "runs/a b/model.safetensors"])
    def test_refused(self, path: str) -> None:
        """A run or a model in the place of a text is named, with what to type instead."""
        made("runs/a b", MODEL_NAME, LOG_NAME, SAMPLES_NAME, "events.out.tfevents.1.host.2.0")
        with pytest.raises(UsageError, match=r"is a (?:run folder|model file), not a text") as c:
            refuse(path, "a text", "name it with -m {}")
        assert c.value.hint == f"name it with -m '{path.removesuffix('/model.safetensors')}'"

    def test_model_file_elsewhere(self) -> None:
        """A model file outside of a run folder stands for itself."""
        made("models", "book.safetensors")
        with pytest.raises(UsageError, match="is a model file, not a text") as c:
            refuse("models/book.safetensors", "a text", "name it with -m {}")
        assert c.value.hint == "name it with -m models/book.safetensors"

    def test_allowed(self) -> None:
        """A text of the user's stays one, also where a run was written beside it."""
        made("novel", MODEL_NAME, LOG_NAME, "chapter.txt")
        for path in ("novel", "novel/chapter.txt", "-", "none", "none.safetensors"):
            refuse(path, "a text", "")


HOLD = """
import sys
from pathlib import Path
from charrnn.runs import Claim

claim = Claim.of(Path(sys.argv[1]))
print("claimed" if claim else "taken", flush=True)
sys.stdin.read()
if claim:
    claim.release()
"""


def hold(folder: str) -> "subprocess.Popen[str]":
    """A process that claims a folder until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        encoding="utf-8",
    )
    assert process.stdout
    assert process.stdout.readline() == "claimed\n"
    return process


class TestClaim:
    def test_new(self) -> None:
        """A folder is made and holds an empty log; at the end nothing is left of it."""
        with new("deep/down", "book") as path:
            assert path == Path("deep/down")
            assert [(p.name, p.stat().st_size) for p in path.iterdir()] == [(LOG_NAME, 0)]
        assert os.listdir() == []

    def test_written(self) -> None:
        """A run that has logged something stays."""
        with new(None, "book") as path:
            (path / LOG_NAME).write_bytes(b"{}\n")
        assert [p.name for p in Path("runs/book").iterdir()] == [LOG_NAME]

    def test_counted_up(self) -> None:
        """Claims of one text at once have folders of their own, beside those of earlier runs."""
        made("runs/book", LOG_NAME)
        made("runs/book-3", MODEL_NAME)
        with new(None, "book") as one, new(None, "book") as other:
            assert (one, other) == (Path("runs/book-2"), Path("runs/book-4"))
        assert {path.name for path in RUNS.iterdir()} == {"book", "book-3"}

    @pytest.mark.parametrize("name", [MODEL_NAME, RESUME_NAME, LOG_NAME])
    def test_holds_a_run(self, name: str) -> None:
        """A folder that holds a run is refused by name and stays as it was."""
        made("run", name)
        with pytest.raises(RunError, match=r"run already holds a run; .*, or choose another") as c:
            new("run", "book")
        assert ("continue it with --resume" in c.value.hint) == (name == RESUME_NAME)
        assert os.listdir("run") == [name]

    @pytest.mark.parametrize("names", [[], ["notes.txt"]])
    def test_folder_of_the_user(self, names: list[str]) -> None:
        """A folder that exists can be named; what is the user's stays, empty or not."""
        made("notes", *names)
        with new("notes", "book"):
            pass
        assert os.listdir("notes") == names

    def test_held_by_another_process(self) -> None:
        """While another process holds a folder it is refused by name, and then free."""
        with hold("run") as process:
            with pytest.raises(RunError, match="another process is training in run; choose") as c:
                new("run", "book")
            assert "-o" in c.value.hint
            process.communicate()
        with new("run", "book"):
            pass

    @pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
    def test_killed(self) -> None:
        """What a killed process held is free, and what it was writing is removed."""
        for name in (None, "run"):
            folder = name or "runs/book"
            with hold(folder) as process:
                process.send_signal(signal.SIGKILL)
            for left in ("model.safetensors.tmp", "resume.safetensors.12ab34cd.tmp", "mine.tmp"):
                Path(folder, left).write_bytes(b"half")
            with new(name, "book") as path:
                assert path == Path(folder)
                assert {p.name for p in path.iterdir()} == {LOG_NAME, "mine.tmp"}

    def test_resumed(self) -> None:
        """The newest run that can be resumed is claimed, or the newest of a text."""
        for age, name in enumerate(["bookshelf", "book-2", "book"]):
            path = made(f"runs/{name}", RESUME_NAME, LOG_NAME) / RESUME_NAME
            os.utime(path, (10**9 - age, 10**9 - age))
        made("runs/newest", MODEL_NAME, LOG_NAME)
        for named, text, expected in (
            (None, None, "bookshelf"),
            (None, "book", "book-2"),
            ("book", None, "book"),
            ("runs/book", "other", "book"),
        ):
            with resumed(named, text) as path:
                assert path == Path("runs", expected)

    @pytest.mark.parametrize("named", [None, "none", "runs/empty"])
    def test_nothing_to_resume(self, named: str | None) -> None:
        """A folder without a run to resume is an error, and nothing is written."""
        made("runs/empty")
        with pytest.raises(RunError, match="nothing to resume"):
            resumed(named, None)
        assert os.listdir("runs/empty") == []
        assert os.listdir() == ["runs"]

    def test_resumed_near(self) -> None:
        """A name that is not found is answered with that of a run that can be resumed."""
        made("runs/book", RESUME_NAME, LOG_NAME)
        with pytest.raises(RunError, match=r"boko does not exist; did you mean book\?"):
            resumed("boko", None)

    def test_resumed_called_as_its_text(self) -> None:
        """A folder of texts does not hide the run that was trained on it."""
        made("runs/book", RESUME_NAME, LOG_NAME)
        made("book", "chapter.txt")
        with resumed("book", None) as path:
            assert path == Path("runs/book")
        assert not is_resumable("book")  # in the place of a text it is one

    def test_resumed_while_trained(self) -> None:
        """A run that another process trains cannot be resumed."""
        made("runs/book", RESUME_NAME, LOG_NAME)
        with hold("runs/book") as process:
            with pytest.raises(RunError, match="runs/book is still being trained; wait"):
                resumed(None, None)
            process.communicate()
        with resumed(None, None):
            pass

    @pytest.mark.parametrize("place", ["file", "folder"])
    def test_no_folder_can_be_made(self, place: str) -> None:
        """What stands in the way is told, and no part of the path is left."""
        Path("file").write_text("in the way")
        Path("folder", LOG_NAME).mkdir(parents=True)
        named = f"{place}/below" if place == "file" else place
        with pytest.raises(RunError, match=f"cannot use {named} as a run folder: "):
            new(named, "book")
        with pytest.raises(RunError):
            new(f"new/{'x' * 300}", "book")
        assert sorted(os.listdir()) == ["file", "folder"]

    def test_a_claim_that_was_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who opened a log just before it was removed has no claim: another one may have."""
        first = Claim.of(Path("run"))
        assert first

        def lock(_: BinaryIO) -> bool:
            first.release()
            return True

        monkeypatch.setattr("charrnn.runs.lock", lock)
        assert Claim.of(Path("run")) is None


def test_a_model_that_comes_with_charrnn() -> None:
    """It is found by its name, unless a run of the user has that name."""
    shipped = find("english")
    assert shipped.parent == MODELS
    assert shipped.stat().st_size < 8_000_000
    assert names() == ["english"]
    made("runs/english", LOG_NAME, MODEL_NAME)
    assert find("english") == RUNS / "english" / MODEL_NAME
    for named in ("../models/english", "eng", "english.safetensors"):
        with pytest.raises(ModelFileError):
            find(named)
