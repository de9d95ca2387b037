"""A check written down: as text, Markdown, JUnit XML and JSON; complete, escaped, well-formed."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from recorded_runs import baseline_of, plan_of, record, steady, suite_file

from lnlbench.regression import check
from lnlbench.regression.json_ import plain
from lnlbench.regression.junit import junit
from lnlbench.regression.markdown import markdown
from lnlbench.regression.words import Where, headline, sections
from lnlbench.store import open_store

HOSTILE = "A <script>alert('x')</script> & | _b_ \x08 ]]>"
WHERE = Where("my suite.yaml", "b.json", " --db x.sqlite")


def numbers(job):
    """GCE drops, and diverges at 20% noise; Co-teaching rises; cross-entropy stays."""
    if job.method == "gce" and job.noise.rate == 0.2 and job.seed == 3:
        return "diverged"
    change = {"gce": -9.0, "coteaching": 5.0}.get(job.method, 0.1)
    return {name: value + change for name, value in steady(job).items() if "auc" not in name}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A check with something of everything."""
    folder = tmp_path_factory.mktemp("everything")
    rows = [
        {"label": HOSTILE, "method": "ce"},
        {"label": "GCE", "method": "gce"},
        {"label": "Co-teaching", "method": "coteaching"},
        {"label": "Untested", "method": "gce", "set": {"q": 0.5}},
        {"label": "Changed", "method": "gce", "set": {"q": 0.6}},
    ]
    plan = plan_of(suite_file(folder, rows=rows))
    db = folder / "lnlbench.sqlite"
    record(db, plan.jobs)
    baseline = baseline_of(plan, db)
    rows[-1] = {"label": "Changed", "method": "gce", "set": {"q": 0.65}}
    plan = plan_of(suite_file(folder, rows=rows))
    record(db, [job for job in plan.jobs if job.hyperparameters.get("q") != 0.5], numbers, git_commit="b" * 40)
    with open_store(db) as store:
        return check(plan, baseline, store)


def text_of(check_):
    return "\n".join(
        "\n".join([section.title, *(" ; ".join(row) for row in section.rows), *section.text])
        for section in sections(check_, WHERE)
    )


def test_the_text_says_what_moved_by_how_much_since_when_and_what_could_have_been_seen(found):
    text = text_of(found)
    assert headline(found) == "REGRESSION: 2 of 10 comparisons of 6 cells dropped, 1 cell diverges."
    assert "GCE, digits symmetric 40% ; Best ; " in text
    assert "(5) ; −9.00 ; " in text
    assert "dropped between aaaaaaaaaa and bbbbbbbbbb" in text
    assert "GCE, digits symmetric 20% ; 3 ; none ; regression" in text
    assert "Co-teaching, digits symmetric 40% ; Best" in text
    assert "hyperparameters.q 0.6 -> 0.65" in text
    assert "lnlbench baseline write --suite 'my suite.yaml' --scale smoke --db x.sqlite --out b.json --replace" in text
    assert "lnlbench run --suite 'my suite.yaml' --scale smoke --db x.sqlite --rerun" in text
    assert "found in four of five cases" in text
    assert "at most 1% of checks, over all 10 comparisons together" in text


@pytest.mark.parametrize(("drop", "said"), [(99.0, "99.00"), (100.0, "none"), (143.0, "none")])
def test_where_no_possible_drop_would_have_been_found_the_power_is_none(found, drop, said):
    cells = [
        replace(cell, moves=tuple(replace(move, detectable=drop) for move in cell.moves if move.stat == "best"))
        for cell in found.cells
    ]
    assert f"Best ; {said} ; {said} ; " in text_of(replace(found, cells=tuple(cells)))


def test_junit_is_well_formed_with_a_case_a_cell_and_statistic(found):
    root = ElementTree.fromstring(junit(found).encode())
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    assert suite.get("tests") == str(len(cases)) == "19"
    kinds = {
        kind: [c.get("classname") for c in cases if c.find(kind) is not None]
        for kind in ("failure", "error", "skipped")
    }
    assert kinds["failure"] == ["watched.smoke.GCE"] * 3
    assert kinds["error"] == ["watched.smoke.Changed"] * 4
    assert kinds["skipped"] == ["watched.smoke.Untested"] * 4
    assert [suite.get(name) for name in ("failures", "errors", "skipped")] == ["3", "4", "4"]
    assert any(HOSTILE.replace("\x08", "?") in str(case.get("classname")) for case in cases)
    failure = suite.find("testcase[@name='digits symmetric 40% Best']/failure")
    assert failure is not None
    assert "-9.00" in str(failure.get("message")).replace("−", "-")


def test_markdown_is_escaped_and_holds_every_comparison(found):
    page = markdown(found, WHERE)
    assert page.startswith("## ❌ REGRESSION: 2 of 10")
    assert page.count("REGRESSION") == 1
    assert "<script>" not in page
    every = page.split("<details>")[1]
    rows = [line for line in every.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 10
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}


def test_json_holds_everything(found):
    data = json.loads(json.dumps(plain(found), allow_nan=False))
    assert (data["exit_code"], data["alpha"], data["stats"]) == (1, 0.01, ["best", "last"])
    by_name = {(cell["row"], cell["column"]): cell for cell in data["cells"]}
    cell = by_name["GCE", "digits symmetric 40%"]
    assert cell["regressed"] is True
    move = cell["moves"][0]
    assert move["was"]["n"] == move["now"]["n"] == 5
    assert move["change"] == pytest.approx(-9)
    assert move["since"]["bad"] == "b" * 10
    assert move["detectable"] > 0
    assert by_name["GCE", "digits symmetric 20%"]["diverged"] == [3]
    assert by_name["Changed", "digits symmetric 20%"]["state"] == "not comparable"


def test_a_quiet_check_is_short(db, watched, baseline):
    record(db, watched.jobs)
    with open_store(db) as store:
        quiet = check(watched, baseline, store)
    assert headline(quiet) == "No regression in 8 comparisons of 4 cells."
    assert "4 of 4 cells gave the baseline's numbers exactly." in text_of(quiet)
    assert markdown(quiet, WHERE).startswith("## ✅ No regression")
    root = ElementTree.fromstring(junit(quiet).encode())
    assert root.find(".//failure") is None
