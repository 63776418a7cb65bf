"""Texts written by several processes: the same as by one, and nothing left when they end."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from charrnn.config import StopConfig
from charrnn.errors import ModelFileError
from charrnn.model import load
from charrnn.network.model_file import save
from charrnn.processes.order import Order
from charrnn.processes.workers import writing
from charrnn.tokenizer import CharTokenizer
from tests.cli.conftest import Call
from tests.cli.shell import COMMAND, PATIENCE, Process, charrnn_command, finish, start
from tests.models import CORPUS, random_model

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
SEEDED = ("--random-seed", 5)
ENDLESS = ("The", "-N", 10_000_000, *SEEDED)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of lines whose weights are random."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save(path, random_model(CharTokenizer.train(CORPUS), kind="lines", favourite="\n", by=3).file)
    return path


def workers(process: Process) -> list[psutil.Process]:
    """The processes that it has started, once there are two."""
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + PATIENCE
    found: list[psutil.Process] = []
    while len(found := parent.children()) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    return found


def gone(found: list[psutil.Process]) -> bool:
    """Whether processes end, within some time that none of them needs."""
    return not psutil.wait_procs(found, timeout=PATIENCE / 2)[1]


class TestSameTexts:
    @pytest.mark.parametrize(
        "options",
        [
            ["--json", "-N", 2100],
            pytest.param(
                ["-N", 1500, "-t", "0.5,1", "--bias", "a=2", "--ban", "The"], marks=pytest.mark.slow
            ),
            pytest.param(["-N", 20, "--highlight"], marks=pytest.mark.slow),
            pytest.param(["-N", 40, "-f", "seeds.txt", "--json"], marks=pytest.mark.slow),
            pytest.param(["-N", 9, "--template", "The {word}.", "--json"], marks=pytest.mark.slow),
            pytest.param(
                ["-N", 99, "--match", "[a-z ]+", "--best-of", 2, "--json"], marks=pytest.mark.slow
            ),
        ],
        ids=str,
    )
    def test_any_number(self, call: Call, tmp_path: Path, model: Path, options: list[Any]) -> None:
        """One, two and three processes write the same, byte by byte."""
        (tmp_path / "seeds.txt").write_text("".join(f"The {i}\n" for i in range(30)))
        common = ("generate", "-m", model, *options, *SEEDED, "-q", "--processes")
        one, *several = (call(*common, count) for count in (1, 2, 3))
        assert (one.code, one.err) == (0, "")
        assert one.out
        assert several == [one, one]
        assert call(*common[:-1]) == one

    def test_one_text(self, call: Call, model: Path) -> None:
        """For a single text no process is started."""
        options = ("generate", "-m", model, *SEEDED)
        assert call(*options, "--processes", 9) == call(*options)

    @pytest.mark.slow
    def test_records(self, tmp_path: Path, call: Call, paired: Any) -> None:
        """Targets to several sources."""
        (tmp_path / "sources.txt").write_text(" Badson \nKelski\n")
        options = ("generate", "--source", "@sources.txt", "-m", paired.run, "-N", 600, "--json")
        one, two = (call(*options, *SEEDED, "--processes", count) for count in (1, 2))
        assert one == two
        assert {record["source"] for record in one.events} == {"Badson", "Kelski"}

    @pytest.mark.slow
    def test_time(self, call: Call, model: Path) -> None:
        """--time ends all texts."""
        options = ("-N", 200, "--json", "--time", "0.2s", "--ban", "\n", "--processes", 2)
        result = call("generate", "-m", model, *options)
        assert (result.code, result.err, len(result.events)) == (0, "", 200)
        assert {record["why"] for record in result.events} == {"time"}


class TestEnds:
    @pytest.fixture
    def begin(self, model: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
        """Starts a command that would write for long; it is killed after the test."""
        begun = []

        def begin(*options: object) -> Process:
            command = ("generate", "-m", model, *ENDLESS, *options, "--processes", 2)
            begun.append(start(*command, cwd=tmp_path))
            return begun[-1]

        yield begin
        for process in begun:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

    @posix
    @pytest.mark.slow
    def test_interrupted(self, begin: Callable[..., Process], tmp_path: Path) -> None:
        """Ctrl-C ends all processes at once."""
        process = begin("-o", "out.txt")
        found = workers(process)
        while not (tmp_path / "out.txt").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert (process.wait(PATIENCE), finish(process).err) == (130, "")
        assert gone(found)

    @posix
    @pytest.mark.slow
    def test_interrupted_early(self, begin: Callable[..., Process], tmp_path: Path) -> None:
        """So it does while they start."""
        process = begin()
        found = workers(process)
        process.send_signal(signal.SIGINT)
        assert finish(process).code == 130
        assert gone(found)

    @posix
    @pytest.mark.slow
    def test_killed(self, begin: Callable[..., Process], tmp_path: Path) -> None:
        """No process is left when the command is killed."""
        process = begin()
        found = workers(process)
        assert process.stdout and process.stdout.readline()
        process.kill()
        assert gone(found)
        finish(process)

    @posix
    @pytest.mark.slow
    def test_killed_worker(self, begin: Callable[..., Process], tmp_path: Path) -> None:
        """When a worker is killed, an error says so, and the texts before it are whole."""
        process = begin("--json", "-o", "out.jsonl")
        found = workers(process)
        while not (tmp_path / "out.jsonl").exists():
            time.sleep(0.01)
        found[1].kill()
        result = finish(process)
        assert result.code == 1
        assert "SIGKILL" in result.error and "fewer processes" in result.error
        assert gone(found)
        for line in (tmp_path / "out.jsonl").read_text().splitlines():
            json.loads(line)

    @posix
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("shell", "code", "lines", "error"),
        [("| head -n 5", 0, 5, ""), ("> /dev/full", 1, 0, "No space left")],
    )
    def test_unwritable(
        self, model: Path, tmp_path: Path, shell: str, code: int, lines: int, error: str
    ) -> None:
        """A reader that has enough ends the command quietly, a full disk with an error."""
        options = " ".join(map(str, [*ENDLESS, "--processes", 2, "-m", model, "--json"]))
        result = charrnn_command(
            "-c", f"set -o pipefail; {' '.join(COMMAND)} generate {options} {shell}",
            cwd=tmp_path, program=["bash"],
        )  # fmt: skip
        assert (result.code, len(result.events)) == (code, lines)
        assert error in (result.error if error else result.err)
        assert bool(result.err) == bool(error)

    @pytest.mark.slow
    def test_error(self, call: Call, model: Path) -> None:
        """An error of a worker is the command's."""
        options = ("--match", "x{20}", "-N", 200, "--processes", 2, "-o", "out")
        result = call("generate", "-m", model, *options)
        assert result.code == 2
        assert result.error.startswith("charrnn: error: --match: the model gives this pattern")
        assert not Path("out").exists()


@pytest.mark.slow
def test_another_model(model: Path) -> None:
    """A worker does not write with other weights than those that the command has loaded."""
    loaded = load(model)
    loaded.file.weights["output_bias"][0] += 1
    order = Order(
        sources=[None],
        seeds=[""],
        samplings=[loaded.sampling()],
        count=3000,
        stop=StopConfig(chars=9, stop=["☃"]),
        pieces=None,
        best_of=1,
        random_seed=0,
        scored=False,
        surprisal=False,
        avoid_copying=False,
    )
    assert Order.from_json(order.to_json()) == order
    with pytest.raises(ModelFileError, match="has changed"), writing(loaded, model, order, 2) as it:
        next(it)
