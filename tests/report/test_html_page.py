"""The HTML report without a browser: what is in the page, that nothing in it acts or loads, the data for its script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from html_page import ERROR, HOSTILE, ROWS, fill, made_plan, made_table
from hypothesis import given
from hypothesis import strategies as st

from lnlbench.report import build_table, render
from lnlbench.report.html import build, curves, data, page, render_report
from lnlbench.report.html.svg import inline
from lnlbench.report.html.tables import escape
from lnlbench.report.numbers import cell_text
from lnlbench.store import EpochRow


class Read(HTMLParser):
    """Elements with their attributes, headings in order, and the texts of script elements by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, text: str) -> None:
        if self.lasttag == "script":
            last = dict(self.elements[-1][1])
            name = last.get("id") or ""
            self.scripts[name] = self.scripts.get(name, "") + text
        self.text += text

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    plan = made_plan(folder)
    with fill(folder / "runs.sqlite", plan) as store:
        table = made_table(store, plan)
        yield plan, table, render_report(store, [(plan, table)], "a&b.sqlite")


def main_data(text: str) -> dict:
    return json.loads(Read(text).scripts["data"])


def column(main: dict, name: str) -> list:
    found = main["jobs"][name]
    return found if isinstance(found, list) else [found["of"][i] for i in found["which"]]


def test_the_table_is_there_without_a_script(made):
    _, table, text = made
    shown = Read(text).text
    for cell in table.cells:
        assert cell_text(cell, table.show_n) in shown
    for part in (table.caption.removeprefix(f"{table.title}. "), *table.notes, *(row.label for row in table.rows)):
        assert part in shown
    for label in ("CIFAR-10, symmetric", "20%", "Baselines", "<i>Others</i>", "published", "a&b.sqlite", "h<o>st"):
        assert label in shown


def test_it_has_a_language_a_title_and_headings_in_order(made):
    read = Read(made[2])
    assert read.attributes("html") == [{"lang": "en"}]
    assert re.search("<title>Accuracy &lt;img.*lnlbench report</title>", made[2])
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_is_loaded_and_only_its_own_script_and_style_act(made):
    text = made[2]
    read = Read(text)
    (policy,) = (m["content"] for m in read.attributes("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    acting = [(a, s) for a, s in re.findall(r"<script([^>]*)>(.*?)</script>", text, re.S) if "json" not in a]
    assert len(acting) == 1
    for kind, body in (("style", style), ("script", acting[0][1])):
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in policy
    for _, attributes in read.elements:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert "@import" not in style
    assert "url(" not in style


def test_labels_are_text(made):
    _, table, text = made
    read = Read(text)
    assert "img" not in [tag for tag, _ in read.elements]
    assert "b" not in [tag for tag, _ in read.elements]
    assert "<script>alert" not in text
    assert text.count("<!--") == 0
    labels = [row["label"].removesuffix(" †").removesuffix(" ‡") for row in main_data(text)["tables"][0]["rows"]]
    assert labels == [row.label for row in table.rows] == ROWS
    assert ERROR in column(main_data(text), "error")


@given(st.text())
def test_any_text_survives_being_embedded(text):
    embedded = data.script_json({"a": [text]})
    assert json.loads(embedded) == {"a": [text]}
    assert not re.search("[<>&\u2028\u2029]", embedded)
    escaped = escape(text)
    assert not re.search("[<>\"'\x00]", escaped)
    escaped.encode()
    if text.isprintable():
        assert unescape(escaped) == text


def test_every_job_is_in_the_data_once_with_its_run(made):
    plan, table, text = made
    main = main_data(text)
    keys = main["jobs"]["key"]
    assert sorted(keys) == sorted(job.key for job in plan.jobs)
    assert [[keys[i] for i in place] for place in main["places"]] == [
        [job.key for job in cell.jobs] for cell in plan.cells
    ]
    status = dict(zip(keys, column(main, "status"), strict=True))
    failed, diverged = plan.grid[3][0].jobs[2].key, plan.grid[3][1].jobs[1].key
    assert status.pop(failed) == "failed"
    assert status.pop(diverged) == "diverged"
    assert set(status.values()) == {"done"}
    assert column(main, "versions")[0] == "torch 2.6.0"
    assert column(main, "git_dirty")[0] is True
    numbers = main["tables"][0]["numbers"]["best"]
    first_column = [row.lines[0].cells[0] for row in table.rows]
    assert numbers["mean"][::2] == [cell.mean for cell in first_column] == [90.0, 90.0, 9.5, 80.0, None]
    assert numbers["n"][::2] == [3, 3, 3, 2, 0]


def test_figures_have_ids_of_their_own(made):
    text = made[2]
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert "<figure>" in text
    used = {*re.findall(r'href="#([^"]+)"', text), *re.findall(r"url\(#([^)]+)\)", text)}
    assert used <= set(ids)


def unpacked(packed: list) -> tuple[list[int], dict[str, list[float | None]]]:
    where, _, ranges, text = packed
    epochs = where if isinstance(where, list) else list(range(where["first"], where["first"] + where["count"]))
    raw = base64.b64decode(text)
    steps = [raw[i] | raw[i + 1] << 8 for i in range(0, len(raw), 2)]
    values = {}
    for (name, _), limits in zip(curves.METRICS, ranges, strict=True):
        if limits:
            own, steps = steps[: len(epochs)], steps[len(epochs) :]
            values[name] = [None if step == curves.MISSING else limits[0] + step * limits[1] for step in own]
    assert not steps
    return epochs, values


rows = st.lists(
    st.builds(
        EpochRow,
        epoch=st.integers(0, 400),
        test_accuracy=st.none() | st.floats(0, 100),
        clean_auc=st.none() | st.floats(0, 1),
        loss=st.none() | st.floats(-10, 1000),
        memorisation=st.none() | st.floats(0, 1),
        extra=st.none(),
    ),
    max_size=20,
    unique_by=lambda row: row.epoch,
).map(lambda found: sorted(found, key=lambda row: row.epoch))


@given(rows)
def test_curves_are_kept_to_the_shown_precision(epochs):
    numbers, values = unpacked(curves.pack(epochs))
    assert numbers == [row.epoch for row in epochs]
    for name, tolerance in (("test_accuracy", 0.00501), ("clean_auc", 0.0000501), ("memorisation", 0.0000501)):
        given_values = [getattr(row, name) for row in epochs]
        assert (name in values) == any(value is not None for value in given_values)
        for ours, theirs in zip(values.get(name, []), given_values, strict=False):
            assert ours == pytest.approx(theirs, abs=tolerance) if theirs is not None else ours is None
    losses = [row.loss for row in epochs if row.loss is not None]
    found = [value for value in values.get("loss", []) if value is not None]
    assert found == pytest.approx(losses, abs=0.02)


def test_stages_and_gaps_are_kept():
    packed = curves.pack([EpochRow(0, "a", counts=False), EpochRow(1, "a", 5.0), EpochRow(5, "b", 6.0)])
    assert packed[:2] == [[0, 1, 5], [["a", 0, 0], ["a", 1, 1], ["b", 2, 1]]]
    assert unpacked(packed)[1] == {"test_accuracy": [None, 5.0, 6.0]}


def test_columns_that_repeat_are_written_once_and_truth_values_stay():
    assert data._encoded([True, 1, None] * 4) == {"of": [True, 1, None], "which": [0, 1, 2] * 4}
    assert data._encoded([1, 2, 3]) == [1, 2, 3]


def test_a_table_alone_is_a_page_too(suite_plan):
    plan = suite_plan(rows=[{"label": HOSTILE, "method": "ce"}])
    text = render(build_table(plan, []), "html")
    main = main_data(text)
    assert text.startswith("<!doctype html>")
    assert len(main["places"]) == 3
    assert 'id="runs"' not in text
    assert escape(HOSTILE) in text


def test_more_jobs_than_can_be_told_apart_in_a_figure_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "FIGURES_OF", 10)
    plan = made_plan(tmp_path)
    with fill(tmp_path / "runs.sqlite", plan) as store:
        text = render_report(store, [(plan, made_table(store, plan))], "db")
    assert "<figure>" not in text
    assert "No figures: there are more than 10 jobs behind this table." in text


SVG = (
    '<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 100" '
    'xmlns:xlink="http://www.w3.org/1999/xlink" onload="alert(1)"><style>*{x:y}</style><script>alert(1)</script>'
    '<defs><clipPath id="clip"><rect width="5" height="5"/></clipPath><path id="mark" d="M 0.123456 1"/></defs>'
    '<g id="unused" clip-path="url(#clip)" style="fill: #000000; stroke: #ffffff; stroke-width: 2" onclick="x()">'
    '<use xlink:href="#mark"/><use xlink:href="http://elsewhere/x.svg#y"/><text>a &lt;b&gt;</text></g></svg>'
)


def test_an_svg_acts_on_nothing_and_takes_no_one_elses_ids():
    text = inline(SVG, "f1-", 'A "title" <b>')
    read = Read(text)
    assert [tag for tag, _ in read.elements] == ["svg", "defs", "clippath", "rect", "path", "g", "use", "use", "text"]
    assert text.startswith(
        '<svg role="img" aria-label="A &quot;title&quot; &lt;b&gt;" viewBox="0 0 200 100" width="380">'
    )
    group = read.attributes("g")[0]
    assert group == {
        "clip-path": "url(#f1-0)",
        "fill": "currentColor",
        "stroke": "#ffffff",
        "stroke-width": "2",
        "class": "paper-stroke",
    }
    assert read.attributes("clippath") == [{"id": "f1-0"}]
    assert read.attributes("path") == [{"id": "f1-1", "d": "M 0.12 1"}]
    assert read.attributes("use") == [{"href": "#f1-1"}, {}]
    assert "a &lt;b&gt;" in text


def test_what_is_no_svg_is_said():
    with pytest.raises(ValueError, match="figure 'x' is no SVG"):
        inline("<svg", "f", "x")


def test_style_and_script_are_in_the_package():
    folder = Path(page.__file__).parent / "static"
    assert {file.name for file in folder.iterdir()} == {"page.css", *page._SCRIPTS}
