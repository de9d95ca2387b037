"""`lnlbench report --format html`: one file from a database, which says where its numbers are from."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from lnlbench.store import EpochRow, ResultRow, open_store
from lnlbench.suite import load_suite

SUITE = {
    "title": "Two methods",
    "recipe": "sanm-cifar",
    "seeds": 2,
    "columns": [{"dataset": "cifar10", "noise": {"name": "symmetric", "draw": "released"}, "rates": [0.5]}],
    "rows": [{"label": "CE & <b>co</b>", "method": "ce"}, {"label": "GCE", "method": "gce"}],
}


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(SUITE, sort_keys=False))
    jobs = load_suite(path).plan("paper").jobs
    with open_store(tmp_path / "of me.sqlite") as store:
        store.add_jobs(jobs)
        for job in jobs[:2]:
            claim = store.claim([job.key], "w", 60, retry_limit=1)
            store.record_epochs(claim.run_uid, [EpochRow(e, test_accuracy=50.0 + e) for e in range(3)])
            store.finish(claim.run_uid, "done", ResultRow(52.0, 2, 52.0, 51.0, 3))
    return path


def test_the_page_is_written_with_every_run_and_its_curve(lnlbench, suite):
    done = lnlbench("report", "--suite", suite, "--db", "of me.sqlite", "--format", "html", "--out", "out/report.html")
    assert (done.code, done.out) == (0, "")
    text = (suite.parent / "out" / "report.html").read_text(encoding="utf-8")
    assert "<dd>of me.sqlite</dd>" in text
    assert "<dd>2 finished of 4 planned</dd>" in text
    assert str(suite.parent) not in text
    assert "CE &amp; &lt;b&gt;co&lt;/b&gt;" in text
    curves = json.loads(re.search(r'id="curves-0">(.*?)</script>', text)[1])
    assert [curve and curve[0] for curve in curves] == [{"first": 0, "count": 3}, None, {"first": 0, "count": 3}, None]


def test_without_a_file_the_page_is_printed(lnlbench, suite):
    words = ("report", "--suite", suite, "--db", "of me.sqlite", "--format", "html", "--stat", "last", "--seed", "1")
    out = lnlbench(*words).out
    assert out.startswith("<!doctype html>\n")
    assert out.endswith("</html>\n")
    assert "<dd>2 finished of 2 planned</dd>" in out


def test_both_ways_of_reading_a_database_make_the_same_page(lnlbench, suite):
    words = ("report", "--suite", suite, "--format", "html")
    made = re.compile("<dt>Made</dt><dd>[^<]*")
    pages = [lnlbench(*words, "--db", db).out for db in ("of me.sqlite", f"sqlite:///{suite.parent}/of me.sqlite")]
    assert made.sub("", pages[0]) == made.sub("", pages[1])
