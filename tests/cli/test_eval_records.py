"""charrnn eval with a model of records."""

import builtins
import json
import math
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.text.blocks import END, TARGET
from tests.cli.conftest import NATIONS, Call, names_and_nations
from tests.cli.shell import Training, charrnn_command, modules_loaded

KEYS = {"records", "exact_match", "edit_rate", "chars", "nats_per_char", "bpc"}
LABEL_KEYS = {
    "accuracy",
    "macro_f1",
    "calibration_error",
    "calibration_bins",
    "labels",
    "confusion",
}
NEW = [("Molson", "Swedish"), ("Zarski", "Polish"), ("Bertini", "Italian"), ("Vogski", "Italian")]


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A table of new names, in other columns, of which the last one is wrong."""
    path = tmp_path / "new.csv"
    path.write_text("name,year,nation\n" + "".join(f"{name},1900,{n}\n" for name, n in NEW))
    return path


class TestLabels:
    def test_json(self, call: Call, labelled: Training, new: Path) -> None:
        """--json prints one object: the metrics, and the whole confusion table."""
        result = call("eval", new, "-m", labelled.run, "--json")
        assert (result.code, result.err) == (0, "")
        (values,) = result.events
        assert values.keys() == KEYS | LABEL_KEYS
        assert values["records"] == 4
        assert values["exact_match"] == values["accuracy"] == 0.75
        assert {*values["labels"]} == {*NATIONS.values()}
        table = {
            (right, predicted): count
            for right, row in zip(values["labels"], values["confusion"], strict=True)
            for predicted, count in zip(values["labels"], row, strict=True)
            if count
        }
        assert table == {(n, n): 1 for n in NATIONS.values()} | {("Italian", "Polish"): 1}
        assert values["bpc"] == pytest.approx(values["nats_per_char"] / math.log(2))

    def test_nats(self, call: Call, labelled: Training, new: Path) -> None:
        """The nats are those of the right targets and their ends, per character."""
        (values,) = call("eval", new, "-m", labelled.run, "--json").events
        texts = [name + TARGET + nation + END for name, nation in NEW]
        nats = charrnn.load(labelled.run).surprisal(texts)
        of_targets = [n[text.index(TARGET) + 1 :] for n, text in zip(nats, texts, strict=True)]
        assert values["chars"] == sum(map(len, of_targets))
        expected = sum(float(n.sum()) for n in of_targets) / values["chars"]
        assert values["nats_per_char"] == pytest.approx(expected, rel=1e-4)

    def test_plain(self, call: Call, labelled: Training, new: Path) -> None:
        """Without --json there are a line for each metric, and a table of labels."""
        result = call("eval", new, "-m", labelled.run)
        assert (result.code, result.err) == (0, "")
        for line in (
            "exact match        0.7500",
            "macro f1",
            "calibration bins   10",
            "right label (rows)",
        ):
            assert line in result.out
        assert all(f"  {nation}" in result.out for nation in NATIONS.values())

    def test_unknown_label(self, call: Call, labelled: Training, new: Path) -> None:
        """A label that the model does not know is never predicted, and counts as wrong."""
        new.write_text("name,nation\nMolson,Swedish\nMolson,Norwegian\n")
        (values,) = call("eval", new, "-m", labelled.run, "--json").events
        assert values["accuracy"] == 0.5
        assert values["labels"][-1] == "Norwegian"
        assert [row[-1] for row in values["confusion"]] == [0] * 4

    def test_many_labels(
        self, call: Call, labelled: Training, new: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of many labels only the commonest mistakes are printed."""
        monkeypatch.setattr("charrnn.cli.eval_records.MOST_SHOWN", 2)
        result = call("eval", new, "-m", labelled.run)
        assert "Italian  Polish  1" in result.out
        assert "right label (rows)" not in result.out

    def test_other_fields(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """--source and --target name other fields."""
        (tmp_path / "new.jsonl").write_text('{"who": "Molson", "from": "Swedish"}\n')
        options = ("--source", "who", "--target", "from", "--json")
        (values,) = call("eval", "new.jsonl", "-m", labelled.run, *options).events
        assert (values["records"], values["accuracy"]) == (1, 1)

    def test_baselines(self, call: Call, labelled: Training, new: Path) -> None:
        """Baselines learn from the training part, and are measured as the model is."""
        training = labelled.folder / "names.csv"
        options = ("--baselines", training, "--json")
        result = call("eval", new, "-m", labelled.run, *options)
        assert (result.code, result.err) == (0, "")
        baselines = result.events[0]["baselines"]
        assert [*baselines] == ["commonest", "naive_bayes", "logistic"]
        for values in baselines.values():
            assert values.keys() == {
                "records", "exact_match", "edit_rate", "accuracy", "macro_f1"
            }  # fmt: skip
        assert baselines["logistic"]["accuracy"] == 0.75
        assert baselines["commonest"]["accuracy"] < 0.75
        plain = call("eval", new, "-m", labelled.run, "--baselines", training).out
        assert "this model" in plain and "logistic regression" in plain

    def test_baselines_of_one_label(
        self, call: Call, labelled: Training, new: Path, tmp_path: Path
    ) -> None:
        """Of a single label there is nothing to learn but that."""
        (tmp_path / "one.csv").write_text("name,nation\nMolson,Swedish\nNilson,Swedish\n")
        result = call("eval", new, "-m", labelled.run, "--baselines", "one.csv", "--json")
        assert result.code == 0
        assert [*result.events[0]["baselines"]] == ["commonest"]

    def test_baselines_of_another_text(self, call: Call, labelled: Training, new: Path) -> None:
        """Baselines that learn from another text say so."""
        result = call("eval", new, "-m", labelled.run, "--baselines", new, "--json")
        assert result.code == 0
        assert "not the text that the model was trained on" in result.err

    def test_missing_package(
        self, call: Call, labelled: Training, new: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without scikit-learn, --baselines is an error of one line that says what to install."""
        real = builtins.__import__

        def without(name: str, *rest: Any) -> Any:
            if name.startswith("sklearn"):
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
        training = labelled.folder / "names.csv"
        result = call("eval", new, "-m", labelled.run, "--baselines", training)
        assert (result.code, result.out) == (1, "")
        assert "pip install scikit-learn" in result.error


class TestTexts:
    def test_json(self, call: Call, paired: Training, tmp_path: Path) -> None:
        """Other targets have metrics of texts only; the baseline is the nearest source."""
        rows = [{"small": name, "capitals": name.upper()} for name, _ in names_and_nations(9)]
        (tmp_path / "new.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        training = paired.folder / "pairs.jsonl"
        options = ("--baselines", training, "--json")
        result = call("eval", "new.jsonl", "-m", paired.run, *options)
        assert (result.code, result.err) == (0, "")
        (values,) = result.events
        assert values.keys() == KEYS | {"baselines"}
        assert 0 <= values["exact_match"] <= 1
        assert 0 < values["edit_rate"] < 1
        assert [*values["baselines"]] == ["nearest"]
        nearest = values["baselines"]["nearest"]
        assert nearest["edit_rate"] < 0.3  # all but the held-out ones are among the sources

    def test_agrees_with_predict(self, call: Call, paired: Training, tmp_path: Path) -> None:
        """A record is an exact match if its target is what predict prints."""
        model = charrnn.load(paired.run)
        predicted = model.predict("Molson")[0].text
        (tmp_path / "new.jsonl").write_text(
            json.dumps({"small": "Molson", "capitals": predicted}) + "\n"
        )
        (values,) = call("eval", "new.jsonl", "-m", paired.run, "--json").events
        assert (values["exact_match"], values["edit_rate"]) == (1, 0)


class TestWrongUsage:
    @pytest.mark.parametrize("options", [["--keystrokes"], ["--field", "name"]])
    def test_records(self, call: Call, labelled: Training, new: Path, options: list[str]) -> None:
        """Options for other texts are refused."""
        result = call("eval", new, "-m", labelled.run, *options)
        assert (result.code, result.out) == (2, "")
        assert "--source" in result.error

    @pytest.mark.parametrize("option", ["--source", "--target", "--baselines"])
    def test_other_models(self, call: Call, trained: Training, corpus: Path, option: str) -> None:
        """Options for records are refused with another model."""
        result = call("eval", corpus, "-m", trained.run, option, "x")
        assert (result.code, result.out) == (2, "")
        assert "model of records" in result.error

    def test_empty(self, call: Call, labelled: Training, tmp_path: Path) -> None:
        """A table without records is an error."""
        (tmp_path / "new.csv").write_text("name,nation\n")
        result = call("eval", "new.csv", "-m", labelled.run)
        assert (result.code, result.out) == (1, "")
        assert "no records" in result.error


def test_without_torch(labelled: Training, new: Path, tmp_path: Path) -> None:
    """It waits neither for torch nor for scikit-learn."""
    modules = modules_loaded("eval", new, "-m", labelled.run, cwd=tmp_path)
    assert not {"torch", "sklearn"} & modules


def test_standard_input(labelled: Training, new: Path, tmp_path: Path) -> None:
    """Records may come from a pipe."""
    command = ("eval", "-m", labelled.run, "--json", "-q")
    piped = charrnn_command(*command, "-", cwd=tmp_path, stdin=new.read_text())
    (values,) = piped.events
    assert values["records"] == 4
