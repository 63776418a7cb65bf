"""charrnn generate: seed in, text out."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.config import ModelConfig
from charrnn.network.cells import tensor_shapes
from charrnn.network.model_file import ModelFile, save
from charrnn.tokenizer import CharTokenizer
from tests.cli.conftest import Call
from tests.cli.shell import (
    COMMAND,
    ENVIRONMENT,
    Training,
    charrnn_command,
    finish,
    modules_loaded,
    on_terminal,
    start,
)
from tests.models import CORPUS

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def test_output(tmp_path: Path, trained: Training) -> None:
    """stdout is the seed, as many characters as asked for, and a line break."""
    result = charrnn_command("generate", "The fox", "-n", 40, "-m", trained.run, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("The fox")
    assert result.out.endswith("\n")
    assert len(result.out) == len("The fox") + 40 + 1


def test_word_model(tmp_path: Path, word_trained: Training) -> None:
    """A word model ends with a whole token, at the length or after it."""
    result = charrnn_command("generate", "The fox", "-n", 40, "-m", word_trained.run, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert len("The fox") + 40 < len(result.out) < len("The fox") + 80


def test_length_zero(call: Call, trained: Training) -> None:
    """-n 0 gives the seed alone."""
    assert call("generate", "The fox", "-n", 0, "-m", trained.run).out == "The fox\n"


def test_random_seed(call: Call, trained: Training) -> None:
    """The same --random-seed gives the same text, another one another."""
    first, again, other = (
        call("generate", "A", "-n", 80, "-m", trained.run, "--random-seed", seed)
        for seed in (1, 1, 2)
    )
    assert first.out == again.out != other.out


def test_temperature_zero(call: Call, trained: Training) -> None:
    """At temperature 0 the text is always the same."""
    texts = {call("generate", "A", "-t", 0, "-m", trained.run).out for _ in range(3)}
    assert len(texts) == 1


def test_seed_from_elsewhere(tmp_path: Path, trained: Training) -> None:
    """A seed from a pipe, from - and of a file's only line is the seed without its line break."""
    (tmp_path / "seed.txt").write_text("My neighbour\n", encoding="utf-8")
    options = ("-n", 30, "-m", trained.run, "--random-seed", 5)
    given = charrnn_command("generate", "My neighbour", *options, cwd=tmp_path)
    piped = charrnn_command("generate", *options, cwd=tmp_path, stdin="My neighbour\n")
    dash = charrnn_command("generate", "-", *options, cwd=tmp_path, stdin="My neighbour\n")
    file = charrnn_command("generate", "-f", "seed.txt", *options, cwd=tmp_path)
    assert given.out == piped.out == dash.out == file.out
    assert given.out.startswith("My neighbour")


def test_no_seed(tmp_path: Path, trained: Training) -> None:
    """Without a seed, and with nothing in the pipe, text comes all the same."""
    result = charrnn_command("generate", "-n", 30, "-m", trained.run, cwd=tmp_path)
    assert (result.code, len(result.out)) == (0, 31)


class TestStandardInput:
    @pytest.mark.parametrize("seed", [[], ["-"]])
    @pytest.mark.slow
    def test_silent_pipe(self, tmp_path: Path, trained: Training, seed: list[str]) -> None:
        """If nothing comes, it says that it waits, and goes on once the seed has come."""
        process = start("generate", *seed, "-n", 5, "-m", trained.run, cwd=tmp_path)
        assert process.stdin and process.stderr
        assert process.stderr.readline() == "waiting for standard input\n"
        process.stdin.write("The fox\n")
        result = finish(process)
        assert (result.code, result.out[:7], result.err) == (0, "The fox", "")

    @posix
    @pytest.mark.parametrize(
        "command", ["generate - -n 5", "score -", "eval - -q", "complete", "complete --json"]
    )
    def test_terminal(self, tmp_path: Path, trained: Training, command: str) -> None:
        """On a terminal it says so from the start, and how to end; with -q it says nothing."""
        import pty

        controller, terminal = pty.openpty()
        os.write(controller, b"The fox\n\x04")
        process = subprocess.run(
            [*COMMAND, *command.split(), "-m", trained.model],
            cwd=tmp_path,
            stdin=terminal,
            capture_output=True,
            env=ENVIRONMENT,
            encoding="utf-8",
        )
        os.close(terminal)
        os.close(controller)
        quiet = command.endswith("-q")
        assert process.stderr == ("" if quiet else "waiting for standard input; Ctrl-D ends it\n")
        assert process.returncode == 0
        assert process.stdout

    @posix
    def test_loop_over_a_file(self, tmp_path: Path, trained: Training) -> None:
        """In a shell's loop over the lines of a file it leaves the list alone, but for -."""
        (tmp_path / "list").write_text("0.5\n0.6\n0.7\n")
        loop = 'while read t; do "$@" generate -t $t -n 5 -m {} --json {}; done < list'
        for dash, seeds in (("-q", ["", "", ""]), ("-", ["0.6\n0.7"])):
            result = charrnn_command(
                "-c", loop.format(trained.run, dash), "sh", *COMMAND,
                cwd=tmp_path, program=["/bin/sh"],
            )  # fmt: skip
            assert [record["seed"] for record in result.events] == seeds
            assert "standard input" not in result.err

    @pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
    def test_loop_over_a_pipe(self, tmp_path: Path, trained: Training) -> None:
        """So it does in a loop over the lines of a pipe; a line says why, and what reads it."""
        loop = f'while read t; do "$@" generate -t $t -n 5 -m {trained.run} --json; done'
        result = charrnn_command(
            "-c", loop, "sh", *COMMAND, cwd=tmp_path, program=["/bin/sh"], stdin="0.5\n0.6\n"
        )
        assert [record["temperature"] for record in result.events] == [0.5, 0.6]
        assert result.err.count("standard input is not read") == 2
        assert "give - to use it as the seed" in result.err


@pytest.mark.parametrize(
    "seed", ["- item", "-- Dear Sir", "-5 degrees", "-no way", "-from the sea"]
)
def test_seed_with_a_dash(call: Call, trained: Training, seed: str) -> None:
    """If a seed begins with a dash, the error shows how to give it; so given, it is continued."""
    result = call("generate", seed, "-m", trained.run)
    assert result.out == ""
    assert f"charrnn generate -- '{seed}'" in result.error
    result = call("generate", "-m", trained.run, "-qn", 5, "--", seed)
    assert result.out.startswith(seed)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(None, "seeds.txt does not exist"), (b"", "seeds.txt"), (b"\n\n", "seeds.txt"),
     (b"caf\xe9", "0xe9 at offset 3")],
)  # fmt: skip
def test_bad_file(
    call: Call, trained: Training, tmp_path: Path, content: bytes | None, wrong: str
) -> None:
    """A file without a seed is an error of one line that names it."""
    if content is not None:
        (tmp_path / "seeds.txt").write_bytes(content)
    result = call("generate", "-f", "seeds.txt", "-m", trained.run)
    assert (result.code, result.out) == (1, "")
    assert wrong in result.error


def test_a_file_as_seed(call: Call, trained: Training, tmp_path: Path) -> None:
    """The name of a file is a seed like any other, with a hint that it is one."""
    (tmp_path / "seeds.txt").write_text("The fox\n")
    result = call("generate", "seeds.txt", "-n", 5, "-m", trained.run)
    assert (result.code, result.out[:9]) == (0, "seeds.txt")
    assert "-f reads a seed on each line" in result.err


def test_two_seeds(call: Call, trained: Training) -> None:
    """A SEED beside --file is wrong usage."""
    result = call("generate", "A", "-f", "seed.txt", "-m", trained.run)
    assert (result.code, result.out) == (2, "")
    assert "--file" in result.error


def test_unseen_character(call: Call, trained: Training) -> None:
    """A character that the model has never seen is named in one line on stderr, and kept."""
    result = call("generate", "☃ fox", "-n", 5, "-m", trained.run)
    assert result.code == 0
    assert result.out.startswith("☃ fox")
    assert result.err.startswith("charrnn: warning: ")
    assert result.err.count("\n") == 1
    assert "☃" in result.err
    assert "U+2603" in result.err


def test_quiet(call: Call, trained: Training) -> None:
    """-q silences warnings."""
    result = call("generate", "☃ fox", "-n", 5, "-q", "-m", trained.run)
    assert (result.code, result.err) == (0, "")


def test_small_locale(tmp_path: Path, trained: Training) -> None:
    """Text is UTF-8 whatever the environment says of the terminal's encoding."""
    result = charrnn_command(
        "generate", "☃", "-n", 5, "-m", trained.run,
        cwd=tmp_path, environment={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert result.code == 0
    assert result.out.startswith("☃")
    assert "U+2603" in result.err


def test_json(call: Call, trained: Training) -> None:
    """--json prints one object with the text that follows the seed, and all about it."""
    options = ("-n", 30, "-m", trained.run, "--random-seed", 3)
    result = call("generate", "The fox", "--json", *options)
    assert (result.code, result.err) == (0, "")
    (record,) = result.events
    plain = call("generate", "The fox", *options).out
    assert record["seed"] + record["text"] + "\n" == plain
    model = charrnn.load(trained.run)
    logp = model.score("The fox").nats - model.score("The fox" + record["text"]).nats
    assert record == {
        "seed": "The fox",
        "text": record["text"],
        "tokens": 30,
        "logp": pytest.approx(logp, rel=1e-4),
        "why": "length",
        "temperature": 0.8,
        "random_seed": 3,
    }


def test_json_repeats(call: Call, trained: Training) -> None:
    """The random seed that --json tells gives the same text again."""
    options = ("generate", "A", "--json", "-n", 60, "-m", trained.run)
    first = call(*options)
    assert call(*options, "--random-seed", first.events[0]["random_seed"]) == first
    assert call(*options) != first


def test_several(call: Call, trained: Training, tmp_path: Path) -> None:
    """Every seed is continued at every temperature as many times as asked, in this order."""
    (tmp_path / "seeds.txt").write_text("The fox\n\nA heron\r\n")
    options = ("-n", 30, "-m", trained.run, "--random-seed", 3, "--json")
    result = call("generate", "-f", "seeds.txt", "-t", "0.5,1", "-N", 3, *options)
    assert [(r["seed"], r["temperature"]) for r in result.events] == [
        (seed, t) for seed in ("The fox", "A heron") for t in (0.5, 1.0) for _ in range(3)
    ]
    assert len({r["text"] for r in result.events}) > 8
    alone = call("generate", "The fox", "-t", "0.5", *options).events
    assert [r["text"] for r in alone] == [result.events[0]["text"]]
    assert {r["random_seed"] for r in result.events} == {3}


def test_samples(call: Call, trained: Training) -> None:
    """-N gives texts parted by an empty line, the first the same as without."""
    options = ("generate", "The fox", "-n", 30, "-m", trained.run, "--random-seed", 3)
    texts = [r["seed"] + r["text"] for r in call(*options, "-N", 70, "--json").events]
    assert len(texts) == 70
    assert call(*options, "-N", 70).out == "\n\n".join(texts) + "\n"
    assert call(*options).out == texts[0] + "\n"


@pytest.mark.parametrize(
    ("options", "between"),
    [
        (["--separator", "---"], "\n---\n"),
        (["--separator", ""], "\n\n"),
        (["--separator", r"\n"], "\n\\n\n"),
        (["-e", "--separator", r"-\t-\n"], "\n-\t-\n\n"),
        (["--lines", 1], "\n"),
        (["--lines", 1, "--separator", "***"], "\n***\n"),
        (["--lines", 2], "\n\n"),
    ],
    ids=str,
)
def test_separator(call: Call, trained: Training, options: list[object], between: str) -> None:
    """--separator is a line between texts; between texts of a line there is none."""
    options = ["-m", trained.run, "-n", 40, "--random-seed", 3, "-N", 3, *options]
    texts = [r["text"] for r in call("generate", "The fox", "--json", *options).events]
    out = call("generate", "The fox", "--no-echo", *options).out
    assert out == between.join(texts) + "\n"


def test_no_echo(call: Call, trained: Training) -> None:
    """--no-echo leaves the seed out."""
    options = ("generate", "The fox", "-n", 30, "-m", trained.run, "--random-seed", 3)
    assert "The fox" + call(*options, "--no-echo").out == call(*options, "--echo").out


class TestEnd:
    @pytest.mark.parametrize(
        ("option", "value", "why", "pattern"),
        [
            ("--length", 30, "length", r"(?s).{30}"),
            ("--tokens", 20, "tokens", r"(?s).{20}"),
            ("--tokens", 0, "tokens", ""),
            ("--words", 3, "words", r"(\W*\w+){3}"),
            ("--lines", 2, "lines", r"[^\n]*\n+[^\n]+"),
            ("--sentences", 1, "sentences", r"(?s).*\."),
            ("--stop", "the", "stop", r"(?s)((?!the).)*"),
        ],
    )
    def test_rules(
        self, call: Call, trained: Training, option: str, value: object, why: str, pattern: str
    ) -> None:
        """Each rule ends the text, and --json says which."""
        (record,) = call(
            "generate", "The fox", option, value, "-m", trained.run, "--json", "--random-seed", 3
        ).events
        assert record["why"] == why
        assert re.fullmatch(pattern, record["text"])

    def test_first(self, call: Call, trained: Training) -> None:
        """Of several rules and stop texts the first that is met ends the text."""
        options = ("generate", "The fox", "-m", trained.run, "--json", "--random-seed", 3)
        (whole,) = call(*options, "-n", 300).events
        (record,) = call(*options, "--stop", "☃", "--stop", " b", "--stop", "by", "-n", 300).events
        assert record["text"] == re.split(" b|by", whole["text"])[0]
        (record,) = call(*options, "--stop", "☃", "--tokens", 9, "--lines", 50).events
        assert (record["text"], record["why"]) == (whole["text"][:9], "tokens")

    def test_never_met(self, call: Call, trained: Training) -> None:
        """A rule that is never met ends some time all the same."""
        (record,) = call("generate", "The fox", "--stop", "☃", "-m", trained.run, "--json").events
        assert (record["why"], len(record["text"])) == ("length", 10_000)

    def test_time(self, call: Call, trained: Training) -> None:
        """--time ends texts of any length, with what there is of each."""
        options = ("--time", "0.1s", "-N", 3, "-m", trained.run, "--json")
        result = call("generate", "The fox", *options)
        assert (result.code, result.err) == (0, "")
        assert [record["why"] for record in result.events] == ["time"] * 3
        assert all(record["text"] for record in result.events)


class TestControls:
    @pytest.mark.parametrize(
        "options",
        [
            ["--typical-p", 0.3],
            ["--mirostat", 1],
            ["--mirostat", 1, "--mirostat-rate", 0.5],
            ["--repetition-penalty", 3],
            ["--frequency-penalty", 2],
            ["--frequency-penalty", 2, "--penalty-window", 3],
            ["--no-repeat-ngram", 2],
            ["--ban", "e"],
            ["--bias", "u=9"],
        ],
        ids=str,
    )
    def test_controls(self, tmp_path: Path, call: Call, trained: Training, options: Any) -> None:
        """Each control changes what is written, and nothing is said of it."""
        common = ("generate", "The fox", "-n", 200, "-m", trained.run, "--random-seed", 3)
        result = call(*common, *options)
        assert (result.code, result.err) == (0, "")
        assert result.out != call(*common).out

    def test_no_repeat_ngram(self, call: Call, trained: Training) -> None:
        """No run of so many tokens comes twice."""
        options = ("-n", 100, "-m", trained.run, "--no-repeat-ngram", 3, "-t", 0.2)
        text = call("generate", "The fox", *options).out.removesuffix("\n")
        assert len({text[i : i + 3] for i in range(len(text) - 2)}) == len(text) - 2

    @pytest.mark.slow
    def test_ban(self, call: Call, any_trained: Training) -> None:
        """What --ban names is never written, at any level."""
        options = (
            "generate",
            "A",
            "-n",
            2000,
            "-m",
            any_trained.run,
            "--random-seed",
            1,
            "--no-echo",
            "-e",
        )
        text = call(*options).out
        assert "th" in text and "\n" in text.strip()
        text = call(*options, "--ban", "th", "--ban", r"\n", "--ban", "e b").out
        assert text.strip()
        assert not re.search("th|\n|e b", text.removesuffix("\n"))

    @pytest.mark.slow
    def test_bias(self, call: Call, any_trained: Training) -> None:
        """What --bias names comes more often, or less; its text may hold an equals sign."""
        options = ("generate", "A", "-n", 2000, "-m", any_trained.run, "--random-seed", 1)
        counts = [
            call(*options, "--bias", f"in={nats}", "--bias", "==1").out.count("in")
            for nats in (-9, 0, 9)
        ]
        assert counts == sorted({*counts})

    def test_ban_everything(self, call: Call, trained: Training) -> None:
        """To leave no token is wrong usage."""
        tokens = charrnn.load(trained.run).file.tokenizer.tokens[:-1]
        bans = [x for token in tokens for x in ("--ban", token)]
        result = call("generate", "A", "-m", trained.run, *bans)
        assert (result.code, result.out) == (2, "")
        assert "--ban" in result.error

    @pytest.mark.parametrize("nats", ["1e300", "-1e300", "1e38"])
    def test_extreme_bias(self, call: Call, trained: Training, nats: str) -> None:
        """A bias that single precision cannot hold gives text or is refused, in one line."""
        result = call(
            "generate", "A", "-n", 9, "-m", trained.run, "--bias", f"fox={nats}", "--bias", "f=1e38"
        )
        assert result.err == "" if result.code == 0 else "--bias" in result.error


class TestEscapes:
    def test_seed(self, call: Call, trained: Training, tmp_path: Path) -> None:
        """-e reads escapes in the seed, in a file of seeds and in texts of options."""
        options = ("-n", 5, "-m", trained.run, "--random-seed", 3)
        expected = call("generate", "The fox\nslept", *options).out
        assert call("generate", r"The fox\nslept", "-e", *options).out == expected
        assert call("generate", r"The\u0020fox\nslept", "-e", *options).out == expected
        (tmp_path / "seeds.txt").write_text(r"The fox\nslept")
        assert call("generate", "-f", "seeds.txt", "-e", *options).out == expected
        assert call("generate", "a\\nb", "-q", *options).out.startswith("a\\nb")

    def test_stop(self, call: Call, trained: Training) -> None:
        """-e reads them in --stop."""
        (record,) = call(
            "generate", "The fox", "-e", "--stop", r".\n", "-m", trained.run, "--json"
        ).events
        assert record["why"] == "stop"
        assert ".\n" not in record["text"]

    def test_template(self, call: Call, trained: Training) -> None:
        """-e reads them in --template."""
        out = call("generate", "--template", r"The fox\n{word}\t.", "-e", "-m", trained.run).out
        assert re.fullmatch(r"The fox\n[^\t]+\t\.\n", out)

    @pytest.mark.parametrize("option", ["--separator", "--stop", "--ban", "--template"])
    @pytest.mark.parametrize("escape", [r"\U00110000", r"\UFFFFFFFF", r"\ud800"])
    def test_no_character(self, call: Call, trained: Training, option: str, escape: str) -> None:
        """An escape that names no character is wrong usage, told in one line."""
        seed = [] if option == "--template" else ["The fox", "-N", 2, "-o", "out.txt"]
        result = call("generate", *seed, "-e", option, escape, "-m", trained.run)
        assert (result.code, result.out) == (2, "")
        assert escape in result.error


class TestUnknown:
    def test_error(self, call: Call, trained: Training) -> None:
        """--unknown error names the characters and writes nothing."""
        result = call("generate", "The ☃猫", "-m", trained.run, "--unknown", "error")
        assert (result.code, result.out) == (1, "")
        assert "U+2603" in result.error and "U+732B" in result.error

    def test_skip(self, call: Call, trained: Training) -> None:
        """--unknown skip leaves them out of the seed."""
        options = ("-n", 30, "-m", trained.run, "--random-seed", 3, "--unknown", "skip")
        assert call("generate", "☃The 猫fox☃", *options) == call("generate", "The fox", *options)

    def test_warn(self, call: Call, trained: Training) -> None:
        """--unknown warn is what happens without."""
        options = ("generate", "☃", "-n", 30, "-m", trained.run, "--random-seed", 3)
        assert call(*options, "--unknown", "warn") == call(*options)

    def test_template(self, call: Call, trained: Training) -> None:
        """It is heard for the fixed text of a template too."""
        options = ("--template", "The ☃ {word}", "-m", trained.run)
        assert "U+2603" in call("generate", *options).err
        assert call("generate", *options, "--unknown", "error").code == 1


class TestTemplate:
    def test_filled(self, call: Call, any_trained: Training) -> None:
        """Fixed text stays, gaps are filled, the same random seed fills them alike."""
        options = (
            "generate",
            "--template",
            "The {word} {{slept}} {words:2}. ",
            "-qm",
            any_trained.run,
        )
        results = [call(*options, "--random-seed", i, "--best-of", 2) for i in (0, 0, 1)]
        assert [(r.code, r.err) for r in results] == [(0, "")] * 3
        assert results[0] == results[1] != results[2]
        for result in results:
            assert re.fullmatch(r"(?s)The .*\w \{slept\} .*\w\. \n", result.out)

    def test_json(self, call: Call, trained: Training) -> None:
        """--json tells the whole text, and its log-probability."""
        result = call(
            "generate", "--template", "The {word}.", "--json", "-N", 2, "-t", "0.5,1", "-m",
            trained.run, "--best-of", 1,
        )  # fmt: skip
        assert [r["temperature"] for r in result.events] == [0.5, 0.5, 1, 1]
        model = charrnn.load(trained.run)
        for record in result.events:
            assert (record["seed"], record["why"]) == ("", "template")
            score = model.score(record["text"])
            assert record["logp"] == pytest.approx(-score.nats, rel=1e-4)
            assert record["tokens"] == score.tokens

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (["The fox", "--template", "{word}"], "--template"),
            (["--template", "{word}", "-f", "seeds.txt"], "--template"),
            (["--template", "{word}", "--words", 3], "--template"),
            (["--template", "{word}", "-n", 30], "--template"),
            (["--template", "{fox}"], "--template"),
            (["--template", "a { b"], "--template"),
            (["The fox", "--best-of", 3], "--best-of"),
            (["--template", "{word}", "--best-of", 0], "--best-of"),
        ],
        ids=str,
    )
    def test_wrong(
        self, call: Call, trained: Training, arguments: list[object], named: str
    ) -> None:
        """What goes not with a template, or not without, is wrong usage."""
        result = call("generate", *arguments, "-m", trained.run)
        assert (result.code, result.out) == (2, "")
        assert named in result.error

    def test_empty(self, call: Call, trained: Training) -> None:
        """An empty template gives an empty text or is wrong usage."""
        result = call("generate", "--template", "", "-m", trained.run)
        assert result.out == "\n" if result.code == 0 else "--template" in result.error


class TestMatch:
    def test_whole(self, call: Call, any_trained: Training) -> None:
        """Each text matches the pattern, without its seed, whatever a token is."""
        pattern = r" [a-z ]{5,30}(barn|bridge)\.\n?"
        result = call(
            "generate", "The fox", "--match", pattern, "-m", any_trained.run, "--json",
            "-N", 5, "-t", "0,1", "--random-seed", 1,
        )  # fmt: skip
        assert (result.code, result.err, len(result.events)) == (0, "", 10)
        assert all(re.fullmatch(pattern, record["text"]) for record in result.events)
        assert {record["why"] for record in result.events} == {"match"}

    def test_text(self, call: Call, trained: Training) -> None:
        """It is written after the seed; -n is its most characters; the same seed repeats it."""
        options = ("generate", "The", "--match", "(?s).*winter", "-n", 30, "-m", trained.run)
        result, again = (call(*options, "--random-seed", 2) for _ in range(2))
        assert result == again
        assert re.fullmatch("(?s)The.{0,24}winter\n", result.out)

    def test_best_of(self, call: Call, trained: Training) -> None:
        """--best-of chooses among several candidates."""
        options = ("generate", "The", "--match", ".*winter", "-m", trained.run, "--random-seed", 2)
        result = call(*options, "--best-of", 8)
        assert (result.code, result.err) == (0, "")
        assert re.fullmatch("The.*winter\n", result.out)

    def test_novelty(self, call: Call, tmp_path: Path, trained: Training) -> None:
        """--novelty and --highlight go with it."""
        options = ("generate", "The", "--match", ".*winter", "-m", trained.run, "--novelty")
        result = call(*options, "--highlight")
        assert result.code == 0
        assert "novelty" in result.err

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--match", "("], "--match is not a regular expression: missing )"),
            (["--match", "a(?=b)"], "--match does not support look-around"),
            (["--match", r"(a)\1"], "--match does not support back-references"),
            (["--match", "(a|b)*a.{30}"], "--match is too complex"),
            (["--match", "☃"], "no text of the model's characters matches '☃'"),
            (["--match", "[a-z]{31}", "-n", 30], "--match needs at least 31 characters; --length"),
            (["--match", "ThyThyThyThyThyThyThy"], "the model gives this pattern a probability"),
            (["--match", "a", "--words", 3], "--match cannot be combined with --words"),
            (["--match", "a", "--lines", 3], "--match cannot be combined with --lines"),
            (["--match", "a", "--sentences", 3], "--match cannot be combined with --sentences"),
            (["--match", "a", "--stop", "b"], "--match cannot be combined with --stop"),
            (["--match", "a", "--tokens", 3], "--match cannot be combined with --tokens"),
            (["--match", "a", "--time", 3], "--match cannot be combined with --time"),
            (
                ["--match", "a", "--avoid-copying"],
                "--match cannot be combined with --avoid-copying",
            ),
            (["--match", "a", "--template", "{word}"], "--template cannot be combined"),
        ],
        ids=str,
    )
    def test_wrong(self, call: Call, trained: Training, arguments: list[object], told: str) -> None:
        """What cannot match is wrong usage, told in one line; nothing is written."""
        result = call("generate", *arguments, "-m", trained.run)
        assert (result.code, result.out) == (2, "")
        assert told in result.error


class TestHighlight:
    def test_pipe(self, tmp_path: Path, trained: Training) -> None:
        """Into a pipe or a file --highlight is plain text, unless colours are forced."""
        options = ("generate", "The fox", "-n", 30, "-m", trained.run, "--random-seed", 3)
        plain = charrnn_command(*options, cwd=tmp_path)
        assert charrnn_command(*options, "--highlight", cwd=tmp_path) == plain
        forced = charrnn_command(
            *options, "--highlight", cwd=tmp_path, environment={"FORCE_COLOR": "1"}
        )
        assert "\x1b[30;48;5;" in forced.out
        assert re.sub(r"\x1b\[[\d;]+m", "", forced.out) == plain.out

    def test_json(self, call: Call, trained: Training) -> None:
        """--json holds no colours."""
        options = ("generate", "A", "-n", 30, "-m", trained.run, "--random-seed", 3, "--json")
        assert call(*options, "--highlight") == call(*options)

    @pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal of POSIX")
    def test_terminal(self, tmp_path: Path, trained: Training) -> None:
        """On a terminal surprising characters are coloured, unless NO_COLOR is set."""
        options = ["generate", "The\x1b fox", "-n", 60, "-m", trained.run, "--random-seed", 3]
        plain = on_terminal(options, tmp_path)
        assert "\x1b" not in plain
        shown = on_terminal([*options, "--highlight"], tmp_path)
        assert "\x1b[30;48;5;" in shown
        assert re.sub(r"\x1b\[[\d;]+m", "", shown) == plain
        assert on_terminal([*options, "--highlight"], tmp_path, NO_COLOR="1") == plain


def test_output_file(call: Call, trained: Training, tmp_path: Path) -> None:
    """-o writes to a file what would have gone to stdout."""
    options = ("-n", 30, "-m", trained.run, "--random-seed", 3)
    result = call("generate", "The fox", "-o", "out.txt", *options)
    assert (result.code, result.out, result.err) == (0, "", "")
    written = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert written == call("generate", "The fox", *options).out


@pytest.mark.parametrize("path", ["/dev/full", "nowhere/out.txt", "."])
def test_output_file_that_cannot_be_written(call: Call, trained: Training, path: str) -> None:
    """A file that cannot be written is an error of one line that names it."""
    if path == "/dev/full" and not os.path.exists(path):
        pytest.skip("no /dev/full here")
    result = call("generate", "The fox", "-n", 5, "-o", path, "-m", trained.run)
    assert (result.code, result.out) == (1, "")
    assert f"{path}: " in result.error or path == "/dev/full"


def test_closed_pipe(tmp_path: Path, trained: Training) -> None:
    """A reader that has had enough, like `head -c 5`, ends it silently; text comes as drawn."""
    process = start("generate", "The fox", "-n", 10**9, "-m", trained.run, cwd=tmp_path)
    assert process.stdout and process.stdin
    process.stdin.close()
    assert process.stdout.read(5) == "The f"
    process.stdout.close()
    process.stdin = process.stdout = None
    result = finish(process)
    assert (result.code, result.err) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_interrupt(tmp_path: Path, trained: Training) -> None:
    """Ctrl-C ends it with exit code 130 and no word more."""
    process = start("generate", "The fox", "-n", 10**9, "-m", trained.run, cwd=tmp_path)
    assert process.stdout
    process.stdout.read(100)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.err) == (130, "")


def test_no_model(tmp_path: Path) -> None:
    """Without a model it is wrong usage, told in one line that says how to train one."""
    result = charrnn_command("generate", "The fox", cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "charrnn train" in result.error


@pytest.mark.parametrize("damage", ["empty", "cut", "header", "text", "folder"])
def test_damaged_model(call: Call, trained: Training, tmp_path: Path, damage: str) -> None:
    """A file that is no whole model is an error of one line that names it."""
    data = (trained.run / "model.safetensors").read_bytes()
    path = tmp_path / "damaged"
    match damage:
        case "empty":
            path.touch()
        case "cut":
            path.write_bytes(data[:-1])
        case "header":
            path.write_bytes(data.replace(b'"hidden', b'"hidxen'))
        case "text":
            path.write_text("The fox slept. " * 100)
        case "folder":
            path.mkdir()
    result = call("generate", "The fox", "-m", path)
    assert (result.code, result.out) == (1, "")
    assert str(path) in result.error


def test_model_from_the_environment(trained: Training, tmp_path: Path) -> None:
    """$CHARRNN_MODEL names the model where -m does not."""
    result = charrnn_command(
        "generate", "The fox", "-n", 5, cwd=tmp_path, environment={"CHARRNN_MODEL": trained.model}
    )
    assert (result.code, len(result.out)) == (0, 13)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--temperature", "-1"),
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--top-k", "0"),
        ("--top-p", "0"),
        ("--top-p", "1.5"),
        ("--min-p", "-0.1"),
        ("--random-seed", "-1"),
        ("--temperature", "cold"),
        ("--temperature", "0.5,"),
        ("--temperature", "0.5,-1"),
        ("--length", "-1"),
        ("--tokens", "-1"),
        ("--words", "0"),
        ("--lines", "0"),
        ("--sentences", "-1"),
        ("--stop", ""),
        ("--time", "0"),
        ("--time", "soon"),
        ("--time", ""),
        ("--typical-p", "0"),
        ("--mirostat", "0"),
        ("--mirostat-rate", "2"),
        ("--repetition-penalty", "0"),
        ("--frequency-penalty", "nan"),
        ("--penalty-window", "0"),
        ("--no-repeat-ngram", "0"),
        ("--ban", ""),
        ("--bias", "fox"),
        ("--bias", "fox=much"),
        ("--bias", "=2"),
        ("--bias", "fox=inf"),
        ("--samples", "0"),
        ("--best-of", "0"),
        ("--unknown", "perhaps"),
        ("--template", "{word}"),  # beside a SEED
    ],
)
def test_bad_values(call: Call, trained: Training, option: str, value: str) -> None:
    """A value out of its range is wrong usage, told in one line that names the option."""
    result = call("generate", "The fox", "-m", trained.run, option, value)
    assert (result.code, result.out) == (2, "")
    assert option in result.error


@pytest.mark.parametrize("value", ["1e-300", "1e-40", "1e39", "1e300"])
def test_extreme_temperatures(tmp_path: Path, trained: Training, value: str) -> None:
    """A temperature that single precision cannot hold gives text or is refused, in one line."""
    result = charrnn_command("generate", "A", "-n", 9, "-t", value, "-m", trained.run, cwd=tmp_path)
    if result.code == 0:
        assert (len(result.out), result.err) == (11, "")
    else:
        assert result.code == 2
        assert "--temperature" in result.error


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_threads(tmp_path: Path, cell: str) -> None:
    """The text is the same with any number of threads."""
    tokenizer = CharTokenizer.train(CORPUS)
    config = ModelConfig(tokenizer.vocab_size, cell, layers=2, hidden=500)
    rng = np.random.default_rng(0)
    weights = {
        n: rng.normal(0, 0.05, s).astype(np.float32) for n, s in tensor_shapes(config).items()
    }
    save(tmp_path / "model.safetensors", ModelFile(config, tokenizer, weights))
    options = ("The", "-n", 400, "-N", 2, "-m", "model.safetensors", "--random-seed", 1)
    one, *others = (
        charrnn_command(
            "generate", *options, cwd=tmp_path, environment={"OPENBLAS_NUM_THREADS": threads}
        )
        for threads in ("1", "2", "3")
    )
    assert (one.code, one.err) == (0, "")
    assert len(one.out) > 800
    assert [other.out for other in others] == [one.out] * 2


def test_light(tmp_path: Path, trained: Training) -> None:
    """A character model waits for neither torch nor what draws, asks or tokenizes words."""
    loaded = modules_loaded("generate", "The fox", "-n", 20, "-m", trained.run, cwd=tmp_path)
    assert (
        not {"torch", "prompt_toolkit", "rich", "tokenizers", "charrnn.suggestions.trigrams"}
        & loaded
    )


def test_word_model_without_torch(tmp_path: Path, word_trained: Training) -> None:
    """A word model does not wait for torch either."""
    loaded = modules_loaded("generate", "The fox", "-n", 20, "-m", word_trained.run, cwd=tmp_path)
    assert not {"torch", "prompt_toolkit", "rich"} & loaded
