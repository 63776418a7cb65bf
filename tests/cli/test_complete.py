"""charrnn complete in a pipe: one typed line in, its completions out."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.cli.shell import (
    Result,
    Training,
    charrnn_command,
    finish,
    modules_loaded,
    start,
)

TYPED = ["The fo", "", "My neighbour ", "A heron sang a s"]


def test_lines(tmp_path: Path, trained: Training) -> None:
    """A line comes out for each line in: completions and probabilities, the best first."""
    typed = "".join(f"{line}\n" for line in TYPED)
    result = charrnn_command("complete", "-m", trained.run, cwd=tmp_path, stdin=typed)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == len(TYPED)
    for line in lines:
        texts, probabilities = line.split("\t")[::2], line.split("\t")[1::2]
        assert 0 < len(texts) == len(probabilities) == len(set(texts)) <= 3  # few if one is certain
        values = [float(p) for p in probabilities]
        assert values == sorted(values, reverse=True)
        assert all(0 <= p <= 1 for p in values)


def test_json(tmp_path: Path, trained: Training) -> None:
    """--json gives an object a line: what was typed, and each text with its probability."""
    typed = "".join(f"{line}\n" for line in TYPED)
    result = charrnn_command("complete", "--json", "-m", trained.run, cwd=tmp_path, stdin=typed)
    assert (result.code, result.err) == (0, "")
    answers = result.events
    assert [answer["typed"] for answer in answers] == TYPED
    for answer in answers:
        assert answer.keys() == {"typed", "completions"}
        for completion in answer["completions"]:
            assert completion.keys() == {"text", "p"}
            assert 0 < completion["p"] <= 1


def test_text_is_what_would_be_inserted(tmp_path: Path, word_trained: Training) -> None:
    """A completion goes on from the typed letters, and starts with a space where one is due."""
    result = charrnn_command(
        "complete", "--json", "-m", word_trained.run, cwd=tmp_path, stdin="My neigh\nMy\nMy \n"
    )
    half, whole, spaced = (answer["completions"] for answer in result.events)
    assert half[0]["text"] == "bour"
    assert whole[0]["text"] == " neighbour"
    assert spaced[0]["text"] == "neighbour"


@pytest.mark.parametrize("count", [1, 5])
def test_count(tmp_path: Path, trained: Training, count: int) -> None:
    """-k sets how many are offered."""
    result = charrnn_command(
        "complete", "-k", count, "-m", trained.run, cwd=tmp_path, stdin="The \n"
    )
    assert len(result.out.rstrip("\n").split("\t")) == 2 * count


def test_answers_while_the_pipe_is_open(tmp_path: Path, trained: Training) -> None:
    """An answer arrives before the next line is typed."""
    process = start("complete", "--json", "-m", trained.run, cwd=tmp_path)
    assert process.stdin and process.stdout
    for line in TYPED:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["typed"] == line
    result = finish(process)
    assert (result.code, result.out, result.err) == (0, "", "")


class TestJsonIn:
    def ask(self, folder: Path, model: Path, *questions: object, options: str = "") -> Result:
        """Ask these questions, objects or lines as they stand."""
        lines = [q if isinstance(q, str) else json.dumps(q) for q in questions]
        return charrnn_command(
            "complete", "--json-in", "-m", model, *options.split(),
            cwd=folder, stdin="".join(f"{line}\n" for line in lines),
        )  # fmt: skip

    def test_answers(self, tmp_path: Path, trained: Training) -> None:
        """Each object is answered in turn, with its id as it was and as many as it asks for."""
        ids: list[Any] = ["a", 7, None, {"row": [1, 2.5]}]
        questions = [{"id": id, "typed": "", "k": k} for k, id in enumerate(ids, 1)]
        result = self.ask(tmp_path, trained.run, *questions, {"typed": ""}, options="-k 2")
        assert (result.code, result.err) == (0, "")
        assert [answer.get("id", "none") for answer in result.events] == [*ids, "none"]
        assert [len(answer["completions"]) for answer in result.events] == [1, 2, 3, 4, 2]
        assert result.events[0].keys() == {"id", "typed", "completions"}
        assert result.events[-1].keys() == {"typed", "completions"}

    def test_same_as_a_line(self, tmp_path: Path, trained: Training) -> None:
        """What was typed is completed as a line is."""
        line = charrnn_command(
            "complete", "--json", "-m", trained.run, cwd=tmp_path, stdin="A heron s\n"
        )
        assert self.ask(tmp_path, trained.run, {"typed": "A heron s"}) == line

    def test_context(self, tmp_path: Path, trained: Training) -> None:
        """Several lines may be typed: those before count."""
        typed = "Zebulon slept.\nZebulon sang.\nZeb"
        alone, after = self.ask(tmp_path, trained.run, {"typed": "Zeb"}, {"typed": typed}).events
        assert after["typed"] == typed
        assert after["completions"][0]["text"] == "ulon"
        assert alone["completions"][0]["text"] != "ulon"

    def test_half_a_character(self, tmp_path: Path, trained: Training) -> None:
        """What is half a character counts as a replacement character."""
        result = self.ask(tmp_path, trained.run, {"typed": "\ud83d The fo"})
        assert result.code == 0
        assert result.events[0]["completions"]

    def test_mistakes(self, tmp_path: Path, trained: Training) -> None:
        """A line that cannot be answered is told in its place, and by the exit code at the end."""
        wrong: list[tuple[str | dict[str, Any], str]] = [
            ("", "not a JSON object"),
            ("The fo", "not a JSON object"),
            ('["The fo"]', "not a JSON object"),
            ('{"typed": "The fo", "id": NaN}', "not a JSON object"),
            ("[" * 100_000, "not a JSON object"),
            ({"id": 0}, '"typed"'),
            ({"id": 0, "typed": ["The fo"]}, '"typed"'),
            ({"id": 0, "typed": "The fo", "k": 0}, '"k"'),
            ({"id": 0, "typed": "The fo", "k": True}, '"k"'),
            ({"id": 0, "typed": "The fo", "k": 10**30}, '"k"'),
            ({"id": 0, "typed": "The fo", "n": 2}, "'n'; use id, typed, k"),
        ]
        lines, messages = zip(*wrong, strict=True)
        result = self.ask(tmp_path, trained.run, *lines, {"id": 1, "typed": "The fo"})
        *answers, last = result.events
        assert last["completions"]
        assert (result.code, result.error.count(f"{len(wrong)} of {len(wrong) + 1} lines")) == (
            1,
            1,
        )
        for line, message, answer in zip(lines, messages, answers, strict=True):
            assert message in answer["error"]
            assert answer.keys() == ({"id", "error"} if isinstance(line, dict) else {"error"})


def test_waits(tmp_path: Path, trained: Training) -> None:
    """Where nothing comes, it says that it waits; a line that comes later is answered."""
    process = start("complete", "--json", "-m", trained.run, cwd=tmp_path)
    assert process.stdin and process.stderr
    assert process.stderr.readline() == "waiting for standard input\n"
    process.stdin.write("The fo\n")
    result = finish(process)
    assert (result.code, result.events[0]["typed"], result.err) == (0, "The fo", "")


def test_nothing_typed(tmp_path: Path, trained: Training) -> None:
    """Nothing in, nothing out."""
    result = charrnn_command("complete", "-m", trained.run, cwd=tmp_path)
    assert (result.code, result.out, result.err) == (0, "", "")


def test_line_ends(tmp_path: Path, trained: Training) -> None:
    """A line may end in CR LF, or, the last one, in nothing."""
    result = charrnn_command(
        "complete", "--json", "-m", trained.run, cwd=tmp_path, stdin=b"The fo\r\nThe fo"
    )
    first, second = result.events
    assert first == second


def test_unseen_characters(tmp_path: Path, trained: Training) -> None:
    """Characters that the model has never seen are no obstacle."""
    result = charrnn_command(
        "complete", "--json", "-m", trained.run, cwd=tmp_path, stdin="☃ the fo\n"
    )
    (answer,) = result.events
    assert answer["typed"] == "☃ the fo"
    assert len(answer["completions"]) == 3


def test_wrong_byte(tmp_path: Path, trained: Training) -> None:
    """A byte that is not UTF-8 spoils its own line alone."""
    result = charrnn_command(
        "complete", "--json", "-m", trained.run, cwd=tmp_path, stdin=b"caf\xe9\nThe fo\n"
    )
    assert (result.code, result.err) == (0, "")
    _, second = result.events
    assert second["typed"] == "The fo"
    assert second["completions"]


def test_no_model(call: Call) -> None:
    """Without a model it is wrong usage, told in one line."""
    result = call("complete")
    assert (result.code, result.out) == (2, "")
    assert "charrnn train" in result.error


@pytest.mark.slow
def test_without_torch(tmp_path: Path, word_trained: Training) -> None:
    """In a pipe it waits for neither torch nor what the interactive session needs."""
    loaded = modules_loaded("complete", "-m", word_trained.run, cwd=tmp_path, stdin="The fo\n")
    assert not {"torch", "prompt_toolkit", "rich"} & loaded


def test_dial(call: Call, tmp_path: Path, trained: Training) -> None:
    """--dial leaves out what is not likely enough."""
    every, some = (
        charrnn_command(
            "complete", "-m", trained.run, "--json", *options, cwd=tmp_path, stdin="The fo\n"
        ).events[0]["completions"]
        for options in ((), ("--dial", 0.2))
    )
    assert some == [completion for completion in every if completion["p"] >= 0.2]
    assert call("complete", "-m", trained.run, "--dial", 2).code == 2


def test_output_from_pipe(call: Call, trained: Training) -> None:
    """-o belongs to a session on a terminal."""
    result = call("complete", "-m", trained.run, "-o", "notes.txt")
    assert (result.code, result.out) == (2, "")
    assert "terminal" in result.error
