"""`lnlbench plot`: what it writes, what it says it could not draw, and what it says when there is nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lnlbench.store import EpochRow, ResultRow, RunProvenance, open_store
from lnlbench.suite import load_suite

SUITE = {
    "title": "Accuracy of two rows",
    "recipe": "sanm-cifar",
    "seeds": 2,
    "columns": [{"dataset": "digits", "noise": "symmetric", "rates": [0.2, 0.5]}],
    "rows": [{"label": "CE $_x$", "method": "ce"}, {"label": "GCE", "method": "gce"}],
    "scales": {"desk": {"seeds": 1}},
}


@pytest.fixture
def suite(lnlbench, tmp_path: Path) -> Path:
    """A suite file."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SUITE, sort_keys=False))
    return path


def fill(path: Path, suite: Path, scale: str = "paper") -> None:
    """Every job of the suite done after two epochs."""
    plan = load_suite(suite).plan(scale)
    with open_store(path) as store:
        store.add_jobs(plan.jobs)
        for i, job in enumerate(plan.jobs):
            claim = store.claim([job.key], "w", 60, retry_limit=1)
            assert claim is not None
            store.start_run(claim.run_uid, RunProvenance(data_canonical=True, data_fingerprint="f" * 64))
            epochs = [EpochRow(e, test_accuracy=50.0 + i + e, clean_auc=0.9, memorisation=0.1) for e in range(2)]
            store.record_epochs(claim.run_uid, epochs)
            extra = {"clean_score": {"edges": [0, 0.5, 1], "correct": [1, 5], "wrong": [3, 1]}}
            row = ResultRow(51.0 + i, 1, 51.0 + i, 50.5 + i, 2, best_auc=0.9, last_auc=0.8, extra=extra)
            store.finish(claim.run_uid, "done", row)


@pytest.fixture
def db(suite: Path, tmp_path: Path) -> Path:
    """A database with all results of the suite."""
    path = tmp_path / "db.sqlite"
    fill(path, suite)
    return path


def test_everything_that_can_be_drawn_is_written_with_captions_and_the_rest_named(lnlbench, suite, db, tmp_path):
    ended = lnlbench("plot", "--suite", suite, "--db", db, "--out", "here", "--format", "svg", "--format", "png")
    assert ended.code == 0, ended.err
    kinds = ["bars", "rates", "curves", "auc-curves", "memorisation", "noise"]
    stems = [f"mine-paper-{kind}" for kind in kinds]
    stems += [f"mine-paper-{k}-digits-symmetric-{r}" for k in ("scores", "roc") for r in (20, 50)]
    files = {f"{stem}.{ending}" for stem in stems for ending in ("svg", "png", "txt")}
    assert {path.name for path in (tmp_path / "here").iterdir()} == files
    assert {line.removeprefix("wrote here/") for line in ended.out.splitlines() if "wrote" in line} == files
    assert "not drawn: lines: no row of this suite is a point of a series." in ended.out
    assert "not drawn: weights: " in ended.out
    caption = (tmp_path / "here" / "mine-paper-bars.txt").read_text()
    assert "paper scale" in caption
    assert "n = 2 seeds" in caption


def test_only_the_chosen_kinds_and_rows_are_drawn_and_files_are_overwritten(lnlbench, suite, db, tmp_path):
    words = ("plot", "--suite", suite, "--db", db, "--kind", "roc", "--method", "gce", "--rate", "0.5", "--json")
    first, again = lnlbench(*words), lnlbench(*words)
    path = "figures/mine-paper-roc-digits-symmetric-50"
    assert first.json == again.json == {"written": [f"{path}.pdf", f"{path}.txt"], "not_drawn": []}


def test_scales_are_never_mixed(lnlbench, suite, db, tmp_path):
    fill(db, suite, "desk")
    assert lnlbench("plot", "--suite", suite, "--db", db, "--kind", "bars").code == 0
    captions = {path.name: path.read_text() for path in (tmp_path / "figures").glob("*.txt")}
    assert set(captions) == {"mine-paper-bars.txt", "mine-desk-bars.txt"}
    assert "desk scale" in captions["mine-desk-bars.txt"]
    assert "paper scale" not in captions["mine-desk-bars.txt"]


def test_a_kind_that_cannot_be_drawn_is_an_error_that_says_why(lnlbench, suite, db):
    ended = lnlbench("plot", "--suite", suite, "--db", db, "--kind", "weights")
    assert ended.code == 2
    assert "not drawn: weights: no run here has a learned weight curve" in ended.out
    assert "nothing could be drawn" in ended.err


def test_without_results_the_error_says_what_to_run(lnlbench, suite, tmp_path):
    open_store(tmp_path / "empty.sqlite").close()
    ended = lnlbench("plot", "--suite", suite, "--scale", "desk", "--db", "empty.sqlite")
    assert ended.code == 2
    assert f"no results of {suite}" in ended.err
    assert f"lnlbench run --suite {suite} --scale desk --db empty.sqlite" in ended.err
    assert not (tmp_path / "figures").exists()


def test_a_noise_needs_neither_results_nor_a_database(lnlbench, suite, tmp_path):
    ended = lnlbench("plot", "--suite", suite, "--kind", "noise", "-f", "png", "--dpi", "50")
    assert ended.code == 0, ended.err
    assert (tmp_path / "figures" / "mine-paper-noise.png").stat().st_size > 0


def test_kind_noise_alone_is_figure_1_of_rmw_net(lnlbench, tmp_path):
    ended = lnlbench("plot", "--kind", "noise", "-f", "svg")
    assert ended.code == 0, ended.err
    svg = (tmp_path / "figures" / "noise-5-classes-uniform-40-flip-40-flip2-40.svg").read_text()
    for text in ("uniform 40%", "flip2 40%", ".68", ".08", "True class"):
        assert f"<!-- {text} -->" in svg


def test_noises_are_drawn_at_each_rate_on_a_data_set(lnlbench):
    words = ("plot", "--kind", "noise", "--noise", "asymmetric", "--rate", 0.2, "--rate", 0.4, "--dataset", "cifar10")
    written = lnlbench(*words, "--json").json["written"]
    assert written[0] == "figures/noise-cifar10-asymmetric-20-asymmetric-40.pdf"
    refused = lnlbench(*words, "--classes", 5)
    assert refused.code == 2
    assert "cifar10 has 10 classes, not 5" in refused.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "curve"), "Did you mean 'curves'"),
        (("--kind", "noise", "--noise", "sym"), "symmetric"),
        (("--kind", "noise", "--noise", "instance", "--rate", "0.4"), "no transition matrix"),
        (("--format", "jpg"), "unknown format 'jpg'"),
        (("--suite", "quickstart", "--classes", "5"), "--classes is for noises without a suite"),
        (("--suite", "quikstart", "--kind", "noise"), "quickstart"),
        (("--suite", "quickstart", "--db", "nowhere.sqlite"), "no database"),
    ],
)
def test_wrong_words_are_answered(lnlbench, words, said):
    ended = lnlbench("plot", *words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_the_kinds_are_listed(lnlbench):
    assert "auc-curves" in lnlbench("plot", "--list").out
    kinds = lnlbench("plot", "--list", "--json").json
    assert {"kind", "shows", "needs"} == set(kinds[0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(lnlbench, tmp_path):
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR)
    ended = lnlbench("plot", "--kind", "noise", "--out", "locked")
    assert ended.code == 2
    assert "cannot write locked" in ended.err


def test_a_file_in_the_folders_place_is_told(lnlbench, tmp_path):
    (tmp_path / "taken").write_text("")
    ended = lnlbench("plot", "--kind", "noise", "--out", "taken")
    assert ended.code == 2
    assert "cannot write taken" in ended.err
    assert "--out" in ended.err


def test_drawing_imports_no_torch_and_the_list_no_matplotlib(suite, db, tmp_path):
    program = (
        "import sys; from lnlbench import cli\n"
        "sys.argv = ['lnlbench', 'plot', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print({'torch', 'matplotlib'} & set(sys.modules))"
    )
    for words, loaded in ((["--list"], "set()"), (["--suite", suite, "--db", db, "-k", "curves"], "{'matplotlib'}")):
        command = [sys.executable, "-c", program, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
        assert done.stdout.splitlines()[-1] == loaded
