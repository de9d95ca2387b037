"""`lnlbench run`, `plan`, `status` and `report` as a person meets them: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lnlbench.cli import plan as plan_command
from lnlbench.errors import DataError
from lnlbench.execution import estimate, local
from lnlbench.execution.estimate import Cost
from lnlbench.execution.local import LocalEngine, Summary
from lnlbench.execution.protocol import Event
from lnlbench.methods import registry
from lnlbench.store import EpochRow, ResultRow, open_store
from lnlbench.suite import load_suite

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "my_method.py"
PLUGIN = ROOT / "docs" / "examples" / "my_plugin.py"
TINY = ("--set", "epochs=2", "--set", "train_subset=200", "--set", "width=0.25", "--set", "image_size=8")


@pytest.fixture(autouse=True)
def only_our_methods(monkeypatch):
    """Plug-in files that a test loads are gone after it."""
    monkeypatch.setattr(registry, "_plugins", dict(registry._plugins))


@pytest.fixture
def engine(monkeypatch):
    """In place of worker processes: what would be run, and how it ends."""
    calls: list[LocalEngine] = []

    def run(self: LocalEngine) -> Summary:
        calls.append(self)
        return Summary()

    monkeypatch.setattr(LocalEngine, "run", run)
    return calls


@pytest.fixture
def slow(monkeypatch):
    """Every job would take an hour on this CPU."""
    monkeypatch.setattr(estimate, "measure", lambda job, place: Cost(3600.0, 0.01, 0.001))


@pytest.fixture
def quickstart(tmp_path) -> Path:
    """A database in which the quickstart is done, but for DivideMix's second seed, and Co-teaching has diverged."""
    path = tmp_path / "lnlbench.sqlite"
    jobs = load_suite("quickstart").plan().jobs
    with open_store(path) as store:
        store.add_jobs(jobs)
        for number, job in enumerate(jobs):
            if (job.method, job.seed) == ("dividemix", 2):
                continue
            claim = store.claim([job.key], "w", 60, retry_limit=1)
            assert claim is not None
            result = ResultRow(90.0 + number, 3, 80.0 + number, 85.0, 5, best_auc=0.9, last_auc=0.8)
            if job.method == "coteaching":
                store.finish(claim.run_uid, "diverged", None, "the loss became NaN")
            else:
                store.finish(claim.run_uid, "done", result)
    return path


# run


def test_a_dry_run_lists_the_jobs_and_writes_nothing(lnlbench, tmp_path):
    ended = lnlbench("run", "--suite", "quickstart", "--dry-run")
    assert ended.code == 0
    assert "10 jobs at smoke scale." in ended.out
    assert ended.out.count(" new ") == 10
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_knows_what_is_done(lnlbench, quickstart):
    rows = lnlbench("run", "--suite", "quickstart", "--dry-run", "--json").json
    states = [row["state"] for row in rows]
    assert (states.count("done"), states.count("diverged"), states.count("queued")) == (7, 2, 1)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--method", "ce"], 2),
        (["--method", "sanm"], 2),
        (["--method", "sanm(dividemix)"], 2),
        (["--method", "ce", "--method", "gce", "--seed", "2"], 2),
        (["--seed", "1", "--seed", "2", "--seed", "7"], 15),
        (["--rate", "0.4", "--noise", "symmetric", "--dataset", "digits"], 10),
    ],
)
def test_filters_choose_jobs_of_a_suite(lnlbench, words, count):
    assert len(lnlbench("run", "--suite", "quickstart", "--dry-run", "--json", *words).json) == count


def test_without_a_suite_methods_and_data_sets_make_the_jobs(lnlbench):
    words = [
        "--method",
        "ce",
        "--method",
        "gce",
        "--rate",
        "0.2",
        "--rate",
        "0.5",
        "--seed",
        "3",
        "--dry-run",
        "--json",
    ]
    labels = [row["job"] for row in lnlbench("run", *words).json]
    assert sorted(labels) == sorted(
        f"{method} digits symmetric {rate}% seed 3" for method in ("ce", "gce") for rate in (20, 50)
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--method", "gce", "--set", "epoch=1"], "'epochs'"),
        (["--method", "gce", "--set", "lrr=1"], "'lr'"),
        (["--method", "gce", "--set", "q=many"], "expected number"),
        (["--method", "gce", "--set", "q=2"], "out of range"),
        (["--method", "gce", "--set", "epochs"], "NAME=VALUE"),
        (["--method", "gcc"], "'gce'"),
        (["--suite", "quickstrat"], "'quickstart'"),
        (["--suite", "quickstart", "--scale", "paper"], "smoke"),
        (["--suite", "quickstart", "--scale", "big"], "desk, paper, smoke"),
        (["--suite", "quickstart", "--rate", "0.5"], "0.4"),
        (["--method", "ce", "--noise", "clean", "--rate", "0.5"], "no rate"),
        (["--method", "sanm"], "sanm(ce)"),
        (["--method", "ce", "--noise", "symmetric", "--noise", "asymmetric"], "one noise at a time"),
        (["--method", "ce", "--plugin", "absent.py"], "does not exist"),
        ([], "--suite NAME"),
    ],
)
def test_a_wrong_choice_is_one_message_with_what_to_do_and_nothing_is_written(lnlbench, tmp_path, words, told):
    ended = lnlbench("run", *words)
    assert ended.code == 2
    assert told in ended.err
    assert ended.err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_missing_data_says_how_to_get_it_before_anything_starts(lnlbench, tmp_path, engine):
    ended = lnlbench(
        "run", "--method", "ce", "--dataset", "cifar10", "--scale", "desk", "--data-dir", tmp_path / "data"
    )
    assert ended.code == DataError.exit_code
    assert f"lnlbench data download cifar10 --to {tmp_path / 'data'}" in ended.err
    assert engine == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_lacks_files_is_told_from_one_that_is_not_there(lnlbench, tmp_path, engine):
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "batches.meta"):
        (tmp_path / "cifar-10-batches-py" / name).touch()
    ended = lnlbench("run", "--method", "ce", "--dataset", "cifar10", "--scale", "desk", "--data-dir", tmp_path)
    assert "cifar-10-batches-py lacks test_batch." in ended.err
    assert engine == []


@pytest.mark.parametrize(
    ("options", "again"),
    [
        ((), ""),
        (("--db", "other name.sqlite"), " --db 'other name.sqlite'"),
        (("--db", "sqlite:///u.sqlite"), " with the same --db"),
        (("--method", "ce", "--seed", "2"), ""),
        (("--method", "ce", "--seed", "9"), ", with the same --seed"),
        (("--method", "sanm(dividemix)", "--set", "epochs=2"), ", with the same --method and --set"),
        (("--plugin", EXAMPLE, "--method", "my_bootstrap"), ", with the same --plugin and --method"),
    ],
)
def test_the_report_it_suggests_shows_the_jobs(lnlbench, engine, options, again):
    ended = lnlbench("run", "--suite", "quickstart", *options)
    assert ended.out.endswith(f"The table: lnlbench report --suite quickstart --scale smoke{again}\n")


def test_a_suite_of_methods_that_are_not_there_yet_is_told(lnlbench, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "title: T\nrecipe: quickstart\nseeds: 1\ncolumns: [{dataset: digits, noise: symmetric, rates: [0.2]}]\n"
        "rows: [{label: Future, method: from_the_future}]\n"
    )
    ended = lnlbench("run", "--suite", "mine.yaml")
    assert ended.code == 2
    assert "from_the_future" in ended.err


def test_what_is_done_is_not_done_again_unless_asked(lnlbench, quickstart, engine):
    run = ("run", "--suite", "quickstart", "--device", "cpu", "--json", "--method")
    ended = lnlbench(*run, "ce")
    assert (ended.code, engine) == (0, [])
    assert ended.json["states"]["done"] == 2
    lnlbench(*run, "ce", "--rerun")
    assert len(engine) == 1
    with open_store(quickstart) as store:
        assert store.counts(engine[0].config.keys)["queued"] == 2
    lnlbench(*run, "dividemix")
    assert len(engine) == 2


def test_failed_jobs_are_left_alone_until_asked_and_the_exit_code_says_so(lnlbench, tmp_path, engine):
    run = ("run", "--method", "ce", "--device", "cpu")
    assert lnlbench(*run).code == 0
    with open_store(tmp_path / "lnlbench.sqlite") as store:
        claim = store.claim(engine[0].config.keys, "w", 60, retry_limit=1)
        assert claim is not None
        store.finish(claim.run_uid, "failed", None, "a bug", "Traceback")
    again = lnlbench(*run)
    assert again.code == 1
    assert "1 failed" in again.out
    assert "--retry-failed" in again.out
    assert len(engine) == 1
    lnlbench(*run, "--retry-failed")
    assert len(engine) == 2


def test_options_reach_the_workers(lnlbench, tmp_path, engine):
    words = ["--attempts", "5", "--checkpoint-minutes", "0", "--no-resume", "--precision", "bf16", "--workers", "1"]
    lnlbench("run", "--method", "ce", *TINY, "--device", "cpu", "--db", "sub/x.sqlite", "--plugin", EXAMPLE, *words)
    config = engine[0].config
    assert (config.retry_limit, config.checkpoint_minutes, config.resume, config.precision) == (5, 0.0, False, "bf16")
    assert config.database == str(tmp_path / "sub" / "x.sqlite")
    assert config.runs_dir == str(tmp_path / "sub" / ".lnlbench")
    assert config.plugins == (str(EXAMPLE),)
    assert [place.device for place in engine[0].places] == ["cpu"]


def test_paper_scale_without_a_gpu_stops_with_the_time_it_would_take(lnlbench, engine, slow, monkeypatch):
    monkeypatch.setattr(local, "_gpus", lambda device: [])
    monkeypatch.setattr("lnlbench.cli.run._check_data", lambda jobs, folder: None)
    words = ("run", "--suite", "sanm-table1", "--method", "ce", "--dataset", "cifar10", "--seed", "1")
    ended = lnlbench(*words)
    assert ended.code == 2
    assert "4 jobs at paper scale would take about 4.0 h" in ended.err
    assert "--yes" in ended.err
    assert engine == []
    lnlbench(*words, "--yes")
    assert len(engine[0].config.keys) == 4
    lnlbench("run", "--suite", "sanm-table1", "--scale", "smoke", "--method", "ce")
    assert len(engine) == 2, "other scales are not held up"


def test_an_interrupted_run_says_how_to_go_on(lnlbench, monkeypatch):
    monkeypatch.setattr(LocalEngine, "run", lambda self: Summary(interrupted=True))
    ended = lnlbench("run", "--method", "ce", *TINY, "--device", "cpu")
    assert ended.code == 130
    assert "The same command goes on" in ended.out


def test_a_real_run_with_a_plug_in_file_ends_in_a_table(lnlbench, tmp_path):
    """docs/plugins.md: the example, through a worker process."""
    choice = ["--plugin", EXAMPLE, "--method", "my_bootstrap", "--set", "beta=0.8", *TINY]
    ended = lnlbench("run", *choice, "--device", "cpu", "--workers", "1", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["states"]["done"] == 1
    assert ended.json["failed"] == []
    assert "done  my_bootstrap digits symmetric 40% seed 1: best" in ended.err
    table = lnlbench("report", *choice, "--format", "json").json
    assert "Bootstrap (soft)" in json.dumps(table)
    with open_store(tmp_path / "lnlbench.sqlite", create=False) as store:
        (view,) = store.jobs()
        assert view.job.hyperparameters == {"beta": 0.8}
        assert [row.epoch for row in store.epochs(store.runs(view.key)[0].uid)] == [0, 1]


@pytest.mark.parametrize("file", [EXAMPLE, PLUGIN])
def test_the_examples_of_the_documentation_keep_the_contract(lnlbench, file):
    ended = lnlbench("check-method", "--plugin", file, "--json")
    assert [result for result in ended.json if not result["passed"]] == []
    assert ended.code == 0
    assert len(ended.json) >= 18


def test_the_documentation_shows_the_example_as_it_is():
    shown = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for line in EXAMPLE.read_text(encoding="utf-8").split('"""', 2)[2].splitlines():
        assert line in shown or '"""' in line, line


# plan


def test_plan_shows_the_matrix_and_what_is_done(lnlbench, quickstart):
    ended = lnlbench("plan", "--suite", "quickstart", "--no-measure")
    lines = {line.split("  ")[0]: line.split()[-1] for line in ended.out.splitlines()}
    assert lines["Cross-Entropy"] == "2/2"
    assert lines["DivideMix"] == "1/2"
    assert "10 jobs (2 seeds a cell), 9 done." in ended.out
    assert "About" not in ended.out


def test_plan_measures_what_is_left_once_a_kind_and_sums_it_up(lnlbench, slow, tmp_path):
    ended = lnlbench("plan", "--suite", "quickstart", "--method", "ce", "--method", "gce", "--device", "cpu")
    assert ended.err.count("measuring ") == 2
    assert "About 4.0 h of one worker's time" in ended.out
    planned = lnlbench("plan", "--suite", "quickstart", "--method", "ce", "--device", "cpu", "--json").json
    assert planned["seconds"] == 7200.0
    assert [job["seconds"] for job in planned["jobs"]] == [3600.0, 3600.0]
    assert list(tmp_path.iterdir()) == []


def test_plan_really_measures(lnlbench):
    planned = lnlbench("plan", "--method", "ce", *TINY, "--device", "cpu", "--json").json
    assert 0 < planned["seconds"] < 600


def test_nothing_is_measured_when_all_is_done(lnlbench, quickstart, monkeypatch):
    monkeypatch.setattr(plan_command, "estimate", None)
    assert "2 done." in lnlbench("plan", "--suite", "quickstart", "--method", "ce").out


def test_plan_names_rows_that_lnlbench_does_not_have(lnlbench):
    ended = lnlbench("plan", "--suite", "sanm-table1", "--no-measure")
    assert "Not in lnlbench, rows of dashes" in ended.out
    missing = lnlbench("plan", "--suite", "sanm-table1", "--no-measure", "--json").json["missing_rows"]
    assert set(missing).isdisjoint(registry.names())


def test_a_wide_matrix_is_not_cut_where_there_is_no_terminal(lnlbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = lnlbench("plan", "--suite", "sanm-table1", "--scale", "paper", "--no-measure").out.splitlines()
    assert out[1].split() == ["cifar10"] * 4 + ["cifar100"] * 4


def test_on_a_narrow_terminal_the_columns_go_below_each_other():
    heads = ["cifar10\nsymmetric 20%", "cifar10\nsymmetric 50%", "cifar100\nsymmetric 20%"]
    assert list(plan_command._blocks(["DivideMix"], heads, 80)) == [slice(0, 3)]
    assert list(plan_command._blocks(["DivideMix"], heads, 39)) == [slice(0, 2), slice(2, 3)]
    assert list(plan_command._blocks(["DivideMix"], heads, 5)) == [slice(0, 1), slice(1, 2), slice(2, 3)]


# status


def test_status_counts_the_jobs_and_says_where_the_reasons_are(lnlbench, filled):
    ended = lnlbench("status", "--db", filled.path)
    assert "1 done" in ended.out
    assert "1 failed" in ended.out
    assert f"lnlbench status --failed --db {filled.path}" in ended.out
    assert lnlbench("status", "--db", filled.path, "--json").json["states"]["failed"] == 1


def test_status_shows_running_jobs_with_their_epochs(lnlbench, tmp_path):
    job = load_suite("quickstart").plan(methods=["ce"]).jobs[0]
    with open_store(tmp_path / "lnlbench.sqlite") as store:
        store.add_jobs([job])
        claim = store.claim(None, "worker-7", 60, retry_limit=1)
        assert claim is not None
        store.record_epochs(claim.run_uid, [EpochRow(n, test_accuracy=50.0 + n) for n in (0, 1)])
    ended = lnlbench("status")
    assert f"{job.key[:12]}  ce digits symmetric 40% seed 1: epoch 2/{job.recipe.epochs}, accuracy 51.00%" in ended.out
    assert "worker-7" in ended.out
    (running,) = lnlbench("status", "--json").json["running"]
    assert (running["epoch"], running["worker"]) == (2, "worker-7")


def test_status_of_a_suite_counts_its_jobs_only(lnlbench, filled):
    assert lnlbench("status", "--db", filled.path, "--suite", "quickstart", "--json").json["states"]["failed"] == 0


def test_failures_are_shown_with_traceback(lnlbench, filled, quickstart):
    ended = lnlbench("status", "--failed", "--db", filled.path)
    assert "out of [memory]" in ended.out
    assert "  | Traceback of the run" in ended.out
    (failure,) = lnlbench("status", "--failed", "--db", filled.path, "--json").json
    assert failure["key"] == filled.failed
    assert "No job has failed." in lnlbench("status", "--failed", "--db", quickstart).out


# report


@pytest.mark.parametrize(
    ("format", "sign"),
    [("table", "Cross-Entropy"), ("latex", r"\begin{tabular}"), ("markdown", "| Cross-Entropy"), ("csv", "method")],
)
def test_a_report_comes_in_every_format(lnlbench, quickstart, format, sign):
    ended = lnlbench("report", "--suite", "quickstart", "--format", format)
    assert ended.code == 0, ended.err
    assert sign in ended.out
    assert lnlbench("report", "--suite", "quickstart", "--format", "json").json


def test_a_report_says_what_diverged_and_what_is_missing(lnlbench, quickstart):
    out = lnlbench("report", "--suite", "quickstart", "--stat", "best").out
    assert next(line for line in out.splitlines() if line.startswith("Co-teaching")).endswith("fail")
    assert "fail: training diverged" in out
    assert "Partial: 9 of 10 jobs have finished." in out


def test_statistics_can_be_chosen(lnlbench, quickstart):
    both = lnlbench("report", "--suite", "quickstart", "--stat", "last", "--stat", "last_auc").out
    assert "Last AUC" in both
    assert "Best:" not in both
    assert "0.800 ± 0.000" in both
    assert "population" in lnlbench("report", "--suite", "quickstart", "--ddof", "0").out


def test_a_report_is_written_to_a_file_in_a_new_folder(lnlbench, quickstart, tmp_path):
    ended = lnlbench("report", "--suite", "quickstart", "--format", "latex", "--out", "paper/tables/one.tex")
    assert (ended.code, ended.out) == (0, "")
    written = (tmp_path / "paper" / "tables" / "one.tex").read_text()
    assert written == lnlbench("report", "--suite", "quickstart", "--format", "latex").out
    (tmp_path / "file").write_text("")
    refused = lnlbench("report", "--suite", "quickstart", "--out", "file/one.tex")
    assert refused.code == 2
    assert "--out" in refused.err


def test_published_numbers_stand_beside_ours_and_are_called_incomparable_below_paper_scale(lnlbench, quickstart):
    report = ("report", "--suite", "sanm-table1", "--compare", "--scale")
    assert "No published numbers for these cells." in lnlbench(*report, "smoke").out
    assert "not comparable" in lnlbench(*report, "desk").out
    paper = lnlbench(*report, "paper").out
    assert "Published: the paper's number" in paper
    assert "not comparable" not in paper


def test_a_row_of_ones_own_stands_below_the_suites(lnlbench, quickstart):
    out = lnlbench(
        "report", "--suite", "quickstart", "--plugin", EXAMPLE, "--also", "my_bootstrap", "--stat", "best"
    ).out
    rows = [line for line in out.splitlines() if line.startswith(("Bootstrap", "SANM(CE)"))]
    assert rows[-1].startswith("Bootstrap (soft)")
    assert rows[-1].endswith("–")


def test_without_a_suite_every_suite_with_results_is_printed_and_no_other(lnlbench, quickstart):
    out = lnlbench("report").out
    assert out.count("Cross-Entropy ") == 1
    assert "sanm" not in out.lower().replace("sanm(ce)", "")


@pytest.mark.parametrize("filters", [["--dataset", "digits"], ["--scale", "smoke"], ["--rate", "0.4"]])
def test_filters_without_a_suite_pass_over_suites_they_do_not_fit(lnlbench, quickstart, filters):
    ended = lnlbench("report", *filters)
    assert ended.code == 0, ended.err
    assert "Cross-Entropy" in ended.out


def test_a_filter_of_one_scale_does_not_fail_at_the_others(lnlbench, quickstart):
    ended = lnlbench("report", "--suite", "sanm-table1", "--dataset", "cifar100")
    assert ended.code == 0, ended.err
    assert "CIFAR-100" in ended.out


def test_a_report_of_methods_without_a_suite(lnlbench, quickstart):
    words = ("--method", "ce", "--set", "epochs=2")
    assert "–" in lnlbench("report", *words).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--suite", "quickstart", "--format", "latx"], "'latex'"),
        (["--suite", "quickstart", "--stat", "bset"], "best, last"),
        (["--suite", "quickstart", "--ddof", "2"], "n-1"),
        (["--dataset", "cifra10"], "cifra10"),
        (["--dataset", "cifar10"], "lnlbench run"),
    ],
)
def test_a_wrong_report_is_one_message(lnlbench, quickstart, words, told):
    ended = lnlbench("report", *words)
    assert ended.code == 2
    assert told in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("command", ["report", "status", "status --failed"])
def test_without_a_database_there_is_one_message_and_none_is_made(lnlbench, tmp_path, command):
    ended = lnlbench(*command.split())
    assert ended.code == 2
    assert "there is no database" in ended.err
    assert "lnlbench run" in ended.err
    assert list(tmp_path.iterdir()) == []


WATCH = """
import sys
from lnlbench import cli
sys.argv = ["lnlbench", *sys.argv[1:]]
try:
    cli.main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {"torch", "pandas", "matplotlib", "sklearn", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "words", ["report", "report --suite quickstart --format latex --compare", "status", "status --failed", "plan"]
)
def test_looking_at_results_imports_nothing_heavy(quickstart, words):
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *words.split(), *(() if words == "plan" else ("--db", str(quickstart)))],
        cwd=quickstart.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


# progress where there is no terminal


def test_progress_tells_starts_ends_and_failures_in_plain_lines(capsys):
    from lnlbench.cli.progress import Progress

    def event(kind: str, **values: Any) -> Event:
        return Event(kind, "w", "key", values)  # type: ignore[arg-type]

    with Progress(3, 0) as progress:
        progress.hear(event("start", label="ce seed 1", epochs=4, start_epoch=2))
        progress.hear(event("progress", epoch=2, of=4, samples=64))
        progress.hear(event("epoch", epoch=3, test_accuracy=50.0, seconds=1.0))
        progress.hear(event("end", status="done", label="ce seed 1", best=91.234, last=90.0, seconds=100.0))
        progress.hear(event("end", status="failed", state="queued", label="gce seed 1", error="oops\nmore"))
        progress.hear(event("end", status="lost", state="failed", label="gce seed 1", error="killed by signal 9"))
        progress.hear(event("end", status="diverged", state="diverged", label="ce seed 2", error="NaN"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "start ce seed 1, going on after epoch 2",
        "done  ce seed 1: best 91.23%, last 90.00%, 2 min",
        "again gce seed 1: oops",
        "FAILED gce seed 1: killed by signal 9",
        "diverged ce seed 2",
    ]
    assert progress.ended == {"done": 1, "diverged": 1, "failed": 1}


def test_progress_says_once_why_nothing_happens(capsys, monkeypatch):
    from lnlbench.cli import progress as display

    monkeypatch.setattr(display, "WAIT_SECONDS", 0.0)
    start = Event("start", "w", "key", {"label": "ce seed 1", "epochs": 4, "start_epoch": 0})
    end = Event("end", "w", "key", {"status": "done", "label": "ce seed 1"})
    with display.Progress(3, 0) as progress:
        for event in (start, Event("waiting", "v"), end, Event("waiting", "w"), Event("waiting", "w")):
            progress.hear(event)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["start ce seed 1", "done  ce seed 1", "waiting"]
