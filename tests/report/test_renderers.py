"""The five formats: golden files for LaTeX and Markdown, hostile labels, and that numbers are never cut.

After a wanted change of layout: LNLBENCH_WRITE_GOLDEN=1 pytest tests/report/test_renderers.py, then read the diff.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import SUITE, result

from lnlbench.errors import UnknownName
from lnlbench.report import FORMATS, build_table, latex, markdown, render

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = [
    r"100% & more_or_less",
    r"\input{/etc/passwd} $x^2$ #1 ~ {",
    '<script>alert("x")</script> | [link](http://x) *bold* `code`',
    "[2ex] starts like an option",
    "* starts like a starred line end\nand breaks",
    "Größe β=0.1 ✓ 表 ± – [bold]rich[/bold]",
]


@pytest.fixture
def hostile(suite_plan):
    """A table whose labels and title try to be markup."""
    rows = [{"label": label, "method": "ce", "set": {}} for label in HOSTILE]
    plan = suite_plan(title="A_title with 5% & <b>markup</b> | $y$ \\", rows=rows, seeds=1)
    return build_table(plan, [result(job, 50.0) for job in plan.jobs])


@pytest.fixture
def tables(suite_plan, full, plan, hostile):
    """The tables of the golden files, by name."""
    diverged = [run._replace(status="diverged") if i % 5 == 4 else run for i, run in enumerate(full)]
    modified = [r._replace(data_canonical=False, data_note="100% rebuilt_from JPEG") for r in diverged[:-4]]
    two = suite_plan(stats=["best", "last"])
    groups = ["a_group", "a_group", "another", "another"]
    rows = [{**row, "group": group} for row, group in zip(SUITE["rows"], groups, strict=True)]
    grouped = suite_plan(rows=rows, bold="group", notes=["Rows 1 & 2 are from\nelsewhere."])
    spread = [run._replace(best=run.best + i % 3 / 10) for i, run in enumerate(full[:-1])]
    return {
        "one_statistic": build_table(plan, full),
        "two_statistics": build_table(two, full),
        "compared_and_partial": build_table(plan, modified, compare=True, stats=["best", "auc"]),
        "hostile": hostile,
        "empty": build_table(plan, []),
        "tested_and_ranked": build_table(grouped, spread, compare=True, against="DivideMix", ranked=True),
    }


NAMES = ["one_statistic", "two_statistics", "compared_and_partial", "hostile", "empty", "tested_and_ranked"]
TEXTS = [("latex", "tex"), ("markdown", "md"), ("table", "txt")]
DATA = [
    (name, *kind) for name in ("compared_and_partial", "tested_and_ranked") for kind in (("csv",) * 2, ("json",) * 2)
]


@pytest.mark.parametrize(("name", "format", "suffix"), [*((n, *kind) for n in NAMES for kind in TEXTS), *DATA])
def test_it_prints_what_the_golden_file_says(tables, name, format, suffix):
    text = render(tables[name], format, width=90)
    if format in ("csv", "json"):  # the last digits of a p-value are SciPy's of the day
        text = re.sub(r"\d+\.\d{7,}", lambda found: f"{float(found[0]):.6g}", text)
    golden = GOLDEN / f"{name}.{suffix}"
    if os.environ.get("LNLBENCH_WRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


TEXT = st.text(max_size=30)


@given(TEXT)
def test_any_text_in_latex_keeps_its_braces_balanced_and_has_no_active_character(text):
    escaped = latex.escape(text)
    bare = re.sub(r"\\[\\%&$#_{}]", "", escaped)
    assert bare.count("{") == bare.count("}")
    assert not set("%&#_~^") & set(re.sub(r"\$[^$]*\$", "", bare))
    assert bare.count("$") % 2 == 0
    assert "\n" not in escaped
    assert all(character <= "ſ" for character in escaped)


@given(TEXT)
def test_any_text_in_markdown_has_no_live_markup(text):
    escaped = markdown.escape(text)
    assert "<" not in escaped
    assert "\n" not in escaped
    assert not set("|*_`[]$~#") & set(re.sub(r"\\.", "", escaped))


@given(TEXT.filter(lambda t: "\\" not in t))
def test_markdown_shows_the_text_itself(text):
    shown = re.sub(r"\\(.)", r"\1", markdown.escape(text))
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        shown = shown.replace(entity, character)
    assert shown == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("é ø ş ą", "é ø s a"),
        ("đ 表", "{[}U+0111{]} {[}U+8868{]}"),
        ("λ_u μ ς ο", r"$\lambda$\_u $\mu$ {[}U+03C2{]} {[}U+03BF{]}"),
        ("‡†", r"$^{\ddagger}$$^{\dagger}$"),
    ],
)
def test_letters_that_latex_does_not_have_are_reduced_or_named(text, escaped):
    assert latex.escape(text) == escaped


def test_a_line_for_published_numbers_is_there_only_where_some_are(tables, suite_plan):
    text = render(tables["compared_and_partial"], "markdown")
    assert text.count("| published |") == 4
    nowhere = build_table(suite_plan(published=None), [], compare=True)
    assert "published |" not in render(nowhere, "markdown")
    assert "No published numbers" in render(nowhere, "markdown")


def _latex_rows(text: str) -> list[str]:
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    return [line for line in body.splitlines() if line.endswith(r"\\")]


def test_every_line_of_a_latex_table_has_as_many_cells_as_columns(tables):
    for table in tables.values():
        text = latex.render(table)
        columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
        for line in _latex_rows(text):
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", text)]
        assert sum(spans) + table.ranked == columns.count("c")


def test_every_line_of_a_markdown_table_has_as_many_cells_as_columns(tables):
    for table in tables.values():
        lines = [line for line in markdown.render(table).splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


@settings(max_examples=40, deadline=None)
@given(width=st.integers(20, 200))
def test_no_terminal_is_so_narrow_that_a_number_is_cut(width):
    table = _wide()
    text = render(table, "table", width=width)
    assert sorted(re.findall(r"\d\d\.\d ± \d\.\d", text)) == sorted(
        re.findall(r"\d\d\.\d ± \d\.\d", render(table, "table", width=1000))
    )


def _wide():
    from lnlbench.suite import load_suite

    plan = load_suite("sanm-table1").plan("paper", methods=["ce", "dividemix"])
    return build_table(plan, [result(job, 40 + 5 * (int(job.key[:4], 16) % 7) / 7 + job.seed) for job in plan.jobs])


def test_a_table_that_fits_is_one_block_and_a_wider_one_is_several(tables):
    assert render(_wide(), width=200).count("Method") == 1
    assert render(_wide(), width=60).count("Method") > 1
    assert all(len(line) <= 60 for line in render(_wide(), width=60).splitlines())


def test_rich_markup_in_a_label_is_shown_not_obeyed(hostile):
    assert "[bold]rich[/bold]" in render(hostile, "table", width=200)


def test_csv_has_one_line_a_cell_with_full_precision(tables):
    table = tables["compared_and_partial"]
    lines = list(csv.DictReader(io.StringIO(render(table, "csv"))))
    assert len(lines) == len(table.cells)
    for line, cell in zip(lines, table.cells, strict=True):
        assert line["mean"] == ("" if cell.mean is None else repr(cell.mean))
        assert [float(v) for v in line["values"].split(";") if v] == list((cell.values or {}).values())
        assert int(line["diverged"]) == len(cell.diverged)
    first = lines[0]
    assert (first["suite"], first["scale"], first["dataset"], first["noise"], first["rate"], first["published"]) == (
        "made_up",
        "paper",
        "cifar10",
        "symmetric",
        "0.2",
        "86.8",
    )


def test_csv_and_json_carry_any_label_unchanged(hostile):
    labels = {line["label"] for line in csv.DictReader(io.StringIO(render(hostile, "csv")))}
    assert labels == set(HOSTILE)
    assert [row["label"] for row in json.loads(render(hostile, "json"))["rows"]] == HOSTILE


def test_json_names_the_job_behind_every_value(plan, full):
    table = json.loads(render(build_table(plan, full), "json"))
    values = {run.key: run.best for run in full}
    runs = [run for row in table["rows"] for cell in row["cells"] for run in cell["runs"]]
    assert {run["key"]: run["value"] for run in runs} == values
    assert (table["scale"], table["ddof"], table["seeds"]) == ("paper", 1, [1, 2, 3])


def test_an_unknown_format_gets_the_nearest_name(hostile):
    with pytest.raises(UnknownName, match="latex"):
        render(hostile, "latx")
    assert set(FORMATS) == {"table", "latex", "markdown", "csv", "json", "html"}
