"""The page: a table, charts and samples."""

import json
import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.format import printable
from charrnn.display.plot.log import AXES, Log, summary
from charrnn.display.plot.page import html
from charrnn.display.plot.terminal import curve
from tests.display.plot.logs import Row, read, start, trained
from tests.strategies import NASTY

EVENTS = ["start", "step", "validation", "sample", "skip", "rollback", "stop", "done", "overfit"]
FIELDS = [
    *("step", "back_to", "epoch", "seconds", "loss", "norm", "clipped", "lr", "val_nats", "text"),
    *("tokens_per_second", "train_tokens", "steps", "tokens", "val_part", "why", "level"),
]


def texts(page: str) -> str:
    """All that a page's elements say, titles included."""
    return unescape(re.sub(r"<[^>]*>", "\n", page.partition("<body>")[2]))


def figures(page: str) -> list[Element]:
    """The charts, which must be well-formed XML."""
    return [fromstring(figure) for figure in re.findall(r"(?s)<figure>.*?</figure>", page)]


def with_class(element: Element, name: str) -> list[Element]:
    return [found for found in element.iter() if name in found.get("class", "").split()]


def paths(page: str, title: str) -> list[str]:
    """Return the paths with a name."""
    named = [path for figure in figures(page) for path in figure.iter("path")]
    return [path.get("d", "") for path in named if path.get("data-name", "").endswith(title)]


def test_needs_nothing_else(book: Log) -> None:
    """The page refers to nothing outside itself."""
    page = html([book])
    assert not re.search(r"""https?:|//\w|\b(src|href|srcset|action)\s*=|url\(|@import""", page)


def test_charts(book: Log) -> None:
    """It shows loss, learning rate, gradient norm with the share clipped, and speed."""
    titles = [figure.findtext("figcaption", "").strip() for figure in figures(html([book]))]
    assert titles == ["Loss", "Learning rate", "Gradient norm", "Speed"]
    for line in ("training", "held out", "learning rate", "before clipping", "clipped", "tokens/s"):
        assert len(paths(html([book]), line)) >= 1


def test_table(book: Log) -> None:
    """A row has a run's configuration and results."""
    row = html([book]).partition("<td>")[2].partition("</tr>")[0]
    for fact in (
        *("book", "char", "gru, 2 x 96", "350,914", "100,000", "0.25", "1.803", "1.2500"),
        *("1,000", "1,024,000", "10 s", "done"),
    ):
        assert f">{fact}<" in f">{row}"


def test_validations(book: Log) -> None:
    """Each validation is a dot with its step, time and score; the final one is a ring."""
    *dots, ring = figures(html([book]))[0].iter("circle")
    assert len(dots) == 10
    assert dots[4].findtext("title", "").startswith("book, step 500, 5 s: 1.7666 nats/char = ")
    assert "final score: 1.2500 nats/char = 1.803 bits/char" in ring.findtext("title", "")


def test_resumed(tmp_path: Path) -> None:
    """A resume has a mark; the events that it undid are not shown."""
    rows = [start(), *trained(0, 1000), start(600), *trained(600, 800)]
    page = texts(html([read(tmp_path, *rows)]))
    assert "book: resumed, step 600" in page
    assert "step 900" not in page


def test_rolled_back(tmp_path: Path) -> None:
    """A rollback has a mark with both steps and the new learning rate."""
    back = {"event": "rollback", "step": 1000, "back_to": 600, "lr": 0.015}
    page = texts(html([read(tmp_path, start(), *trained(0, 1000), back, *trained(600, 700))]))
    assert "rolled back, step 1,000 to step 600, learning rate 0.015" in page
    assert "step 900" not in page


def test_resumed_before_a_rollback(tmp_path: Path) -> None:
    """A rollback that a resume has undone leaves no mark."""
    back = {"event": "rollback", "step": 1000, "back_to": 600, "lr": 0.015}
    run = read(tmp_path, start(), *trained(0, 1000), back, start(400), *trained(400, 700))
    assert "rolled back" not in texts(html([run]))


def test_skipped(tmp_path: Path) -> None:
    """A skipped step has a mark at its position, by time too."""
    skip = {"event": "skip", "step": 500}
    page = html([read(tmp_path, start(), *trained(0, 500), skip, *trained(500, 1000))])
    (mark,) = with_class(figures(page)[0], "mark")
    assert mark.findtext("title") == "book: step skipped, step 500"
    assert [line.get("x1") for line in mark.iter("line")] == ["50.00%"]


def test_overfits(tmp_path: Path) -> None:
    """The start of overfitting has a mark."""
    hint = {"event": "overfit", "step": 900, "val_nats": 1.3, "best_nats": 1.2, "best_step": 600}
    page = html([read(tmp_path, start(), *trained(0, 900), hint, *trained(900, 1000))])
    (mark,) = with_class(figures(page)[0], "mark")
    assert mark.findtext("title") == "book: overfitting begins, step 900"


def test_never_stopped(book: Log) -> None:
    """A run that went through has no mark."""
    assert not any(with_class(figure, "mark") for figure in figures(html([book])))


def test_other_versions(tmp_path: Path) -> None:
    """Events and fields of other versions are passed over."""
    rows = [start(), *trained(0, 500)]
    newer = [row | {"new": [1]} for row in rows] + [{"event": "new", "step": [3], "text": 5}]
    assert html([read(tmp_path, *newer)]) == html([read(tmp_path, *rows)])


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "much", [], 10**400, True])
@pytest.mark.parametrize("name", ["norm", "loss", "seconds", "lr", "val_nats", "step", "epoch"])
def test_no_number(tmp_path: Path, name: str, value: object) -> None:
    """A value that is no finite number takes nothing else with it."""
    rows = trained(0, 500)
    for row in rows[8:12]:
        row[name] = value
    run = read(tmp_path, start(), *rows)
    assert run.to_json()["steps"] == 500
    assert len(figures(html([run]))) == 4


def test_gap(tmp_path: Path) -> None:
    """Where values are missing the line is broken."""
    rows = trained(0, 500)
    for row in rows[10:15]:
        row.pop("norm", None)
    page = html([read(tmp_path, start(), *rows)])
    assert [path.count("M") for path in paths(page, "before clipping")] == [2]
    assert [path.count("M") for path in paths(page, "tokens/s")] == [1]


def test_first_steps(tmp_path: Path) -> None:
    """The first steps' losses do not flatten the rest, and every validation is in sight."""
    rows = trained(0, 1000)
    for row in rows[:4]:
        row["loss"] = 1e6
    loss = figures(html([read(tmp_path, start(), *rows)]))[0]
    heights = [float(dot.get("cy", "").rstrip("%")) for dot in loss.iter("circle")]
    assert len(heights) == 10
    assert max(heights) - min(heights) > 50


def test_comes_apart(tmp_path: Path) -> None:
    """A diverging loss does not flatten the rest of the curve."""
    last = {
        "event": "validation",
        "step": 1020,
        "epoch": 10.4,
        "seconds": 10.2,
        "val_nats": 1e9,
    }
    loss = figures(html([read(tmp_path, start(), *trained(0, 1000), last)]))[0]
    heights = [float(dot.get("cy", "").rstrip("%")) for dot in loss.iter("circle")]
    assert max(heights) - min(heights) > 50


def test_several_runs(tmp_path: Path) -> None:
    """Several runs share the charts, each in its colour, with a legend."""
    names = ["one", "two", "three"]
    runs = [read(tmp_path, start(), *trained(0, 500), name=name) for name in names]
    page = html(runs)
    classes = {path.get("class", "").split()[0] for path in figures(page)[0].iter("path")}
    assert classes == {"c0", "c1", "c2"}
    assert re.findall(r'<i class="(c\d) swatch"></i>(\w+)</b>', page) == [
        *zip(["c0", "c1", "c2"], names, strict=True)
    ]


@pytest.mark.parametrize(
    ("by", "title", "label"),
    [
        ("seconds", "training time", "10 s"),
        ("tokens", "tokens read", "1M"),
        ("steps", "steps", "1,000"),
        ("epochs", "epochs", "10"),
    ],
)
def test_by(book: Log, by: str, title: str, label: str) -> None:
    """The horizontal axis is time, tokens, steps or epochs, and is labelled."""
    page = html([book], by)
    assert f"Horizontal axis: {title}." in page
    labels = [text.text for text in figures(page)[0].iter("text")]
    assert label in labels


@pytest.mark.parametrize(
    ("seconds", "label"), [(90, "60 s"), (1200, "15 min"), (14_400, "4 h"), (300_000, "3 d")]
)
def test_times(tmp_path: Path, seconds: float, label: str) -> None:
    """Time has a unit of its size."""
    rows = trained(0, 100)
    for row in rows:
        if "seconds" in row:
            row["seconds"] *= seconds
    labels = [text.text for text in figures(html([read(tmp_path, start(), *rows)]))[0].iter("text")]
    assert label in labels


def test_hostile_text(tmp_path: Path) -> None:
    """Samples and names are shown as text, whatever they hold."""
    nasty = "</pre></script><script>alert('&amp;')</script><!-- \x00\x1b[2J\u202e\ud800]]> \"'"
    rows = [
        start(level=nasty),
        *trained(0, 100),
        {"event": "sample", "step": 100, "text": nasty},
    ]
    page = html([replace(read(tmp_path, *rows), name=nasty)])
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<!--" not in page
    for character in "\x00\x1b\u202e\ud800":
        assert character not in page
    assert "</pre></script><script>alert('&amp;')</script><!-- ··[2J··]]> \"'" in texts(page)
    assert figures(page)


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_nasty_text(tmp_path: Path, text: str) -> None:
    """Any text leaves the page whole."""
    page = html([read(tmp_path, start(), {"event": "sample", "step": 1, "text": text})])
    sample = page.partition("<details")[2].partition("</details>")[0]
    assert "".join(fromstring(f"<details{sample}</details>").itertext())
    page.encode()


def test_samples(book: Log) -> None:
    """Samples stand with their step, time and score of that time."""
    page = texts(html([book]))
    assert "step 300, 3 s, held out 3.323 bits/char" in page
    assert "The fox of step 300." in page


def test_many_samples(tmp_path: Path) -> None:
    """Of many samples only some are shown, always the first and the last."""
    page = html([read(tmp_path, start(), *trained(0, 10_000))])
    assert page.count("<pre") <= 40
    assert "The fox of step 100." in page
    assert "The fox of step 10000." in page


@pytest.mark.slow
def test_day(tmp_path: Path) -> None:
    """The page of a day's log is small, and a single step's spike is still in it."""
    rows = trained(0, 8_640_000, tell=100, validate=6000)
    rows[len(rows) // 2 + 1 : len(rows) // 2 + 3] = [
        row | {"norm": 3e5} for row in rows[len(rows) // 2 + 1 : len(rows) // 2 + 3]
    ]
    page = html([read(tmp_path, start(), *rows)])
    assert len(page.encode()) < 500_000
    (norm,) = paths(page, "before clipping")
    heights = sorted(int(height) for height in re.findall(r" (-?\d+)", norm))
    assert heights[0] < 1000 < 9000 < heights[len(heights) // 2]


def test_nothing_yet(tmp_path: Path) -> None:
    """A run that has only started has a page that says so."""
    assert "Nothing to draw yet" in html([read(tmp_path, start())])


def test_nothing_held_out(tmp_path: Path) -> None:
    """A run without held-out text has its training loss drawn."""
    rows = [row for row in trained(0, 500) if row["event"] == "step"]
    page = html([read(tmp_path, start(), *rows)])
    assert len(paths(page, "training")) == 1
    assert paths(page, "held out") == []


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"event": st.sampled_from(EVENTS)},
            optional={
                name: st.none() | st.booleans() | st.integers() | st.floats() | st.text()
                for name in FIELDS
            }
            | {"model": st.dictionaries(st.sampled_from(["cell", "hidden"]), st.text())},
        ),
        min_size=1,
        max_size=12,
    ),
    by=st.sampled_from(sorted(AXES)),
)
def test_any_log(tmp_path_factory: pytest.TempPathFactory, rows: list[Row], by: str) -> None:
    """Any log can be drawn."""
    run = read(tmp_path_factory.getbasetemp(), *rows)
    figures(html([run, run], by))
    json.dumps(run.to_json(), allow_nan=False)
    assert curve([run, run], by)
    assert printable(summary(run)) == summary(run)
