"""How training goes, on a terminal and elsewhere."""

import math
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from charrnn.display.console import Ui
from charrnn.display.progress import BARS, Progress, sparkline, step_line
from charrnn.events import (
    Done,
    Event,
    Few,
    FineTuning,
    Overfit,
    Plan,
    Rollback,
    Sample,
    Save,
    Skip,
    Start,
    Step,
    Stop,
    Unsaved,
    Validation,
)

START = Start(
    run="runs/book",
    step=0,
    device="cpu",
    level="char",
    train_chars=9000,
    val_chars=1000,
    train_tokens=9000,
    parameters=12345,
    model={"vocab_size": 51, "cell": "gru", "layers": 2, "hidden": 96, "embedding": 64},
    training={
        "batch": 16,
        "bptt": 64,
        "lr": 0.02,
        "dropout": 0.5,
        "input_dropout": 0.3,
        "embedding_dropout": 0.0,
        "weight_drop": 0.0,
    },
)
PLAN = Plan(steps=1500, epochs=12.5, tokens_per_second=50000.0, seconds_left=200.0)
STEP = Step(
    step=300,
    steps=1500,
    epoch=2.5,
    loss=math.log(2) * 2,
    norm=0.5,
    clipped=0.0,
    lr=0.02,
    tokens_per_second=50000.0,
    seconds=60.0,
    seconds_left=140.0,
)
VALIDATION = Validation(step=300, epoch=2.5, seconds=60.0, val_nats=math.log(2) * 3, best=True)
SAMPLE = Sample(step=300, text="The fox slept.\x1b[2J\x07")
DONE = Done(
    val_nats=math.log(2),
    val_bpc=1.0,
    val_bpb=1.0,
    val_part=0.5,
    steps=1500,
    tokens=1_536_000,
    seconds=260.0,
    run="runs/book",
)

Drawn = Callable[..., str]


def shown(*events: Event, quiet: bool = False) -> None:
    with Progress(Ui(quiet)) as view:
        for event in events:
            view.show(event)


class TestSparkline:
    def test_ends(self) -> None:
        """The lowest value is at the bottom and the highest at the top."""
        assert sparkline([2.0, 1.0, 3.0]) == BARS[4] + BARS[0] + BARS[-1]

    def test_order(self) -> None:
        """A larger value is never drawn lower."""
        line = sparkline([x * x for x in range(20)])
        assert list(line) == sorted(line)

    @pytest.mark.parametrize("values", [[1.5], [2.0, 2.0, 2.0]])
    def test_flat(self, values: list[float]) -> None:
        """A flat curve stays at the bottom."""
        assert sparkline(values) == BARS[0] * len(values)

    def test_width(self) -> None:
        """A long curve shows its end."""
        values = [float(x) for x in range(100)]
        assert sparkline(values, width=10) == sparkline(values[-10:])


class TestWithoutTerminal:
    def test_start(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The first lines name the run, the network, the device and the size of the text."""
        shown(START)
        text = capsys.readouterr().err
        for fact in ("runs/book", "9,000", "1,000", "gru", "2 x 96", "12,345", "char", "cpu"):
            assert fact in text
        assert "dropout 0.5, input dropout 0.3, on cpu" in text
        assert "resuming" not in text

    def test_resumed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A resumed run says from which step."""
        values = {name: getattr(START, name) for name in START.__slots__} | {"step": 1234}
        shown(Start(**values))
        assert "resuming from step 1,234" in capsys.readouterr().err

    def test_plan(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The first plan is printed, later corrections are not."""
        shown(PLAN, Plan(steps=1400, epochs=11.0, tokens_per_second=4.0, seconds_left=150.0))
        assert capsys.readouterr().err == (
            "about 1,500 steps, 12.5 epochs, in the 3 min 20 s left (50,000 tokens/s)\n"
        )

    def test_validation(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each validation is a line with the score in nats and in bits."""
        shown(STEP, VALIDATION, VALIDATION)
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        for part in ("step 300", "2.0794 nats", "3.000 bits/char", "best"):
            assert part in lines[0]

    def test_part(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A validation on a part of the held-out text says how large the part is."""
        shown(replace(VALIDATION, val_part=0.123))
        assert "held out (12%) 2.0794 nats" in capsys.readouterr().err

    def test_worse_validation(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A validation that is not the best is not called so."""
        shown(Validation(step=300, epoch=2.5, seconds=60.0, val_nats=1.0, best=False))
        assert "best" not in capsys.readouterr().err

    def test_kept_validation(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Weights that are kept, though an earlier score was a little lower, are not the best."""
        shown(VALIDATION, replace(VALIDATION, val_nats=VALIDATION.val_nats + 0.01))
        first, second = capsys.readouterr().err.splitlines()
        assert first.endswith(" (best)")
        assert second.endswith(" (kept)")

    def test_errors(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Scores come with their standard error, where it is known."""
        shown(replace(VALIDATION, val_error=0.0123), replace(DONE, val_error=0.0045))
        validation, done = capsys.readouterr().err.splitlines()
        assert "held out 2.0794 ±0.0123 nats" in validation
        assert "held-out text: 0.6931 ±0.0045 nats/char" in done
        shown(VALIDATION, DONE)
        assert "±" not in capsys.readouterr().err

    def test_earlier_weights(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The end names the step of the weights, unless it is the last one."""
        shown(replace(DONE, best_step=1200))
        assert "with the weights of step 1,200" in capsys.readouterr().err
        shown(replace(DONE, best_step=1500))
        assert "weights" not in capsys.readouterr().err

    def test_few(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Too little held-out text to choose weights by gives a hint in one line."""
        shown(Few(step=13, val_chars=19))
        text = capsys.readouterr().err
        assert text.startswith("hint: 19 held-out characters are too few")
        assert text.count("\n") == 1

    def test_skip(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A skipped update is a warning."""
        shown(Skip(7))
        assert capsys.readouterr().err.startswith("charrnn: warning: step 7: ")

    def test_rollback(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A rollback is a warning of one line with the new learning rate."""
        shown(Rollback(step=70, back_to=60, lr=0.015))
        text = capsys.readouterr().err
        assert text.startswith("charrnn: warning: step 70: training diverged")
        assert "step 60" in text
        assert "0.015" in text
        assert text.count("\n") == 1

    def test_unsaved(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A failed save is a warning that says why, and that training goes on."""
        shown(Unsaved(70, "cannot write x: No space left on device"))
        text = capsys.readouterr().err
        assert text.startswith(
            "charrnn: warning: cannot write x: No space left on device; training"
        )

    def test_overfit(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The overfitting hint has the best step, both scores and what to change."""
        shown(
            Overfit(step=900, val_nats=math.log(2) * 2.5, best_nats=math.log(2) * 2, best_step=600)
        )
        text = capsys.readouterr().err
        for fact in ("hint", "step 600", "2.500", "2.000", "--dropout", "--patience"):
            assert fact in text

    def test_transfer(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Fine-tuning prints both texts' scores, before and after."""
        shown(FineTuning(0, math.log(2), math.log(2) * 3), FineTuning(60, None, math.log(2) * 2))
        before, after = capsys.readouterr().err.splitlines()
        assert before.startswith("before: old text 0.6931 nats = 1.000 bits/char, new text 2.0794")
        assert after.startswith("after: new text 1.3863")

    def test_stop(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An early end says why."""
        shown(Stop(70, "interrupted"))
        assert capsys.readouterr().err == "stopped at step 70: interrupted\n"

    def test_done(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The end prints the score and the last sample."""
        shown(SAMPLE, DONE)
        text = capsys.readouterr().err
        for fact in ("1,500 steps", "1,536,000 tokens", "4 min 20 s", "1.000 bits/char"):
            assert fact in text
        assert "The fox slept." in text

    def test_keys_saved(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The end prints the keystrokes saved, if enough text was typed."""
        shown(replace(DONE, keys_saved=0.384, keys_saved_by_trigrams=0.351))
        text = capsys.readouterr().err
        assert "38%" in text
        assert "35%" in text
        shown(replace(DONE, words_typed=37))
        assert "not measured, as 37 words are too few" in capsys.readouterr().err
        shown(replace(DONE, words_typed=0))
        assert "not measured, as the time was too short" in capsys.readouterr().err

    def test_no_score(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without held-out text the end says that there is no score."""
        shown(
            Done(
                val_nats=None,
                val_bpc=None,
                val_bpb=None,
                val_part=1.0,
                steps=2,
                tokens=128,
                seconds=3.0,
                run="runs/book",
            )
        )
        assert "no text was held out" in capsys.readouterr().err

    def test_sample_cannot_steer(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Control characters that the model has learned do not reach the terminal."""
        shown(SAMPLE, DONE)
        text = capsys.readouterr().err
        assert "\x1b" not in text
        assert "\x07" not in text

    def test_no_sequences(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Where there is no terminal nothing is drawn, and stdout stays empty."""
        shown(START, PLAN, STEP, VALIDATION, Sample(300, "The fox."), Save(300), DONE)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "\x1b" not in captured.err
        assert "\r" not in captured.err

    def test_quiet(self, capsys: pytest.CaptureFixture[str]) -> None:
        """When quiet, nothing is printed."""
        events = (START, PLAN, STEP, VALIDATION, SAMPLE, Skip(7), Save(300), Stop(9, "x"), DONE)
        shown(*events, quiet=True)
        assert capsys.readouterr() == ("", "")


class TestStepLine:
    def test_all_known(self) -> None:
        """A step's line has progress, speed, loss and time left."""
        line = step_line(STEP)
        for part in ("300 of 1,500", "2.50", "50,000 tokens/s", "2.000 bits/char", "2 min 20 s"):
            assert part in line

    def test_little_known(self) -> None:
        """Unknown values are omitted."""
        values = {name: getattr(STEP, name) for name in STEP.__slots__}
        values |= {"steps": None, "tokens_per_second": None, "seconds_left": None}
        line = step_line(Step(**values))
        assert "step 300 " in line
        for part in ("of", "tokens/s", "left", "None"):
            assert part not in line


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal of POSIX")
class TestTerminal:
    @pytest.fixture
    def drawn(self, monkeypatch: pytest.MonkeyPatch) -> Drawn:
        """What a terminal receives when events are shown."""
        import pty

        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.delenv("NO_COLOR", raising=False)

        def drawn(*events: Event, quiet: bool = False) -> str:
            controller, terminal = pty.openpty()
            received: list[bytes] = []

            def read() -> None:
                with suppress(OSError):  # Linux's way to say that the other end is closed
                    while data := os.read(controller, 1 << 16):
                        received.append(data)

            reader = threading.Thread(target=read)
            reader.start()
            with monkeypatch.context() as patch, open(terminal, "w", encoding="utf-8") as stream:
                patch.setattr(sys, "stderr", stream)
                shown(*events, quiet=quiet)
            reader.join()
            os.close(controller)
            return b"".join(received).decode()

        return drawn

    def test_live(self, drawn: Drawn) -> None:
        """On a terminal the numbers, the curve and the last sample are drawn in place."""
        text = drawn(STEP, VALIDATION, SAMPLE)
        for part in ("step 300 of 1,500", "3.000 bits/char", "The fox slept.", BARS[0]):
            assert part in text
        assert "\x1b[2K" in text

    def test_whole_line(self, drawn: Drawn) -> None:
        """The line of numbers is drawn whole, below the bar."""
        text = drawn(STEP)
        for part in ("epoch 2.50", "50,000 tokens/s", "2.000 bits/char", "2 min 20 s left"):
            assert part in text

    def test_sample_cannot_steer(self, drawn: Drawn) -> None:
        """A sample's control characters are not drawn either."""
        text = drawn(STEP, SAMPLE, DONE)
        assert "The fox slept." in text
        assert "\x07" not in text
        assert "\x1b[2J" not in text

    def test_no_color(self, drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
        """With NO_COLOR the display has no colours."""
        monkeypatch.setenv("NO_COLOR", "1")
        text = drawn(STEP, VALIDATION)
        assert "300 of 1,500" in text
        styles = re.findall(r"\x1b\[([\d;]*)m", text)
        codes = {int(code) for style in styles for code in style.split(";") if code}
        assert not codes & {*range(30, 50), *range(90, 108)}

    def test_dumb_terminal(self, drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal that cannot go back in place gets lines."""
        monkeypatch.setenv("TERM", "dumb")
        text = drawn(STEP, VALIDATION)
        assert text.count("\n") == 1
        assert "\x1b" not in text

    def test_quiet(self, drawn: Drawn) -> None:
        """When quiet, nothing is drawn."""
        assert drawn(START, STEP, VALIDATION, SAMPLE, quiet=True) == ""
