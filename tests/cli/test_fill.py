"""charrnn fill: the words that are missing in a text."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

import charrnn
from tests.cli.conftest import Call
from tests.cli.shell import Training, charrnn_command, finish, modules_loaded, start

TEXT = "The ___ slept by the river."
OLD = Path(__file__).parents[1] / "old_files"


def test_text(call: Call, any_trained: Training) -> None:
    """A line has words and their probabilities, the likeliest first."""
    result = call("fill", TEXT, "-m", any_trained.run)
    assert (result.code, result.err) == (0, "")
    assert result.out.count("\n") == 1
    words, ps = result.out.rstrip("\n").split("\t")[::2], result.out.split("\t")[1::2]
    assert 0 < len(words) == len(ps) <= 5
    assert "fox" in words
    assert [*map(float, ps)] == sorted(map(float, ps), reverse=True)


def test_json(call: Call, any_trained: Training) -> None:
    """--json gives the text and its fillings, as Model.missing finds them."""
    text = "The ___ slept by the ___."
    result = call("fill", text, "-m", any_trained.run, "--json", "-k", 3)
    assert (result.code, result.err) == (0, "")
    (answer,) = result.events
    assert answer.keys() == {"text", "fillings"}
    assert answer["text"] == text
    expected = charrnn.load(any_trained.run).missing(text, 3)
    assert [(tuple(f["words"]), f["p"]) for f in answer["fillings"]] == [
        (filling.words, filling.p) for filling in expected
    ]
    shown = call("fill", text, "-m", any_trained.run, "-k", 3).out.split("\t")
    assert shown[::2] == [" / ".join(filling.words) for filling in expected]


def test_right_side(call: Call, trained: Training) -> None:
    """What follows the gap decides."""
    for right, word in (("a song in the barn", "sang"), ("for rain in the barn", "waited")):
        assert call("fill", f"A heron ___ {right}.", "-m", trained.run).out.startswith(f"{word}\t")


def test_phrase(call: Call, trained: Training) -> None:
    """--length fills a gap with several words."""
    result = call("fill", "A heron ___ the stones all winter.", "-m", trained.run, "--length", 2)
    assert result.code == 0
    (answer,) = call("fill", "The old miller ___ in the barn.", "-m", trained.run, "--length", 3,
                     "--json", "-k", 50).events  # fmt: skip
    found = [filling["words"][0] for filling in answer["fillings"]]
    assert "sang a song" in found
    assert "slept" in found


def test_gap(call: Call, trained: Training) -> None:
    """--gap says what marks a gap."""
    expected = call("fill", TEXT, "-m", trained.run)
    assert call("fill", TEXT.replace("___", "[?]"), "--gap", "[?]", "-m", trained.run) == expected
    assert call("fill", TEXT.replace("___", "____"), "-m", trained.run) == expected


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_lines(tmp_path: Path, call: Call, trained: Training, options: list[str]) -> None:
    """Each line of a file or a pipe is a text."""
    lines = [TEXT, "A heron ___.", "___ neighbour laughed."]
    (tmp_path / "texts.txt").write_text("\n".join(lines))
    result = call("fill", "-f", "texts.txt", "-m", trained.run, *options)
    assert (result.code, result.err) == (0, "")
    alone = [call("fill", line, "-m", trained.run, *options).out for line in lines]
    assert result.out == "".join(alone)
    for given in ([], ["-"], ["--encoding", "utf-8"]):
        piped = charrnn_command(
            "fill", *given, "-m", trained.run, *options, cwd=tmp_path, stdin="\r\n".join(lines)
        )
        assert piped == result


def test_answers_while_the_pipe_is_open(tmp_path: Path, trained: Training) -> None:
    """An answer arrives before the next text is written."""
    process = start("fill", "-m", trained.run, cwd=tmp_path)
    assert process.stdin and process.stdout
    for _ in range(2):
        process.stdin.write(f"{TEXT}\n")
        process.stdin.flush()
        assert "fox" in process.stdout.readline()
    result = finish(process)
    assert (result.code, result.out, result.err) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "wrong"),
    [
        (["the fox slept"], 2, "write ___ for each missing word"),
        ([""], 2, "no gap"),
        (["the __ slept"], 2, "no gap"),
        ([TEXT, "--gap", "?"], 2, "write ? for"),
        ([TEXT, "--gap", ""], 2, "--gap must not be empty"),
        ([TEXT, "-f", "a.txt"], 2, "--file"),
        ([TEXT, "-k", "0"], 2, "0"),
        ([TEXT, "--length", "0"], 2, "0"),
        (["-f", "missing.txt"], 1, "missing.txt"),
        (["empty.txt"], 2, "give -f to fill its lines"),
        (["-f", "empty.txt"], 1, "the input is empty"),
        (["-f", "empty.txt", "--gap", ""], 2, "--gap must not be empty"),
        (["-f", "binary.txt"], 1, "binary.txt"),
        (["-the ___"], 2, "goes after --"),
        (["\udcff ___ a"], 1, "not valid Unicode"),
    ],
)
def test_wrong(
    call: Call, trained: Training, tmp_path: Path, arguments: list[str], code: int, wrong: str
) -> None:
    """What cannot be filled is an error of one line."""
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"ab\x00cd ___")
    result = call("fill", *arguments, "-m", trained.run)
    assert (result.code, result.out) == (code, "")
    assert wrong in result.error


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_line_without_a_gap(
    call: Call, trained: Training, tmp_path: Path, options: list[str]
) -> None:
    """It is answered with an empty line, so that answers and texts stay side by side."""
    (tmp_path / "some.txt").write_text(f"{TEXT}\n\nthe fox\n{TEXT}\n")
    result = call("fill", "-f", "some.txt", "-m", trained.run, *options)
    assert result.code == 0
    assert result.err == "charrnn: warning: some.txt: line 3: the text has no gap\n"
    first, empty, gapless, last = result.out.splitlines()
    assert first == last
    if options:
        assert json.loads(empty) == {"text": "", "fillings": []}
        assert json.loads(gapless) == {"text": "the fox", "fillings": []}
    else:
        assert empty == gapless == ""


def test_run_instead_of_texts(call: Call, trained: Training) -> None:
    """A run is not a file of texts."""
    result = call("fill", "-f", trained.run)
    assert (result.code, result.out) == (2, "")
    assert "-m" in result.error


@pytest.mark.parametrize(
    "text", ["☃ ___ ☃\x1b[31m", "___", "xqz___vfj", "___ ___ ___", "a\n___\nb"]
)
def test_odd(call: Call, any_trained: Training, text: str) -> None:
    """Unknown characters, control characters and gaps alone are answered in one line."""
    result = call("fill", text, "-m", any_trained.run)
    assert (result.code, result.err) == (0, "")
    assert result.out.count("\n") == 1
    assert "\x1b" not in result.out


@pytest.mark.parametrize("name", [path.name for path in sorted(OLD.iterdir())])
def test_old_files(call: Call, name: str, tmp_path: Path) -> None:
    """A model file of an earlier version fills gaps, without trigrams too."""
    shutil.copy(OLD / name, tmp_path)
    result = call("fill", "the ___ of", "-m", name)
    assert (result.code, result.err) == (0, "")
    assert "\t" in result.out


def test_told(call: Call, trained: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many gaps, standard error tells how far it is; -q does not."""
    monkeypatch.setattr("charrnn.display.working.LINE_SECONDS", 0)
    text = " ___ and" * 5
    assert call("fill", text, "-m", trained.run, "-q").err == ""
    told = call("fill", text, "-m", trained.run).err.splitlines()
    assert told[0].startswith("filling gaps: 20% done")
    assert told[-1] == "filling gaps: 100% done, 0 s left"


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_interrupted(tmp_path: Path, trained: Training) -> None:
    """Ctrl-C ends it at once."""
    process = start("fill", "-m", trained.run, cwd=tmp_path)
    assert process.stdin and process.stdout
    process.stdin.write(f"{TEXT}\n" + " ___ and" * 3000 + "\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    result = finish(process)
    assert (result.code, result.out, result.err) == (130, "", "")
    assert time.monotonic() - began < 30  # it would take minutes


def test_without_torch(tmp_path: Path, trained: Training) -> None:
    """It never waits for torch or rich."""
    loaded = modules_loaded("fill", TEXT, "-m", trained.run, cwd=tmp_path)
    assert not {"torch", "rich", "pydantic"} & loaded
